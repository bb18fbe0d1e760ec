"""All services of one cloud, as the factory hands them to handlers and pages."""

from dataclasses import dataclass

from boundless_skies.cloud.services.images import ImageService
from boundless_skies.cloud.services.interrupts import InterruptService
from boundless_skies.cloud.services.measurements import MeasurementService
from boundless_skies.cloud.services.network import NetworkService
from boundless_skies.cloud.services.nodes import NodeService
from boundless_skies.cloud.services.operator import OperatorService
from boundless_skies.cloud.services.plans import PlanService


@dataclass(frozen=True, kw_only=True)
class Services:
    """One cloud's services."""

    nodes: NodeService
    measurements: MeasurementService
    plans: PlanService
    interrupts: InterruptService
    images: ImageService
    network: NetworkService
    operator: OperatorService

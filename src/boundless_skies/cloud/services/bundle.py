"""All services of one cloud, as the factory hands them to handlers and pages."""

from dataclasses import dataclass

from boundless_skies.cloud.services.admission import AdmissionService
from boundless_skies.cloud.services.beats import BeatBook
from boundless_skies.cloud.services.control_room import ControlRoom
from boundless_skies.cloud.services.credentials import CredentialService
from boundless_skies.cloud.services.curves import CurveService
from boundless_skies.cloud.services.images import ImageService
from boundless_skies.cloud.services.interrupts import InterruptService
from boundless_skies.cloud.services.limits import LimitService
from boundless_skies.cloud.services.measurements import MeasurementService
from boundless_skies.cloud.services.metrics import MetricsService
from boundless_skies.cloud.services.network import NetworkService
from boundless_skies.cloud.services.nodes import NodeService
from boundless_skies.cloud.services.operators import OperatorService
from boundless_skies.cloud.services.plans import PlanService
from boundless_skies.cloud.services.readiness import ReadinessService
from boundless_skies.cloud.services.reviews import ReviewService
from boundless_skies.cloud.services.settling import SettlingService
from boundless_skies.cloud.services.target_names import TargetNames
from boundless_skies.cloud.services.targets import TargetService


@dataclass(frozen=True, kw_only=True)
class Services:
    """One cloud's services."""

    beats: BeatBook
    credentials: CredentialService
    limits: LimitService
    nodes: NodeService
    measurements: MeasurementService
    plans: PlanService
    interrupts: InterruptService
    images: ImageService
    network: NetworkService
    curves: CurveService
    targets: TargetService
    operators: OperatorService
    admission: AdmissionService
    control_room: ControlRoom
    reviews: ReviewService
    settling: SettlingService
    metrics: MetricsService
    readiness: ReadinessService
    target_names: TargetNames

"""How a handler gets at the services and at whoever calls it."""

from litestar.datastructures import State
from litestar.di import NamedDependency

from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.operators import Operator
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.web import CloudRequest
from boundless_skies.wire.paths import ADMIN_KEY_HEADER, API_KEY_HEADER, NODE_ID_HEADER


def provide_services(state: State) -> Services:
    """Return the services that the factory made."""
    services: NamedDependency[Services] = state.services
    return services


async def provide_node(request: CloudRequest, services: NamedDependency[Services]) -> Caller:
    """Return the node that calls; anyone else is refused before a body is read."""
    headers = request.headers
    return await services.credentials.authenticate(
        headers.get(NODE_ID_HEADER), headers.get(API_KEY_HEADER)
    )


async def provide_operator(request: CloudRequest, services: NamedDependency[Services]) -> Operator:
    """Return the operator who calls; anyone else is refused before a body is read."""
    return await services.operators.authenticate(request.headers.get(ADMIN_KEY_HEADER))

"""How a handler gets at the services and at whoever calls it."""

from litestar.datastructures import State
from litestar.di import NamedDependency

from boundless_skies.cloud.domain.errors import InvalidCredentials
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.operators import Operator
from boundless_skies.cloud.peers import client_address
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.web import CloudRequest, header
from boundless_skies.wire.paths import ADMIN_KEY_HEADER, API_KEY_HEADER, NODE_ID_HEADER

_NODE_ID = NODE_ID_HEADER.lower().encode()
_API_KEY = API_KEY_HEADER.lower().encode()


def provide_services(state: State) -> Services:
    """Return the services that the factory made."""
    services: NamedDependency[Services] = state.services
    return services


async def provide_node(request: CloudRequest, services: NamedDependency[Services]) -> Caller:
    """Return the node that calls; anyone else is refused before a body is read."""
    node_id, api_key = header(request, _NODE_ID), header(request, _API_KEY)
    caller = services.credentials.recall(node_id, api_key)
    if caller is None:
        address = client_address(request.scope)
        services.limits.check_failures(address)
        try:
            caller = await services.credentials.authenticate(node_id, api_key)
        except InvalidCredentials:
            services.limits.count_failure(address)
            raise
    services.limits.count_call(caller.node_id)
    return caller


async def provide_operator(request: CloudRequest, services: NamedDependency[Services]) -> Operator:
    """Return the operator who calls; anyone else is refused before a body is read."""
    address = client_address(request.scope)
    services.limits.check_failures(address)
    try:
        return await services.operators.authenticate(request.headers.get(ADMIN_KEY_HEADER))
    except InvalidCredentials:
        services.limits.count_failure(address)
        raise

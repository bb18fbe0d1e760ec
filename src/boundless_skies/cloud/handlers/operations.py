"""What whoever runs the cloud asks of it: does it live, can it take calls, what does it measure."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE

from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.domain.operators import Role
from boundless_skies.cloud.peers import LOOPBACK, client_address, is_within
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.metrics import CONTENT_TYPE
from boundless_skies.cloud.web import CloudRequest
from boundless_skies.wire.paths import ADMIN_KEY_HEADER

BEARER = "Bearer "


@get("/health")
async def show_life() -> dict[str, Any]:
    """Tell that the process lives; it asks nobody else."""
    return {"ok": True}


@get("/ready")
async def show_readiness(services: NamedDependency[Services]) -> Response[dict[str, Any]]:
    """Tell whether this process can take calls; a load balancer asks this."""
    try:
        await services.readiness.check()
    except Unavailable as fault:
        return Response(
            {"ok": False, "error": str(fault)},
            status_code=HTTP_503_SERVICE_UNAVAILABLE,
            headers={"Retry-After": str(fault.retry_after_s)},
        )
    return Response({"ok": True})


@get("/metrics")
async def show_metrics(
    request: CloudRequest, services: NamedDependency[Services]
) -> Response[bytes]:
    """Tell what is measured, to this machine and to whoever has a reader's token."""
    if not is_within(client_address(request.scope), LOOPBACK):
        operator = await services.operators.authenticate(_token(request))
        operator.require(Role.READER)
    return Response(await services.metrics.render(), media_type=CONTENT_TYPE)


def _token(request: CloudRequest) -> str | None:
    given = request.headers.get("Authorization", "")
    if given.startswith(BEARER):
        return given.removeprefix(BEARER).strip()
    return request.headers.get(ADMIN_KEY_HEADER)


CALLS: list[HTTPRouteHandler] = [show_life, show_readiness, show_metrics]
"""The calls of whoever runs the cloud."""

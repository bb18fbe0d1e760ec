"""The operator's calls."""

from typing import Any

from litestar import post
from litestar.handlers import HTTPRouteHandler

from boundless_skies.cloud.handlers.body import read_json
from boundless_skies.cloud.handlers.context import CloudRequest
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.wire import paths

HTTP_OK = 200


@post(paths.INTERRUPTS, status_code=HTTP_OK)
async def send_interrupt(
    request: CloudRequest, services: Services, operator: bool
) -> dict[str, Any]:
    """Ask nodes to leave their plan for a target."""
    del operator
    number = await services.interrupts.send(await read_json(request))
    return {"ok": True, "id": number}


CALLS: list[HTTPRouteHandler] = [send_interrupt]
"""The operator's calls; each that takes an ``operator`` asks for the operator's key."""

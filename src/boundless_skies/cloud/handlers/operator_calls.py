"""The operator's calls."""

from typing import Any

from litestar import post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.handlers.body import read_json
from boundless_skies.cloud.handlers.described import OPERATOR, described
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.web import CloudRequest
from boundless_skies.wire import paths

HTTP_OK = 200


@post(
    paths.INTERRUPTS,
    status_code=HTTP_OK,
    opt=described(
        body={
            "name": "SN 2026abc",
            "ra_deg": 210.9,
            "dec_deg": 54.3,
            "mag": 13.2,
            "reason": "supernova",
            "node_ids": None,
            "expires_hours": 12,
        },
        reply={"ok": True, "id": 7},
        who=OPERATOR,
    ),
)
async def send_interrupt(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Ask nodes to leave their plan for a target."""
    operator.require(Role.OPERATOR)
    number = await services.interrupts.send(operator, await read_json(request))
    return {"ok": True, "id": number}


CALLS: list[HTTPRouteHandler] = [send_interrupt]
"""The operator's calls; each that takes an ``operator`` asks for the operator's key."""

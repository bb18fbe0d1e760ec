"""The operator's calls about who may do what: the policy, codes, tokens, the audit."""

from typing import Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from boundless_skies.cloud.domain.operators import Operator
from boundless_skies.cloud.domain.reading import json_object
from boundless_skies.cloud.handlers import schemas
from boundless_skies.cloud.handlers.body import read_json
from boundless_skies.cloud.handlers.described import OPERATOR, Parameter, described
from boundless_skies.cloud.handlers.operator_calls import (
    COUNT,
    HTTP_OK,
    OK_EXAMPLE,
    ROOT,
    read_count,
)
from boundless_skies.cloud.handlers.operator_entries import (
    describe_code,
    describe_deed,
    describe_token,
)
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.operators import DEEDS_MAX
from boundless_skies.cloud.web import CloudRequest

DEEDS_SHOWN = 50
CODE_EXAMPLE = {
    "code": "BS-2026-K7QXM4TN",
    "note": "for the school in the valley",
    "created_at": "2026-03-01T18:00:00Z",
    "created_by": "ada",
    "expires_at": "2026-03-31T18:00:00Z",
    "used_at": None,
    "used_by": None,
    "withdrawn_at": None,
    "state": "valid",
}
TOKEN_EXAMPLE = {
    "name": "ada",
    "role": "operator",
    "created_at": "2026-02-01T18:00:00Z",
    "created_by": "admin",
    "last_used_at": "2026-03-01T18:00:00Z",
    "revoked_at": None,
}
DEED_EXAMPLE = {
    "id": 31,
    "at": "2026-03-01T18:00:00Z",
    "operator": "ada",
    "action": "node.revoke",
    "subject": "hilltop",
    "detail": {"reason": "its telescope was sold"},
}


@get(f"{ROOT}/registration", opt=described(reply={"policy": "code"}, who=OPERATOR))
async def show_registration(
    services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Return which nodes may join: open, code or closed; for every role."""
    return {"policy": str(await services.admission.policy(operator))}


@post(
    f"{ROOT}/registration",
    status_code=HTTP_OK,
    opt=described(
        body={"policy": "code"}, body_schema=schemas.POLICY, reply={"policy": "code"}, who=OPERATOR
    ),
)
async def set_registration(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Decide which nodes may join: open, code or closed; for the role admin."""
    body = json_object(await read_json(request), "The request")
    return {"policy": str(await services.admission.set_policy(operator, body.get("policy")))}


@get(f"{ROOT}/codes", opt=described(reply={"codes": [CODE_EXAMPLE]}, who=OPERATOR))
async def list_codes(
    services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Return the newest 1,000 activation codes; for the role operator."""
    now = services.control_room.now()
    codes = await services.admission.list_codes(operator)
    return {"codes": [describe_code(code, now) for code in codes]}


@post(
    f"{ROOT}/codes",
    status_code=HTTP_OK,
    opt=described(
        body_schema=schemas.CODE_ORDER,
        body={"count": 1, "note": "for the school in the valley", "days": 30},
        reply={"codes": [CODE_EXAMPLE]},
        who=OPERATOR,
    ),
)
async def create_codes(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Make activation codes, each of which lets one node in; for the role operator."""
    codes = await services.admission.create_codes(operator, await read_json(request))
    now = services.control_room.now()
    return {"codes": [describe_code(code, now) for code in codes]}


@post(
    f"{ROOT}/codes/{{code:str}}/withdraw",
    status_code=HTTP_OK,
    opt=described(reply=OK_EXAMPLE, who=OPERATOR),
)
async def withdraw_code(
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    code: FromPath[str],
) -> dict[str, Any]:
    """Withdraw a code that no node has used yet; for the role operator."""
    await services.admission.withdraw_code(operator, code)
    return {"ok": True}


@get(f"{ROOT}/tokens", opt=described(reply={"tokens": [TOKEN_EXAMPLE]}, who=OPERATOR))
async def list_tokens(
    services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Return every operator's token, without its key; for the role admin."""
    tokens = await services.operators.list_tokens(operator)
    return {"tokens": [describe_token(token) for token in tokens]}


@post(
    f"{ROOT}/tokens",
    status_code=HTTP_OK,
    opt=described(
        body_schema=schemas.TOKEN,
        refused=(409,),
        body={"name": "ada", "role": "operator"},
        reply={"name": "ada", "role": "operator", "token": "operator_…"},
        who=OPERATOR,
    ),
)
async def create_token(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Make a token with the role reader, operator or admin, told once; for the role admin."""
    body = json_object(await read_json(request), "The request")
    name, role = body.get("name"), body.get("role")
    token = await services.operators.create_token(operator, name, role)
    return {"name": name, "role": role, "token": token}


@post(
    f"{ROOT}/tokens/{{name:str}}/revoke",
    status_code=HTTP_OK,
    opt=described(reply=OK_EXAMPLE, who=OPERATOR),
)
async def revoke_token(
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    name: FromPath[str],
) -> dict[str, Any]:
    """Revoke a token, and end every session begun with it; for the role admin."""
    await services.operators.revoke_token(operator, name)
    return {"ok": True}


@get(
    f"{ROOT}/audit",
    opt=described(
        reply={"deeds": [DEED_EXAMPLE]},
        who=OPERATOR,
        query={
            "limit": Parameter(text="How many, at most 1,000; 50 unless given.", schema=COUNT),
            "before": Parameter(
                text="Only what was done before the deed of this number.", schema=COUNT
            ),
        },
    ),
)
async def list_deeds(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Return what operators did, the newest first; for the role admin."""
    query = request.query_params
    limit = min(read_count(query.get("limit"), "limit", DEEDS_SHOWN), DEEDS_MAX)
    before_id = read_count(query.get("before"), "before", 0) or None
    deeds = await services.operators.list_deeds(operator, limit, before_id)
    return {"deeds": [describe_deed(deed) for deed in deeds]}


CALLS: list[HTTPRouteHandler] = [
    show_registration,
    set_registration,
    list_codes,
    create_codes,
    withdraw_code,
    list_tokens,
    create_token,
    revoke_token,
    list_deeds,
]
"""The operator's calls about who may do what."""

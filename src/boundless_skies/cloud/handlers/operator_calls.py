"""The operator's calls: the nodes, what is sent to them, and what they disagree about.

What an operator may do is decided by the services, for the pages and the command
line, too; reading a body comes first, so a body must be there for a refusal.
"""

from typing import Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.domain.operators import Operator
from boundless_skies.cloud.domain.reading import json_object, shown
from boundless_skies.cloud.handlers import schemas
from boundless_skies.cloud.handlers.body import read_json
from boundless_skies.cloud.handlers.described import OPERATOR, PLAN_EXAMPLE, Parameter, described
from boundless_skies.cloud.handlers.operator_entries import (
    describe_case,
    describe_file,
    describe_nodes,
    describe_queue,
    describe_report,
    describe_sent,
)
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.reviews import QUEUE_PAGE
from boundless_skies.cloud.web import CloudRequest
from boundless_skies.wire import paths

HTTP_OK = 200
NUMBER_MAX_DIGITS = 18
COUNT = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
ROOT = "/api/v1/operator"
NODE_PLAN = "/api/v1/nodes/{node_id:str}/plan"
OK_EXAMPLE = {"ok": True}
NODE_EXAMPLE = {
    "node_id": "hilltop",
    "owner_name": "Ada",
    "owner_public": False,
    "latitude": 48.13712,
    "longitude": 11.57541,
    "elevation": 520.0,
    "telescope_model": "ZWO Seestar S50",
    "filters": "CV",
    "utc_offset_hours": 1.0,
    "rig": {"aperture_mm": 50.0},
    "registered_at": "2026-02-01T19:00:00Z",
    "last_heartbeat": "2026-03-01T21:30:00Z",
    "online": True,
    "queued_uploads": 0,
    "queue_age_s": None,
    "rotation_asked_at": None,
    "revoked_at": None,
    "image_bytes": 0,
    "plan_id": "plan-2026-03-01-9f2c",
    "measurements": 214,
}
TOLD_EXAMPLE = {
    "state": "done",
    "reason": "",
    "at": "2026-03-01T21:31:00Z",
    "received_at": "2026-03-01T21:31:01Z",
}
OUTCOME_EXAMPLE = {
    "told": TOLD_EXAMPLE | {"state": "accepted"},
    "counts": {"done": 1},
    "untold": 0,
    "items": [{"item_id": "item-1", "target": "SS Cyg", "told": TOLD_EXAMPLE}],
}
CASE_EXAMPLE = {
    "id": 812,
    "target_name": "SS Cyg",
    "filter": "V",
    "node_id": "hilltop",
    "bjd": 2461000.512345,
    "magnitude": 10.412,
    "uncertainty": 0.014,
    "quality_flag": "good",
    "airmass": 1.21,
    "snr": 71.0,
    "fits_file": "ss_cyg_0001.fits",
    "received_at": "2026-03-01T21:31:00Z",
    "revision": 1,
    "is_newest": True,
    "validation": "outlier",
    "review": None,
    "window_d": 0.010416667,
    "around": [
        {
            "id": 811,
            "node_id": "valley",
            "bjd": 2461000.5131,
            "magnitude": 11.873,
            "uncertainty": 0.02,
            "review": None,
        }
    ],
    "verdicts": [],
}


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
        body_schema=schemas.INTERRUPT,
        refused=(404,),
        reply_schema=schemas.OK_ID,
        reply={"ok": True, "id": 7},
        who=OPERATOR,
    ),
)
async def send_interrupt(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Ask nodes to leave their plan for a target; for the role operator."""
    number = await services.interrupts.send(operator, await read_json(request))
    return {"ok": True, "id": number}


@get(
    f"{ROOT}/interrupts",
    opt=described(
        reply={
            "interrupts": [
                {
                    "id": 7,
                    "name": "SN 2026abc",
                    "reason": "supernova",
                    "ra_deg": 210.9,
                    "dec_deg": 54.3,
                    "mag": 13.2,
                    "node_ids": None,
                    "created_at": "2026-03-01T21:00:00Z",
                    "expires_at": "2026-03-02T09:00:00Z",
                    "acked_by": {"hilltop": "2026-03-01T21:00:02Z"},
                    "told_by": {"hilltop": TOLD_EXAMPLE},
                }
            ]
        },
        who=OPERATOR,
    ),
)
async def list_sent_interrupts(
    services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Return the interrupts that were sent last, and what became of them; for every role."""
    sent = await services.interrupts.list_sent(operator)
    return {"interrupts": [describe_sent(one) for one in sent]}


@post(
    NODE_PLAN,
    status_code=HTTP_OK,
    opt=described(
        body={
            "night": "2026-03-01",
            "items": [{"target": "SS Cyg", "ra": 21.7118, "dec": 43.5861, "startTime": "22:30"}],
        },
        body_schema=schemas.PLAN,
        refused=(409,),
        reply={"ok": True, "plan": PLAN_EXAMPLE["plan"]},
        who=OPERATOR,
    ),
)
async def publish_plan(
    request: CloudRequest,
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    node_id: FromPath[str],
) -> dict[str, Any]:
    """Make a plan, or a bare list of items, a node's current one; for the role operator."""
    document = await read_json(request)
    plan = await services.plans.publish(operator, await services.nodes.find(node_id), document)
    return {"ok": True, "plan": plan.to_wire()}


@get(
    f"{ROOT}/plans/{{plan_id:str}}",
    opt=described(
        reply={"plan": PLAN_EXAMPLE["plan"], **OUTCOME_EXAMPLE, "events": []},
        who=OPERATOR,
        path={"plan_id": Parameter(text="Which plan.", example=PLAN_EXAMPLE["plan"]["plan_id"])},
    ),
)
async def show_plan_outcome(
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    plan_id: FromPath[str],
) -> dict[str, Any]:
    """Return a plan with what became of it and of each of its items; for every role."""
    return describe_report(await services.plans.report(operator, plan_id))


@get(
    f"{ROOT}/nodes",
    opt=described(
        reply={"nodes": [NODE_EXAMPLE], "nodes_in_all": 1},
        who=OPERATOR,
        query={"after": "Only the nodes that follow this one by name."},
    ),
)
async def list_nodes(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Return the nodes with their owners and exact places, at most 1,000; for every role."""
    listed = await services.control_room.list_nodes(operator, request.query_params.get("after"))
    return {"nodes": describe_nodes(listed), "nodes_in_all": listed.nodes_in_all}


@get(
    f"{ROOT}/nodes/{{node_id:str}}",
    opt=described(
        reply={
            **{name: value for name, value in NODE_EXAMPLE.items() if name != "plan_id"},
            "conditions": {"sky_temperature_c": -18.5},
            "plan": PLAN_EXAMPLE["plan"],
            "plan_outcome": OUTCOME_EXAMPLE,
            "earlier_plans": [],
            "interrupts": [],
            "events": [],
            "images": [],
            "history": [],
        },
        who=OPERATOR,
    ),
)
async def show_node(
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    node_id: FromPath[str],
) -> dict[str, Any]:
    """Return all that is known of a node; for every role."""
    return describe_file(await services.control_room.open_file(operator, node_id))


@post(
    f"{ROOT}/nodes/{{node_id:str}}/rotate",
    status_code=HTTP_OK,
    opt=described(reply=OK_EXAMPLE, who=OPERATOR),
)
async def rotate_key(
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    node_id: FromPath[str],
) -> dict[str, Any]:
    """Ask a node to take a new key at its next beat; for the role operator."""
    await services.credentials.ask_for_rotation(operator, [node_id])
    return {"ok": True}


@post(
    f"{ROOT}/rotate-all",
    status_code=HTTP_OK,
    opt=described(reply={"ok": True, "asked": 214}, who=OPERATOR),
)
async def rotate_all_keys(
    services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Ask every node to take a new key at its next beat; for the role operator."""
    return {"ok": True, "asked": await services.credentials.ask_for_rotation(operator, None)}


@post(
    f"{ROOT}/nodes/{{node_id:str}}/revoke",
    status_code=HTTP_OK,
    opt=described(
        body={"reason": "its telescope was sold"},
        body_schema=schemas.REASON,
        reply=OK_EXAMPLE,
        who=OPERATOR,
    ),
)
async def revoke_node(
    request: CloudRequest,
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    node_id: FromPath[str],
) -> dict[str, Any]:
    """Refuse every key of a node from now on; for the role operator.

    What the node has sent stays.
    """
    body = json_object(await read_json(request), "The request")
    await services.credentials.revoke(operator, node_id, body.get("reason"))
    return {"ok": True}


@post(
    f"{ROOT}/nodes/{{node_id:str}}/readmit",
    status_code=HTTP_OK,
    opt=described(reply=OK_EXAMPLE, who=OPERATOR),
)
async def readmit_node(
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    node_id: FromPath[str],
) -> dict[str, Any]:
    """Let a revoked node call with its key again; for the role operator."""
    await services.credentials.readmit(operator, node_id)
    return {"ok": True}


@post(
    f"{ROOT}/nodes/{{node_id:str}}/owner",
    status_code=HTTP_OK,
    opt=described(body={"public": True}, body_schema=schemas.OWNER, reply=OK_EXAMPLE, who=OPERATOR),
)
async def show_owner(
    request: CloudRequest,
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    node_id: FromPath[str],
) -> dict[str, Any]:
    """Name a node's owner on public pages, or no longer; for the role operator."""
    body = json_object(await read_json(request), "The request")
    public = body.get("public")
    if not isinstance(public, bool):
        raise InvalidInput(f"public must be true or false, not {shown(public)}.")
    await services.nodes.show_owner(operator, node_id, public=public)
    return {"ok": True}


@get(
    f"{ROOT}/review",
    opt=described(
        reply={"waiting": 1, "points": [CASE_EXAMPLE]},
        who=OPERATOR,
        query={
            "after": Parameter(
                text="Only the points that follow this one by number.", schema=COUNT
            ),
            "limit": Parameter(text="How many, at most 200; 20 unless given.", schema=COUNT),
        },
    ),
)
async def list_disputed(
    request: CloudRequest, services: NamedDependency[Services], operator: NamedDependency[Operator]
) -> dict[str, Any]:
    """Return the points that nodes disagree about and nobody has judged; for every role."""
    query = request.query_params
    after_id = read_count(query.get("after"), "after", 0)
    limit = read_count(query.get("limit"), "limit", QUEUE_PAGE)
    return describe_queue(await services.reviews.queue(operator, after_id, limit))


@get(f"{ROOT}/review/{{number:str}}", opt=described(reply=CASE_EXAMPLE, who=OPERATOR))
async def show_disputed(
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    number: FromPath[str],
) -> dict[str, Any]:
    """Return a measurement with the points around it and every verdict; for every role."""
    return describe_case(await services.reviews.find(operator, read_number(number)))


@post(
    f"{ROOT}/review/{{number:str}}",
    status_code=HTTP_OK,
    opt=described(
        body_schema=schemas.VERDICT,
        body={"verdict": "reject", "reason": "a satellite's trail crosses the star"},
        reply=CASE_EXAMPLE | {"review": "rejected"},
        who=OPERATOR,
    ),
)
async def judge_disputed(
    request: CloudRequest,
    services: NamedDependency[Services],
    operator: NamedDependency[Operator],
    number: FromPath[str],
) -> dict[str, Any]:
    """Accept or reject a point, and say why; for the role operator.

    Nothing is deleted: a rejected point may be accepted later.
    """
    body = await read_json(request)
    return describe_case(await services.reviews.judge(operator, read_number(number), body))


def read_number(text: str) -> int:
    """Return the number of a measurement from a path."""
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS):
        raise UnknownObject(f"There is no measurement {shown(text)}.")
    return int(text)


def read_count(text: str | None, name: str, default: int) -> int:
    """Return a whole number from a query."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS):
        raise InvalidInput(f"{name} must be a whole number, not {shown(text)}.")
    return int(text)


CALLS: list[HTTPRouteHandler] = [
    send_interrupt,
    list_sent_interrupts,
    publish_plan,
    show_plan_outcome,
    list_nodes,
    show_node,
    rotate_key,
    rotate_all_keys,
    revoke_node,
    readmit_node,
    show_owner,
    list_disputed,
    show_disputed,
    judge_disputed,
]
"""The operator's calls; each that takes an ``operator`` asks for the operator's key."""

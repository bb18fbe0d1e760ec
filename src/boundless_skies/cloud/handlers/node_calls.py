"""The calls of a node."""

import hashlib
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from boundless_skies.cloud.domain.errors import InvalidInput, Refusal, UnknownObject
from boundless_skies.cloud.domain.features import FEATURES
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.reading import finite_number, shown
from boundless_skies.cloud.handlers import schemas
from boundless_skies.cloud.handlers.body import BATCH_MAX_BYTES, read_json
from boundless_skies.cloud.handlers.described import (
    EVENT_EXAMPLE,
    INTERRUPT_EXAMPLE,
    MEASUREMENT_EXAMPLE,
    NODE,
    PLAN_EXAMPLE,
    PUBLIC,
    Parameter,
    described,
)
from boundless_skies.cloud.handlers.errors import answer_refused_measurement
from boundless_skies.cloud.handlers.upload import Upload
from boundless_skies.cloud.peers import client_address
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.web import CloudRequest, header
from boundless_skies.wire import paths
from boundless_skies.wire.paths import IDEMPOTENCY_HEADER

_IDEMPOTENCY = IDEMPOTENCY_HEADER.lower().encode()
HTTP_OK = 200
"""A node in the field takes only this one for success."""
HTTP_NOT_MODIFIED = 304
ID_MAX_DIGITS = 18
PLAN_EVENTS = f"{paths.PLAN}/{{plan_id:str}}/events"
INTERRUPT_EVENTS = f"{paths.INTERRUPTS}/{{interrupt_id:str}}/events"
INTERRUPT_ACK = paths.interrupt_ack("{interrupt_id:str}")
INTERRUPT_ID = Parameter(
    text="Which interrupt.", schema={"type": "integer", "minimum": 1}, example=7
)


@post(
    paths.REGISTER,
    status_code=HTTP_OK,
    opt=described(
        body={
            "node_id": "hilltop",
            "owner_name": "Ada",
            "latitude": 48.1,
            "longitude": 11.6,
            "elevation": 520.0,
            "telescope_model": "ZWO Seestar S50",
            "filters": "CV",
            "utc_offset_hours": 1.0,
        },
        body_schema=schemas.REGISTRATION,
        reply_schema=schemas.REGISTERED,
        reply={"node_id": "hilltop", "api_key": "node_…", "features": FEATURES},
        who=PUBLIC,
        group=NODE,
    ),
)
async def register(request: CloudRequest, services: NamedDependency[Services]) -> dict[str, Any]:
    """Give a node its identity; the key is told here and never again."""
    services.limits.count_registration(client_address(request.scope))
    return await services.nodes.register(await read_json(request))


@post(
    paths.NODE_KEY,
    status_code=HTTP_OK,
    opt=described(reply={"api_key": "node_…", "previous_valid_s": 86_400}),
)
async def give_new_key(
    services: NamedDependency[Services], node: NamedDependency[Caller]
) -> dict[str, Any]:
    """Give the node a new key, told once.

    The key that it called with stays valid until the new one is first used, and
    a day beyond that.
    """
    return await services.credentials.give_new_key(node)


@post(
    paths.HEARTBEAT,
    status_code=HTTP_OK,
    opt=described(
        body_schema=schemas.HEARTBEAT,
        reply_schema=schemas.BEAT_TAKEN,
        body={"conditions": {"sky_temperature_c": -18.5, "utc_offset_hours": 1.0}},
        reply={"ok": True, "server_time": "2026-03-01T21:30:00Z", "features": FEATURES},
    ),
)
async def heartbeat(
    request: CloudRequest, services: NamedDependency[Services], node: NamedDependency[Caller]
) -> dict[str, Any]:
    """Take a node's beat, with its local conditions."""
    return await services.nodes.beat(node, await read_json(request))


@get(
    paths.NODE_SELF,
    opt=described(
        reply={
            "node_id": "hilltop",
            "owner_name": "Ada",
            "latitude": 48.137,
            "longitude": 11.575,
            "online": True,
        }
    ),
)
async def show_self(
    services: NamedDependency[Services], node: NamedDependency[Caller]
) -> dict[str, Any]:
    """Return the node's own entry, without its key."""
    return await services.nodes.describe(node)


@get(
    paths.PLAN,
    opt=described(
        reply=PLAN_EXAMPLE,
        reply_schema=schemas.GIVEN_PLAN,
        also={304: "The plan is the one that the node has."},
        reply_headers={"ETag": "Names this plan."},
        headers={
            "If-None-Match": "The ETag of the last answer; the same plan is then answered with 304."
        },
    ),
)
async def show_plan(
    request: CloudRequest, services: NamedDependency[Services], node: NamedDependency[Caller]
) -> Response[bytes]:
    """Return the node's current plan; 304 where it is the one that ``If-None-Match`` names."""
    plan_id, reply = await services.plans.current(node)
    etag = _plan_tag(plan_id)
    if etag in (header(request, b"if-none-match") or ""):
        return Response(b"", status_code=HTTP_NOT_MODIFIED, headers={"ETag": etag})
    return Response(reply, media_type="application/json", headers={"ETag": etag})


@post(
    PLAN_EVENTS,
    status_code=HTTP_OK,
    opt=described(
        body={"events": [EVENT_EXAMPLE]},
        body_schema=schemas.EVENTS,
        reply={"ok": True},
        reply_schema=schemas.OK,
        path={"plan_id": Parameter(text="Which plan.", example=PLAN_EXAMPLE["plan"]["plan_id"])},
    ),
)
async def record_plan_events(
    request: CloudRequest,
    services: NamedDependency[Services],
    node: NamedDependency[Caller],
    plan_id: FromPath[str],
) -> dict[str, Any]:
    """Take what became of a plan and its items, each event once by its ``event_id``."""
    return await services.plans.record_events(node, plan_id, await read_json(request))


@get(
    paths.INTERRUPTS,
    opt=described(
        reply={"interrupts": [INTERRUPT_EXAMPLE]},
        reply_schema=schemas.INTERRUPTS,
        query={
            "wait": Parameter(
                text="Wait up to so many seconds, at most 60, for one to come.",
                schema={"type": "number", "minimum": 0},
            )
        },
    ),
)
async def list_interrupts(
    request: CloudRequest, services: NamedDependency[Services], node: NamedDependency[Caller]
) -> dict[str, Any]:
    """Return the interrupts that stand for this node.

    With ``?wait=25`` the answer comes at once where one of them is not yet
    acknowledged, else when one is sent, else after that many seconds.
    """
    wait_s = _read_wait(request.query_params.get("wait"))
    if wait_s:
        return await services.interrupts.wait_for(node, wait_s)
    return await services.interrupts.list_for(node)


@post(
    INTERRUPT_ACK,
    status_code=HTTP_OK,
    opt=described(reply={"ok": True}, reply_schema=schemas.OK, path={"interrupt_id": INTERRUPT_ID}),
)
async def acknowledge_interrupt(
    services: NamedDependency[Services], node: NamedDependency[Caller], interrupt_id: FromPath[str]
) -> dict[str, Any]:
    """Keep that this node has done an interrupt."""
    return await services.interrupts.acknowledge(node, _number(interrupt_id))


@post(
    INTERRUPT_EVENTS,
    status_code=HTTP_OK,
    opt=described(
        body={"events": [EVENT_EXAMPLE | {"item_id": None}]},
        body_schema=schemas.EVENTS,
        reply={"ok": True},
        reply_schema=schemas.OK,
        path={"interrupt_id": INTERRUPT_ID},
    ),
)
async def record_interrupt_events(
    request: CloudRequest,
    services: NamedDependency[Services],
    node: NamedDependency[Caller],
    interrupt_id: FromPath[str],
) -> dict[str, Any]:
    """Take what became of an interrupt, each event once by its ``event_id``."""
    body = await read_json(request)
    return await services.interrupts.record_events(node, _number(interrupt_id), body)


@post(
    paths.MEASUREMENTS,
    status_code=HTTP_OK,
    exception_handlers={Refusal: answer_refused_measurement},
    opt=described(
        body={"measurement": MEASUREMENT_EXAMPLE, "conditions": {}},
        body_schema=schemas.SUBMISSION,
        reply={"ok": True, "id": 1},
        reply_schema=schemas.OK_ID,
        headers={
            IDEMPOTENCY_HEADER: Parameter(
                text="SHA-256 of the canonical payload; a retry is told as a duplicate.",
                schema={"type": "string", "pattern": "^[!-~]{1,200}$"},
            )
        },
    ),
)
async def submit_measurement(
    request: CloudRequest, services: NamedDependency[Services], node: NamedDependency[Caller]
) -> dict[str, Any]:
    """Take one measurement; once this answers, it is on disk."""
    key = header(request, _IDEMPOTENCY)
    software = header(request, b"user-agent")
    return await services.measurements.submit(node, await read_json(request), key, software)


@post(
    paths.MEASUREMENTS_BATCH,
    status_code=HTTP_OK,
    opt=described(
        body_schema=schemas.BATCH,
        reply_schema=schemas.BATCH_RESULTS,
        body={"items": [{"measurement": MEASUREMENT_EXAMPLE, "conditions": {}}]},
        reply={"results": [{"ok": True, "id": 1}]},
    ),
)
async def submit_batch(
    request: CloudRequest, services: NamedDependency[Services], node: NamedDependency[Caller]
) -> dict[str, Any]:
    """Take up to 500 measurements, gzip welcome; one result per item, in order."""
    body = await read_json(request, BATCH_MAX_BYTES)
    return await services.measurements.submit_batch(node, body, header(request, b"user-agent"))


@post(
    paths.IMAGES,
    status_code=HTTP_OK,
    opt=described(
        body_schema=schemas.IMAGE_FORM,
        reply_schema=schemas.STORED,
        body={"file": "the bytes of a FITS file, at most 200 MiB"},
        media_type="multipart/form-data",
        reply={"ok": True, "stored": "3f0c….fits"},
    ),
)
async def store_image(
    request: CloudRequest, services: NamedDependency[Services], node: NamedDependency[Caller]
) -> dict[str, Any]:
    """Take an image file in the multipart part ``file``."""
    upload = Upload(request)
    return {"ok": True, "stored": await services.images.store(node, upload)}


def _plan_tag(plan_id: str | None) -> str:
    return f'"{hashlib.sha256((plan_id or "").encode()).hexdigest()[:32]}"'


def _read_wait(text: str | None) -> float:
    if not text:
        return 0.0
    wait_s = finite_number(text)
    if wait_s is None or wait_s < 0:
        raise InvalidInput(f"wait must be a number of seconds, not {shown(text)}.")
    return wait_s


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= ID_MAX_DIGITS):
        raise UnknownObject(f"There is no interrupt {text[:40]!r} for this node.")
    return int(text)


CALLS: list[HTTPRouteHandler] = [
    register,
    heartbeat,
    give_new_key,
    show_self,
    show_plan,
    record_plan_events,
    list_interrupts,
    acknowledge_interrupt,
    record_interrupt_events,
    submit_measurement,
    submit_batch,
    store_image,
]
"""A node's calls; each that takes a ``node`` asks for its key."""

CONSTANT_CALLS: list[HTTPRouteHandler] = [
    heartbeat,
    show_plan,
    list_interrupts,
    submit_measurement,
    submit_batch,
]
"""Those that make up nearly all that a fleet sends."""

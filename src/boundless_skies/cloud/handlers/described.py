"""What the API's description (OpenAPI) says of each call."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

from litestar.handlers import HTTPRouteHandler

from boundless_skies import __version__
from boundless_skies.cloud.handlers import schemas
from boundless_skies.cloud.handlers.schemas import Schema
from boundless_skies.wire.paths import (
    ADMIN_KEY_HEADER,
    API_KEY_HEADER,
    IDEMPOTENCY_HEADER,
    NODE_ID_HEADER,
)

JSON = "application/json"
NODE, OPERATOR, PUBLIC = "node", "operator", "public"
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    NODE: [{"nodeId": [], "nodeKey": []}],
    OPERATOR: [{"operatorKey": []}],
    PUBLIC: [],
}
SENTENCES = {
    400: (
        "Something in the request is missing, of the wrong kind or out of its range.",
        "bjd is 5",
    ),
    401: ("The key is missing or wrong.", "invalid node credentials"),
    403: ("The key is right, and does not allow this.", "this needs operator"),
    404: ("There is no such thing.", "There is no measurement 7."),
    405: ("The path does not answer to this method.", "/docs lists every call."),
    409: ("There is something else of this name already.", "choose another name"),
    413: ("The request has more bytes or items than the limit.", "The body is larger than 1 MiB"),
    415: ("The body comes in a form that is not read here.", "send application/json"),
    416: ("The file has no such bytes.", "The file has 2,880 bytes, and none of those."),
    422: ("The idempotency key came before with another measurement.", "leave the header out"),
    429: ("Too many calls; try again after Retry-After (s).", "try again in a minute"),
    503: ("Not now; try again after Retry-After (s).", "The database cannot take this now"),
}
"""What each refusal means, with words of an example."""
MEASUREMENT_EXAMPLE = {
    "target_name": "SS Cyg",
    "bjd": 2461000.512345,
    "magnitude": 11.873,
    "uncertainty": 0.014,
    "filter": "V",
    "airmass": 1.21,
    "fwhm": 3.4,
    "snr": 71.0,
    "comparison_stars": 12,
    "quality_flag": "good",
    "node_id": "hilltop",
    "zero_point": 21.47,
    "zp_scatter": 0.021,
    "fits_file": "ss_cyg_0001.fits",
}
PLAN_EXAMPLE = {
    "plan": {
        "plan_id": "plan-2026-03-01-9f2c",
        "node_id": "hilltop",
        "night": "2026-03-01",
        "generated_at": "2026-03-01T16:00:00Z",
        "items": [
            {
                "target": "SS Cyg",
                "ra": 21.7118,
                "dec": 43.5861,
                "expDur": 30.0,
                "expCount": 20,
                "binning": 1,
                "startTime": "22:30",
                "item_id": "item-1",
                "start_utc": "2026-03-01T21:30:00Z",
                "filter": "V",
            }
        ],
    }
}
INTERRUPT_EXAMPLE = {
    "id": 7,
    "name": "SN 2026abc",
    "reason": "supernova",
    "ra_deg": 210.9,
    "dec_deg": 54.3,
    "ra": 14.06,
    "dec": 54.3,
    "mag": 13.2,
    "created_at": "2026-03-01T21:00:00Z",
    "expires_at": "2026-03-02T09:00:00Z",
    "acked": False,
}
POINT_EXAMPLE = {
    "id": 1,
    "bjd": 2461000.512345,
    "magnitude": 11.873,
    "uncertainty": 0.014,
    "filter": "V",
    "node_id": "hilltop",
    "quality_flag": "good",
    "airmass": 1.21,
    "snr": 71.0,
    "revision": 1,
    "validation": "single",
    "review": None,
}
EVENT_EXAMPLE = {
    "event_id": "0b6c",
    "item_id": "item-1",
    "state": "done",
    "reason": "",
    "at": "2026-03-01T21:31:00Z",
}

_PATH_PARAMETER = re.compile(r"\{(\w+):\w+\}")
_ALWAYS = (400, 405, 429, 503)
_AGAIN_LATER = (429, 503)
_HEADERS = {
    "Allow": {"schema": schemas.TEXT, "required": True, "description": "The methods it takes."},
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 0},
        "required": True,
        "description": "When to try again, seconds.",
    },
}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A query parameter, a header, or a part of the path: what it does, takes, and an example."""

    text: str
    schema: Schema = field(default_factory=lambda: schemas.TEXT)
    example: Any = None


@dataclass(frozen=True, kw_only=True)
class Described:
    """What to tell of a call beyond its path and its docstring.

    ``reply`` and ``body`` are examples; ``body`` is None where the request has
    none. Their schemas are ``reply_schema`` (without one, the fields of the
    example) and ``body_schema``. ``who`` may call it, ``group`` is where it is
    listed where that differs. ``path``, ``query`` and ``headers`` describe
    parameters; a text stands for one that takes any text. ``forms`` are the media
    types of the answer that are no JSON, ``also`` are further statuses, with what
    they mean; ``refused`` are further errors. ``reply_headers`` come with a good answer.
    """

    reply: Any
    reply_schema: Schema | None = None
    body: Any = None
    body_schema: Schema = field(default_factory=dict)
    who: str = NODE
    group: str = ""
    media_type: str = JSON
    path: dict[str, Parameter] = field(default_factory=dict)
    query: dict[str, Parameter | str] = field(default_factory=dict)
    headers: dict[str, Parameter | str] = field(default_factory=dict)
    forms: tuple[str, ...] = ()
    also: dict[int, str] = field(default_factory=dict)
    reply_headers: dict[str, str] = field(default_factory=dict)
    refused: tuple[int, ...] = ()


def described(**told: Any) -> dict[str, Any]:
    """Return the option with which a handler carries its description."""
    return {"described": Described(**told)}


def build_openapi(calls: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Return the OpenAPI document of some calls."""
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        for path in call.paths:
            methods = paths.setdefault(_PATH_PARAMETER.sub(r"{\1}", path), {})
            for method in call.http_methods:
                methods[str(method).lower()] = _operation(call, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Boundless Skies cloud",
            "version": __version__,
            "description": "What nodes, operators and the public may ask of a cloud. "
            'Every error is JSON: {"error": "…"}.',
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": schemas.ERROR},
            "responses": {_error_name(status): _error(status) for status in SENTENCES},
            "securitySchemes": {
                "nodeId": _key_in(NODE_ID_HEADER, "The node's name."),
                "nodeKey": _key_in(API_KEY_HEADER, "The node's key, told at registration."),
                "operatorKey": _key_in(ADMIN_KEY_HEADER, "The operator's key."),
            },
        },
    }


def _operation(call: HTTPRouteHandler, path: str) -> dict[str, Any]:
    told: Described = call.opt["described"]
    text = cleandoc(call.fn.__doc__ or "").replace("``", "")
    summary, _, description = text.partition("\n")
    operation: dict[str, Any] = {
        "operationId": call.fn.__name__,
        "tags": [told.group or told.who],
        "summary": summary.rstrip("."),
        "description": description.strip(),
        "security": SECURITY[told.who],
        "parameters": [
            *(_parameter(name, "path", told.path.get(name, "")) for name in _names(path)),
            *(_parameter(name, "query", what) for name, what in told.query.items()),
            *(_parameter(name, "header", what) for name, what in told.headers.items()),
        ],
        "responses": _responses(told, has_path=bool(_names(path))),
    }
    if told.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {told.media_type: {"schema": told.body_schema, "example": told.body}},
        }
    return operation


def _names(path: str) -> list[str]:
    return _PATH_PARAMETER.findall(path)


def _responses(told: Described, *, has_path: bool) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": _good(told)}
    for status, meaning in told.also.items():
        responses[str(status)] = _good(told) | {"description": meaning}
        if status == HTTPStatus.NOT_MODIFIED:
            responses[str(status)].pop("content")
    refusals = {*_ALWAYS, *((401,) if told.who != PUBLIC else ()), *((404,) if has_path else ())}
    refusals |= {403} if told.who == OPERATOR else set()
    refusals |= {403} if told.group == NODE else set()
    refusals |= {413, 415} if told.body is not None else set()
    refusals |= {422} if IDEMPOTENCY_HEADER in told.headers else set()
    refusals |= set(told.refused)
    for status in sorted(refusals):
        responses[str(status)] = {"$ref": f"#/components/responses/{_error_name(status)}"}
    return responses


def _good(told: Described) -> dict[str, Any]:
    schema = schemas.as_shown(told.reply) if told.reply_schema is None else told.reply_schema
    content: dict[str, Any] = {form: {"schema": schemas.TEXT} for form in told.forms}
    if schema:
        content = {JSON: {"schema": schema, "example": told.reply}} | content
    good: dict[str, Any] = {"description": "Done.", "content": content}
    if told.reply_headers:
        good["headers"] = {
            name: {"schema": schemas.TEXT, "description": what}
            for name, what in told.reply_headers.items()
        }
    return good


def _error(status: int) -> dict[str, Any]:
    meaning, words = SENTENCES[status]
    content = {
        JSON: {"schema": {"$ref": "#/components/schemas/Error"}, "example": {"error": words}}
    }
    error: dict[str, Any] = {"description": meaning, "content": content}
    header = "Allow" if status == 405 else "Retry-After" if status in _AGAIN_LATER else ""  # noqa: PLR2004
    return error | {"headers": {header: _HEADERS[header]}} if header else error


def _error_name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def _parameter(name: str, place: str, what: Parameter | str) -> dict[str, Any]:
    told = Parameter(text=what) if isinstance(what, str) else what
    parameter: dict[str, Any] = {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": told.text,
        "schema": told.schema,
    }
    return parameter if told.example is None else parameter | {"example": told.example}


def _key_in(header: str, description: str) -> dict[str, str]:
    return {"type": "apiKey", "in": "header", "name": header, "description": description}

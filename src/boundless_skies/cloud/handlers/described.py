"""What the API's description (OpenAPI) says of each call."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from boundless_skies import __version__
from boundless_skies.wire import Interrupt, Measurement, Plan, Registration
from boundless_skies.wire.paths import ADMIN_KEY_HEADER, API_KEY_HEADER, NODE_ID_HEADER

JSON = "application/json"
NODE, OPERATOR, PUBLIC = "node", "operator", "public"
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    NODE: [{"nodeId": [], "nodeKey": []}],
    OPERATOR: [{"operatorKey": []}],
    PUBLIC: [],
}
ERROR_EXAMPLE = {"error": "what is wrong, and what to do"}
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
    "bjd": 2461000.512345,
    "magnitude": 11.873,
    "uncertainty": 0.014,
    "filter": "V",
    "node_id": "hilltop",
    "quality_flag": "good",
    "airmass": 1.21,
    "snr": 71.0,
    "revision": 1,
}
EVENT_EXAMPLE = {
    "event_id": "0b6c",
    "item_id": "item-1",
    "state": "done",
    "reason": "",
    "at": "2026-03-01T21:31:00Z",
}

_PATH_PARAMETER = re.compile(r"\{(\w+):\w+\}")


@dataclass(frozen=True, kw_only=True)
class Described:
    """What to tell of a call beyond its path and its docstring.

    ``reply`` and ``body`` are examples; ``body`` is None where the request has
    none. ``who`` may call it, ``group`` is where it is listed where that differs.
    ``query`` names the query parameters with what they do, ``headers`` the
    optional headers.
    """

    reply: Any
    body: Any = None
    who: str = NODE
    group: str = ""
    media_type: str = JSON
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


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
            "schemas": _schemas(),
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
            *(_parameter(name, "path", "") for name in _PATH_PARAMETER.findall(path)),
            *(_parameter(name, "query", text) for name, text in told.query.items()),
            *(_parameter(name, "header", text) for name, text in told.headers.items()),
        ],
        "responses": _responses(told),
    }
    if told.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {told.media_type: {"schema": {"type": "object"}, "example": told.body}},
        }
    return operation


def _responses(told: Described) -> dict[str, Any]:
    error = {JSON: {"schema": {"type": "object"}, "example": ERROR_EXAMPLE}}
    done = {JSON: {"schema": {"type": "object"}, "example": told.reply}}
    responses = {
        "200": {"description": "Done.", "content": done},
        "default": {"description": "Refused (4xx), or not now (5xx).", "content": error},
    }
    if told.who != PUBLIC:
        responses["401"] = {"description": "A wrong key.", "content": error}
    return responses


def _parameter(name: str, place: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": {"type": "string"},
    }


def _key_in(header: str, description: str) -> dict[str, str]:
    return {"type": "apiKey", "in": "header", "name": header, "description": description}


def _schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        [Registration, Measurement, Plan, Interrupt], ref_template="#/components/schemas/{name}"
    )
    return dict(schemas)

"""What is really taken and given, as JSON Schema: the ranges of the rules, and their leniency.

Peers in the field send numbers as texts and nulls for what they do not know. Where
a call takes them, its schema says so.
"""

from collections.abc import Mapping
from typing import Any

from boundless_skies.cloud.domain import admission, interrupts, measurements, nodes, plans, reviews
from boundless_skies.cloud.domain.events import EVENTS_MAX
from boundless_skies.cloud.domain.operators import Role
from boundless_skies.cloud.domain.reading import Range
from boundless_skies.cloud.services.credentials import REASON_MAX_CHARS
from boundless_skies.wire import ItemState
from boundless_skies.wire.limits import BATCH_MAX_ITEMS, NODE_ID_MAX_CHARS

Schema = dict[str, Any]

ANYTHING: Schema = {}
NULL: Schema = {"type": "null"}
BOOLEAN: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}
EMPTY: Schema = {"const": ""}
INSTANT: Schema = {"type": "string", "format": "date-time"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
NODE_NAME: Schema = {"type": "string", "pattern": rf"^[A-Za-z0-9._-]{{1,{NODE_ID_MAX_CHARS}}}$"}

# Control characters but for white space, which is taken and made a single space.
_CONTROLS = r"\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f"
_NAME_CHAR = "[A-Za-z0-9._-]"


def number(limits: Range) -> Schema:
    """Return the schema of a number within limits."""
    low = "exclusiveMinimum" if limits.open_low else "minimum"
    high = "exclusiveMaximum" if limits.open_high else "maximum"
    return {"type": "number", low: limits.low, high: limits.high}


def lenient_number(limits: Range) -> Schema:
    """Return the schema of a number within limits, also as a decimal text."""
    return {"anyOf": [number(limits), {"type": "string", "pattern": f"^{_decimal(limits)}$"}]}


def maybe_number(limits: Range) -> Schema:
    """Return the schema of a number that may also be null or empty."""
    return {"anyOf": [*lenient_number(limits)["anyOf"], NULL, EMPTY]}


def text(max_chars: int = 200) -> Schema:
    """Return the schema of a text that must hold something to be seen."""
    pattern = rf"^[^{_CONTROLS}]*[^{_CONTROLS}\s][^{_CONTROLS}]*$"
    return {"type": "string", "pattern": pattern, "maxLength": max_chars}


def maybe_text(max_chars: int = 200) -> Schema:
    """Return the schema of a text that may also be null or empty."""
    plain = {"type": "string", "pattern": rf"^[^{_CONTROLS}]*$", "maxLength": max_chars}
    return {"anyOf": [plain, NULL]}


def listed(item: Schema, **limits: Any) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": item, **limits}


def record(properties: Mapping[str, Schema], required: str | None = None) -> Schema:
    """Return the schema of an object; every property is required unless they are named."""
    needed = list(properties) if required is None else required.split()
    schema: Schema = {"type": "object", "properties": dict(properties)}
    return schema | {"required": needed} if needed else schema


def nullable(schema: Schema) -> Schema:
    """Return a schema that allows null, too."""
    return {"anyOf": [schema, NULL]}


def as_shown(example: Any) -> Schema:
    """Return the schema of an answer that has the fields of an example, each null at times."""
    shown = _like(example)
    if isinstance(example, dict):
        shown["required"] = list(example)
    return shown


def _like(example: Any) -> Schema:
    if isinstance(example, dict):
        fields = {name: _like(value) for name, value in example.items()}
        return {"type": ["object", "null"], "properties": fields}
    if isinstance(example, list):
        return {"type": "array", "items": _like(example[0]) if example else {}}
    kinds = ((bool, "boolean"), (int | float, "number"), (str, "string"))
    kind = next((name for kind, name in kinds if isinstance(example, kind)), None)
    return {"type": [kind, "null"]} if kind else {}


def _decimal(limits: Range) -> str:
    """Return a pattern of decimal texts that lie within limits, if not of all that do."""
    fraction = r"(\.[0-9]{1,9})?"
    if limits.low > 1:  # Julian dates
        head = str(int(limits.low)).rstrip("0")
        tail = len(str(int(limits.low))) - len(head) - 1
        return rf"{head}[0-9]{{{tail}}}[1-9]{fraction}"
    sign = "-?" if limits.low < 0 else ""
    widest = min(abs(limits.low), limits.high) if limits.low < 0 else limits.high
    digits = len(str(int(widest))) - 1
    return rf"{sign}[1-9][0-9]{{0,{digits - 1}}}{fraction}" if digits else rf"{sign}0\.[0-9]*[1-9]"


_FILTER_NAMES: Schema = {
    "anyOf": [*maybe_text()["anyOf"], listed(maybe_text(20)["anyOf"][0], maxItems=8)]
}
_FILTER: Schema = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*[\w.+'/-]([\w.+'/ -]{0,30}[\w.+'/-])?\s*$"},
        NULL,
        {"type": "string", "pattern": r"^\s*$"},
    ]
}
_NODE_WISH: Schema = {
    "anyOf": [
        {
            "type": "string",
            "pattern": rf"^(\s*|\.*[A-Za-z0-9_-]{_NAME_CHAR}*)$",
            "maxLength": NODE_ID_MAX_CHARS,
        },
        NULL,
    ]
}
_HORIZON_POINT: Schema = {
    "type": "array",
    "prefixItems": [lenient_number(Range(-90.0, 90.0)), lenient_number(Range(-360.0, 360.0))],
    "items": False,
    "minItems": 2,
    "maxItems": 2,
}
_HORIZON: Schema = {
    "anyOf": [
        listed(_HORIZON_POINT, maxItems=nodes.HORIZON_MAX_POINTS),
        {
            "type": "string",
            "contentMediaType": "application/json",
            "pattern": r"^\[(\[[1-8][0-9],[12][0-9]{2}\](,\[[1-8][0-9],[12][0-9]{2}\]){0,9})?\]$",
        },
        NULL,
        EMPTY,
    ]
}
_CODE: Schema = {
    "description": "A code, or nothing; what is no code is refused where one is needed."
}

REGISTRATION = record(
    {
        "node_id": _NODE_WISH,
        "owner_name": maybe_text(),
        "owner_public": ANYTHING,
        "latitude": lenient_number(nodes.LATITUDE),
        "longitude": lenient_number(nodes.LONGITUDE),
        "elevation": maybe_number(nodes.ELEVATION_M),
        "telescope_model": maybe_text(),
        "filters": _FILTER_NAMES,
        "utc_offset_hours": maybe_number(nodes.UTC_OFFSET_HOURS),
        "activation_code": _CODE,
        **{name: maybe_number(limits) for name, limits in nodes.RIG_NUMBERS.items()},
        "mount_type": maybe_text(),
        "filter_set": _FILTER_NAMES,
        "horizon_mask": _HORIZON,
    },
    "latitude longitude",
) | {
    "not": {
        "properties": {"latitude": {"const": 0}, "longitude": {"const": 0}},
        "required": ["latitude", "longitude"],
    },
}
HEARTBEAT = record({"conditions": nullable({"type": "object"})}, "")
MEASUREMENT = record(
    {
        "target_name": text(measurements.TARGET_NAME_MAX_CHARS),
        "bjd": lenient_number(measurements.BJD)
        | {"description": "Barycentric Julian date of mid-exposure (TDB), days."},
        "magnitude": lenient_number(measurements.MAGNITUDE),
        "uncertainty": lenient_number(measurements.UNCERTAINTY)
        | {"description": "One standard deviation, mag."},
        "filter": _FILTER,
        **{
            name: {"description": f"{told} What makes no sense is kept, and not shown."}
            for name, told in (
                ("airmass", "Airmass."),
                ("fwhm", "Full width of stars at half maximum, pixels."),
                ("snr", "Signal to noise ratio."),
                ("comparison_stars", "Their number, or a list of them."),
                ("quality_flag", "good, acceptable or poor."),
                ("zero_point", "Zero point of the frame, mag."),
                ("zp_scatter", "Scatter of its stars, mag."),
                ("fits_file", "The frame's name."),
            )
        },
    },
    "target_name bjd magnitude uncertainty",
)
SUBMISSION: Schema = {
    "anyOf": [
        record({"measurement": MEASUREMENT, "conditions": ANYTHING}, "measurement"),
        MEASUREMENT | {"not": {"required": ["measurement"]}},
    ]
}
BATCH = record({"items": listed(ANYTHING, maxItems=BATCH_MAX_ITEMS)})
EVENTS = record(
    {
        "events": listed(
            record(
                {
                    "event_id": text(),
                    "item_id": maybe_text(),
                    "state": {"enum": [str(state) for state in ItemState]},
                    "reason": maybe_text(2_000),
                    "at": maybe_text(),
                },
                "event_id state",
            ),
            maxItems=EVENTS_MAX,
        )
    }
)
# A part of a form has bytes, and no type of JSON.
IMAGE_FORM = record({"file": {"contentMediaType": "application/octet-stream"}})
INTERRUPT = record(
    {
        "name": text(),
        "ra_deg": lenient_number(interrupts.RA_DEG),
        "dec_deg": lenient_number(interrupts.DEC_DEG),
        "mag": maybe_number(interrupts.MAG),
        "reason": maybe_text(2_000),
        "node_ids": {"anyOf": [listed(TEXT, maxItems=interrupts.NODES_MAX), NULL]},
        "expires_hours": maybe_number(interrupts.EXPIRES_HOURS),
    },
    "name ra_deg dec_deg",
)
_PLAN_ITEM = record(
    {
        "target": text(),
        "ra": lenient_number(plans.RA_HOURS) | {"description": "Right ascension, decimal hours."},
        "dec": lenient_number(plans.DEC_DEG) | {"description": "Declination, degrees."},
        "expDur": maybe_number(plans.EXPOSURE_S),
        "expCount": maybe_number(plans.EXPOSURE_COUNT),
        "binning": maybe_number(plans.BINNING),
        "startTime": {
            "anyOf": [
                {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9])?$"},
                NULL,
            ]
        },
        "start_utc": {
            "anyOf": [
                {
                    "type": "string",
                    "pattern": "^(20[0-9]{2}-0[1-9]-[01][1-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9]Z)?$",
                },
                NULL,
            ]
        },
    },
    "target ra dec",
)
_PLAN_ITEMS = listed(_PLAN_ITEM, maxItems=plans.ITEMS_MAX)
PLAN: Schema = {
    "anyOf": [
        record(
            {
                "plan_id": {
                    "anyOf": [
                        {"type": "string", "pattern": r"^([A-Za-z0-9._:-]{1,100})?$"},
                        NULL,
                    ]
                },
                "night": {
                    "anyOf": [
                        {"type": "string", "pattern": "^(20[0-9]{2}-0[1-9]-[01][1-9])?$"},
                        NULL,
                    ]
                },
                "items": _PLAN_ITEMS,
            },
            "items",
        ),
        _PLAN_ITEMS,
    ]
}
REASON = record({"reason": text(REASON_MAX_CHARS)})
OWNER = record({"public": BOOLEAN})
VERDICT: Schema = {
    "anyOf": [
        record(
            {
                "verdict": {"enum": ["accept", "accepted"]},
                "reason": maybe_text(reviews.REASON_MAX_CHARS),
            },
            "verdict",
        ),
        record(
            {
                "verdict": {"enum": ["reject", "rejected"]},
                "reason": text(reviews.REASON_MAX_CHARS),
            }
        ),
    ]
}
POLICY = record({"policy": {"enum": [str(policy) for policy in admission.Policy]}})
CODE_ORDER = record(
    {
        "count": {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": admission.CODES_MAX},
                {"type": "string", "pattern": "^[1-9][0-9]?$"},
                NULL,
                EMPTY,
            ]
        },
        "note": maybe_text(),
        "days": maybe_number(admission.DAYS),
    },
    "",
)
TOKEN = record(
    {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"},
        "role": {"enum": [str(role) for role in Role]},
    }
)

ERROR = record({"error": TEXT, "reason": {"const": "revoked"}, "ok": {"const": False}}, "error")
OK = record({"ok": {"const": True}})
OK_ID = record({"ok": {"const": True}, "id": INTEGER, "duplicate": BOOLEAN}, "ok id")
POINT_FIELDS: dict[str, Schema] = {
    "id": INTEGER,
    "bjd": NUMBER,
    "magnitude": NUMBER,
    "uncertainty": NUMBER,
    "filter": TEXT,
    "node_id": TEXT,
    "quality_flag": nullable(TEXT),
    "airmass": nullable(NUMBER),
    "snr": nullable(NUMBER),
    "revision": INTEGER,
    "validation": {"enum": ["single", "consistent", "outlier"]},
    "review": {"enum": ["accepted", "rejected", None]},
}
POINT = record(
    POINT_FIELDS | {"phase": number(Range(0.0, 1.0, open_high=True))}, " ".join(POINT_FIELDS)
)
KNOWN_FIELDS: dict[str, Schema] = {
    "names": listed(TEXT),
    "ra_deg": nullable(NUMBER),
    "dec_deg": nullable(NUMBER),
    "position": nullable(TEXT),
    "kind": nullable(TEXT),
    "period_d": nullable(NUMBER),
    "epoch_bjd": nullable(NUMBER),
}
LIGHT_CURVE = record(
    {
        "target": TEXT,
        "n": INTEGER,
        **KNOWN_FIELDS,
        "folded_on": record({"epoch_bjd": NUMBER, "period_d": NUMBER}),
        "points": listed(POINT),
    },
    "target n points " + " ".join(KNOWN_FIELDS),
)
_SUMMARY_FIELDS: dict[str, Schema] = {
    "name": TEXT,
    "points": INTEGER,
    "nodes": INTEGER,
    "filters": listed(TEXT),
    "first_bjd": nullable(NUMBER),
    "last_bjd": nullable(NUMBER),
}
TARGETS = record(
    {
        "q": TEXT,
        "is_guess": BOOLEAN,
        "targets": listed(
            record(
                _SUMMARY_FIELDS | KNOWN_FIELDS | {"separation_arcmin": NUMBER},
                " ".join(_SUMMARY_FIELDS),
            )
        ),
    },
    "targets",
)
_STAR = record(
    {
        "name": nullable(TEXT),
        "ra_deg": nullable(NUMBER),
        "dec_deg": nullable(NUMBER),
        "catalogue_mag": nullable(NUMBER),
        "measured_mag": nullable(NUMBER),
    }
)
_PROVENANCE = record(
    {
        **dict.fromkeys(
            ("filter", "aperture", "catalogue", "chart", "software", "software_version"),
            nullable(TEXT),
        ),
        **dict.fromkeys(("solver", "fits_file"), nullable(TEXT)),
        **dict.fromkeys(
            ("exposure_s", "aperture_px", "zero_point", "zp_scatter"), nullable(NUMBER)
        ),
        "comparison_count": nullable(INTEGER),
        "comparison_stars": listed(_STAR),
        "check_star": nullable(_STAR),
        "left_out": listed(record({"name": TEXT, "why": TEXT})),
        "quality_bits": nullable(INTEGER),
        "quality_reasons": listed(
            record({"name": TEXT, "meaning": nullable(TEXT), "found": nullable(TEXT)})
        ),
    }
)
HISTORY = record(
    {
        "target": TEXT,
        **POINT_FIELDS,
        "fwhm": nullable(NUMBER),
        "received_at": INSTANT,
        "sent_by": nullable(TEXT),
        "provenance": _PROVENANCE,
        "frame": nullable(
            record({"name": TEXT, "sha256": SHA256, "thumbnail": TEXT, "sentence": nullable(TEXT)})
        ),
        "verdict": nullable(record({"verdict": TEXT, "reason": TEXT, "at": INSTANT})),
        "revisions": listed(
            record(
                {
                    "id": INTEGER,
                    "revision": INTEGER,
                    "magnitude": NUMBER,
                    "uncertainty": NUMBER,
                    "received_at": INSTANT,
                    "software": nullable(TEXT),
                    "is_newest": BOOLEAN,
                }
            )
        ),
        "window_d": NUMBER,
        "witnesses": listed(
            record(
                {
                    "id": INTEGER,
                    "node_id": TEXT,
                    "bjd": NUMBER,
                    "magnitude": NUMBER,
                    "uncertainty": NUMBER,
                    "validation": TEXT,
                }
            )
        ),
    }
)
_FEATURES = listed(TEXT)
REGISTERED = record({"node_id": NODE_NAME, "api_key": TEXT, "features": _FEATURES})
BEAT_TAKEN = record(
    {
        "ok": {"const": True},
        "server_time": INSTANT,
        "features": _FEATURES,
        "rotate_key": BOOLEAN,
    },
    "ok server_time features",
)
GIVEN_PLAN = record(
    {
        "plan": nullable(
            record(
                {
                    "plan_id": TEXT,
                    "node_id": TEXT,
                    "night": TEXT,
                    "generated_at": INSTANT,
                    "items": listed(
                        record(
                            {
                                "target": TEXT,
                                "ra": NUMBER,
                                "dec": NUMBER,
                                "expDur": NUMBER,
                                "expCount": INTEGER,
                                "binning": INTEGER,
                                "startTime": TEXT,
                                "item_id": TEXT,
                                "start_utc": nullable(TEXT),
                            }
                        )
                    ),
                }
            )
        ),
        "message": TEXT,
    },
    "plan",
)
INTERRUPTS = record(
    {
        "interrupts": listed(
            record(
                {
                    "id": INTEGER,
                    "name": TEXT,
                    "reason": TEXT,
                    "ra_deg": NUMBER,
                    "dec_deg": NUMBER,
                    "ra": NUMBER,
                    "dec": NUMBER,
                    "mag": nullable(NUMBER),
                    "created_at": INSTANT,
                    "expires_at": INSTANT,
                    "acked": BOOLEAN,
                }
            )
        )
    }
)
BATCH_RESULTS = record(
    {
        "results": listed(
            {"anyOf": [OK_ID, record({"ok": {"const": False}, "error": TEXT})]},
        )
    }
)
STORED = record({"ok": {"const": True}, "stored": TEXT})

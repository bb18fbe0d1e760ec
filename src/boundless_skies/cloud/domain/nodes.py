"""What a node says of itself, and what others may know of it."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import (
    Range,
    finite_number,
    optional_number,
    optional_text,
    required_number,
    shown,
)
from boundless_skies.wire.limits import NODE_ID_MAX_CHARS

ONLINE_WITHIN = timedelta(minutes=3)
"""A node is online while its last beat is younger: three beats of the usual 60 s."""
PUBLIC_COORDINATE_DECIMALS = 1
"""Coordinates are public to 0.1° (11 km), so that nobody's garden is on a map."""

LATITUDE = Range(-90.0, 90.0)
LONGITUDE = Range(-180.0, 360.0)
ELEVATION_M = Range(-500.0, 9_000.0)
UTC_OFFSET_HOURS = Range(-14.0, 14.0)
RIG_NUMBERS = {
    "aperture_mm": Range(1.0, 50_000.0),
    "fov_deg": Range(0.0, 180.0),
    "pixel_scale_arcsec": Range(0.0, 3_600.0),
    "max_exposure_s": Range(0.0, 86_400.0),
    "mag_bright_limit": Range(-30.0, 40.0),
    "mag_faint_limit": Range(-30.0, 40.0),
    "min_altitude_deg": Range(-90.0, 90.0),
}
"""What a node may add about its rig, each with its range."""
HORIZON_MAX_POINTS = 720

_NODE_ID = re.compile(rf"[A-Za-z0-9._-]{{1,{NODE_ID_MAX_CHARS}}}")
_DERIVED_TAIL_CHARS = 7


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a registration said: degrees north and east positive, elevation in metres.

    ``owner_public`` is True where the owner wants to be named on public pages.
    """

    owner_name: str
    latitude: float
    longitude: float
    elevation: float
    telescope_model: str
    filters: str
    utc_offset_hours: float
    rig: dict[str, Any] = field(default_factory=dict)
    owner_public: bool = False

    @property
    def place(self) -> str:
        """Return the place in words, exact: for its owner and for operators only."""
        north, east = "N" if self.latitude >= 0 else "S", "E" if self.longitude >= 0 else "W"
        return (
            f"{abs(self.latitude):.5f}° {north}, {abs(self.longitude):.5f}° {east}, "
            f"{self.elevation:.0f} m"
        )


@dataclass(frozen=True, kw_only=True)
class Node:
    """A registered node, without its key."""

    node_id: str
    profile: Profile
    registered_at: datetime
    last_beat_at: datetime | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    queued_uploads: int | None = None
    queue_age_s: float | None = None
    rotation_asked_at: datetime | None = None
    revoked_at: datetime | None = None
    image_bytes: int = 0

    def is_online(self, now: datetime) -> bool:
        """Tell whether the last beat is recent enough."""
        return self.last_beat_at is not None and now - self.last_beat_at < ONLINE_WITHIN

    def state(self, now: datetime) -> str:
        """Return online, offline, or revoked, in one word."""
        if self.revoked_at is not None:
            return "revoked"
        return "online" if self.is_online(now) else "offline"


@dataclass(frozen=True, slots=True)
class Caller:
    """The node that makes a call, as its key proves it."""

    node_id: str
    rotation_asked: bool = False


@dataclass(frozen=True, kw_only=True)
class Beat:
    """What a heartbeat said; ``queue_age_s`` is how long its oldest entry has been waiting."""

    conditions: dict[str, Any]
    utc_offset_hours: float | None
    queued_uploads: int | None
    queue_age_s: float | None


def read_wish(value: Any) -> str | None:
    """Return the ``node_id`` that a client wishes for; None where it has no wish.

    Raises
    ------
    InvalidInput
        If the wish holds other characters than letters, digits, ``.``, ``_``
        and ``-``, is too long, or is dots only.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str) or not _NODE_ID.fullmatch(value) or not value.strip("."):
        raise InvalidInput(
            f"node_id {shown(value)} cannot be used: letters, digits, '.', '_' and '-' only, "
            f"at most {NODE_ID_MAX_CHARS} of them, and not only dots. "
            "Leave it empty to be given one."
        )
    return value


def fresh_node_id(wish: str | None) -> str:
    """Return a new ``node_id``: derived from a wish that is taken, or wholly our own."""
    tail = secrets.token_hex((_DERIVED_TAIL_CHARS - 1) // 2)
    stem = (wish or "node")[: NODE_ID_MAX_CHARS - _DERIVED_TAIL_CHARS]
    return f"{stem}-{tail}"


def read_profile(body: Mapping[str, Any]) -> Profile:
    """Read a registration.

    Raises
    ------
    InvalidInput
        If the location is not set, or a value is of the wrong type or out of range.
    """
    latitude, longitude = _read_location(body)
    return Profile(
        owner_name=optional_text(body, "owner_name"),
        latitude=latitude,
        longitude=longitude,
        elevation=optional_number(body, "elevation", ELEVATION_M) or 0.0,
        telescope_model=optional_text(body, "telescope_model", "unknown telescope"),
        filters=_read_filters(body.get("filters")),
        utc_offset_hours=optional_number(body, "utc_offset_hours", UTC_OFFSET_HOURS) or 0.0,
        rig=_read_rig(body),
        owner_public=body.get("owner_public") is True,
    )


def read_beat(body: Mapping[str, Any]) -> Beat:
    """Read a heartbeat; what is odd in it is passed over, for a beat must not fail.

    Raises
    ------
    InvalidInput
        If ``conditions`` is there and not an object.
    """
    conditions = body.get("conditions")
    if conditions is None:
        conditions = {}
    if not isinstance(conditions, dict):
        raise InvalidInput(f"conditions must be a JSON object, not {shown(conditions)}.")
    queue = body.get("queue")
    queue = queue if isinstance(queue, dict) else {}
    told = body.get("queued_uploads", conditions.get("queued_uploads"))
    queued = queue.get("length", told)
    age_s = finite_number(queue.get("oldest_age_s"))
    offset = finite_number(conditions.get("utc_offset_hours"))
    return Beat(
        conditions=conditions,
        utc_offset_hours=offset if offset is not None and offset in UTC_OFFSET_HOURS else None,
        queued_uploads=queued if type(queued) is int and 0 <= queued < 2**31 else None,
        queue_age_s=age_s if age_s is not None and age_s >= 0 else None,
    )


def public_coordinate(degrees: float) -> float:
    """Return a coordinate as the public may know it (degrees, to 0.1)."""
    return round(degrees, PUBLIC_COORDINATE_DECIMALS)


def _read_location(body: Mapping[str, Any]) -> tuple[float, float]:
    unset = body.get("latitude") is None or body.get("longitude") is None
    if not unset:
        latitude = required_number(body, "latitude", LATITUDE)
        longitude = required_number(body, "longitude", LONGITUDE)
        unset = latitude == 0.0 and longitude == 0.0
    if unset:
        raise InvalidInput(
            "The node's location is not set: latitude and longitude are missing or 0/0. "
            "Set observatory.latitude and observatory.longitude in the node's config.yaml "
            "(degrees, north and east positive) and start the node again."
        )
    return latitude, longitude - 360.0 if longitude > 180.0 else longitude  # noqa: PLR2004 - a half turn


def _read_filters(value: Any) -> str:
    if value is None or value == "":
        return "CV"
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f'filters must be a text such as "B,V,R", not {shown(value)}.')
    return optional_text({"filters": ",".join(name.strip() for name in names)}, "filters", "CV")


def _read_rig(body: Mapping[str, Any]) -> dict[str, Any]:
    rig: dict[str, Any] = {}
    for key, limits in RIG_NUMBERS.items():
        number = optional_number(body, key, limits)
        if number is not None:
            rig[key] = number
    if body.get("mount_type") not in (None, ""):
        rig["mount_type"] = optional_text(body, "mount_type")
    if body.get("filter_set") not in (None, ""):
        rig["filter_set"] = _read_filters(body["filter_set"])
    if body.get("horizon_mask") not in (None, ""):
        rig["horizon_mask"] = _read_horizon(body["horizon_mask"])
    return rig


def _read_horizon(value: Any) -> list[list[float]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InvalidInput(
                f"horizon_mask {shown(value)} is no JSON. Give [[alt, az], …] in degrees."
            ) from None
    if not isinstance(value, list) or len(value) > HORIZON_MAX_POINTS:
        raise InvalidInput(
            f"horizon_mask must be a list of at most {HORIZON_MAX_POINTS} [alt, az] pairs."
        )
    return [_read_horizon_point(index, pair) for index, pair in enumerate(value)]


def _read_horizon_point(index: int, pair: Any) -> list[float]:
    if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 - a pair
        raise InvalidInput(f"horizon_mask[{index}] must be [alt, az], not {shown(pair)}.")
    point = {"alt": pair[0], "az": pair[1]}
    where = f"horizon_mask[{index}]."
    return [
        required_number(point, "alt", Range(-90.0, 90.0), where),
        required_number(point, "az", Range(-360.0, 360.0), where),
    ]

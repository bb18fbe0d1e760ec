"""A night's plan for one node, in the node-schedule-runner format."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import (
    Range,
    json_object,
    optional_number,
    optional_text,
    required_number,
    required_text,
    shown,
)
from boundless_skies.cloud.domain.times import iso
from boundless_skies.wire import canonical_json, idempotency_key

RA_HOURS = Range(0.0, 24.0, open_high=True)
DEC_DEG = Range(-90.0, 90.0)
EXPOSURE_S = Range(0.0, 86_400.0, open_low=True)
EXPOSURE_COUNT = Range(1.0, 100_000.0)
BINNING = Range(1.0, 16.0)
ITEMS_MAX = 2_000
DEFAULT_EXPOSURE_S = 10.0

_CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_PLAN_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_NOON = 12


@dataclass(frozen=True, kw_only=True)
class PublishedPlan:
    """A plan as it is kept and handed to its node; ``night`` is the date of its evening."""

    plan_id: str
    node_id: str
    night: str
    generated_at: datetime
    items: list[dict[str, Any]]

    def to_wire(self) -> dict[str, Any]:
        """Return the plan as it goes over the wire."""
        return {
            "plan_id": self.plan_id,
            "node_id": self.node_id,
            "night": self.night,
            "generated_at": iso(self.generated_at),
            "items": self.items,
        }


def read_plan(
    document: Any, *, node_id: str, utc_offset_hours: float, now: datetime
) -> PublishedPlan:
    """Read a plan that an operator wrote: an object with ``items``, or a bare list of items.

    Parameters
    ----------
    document : Any
        The parsed JSON.
    node_id : str
        The node that it is for.
    utc_offset_hours : float
        That node's clock against UTC (hours), to tell ``startTime`` and ``start_utc``
        from each other where only one is given.
    now : datetime
        The present instant: the night is this evening's where the plan names none.

    Returns
    -------
    PublishedPlan
        With ``plan_id``, ``night`` and every ``item_id`` filled in. A plan
        without a ``plan_id`` is named after its content, so that publishing the
        same plan twice does not hand it over twice.

    Raises
    ------
    InvalidInput
        If the plan is not in the form that nodes read.
    """
    plan = json_object({"items": document} if isinstance(document, list) else document, "The plan")
    offset = timedelta(hours=utc_offset_hours)
    night = _read_night(plan, now + offset)
    items = _read_items(plan.get("items"), night, offset)
    return PublishedPlan(
        plan_id=_read_plan_id(plan, node_id, night, items),
        node_id=node_id,
        night=night,
        generated_at=now,
        items=items,
    )


def _read_night(plan: Mapping[str, Any], local_now: datetime) -> str:
    evening = local_now if local_now.hour >= _NOON else local_now - timedelta(days=1)
    night = optional_text(plan, "night", evening.strftime("%Y-%m-%d"))
    try:
        datetime.strptime(night, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(f"night {night!r} must be a date such as 2026-03-01.") from None
    return night


def _read_plan_id(
    plan: Mapping[str, Any], node_id: str, night: str, items: list[dict[str, Any]]
) -> str:
    plan_id = optional_text(plan, "plan_id")
    if not plan_id:
        content = idempotency_key(canonical_json([node_id, night, items]))
        return f"plan-{night}-{content[:10]}"
    if not _PLAN_ID.fullmatch(plan_id):
        raise InvalidInput(
            f"plan_id {shown(plan_id)} cannot be used: letters, digits, '.', '_', ':' and '-' "
            "only, at most 100. Leave it out to be given one."
        )
    return plan_id


def _read_items(items: Any, night: str, offset: timedelta) -> list[dict[str, Any]]:
    if not isinstance(items, list):
        raise InvalidInput(f"items must be a list of plan items, not {shown(items)}.")
    if len(items) > ITEMS_MAX:
        raise InvalidInput(f"The plan has {len(items)} items; the limit is {ITEMS_MAX}.")
    read = [_read_item(index, item, night, offset) for index, item in enumerate(items)]
    seen: set[str] = set()
    for item in read:
        if item["item_id"] in seen:
            raise InvalidInput(f"item_id {item['item_id']!r} stands twice in the plan.")
        seen.add(item["item_id"])
    return read


def _read_item(index: int, item: Any, night: str, offset: timedelta) -> dict[str, Any]:
    where = f"items[{index}]."
    source = json_object(item, f"items[{index}]")
    ra_hours = _read_ra_hours(source, where)
    exposure = {
        "expDur": optional_number(source, "expDur", EXPOSURE_S, DEFAULT_EXPOSURE_S),
        "expCount": int(optional_number(source, "expCount", EXPOSURE_COUNT, 1) or 1),
        "binning": int(optional_number(source, "binning", BINNING, 1) or 1),
    }
    known = {
        "target": required_text(source, "target", where=where),
        "ra": ra_hours,
        "dec": required_number(source, "dec", DEC_DEG, where),
        **exposure,
        "item_id": optional_text(source, "item_id", f"item-{index + 1}"),
        **_read_start(source, where, night, offset),
    }
    return {**source, **known}


def _read_ra_hours(source: Mapping[str, Any], where: str) -> float:
    try:
        return required_number(source, "ra", RA_HOURS, where)
    except InvalidInput as error:
        raise InvalidInput(f"{error} A plan has ra in decimal hours: degrees / 15.") from None


def _read_start(
    source: Mapping[str, Any], where: str, night: str, offset: timedelta
) -> dict[str, Any]:
    """Fill in whichever of ``startTime`` (local HH:MM) and ``start_utc`` is missing."""
    start_time = optional_text(source, "startTime")
    start_utc = optional_text(source, "start_utc")
    if start_time and not _CLOCK_TIME.fullmatch(start_time):
        raise InvalidInput(f'{where}startTime {start_time!r} must be "HH:MM", node-local.')
    if start_utc:
        instant = _read_instant(start_utc, where)
        local = (instant + offset).strftime("%H:%M")
        return {"startTime": start_time or local, "start_utc": iso(instant)}
    if start_time:
        return {"startTime": start_time, "start_utc": _start_utc(start_time, night, offset)}
    return {"startTime": "", "start_utc": None}


def _read_instant(text: str, where: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{where}start_utc {text!r} must be ISO 8601, such as 2026-03-01T21:30:00Z."
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _start_utc(start_time: str, night: str, offset: timedelta) -> str | None:
    """Return the UTC of a local clock time; before noon it belongs to the next morning."""
    local = datetime.fromisoformat(f"{night}T{start_time}:00").replace(tzinfo=UTC)
    if local.hour < _NOON:
        local += timedelta(days=1)
    return iso(local - offset)

"""Reading a plan: each item becomes a :class:`PlannedItem`, or is refused in one sentence.

A plan may come from a cloud that knows only the first seven keys of the node-schedule-runner
format, or from a person's text editor. An item that cannot be meant does not take the others
with it.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as clock_time
from typing import Any, NoReturn

from boundless_skies.node.schedule.work import PlannedItem, RefusedItem
from boundless_skies.wire import PlanItem, canonical_json, idempotency_key

ITEMS_MAX = 2_000
"""So many items of a plan are read; a cloud of ours sends no more either."""

EXPOSURE_MAX_S = 86_400.0
COUNT_MAX = 100_000
BINNING_MAX = 16
TEXT_MAX = 200
NOTES_MAX = 2_000

_WIRE = PlanItem(target="", ra=0.0, dec=0.0)
_DEG_PER_HOUR = 15.0
_HOURS = 24.0
_CIRCLE_DEG = 360.0
_POLE_DEG = 90.0
_NOON = clock_time(12)
_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:([.,])\d{1,20})?", re.ASCII)
_SHOWN_MAX = 60


class _Refused(Exception):  # noqa: N818 - the name says the fault
    """An item cannot be meant; the text says why."""


@dataclass(frozen=True)
class _Draft:
    """An item before it is settled which of two instants its local start means."""

    item: PlannedItem
    starts: tuple[datetime, ...]
    written: str
    """The local start as the item gives it."""


def evening_of(night: object, received_at: datetime, zone: tzinfo) -> date:
    """Return the date of a night's evening.

    Parameters
    ----------
    night : object
        What the plan says, YYYY-MM-DD; anything else counts as nothing said.
    received_at : datetime
        When the plan came, aware: without a date, its night is the one that is on, or next.
    zone : tzinfo
        The observatory's time zone.

    Returns
    -------
    date
        The evening's date; after midnight, that of the day before.
    """
    try:
        return date.fromisoformat(night if isinstance(night, str) else "")
    except ValueError:
        local = received_at.astimezone(zone)
        return local.date() - timedelta(days=local.time() < _NOON)


def read_items(
    raw_items: object, *, night: object, received_at: datetime, zone: tzinfo
) -> tuple[tuple[PlannedItem, ...], tuple[RefusedItem, ...]]:
    """Read the items of a plan, each on its own.

    ``start_utc`` is gone by where it is given, else ``startTime``, a local "HH:MM" of which
    the hours before noon belong to the next morning. A local time that comes twice or not at
    all in the night of a clock change is settled by the order of the items, and the item's
    ``remark`` says so.

    Parameters
    ----------
    raw_items : object
        The plan's ``items``; should be a list of dicts.
    night : object
        The plan's ``night``, the date of its evening.
    received_at : datetime
        When the plan came, aware.
    zone : tzinfo
        The observatory's time zone.

    Returns
    -------
    items : tuple of PlannedItem
        In the order in which they are to be observed: by their start; an item without one
        comes after the timed one that stood before it.
    refused : tuple of RefusedItem
        In the order given.
    """
    if not isinstance(raw_items, Sequence) or isinstance(raw_items, str | bytes):
        reason = f"The plan's items must be a list, not {_shown(raw_items)}."
        return (), (RefusedItem(item_id="items", target="", reason=reason),)
    evening = evening_of(night, received_at, zone)
    seen: set[str] = set()
    read = [_read_item(raw, place, evening, zone, seen) for place, raw in enumerate(raw_items)]
    drafts = [draft for draft in read if isinstance(draft, _Draft)]
    refused = tuple(refusal for refusal in read if isinstance(refusal, RefusedItem))
    return tuple(_ordered(_settle_starts(drafts))), refused


def read_interrupt(raw: object, *, exposure_s: float, count: int) -> PlannedItem | RefusedItem:
    """Read an interrupt, which says where to look, and not how long.

    Parameters
    ----------
    raw : object
        As the cloud sent it; should be a dict.
    exposure_s : float
        Length of each exposure, seconds.
    count : int
        How many exposures.

    Returns
    -------
    PlannedItem or RefusedItem
        Its ``item_id`` is the interrupt's id; it ends when the interrupt expires.
    """
    item_id = _fallback_id("interrupt", 0, raw)
    try:
        source = _object(raw)
        item_id = _item_id(source, "id") or item_id
        return _interrupt(source, item_id, exposure_s, count)
    except _Refused as refused:
        return _refusal(item_id, raw, "name", f"Interrupt {item_id}", refused)


def _interrupt(
    source: Mapping[str, Any], item_id: str, exposure_s: float, count: int
) -> PlannedItem:
    in_degrees = source.get("ra_deg") is not None
    return PlannedItem(
        item_id=item_id,
        target=_name(source, "name"),
        ra_deg=_degrees_of_ra(source) if in_degrees else _hours_of_ra(source),
        dec_deg=_number(
            source, "dec" if source.get("dec_deg") is None else "dec_deg", -_POLE_DEG, _POLE_DEG
        ),
        exposure_s=exposure_s,
        count=count,
        end_utc=_instant(source, "expires_at"),
        notes=_clean(source.get("reason"), NOTES_MAX),
        raw=dict(source),
    )


def _read_item(
    raw: object, place: int, evening: date, zone: tzinfo, seen: set[str]
) -> _Draft | RefusedItem:
    item_id = _fallback_id("item", place, raw)
    try:
        if place >= ITEMS_MAX:
            _refuse(f"the plan has more than {ITEMS_MAX} items; the rest is left out.")
        source = _object(raw)
        item_id = _item_id(source, "item_id") or item_id
        if item_id in seen:
            _refuse(f"item_id {item_id!r} stands in the plan a second time.")
        draft = _draft(source, item_id, evening, zone)
    except _Refused as refused:
        return _refusal(item_id, raw, "target", f"Item {place + 1}", refused)
    seen.add(item_id)
    return draft


def _refusal(item_id: str, raw: object, name: str, place: str, refused: _Refused) -> RefusedItem:
    target = _clean(raw.get(name)) if isinstance(raw, Mapping) else ""
    return RefusedItem(item_id=item_id, target=target, reason=f"{target or place}: {refused}")


def _refuse(sentence: str) -> NoReturn:
    raise _Refused(sentence)


def _object(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise _Refused(f"it must be an object with keys, not {_shown(raw)}.")
    return raw


def _draft(source: Mapping[str, Any], item_id: str, evening: date, zone: tzinfo) -> _Draft:
    starts = _starts(source, evening, zone)
    item = PlannedItem(
        item_id=item_id,
        target=_name(source, "target"),
        ra_deg=_hours_of_ra(source),
        dec_deg=_number(source, "dec", -_POLE_DEG, _POLE_DEG),
        exposure_s=_exposure(source),
        count=_whole(source, "expCount", COUNT_MAX, _WIRE.expCount),
        binning=_whole(source, "binning", BINNING_MAX, _WIRE.binning),
        filter=_clean(source.get("filter")) or None,
        start_utc=starts[0] if starts else None,
        end_utc=_instant(source, "end_utc"),
        notes=_clean(source.get("notes"), NOTES_MAX),
        raw=dict(source),
    )
    if starts and item.end_utc and item.end_utc <= min(starts):
        raise _Refused(
            f"it would end ({_told(item.end_utc)}) before it starts ({_told(min(starts))})."
        )
    return _Draft(item, starts, _clean(source.get("startTime")))


def _hours_of_ra(source: Mapping[str, Any]) -> float:
    hours = _number(source, "ra", 0.0, _CIRCLE_DEG)
    if hours >= _HOURS:
        raise _Refused(
            f"ra is {hours:g}, and must be in hours, from 0 to below 24; if that is in degrees, "
            f"it would be {hours / _DEG_PER_HOUR:.5f} h."
        )
    return hours * _DEG_PER_HOUR


def _degrees_of_ra(source: Mapping[str, Any]) -> float:
    return _number(source, "ra_deg", 0.0, _CIRCLE_DEG) % _CIRCLE_DEG


def _exposure(source: Mapping[str, Any]) -> float:
    exposure_s = _number(source, "expDur", 0.0, EXPOSURE_MAX_S, _WIRE.expDur)
    if not exposure_s:
        raise _Refused("expDur is 0, and must be more than 0 seconds.")
    return exposure_s


def _number(
    source: Mapping[str, Any], key: str, low: float, high: float, default: float | None = None
) -> float:
    value = source.get(key)
    if value is None or value == "":
        if default is None:
            raise _Refused(f"{key} is missing.")
        return default
    number = _as_number(value)
    if number is None:
        raise _Refused(f"{key} is {_shown(value)}, and must be a number.")
    if not low <= number <= high:
        raise _Refused(f"{key} is {_shown(value)}, and must lie between {low:g} and {high:g}.")
    return number


def _as_number(value: object) -> float | None:
    """Return a finite number, also out of "5.5" or "5,5"; None where it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(source: Mapping[str, Any], key: str, high: int, default: int) -> int:
    value = source.get(key)
    # "1,000" may be one or a thousand, and is not guessed at.
    number = _number(source, key, 1, high, default)
    if number % 1 or (isinstance(value, str) and "," in value):
        raise _Refused(f"{key} is {_shown(value)}, and must be a whole number.")
    return int(number)


def _name(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    if value is None or value == "":
        raise _Refused(f"{key} is missing.")
    if not isinstance(value, str) or not _clean(value):
        raise _Refused(f"{key} is {_shown(value)}, and must be a text.")
    return _clean(value)


def _item_id(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = _shown(value)
    if value is None or value == "":
        return ""
    # Told back to the cloud as it is, so that it must not be mended.
    if not isinstance(value, str) or len(value) > TEXT_MAX or not value.isprintable():
        raise _Refused(
            f"{key} is {_shown(value)}, and must be a text of at most {TEXT_MAX} characters."
        )
    return value


def _fallback_id(kind: str, place: int, raw: object) -> str:
    try:
        content = canonical_json(raw)
    except (TypeError, ValueError, RecursionError):
        content = _shown(raw).encode()
    return f"{kind}-{place + 1}-{idempotency_key(content)[:10]}"


def _clean(value: object, longest: int = TEXT_MAX) -> str:
    """Return a text on one line without what cannot be shown or kept; empty for no text."""
    if not isinstance(value, str):
        return ""
    line = " ".join(value.split())
    return "".join(filter(str.isprintable, line))[:longest].strip()


def _shown(value: object) -> str:
    try:
        return ascii(value)[:_SHOWN_MAX]
    except (ValueError, RecursionError):  # a number of thousands of digits, a bottomless list
        return f"a {type(value).__name__} too large to show"


# Times


def _instant(source: Mapping[str, Any], key: str) -> datetime | None:
    value = source.get(key)
    if value is None or value == "":
        return None
    try:
        instant = datetime.fromisoformat(value if isinstance(value, str) else "")
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Refused(
            f"{key} is {_shown(value)}, and must be a time such as 2026-03-01T21:30:00Z."
        ) from None


def _starts(source: Mapping[str, Any], evening: date, zone: tzinfo) -> tuple[datetime, ...]:
    """Return when an item starts: nothing, one instant, or two between which to settle."""
    instant = _instant(source, "start_utc")
    if instant is not None:
        return (instant,)
    value = source.get("startTime")
    if value is None or value == "":
        return ()
    local = _local_time(value)
    try:
        day = evening + timedelta(days=local < _NOON)
        return _meanings(datetime.combine(day, local, tzinfo=zone))
    except (ValueError, OverflowError):  # the calendar ends
        raise _Refused(f"the night of {evening} has no {local:%H:%M} that can be told.") from None


def _local_time(value: object) -> clock_time:
    match = _CLOCK_TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    hour, minute, second = (int(part or 0) for part in match.groups()) if match else (24, 0, 0)
    try:
        return clock_time(hour, minute, second)
    except ValueError:
        raise _Refused(f'startTime is {_shown(value)}, and must be "HH:MM", local.') from None


def _meanings(local: datetime) -> tuple[datetime, ...]:
    """Return the instant of a local time; both that it could mean where the clock is changed.

    The first is what is meant where the order of the items says nothing: the earlier of two
    equal times, and as if the clock had not been changed yet for one that is left out.
    """
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return (first,) if first == second else (first, second)


def _settle_starts(drafts: Sequence[_Draft]) -> Iterator[PlannedItem]:
    previous: datetime | None = None
    for place, draft in enumerate(drafts):
        following = next((d.starts[0] for d in drafts[place + 1 :] if len(d.starts) == 1), None)
        start = _in_order(draft.starts, previous, following)
        previous = start or previous
        yield replace(draft.item, start_utc=start, remark=_remark(draft, start))


def _in_order(
    starts: Sequence[datetime], previous: datetime | None, following: datetime | None
) -> datetime | None:
    fitting = (
        start
        for start in starts
        if (previous is None or previous <= start) and (following is None or start <= following)
    )
    return next(fitting, starts[0] if starts else None)


def _remark(draft: _Draft, start: datetime | None) -> str:
    if len(draft.starts) == 1 or start is None:
        return ""
    comes = "comes twice" if draft.starts[0] < draft.starts[1] else "does not come"
    return (
        f"{draft.written} {comes} in the night of this clock change; "
        f"by the order of the items it is taken as {_told(start)}."
    )


def _told(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%MZ}"


def _ordered(items: Iterator[PlannedItem]) -> list[PlannedItem]:
    floor = datetime.min.replace(tzinfo=UTC)
    keyed = []
    for item in items:
        floor = item.start_utc or floor
        keyed.append((floor, item))
    return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]

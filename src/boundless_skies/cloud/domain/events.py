"""What became of a plan, of its items, or of an interrupt, as the node tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput, TooLarge
from boundless_skies.cloud.domain.reading import json_object, optional_text, required_text, shown
from boundless_skies.wire import ItemState, limits

EVENTS_MAX = limits.EVENTS_MAX_ITEMS


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event; ``at`` is the node's own time of it (ISO 8601), kept as it came."""

    event_id: str
    item_id: str | None
    state: str
    reason: str
    at: str


def read_events(body: Mapping[str, Any]) -> list[Event]:
    """Read ``{"events": […]}``.

    Raises
    ------
    InvalidInput
        If an event is not in the form of the wire.
    TooLarge
        If there are more than 500.
    """
    events = body.get("events")
    if not isinstance(events, list):
        raise InvalidInput(f"events must be a list, not {shown(events)}.")
    if len(events) > EVENTS_MAX:
        raise TooLarge(f"{len(events)} events in one call; the limit is {EVENTS_MAX}.")
    return [_read_event(index, event) for index, event in enumerate(events)]


def _read_event(index: int, value: Any) -> Event:
    where = f"events[{index}]."
    event = json_object(value, f"events[{index}]")
    state = required_text(event, "state", where=where)
    if state not in set(ItemState):
        raise InvalidInput(f"{where}state {shown(state)} must be one of {', '.join(ItemState)}.")
    return Event(
        event_id=required_text(event, "event_id", where=where),
        item_id=optional_text(event, "item_id") or None,
        state=state,
        reason=optional_text(event, "reason", max_chars=limits.EVENT_REASON_MAX_CHARS),
        at=optional_text(event, "at"),
    )

"""Queries about what became of plans and interrupts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, insert, select

from boundless_skies.cloud.domain.events import Event
from boundless_skies.cloud.domain.outcomes import HeardEvent
from boundless_skies.cloud.schema.tables import events

ABOUT_MAX = 20_000
"""How many events of one look are read: several of each item of the longest plan."""
ONE_AFTER_ANOTHER = timedelta(microseconds=1)

_e = events.c
_HEARD = (
    _e.node_id,
    _e.subject,
    _e.item_id,
    _e.state,
    _e.reason,
    _e.happened_at,
    _e.received_at,
)
_NEWEST_FIRST = (_e.received_at.desc(), _e.happened_at.desc(), _e.event_id)


def interrupt_subject(interrupt_id: int) -> str:
    """Return what events of an interrupt are kept under; no plan_id has a space."""
    return f"interrupt {interrupt_id}"


def list_newest(connection: Connection, node_id: str, limit: int) -> list[HeardEvent]:
    """Return what a node told last, the newest first."""
    query = select(*_HEARD).where(_e.node_id == node_id).order_by(*_NEWEST_FIRST).limit(limit)
    return _heard(connection, query)


def list_about(
    connection: Connection, subjects: Sequence[str], node_id: str | None = None
) -> list[HeardEvent]:
    """Return what was told of some plans or interrupts, by one node or all, the newest first."""
    query = select(*_HEARD).where(_e.subject.in_(subjects))
    if node_id is not None:
        query = query.where(_e.node_id == node_id)
    return _heard(connection, query.order_by(*_NEWEST_FIRST).limit(ABOUT_MAX))


def add_all(
    connection: Connection, node_id: str, subject: str, new: list[Event], now: datetime
) -> None:
    """Add events; those that came before, by their ``event_id``, change nothing.

    Each counts as received a microsecond after the one before it, so that their
    order is kept.
    """
    by_id = {event.event_id: event for event in reversed(new)}
    query = select(_e.event_id).where(_e.node_id == node_id, _e.event_id.in_(by_id))
    known = set(connection.scalars(query))
    rows = [
        {
            "node_id": node_id,
            "event_id": event.event_id,
            "subject": subject,
            "item_id": event.item_id,
            "state": event.state,
            "reason": event.reason,
            "happened_at": event.at,
            "received_at": now + place * ONE_AFTER_ANOTHER,
        }
        for place, event in enumerate(new)
        if event is by_id[event.event_id] and event.event_id not in known
    ]
    if rows:
        connection.execute(insert(events), rows)


def _heard(connection: Connection, query: Select[tuple[object, ...]]) -> list[HeardEvent]:
    return [HeardEvent(**row) for row in connection.execute(query).mappings()]

"""Queries about what became of plans and interrupts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from boundless_skies.cloud.domain.events import Event
from boundless_skies.cloud.schema.tables import events


@dataclass(frozen=True, kw_only=True)
class HeardEvent:
    """An event as it is kept; ``subject`` is the plan's id, or ``interrupt`` and its number."""

    subject: str
    item_id: str | None
    state: str
    reason: str
    happened_at: str
    received_at: datetime


def list_newest(connection: Connection, node_id: str, limit: int) -> list[HeardEvent]:
    """Return what a node told last, the newest first."""
    e = events.c
    query = (
        select(e.subject, e.item_id, e.state, e.reason, e.happened_at, e.received_at)
        .where(e.node_id == node_id)
        .order_by(e.received_at.desc(), e.happened_at.desc(), e.event_id)
        .limit(limit)
    )
    return [HeardEvent(**row) for row in connection.execute(query).mappings()]


def add_all(
    connection: Connection, node_id: str, subject: str, new: list[Event], now: datetime
) -> None:
    """Add events; those that came before, by their ``event_id``, change nothing."""
    by_id = {event.event_id: event for event in reversed(new)}
    query = select(events.c.event_id).where(
        events.c.node_id == node_id, events.c.event_id.in_(by_id)
    )
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
            "received_at": now,
        }
        for event_id, event in by_id.items()
        if event_id not in known
    ]
    if rows:
        connection.execute(insert(events), rows)

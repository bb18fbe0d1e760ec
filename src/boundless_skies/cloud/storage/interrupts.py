"""Queries about interrupts and their acknowledgements."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from boundless_skies.cloud.domain.interrupts import NewInterrupt, StandingInterrupt
from boundless_skies.cloud.schema.tables import interrupt_acks, interrupts


def add(connection: Connection, new: NewInterrupt, now: datetime) -> int:
    """Add an interrupt; return its number."""
    row = connection.execute(
        insert(interrupts).values(
            name=new.name,
            reason=new.reason,
            ra_deg=new.ra_deg,
            dec_deg=new.dec_deg,
            mag=new.mag,
            node_ids=new.node_ids,
            created_at=now,
            expires_at=now + new.lifetime,
        )
    )
    (number,) = row.inserted_primary_key or (0,)
    return int(number)


def find(connection: Connection, interrupt_id: int) -> StandingInterrupt | None:
    """Return an interrupt by its number."""
    row = connection.execute(select(interrupts).where(interrupts.c.id == interrupt_id)).first()
    return None if row is None else _to_interrupt(row)


def list_standing(connection: Connection, now: datetime) -> list[StandingInterrupt]:
    """Return the interrupts that have not expired, the oldest first."""
    query = select(interrupts).where(interrupts.c.expires_at > now).order_by(interrupts.c.id)
    return [_to_interrupt(row) for row in connection.execute(query)]


def list_acked(connection: Connection, node_id: str) -> set[int]:
    """Return the numbers of the interrupts that a node has acknowledged."""
    query = select(interrupt_acks.c.interrupt_id).where(interrupt_acks.c.node_id == node_id)
    return set(connection.scalars(query))


def acknowledge(connection: Connection, interrupt_id: int, node_id: str, now: datetime) -> None:
    """Keep that a node has acknowledged an interrupt; a second time changes nothing."""
    if interrupt_id not in list_acked(connection, node_id):
        connection.execute(
            insert(interrupt_acks).values(interrupt_id=interrupt_id, node_id=node_id, acked_at=now)
        )


def _to_interrupt(row: Row[Any]) -> StandingInterrupt:
    return StandingInterrupt(
        id=row.id,
        name=row.name,
        reason=row.reason,
        ra_deg=row.ra_deg,
        dec_deg=row.dec_deg,
        mag=row.mag,
        node_ids=row.node_ids,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )

"""Queries about interrupts and their acknowledgements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from boundless_skies.cloud.domain.interrupts import NewInterrupt, StandingInterrupt
from boundless_skies.cloud.schema.tables import interrupt_acks, interrupts
from boundless_skies.cloud.storage.upserting import insert_or

_a = interrupt_acks.c


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


def list_recent(connection: Connection, limit: int) -> list[StandingInterrupt]:
    """Return the interrupts that were sent last, expired ones too, the newest first."""
    query = select(interrupts).order_by(interrupts.c.id.desc()).limit(limit)
    return [_to_interrupt(row) for row in connection.execute(query)]


def list_acked(connection: Connection, node_id: str, numbers: Sequence[int]) -> set[int]:
    """Return which of some interrupts a node has acknowledged."""
    query = select(_a.interrupt_id).where(_a.node_id == node_id, _a.interrupt_id.in_(numbers))
    return set(connection.scalars(query))


def list_ackers(connection: Connection, interrupt_id: int) -> dict[str, datetime]:
    """Return which nodes have acknowledged an interrupt, and when."""
    query = select(_a.node_id, _a.acked_at).where(_a.interrupt_id == interrupt_id)
    return {row.node_id: row.acked_at for row in connection.execute(query)}


def acknowledge(connection: Connection, interrupt_id: int, node_id: str, now: datetime) -> None:
    """Keep that a node has acknowledged an interrupt; a second time changes nothing."""
    row = {"interrupt_id": interrupt_id, "node_id": node_id, "acked_at": now}
    statement = insert_or(connection, interrupt_acks).values(**row)
    connection.execute(statement.on_conflict_do_nothing())


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

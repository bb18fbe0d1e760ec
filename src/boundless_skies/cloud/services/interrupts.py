"""Sending interrupts, handing them out, and taking their acknowledgements."""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.domain.events import Event, read_events
from boundless_skies.cloud.domain.interrupts import (
    NewInterrupt,
    StandingInterrupt,
    read_interrupt,
)
from boundless_skies.cloud.domain.nodes import Node
from boundless_skies.cloud.domain.reading import json_object
from boundless_skies.cloud.domain.times import Clock, iso
from boundless_skies.cloud.storage import events, interrupts, nodes
from boundless_skies.cloud.storage.database import Database

DEGREES_PER_HOUR = 15.0
ID_MAX = 2**63 - 1
"""The largest number that a database holds."""


class InterruptService:
    """Keeps interrupts until they expire, and who has acknowledged them.

    Parameters
    ----------
    database : Database
        Where interrupts are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def send(self, body: Any) -> int:
        """Put an interrupt out for its nodes; return its number.

        Raises
        ------
        InvalidInput
            If it breaks a rule, or addresses a node that there is not.
        """
        new = read_interrupt(json_object(body, "The interrupt"))
        return await self._database.write(partial(self._add, new=new))

    async def list_for(self, node: Node) -> dict[str, Any]:
        """Return the interrupts that stand for a node, acknowledged ones marked."""
        return await self._database.read(partial(self._list_for, node_id=node.node_id))

    async def acknowledge(self, node: Node, interrupt_id: int) -> dict[str, Any]:
        """Keep that a node has done an interrupt; it may say so again.

        Raises
        ------
        UnknownObject
            If there is no such interrupt for this node.
        """
        await self._database.write(
            partial(self._acknowledge, node_id=node.node_id, interrupt_id=interrupt_id)
        )
        return {"ok": True}

    async def record_events(self, node: Node, interrupt_id: int, body: Any) -> dict[str, Any]:
        """Keep what became of an interrupt.

        Raises
        ------
        InvalidInput
            If an event is not in the form of the wire.
        UnknownObject
            If there is no such interrupt for this node.
        """
        new = read_events(json_object(body, "The body"))
        await self._database.write(
            partial(self._add_events, node_id=node.node_id, interrupt_id=interrupt_id, new=new)
        )
        return {"ok": True}

    def _add(self, connection: Connection, *, new: NewInterrupt) -> int:
        for node_id in new.node_ids or []:
            if not nodes.exists(connection, node_id):
                raise InvalidInput(
                    f"node_ids: there is no node {node_id!r}. "
                    "`boundless cloud nodes` lists those that there are."
                )
        return interrupts.add(connection, new, self._clock())

    def _list_for(self, connection: Connection, *, node_id: str) -> dict[str, Any]:
        standing = interrupts.list_standing(connection, self._clock())
        acked = interrupts.list_acked(connection, node_id)
        return {
            "interrupts": [
                _to_wire(interrupt, acked=interrupt.id in acked)
                for interrupt in standing
                if interrupt.is_for(node_id)
            ]
        }

    def _acknowledge(self, connection: Connection, *, node_id: str, interrupt_id: int) -> None:
        _require(connection, node_id, interrupt_id)
        interrupts.acknowledge(connection, interrupt_id, node_id, self._clock())

    def _add_events(
        self, connection: Connection, *, node_id: str, interrupt_id: int, new: list[Event]
    ) -> None:
        _require(connection, node_id, interrupt_id)
        subject = f"interrupt {interrupt_id}"
        events.add_all(connection, node_id, subject, new, self._clock())


def _require(connection: Connection, node_id: str, interrupt_id: int) -> None:
    known = 0 < interrupt_id <= ID_MAX
    found = interrupts.find(connection, interrupt_id) if known else None
    if found is None or not found.is_for(node_id):
        raise UnknownObject(f"There is no interrupt {interrupt_id} for this node.")


def _to_wire(interrupt: StandingInterrupt, *, acked: bool) -> dict[str, Any]:
    return {
        "id": interrupt.id,
        "name": interrupt.name,
        "reason": interrupt.reason,
        "ra_deg": interrupt.ra_deg,
        "dec_deg": interrupt.dec_deg,
        "ra": interrupt.ra_deg / DEGREES_PER_HOUR,
        "dec": interrupt.dec_deg,
        "mag": interrupt.mag,
        "created_at": iso(interrupt.created_at),
        "expires_at": iso(interrupt.expires_at),
        "acked": acked,
    }

"""Sending interrupts, handing them out, and taking their acknowledgements."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import UnknownObject
from boundless_skies.cloud.domain.events import Event, read_events
from boundless_skies.cloud.domain.interrupts import (
    NewInterrupt,
    StandingInterrupt,
    read_interrupt,
)
from boundless_skies.cloud.domain.names import DEG_PER_HOUR
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.outcomes import HeardEvent, latest_by_node
from boundless_skies.cloud.domain.reading import json_object
from boundless_skies.cloud.domain.times import Clock, iso
from boundless_skies.cloud.storage import audit, changes, events, interrupts, nodes, targets
from boundless_skies.cloud.storage.changes import Topic
from boundless_skies.cloud.storage.database import Database

ID_MAX = 2**63 - 1
"""The largest number that a database holds."""
WAIT_MAX_S = 60.0
"""The longest that a call may wait for something to come."""

SENT_SHOWN_MAX = 50

Standing = Sequence[StandingInterrupt]


@dataclass(frozen=True, kw_only=True)
class SentInterrupt:
    """An interrupt, which nodes have acknowledged it when, and what each told of it last."""

    interrupt: StandingInterrupt
    acked_by: dict[str, datetime]
    told_by: dict[str, HeardEvent]


class InterruptService:
    """Keeps interrupts until they expire, and who has acknowledged them.

    Those that stand are known in memory, and known anew with each change that any
    process makes known: a node that polls, or waits, costs no query while
    nothing stands for it.

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
        self._standing: Standing = ()
        self._looks = 0
        self._newest_look = 0
        self._waiting: dict[asyncio.Future[Standing], str] = {}
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many calls wait for an interrupt."""
        return len(self._waiting)

    async def refresh(self) -> None:
        """Learn what stands now, and wake whoever waits for what is new."""
        self._looks += 1
        look = self._looks
        standing = await self._database.read(
            lambda connection: interrupts.list_standing(connection, self._clock())
        )
        if look < self._newest_look:  # one that began later has seen more
            return
        known = {interrupt.id for interrupt in self._standing}
        self._standing, self._newest_look = standing, look
        self._wake([interrupt for interrupt in standing if interrupt.id not in known])

    async def send(self, operator: Operator, body: Any) -> int:
        """Put an interrupt out for its nodes; return its number.

        Raises
        ------
        InvalidInput
            If it breaks a rule, or addresses a node that there is not.
        """
        operator.require(Role.OPERATOR)
        new = read_interrupt(json_object(body, "The interrupt"))
        number = await self._database.write(partial(self._add, operator=operator, new=new))
        self._database.look_now()
        await self.refresh()
        return number

    async def list_sent(self, operator: Operator) -> list[SentInterrupt]:
        """Return what was sent last, expired ones too, with who has acknowledged it."""
        operator.require(Role.READER)
        return await self._database.read(_list_sent)

    async def list_for(self, caller: Caller) -> dict[str, Any]:
        """Return the interrupts that stand for a node, acknowledged ones marked."""
        return _to_reply(*await self._standing_for(caller))

    async def wait_for(self, caller: Caller, wait_s: float) -> dict[str, Any]:
        """Return as `list_for` does: at once where something waits to be done, else when it comes.

        Parameters
        ----------
        caller : Caller
            The node that asks.
        wait_s : float
            The longest wait (s); above a minute it is a minute.
        """
        loop = asyncio.get_running_loop()
        come: asyncio.Future[Standing] = loop.create_future()
        # Listed before the look, so that nothing falls between the two.
        self._waiting[come] = caller.node_id
        try:
            mine, acked = await self._standing_for(caller)
            if self._closing or any(interrupt.id not in acked for interrupt in mine):
                return _to_reply(mine, acked)
            timer = loop.call_later(min(wait_s, WAIT_MAX_S), _resolve, come, ())
            new = await come
            timer.cancel()
            return _to_reply([*mine, *(one for one in new if one not in mine)], acked)
        finally:
            del self._waiting[come]

    def close(self) -> None:
        """Answer whoever waits: the cloud is about to stop."""
        self._closing = True
        for come in list(self._waiting):
            _resolve(come, ())

    async def acknowledge(self, caller: Caller, interrupt_id: int) -> dict[str, Any]:
        """Keep that a node has done an interrupt; it may say so again.

        Raises
        ------
        UnknownObject
            If there is no such interrupt for this node.
        """
        await self._database.write(
            partial(self._acknowledge, node_id=caller.node_id, interrupt_id=interrupt_id)
        )
        return {"ok": True}

    async def record_events(self, caller: Caller, interrupt_id: int, body: Any) -> dict[str, Any]:
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
            partial(self._add_events, node_id=caller.node_id, interrupt_id=interrupt_id, new=new)
        )
        return {"ok": True}

    async def _standing_for(self, caller: Caller) -> tuple[Standing, set[int]]:
        now = self._clock()
        mine = [
            interrupt
            for interrupt in self._standing
            if interrupt.expires_at > now and interrupt.is_for(caller.node_id)
        ]
        if not mine:
            return mine, set()
        numbers = [interrupt.id for interrupt in mine]
        acked = await self._database.read(
            partial(interrupts.list_acked, node_id=caller.node_id, numbers=numbers)
        )
        return mine, acked

    def _wake(self, new: Standing) -> None:
        if not new:
            return
        for come, node_id in self._waiting.items():
            mine = [interrupt for interrupt in new if interrupt.is_for(node_id)]
            if mine:
                _resolve(come, mine)

    def _add(self, connection: Connection, *, operator: Operator, new: NewInterrupt) -> int:
        for node_id in new.node_ids or []:
            if not nodes.exists(connection, node_id):
                raise UnknownObject(
                    f"node_ids: there is no node {node_id!r}. "
                    "`boundless cloud nodes` lists those that there are."
                )
        now = self._clock()
        number = interrupts.add(connection, new, now)
        kept = targets.ensure(connection, [new.name], now)[new.name]
        targets.place(connection, kept, new.ra_deg, new.dec_deg)
        changes.announce(connection, Topic.INTERRUPTS)
        detail = {"name": new.name, "reason": new.reason, "node_ids": new.node_ids}
        audit.add(connection, operator, "interrupt.send", str(number), detail, now)
        return number

    def _acknowledge(self, connection: Connection, *, node_id: str, interrupt_id: int) -> None:
        _require(connection, node_id, interrupt_id)
        interrupts.acknowledge(connection, interrupt_id, node_id, self._clock())

    def _add_events(
        self, connection: Connection, *, node_id: str, interrupt_id: int, new: list[Event]
    ) -> None:
        _require(connection, node_id, interrupt_id)
        subject = events.interrupt_subject(interrupt_id)
        events.add_all(connection, node_id, subject, new, self._clock())


def _list_sent(connection: Connection) -> list[SentInterrupt]:
    return [
        SentInterrupt(
            interrupt=sent,
            acked_by=interrupts.list_ackers(connection, sent.id),
            told_by=latest_by_node(
                events.list_about(connection, [events.interrupt_subject(sent.id)])
            ),
        )
        for sent in interrupts.list_recent(connection, SENT_SHOWN_MAX)
    ]


def _resolve(come: asyncio.Future[Standing], new: Standing) -> None:
    if not come.done():
        come.set_result(new)


def _to_reply(mine: Standing, acked: set[int]) -> dict[str, Any]:
    return {"interrupts": [_to_wire(interrupt, acked=interrupt.id in acked) for interrupt in mine]}


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
        "ra": interrupt.ra_deg / DEG_PER_HOUR,
        "dec": interrupt.dec_deg,
        "mag": interrupt.mag,
        "created_at": iso(interrupt.created_at),
        "expires_at": iso(interrupt.expires_at),
        "acked": acked,
    }

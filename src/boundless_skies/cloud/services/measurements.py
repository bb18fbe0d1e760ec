"""Taking measurements in."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidInput, KeyReused, Refusal, TooLarge
from boundless_skies.cloud.domain.measurements import (
    Entry,
    Reading,
    Receipt,
    read_idempotency_key,
    read_software,
    read_submission,
)
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.places import read_place
from boundless_skies.cloud.domain.reading import json_object, shown
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.grouping import Grouping
from boundless_skies.cloud.services.target_names import TargetNames
from boundless_skies.cloud.storage import measurements, targets
from boundless_skies.cloud.storage.database import Database
from boundless_skies.wire.limits import BATCH_MAX_ITEMS

GROUP_MAX = 500
REST_S = 0.004
"""After a group, its senders' next measurements come within about that time."""
WAITING_MAX = 4_096

Outcome = Receipt | KeyReused


class _Sender(NamedTuple):
    """Who sent what came in one request, with what program, and when."""

    node_id: str
    software: str | None
    received_at: datetime

    def entry(self, reading: Reading, key: str | None) -> Entry:
        """Return what came as an entry into the books."""
        return Entry(
            node_id=self.node_id,
            target_name=reading.target_name,
            reading=reading,
            key=key,
            software=self.software,
            received_at=self.received_at,
        )


class MeasurementService:
    """Takes measurements, each once, and keeps every revision.

    Parameters
    ----------
    database : Database
        Where measurements are kept.
    names : TargetNames
        Knows under which name a target is kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, names: TargetNames, clock: Clock) -> None:
        self._database = database
        self._names = names
        self._clock = clock
        self.taken = 0
        """How many measurements were taken in by this process."""
        self.group: Grouping[Entry, Outcome] = Grouping(
            self._commit,
            what="measurements",
            most=GROUP_MAX,
            waiting_max=WAITING_MAX,
            lanes=database.writes_at_once,
            rest_s=REST_S,
        )

    async def submit(
        self, caller: Caller, body: Any, idempotency_key: str | None, software: str | None
    ) -> dict[str, Any]:
        """Take one measurement; it is on disk when this returns.

        Whatever ``node_id`` the client wrote, the measurement belongs to the
        node that sent it.

        Raises
        ------
        InvalidInput
            If it breaks a rule.
        KeyReused
            If its idempotency key came before with another content.
        """
        key = read_idempotency_key(idempotency_key)
        reading = read_submission(body)
        if key is not None and key == reading.key_from_content():
            key = None
        sent_by = _Sender(caller.node_id, read_software(software), self._clock())
        outcome = await self.group.submit(sent_by.entry(reading, key))
        if isinstance(outcome, KeyReused):
            raise outcome
        return _answer(outcome)

    async def submit_batch(self, caller: Caller, body: Any, software: str | None) -> dict[str, Any]:
        """Take up to 500 measurements; each gets its own answer, in order.

        Raises
        ------
        InvalidInput
            If the batch is not in the form of the wire.
        TooLarge
            If it has too many items.
        """
        items = json_object(body, "The batch").get("items")
        if not isinstance(items, list):
            raise InvalidInput(f"items must be a list of measurements, not {shown(items)}.")
        if len(items) > BATCH_MAX_ITEMS:
            raise TooLarge(f"{len(items)} items in one batch; the limit is {BATCH_MAX_ITEMS}.")
        read = [_read_or_refuse(item) for item in items]
        sent_by = _Sender(caller.node_id, read_software(software), self._clock())
        entries = [sent_by.entry(reading, None) for reading in read if isinstance(reading, Reading)]
        outcomes = iter(await self._commit(entries)) if entries else iter(())
        if entries:
            self.group.on_group(len(entries))
        return {"results": [_result(reading, outcomes) for reading in read]}

    async def _commit(self, entries: Sequence[Entry]) -> list[Outcome]:
        generation = self._names.generation
        self.taken += len(entries)
        outcomes, kept = await self._database.write(partial(self._add_all, entries=entries))
        self._names.remember(kept, generation)
        return outcomes

    def _add_all(
        self, connection: Connection, *, entries: Sequence[Entry]
    ) -> tuple[list[Outcome], dict[str, str]]:
        names = [entry.reading.target_name for entry in entries]
        new = self._names.unknown(names)
        kept = self._names.ensure(connection, names)
        for entry in entries if new else ():
            if entry.reading.target_name in new:
                _place(connection, kept[entry.reading.target_name], entry.reading)
        named = [entry.under(kept[entry.reading.target_name]) for entry in entries]
        return measurements.add_all(connection, named), kept


def _place(connection: Connection, target_name: str, reading: Reading) -> None:
    """Learn where a target stands from a measurement that says so."""
    place = read_place(msgspec.json.decode(reading.payload_json))
    if place is not None:
        targets.place(connection, target_name, place.ra_deg, place.dec_deg)


def _read_or_refuse(item: Any) -> Reading | Refusal:
    try:
        return read_submission(item)
    except Refusal as refusal:
        return refusal


def _result(reading: Reading | Refusal, outcomes: Any) -> dict[str, Any]:
    outcome = reading if isinstance(reading, Refusal) else next(outcomes)
    if isinstance(outcome, Refusal):
        return {"ok": False, "error": str(outcome)}
    return _answer(outcome)


def _answer(receipt: Receipt) -> dict[str, Any]:
    answer: dict[str, Any] = {"ok": True, "id": receipt.id}
    return answer | {"duplicate": True} if receipt.duplicate else answer

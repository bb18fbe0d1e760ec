"""Taking measurements in."""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidInput, Refusal, TooLarge
from boundless_skies.cloud.domain.measurements import (
    Reading,
    Receipt,
    read_idempotency_key,
    read_submission,
)
from boundless_skies.cloud.domain.nodes import Node
from boundless_skies.cloud.domain.reading import json_object, shown
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.storage import measurements
from boundless_skies.cloud.storage.database import Database
from boundless_skies.wire.limits import BATCH_MAX_ITEMS


class MeasurementService:
    """Takes measurements, each once, and keeps every revision.

    Parameters
    ----------
    database : Database
        Where measurements are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def submit(self, node: Node, body: Any, idempotency_key: str | None) -> dict[str, Any]:
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
        receipt = await self._database.write(
            partial(
                measurements.add,
                node_id=node.node_id,
                reading=reading,
                key=key,
                now=self._clock(),
            )
        )
        return _answer(receipt)

    async def submit_batch(self, node: Node, body: Any) -> dict[str, Any]:
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
        results = await self._database.write(partial(self._add_all, node=node, read=read))
        return {"results": results}

    def _add_all(
        self, connection: Connection, *, node: Node, read: list[Reading | Refusal]
    ) -> list[dict[str, Any]]:
        now = self._clock()
        return [
            {"ok": False, "error": str(entry)}
            if isinstance(entry, Refusal)
            else _answer(measurements.add(connection, node.node_id, entry, None, now))
            for entry in read
        ]


def _read_or_refuse(item: Any) -> Reading | Refusal:
    try:
        return read_submission(item)
    except Refusal as refusal:
        return refusal


def _answer(receipt: Receipt) -> dict[str, Any]:
    answer: dict[str, Any] = {"ok": True, "id": receipt.id}
    return answer | {"duplicate": True} if receipt.duplicate else answer

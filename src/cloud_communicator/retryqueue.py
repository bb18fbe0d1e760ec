"""The books of what was accepted and not yet delivered: queued, evicted, rejected, dropped."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boundless_skies.wire.limits import BATCH_MAX_ITEMS
from cloud_communicator.arrayfile import ArrayFile, Entry, canonical_or_near
from cloud_communicator.disk import Ledger

log = logging.getLogger("cloud_communicator")

QUEUE_NAME = "cloud_upload_queue.json"
EVICTED_NAME = "cloud_upload_evicted.jsonl"
REJECTED_NAME = "cloud_upload_rejected.jsonl"
DROPPED_NAME = "cloud_upload_dropped.jsonl"
CAP = BATCH_MAX_ITEMS
REFUSALS_UNTIL_REJECTED = 3


@dataclass(frozen=True, kw_only=True)
class QueueFiles:
    """The names of a queue's file and of its ledgers, and what marks its entries.

    Attributes
    ----------
    hallmark : str
        A key that each entry has.
    come_back : str
        What brings an evicted entry back, for the log.
    ledger_max_bytes : int or None
        The size above which the older half of a ledger is let go.
    eviction_level : int
        The log's level for an eviction.
    """

    queue: str
    evicted: str
    rejected: str
    dropped: str
    hallmark: str
    come_back: str
    ledger_max_bytes: int | None = None
    eviction_level: int = logging.WARNING


MEASUREMENT_FILES = QueueFiles(
    queue=QUEUE_NAME,
    evicted=EVICTED_NAME,
    rejected=REJECTED_NAME,
    dropped=DROPPED_NAME,
    hallmark="measurement",
    come_back=" Bring it back with: boundless queue replay --evicted",
)


def utc_now() -> str:
    """Return the time as ISO 8601 with Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RetryQueue:
    """What waits for the cloud, measurements first of all, and the files that it can leave to.

    An entry leaves the queue by delivery, or into one of three ledgers: evicted
    (over the cap), rejected (refused for good), dropped (by hand). It is in the
    ledger, durably, before it is out of the queue.

    Parameters
    ----------
    folder : Path
        The link's data folder.
    cap : int
        Most entries in the queue.
    now : callable
        Gives the time as ISO text, for the ledgers.
    files : QueueFiles
        Their names.
    """

    def __init__(
        self,
        folder: Path,
        cap: int = CAP,
        now: Callable[[], str] = utc_now,
        files: QueueFiles = MEASUREMENT_FILES,
    ) -> None:
        self.file = ArrayFile(folder / files.queue, hallmark=files.hallmark)
        self.evicted = Ledger(folder / files.evicted, files.ledger_max_bytes)
        self.rejected = Ledger(folder / files.rejected, files.ledger_max_bytes)
        self.dropped = Ledger(folder / files.dropped, files.ledger_max_bytes)
        self._files = files
        self._cap = cap
        self._now = now

    def __len__(self) -> int:
        return len(self.file.entries) + len(self.file.unsaved)

    @property
    def unsaved(self) -> int:
        """How many entries wait for the disk."""
        return len(self.file.unsaved)

    def load(self) -> None:
        """Read what an earlier run left, and finish a move that it was killed in.

        Raises
        ------
        OSError
            If the disk refuses to be written; what could be read is in memory.
        """
        self.file.load()
        if self.file.entries:
            with self.file.locked():  # not while another process is in the middle of a move
                waiting = {entry.line for entry in self.file.entries}
                for ledger in (self.evicted, self.rejected, self.dropped):
                    self._finish_move(ledger, waiting)

    def _finish_move(self, ledger: Ledger, waiting: set[bytes]) -> None:
        """Where a kill left an entry in the queue and in a ledger, the queue has it."""
        records = ledger.records()
        elsewhere = [record for record in records if _line_of(record) not in waiting]
        if len(elsewhere) < len(records):
            ledger.keep_only(elsewhere)

    def claim(self, entry: Entry) -> bool:
        """Keep an entry from being evicted while it is tried; False if it has left the queue."""
        return self.file.claim(entry)

    def release(self, entries: list[Entry]) -> bool:
        """Let entries be evicted again; tells whether that is due, so that `save` does it."""
        for entry in entries:
            entry.in_flight = False
        return self._is_over()

    def entries(self) -> list[Entry]:
        """Return all entries, oldest first."""
        return self.file.all_entries()

    def put(self, line: bytes) -> Entry:
        """Accept a payload; durable on return, over the cap the oldest is evicted.

        Parameters
        ----------
        line : bytes
            Canonical JSON of the payload.

        Returns
        -------
        Entry
            The entry, which waits in memory where the disk refused.

        Raises
        ------
        OSError
            If the disk refuses; the entry is in memory and `save` writes it later.
        """
        entry = self.file.append(line)
        self._evict()
        return entry

    def put_all(self, lines: Iterable[bytes]) -> None:
        """Accept payloads in order, as `put` does one; raises OSError if the disk refuses."""
        self.file.append_all(lines)
        self._evict()

    def save(self) -> None:
        """Get in step with the disk, both ways; raises OSError if it still refuses."""
        self.file.save()
        self._settle()
        self._evict()

    def _is_over(self) -> bool:
        """Tell whether the cap is exceeded also if all that is on its way arrives."""
        waiting = [entry for entry in list(self.file.entries) if not entry.in_flight]
        return len(waiting) > self._cap

    def _evict(self) -> None:
        if not self._is_over():
            return
        with self.file.locked():
            while self._is_over():
                oldest = next(e for e in self.file.entries if not e.in_flight)
                self._move(oldest, self.evicted, {"why": f"over the cap of {self._cap}"})
                log.log(
                    self._files.eviction_level,
                    "%s is over its cap of %d; the oldest entry went to %s.%s",
                    self._files.queue,
                    self._cap,
                    self._files.evicted,
                    self._files.come_back,
                )

    def delivered(self, entry: Entry) -> None:
        """Take out an entry that the cloud has; raises OSError if the disk refuses.

        One that was dropped by hand while it was on its way is no longer among the
        dropped ones: the cloud has it.
        """
        self.file.remove(entry)
        self._settle()

    def _settle(self) -> None:
        """Book as delivered alone what another process moved while it was on its way."""
        if not self.file.missed:
            return
        with self.file.locked():
            while self.file.missed:
                line = self.file.missed[0]
                dropped = self._take_back(line)
                del self.file.missed[0]
                if not dropped and self.file.holds(Entry(line)):  # dropped and brought back
                    self.file.remove(Entry(line))

    def _take_back(self, line: bytes) -> bool:
        """Take one record of a delivered entry out of the dropped ones, if there is one."""
        records = self.dropped.records()
        place = next((i for i, r in enumerate(records) if _line_of(r) == line), None)
        if place is None:
            return False
        self.dropped.keep_only(records[:place] + records[place + 1 :])
        log.info("A measurement was delivered while it was dropped by hand; the cloud has it.")
        return True

    def refused(self, entry: Entry, status: int, reply: str) -> bool:
        """Count a refusal for good; the third moves the entry to the rejected ones.

        Parameters
        ----------
        entry : Entry
            What was refused.
        status : int
            HTTP status.
        reply : str
            The cloud's answer.

        Returns
        -------
        bool
            Whether the entry was moved; False also if it has left the queue meanwhile.

        Raises
        ------
        OSError
            If the disk refuses; the entry then stays.
        """
        entry.refusals += 1
        if entry.refusals < REFUSALS_UNTIL_REJECTED:
            return False
        why = {"why": "refused by the cloud", "status": status, "reply": reply}
        return self._move_durably(entry, self.rejected, why)

    def drop(self, entry: Entry) -> bool:
        """Take an entry out by hand; it goes to the dropped ones.

        Parameters
        ----------
        entry : Entry
            What to drop.

        Returns
        -------
        bool
            Whether it was dropped; False if it has left the queue meanwhile.
        """
        return self._move_durably(entry, self.dropped, {"why": "dropped by hand"})

    def _move_durably(self, entry: Entry, ledger: Ledger, why: dict[str, Any]) -> bool:
        moved = self._move(entry, ledger, why)
        self.file.sync()
        return moved

    def _move(self, entry: Entry, ledger: Ledger, why: dict[str, Any]) -> bool:
        with self.file.locked():
            if not self.file.holds(entry):
                return False
            ledger.append({"at": self._now(), **why, "payload": entry.payload()})
            self.file.remove(entry)
        return True

    def replay(self, ledger: Ledger, chosen: Callable[[dict[str, Any]], bool]) -> int:
        """Bring records of a ledger back into the queue, as far as it has room.

        Parameters
        ----------
        ledger : Ledger
            Evicted, rejected or dropped.
        chosen : callable
            Which records (each a dict with its ``payload``).

        Returns
        -------
        int
            How many came back.

        Raises
        ------
        OSError
            If the disk refuses; a record is always in one of the two files.
        """
        with self.file.locked():
            records = ledger.records()
            room = self._cap - len(self.file.entries)
            waiting = {entry.line for entry in self.file.entries}
            back = [r for r in records if chosen(r) and "payload" in r][: max(room, 0)]
            for record in back:
                if (line := _line_of(record)) not in waiting:
                    self._bring_back(line)
            if back:
                ledger.keep_only([r for r in records if not any(r is b for b in back)])
        return len(back)

    def _bring_back(self, line: bytes) -> None:
        try:
            self.file.append(line)
        except OSError:
            self.file.forget_unsaved(line)
            raise


def _line_of(record: dict[str, Any]) -> bytes:
    return canonical_or_near(record.get("payload"))

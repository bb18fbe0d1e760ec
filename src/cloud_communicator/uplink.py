"""Measurements on their way up: delivered at once, or from the queue, in order, once."""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event
from typing import Any

from boundless_skies.wire import idempotency_key
from boundless_skies.wire.features import MEASUREMENTS_BATCH as BATCH_FEATURE
from boundless_skies.wire.paths import IDEMPOTENCY_HEADER, MEASUREMENTS, MEASUREMENTS_BATCH
from cloud_communicator.arrayfile import Entry
from cloud_communicator.batch import NO_BATCH, body_of, fitting, results_of
from cloud_communicator.board import StatusBoard
from cloud_communicator.client import CloudClient
from cloud_communicator.errors import BadReply, Cancelled, CloudRefused, LinkFailure, NoConnection
from cloud_communicator.retryqueue import RetryQueue
from cloud_communicator.rhythm import Pauses

log = logging.getLogger("cloud_communicator")

KIND = "measurements"
ROW_OF_FAILURES = 3
SUSPECT_AFTER = 3
NO_BATCH_S = 600.0
"""How long all go one by one after a cloud that takes no batch, or answers it as none does."""
REFUSED_FOR_GOOD = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


def next_try(pending: deque[Entry], row: int) -> Entry:
    """Take the next entry to try: after two failures in a row by suspects, the least suspect.

    An entry that failed in three drains may itself be what the cloud stumbles over;
    the last try of a row goes to the one that failed least, so that a few of them
    at the head cannot hold up the rest, nor can many after an outage.

    Parameters
    ----------
    pending : deque of Entry
        What is still to be tried, at least one.
    row : int
        How many link failures there were in a row.

    Returns
    -------
    Entry
        The next try; it is out of ``pending``.
    """
    entry = pending.popleft()
    if row == ROW_OF_FAILURES - 1 and entry.failures >= SUSPECT_AFTER and pending:
        least = min(pending, key=lambda other: other.failures)
        if least.failures < entry.failures:
            pending.remove(least)
            pending.appendleft(entry)
            return least
    return entry


@dataclass
class _Drain:
    """What is left of one drain: entries, time, and link failures in a row.

    ``no_batch`` says why a batch was not taken, ``answered`` that a single entry was.
    """

    pending: deque[Entry]
    due: float
    until: float
    stop: Event
    row: int = 0
    no_batch: LinkFailure | None = None
    answered: bool = False


class Uplink:
    """Delivers measurements and keeps the books of those that could not be.

    Parameters
    ----------
    client : CloudClient
        Makes the calls.
    queue : RetryQueue
        Keeps what is not delivered.
    board : StatusBoard
        Shows counts and errors.
    pauses : Pauses
        Knows whether the cloud asked to wait.
    monotonic : callable
        Gives monotonic seconds.
    """

    def __init__(
        self,
        client: CloudClient,
        queue: RetryQueue,
        board: StatusBoard,
        pauses: Pauses,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._queue = queue
        self._board = board
        self._pauses = pauses
        self._monotonic = monotonic
        self._cut_at: bytes | None = None
        self._batch_failed = False
        self._batch_again_at = 0.0

    def load(self) -> None:
        """Read the queue that an earlier run left."""
        self._on_disk(self._queue.load)

    def deliver(self, line: bytes, total_s: float) -> bool:
        """Try to deliver a new measurement now; False if it did not work.

        Parameters
        ----------
        line : bytes
            Canonical JSON of the payload.
        total_s : float
            Bound on the whole try.

        Returns
        -------
        bool
            Whether the cloud has it.
        """
        if self._pauses.left_s(KIND):
            return False
        try:
            self._post(line, total_s, None)
        except LinkFailure as failure:
            news = self._board.failed(KIND, failure)
            log.log(logging.INFO if news else logging.DEBUG, "Queued: %s", failure)
            return False
        self._board.add("delivered")
        self._board.cleared(KIND)
        return True

    def save(self) -> None:
        """Write what the disk refused, if anything waits for it."""
        if self._queue.unsaved:
            self._on_disk(self._queue.save)

    def enqueue(self, line: bytes) -> None:
        """Accept a payload for later: on disk, or in memory where the disk refuses."""
        self._on_disk(lambda: self._queue.put(line))

    def _post(self, line: bytes, total_s: float | None, cancel: Event | None) -> None:
        key = {IDEMPOTENCY_HEADER: idempotency_key(line)}
        self._client.post(MEASUREMENTS, KIND, line, headers=key, total_s=total_s, cancel=cancel)

    # -- the drain ----------------------------------------------------------------------

    def drain(self, due: float, grace_s: float, stop: Event) -> None:
        """Try the queue's entries in order, until they, the connection or the time end.

        Parameters
        ----------
        due : float
            Monotonic time of the next heartbeat: no try begins after it.
        grace_s : float
            How long after it a try may still last.
        stop : threading.Event
            Ends the drain.
        """
        self._on_disk(self._queue.save)
        drain = _Drain(self._in_order(), due, due + grace_s, stop)
        with suppress(NoConnection, Cancelled):
            if self._batch_failed:  # one entry tells at less cost whether the cloud is back
                self._singly(drain, until_one=True)
            self._together(drain)
            self._singly(drain)
        self._judge_batches(drain)
        if self._queue.file.entries or drain.pending:
            self._on_disk(self._queue.file.sync)
        self.count()

    def _goes_on(self, drain: _Drain) -> bool:
        over = not drain.pending or drain.row >= ROW_OF_FAILURES or drain.stop.is_set()
        if over or self._pauses.left_s(KIND):
            return False
        if self._monotonic() >= drain.due:
            self._cut_at = drain.pending[0].line
            return False
        return True

    def _in_order(self) -> deque[Entry]:
        """Return the entries in order; a drain that ran out of time goes on where it was."""
        entries = deque(self._queue.entries())
        cut_at, self._cut_at = self._cut_at, None
        if cut_at is not None:
            before = next((i for i, e in enumerate(entries) if e.line == cut_at), 0)
            entries.rotate(-before)
        return entries

    # -- one by one ---------------------------------------------------------------------

    def _singly(self, drain: _Drain, *, until_one: bool = False) -> None:
        """Try entry after entry, or until the cloud has answered for one."""
        while self._goes_on(drain):
            self._try(next_try(drain.pending, drain.row), drain)
            if until_one and not drain.row:
                return

    def _try(self, entry: Entry, drain: _Drain) -> None:
        if not self._queue.claim(entry):  # evicted or dropped since the drain began
            return
        try:
            self._post(entry.line, drain.until - self._monotonic(), drain.stop)
        except LinkFailure as failure:
            self._not_taken(entry, failure, drain)
        else:
            self._delivered(entry)
            drain.row, drain.answered = 0, True
        finally:
            self._release([entry])

    def _not_taken(self, entry: Entry, failure: LinkFailure, drain: _Drain) -> None:
        if isinstance(failure, CloudRefused) and failure.status in REFUSED_FOR_GOOD:
            self._refused(entry, failure)
            drain.row, drain.answered = 0, True
            return
        if not isinstance(failure, Cancelled):
            entry.failures += 1
        self._failed(failure, drain)

    def _failed(self, failure: LinkFailure, drain: _Drain) -> None:
        if isinstance(failure, Cancelled):
            raise failure
        self._board.failed(KIND, failure)
        if isinstance(failure, NoConnection):
            raise failure
        drain.row += 1

    # -- many at once -------------------------------------------------------------------

    def _together(self, drain: _Drain) -> None:
        """Send as many as fit into one request, as long as each item gets its answer."""
        while self._takes_batches() and self._goes_on(drain):
            chosen = fitting(drain.pending)
            if len(chosen) < 2:  # noqa: PLR2004 - one goes as it always did
                return
            left = self._try_together(chosen, drain)
            settled = set(chosen) - set(left)
            drain.pending = deque(e for e in drain.pending if e not in settled)
            if left:
                return

    def _takes_batches(self) -> bool:
        return self._board.can(BATCH_FEATURE) and self._monotonic() >= self._batch_again_at

    def _try_together(self, chosen: list[Entry], drain: _Drain) -> list[Entry]:
        """Make one request; returns the entries about which the cloud said nothing."""
        claimed = [entry for entry in chosen if self._queue.claim(entry)]
        if not claimed:
            return []
        try:
            results = self._post_together(claimed, drain)
            self._batch_failed = False
            return self._settle(claimed, results)
        except LinkFailure as failure:
            self._batch_not_taken(failure, drain)
            return claimed
        finally:
            self._release(claimed)

    def _batch_not_taken(self, failure: LinkFailure, drain: _Drain) -> None:
        refused = isinstance(failure, CloudRefused) and failure.status in NO_BATCH
        if refused or isinstance(failure, BadReply):
            drain.no_batch = failure
        else:
            self._batch_failed = True
            self._failed(failure, drain)

    def _post_together(self, entries: list[Entry], drain: _Drain) -> list[LinkFailure | None]:
        body, headers = body_of(entries)
        reply: Any = self._client.post(
            MEASUREMENTS_BATCH,
            KIND,
            body,
            headers=headers,
            total_s=drain.until - self._monotonic(),
            cancel=drain.stop,
        )
        return results_of(reply, len(entries), self._client.shown)

    def _settle(self, entries: list[Entry], results: list[LinkFailure | None]) -> list[Entry]:
        """Book each item's answer; returns the entries whose answer says nothing."""
        unclear = []
        for entry, failure in zip(entries, results, strict=True):
            if failure is None:
                self._delivered(entry)
            elif isinstance(failure, CloudRefused):
                self._refused(entry, failure)
            else:
                self._board.failed(KIND, failure)
                unclear.append(entry)
        return unclear

    def _judge_batches(self, drain: _Drain) -> None:
        """Leave batches alone for a while, if the cloud took single entries in their place."""
        if drain.no_batch is None:
            return
        if drain.answered:
            log.info("Measurements go one by one for a while: %s", drain.no_batch)
            self._batch_again_at = self._monotonic() + NO_BATCH_S
        else:  # it was no cloud that answered so, but a network's log-in page or a lost proxy
            self._batch_failed = True

    def _release(self, entries: list[Entry]) -> None:
        if self._queue.release(entries):
            self._on_disk(self._queue.save)

    # -- the books ----------------------------------------------------------------------

    def _delivered(self, entry: Entry) -> None:
        self._board.add("delivered")
        self._board.cleared(KIND)
        self._on_disk(lambda: self._queue.delivered(entry))
        self._board.put(queued_uploads=len(self._queue))

    def _refused(self, entry: Entry, refusal: CloudRefused) -> None:
        self._board.failed(KIND, refusal)
        moved: list[bool] = []
        self._on_disk(
            lambda: moved.append(self._queue.refused(entry, refusal.status, refusal.reply))
        )
        if any(moved):
            log.error(
                "The cloud refused a measurement for good (%s: %s); it is kept in %s. "
                "See: boundless queue list --rejected",
                refusal.status,
                refusal.reply,
                self._queue.rejected.path,
            )

    def _on_disk(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            message = (
                f"The data folder {self._queue.file.path.parent} cannot be written "
                f"({error.strerror or error}). {self._queue.unsaved} measurements wait in memory; "
                "free space or mend the disk, and keep the node running until then."
            )
            news = self._board.failed("disk", message)
            log.log(logging.ERROR if news else logging.DEBUG, "%s", message)
        else:
            if not self._queue.unsaved:
                self._board.cleared("disk")
        self.count()

    def waiting(self) -> dict[str, Any]:
        """Return the queue's length and how long its oldest entry has waited."""
        since = [entry.since for entry in self._queue.entries()]
        age_s = self._monotonic() - min(since) if since else 0.0
        return {"length": len(since), "oldest_age_s": round(age_s, 1)}

    def count(self) -> None:
        """Show the books in the status."""
        queue = self._queue
        self._board.put(
            queued_uploads=len(queue),
            unsaved_uploads=queue.unsaved,
            evicted=queue.evicted.count(),
            rejected=queue.rejected.count(),
            dropped=queue.dropped.count(),
            damaged=queue.file.damaged,
        )

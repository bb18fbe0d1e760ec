"""Measurements on their way up: delivered at once, or from the queue, in order, once."""

import logging
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from threading import Event

from boundless_skies.wire import idempotency_key
from boundless_skies.wire.paths import IDEMPOTENCY_HEADER, MEASUREMENTS
from cloud_communicator.arrayfile import Entry
from cloud_communicator.board import StatusBoard
from cloud_communicator.client import CloudClient
from cloud_communicator.errors import Cancelled, CloudRefused, LinkFailure, NoConnection
from cloud_communicator.retryqueue import RetryQueue
from cloud_communicator.rhythm import Pauses

log = logging.getLogger("cloud_communicator")

KIND = "measurements"
ROW_OF_FAILURES = 3
SUSPECT_AFTER = 3
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
        pending = self._in_order()
        row = 0
        while pending and row < ROW_OF_FAILURES and not stop.is_set():
            if self._pauses.left_s(KIND):
                break
            if self._monotonic() >= due:
                self._cut_at = pending[0].line
                break
            entry = next_try(pending, row)
            try:
                row = self._try(entry, row, due + grace_s - self._monotonic(), stop)
            except (NoConnection, Cancelled):
                break
        if self._queue.file.entries or pending:
            self._on_disk(self._queue.file.sync)
        self.count()

    def _in_order(self) -> deque[Entry]:
        """Return the entries in order; a drain that ran out of time goes on where it was."""
        entries = deque(self._queue.entries())
        cut_at, self._cut_at = self._cut_at, None
        if cut_at is not None:
            before = next((i for i, e in enumerate(entries) if e.line == cut_at), 0)
            entries.rotate(-before)
        return entries

    def _try(self, entry: Entry, row: int, total_s: float, stop: Event) -> int:
        """Try one entry; returns how many link failures there are in a row now."""
        if not self._queue.claim(entry):  # evicted or dropped since the drain began
            return row
        try:
            return self._try_once(entry, row, total_s, stop)
        finally:
            entry.in_flight = False

    def _try_once(self, entry: Entry, row: int, total_s: float, stop: Event) -> int:
        try:
            self._post(entry.line, total_s, stop)
        except CloudRefused as refusal:
            if refusal.status in REFUSED_FOR_GOOD:
                self._refused(entry, refusal)
                return 0
            return self._failed(entry, refusal, row)
        except LinkFailure as failure:
            return self._failed(entry, failure, row)
        self._board.add("delivered")
        self._board.cleared(KIND)
        self._on_disk(lambda: self._queue.delivered(entry))
        self._board.put(queued_uploads=len(self._queue))
        return 0

    def _failed(self, entry: Entry, failure: LinkFailure, row: int) -> int:
        if isinstance(failure, Cancelled):
            raise failure
        self._board.failed(KIND, failure)
        entry.failures += 1
        if isinstance(failure, NoConnection):
            raise failure
        return row + 1

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

    # -- the books ----------------------------------------------------------------------

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

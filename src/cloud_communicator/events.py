"""What became of plans and interrupts, on its way up: kept on disk, told in order, once."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Any

from boundless_skies.wire import ItemState, canonical_json
from boundless_skies.wire.features import PLAN_EVENTS
from boundless_skies.wire.limits import (
    EVENT_NAME_MAX_CHARS,
    EVENT_REASON_MAX_CHARS,
    EVENTS_MAX_ITEMS,
)
from boundless_skies.wire.paths import interrupt_events, plan_events
from cloud_communicator.arrayfile import Entry, canonical_or_near
from cloud_communicator.board import StatusBoard
from cloud_communicator.client import CloudClient
from cloud_communicator.errors import (
    Cancelled,
    CloudRefused,
    InvalidEvent,
    InvalidMeasurement,
    LinkFailure,
    NoConnection,
)
from cloud_communicator.payload import plain_json
from cloud_communicator.retryqueue import QueueFiles, RetryQueue
from cloud_communicator.rhythm import Pauses
from cloud_communicator.uplink import REFUSED_FOR_GOOD, ROW_OF_FAILURES

log = logging.getLogger("cloud_communicator")

KIND = "plan events"
CAP = 2_000
"""Most events that wait: some weeks of nights."""
MAX_BYTES = 500_000
"""What a request stays under; events travel as they are, for a cloud need not unpack them."""
LEDGER_MAX_BYTES = 1_000_000
"""A cloud that never asks for events must not fill the disk with them."""
EVENT_MAX_BYTES = 20_000

FILES = QueueFiles(
    queue="cloud_event_queue.json",
    evicted="cloud_event_evicted.jsonl",
    rejected="cloud_event_rejected.jsonl",
    dropped="cloud_event_dropped.jsonl",
    hallmark="event",
    come_back=" Bring it back with: boundless queue replay --of events --evicted",
    ledger_max_bytes=LEDGER_MAX_BYTES,
    eviction_level=logging.INFO,
)
PLAN, INTERRUPT = "plan", "interrupt"

_DISK = "event disk"
# A cloud answers 404 where it never gave this node such a plan or interrupt.
_FOR_GOOD = REFUSED_FOR_GOOD | {HTTPStatus.NOT_FOUND}
_OPEN, _COMMA, _CLOSE = b'{"events":[', b",", b"]}"
_ELLIPSIS = "…"


def event_lines(kind: str, subject: object, events: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Build what is kept of some events: canonical bytes of each with its subject.

    Parameters
    ----------
    kind : str
        ``plan`` or ``interrupt``.
    subject : str or int
        The id of the plan or interrupt.
    events : iterable of mapping
        Each with ``event_id`` and ``state``; may have ``item_id``, ``reason`` and
        ``at`` (ISO 8601 text or a datetime; now, where it is absent).

    Returns
    -------
    list of bytes
        One line of JSON an event.

    Raises
    ------
    InvalidEvent
        If one is not in the form of the wire; the message names it.
    """
    if isinstance(subject, bool) or not isinstance(subject, str | int) or subject == "":
        raise InvalidEvent(f"The id of the {kind} must be a text or a number, not {subject!r:.80}.")
    return [
        canonical_json({kind: str(subject), "event": _wire_event(event, f"events[{index}]")})
        for index, event in enumerate(events)
    ]


def _wire_event(event: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(event, Mapping):
        raise InvalidEvent(f"{where} must be a dict, not {type(event).__name__}.")
    try:
        plain = plain_json(event, where)
    except InvalidMeasurement as error:
        raise InvalidEvent(str(error)) from None
    state = plain.get("state")
    if state not in list(ItemState):
        raise InvalidEvent(f"{where}.state is {state!r:.80}; one of {', '.join(ItemState)}.")
    found = {
        **plain,
        "event_id": _name(plain, "event_id", where),
        "item_id": _name(plain, "item_id", where) if plain.get("item_id") else None,
        "reason": _sentence(plain.get("reason"), where),
        "at": _name(plain, "at", where) if plain.get("at") else _now(),
    }
    if len(canonical_json(found)) > EVENT_MAX_BYTES:
        raise InvalidEvent(f"{where} is over {EVENT_MAX_BYTES} bytes as JSON.")
    return found


def _name(event: Mapping[str, Any], key: str, where: str) -> str:
    value = event.get(key)
    usable = isinstance(value, str) and value.strip() and value.isprintable()
    if not usable or len(str(value)) > EVENT_NAME_MAX_CHARS:
        raise InvalidEvent(
            f"{where}.{key} is {value!r:.80}; a text of at most {EVENT_NAME_MAX_CHARS} characters."
        )
    return str(value)


def _sentence(reason: Any, where: str) -> str:
    """Return a reason on one line, and cut where it is too long: it is for people."""
    if reason is not None and not isinstance(reason, str):
        raise InvalidEvent(f"{where}.reason is {reason!r:.80}; a text.")
    shown = "".join(ch if ch.isprintable() else " " for ch in reason or "")
    line = " ".join(shown.split())
    if len(line) <= EVENT_REASON_MAX_CHARS:
        return line
    return line[: EVENT_REASON_MAX_CHARS - len(_ELLIPSIS)] + _ELLIPSIS


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def batches(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """Put entries together that go in one request: of one subject, in order.

    Parameters
    ----------
    entries : iterable of Entry
        What waits, oldest first.

    Yields
    ------
    tuple of str and list of Entry
        The path of the call, and at most 500 entries for it.
    """
    subjects: dict[str, list[Entry]] = {}
    for entry in entries:
        if path := _path_of(entry.payload()):
            subjects.setdefault(path, []).append(entry)
    for path, found in subjects.items():
        left = found
        while left:
            count = _fitting(left)
            yield path, left[:count]
            left = left[count:]


def _path_of(payload: dict[str, Any]) -> str:
    """Return where an entry goes; nowhere, if another program wrote it without a subject."""
    for key, path in ((PLAN, plan_events), (INTERRUPT, interrupt_events)):
        if isinstance(subject := payload.get(key), str) and subject:
            return path(subject)
    return ""


def _fitting(entries: list[Entry]) -> int:
    room = MAX_BYTES - len(_OPEN) - len(_CLOSE)
    for count, entry in enumerate(entries[:EVENTS_MAX_ITEMS]):
        room -= len(entry.line) + len(_COMMA)
        if room < 0:
            return max(count, 1)
    return min(len(entries), EVENTS_MAX_ITEMS)


def _body_of(entries: Iterable[Entry]) -> bytes:
    events = [canonical_or_near(entry.payload().get("event")) for entry in entries]
    return _OPEN + _COMMA.join(events) + _CLOSE


class EventCourier:
    """Tells the cloud what became of plans and interrupts, where it wants to know.

    An event is on disk before `keep` returns, and out of the queue only once the
    cloud has it, or into one of two ledgers: evicted (over the cap, oldest first) and
    rejected (refused for good in three tries, each after another beat). The cloud
    knows an event by its ``event_id``, so one whose reply was lost counts once.

    Parameters
    ----------
    client : CloudClient
        Makes the calls.
    folder : Path
        The link's data folder.
    board : StatusBoard
        Shows counts and errors, and knows whether the cloud takes events.
    pauses : Pauses
        Knows whether the cloud asked to wait.
    monotonic : callable
        Gives monotonic seconds.
    """

    def __init__(
        self,
        client: CloudClient,
        folder: Path,
        board: StatusBoard,
        pauses: Pauses,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._board = board
        self._pauses = pauses
        self._monotonic = monotonic
        self._queue = RetryQueue(folder, CAP, files=FILES)
        self._troubled = False

    def load(self) -> None:
        """Read the events that an earlier run left."""
        self._on_disk(self._queue.load)

    def save(self) -> None:
        """Write what the disk refused, if anything waits for it."""
        if self._queue.unsaved:
            self._on_disk(self._queue.save)

    def keep(self, lines: list[bytes]) -> bool:
        """Take events into keeping; those that wait already are not taken twice.

        Parameters
        ----------
        lines : list of bytes
            Of `event_lines`.

        Returns
        -------
        bool
            True once all are on disk; False where it refuses, and they wait in memory.
        """
        known = {entry.line for entry in self._queue.entries()}
        new = [line for line in dict.fromkeys(lines) if line not in known]
        self._on_disk(lambda: self._queue.put_all(new))
        return not self._queue.unsaved

    # -- telling ------------------------------------------------------------------------

    def drain(self, due: float, grace_s: float, stop: Event) -> None:
        """Tell what waits, after a beat that went well.

        Parameters
        ----------
        due : float
            Monotonic time of the next heartbeat: no call begins after it.
        grace_s : float
            How long after it a call may still last.
        stop : threading.Event
            Ends the drain.
        """
        self._on_disk(self._queue.save)
        self._troubled = False
        self.tell_new(due, grace_s, stop)

    def tell_new(self, due: float, grace_s: float, stop: Event) -> None:
        """Tell what came between two beats; after a trouble not before the next beat."""
        if self._troubled or not self._board.can(PLAN_EVENTS) or not len(self._queue):
            return
        with suppress(NoConnection, Cancelled):
            self._tell_all(due, due + grace_s, stop)
        self._on_disk(self._queue.file.sync)

    def _tell_all(self, due: float, until: float, stop: Event) -> None:
        held: set[str] = set()
        for path, entries in batches(self._queue.entries()):
            resting = self._pauses.left_s(KIND) > 0 or len(held) >= ROW_OF_FAILURES
            if stop.is_set() or resting or self._monotonic() >= due:
                return
            if path in held:  # no later event of a subject overtakes an earlier one
                continue
            try:
                self._tell(path, entries, until, stop)
            except LinkFailure as failure:
                self._failed(failure)
                held.add(path)

    def _failed(self, failure: LinkFailure) -> None:
        if isinstance(failure, Cancelled):
            raise failure
        self._troubled = True
        self._board.failed(KIND, failure)
        log.debug("Events wait for the next beat: %s", failure)
        if isinstance(failure, NoConnection):
            raise failure

    def _tell(self, path: str, entries: list[Entry], until: float, stop: Event) -> None:
        claimed = [entry for entry in entries if self._queue.claim(entry)]
        try:
            self._post(path, claimed, until, stop)
        finally:
            if self._queue.release(claimed):
                self._on_disk(self._queue.save)

    def _post(self, path: str, entries: list[Entry], until: float, stop: Event) -> None:
        """Make one request; where it is refused for good, find out by halves for which events."""
        if not entries:
            return
        left_s = until - self._monotonic()
        try:
            self._client.post(path, KIND, _body_of(entries), total_s=left_s, cancel=stop)
        except CloudRefused as refusal:
            if refusal.status not in _FOR_GOOD:
                raise
            if len(entries) == 1 or refusal.status == HTTPStatus.NOT_FOUND:
                self._refused(entries, refusal)
                return
            middle = len(entries) // 2
            self._post(path, entries[:middle], until, stop)
            self._post(path, entries[middle:], until, stop)
        else:
            self._delivered(entries)

    # -- the books ----------------------------------------------------------------------

    def _delivered(self, entries: list[Entry]) -> None:
        self._board.cleared(KIND)
        for entry in entries:
            self._on_disk(partial(self._queue.delivered, entry))

    def _refused(self, entries: list[Entry], refusal: CloudRefused) -> None:
        self._troubled = True
        self._board.failed(KIND, refusal)
        for entry in entries:
            self._on_disk(partial(self._set_aside, entry, refusal))

    def _set_aside(self, entry: Entry, refusal: CloudRefused) -> None:
        if self._queue.refused(entry, refusal.status, refusal.reply):
            log.error(
                "The cloud refused an event for good (%s: %s); it is kept in %s. "
                "See: boundless queue list --of events --rejected",
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
                f"({error.strerror or error}). {self._queue.unsaved} events of plans wait in "
                "memory; free space or mend the disk, and keep the node running until then."
            )
            news = self._board.failed(_DISK, message)
            log.log(logging.ERROR if news else logging.DEBUG, "%s", message)
        else:
            if not self._queue.unsaved:
                self._board.cleared(_DISK)
        self._board.put(
            queued_events=len(self._queue),
            evicted_events=self._queue.evicted.count(),
            rejected_events=self._queue.rejected.count(),
            damaged_events=self._queue.file.damaged,
        )

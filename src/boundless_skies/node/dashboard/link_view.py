"""The link's page: whether the cloud answers, what waits for it, and what it sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.schedule.work import Work
from cloud_communicator.arrayfile import Reading
from cloud_communicator.disk import Ledger
from cloud_communicator.retryqueue import (
    DROPPED_NAME,
    EVICTED_NAME,
    QUEUE_NAME,
    REJECTED_NAME,
    RetryQueue,
)

BOOKS = {
    "evicted": (EVICTED_NAME, "The queue was full, so that the oldest had to leave it."),
    "rejected": (REJECTED_NAME, "The cloud refused them three times."),
    "dropped": (DROPPED_NAME, "Taken out of the queue by hand."),
}
SHOWN_MAX = 20
_UNIX_EPOCH_JD = 2_440_587.5
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Book:
    """Measurements that left the queue another way than by delivery."""

    name: str
    meaning: str
    count: int
    newest: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class LinkView:
    """All that the page shows."""

    now: datetime
    headline: str
    enabled: bool
    link: Mapping[str, Any]
    beat_at: datetime | None
    cloud_url: str
    queued: int
    oldest_age_s: float | None
    waiting: list[dict[str, Any]]
    books: list[Book]
    interrupts: tuple[Work, ...]
    events_unsent: int
    events_rejected: int
    frames: Mapping[str, int]
    trouble: str


def link_view(desk: Desk) -> LinkView:
    """Return what the page of the link shows."""
    status = desk.status()
    link = dict(status.get("link") or {})
    trouble = ""
    try:
        waiting, books = _waiting(desk.folder), [_book(desk.folder, name) for name in BOOKS]
    except OSError as error:
        waiting, books = [], []
        trouble = f"The queue in {desk.folder} cannot be read: {error.strerror or error}."
    return LinkView(
        now=desk.now(),
        headline=_headline(link, enabled=bool(desk.config["cloud"]["enabled"])),
        enabled=bool(desk.config["cloud"]["enabled"]),
        link=link,
        beat_at=_instant(link.get("last_heartbeat_at")),
        cloud_url=str(desk.config["cloud"]["url"]),
        queued=max(len(waiting), int(link.get("queued_uploads") or 0)),
        oldest_age_s=_oldest_age_s(waiting, desk.now().timestamp()),
        waiting=waiting[:SHOWN_MAX],
        books=books,
        interrupts=desk.store.interrupts(),
        # Those that the link has taken from the schedule wait in its own queue.
        events_unsent=len(desk.store.unsent_events()) + int(link.get("queued_events") or 0),
        events_rejected=int(link.get("rejected_events") or 0),
        frames=status.get("frames") or {},
        trouble=trouble,
    )


def replay(folder: Path, name: str) -> tuple[int, int]:
    """Bring the measurements of a book back into the queue.

    Parameters
    ----------
    folder : Path
        The data folder.
    name : str
        A key of :data:`BOOKS`.

    Returns
    -------
    tuple of int
        How many came back, and of how many.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    queue = RetryQueue(folder)
    ledger: Ledger = getattr(queue, name)
    wanted = len(ledger.records())
    return queue.replay(ledger, lambda _: True), wanted


def _instant(told: object) -> datetime | None:
    return datetime.fromisoformat(told) if isinstance(told, str) else None


def _headline(link: Mapping[str, Any], *, enabled: bool) -> str:
    if not enabled:
        return "This node takes no part in the network: cloud.enabled is false."
    if link.get("error"):
        return str(link["error"])
    if not link.get("registered"):
        return "This node is not registered with the cloud yet; it tries with every beat."
    if link.get("last_heartbeat_ok") is None:
        return "The first beat has not been answered yet."
    if not link["last_heartbeat_ok"]:
        return "The last beat was not answered. What is measured waits on disk."
    return "The cloud answers."


def _waiting(folder: Path) -> list[dict[str, Any]]:
    path = folder / QUEUE_NAME
    # Read without the lock: an entry that is being written shows a moment later.
    reading = Reading(path.read_bytes() if path.exists() else b"", "measurement")
    return [_measurement(entry.payload()) for entry in reading.entries]


def _book(folder: Path, name: str) -> Book:
    file, meaning = BOOKS[name]
    records = Ledger(folder / file).records()
    newest = [
        _measurement(record.get("payload")) | {"why": record.get("reply") or record.get("why")}
        for record in records[-SHOWN_MAX:]
    ]
    return Book(name=name, meaning=meaning, count=len(records), newest=newest[::-1])


def _measurement(payload: Any) -> dict[str, Any]:
    inner = payload.get("measurement", payload) if isinstance(payload, Mapping) else None
    return dict(inner) if isinstance(inner, Mapping) else {}


def _oldest_age_s(waiting: list[dict[str, Any]], now_s: float) -> float | None:
    """Return how long ago the oldest waiting measurement was exposed (s)."""
    times = [float(one["bjd"]) for one in waiting if isinstance(one.get("bjd"), int | float)]
    if not times:
        return None
    now_jd = _UNIX_EPOCH_JD + now_s / _DAY_S
    return max(0.0, (now_jd - min(times)) * _DAY_S)

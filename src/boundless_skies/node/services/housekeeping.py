"""What keeps a node's disk from filling up: old frames go where the owner said so, old plans too.

A frame goes only if this node wrote it, its owner has not changed it since, it has been
measured, and nothing of it waits for the cloud.
"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from boundless_skies.node.errors import NodeError
from boundless_skies.node.schedule.work import ExposureRecord
from boundless_skies.node.storage.ledger import FrameFile, Ledger
from boundless_skies.node.storage.schedule import ScheduleStore
from cloud_communicator.arrayfile import Reading
from cloud_communicator.disk import Ledger as Book
from cloud_communicator.disk import file_lock
from cloud_communicator.images import QUEUE_NAME as IMAGES_NAME
from cloud_communicator.retryqueue import EVICTED_NAME
from cloud_communicator.retryqueue import QUEUE_NAME as MEASUREMENTS_NAME

log = logging.getLogger(__name__)

PERIOD_S = 3_600.0
"""Time between two rounds (s)."""
REMEMBERED = timedelta(days=60)
"""So long the schedule remembers a plan; longer where a frame of it is still there."""

# A file is written before it is told of; what changed later, somebody else has changed.
_AFTER_ITS_RECORD = timedelta(seconds=2)


class Housekeeping:
    """Removes what is old, about once an hour.

    Parameters
    ----------
    folder : Path
        The data folder, with the link's queues.
    store : ScheduleStore
        Knows which frames this node wrote.
    ledger : Ledger
        Knows which of them are measured.
    link_status : Mapping
        The link's status: how much waits, in memory too.
    keep_days : int
        After how many days a frame is removed; 0 for never.
    cloud_on : bool
        Whether measurements wait for the cloud at all.
    now : callable
        Gives the time as an aware datetime.
    """

    def __init__(
        self,
        *,
        folder: Path,
        store: ScheduleStore,
        ledger: Ledger,
        link_status: Mapping[str, Any],
        keep_days: int,
        cloud_on: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._store = store
        self._ledger = ledger
        self._link_status = link_status
        self._keep_days = keep_days
        self._done = {"handed", "refused"} if cloud_on else {"handed", "refused", "measured"}
        self._now = now

    def run(self, stop: threading.Event) -> None:
        """Tidy up now and about once an hour, until ``stop`` is set."""
        while not stop.is_set():
            try:
                self.tidy()
            except (NodeError, OSError) as error:
                log.warning("Nothing old is removed for now: %s", error)
            except Exception:
                log.exception("Unexpected trouble in removing what is old; the node goes on.")
            stop.wait(PERIOD_S)

    def tidy(self) -> int:
        """Remove old frames, then forget old plans; return how many frames were removed.

        Raises
        ------
        NodeError
            If the schedule or the list of frames cannot be used.
        OSError
            If the link's queues cannot be read; then nothing is removed.
        """
        removed = self._remove_frames() if self._keep_days else 0
        before = self._now() - REMEMBERED
        self._store.forget(before, lambda path: Path(path).exists())
        self._ledger.forget(before)
        return removed

    def _remove_frames(self) -> int:
        old = self._store.frames_until(self._now() - timedelta(days=self._keep_days))
        present = [record for record in old if Path(record.path).exists()]
        waiting = self._waiting() if present else None
        if waiting is None:
            return 0
        sizes = [self._remove(record, waiting) for record in present]
        count = sum(size is not None for size in sizes)
        if count:
            log.info(
                "%d frames older than %d days are removed, %.1f GB (schedule.keep_frames).",
                count,
                self._keep_days,
                sum(size or 0 for size in sizes) / 1e9,
            )
        return count

    def _remove(self, record: ExposureRecord, waiting: Collection[str]) -> int | None:
        """Remove a frame that is done with; return its size where it is gone."""
        path = Path(record.path)
        try:
            found = path.lstat()  # a link in its place is no frame that the ledger knows
            is_done = self._is_done(record, found.st_mtime_ns, found.st_size)
            if path.name in waiting or not is_done:
                return None
            path.unlink()
        except OSError as error:
            log.warning("%s cannot be removed: %s.", path, error.strerror or error)
            return None
        return found.st_size

    def _is_done(self, record: ExposureRecord, mtime_ns: int, size: int) -> bool:
        is_ours = mtime_ns / 1e9 <= (record.at + _AFTER_ITS_RECORD).timestamp()
        frame = FrameFile(mtime_ns, str(Path(record.path).absolute()), size)
        return is_ours and self._ledger.state(frame) in self._done

    def _waiting(self) -> set[str] | None:
        """Return the names of frames of which something waits; None where not all can be told."""
        measured = _payloads(self._folder / MEASUREMENTS_NAME, "measurement")
        images = _payloads(self._folder / IMAGES_NAME, "path")
        told = int(self._link_status["queued_uploads"]), int(self._link_status["queued_images"])
        if told[0] > len(measured) or told[1] > len(images):
            return None  # some wait in memory, for a disk that takes nothing
        evicted = [record.get("payload") for record in Book(self._folder / EVICTED_NAME).records()]
        names = {_frame_of(payload) for payload in (*measured, *evicted)}
        return names | {Path(str(payload.get("path", ""))).name for payload in images}


def _payloads(path: Path, hallmark: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with file_lock(path.with_suffix(".lock")):
        content = path.read_bytes()
    return [entry.payload() for entry in Reading(content, hallmark).entries]


def _frame_of(payload: Any) -> str:
    inner = payload.get("measurement", payload) if isinstance(payload, Mapping) else None
    return Path(str(inner.get("fits_file", ""))).name if isinstance(inner, Mapping) else ""

"""Finds finished frames in a folder that a telescope writes into.

The system's file events wake it at once; a look at the whole folder every few
seconds finds what they don't tell of (network folders, a share mounted later).
A file is due once it has kept its size and time for a while.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from boundless_skies.node.frame_names import is_frame_name
from boundless_skies.node.storage.ledger import FrameFile

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

_LEAST_PAUSE_S = 0.05


@dataclass
class _Settling:
    frame: FrameFile
    due_at_s: float


class FolderWatch(FileSystemEventHandler):
    """Watches one folder.

    Parameters
    ----------
    folder : Path
        The folder; it may be missing and come later.
    patterns : list of str
        Shell patterns of file names; case makes no difference.
    recursive : bool
        Whether to look into the folders inside it.
    settle_s : float
        How long a file must stay unchanged (s).
    poll_s : float
        Time between looks at the whole folder (s).
    knows : callable
        Tells whether a frame is done; it is then never due.
    clock : callable
        Monotonic time (s).
    """

    def __init__(
        self,
        folder: Path,
        *,
        patterns: list[str],
        recursive: bool,
        settle_s: float,
        poll_s: float,
        knows: Callable[[FrameFile], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.folder = folder.expanduser().absolute()
        self.missing = False
        self._patterns = patterns
        self._recursive = recursive
        self._settle_s = settle_s
        self._poll_s = poll_s
        self._knows = knows
        self._clock = clock
        self._settling: dict[str, _Settling] = {}
        self._touched: set[str] = set()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._next_look_s = clock()
        self._observer: BaseObserver | None = None

    @property
    def settling(self) -> int:
        """How many files are not yet known to be finished."""
        return len(self._settling)

    def stop(self) -> None:
        """End the listening for file events."""
        self._woken.set()
        if self._observer is not None:
            self._observer.stop()
            self._observer = None

    def wake(self) -> None:
        """End a :meth:`wait` early."""
        self._woken.set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note a file that the system told of (called by watchdog's thread)."""
        if event.is_directory or event.event_type not in {"created", "modified", "moved", "closed"}:
            return
        with self._lock:
            self._touched.add(os.fsdecode(event.dest_path or event.src_path))
        self._woken.set()

    def due(self) -> list[FrameFile]:
        """Return the frames that are finished and not done, oldest first.

        A frame is returned again at every call until ``knows`` says that it is done, or
        :meth:`hold` puts it off.

        Returns
        -------
        list of FrameFile
            Finished frames.
        """
        now_s = self._clock()
        for path in self._candidates(now_s):
            self._note(path, now_s)
        return sorted(entry.frame for entry in self._settling.values() if entry.due_at_s <= now_s)

    def done(self, frame: FrameFile) -> None:
        """Forget a frame that is done."""
        entry = self._settling.get(frame.path)
        if entry is not None and entry.frame == frame:
            del self._settling[frame.path]

    def hold(self, frame: FrameFile, pause_s: float) -> None:
        """Let a frame be due again after a pause (s), or once it has changed."""
        entry = self._settling.get(frame.path)
        if entry is not None and entry.frame == frame:
            entry.due_at_s = self._clock() + pause_s

    def wait(self) -> None:
        """Sleep until something may be due: a file event, a file settled, the next look."""
        now_s = self._clock()
        until_s = min(
            [self._next_look_s, *(entry.due_at_s for entry in self._settling.values())],
        )
        self._woken.wait(max(until_s - now_s, _LEAST_PAUSE_S))
        self._woken.clear()

    def _candidates(self, now_s: float) -> set[str]:
        with self._lock:
            paths, self._touched = self._touched, set()
        paths = {path for path in paths if self._matches(path)} | set(self._settling)
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + self._poll_s
            self._listen()
            paths.update(self._files())
        return paths

    def _note(self, path: str, now_s: float) -> None:
        try:
            stat = Path(path).stat()
        except OSError:
            self._settling.pop(path, None)
            return
        frame = FrameFile(stat.st_mtime_ns, path, stat.st_size)
        known = self._settling.get(path)
        if known is not None and known.frame == frame:
            return
        if self._knows(frame):
            self._settling.pop(path, None)
        else:
            self._settling[path] = _Settling(frame, now_s + self._settle_s)

    def _matches(self, path: str) -> bool:
        return is_frame_name(Path(path).name, self._patterns)

    def _files(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.folder):
            if not self._recursive:
                folders.clear()
            for name in names:
                path = str(Path(folder, name))
                if self._matches(path):
                    yield path

    def _listen(self) -> None:
        """Start listening to file events, also after the folder was away."""
        there = self.folder.is_dir()
        if there and (self._observer is None or self.missing):
            self._start_observer()
        if self.missing == there:
            self.missing = not there
            tell = log.info if there else log.warning
            state = "is there" if there else "is not there (yet); looking for it again"
            tell("The folder %s %s.", self.folder, state)

    def _start_observer(self) -> None:
        self.stop()
        observer = Observer()
        try:
            observer.schedule(self, str(self.folder), recursive=self._recursive)
            observer.start()
        except OSError as error:
            log.info("No file events for %s (%s); it is looked at instead.", self.folder, error)
            with contextlib.suppress(RuntimeError):
                observer.stop()
            return
        self._observer = observer

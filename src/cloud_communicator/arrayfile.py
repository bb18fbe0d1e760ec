"""A JSON array on disk, one entry a line, that is changed in place and survives damage.

The file is plain JSON for everybody else: ``[``, one object a line, ``]``.
Three things make it durable and cheap (ADR 0003):

* An entry is added by one write at the tail, over the closing bracket.
* An entry is taken out by one write of spaces over it: JSON does not mind.
* Behind each entry stands a seal, its CRC-32 written in spaces and tabs, so
  that damage which still reads as JSON is seen as damage.
"""

import json
import logging
import os
import re
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Any

from boundless_skies.wire import canonical_json
from cloud_communicator.disk import (
    PRIVATE,
    file_lock,
    make_folder,
    replace_file,
    sync_folder,
    write_all,
)

log = logging.getLogger("cloud_communicator")

_OPEN = b"["
_CLOSE = b"\n]\n"
_EMPTY = b"[\n]\n"
_SEAL_BITS = 32
_SEAL_CHARS = 1 + _SEAL_BITS
_WORN_SIGNS = 2
_BLANKS = b" \t"
_BITS = bytes.maketrans(b"01", _BLANKS)
_SPACE = b" \t\r\n"
_STRUCTURE = _SPACE + b",[]"
_SPARE_BYTES = 65_536
_WRITTEN_TOGETHER = 50  # few, so that a nearly full disk still takes some
_MARK_BYTES = 16
ANY_NAME = "?" * 12  # pattern of the names under which damage is put aside
# What goes on with a key or a brace is no entry, but the beginning or the inside of a damaged one.
_GOES_ON = re.compile(rb'[ \t\r\n]*(?:\}|,?[ \t\r\n]*"[^"\\]*"[ \t\r\n]*:)')
_DECODER = json.JSONDecoder()


class Entry:
    """One entry: its canonical bytes, and where they stand in the file.

    Parameters
    ----------
    line : bytes
        Canonical JSON of the entry.
    start, end : int
        Extent in the file with the seal; -1 while the entry is in memory only.
    """

    __slots__ = ("end", "failures", "in_flight", "line", "refusals", "since", "start")

    def __init__(self, line: bytes, start: int = -1, end: int = -1) -> None:
        self.line = line
        self.start = start
        self.end = end
        self.failures = 0
        self.refusals = 0
        self.in_flight = False
        self.since = time.monotonic()  # when it came, or was found

    @property
    def saved(self) -> bool:
        """Whether the entry is on disk."""
        return self.start >= 0

    def payload(self) -> dict[str, Any]:
        """Return the entry as a dict."""
        value: dict[str, Any] = json.loads(self.line)
        return value


def seal(line: bytes) -> bytes:
    """Return the CRC-32 of a line as a tab and 32 spaces (0) and tabs (1)."""
    return b"\t" + f"{zlib.crc32(line):032b}".encode("ascii").translate(_BITS)


class _Fit(Enum):
    """How what stands behind an entry fits to it."""

    WHOLE = auto()
    WORN = auto()  # the seal itself is damaged, the entry is as it was
    CHANGED = auto()
    UNSEALED = auto()


def _fit(found: bytes, line: bytes) -> _Fit:
    """Compare a seal with the entry before it."""
    right = seal(line)
    if found == right:
        return _Fit.WHOLE
    wrong = [sign for sign, meant in zip(found, right, strict=False) if sign != meant]
    others = sum(sign not in _BLANKS for sign in wrong)
    if len(found) < _SEAL_CHARS or others > _WORN_SIGNS:
        return _Fit.UNSEALED
    if len(wrong) == max(others, 1):
        return _Fit.WORN
    return _Fit.CHANGED if found[:1] == right[:1] else _Fit.UNSEALED


class Reading:
    """What a file's bytes turned out to hold.

    Attributes
    ----------
    entries : list of Entry
        All whole entries, in order.
    damaged : list of bytes
        What could not be read, each run of bytes on its own.
    sound : bool
        Whether the file can be changed in place as it stands.
    """

    def __init__(self, data: bytes, hallmark: str) -> None:
        self.entries: list[Entry] = []
        self.damaged: list[bytes] = []
        self._data = data
        self._text = data.decode("latin-1")
        self._hallmark = hallmark
        self._foreign = False
        self._scan()
        self.sound = self._is_sound()

    def _scan(self) -> None:
        done, at = 0, self._text.find("{")
        while at >= 0:
            end = self._entry_end(at, self._between(done, at))
            if end:
                self._put_aside(done, at)
                done = end
            at = self._text.find("{", max(done, at + 1))
        self._put_aside(done, len(self._data))

    def _between(self, start: int, end: int) -> bool:
        return not self._data[start:end].strip(_STRUCTURE)

    def _put_aside(self, start: int, end: int) -> None:
        if not self._between(start, end):
            self.damaged.append(self._data[start:end].strip(_SPACE))

    def _entry_end(self, at: int, follows_structure: bool) -> int:
        """Return where an entry that begins here ends with its seal; 0 if none does."""
        try:
            _, end = _DECODER.raw_decode(self._text, at)
        except (ValueError, RecursionError):
            return 0
        line = self._data[at:end]
        found = self._data[end : end + _SEAL_CHARS]
        fit = _fit(found, line)
        if fit is _Fit.WHOLE:
            self.entries.append(Entry(line, at, end + _SEAL_CHARS))
            return end + _SEAL_CHARS
        if fit is _Fit.UNSEALED:
            line = self._unsealed(at, end, follows_structure)
        if fit is _Fit.CHANGED or not line:
            return 0
        self.entries.append(Entry(line, at, end))
        self._foreign = True
        return end + len(found) - len(found.lstrip(_BLANKS))

    def _unsealed(self, at: int, end: int, follows_structure: bool) -> bytes:
        """Return an entry that others wrote; none if this is but a part of a damaged one."""
        if _GOES_ON.match(self._data, end):
            return b""
        try:
            value = json.loads(self._data[at:end])
            line = canonical_or_near(value)
        except (ValueError, RecursionError):
            return b""
        marked = isinstance(value.get(self._hallmark), dict | str)
        return line if marked or (value and follows_structure) else b""

    def _is_sound(self) -> bool:
        if self._foreign or self.damaged or not self._data.endswith(_CLOSE):
            return False
        if any(self._data[entry.end : entry.end + 1] != b"," for entry in self.entries[:-1]):
            return False
        try:
            return isinstance(json.loads(self._data), list)
        except (ValueError, RecursionError):
            return False


def canonical_or_near(value: Any) -> bytes:
    """Return the canonical bytes of what others wrote, NaN included where they wrote it.

    Parameters
    ----------
    value : Any
        A JSON value.

    Returns
    -------
    bytes
        ASCII JSON on one line; what a NaN in it means, the cloud shall say.
    """
    try:
        return canonical_json(value)
    except ValueError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


class ArrayFile:
    """A durable JSON array of objects.

    All methods may be called from any thread; other processes may work on the
    same file at the same time.

    Parameters
    ----------
    path : Path
        The file. It and its folder are made when the first entry comes.
    hallmark : str
        A key that each entry has: it tells an entry from a part of a damaged one.

    Attributes
    ----------
    entries, unsaved : list of Entry
        What is on disk, and what waits for it.
    missed : list of bytes
        What was removed here and had been taken out by another process before.
    damaged : int
        How many pieces of damage are put aside.
    """

    def __init__(self, path: Path, hallmark: str) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.unsaved: list[Entry] = []
        self.missed: list[bytes] = []
        self.damaged = 0
        self._hallmark = hallmark
        self._lock_path = path.with_suffix(".lock")
        self._mark = secrets.token_bytes(_MARK_BYTES)
        self._mutex = RLock()
        self._depth = 0
        self._descriptor = -1
        self._size = 0
        self._stale = False
        self._gone: list[bytes] = []
        self._unkept: list[bytes] = []

    # -- reading ------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file against other threads and processes, in step with what they wrote."""
        with self._mutex:
            if self._depth:
                yield
                return
            make_folder(self.path.parent)
            with file_lock(self._lock_path) as lock:
                self._depth += 1
                try:
                    self._keep_in_step(lock)
                    yield
                finally:
                    self._depth -= 1

    def all_entries(self) -> list[Entry]:
        """Return the entries in order, those that wait for the disk last."""
        with self._mutex:
            return self.entries + self.unsaved

    def load(self) -> None:
        """Read the file if there is one; damage is put aside and never overwritten.

        Raises
        ------
        OSError
            If the disk refuses to be written where damage must be put aside; what
            could be read is then in memory all the same.
        """
        with self._mutex:
            if not self.path.exists():
                return
            self.damaged = self._count_damaged()
            try:
                with self.locked():
                    pass
            except OSError:
                if self._descriptor < 0:
                    self._read_only()
                raise

    def _read_only(self) -> None:
        with suppress(OSError):
            self.entries = Reading(self.path.read_bytes(), self._hallmark).entries
            self._stale = True

    def _keep_in_step(self, lock: int) -> None:
        """Read the file again if others changed it; write it anew if it is not as it should be."""
        others = os.pread(lock, _MARK_BYTES, 0) != self._mark
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._begin()
        else:
            same = self._descriptor >= 0 and os.fstat(self._descriptor).st_ino == stat.st_ino
            if others or not same or stat.st_size != self._size:
                self._read()
            elif self._stale:
                self._rewrite()
        if others:  # only now: who leaves the mark knows what is in the file
            write_all(lock, self._mark, 0)

    def _begin(self) -> None:
        if self._descriptor >= 0 and self.entries:
            log.warning("%s was taken away with %d entries in it.", self.path, len(self.entries))
        self.entries, self._gone, self._stale = [], [], False
        self._close()

    def _read(self) -> None:
        self._close()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            data = _read_all(descriptor)
            os.fchmod(descriptor, PRIVATE)
        except OSError:
            os.close(descriptor)
            raise
        sync_folder(self.path.parent)  # a kill may have come between a rename and its sync
        self._descriptor, self._size = descriptor, len(data)
        reading = Reading(data, self._hallmark)
        self._take(reading.entries)
        self._stale = not reading.sound or bool(self._gone)
        self._unkept = reading.damaged
        if self._stale:
            self._rewrite()

    def _take(self, found: list[Entry]) -> None:
        """Take over what was read, less what was removed while the disk refused to know it."""
        for line in self._gone:
            if gone := next((entry for entry in found if entry.line == line), None):
                found.remove(gone)
            else:
                self.missed.append(line)
        before = {entry.line: entry for entry in self.entries}
        self.entries = []
        for entry in found:  # those who hold an entry go on holding the same
            known = before.pop(entry.line, entry)
            known.start, known.end = entry.start, entry.end
            self.entries.append(known)

    def _keep_damage(self) -> None:
        if not self._unkept:
            return
        for piece in self._unkept:
            name = f"{self.path.name}.damaged-{sha256(piece).hexdigest()[: len(ANY_NAME)]}"
            replace_file(self.path.with_name(name), piece)
        log.error(
            "%s was damaged: %d entries are whole and kept, %d damaged pieces are put aside "
            "beside it as %s.damaged-…",
            self.path,
            len(self.entries),
            len(self._unkept),
            self.path.name,
        )
        self._unkept = []
        self.damaged = self._count_damaged()

    def _count_damaged(self) -> int:
        with suppress(OSError):
            return sum(1 for _ in self.path.parent.glob(f"{self.path.name}.damaged-{ANY_NAME}"))
        return 0

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = -1, 0

    def close(self) -> None:
        """Let go of the file."""
        with self._mutex:
            self._close()

    # -- writing ------------------------------------------------------------------------

    def append(self, line: bytes) -> Entry:
        """Add an entry: durable on return, or in memory with the disk's error raised.

        Parameters
        ----------
        line : bytes
            Canonical JSON of the entry.

        Returns
        -------
        Entry
            The new last entry.

        Raises
        ------
        OSError
            If the disk refuses; the entry is then among ``unsaved``.
        """
        return self.append_all([line])[0]

    def append_all(self, lines: Iterable[bytes]) -> list[Entry]:
        """Add entries in order, many with one sync; else as `append`.

        Parameters
        ----------
        lines : iterable of bytes
            Canonical JSON of each entry.

        Returns
        -------
        list of Entry
            The new last entries.

        Raises
        ------
        OSError
            If the disk refuses; what is not on it is then among ``unsaved``.
        """
        with self._mutex:
            entries = [Entry(line) for line in lines]
            self.unsaved += entries
            self.save()
            return entries

    def save(self) -> None:
        """Get in step with the disk: what waits goes there, what others wrote comes from it.

        Raises
        ------
        OSError
            If the disk still refuses.
        """
        with self._mutex:
            if not self.unsaved and not self.path.exists():
                return
            with self.locked():
                while some := self.unsaved[:_WRITTEN_TOGETHER]:
                    self._write_at_tail(some)
                    self.entries += some
                    del self.unsaved[: len(some)]

    def remove(self, entry: Entry) -> None:
        """Take an entry out; raises OSError if only memory could be told.

        Parameters
        ----------
        entry : Entry
            One of this file's entries; one that is gone already is noted in ``missed``.
        """
        with self._mutex:
            if entry in self.unsaved:
                self.unsaved.remove(entry)
                return
            with self._even_if_disk_fails(entry), self.locked():
                current = self._current(entry)
                if current is None:
                    self.missed.append(entry.line)
                else:
                    self._blank(current)

    @contextmanager
    def _even_if_disk_fails(self, entry: Entry) -> Iterator[None]:
        try:
            yield
        except OSError:
            if entry in self.entries:
                self.entries.remove(entry)
            self._gone.append(entry.line)
            self._stale = True
            raise

    def claim(self, entry: Entry) -> bool:
        """Mark an entry as in flight; False if it has been taken out meanwhile."""
        with self._mutex:
            entry.in_flight = entry in self.entries or entry in self.unsaved
            return entry.in_flight

    def holds(self, entry: Entry) -> bool:
        """Tell whether an entry, or one equal to it, is still here."""
        with self._mutex:
            return entry in self.unsaved or self._current(entry) is not None

    def forget_unsaved(self, line: bytes) -> None:
        """Give up the newest entry that waits in memory with this line: it is on disk elsewhere."""
        with self._mutex:
            newest = next((e for e in reversed(self.unsaved) if e.line == line), None)
            if newest is not None:
                self.unsaved.remove(newest)

    def _current(self, entry: Entry) -> Entry | None:
        """Find an entry after the file may have been read again: then it is another object."""
        if entry in self.entries:
            return entry
        return next((e for e in self.entries if e.line == entry.line), None)

    def sync(self) -> None:
        """Make removals durable."""
        with self._mutex:
            if self._descriptor >= 0:
                os.fdatasync(self._descriptor)

    def _write_at_tail(self, entries: list[Entry]) -> None:
        if self._descriptor < 0:
            self._create()
        tail = self._size - len(_CLOSE)
        before = b",\n" if self.entries else b"\n"
        sealed = [entry.line + seal(entry.line) for entry in entries]
        core = before + b",\n".join(sealed)
        try:
            write_all(self._descriptor, core + _CLOSE, tail)
            os.fdatasync(self._descriptor)
        except OSError:
            self._restore_tail(tail)
            raise
        at = tail + len(before)
        for entry, written in zip(entries, sealed, strict=True):
            entry.start, entry.end = at, at + len(written)
            at = entry.end + len(b",\n")
        self._size = tail + len(core) + len(_CLOSE)

    def _restore_tail(self, tail: int) -> None:
        """Close the array again where it ended; needs no room, unlike writing it anew."""
        self._stale = True
        with suppress(OSError):
            write_all(self._descriptor, _CLOSE, tail)
            os.ftruncate(self._descriptor, tail + len(_CLOSE))
            os.fdatasync(self._descriptor)
            self._stale = False

    def _create(self) -> None:
        replace_file(self.path, _EMPTY)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._size = len(_EMPTY)

    def _blank(self, entry: Entry) -> None:
        place = self.entries.index(entry)
        if place == len(self.entries) - 1:
            self._close_at(self.entries[place - 1].end if place else len(_OPEN))
        else:
            end = entry.end + 1  # with the comma behind it
            write_all(self._descriptor, b" " * (end - entry.start), entry.start)
        del self.entries[place]
        with suppress(OSError):  # it is taken out; the room that it took can be had back later
            self._tidy()

    def _close_at(self, end: int) -> None:
        """End the array here; what stood behind is blank, and so JSON, before it is cut off."""
        self._stale = True
        write_all(self._descriptor, _CLOSE + b" " * (self._size - end - len(_CLOSE)), end)
        os.ftruncate(self._descriptor, end + len(_CLOSE))
        self._size = end + len(_CLOSE)
        self._stale = False

    def _tidy(self) -> None:
        live = sum(len(entry.line) for entry in self.entries)
        if self._size > 2 * live + _SPARE_BYTES:
            self._rewrite()

    def _rewrite(self) -> None:
        """Write the file anew from memory, in place of the old one."""
        self._keep_damage()
        lines = [entry.line + seal(entry.line) for entry in self.entries]
        replace_file(self.path, _OPEN + b",".join(b"\n" + line for line in lines) + _CLOSE)
        at = len(_OPEN)
        for entry, line in zip(self.entries, lines, strict=True):
            entry.start, entry.end = at + 1, at + 1 + len(line)
            at = entry.end + 1
        self._close()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._size = os.fstat(self._descriptor).st_size
        self._stale, self._gone = False, []


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)

"""Writes that survive a power cut, in files that only their owner reads."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOLCK, ENOSYS, EOPNOTSUPP, EWOULDBLOCK
from pathlib import Path
from typing import Any

log = logging.getLogger("cloud_communicator")

PRIVATE = 0o600
_LOCK_WAIT_S = 0.9
_LOCK_STEP_S = 0.005
# What file systems without locks answer, as some network ones: there a node works alone.
_NO_LOCKS = frozenset({ENOLCK, ENOSYS, EOPNOTSUPP})


def sync_folder(folder: Path) -> None:
    """Make a file's new name in its folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents durably, if they are not there."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    sync_folder(folder.parent)


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write every byte at a place; a short write goes on, and ends in its error."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def replace_file(path: Path, data: bytes) -> None:
    """Put new contents under a name at once, durably: the old file or the new, never a mix.

    Parameters
    ----------
    path : Path
        The file; its folder is made if need be.
    data : bytes
        New contents.

    Raises
    ------
    OSError
        If the disk refuses; the old file is then untouched.
    """
    make_folder(path.parent)
    temporary = path.with_name(f"{path.name}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        try:
            write_all(descriptor, data, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def file_lock(path: Path) -> Iterator[int]:
    """Hold a lock that other processes respect; a killed holder leaves none behind.

    Parameters
    ----------
    path : Path
        The lock's file.

    Yields
    ------
    int
        The lock file's descriptor, while the lock is held.

    Raises
    ------
    OSError
        If the file cannot be made, or another program holds the lock for about a second.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        _wait_for_lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path) -> None:
    give_up = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise OSError(EWOULDBLOCK, "another program holds the lock", str(path)) from None
            time.sleep(_LOCK_STEP_S)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            raise
        else:
            return


class Ledger:
    """An append-only file of JSON records, one a line, each durable on return.

    Parameters
    ----------
    path : Path
        The file; made at the first record.
    max_bytes : int, optional
        The size above which the older half of the records is let go.
    """

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._seen: tuple[int, int] | None = None
        self._count = 0

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; raises OSError if the disk refuses."""
        line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        new = not self.path.exists()
        if new:
            make_folder(self.path.parent)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # the last record was torn; it keeps its own line
            try:
                write_all(descriptor, line, size)
                os.fdatasync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if new:
            sync_folder(self.path.parent)
        if self._max_bytes is not None and size + len(line) > self._max_bytes:
            with suppress(OSError):  # the record is there; the room can be had back later
                self._let_go_of_older_half()

    def _let_go_of_older_half(self) -> None:
        records = self.records()
        self.keep_only(records[len(records) // 2 :])
        log.warning("%s was full; the older half of its records is let go.", self.path)

    def records(self) -> list[dict[str, Any]]:
        """Return all whole records, oldest first; torn lines are passed over.

        Returns
        -------
        list of dict
            The records; none if there is no file.

        Raises
        ------
        OSError
            If there is a file and it cannot be read: that is not the same as none.
        """
        return [record for record, _ in self._lines() if record is not None]

    def count(self) -> int:
        """Count the records; the file is read again only when it has changed."""
        try:
            stat = self.path.stat()
        except OSError:
            return 0
        if self._seen != (stat.st_ino, stat.st_size):
            with suppress(OSError):
                self._count = len(self.records())
                self._seen = (stat.st_ino, stat.st_size)
        return self._count

    def keep_only(self, wanted: list[dict[str, Any]]) -> None:
        """Write the file anew with these records and the torn lines that it had."""
        torn = [line for record, line in self._lines() if record is None]
        lines = torn + [json.dumps(r, separators=(",", ":")).encode("ascii") for r in wanted]
        replace_file(self.path, b"".join(line + b"\n" for line in lines))

    def _lines(self) -> Iterator[tuple[dict[str, Any] | None, bytes]]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        for line in data.splitlines():
            if line.strip():
                yield _record(line), line


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None

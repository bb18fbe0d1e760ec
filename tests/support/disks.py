"""Disks that are really full and really read-only: small ones of our own, where root allows it."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_MS_RDONLY = 1
_MS_REMOUNT = 32
_MS_BIND = 4096
_MNT_DETACH = 2
_PAGE_BYTES = 4096
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _mount(source: Path | str, target: Path, kind: str, flags: int, data: str = "") -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode(), flags, data.encode())
    _check(_libc.mount(*arguments), f"mount {target}")


def _unmount(target: Path) -> None:
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


class SmallDisk:
    """A memory disk that can be filled up, and whose folders can become read-only.

    Parameters
    ----------
    root : Path
        Where it is mounted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filler = root / "filler"
        self._shut: Path | None = None

    def fill(self, but_bytes: int = 0) -> None:
        """Leave no room, but for so many bytes."""
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            with suppress(OSError):
                while True:
                    os.write(descriptor, bytes(_PAGE_BYTES))
            room = os.fstat(descriptor).st_size - but_bytes // _PAGE_BYTES * _PAGE_BYTES
            os.ftruncate(descriptor, max(0, room))
        finally:
            os.close(descriptor)

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def shut(self, folder: Path) -> None:
        """Make a folder read-only, as a card that has failed: nothing can be opened for writing."""
        _mount(folder, folder, "", _MS_BIND)
        _mount("none", folder, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
        self._shut = folder

    def open(self) -> None:
        """Make the folder writable again."""
        if self._shut is not None:
            _unmount(self._shut)
            self._shut = None

    def mend(self) -> None:
        """Make it a good disk again."""
        self.open()
        self.free()


@contextmanager
def small_disk(root: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a small disk; skips the test where that is not permitted."""
    root.mkdir()
    try:
        _mount("none", root, "tmpfs", 0, f"size={size_bytes}")
    except OSError as error:
        pytest.skip(f"needs the right to mount a small disk ({error})")
    disk = SmallDisk(root)
    try:
        yield disk
    finally:
        with suppress(OSError):
            disk.mend()
        _unmount(root)

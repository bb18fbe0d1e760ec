"""The node's data folder, and the lock that keeps a second node out of it."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from boundless_skies.node.errors import NodeError

LOCK_NAME = "node.lock"
_TRIES = 5
_PAUSE_S = 0.1


class DataFolderError(NodeError):
    """The data folder cannot be used."""


class NodeAlreadyRunning(NodeError):  # noqa: N818 - the name says the fault
    """Another node works in this data folder."""


def make_data_folder(folder: Path) -> Path:
    """Create the data folder where it is missing, and try that it can be written.

    Parameters
    ----------
    folder : Path
        ``cloud.data_dir`` of the config.

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    DataFolderError
        If it cannot be made or written; the message says what to do.
    """
    folder = folder.expanduser().absolute()
    probe = folder / f".writable-{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise DataFolderError(
            f"The data folder {folder} cannot be written: {error.strerror}. Let this user write "
            "there, or name another folder under cloud.data_dir in the config."
        ) from None
    return folder


class FolderLock:
    """One running node per data folder; the kernel gives it up with the process.

    Parameters
    ----------
    folder : Path
        The data folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock, or raise :class:`NodeAlreadyRunning`."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not self._taken():
            os.close(self._file)
            raise NodeAlreadyRunning(
                f"A node already runs with the data folder {self._path.parent}. "
                "See how it does with: boundless node status"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock up."""
        if self._file is not None:
            os.close(self._file)

    def _taken(self) -> bool:
        # `boundless node status` holds the lock for an instant when it asks; hence the tries.
        for _ in range(_TRIES):
            if _try_lock(self._file or 0, fcntl.LOCK_EX):
                return True
            time.sleep(_PAUSE_S)
        return False


def node_runs(folder: Path) -> bool:
    """Tell whether a node runs with this data folder."""
    try:
        file = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try_lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _try_lock(file: int, mode: int) -> bool:
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

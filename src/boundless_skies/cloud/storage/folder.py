"""The data folder: made for its owner alone, and tried before anything depends on it."""

import os
import tempfile
from pathlib import Path

from boundless_skies.cloud.domain.errors import CloudError

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class UnusableFolder(CloudError):  # noqa: N818 - named after what happened
    """The data folder cannot be made, read or written."""


def prepare(folder: Path) -> None:
    """Make the data folder (0700) where it is missing, and try to write in it.

    Raises
    ------
    UnusableFolder
        If that fails, with what to do.
    """
    try:
        if not folder.is_dir():
            folder.mkdir(mode=FOLDER_MODE, parents=True)
            sync_directory(folder.parent)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"?")
    except OSError as error:
        raise UnusableFolder(
            f"The data folder {folder} cannot be written: {error.strerror or error}. "
            "Give yourself the right to write there, or name another with --data."
        ) from None


def touch_private(file: Path) -> None:
    """Create a file that only its owner can read (0600); one that is there is left alone."""
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, FILE_MODE))


def sync_directory(folder: Path) -> None:
    """Make a rename or a new file in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Image files below the data folder, and the queries about them.

A file's name is made here; what a client calls it is kept in the database and
touches no path. A file appears under its name only once it is whole and on disk.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, func, insert, select

from boundless_skies.cloud.schema.tables import images
from boundless_skies.cloud.storage.folder import FILE_MODE, FOLDER_MODE, sync_directory

PARTIAL_SUFFIX = ".part"
KNOWN_ENDINGS = (".fits", ".fit", ".fts", ".fits.fz", ".fit.fz", ".fits.gz", ".fit.gz")
UNKNOWN_ENDING = ".image"


def known_ending(original_name: str) -> str:
    """Return which of the known endings a name has; ``.image`` for any other."""
    name = original_name.lower()
    return next((ending for ending in KNOWN_ENDINGS if name.endswith(ending)), UNKNOWN_ENDING)


@dataclass(frozen=True)
class StoredImage:
    """An image as it is kept."""

    stored_name: str
    original_name: str
    size_bytes: int
    sha256: str


class ImageFile:
    """An image on its way to disk; unless it is kept, leaving the context takes it away.

    Parameters
    ----------
    folder : Path
        Where images are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.stored_name = secrets.token_hex(16)
        self.size_bytes = 0
        self._folder = folder
        self._partial = folder / (self.stored_name + PARTIAL_SUFFIX)
        self._digest = hashlib.sha256()
        descriptor = os.open(self._partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
        self._file = os.fdopen(descriptor, "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of what was written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._digest.update(data)
        self._file.write(data)
        self.size_bytes += len(data)

    def keep(self, original_name: str) -> None:
        """Make the file whole, durable, and visible under its name.

        Of the sender's name only a known ending is taken over.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self.stored_name += known_ending(original_name)
        self._partial.rename(self._folder / self.stored_name)
        sync_directory(self._folder)

    def discard(self) -> None:
        """Take a kept file away again: the same image was stored in the meantime."""
        (self._folder / self.stored_name).unlink(missing_ok=True)


class ImageFolder:
    """The folder of images.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def clear_partial(self) -> None:
        """Take away what a killed cloud left half-written; for the start of a server only."""
        for partial in self._folder.glob(f"*{PARTIAL_SUFFIX}"):
            partial.unlink(missing_ok=True)

    def receive(self) -> ImageFile:
        """Return a new file to write into."""
        return ImageFile(self._folder)


def find(connection: Connection, node_id: str, sha256: str) -> str | None:
    """Return the stored name of an image that a node has sent before."""
    query = select(images.c.stored_name).where(
        images.c.node_id == node_id, images.c.sha256 == sha256
    )
    name: str | None = connection.scalar(query)
    return name


def add(connection: Connection, node_id: str, image: StoredImage, now: datetime) -> None:
    """Add an image whose file is on disk."""
    connection.execute(
        insert(images).values(
            node_id=node_id,
            stored_name=image.stored_name,
            original_name=image.original_name,
            size_bytes=image.size_bytes,
            sha256=image.sha256,
            received_at=now,
        )
    )


def count(connection: Connection) -> int:
    """Return how many images are kept."""
    return connection.scalar(select(func.count()).select_from(images)) or 0

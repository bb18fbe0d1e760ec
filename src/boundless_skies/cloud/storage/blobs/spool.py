"""Images on their way in, each in a file of this machine until its end has come."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from boundless_skies.cloud.domain.errors import TooLarge
from boundless_skies.cloud.storage.blobs.disk_errors import disk_errors
from boundless_skies.cloud.storage.folder import FILE_MODE, FOLDER_MODE

PARTIAL_SUFFIX = ".part"
# Several processes share the folder: what was written to in the last hour may still be alive.
ABANDONED_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Spool:
    """The folder of images that are not whole yet."""

    folder: Path

    def prepare(self, now: datetime) -> None:
        """Make the folder, and take away the files that nobody has written to for an hour."""
        self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        latest = (now - ABANDONED_AFTER).timestamp()
        for partial in self.folder.glob(f"*{PARTIAL_SUFFIX}"):
            # Another process that starts now clears the same folder.
            with suppress(FileNotFoundError):
                if partial.stat().st_mtime < latest:
                    partial.unlink()

    def create(self) -> tuple[Path, BinaryIO]:
        """Create a file that only its owner can read, under a name of its own."""
        path = self.folder / (secrets.token_hex(16) + PARTIAL_SUFFIX)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
        return path, os.fdopen(descriptor, "wb")


@dataclass(frozen=True)
class SpooledFile:
    """An image that has come whole, still in the spool."""

    path: Path
    sha256: str
    size_bytes: int
    file: BinaryIO


class Upload:
    """An image on its way in; unless it is kept, leaving the context takes it away.

    Parameters
    ----------
    spool : Spool
        Where it grows.
    keep : callable
        Brings the whole file into the store, durably.
    limit_bytes : int or None
        How large it may become.
    """

    def __init__(
        self,
        spool: Spool,
        keep: Callable[[SpooledFile], Awaitable[None]],
        limit_bytes: int | None,
    ) -> None:
        self.size_bytes = 0
        self._spool = spool
        self._keep = keep
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()

    async def __aenter__(self) -> Self:
        with disk_errors("stored"):
            self._partial, self._file = await asyncio.to_thread(self._spool.create)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Without awaiting, for a cancelled request would be cancelled here again. A full
        # disk says so once more when the rest of the buffer is written.
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of what was written so far."""
        return self._digest.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises
        ------
        TooLarge
            If that is more than the limit.
        Unavailable
            If the disk is full or fails.
        """
        self.size_bytes += len(chunk)
        if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
            raise TooLarge(f"The image has more than the {self._limit_bytes:,} bytes allowed.")
        with disk_errors("stored"):
            await asyncio.to_thread(self._append, chunk)

    async def keep(self) -> str:
        """Bring the image into the store, whole and durable; return its SHA-256.

        Raises
        ------
        Unavailable
            If the disk is full or fails, or the store does not answer.
        """
        path = await self.whole()
        await self._keep(SpooledFile(path, self.sha256, self.size_bytes, self._file))
        return self.sha256

    async def whole(self) -> Path:
        """Return the file with all that was written; it is there until the context is left."""
        with disk_errors("stored"):
            await asyncio.to_thread(self._file.flush)
        return self._partial

    def _append(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._file.write(chunk)

"""Images in a folder of this machine."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from boundless_skies.cloud.domain.times import Clock, utc_now
from boundless_skies.cloud.storage.blobs.disk_errors import disk_errors
from boundless_skies.cloud.storage.blobs.spool import Spool, SpooledFile, Upload
from boundless_skies.cloud.storage.blobs.store import (
    CHUNK_BYTES,
    IMAGES,
    OpenBlob,
    StoredBlob,
    image_key,
    is_sha256,
    resolve_range,
    thumbnail_key,
    unknown_image,
)
from boundless_skies.cloud.storage.folder import FOLDER_MODE, sync_directory

INCOMING = "incoming"


class FolderBlobs:
    """Images in a folder; a kept one has survived a loss of power.

    Parameters
    ----------
    root : Path
        Holds ``images``, ``thumbnails`` and ``incoming``; all on one disk, so that a whole
        file gets its name in one step.
    clock : Clock
        The present instant.
    """

    def __init__(self, root: Path, clock: Clock = utc_now) -> None:
        self._root = root
        self._spool = Spool(root / INCOMING)
        self._clock = clock

    def __str__(self) -> str:
        return f"the folder {self._root}"

    async def prepare(self) -> None:
        """See `BlobStore`."""
        with disk_errors("stored"):
            await asyncio.to_thread(self._spool.prepare, self._clock())

    def receive(self, limit_bytes: int | None = None) -> Upload:
        """See `BlobStore`."""
        return Upload(self._spool, self._keep, limit_bytes)

    async def exists(self, sha256: str) -> bool:
        """See `BlobStore`."""
        return await asyncio.to_thread(self._image(sha256).is_file)

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> OpenBlob:
        """See `BlobStore`."""
        path = self._image(sha256)
        size = await asyncio.to_thread(_size, path)
        if size is None:
            raise unknown_image(sha256)
        start, end = resolve_range(size, start, end)
        return OpenBlob(size, start, end, lambda: _read(path, start, end))

    def as_file(self, sha256: str) -> AbstractAsyncContextManager[Path]:
        """See `BlobStore`."""
        return self._lend(sha256)

    async def delete(self, sha256: str) -> None:
        """See `BlobStore`."""
        with disk_errors("deleted"):
            await asyncio.to_thread(self._thumbnail(sha256).unlink, missing_ok=True)
            await asyncio.to_thread(self._image(sha256).unlink, missing_ok=True)

    async def list(self) -> AsyncIterator[StoredBlob]:
        """See `BlobStore`."""
        with disk_errors("listed"):
            folders = await asyncio.to_thread(_entries, self._root / IMAGES)
        for folder in folders:
            with disk_errors("listed"):
                blobs = await asyncio.to_thread(_blobs, folder)
            for blob in blobs:
                yield blob

    async def put_small(self, sha256: str, content: bytes) -> None:
        """See `BlobStore`."""
        target = self._thumbnail(sha256)
        async with Upload(self._spool, lambda file: _move(file, target), None) as upload:
            await upload.write(content)
            await upload.keep()

    async def get_small(self, sha256: str) -> bytes | None:
        """See `BlobStore`."""
        with disk_errors("read"):
            try:
                return await asyncio.to_thread(self._thumbnail(sha256).read_bytes)
            except FileNotFoundError:
                return None

    async def check(self) -> None:
        """See `BlobStore`."""
        with disk_errors("stored"):
            await asyncio.to_thread(self._try_writing)

    def _image(self, sha256: str) -> Path:
        return self._root / image_key(sha256)

    def _thumbnail(self, sha256: str) -> Path:
        return self._root / thumbnail_key(sha256)

    async def _keep(self, file: SpooledFile) -> None:
        await _move(file, self._image(file.sha256))

    @asynccontextmanager
    async def _lend(self, sha256: str) -> AsyncIterator[Path]:
        if not await self.exists(sha256):
            raise unknown_image(sha256)
        yield self._image(sha256)

    def _try_writing(self) -> None:
        path, file = self._spool.create()
        try:
            with file:
                file.write(b"?")
        finally:
            path.unlink()


async def _move(file: SpooledFile, target: Path) -> None:
    with disk_errors("stored"):
        await asyncio.to_thread(_move_durably, file, target)


def _move_durably(file: SpooledFile, target: Path) -> None:
    """Give a file its name, on disk before this returns; one that has the name is replaced.

    Replaced although it has the same content: its own rename may not be on disk yet, and a
    copy that was damaged since is healed.
    """
    os.fsync(file.file.fileno())
    for folder in (target.parent.parent, target.parent):
        with suppress(FileExistsError):
            folder.mkdir(mode=FOLDER_MODE)
            sync_directory(folder.parent)
    file.path.rename(target)
    sync_directory(target.parent)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


async def _read(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    with disk_errors("read"):
        file = await asyncio.to_thread(path.open, "rb")
    with file:
        file.seek(start)
        while start < end:
            with disk_errors("read"):
                chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, end - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _blobs(folder: Path) -> list[StoredBlob]:
    blobs = []
    for file in _entries(folder):
        # Deleted since the folder was read.
        with suppress(FileNotFoundError):
            if is_sha256(file.name):
                facts = file.stat()
                changed = datetime.fromtimestamp(facts.st_mtime, UTC)
                blobs.append(StoredBlob(file.name, facts.st_size, changed))
    return blobs

"""Images in a bucket of an S3-compatible store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.domain.times import Clock, utc_now
from boundless_skies.cloud.storage.blobs.disk_errors import RETRY_AFTER_S, disk_errors
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

# What is in memory of an image on its way to the bucket: so many parts, of such a size.
PART_BYTES = 8 << 20
PARTS_AT_ONCE = 2
CHECK_WITHIN_S = 5.0
_NAMES_A_PAGE = 1_000


class BucketBlobs:
    """Images in a bucket; a kept one is as durable as the store makes it.

    Parameters
    ----------
    store : S3Store
        The bucket, and the folder in it.
    address : str
        How it is called in errors; without keys.
    spool : Path
        A folder of this machine where images are held until they are whole.
    clock : Clock
        The present instant.
    """

    def __init__(self, store: S3Store, address: str, spool: Path, clock: Clock = utc_now) -> None:
        self._store = store
        self._address = address
        self._spool = Spool(spool)
        self._clock = clock

    def __str__(self) -> str:
        return self._address

    async def prepare(self) -> None:
        """See `BlobStore`."""
        with disk_errors("stored"):
            await asyncio.to_thread(self._spool.prepare, self._clock())

    def receive(self, limit_bytes: int | None = None) -> Upload:
        """See `BlobStore`."""
        return Upload(self._spool, self._keep, limit_bytes)

    async def exists(self, sha256: str) -> bool:
        """See `BlobStore`."""
        return await self._size(sha256) is not None

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> OpenBlob:
        """See `BlobStore`."""
        size = await self._size(sha256)
        if size is None:
            raise unknown_image(sha256)
        start, end = resolve_range(size, start, end)
        return OpenBlob(size, start, end, lambda: self._read(sha256, start, end))

    def as_file(self, sha256: str) -> AbstractAsyncContextManager[Path]:
        """See `BlobStore`."""
        return self._lend(sha256)

    async def delete(self, sha256: str) -> None:
        """See `BlobStore`."""
        keys = [thumbnail_key(sha256), image_key(sha256)]
        with self._store_errors():
            await obstore.delete_async(self._store, keys)

    async def list(self) -> AsyncIterator[StoredBlob]:
        """See `BlobStore`."""
        pages = obstore.list(self._store, IMAGES, chunk_size=_NAMES_A_PAGE)
        with self._store_errors():
            async for page in pages:
                for meta in page:
                    name = meta["path"].rpartition("/")[2]
                    if is_sha256(name):
                        yield StoredBlob(name, meta["size"], meta["last_modified"])

    async def put_small(self, sha256: str, content: bytes) -> None:
        """See `BlobStore`."""
        with self._store_errors():
            await obstore.put_async(
                self._store, thumbnail_key(sha256), content, use_multipart=False
            )

    async def get_small(self, sha256: str) -> bytes | None:
        """See `BlobStore`."""
        with self._store_errors():
            try:
                reply = await obstore.get_async(self._store, thumbnail_key(sha256))
            except FileNotFoundError:
                return None
            return bytes(await reply.bytes_async())

    async def check(self) -> None:
        """See `BlobStore`."""
        with self._store_errors():
            async with asyncio.timeout(CHECK_WITHIN_S):
                async for _ in obstore.list(self._store, IMAGES, chunk_size=1):
                    break

    async def _keep(self, file: SpooledFile) -> None:
        """Send an image, unless the bucket holds it.

        A small one goes in one request, on the condition that it is not there; a store
        without conditions replaces it by itself, and so do the parts of a large one.
        """
        if await self.exists(file.sha256):
            return
        with self._store_errors():
            try:
                await obstore.put_async(
                    self._store,
                    image_key(file.sha256),
                    file.path,
                    mode="create" if file.size_bytes <= PART_BYTES else "overwrite",
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )
            except AlreadyExistsError:
                return

    async def _size(self, sha256: str) -> int | None:
        with self._store_errors():
            try:
                return (await obstore.head_async(self._store, image_key(sha256)))["size"]
            except FileNotFoundError:
                return None

    async def _read(self, sha256: str, start: int, end: int) -> AsyncIterator[bytes]:
        if start == end:
            return
        with self._store_errors():
            reply = await obstore.get_async(
                self._store, image_key(sha256), options={"range": (start, end)}
            )
            async for chunk in reply.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    @asynccontextmanager
    async def _lend(self, sha256: str) -> AsyncIterator[Path]:
        blob = await self.open(sha256)
        async with self.receive() as copy:
            async for chunk in blob.chunks():
                await copy.write(chunk)
            yield await copy.whole()

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        """Turn the store's errors into ours.

        Its own words are left out: they quote requests and replies, and so could hold keys.
        """
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError):
            raise self._unavailable(
                "refuses our keys. See that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are right, "
                "and that they may list, read, write and delete there"
            ) from None
        except FileNotFoundError:
            raise self._unavailable("does not have what was asked for: is its name right") from None
        except (BaseError, OSError):
            raise self._unavailable("fails, or does not answer") from None

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"The image store {self._address} {what}.", RETRY_AFTER_S)

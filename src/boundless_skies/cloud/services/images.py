"""Taking image files in, handing them out, and letting the old ones go."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import CloudError, TooLarge, Unavailable, UnknownObject
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.reading import shown
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.thumbnails import ThumbnailMaker
from boundless_skies.cloud.storage import images, nodes
from boundless_skies.cloud.storage.blobs import BlobStore, OpenBlob
from boundless_skies.cloud.storage.blobs.store import is_sha256
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.images import StoredImage

RETRY_AFTER_S = 60
EXPIRY_GROUP = 200
WAITING_MAX = 100
"""How many thumbnails wait to be made; those beyond are made when somebody asks for them."""
PICTURELESS_MAX = 10_000
OLD_FOLDER = "images"
CHUNK_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class ImageSource(Protocol):
    """An image on its way in."""

    @property
    def file_name(self) -> str:
        """What the sender calls it; known once its chunks were read."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield its bytes as they arrive."""


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What a node may send, in bytes, and how long it is kept; None for no limit."""

    size_bytes: int
    quota_bytes: int | None = None
    keep: timedelta | None = None


class ImageService:
    """Streams images into the store, each content once.

    Parameters
    ----------
    database : Database
        Where it is kept who sent what.
    store : BlobStore
        Where the files are kept.
    thumbnails : ThumbnailMaker
        Makes the small pictures.
    limits : ImageLimits
        What a node may send.
    clock : Clock
        The present instant.
    """

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        thumbnails: ThumbnailMaker,
        limits: ImageLimits,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._thumbnails = thumbnails
        self._limits = limits
        self._clock = clock
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING_MAX)
        self._pictureless: set[str] = set()

    async def store(self, caller: Caller, source: ImageSource) -> str:
        """Take an image as it arrives; return the name under which it is kept.

        Raises
        ------
        TooLarge
            If it is larger than the limit, or does not fit into the node's quota.
        Unavailable
            If the store cannot take it now.
        """
        async with self._store.receive(self._limits.size_bytes) as upload:
            async for chunk in source.chunks():
                await upload.write(chunk)
            await upload.keep()
            image = StoredImage(
                node_id=caller.node_id,
                sha256=upload.sha256,
                stored_name=images.stored_name(upload.sha256, source.file_name),
                original_name=source.file_name,
                size_bytes=upload.size_bytes,
                received_at=self._clock(),
            )
        kept = await self._database.write(partial(self._add, image=image))
        if not await self._store.exists(image.sha256):
            # It expired in the very moment in which it came again.
            raise Unavailable("The image must be sent once more.", 1)
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(image.sha256)
        return kept

    async def find(self, sha256: str) -> StoredImage:
        """Return an image by its content.

        Raises
        ------
        UnknownObject
            If there is none of this content, or it is no longer kept.
        """
        image = await self._database.read(partial(_find_image, sha256=sha256))
        if image is None or image.expired_at is not None:
            raise UnknownObject(f"There is no image {shown(sha256)}, or it is no longer kept.")
        return image

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> OpenBlob:
        """Open an image for reading, or its bytes from one to before another.

        Raises
        ------
        UnknownObject
            If there is none of this content, or it is no longer kept.
        """
        await self.find(sha256)
        return await self._store.open(sha256, start, end)

    async def thumbnail(self, sha256: str) -> bytes:
        """Return an image's thumbnail as PNG; made at the first call, then kept.

        Raises
        ------
        UnknownObject
            If there is no such image, or no picture can be made of it.
        """
        await self.find(sha256)
        made = await self._store.get_small(sha256)
        if made is not None:
            return made
        if sha256 in self._pictureless:
            raise _pictureless()
        async with self._store.as_file(sha256) as path:
            return await self._make_thumbnail(sha256, path)

    async def keep_making_thumbnails(self) -> None:
        """Make the thumbnails of what comes in, until cancelled."""
        while True:
            sha256 = await self._waiting.get()
            try:
                await self.thumbnail(sha256)
            except CloudError as error:
                logger.info("No thumbnail of %s: %s", sha256, error)

    async def adopt_old(self, data_dir: Path) -> None:
        """Move the files of the first form, which had names by chance, to those of their content.

        Several processes may do so at once; one that is killed leaves nothing lost.
        """
        for image in await self._database.read(images.list_old_names):
            file = data_dir / OLD_FOLDER / Path(image.stored_name).name
            if await asyncio.to_thread(file.is_file):
                await self._take_in(file, image)
            if not await self._store.exists(image.sha256):
                logger.warning("The image %s of %s is missing.", file, image.node_id)
                continue
            name = images.stored_name(image.sha256, image.original_name)
            await self._database.write(partial(images.rename, image=image, name=name))
            await asyncio.to_thread(file.unlink, missing_ok=True)

    async def _take_in(self, file: Path, image: StoredImage) -> None:
        with suppress(FileNotFoundError):  # another process was faster
            async with self._store.receive() as upload:
                source = await asyncio.to_thread(file.open, "rb")
                with source:
                    while chunk := await asyncio.to_thread(source.read, CHUNK_BYTES):
                        await upload.write(chunk)
                await upload.keep()
            if upload.sha256 != image.sha256:
                logger.warning("The image %s is not what %s sent.", file, image.node_id)

    async def expire_old(self) -> int:
        """Let go of images that are older than the limit; return how many."""
        if self._limits.keep is None:
            return 0
        before = self._clock() - self._limits.keep
        gone = 0
        while due := await self._database.read(
            partial(images.list_due, before=before, limit=EXPIRY_GROUP)
        ):
            for image in due:
                if await self._database.write(partial(self._expire, image=image)):
                    await self._store.delete(image.sha256)
            gone += len(due)
        return gone

    async def _make_thumbnail(self, sha256: str, path: Path) -> bytes:
        thumbnail = await self._thumbnails.make(path)
        if thumbnail is None:
            if len(self._pictureless) >= PICTURELESS_MAX:
                self._pictureless.clear()
            self._pictureless.add(sha256)
            raise _pictureless()
        await self._store.put_small(sha256, thumbnail.png)
        await self._database.write(
            partial(images.describe, sha256=sha256, sentence=thumbnail.sentence)
        )
        return thumbnail.png

    def _add(self, connection: Connection, *, image: StoredImage) -> str:
        held = images.find(connection, image.node_id, image.sha256)
        if held is not None and held.expired_at is None:
            return held.stored_name
        quota = self._limits.quota_bytes
        if not nodes.take_image_bytes(connection, image.node_id, image.size_bytes, quota):
            raise TooLarge(
                f"This node's images would take more than its quota of {quota or 0:,} bytes. "
                "Ask the operator for more room, or let old images go."
            )
        if held is not None:
            images.bring_back(connection, image.node_id, image.sha256, image.received_at)
            return held.stored_name
        images.add(connection, image)
        return image.stored_name

    def _expire(self, connection: Connection, *, image: StoredImage) -> bool:
        unneeded = images.expire(connection, image, self._clock())
        nodes.take_image_bytes(connection, image.node_id, -image.size_bytes, None)
        return unneeded


def _find_image(connection: Connection, *, sha256: str) -> StoredImage | None:
    # Any other text may hold what a database cannot compare.
    return images.find_any(connection, sha256) if is_sha256(sha256) else None


def _pictureless() -> UnknownObject:
    return UnknownObject("No picture can be made of this file.")

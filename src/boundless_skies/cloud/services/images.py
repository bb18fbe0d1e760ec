"""Taking image files in, handing them out, and letting the old ones go."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import TooLarge, Unavailable, UnknownObject
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.thumbnails import ThumbnailMaker
from boundless_skies.cloud.storage import images, nodes
from boundless_skies.cloud.storage.blobs import BlobStore, OpenBlob
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.images import StoredImage

RETRY_AFTER_S = 60
EXPIRY_GROUP = 200

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
        return kept

    async def open(self, sha256: str) -> tuple[StoredImage, OpenBlob]:
        """Open an image for reading.

        Raises
        ------
        UnknownObject
            If there is none of this content, or it is no longer kept.
        """
        image = await self._database.read(partial(images.find_any, sha256=sha256))
        if image is None or image.expired_at is not None:
            raise UnknownObject(f"There is no image {sha256[:64]!r}, or it is no longer kept.")
        return image, await self._store.open(sha256)

    async def thumbnail(self, sha256: str) -> bytes:
        """Return an image's thumbnail as PNG; made at the first call, then kept.

        Raises
        ------
        UnknownObject
            If there is no such image, or no picture can be made of it.
        """
        made = await self._store.get_small(sha256)
        if made is not None:
            return made
        await self.open(sha256)
        async with self._store.as_file(sha256) as path:
            return await self._make_thumbnail(sha256, path)

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
            raise UnknownObject("No picture can be made of this file.")
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

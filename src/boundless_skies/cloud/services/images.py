"""Taking image files in."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.domain.nodes import Node
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.storage import images
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.images import ImageFile, ImageFolder, StoredImage

RETRY_AFTER_S = 60


class ImageSource(Protocol):
    """An image on its way in."""

    @property
    def file_name(self) -> str:
        """What the sender calls it; known once its chunks were read."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield its bytes as they arrive."""


class ImageService:
    """Streams images to disk, each once per node and content.

    Parameters
    ----------
    database : Database
        Where it is kept what each file is.
    folder : ImageFolder
        Where the files are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, folder: ImageFolder, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock

    async def store(self, node: Node, source: ImageSource) -> str:
        """Write an image as it arrives; return the name under which it is kept.

        Parameters
        ----------
        node : Node
            The node that sends it.
        source : ImageSource
            Its bytes as they arrive, and the sender's name for it.

        Raises
        ------
        Unavailable
            If the disk is full or fails.
        """
        try:
            with self._folder.receive() as file:
                async for chunk in source.chunks():
                    await asyncio.to_thread(file.write, chunk)
                return await self._keep(node, source.file_name, file)
        except OSError as error:
            raise Unavailable(
                f"The image cannot be stored: {error.strerror or 'the disk fails'}.", RETRY_AFTER_S
            ) from error

    async def _keep(self, node: Node, original_name: str, file: ImageFile) -> str:
        held = await self._database.read(
            partial(images.find, node_id=node.node_id, sha256=file.sha256)
        )
        if held is not None:
            return held
        await asyncio.to_thread(file.keep, original_name)
        image = StoredImage(file.stored_name, original_name, file.size_bytes, file.sha256)
        kept = await self._database.write(partial(self._add, node_id=node.node_id, image=image))
        if kept != image.stored_name:
            await asyncio.to_thread(file.discard)
        return kept

    def _add(self, connection: Connection, *, node_id: str, image: StoredImage) -> str:
        held = images.find(connection, node_id, image.sha256)
        if held is not None:
            return held
        images.add(connection, node_id, image, self._clock())
        return image.stored_name

"""What a store of images does, and how it names what it keeps.

An image's name is the SHA-256 of its bytes, so that the same image is kept once, however
often and by whomever it is sent, and nothing that a client says becomes part of a path.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.storage.blobs.spool import Upload

IMAGES = "images"
THUMBNAILS = "thumbnails"
THUMBNAIL_ENDING = ".png"
CHUNK_BYTES = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredBlob:
    """An image as it is kept."""

    sha256: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True)
class Usage:
    """How much a store holds."""

    count: int
    size_bytes: int


@dataclass(frozen=True)
class OpenBlob:
    """An image, or a part of one, that is about to be read.

    Attributes
    ----------
    size_bytes : int
        Size of the whole image.
    start, end : int
        The first byte that is read, and the first that is not any more.
    chunks : callable
        Gives its bytes, of about a MiB each; nothing is open before they are asked for.
    """

    size_bytes: int
    start: int
    end: int
    chunks: Callable[[], AsyncIterator[bytes]]


class BlobStore(Protocol):
    """Where images are kept.

    Every method but `prepare` raises `Unavailable` where the disk is full or fails, or the
    store does not answer; one that takes a SHA-256 raises `UnknownObject` where it is none.
    """

    async def prepare(self) -> None:
        """Make its folders, and take away what killed processes left half-written long ago."""

    def receive(self, limit_bytes: int | None = None) -> AbstractAsyncContextManager[Upload]:
        """Return a new image to write into; it raises `TooLarge` beyond its limit."""

    async def exists(self, sha256: str) -> bool:
        """Say whether an image is kept."""

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> OpenBlob:
        """Open an image, or its bytes from `start` to before `end`.

        Raises
        ------
        UnknownObject
            If it is not kept.
        InvalidInput
            If the image has no byte `start`.
        """

    def as_file(self, sha256: str) -> AbstractAsyncContextManager[Path]:
        """Lend an image as a file of this machine, to be read only within the context."""

    async def delete(self, sha256: str) -> None:
        """Take an image and its thumbnail away; one that is not kept is no error."""

    def list(self) -> AsyncIterator[StoredBlob]:
        """Give all images, in no order; those that come or go meanwhile may be missing."""

    async def put_small(self, sha256: str, content: bytes) -> None:
        """Keep an image's thumbnail, in place of an earlier one."""

    async def get_small(self, sha256: str) -> bytes | None:
        """Return an image's thumbnail; None where it has none."""

    async def check(self) -> None:
        """See whether the store is there, at the cost of one small question."""


async def measure_usage(store: BlobStore) -> Usage:
    """Count a store's images and add up their sizes, by listing them all."""
    sizes = [blob.size_bytes async for blob in store.list()]
    return Usage(len(sizes), sum(sizes))


def image_key(sha256: str) -> str:
    """Return the path of an image below the store's root."""
    return f"{IMAGES}/{_fanned(sha256)}"


def thumbnail_key(sha256: str) -> str:
    """Return the path of a thumbnail below the store's root."""
    return f"{THUMBNAILS}/{_fanned(sha256)}{THUMBNAIL_ENDING}"


def is_sha256(name: str) -> bool:
    """Say whether a name is one of an image of ours."""
    return _SHA256.fullmatch(name) is not None


def resolve_range(size_bytes: int, start: int, end: int | None) -> tuple[int, int]:
    """Return the part of an image that is asked for, as far as there is one.

    Raises
    ------
    InvalidInput
        If the image has no byte `start`, or `end` lies before it.
    """
    stop = size_bytes if end is None else min(end, size_bytes)
    if not (0 <= start < stop or start == stop == size_bytes == 0):
        raise InvalidInput(
            f"The image has {size_bytes:,} bytes; bytes {start:,} to {stop:,} are none of them."
        )
    return start, stop


def unknown_image(sha256: str) -> UnknownObject:
    """Return the error for an image that is not kept."""
    return UnknownObject(f"There is no image {sha256[:64]!r}.")


def _fanned(sha256: str) -> str:
    if not is_sha256(sha256):
        raise unknown_image(sha256)
    return f"{sha256[:2]}/{sha256}"

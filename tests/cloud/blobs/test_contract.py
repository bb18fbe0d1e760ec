"""What a folder and a bucket both do."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest

from boundless_skies.cloud.domain.errors import InvalidInput, TooLarge, UnknownObject
from boundless_skies.cloud.storage.blobs import BlobStore, Usage, measure_usage

LARGE = 20_000_003
NOWHERE = "0" * 64
NO_NAMES = [
    "",
    "../../etc/passwd",
    "A" * 64,
    "0" * 63,
    "0" * 65,
    "0" * 64 + "\n",
    "0" * 62 + "/.",
    "é",
]


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test of coroutines in an event loop of its own."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))  # type: ignore[arg-type]

    return run


async def keep(store: BlobStore, content: bytes) -> str:
    """Bring an image in, in chunks of an odd size."""
    async with store.receive() as upload:
        for at in range(0, len(content), 65_537):
            await upload.write(content[at : at + 65_537])
        return await upload.keep()


async def read(store: BlobStore, sha256: str, start: int = 0, end: int | None = None) -> bytes:
    """Read an image or a part of it."""
    blob = await store.open(sha256, start, end)
    return b"".join([chunk async for chunk in blob.chunks()])


@pytest.mark.parametrize("size", [0, 1, 65_537, 8 << 20, LARGE])
@in_loop
async def test_a_kept_image_reads_back(store: BlobStore, size: int) -> None:
    """Its name is the SHA-256 of its bytes, and the bytes are whole."""
    content = os.urandom(size)
    sha256 = await keep(store, content)
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert await store.exists(sha256)
    assert (await store.open(sha256)).size_bytes == size
    assert await read(store, sha256) == content


@in_loop
async def test_an_image_is_streamed(store: BlobStore) -> None:
    """It is read in pieces much smaller than itself."""
    blob = await store.open(await keep(store, os.urandom(LARGE)))
    assert max([len(chunk) async for chunk in blob.chunks()]) < 3 << 20


@pytest.mark.parametrize("size", [1_000, LARGE])
@in_loop
async def test_the_same_content_is_kept_once(place: Any, size: int) -> None:
    """One after the other and at once: one image, and nothing left on the way."""
    content = os.urandom(size)
    names = {await keep(place.store, content), await keep(place.store, content)}
    names |= set(await asyncio.gather(*(keep(place.store, content) for _ in range(3))))
    assert [blob.sha256 async for blob in place.store.list()] == list(names)
    assert place.partials == []


@in_loop
async def test_an_image_that_breaks_off_leaves_nothing(place: Any) -> None:
    """Whether the sender fails, or simply does not keep it."""

    async def send(error: Exception | None) -> None:
        async with place.store.receive() as upload:
            await upload.write(os.urandom(LARGE))
            if error is not None:
                raise error

    await send(None)
    with pytest.raises(ConnectionResetError):
        await send(ConnectionResetError())
    assert await measure_usage(place.store) == Usage(0, 0)
    assert place.partials == []


@in_loop
async def test_a_cancelled_upload_leaves_nothing(place: Any) -> None:
    """A request that is given up while it is written."""
    started = asyncio.Event()

    async def endless() -> None:
        async with place.store.receive() as upload:
            while True:
                await upload.write(bytes(1 << 20))
                started.set()

    task = asyncio.create_task(endless())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert place.partials == []


@in_loop
async def test_an_image_has_a_limit(place: Any) -> None:
    """The byte beyond it is refused, by name; one of exactly the limit is kept."""

    async def send(*sizes: int) -> None:
        async with place.store.receive(limit_bytes=1_000) as upload:
            for size in sizes:
                await upload.write(bytes(size))
            await upload.keep()

    await send(1_000)
    with pytest.raises(TooLarge, match="1,000 bytes"):
        await send(999, 2)
    assert await measure_usage(place.store) == Usage(1, 1_000)
    assert place.partials == []


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 1), (5, 9), (2_999_999, None), (2_000_000, 9_000_000)]
)
@in_loop
async def test_a_part_is_read(store: BlobStore, start: int, end: int | None) -> None:
    """Bytes from the start to before the end, as far as the image has them."""
    content = os.urandom(3_000_000)
    assert await read(store, await keep(store, content), start, end) == content[start:end]


@pytest.mark.parametrize(("start", "end"), [(1_000, None), (-1, None), (5, 5), (9, 4), (0, 0)])
@in_loop
async def test_a_part_that_is_none_is_refused(
    store: BlobStore, start: int, end: int | None
) -> None:
    """The refusal names the image's size."""
    sha256 = await keep(store, bytes(1_000))
    with pytest.raises(InvalidInput, match="1,000 bytes"):
        await store.open(sha256, start, end)


@in_loop
async def test_an_image_that_is_not_kept(store: BlobStore) -> None:
    """It does not exist, cannot be opened or lent, and has no thumbnail."""
    assert not await store.exists(NOWHERE)
    assert await store.get_small(NOWHERE) is None
    with pytest.raises(UnknownObject, match=NOWHERE):
        await store.open(NOWHERE)
    with pytest.raises(UnknownObject, match=NOWHERE):
        async with store.as_file(NOWHERE):
            pass
    await store.delete(NOWHERE)


@pytest.mark.parametrize("name", NO_NAMES)
@in_loop
async def test_only_a_sha256_is_a_name(store: BlobStore, name: str) -> None:
    """Nothing else ever becomes a path."""
    for call in (store.exists, store.open, store.delete, store.get_small):
        with pytest.raises(UnknownObject):
            await call(name)
    with pytest.raises(UnknownObject):
        await store.put_small(name, b"PNG")


@in_loop
async def test_a_deleted_image_is_gone_with_its_thumbnail(store: BlobStore) -> None:
    """And can come again."""
    sha256 = await keep(store, b"SIMPLE")
    await store.put_small(sha256, b"PNG")
    await store.delete(sha256)
    assert not await store.exists(sha256)
    assert await store.get_small(sha256) is None
    assert await keep(store, b"SIMPLE") == sha256
    assert await read(store, sha256) == b"SIMPLE"


@in_loop
async def test_a_thumbnail_is_kept_and_replaced(store: BlobStore) -> None:
    """It is no image of the list."""
    sha256 = await keep(store, b"SIMPLE")
    await store.put_small(sha256, b"first")
    await store.put_small(sha256, b"second")
    assert await store.get_small(sha256) == b"second"
    assert await measure_usage(store) == Usage(1, 6)


@in_loop
async def test_all_images_are_listed(store: BlobStore) -> None:
    """With their sizes and when they came."""
    sizes = {await keep(store, bytes(size)): size for size in range(1, 30)}
    listed = [blob async for blob in store.list()]
    assert {blob.sha256: blob.size_bytes for blob in listed} == sizes
    assert all(blob.modified_at.tzinfo is not None for blob in listed)
    assert await measure_usage(store) == Usage(29, sum(sizes.values()))


@in_loop
async def test_an_image_is_lent_as_a_file(place: Any) -> None:
    """For a program that reads files; what was copied for it is taken away again."""
    content = os.urandom(3_000_000)
    async with place.store.as_file(await keep(place.store, content)) as path:
        assert path.read_bytes() == content
    assert place.partials == []


@in_loop
async def test_an_empty_store_is_there(store: BlobStore) -> None:
    """A store without images answers, and holds nothing."""
    await store.check()
    assert await measure_usage(store) == Usage(0, 0)


@in_loop
async def test_a_start_clears_only_what_is_abandoned(place: Any) -> None:
    """Another process may share the store: what is being written stays."""
    async with place.store.receive() as upload:
        await upload.write(bytes(100_000))
        await place.store_after(hours=0.5).prepare()
        assert await upload.keep()
        await place.store_after(hours=2).prepare()
        assert place.partials == []

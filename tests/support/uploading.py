"""A program that brings images into a store, to be killed or measured.

``uploading.py ADDRESS DATA_DIR half`` writes half an image, says so, and waits.
``uploading.py ADDRESS DATA_DIR many`` keeps image after image and names each that is kept.
``uploading.py ADDRESS DATA_DIR large`` keeps one of 100 MB and tells how memory grew, in KiB.
"""

import asyncio
import os
import resource
import sys
from pathlib import Path

from boundless_skies.cloud.storage.blobs import BlobStore, open_blob_store

CHUNK = 1 << 16


def _say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def _upload(store: BlobStore, chunks: int) -> str:
    async with store.receive() as upload:
        for _ in range(chunks):
            await upload.write(os.urandom(CHUNK))
        return await upload.keep()


async def half(store: BlobStore) -> None:
    """Write some chunks, then wait to be killed."""
    async with store.receive() as upload:
        for _ in range(300):
            await upload.write(os.urandom(CHUNK))
        _say("half")
        await asyncio.Event().wait()


async def many(store: BlobStore) -> None:
    """Keep images larger than a part, until killed."""
    while True:
        _say(await _upload(store, 160))


async def large(store: BlobStore) -> None:
    """Keep one large image, read it back, and tell the growth of memory."""
    await _upload(store, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    blob = await store.open(await _upload(store, 1_600))
    size = 0
    async for chunk in blob.chunks():
        size += len(chunk)
    assert size == 1_600 * CHUNK
    _say(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


async def _main(address: str, data_dir: str, what: str) -> None:
    store = open_blob_store(address, Path(data_dir))
    await store.prepare()
    await {"half": half, "many": many, "large": large}[what](store)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))

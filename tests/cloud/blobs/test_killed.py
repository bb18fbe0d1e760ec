"""A program that is killed while it brings images in, and what it needs of memory."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boundless_skies.cloud.storage.blobs import BlobStore, Usage, measure_usage

PROGRAM = Path(__file__).parents[2] / "support" / "uploading.py"
GROWTH_LIMIT_KIB = 80 << 10


@contextmanager
def uploading(place: Any, what: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program; it is killed where it does not end by itself."""
    command = [sys.executable, str(PROGRAM), place.address, str(place.data_dir), what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    """Wait for a line of the program."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def digests(store: BlobStore) -> dict[str, str]:
    """Read all images; return the SHA-256 of what is there under each name."""
    found = {}
    async for blob in store.list():
        digest = hashlib.sha256()
        async for chunk in (await store.open(blob.sha256)).chunks():
            digest.update(chunk)
        found[blob.sha256] = digest.hexdigest()
    return found


def test_a_kill_within_an_upload_leaves_no_image(place: Any) -> None:
    """At most a part on this machine, which a later start takes away."""
    with uploading(place, "half") as process:
        assert next_line(process) == "half"
    assert asyncio.run(measure_usage(place.store)) == Usage(0, 0)
    assert len(place.partials) == 1
    asyncio.run(place.store_after(hours=2).prepare())
    assert place.partials == []


def test_a_kill_at_any_moment_leaves_whole_images(place: Any) -> None:
    """What was acknowledged is there, and whatever is there is whole."""
    with uploading(place, "many") as process:
        acknowledged = {next_line(process) for _ in range(3)}
    kept = asyncio.run(digests(place.store))
    assert acknowledged <= set(kept)
    assert all(name == digest for name, digest in kept.items())


def test_memory_is_bounded(place: Any) -> None:
    """An image of 100 MB comes and goes through a fraction of that."""
    with uploading(place, "large") as process:
        assert int(next_line(process)) < GROWTH_LIMIT_KIB

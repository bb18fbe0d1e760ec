"""The folder: private, durable, and plain about a bad disk."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from tests.support.disks import small_disk

from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.storage.blobs import FolderBlobs, Usage, measure_usage


async def keep(store: FolderBlobs, content: bytes) -> str:
    """Bring an image in."""
    async with store.receive() as upload:
        await upload.write(content)
        return await upload.keep()


def test_images_are_private(tmp_path: Path) -> None:
    """Only their owner can read files and folders."""
    store = FolderBlobs(tmp_path)
    asyncio.run(store.prepare())
    sha256 = asyncio.run(keep(store, b"SIMPLE"))
    image = tmp_path / "images" / sha256[:2] / sha256
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    for folder in (image.parent, image.parent.parent, tmp_path / "incoming"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_image_is_on_disk_when_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First its bytes, then its name: both synced, in this order, before the answer."""
    store = FolderBlobs(tmp_path)
    asyncio.run(store.prepare())
    images = tmp_path / "images"
    synced: list[tuple[bool, int]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        synced.append((is_file, sum(path.is_file() for path in images.rglob("*"))))

    monkeypatch.setattr(os, "fsync", record)
    asyncio.run(keep(store, b"SIMPLE"))
    assert synced[0] == (True, 0)
    assert synced[-1] == (False, 1)


def test_a_damaged_image_is_healed_by_its_return(tmp_path: Path) -> None:
    """Bytes that were lost on the disk come back with the next copy."""
    store = FolderBlobs(tmp_path)
    asyncio.run(store.prepare())
    sha256 = asyncio.run(keep(store, b"SIMPLE"))
    image = tmp_path / "images" / sha256[:2] / sha256
    image.write_bytes(b"SIM")
    asyncio.run(keep(store, b"SIMPLE"))
    assert image.read_bytes() == b"SIMPLE"


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """The sender is told to come again; when there is room, it works."""
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        store = FolderBlobs(disk.root)
        asyncio.run(store.prepare())
        disk.fill(but_bytes=1 << 20)
        with pytest.raises(Unavailable, match="No space left on device") as raised:
            asyncio.run(keep(store, os.urandom(3 << 20)))
        assert raised.value.retry_after_s > 0
        assert not list((disk.root / "incoming").iterdir())
        disk.free()
        asyncio.run(keep(store, os.urandom(3 << 20)))
        assert asyncio.run(measure_usage(store)) == Usage(1, 3 << 20)


def test_a_folder_that_is_read_only_is_found_by_the_check(tmp_path: Path) -> None:
    """Before an image is lost on it."""
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        store = FolderBlobs(disk.root)
        asyncio.run(store.prepare())
        asyncio.run(store.check())
        disk.shut(disk.root / "incoming")
        with pytest.raises(Unavailable, match="Read-only file system"):
            asyncio.run(store.check())


def test_strangers_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    """Files that are none of ours are neither listed nor taken away."""
    store = FolderBlobs(tmp_path)
    for stranger in ("images/notes.txt", "images/ab/notes.txt", "incoming/notes.txt"):
        (tmp_path / stranger).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stranger).write_text("mine")
    asyncio.run(store.prepare())
    assert asyncio.run(measure_usage(store)) == Usage(0, 0)
    assert len(list(tmp_path.rglob("notes.txt"))) == 3

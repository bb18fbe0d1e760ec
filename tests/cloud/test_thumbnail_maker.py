"""Thumbnails are made in a process of their own, which may die."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from boundless_skies.cloud.domain.thumbnails import make_thumbnail
from boundless_skies.cloud.services.thumbnails import ThumbnailMaker

T_SEX = Path(__file__).parents[2] / "src" / "boundless_skies" / "demo" / "data" / "t_sex.fits.fz"
PROGRAM = """
import asyncio, sys
from pathlib import Path
from boundless_skies.cloud.services.thumbnails import ThumbnailMaker

async def main():
    await ThumbnailMaker().make(Path(sys.argv[1]))
    print(*sorted(sys.modules), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def a_maker(**limits: int) -> AsyncIterator[ThumbnailMaker]:
    """Open a maker, and close it."""
    maker = ThumbnailMaker(**limits)
    try:
        yield maker
    finally:
        await maker.close()


def run(scenario: Callable[[ThumbnailMaker], Awaitable[None]], **limits: int) -> None:
    """Run a scenario with a maker of its own."""

    async def whole() -> None:
        async with a_maker(**limits) as maker:
            await scenario(maker)

    asyncio.run(whole())


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Give a file that is never read to its end: a pipe that nobody writes to."""
    pipe = tmp_path / "endless.fits"
    os.mkfifo(pipe)
    return pipe


def worker_of(maker: ThumbnailMaker) -> int:
    """Return the worker's process id."""
    assert maker._worker is not None
    return maker._worker.pid


def test_pictures_are_made_by_one_worker() -> None:
    """Asked for at once, they are made one after the other, as they would be here."""

    async def scenario(maker: ThumbnailMaker) -> None:
        first = await maker.make(T_SEX)
        worker = worker_of(maker)
        small = await asyncio.gather(*(maker.make(T_SEX, max_px=size) for size in (64, 100)))
        assert first == make_thumbnail(T_SEX)
        assert [picture and picture.width for picture in small] == [64, 100]
        assert worker_of(maker) == worker

    run(scenario)


def test_a_file_that_cannot_be_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It has no thumbnail, the log says why, and the worker goes on."""
    caplog.set_level(logging.INFO)
    broken = tmp_path / "broken.fits"
    broken.write_bytes(b"SIMPLE")

    async def scenario(maker: ThumbnailMaker) -> None:
        assert await maker.make(T_SEX)
        worker = worker_of(maker)
        assert await maker.make(broken) is None
        assert await maker.make(tmp_path / "missing.fits") is None
        assert await maker.make(T_SEX)
        assert worker_of(maker) == worker

    run(scenario)
    assert "No thumbnail of broken.fits: The file is damaged" in caplog.text
    assert "No thumbnail of missing.fits: " in caplog.text


def test_a_picture_has_a_time_limit(endless: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The worker is ended, and the next picture has a new one."""

    async def scenario(maker: ThumbnailMaker) -> None:
        assert await maker.make(T_SEX)
        assert await maker.make(endless) is None
        assert await maker.make(T_SEX)

    run(scenario, time_limit_s=5)
    assert "No thumbnail of endless.fits: not made within 5 s." in caplog.text


def test_a_worker_that_dies(endless: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Within a picture or between two: the next one is made by a new worker."""

    async def scenario(maker: ThumbnailMaker) -> None:
        assert await maker.make(T_SEX)
        waiting = asyncio.create_task(maker.make(endless))
        # Opens once the worker reads.
        with await asyncio.to_thread(endless.open, "wb"):
            os.kill(worker_of(maker), 9)
        assert await waiting is None
        assert await maker.make(T_SEX)

    run(scenario)
    assert "No thumbnail of endless.fits: the worker died of it." in caplog.text


def test_a_request_that_is_given_up(endless: Path) -> None:
    """Its answer is not taken for the next one's."""

    async def scenario(maker: ThumbnailMaker) -> None:
        waiting = asyncio.create_task(maker.make(endless))
        while maker._worker is None:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await maker.make(T_SEX) == make_thumbnail(T_SEX)

    run(scenario)


def test_memory_has_a_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An image whose one tile needs more than the worker may take is refused."""
    caplog.set_level(logging.INFO)
    path = tmp_path / "tile.fits.fz"
    pixels = np.zeros((6_000, 6_000), np.int32)
    fits.CompImageHDU(pixels, compression_type="RICE_1", tile_shape=pixels.shape).writeto(path)

    async def scenario(maker: ThumbnailMaker) -> None:
        assert await maker.make(path) is None
        assert await maker.make(T_SEX)

    run(scenario, memory_limit_bytes=300 << 20)
    assert "needs more memory" in caplog.text


def test_the_worker_knows_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hostile file could make it tell, it was not told."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")

    async def scenario(maker: ThumbnailMaker) -> None:
        assert await maker.make(T_SEX)
        environment = await asyncio.to_thread(Path(f"/proc/{worker_of(maker)}/environ").read_bytes)
        assert b"PATH=" in environment
        assert b"a-secret" not in environment

    run(scenario)


def test_the_server_stays_light_and_takes_its_worker_along() -> None:
    """It loads no astronomy, and when it is killed the worker ends too."""
    command: list[Any] = [sys.executable, "-c", PROGRAM, T_SEX]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        modules = server.stdout.readline().split()
        server.kill()
        # Server and worker share it: its end has come when both have ended.
        assert server.stderr.read() == ""
    assert "boundless_skies.cloud.services.thumbnails" in modules
    assert not {"astropy", "numpy", "PIL"} & set(modules)

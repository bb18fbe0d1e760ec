"""A full or read-only disk: what it refuses waits in memory, and is said at once."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.capture_server import Answer, CaptureServer
from tests.support.disks import SmallDisk, small_disk
from tests.support.links import IMAGES, MEASUREMENTS, Links, free_port, nth, numbers

from cloud_communicator import CloudCommunicator
from cloud_communicator.retryqueue import QUEUE_NAME

DISK_BYTES = 200_000
IMAGE_QUEUE = "cloud_image_queue.json"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Give a small disk, mounted where the links of `links` keep their data."""
    with small_disk(tmp_path / "data", DISK_BYTES) as mounted:
        yield mounted


@pytest.fixture(params=["full", "read-only"])
def bad_disk(request: pytest.FixtureRequest, disk: SmallDisk) -> SmallDisk:
    """Give that disk, full or read-only until it is mended."""
    if request.param == "full":
        disk.fill()
    else:
        disk.shut(disk.root)
    return disk


def beat(link: CloudCommunicator) -> None:
    """Let the heartbeat's thread do its work here and now."""
    link._heartbeat_tick(threading.Event())


def in_file(folder: Path, name: str) -> list[dict]:
    """Return the entries of a queue's file."""
    path = folder / name
    return json.loads(path.read_bytes()) if path.exists() else []


def test_what_the_disk_refuses_is_said_at_once_and_kept(
    links: Links, bad_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """Status and log name the folder and how much waits in memory."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    assert link.submit_measurement(nth(1)) is False
    assert (link.status["queued_uploads"], link.status["unsaved_uploads"]) == (1, 1)
    for told in (link.status["error"], caplog.text):
        assert f"The data folder {bad_disk.root} cannot be written" in told
        assert "1 measurements wait in memory" in told
    assert [r.levelno for r in caplog.records if "cannot be written" in r.message] == [
        logging.ERROR
    ]


def test_mended_disk_gets_what_waits_also_while_the_cloud_is_away(
    links: Links, bad_disk: SmallDisk
) -> None:
    """The next beat writes it, though the beat itself fails."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    link.submit_measurement(nth(1))
    bad_disk.mend()
    beat(link)
    assert link.status["last_heartbeat_ok"] is False
    assert len(in_file(bad_disk.root, QUEUE_NAME)) == 1
    assert link.status["unsaved_uploads"] == 0
    assert "cannot be written" not in link.status["error"]


def test_cloud_gets_what_waits_while_the_disk_is_bad(
    server: CaptureServer, links: Links, bad_disk: SmallDisk
) -> None:
    """It is delivered from memory, once, in order, and is not there again on the mended disk."""
    server.rules[MEASUREMENTS] = Answer(503)
    link = links.make(server.url)
    for number in (1, 2):
        link.submit_measurement(nth(number))
    del server.rules[MEASUREMENTS]
    beat(link)
    assert numbers(server.to(MEASUREMENTS))[-2:] == [1, 2]
    bad_disk.mend()
    beat(link)
    assert link.status["queued_uploads"] == 0
    assert in_file(bad_disk.root, QUEUE_NAME) == []
    assert len(server.to(MEASUREMENTS)) == 4


def test_stop_writes_what_the_disk_refused(links: Links, bad_disk: SmallDisk) -> None:
    """A disk that was mended since the last beat gets it before the program ends."""
    link = links.started(f"http://127.0.0.1:{free_port()}", heartbeat_interval=60)
    link.submit_measurement(nth(1))
    assert link.status["unsaved_uploads"] == 1
    bad_disk.mend()
    link.stop()
    assert len(in_file(bad_disk.root, QUEUE_NAME)) == 1


def test_image_whose_path_the_disk_refuses_is_kept_and_said(
    server: CaptureServer, links: Links, bad_disk: SmallDisk, tmp_path: Path
) -> None:
    """The path waits in memory, is told apart from the measurements, and written later."""
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    server.rules[IMAGES] = Answer(500)
    link = links.make(server.url, upload_images=True)
    assert link.submit_measurement(nth(1), fits_path=tmp_path / "a.fits") is True
    assert link.status["queued_images"] == 1
    assert "cloud_image_queue.json cannot be written" in link.status["error"]
    bad_disk.mend()
    beat(link)
    assert [e["path"] for e in in_file(bad_disk.root, IMAGE_QUEUE)] == [str(tmp_path / "a.fits")]
    assert "cannot be written" not in (link.status["error"] or "")


def test_pipe_in_place_of_an_image_keeps_nobody_waiting(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """A pipe that nobody writes to is read as it is: empty."""
    os.mkfifo(tmp_path / "pipe.fits")
    link = links.make(server.url, upload_images=True)
    assert link.submit_measurement(nth(1), fits_path=tmp_path / "pipe.fits") is True
    assert len(server.to(IMAGES)) == 1

"""Images: tried once at once, remembered where that fails, streamed, bounded, let go when gone."""

import json
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import multipart
import pytest
from tests.support.capture_server import Answer, CaptureServer, Request, in_turn, wait_until
from tests.support.hostile import SILENT
from tests.support.links import IMAGES, MEASUREMENTS, Links, free_port, nth

from cloud_communicator import CloudCommunicator, images

QUEUE = "cloud_image_queue.json"


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    """Give a small file that stands for a FITS frame."""
    path = tmp_path / "SS Cyg 0001.fits"
    path.write_bytes(b"SIMPLE  =                    T" + bytes(range(256)) * 20)
    return path


def courier(server: CaptureServer, links: Links, **cloud: Any) -> CloudCommunicator:
    """Build a link that uploads images."""
    return links.make(server.url, **{"upload_images": True, "heartbeat_interval": 60, **cloud})


def beat(link: CloudCommunicator, times: int = 1) -> None:
    """Let the heartbeat's thread do its work here and now."""
    for _ in range(times):
        link._heartbeat_tick(threading.Event())


def remembered(links: Links) -> list[str]:
    """Return the paths on disk."""
    return [entry["path"] for entry in json.loads((links.folder / QUEUE).read_text())]


def form(request: Request) -> list[tuple[str, str, str, bytes]]:
    """Parse a multipart body strictly: name, file name, type and bytes of each part."""
    _, options = multipart.parse_options_header(request.headers["content-type"])
    parser = multipart.PushMultipartParser(
        options["boundary"], content_length=request.size, strict=True
    )
    parts: list[tuple[str, str, str, bytes]] = []
    with parser:
        for event in parser.parse(request.body):
            if isinstance(event, multipart.MultipartSegment):
                kind = event.header("Content-Type") or ""
                parts.append((event.name, event.filename or "", kind, b""))
            elif event:
                *head, data = parts[-1]
                parts[-1] = (*head, data + bytes(event))  # type: ignore[assignment]
    return parts


def test_image_that_failed_is_remembered_and_tried_after_a_beat(
    server: CaptureServer, links: Links, frame: Path
) -> None:
    """Submit tried it once; the beat after it brings it up, byte for byte."""
    server.rules[IMAGES] = in_turn(Answer(500), Answer())
    link = courier(server, links)
    assert link.submit_measurement(nth(1), fits_path=frame) is True
    assert len(server.to(IMAGES)) == 1
    assert remembered(links) == [str(frame)]
    assert link.status["queued_images"] == 1
    beat(link)
    assert form(server.to(IMAGES)[1])[0][3] == frame.read_bytes()
    assert link.status["queued_images"] == 0


def test_image_of_a_queued_measurement_is_remembered_untried(links: Links, frame: Path) -> None:
    """Where the JSON does not get through, megabytes are not even tried."""
    link = links.make(f"http://127.0.0.1:{free_port()}", upload_images=True)
    assert link.submit_measurement(nth(1), fits_path=frame) is False
    assert remembered(links) == [str(frame)]


def test_image_of_a_queued_measurement_follows_it(
    server: CaptureServer, links: Links, frame: Path
) -> None:
    """The drain brings the measurement first, the frame after it."""
    server.rules[MEASUREMENTS] = in_turn(Answer(503), Answer())
    link = courier(server, links)
    link.submit_measurement(nth(1), fits_path=frame)
    server.requests.clear()
    beat(link)
    paths = [request.path for request in server.requests]
    assert paths[-2:] == [MEASUREMENTS, IMAGES]


def test_remembered_image_survives_a_restart(
    server: CaptureServer, links: Links, frame: Path
) -> None:
    """A new object in the same folder brings it up."""
    server.rules[IMAGES] = Answer(500)
    courier(server, links).submit_measurement(nth(1), fits_path=frame)
    server.rules[IMAGES] = Answer()
    again = courier(server, links)
    assert again.status["queued_images"] == 1
    beat(again)
    assert again.status["queued_images"] == 0
    assert remembered(links) == []


def test_relative_path_is_remembered_absolute(
    server: CaptureServer, links: Links, frame: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that changes its working directory still finds the file."""
    server.rules[IMAGES] = Answer(500)
    monkeypatch.chdir(frame.parent)
    courier(server, links).submit_measurement(nth(1), fits_path=frame.name)
    assert remembered(links) == [str(frame)]


def test_missing_image_is_logged_and_let_go(
    server: CaptureServer, links: Links, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The measurement counts all the same."""
    link = courier(server, links)
    assert link.submit_measurement(nth(1), fits_path=tmp_path / "never.fits") is True
    assert "never.fits is gone" in caplog.text
    assert (link.status["queued_images"], server.to(IMAGES)) == (0, [])


def test_image_that_was_deleted_meanwhile_is_let_go(
    server: CaptureServer, links: Links, frame: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A remembered path without a file leaves the queue."""
    server.rules[IMAGES] = Answer(500)
    link = courier(server, links)
    link.submit_measurement(nth(1), fits_path=frame)
    frame.unlink()
    beat(link)
    assert "is gone" in caplog.text
    assert link.status["queued_images"] == 0


def test_unreadable_images_do_not_hold_up_the_others(
    server: CaptureServer, links: Links, frame: Path, tmp_path: Path
) -> None:
    """Folders in place of files at the head of the queue let the rest pass."""
    server.rules[MEASUREMENTS] = Answer(503)
    link = courier(server, links)
    for name in "abcd":
        (tmp_path / name).mkdir()
        link.submit_measurement(nth(1), fits_path=tmp_path / name)
    link.submit_measurement(nth(2), fits_path=frame)
    server.rules[MEASUREMENTS] = Answer()
    beat(link, 6)
    assert form(server.to(IMAGES)[0])[0][3] == frame.read_bytes()


def test_poisonous_images_do_not_hold_up_the_others(
    server: CaptureServer, links: Links, frame: Path, tmp_path: Path
) -> None:
    """Files that the cloud always stumbles over let the rest pass."""
    server.rules[MEASUREMENTS] = Answer(503)
    link = courier(server, links)
    for name in "abcd":
        (tmp_path / name).write_bytes(b"POISON")
        link.submit_measurement(nth(1), fits_path=tmp_path / name)
    link.submit_measurement(nth(2), fits_path=frame)
    server.rules[MEASUREMENTS] = Answer()
    server.rules[IMAGES] = lambda request: Answer(500 if b"POISON" in request.body else 200)
    beat(link, 8)
    assert link.status["queued_images"] == 4


@pytest.mark.parametrize("status", [400, 413, 422])
def test_image_refused_for_good_is_let_go_after_three_drains(
    server: CaptureServer,
    links: Links,
    frame: Path,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    """It is logged; the file itself stays where it is."""
    server.rules[IMAGES] = Answer(status, {"error": "too large"})
    link = courier(server, links)
    link.submit_measurement(nth(1), fits_path=frame)
    beat(link, 2)
    assert link.status["queued_images"] == 1
    beat(link)
    assert link.status["queued_images"] == 0
    assert "let go" in caplog.text
    assert frame.exists()


@pytest.mark.parametrize(
    "name", ["a.fits", 'quo"te.fits', "new\nline.fits", "ü – 星.fits", "%22.fits"]
)
@pytest.mark.parametrize("data", [b"", b"x", b"\r\n--", bytes(70_000), b"a\r\n\r\n" * 30_000])
def test_multipart_is_well_formed_for_any_name_and_bytes(
    server: CaptureServer, links: Links, tmp_path: Path, name: str, data: bytes
) -> None:
    """A strict parser finds one part "file" with the file's name and its bytes."""
    path = tmp_path / name
    path.write_bytes(data)
    courier(server, links).submit_measurement(nth(1), fits_path=path)
    ((part, filename, kind, received),) = form(server.to(IMAGES)[0])
    assert (part, kind) == ("file", "application/fits")
    assert filename.endswith(".fits")
    assert received == data


def test_image_is_streamed_in_bounded_memory(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """200 MB go up while the link holds less than a twentieth of them."""
    big = tmp_path / "big.fits"
    with big.open("wb") as file:
        file.truncate(200_000_000)
    link = courier(server, links)
    link.submit_measurement(nth(1))
    tracemalloc.start()
    try:
        assert link.submit_measurement(nth(2), fits_path=big) is True
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server.to(IMAGES)[0].size > 200_000_000
    assert link.status["queued_images"] == 0
    assert peak_bytes < 10_000_000


def test_image_has_a_deadline_of_its_own(
    server: CaptureServer, links: Links, frame: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 s by default, counted over the whole upload; then it is remembered."""
    assert images.UPLOAD_S == 120
    monkeypatch.setattr(images, "UPLOAD_S", 0.4)
    server.rules[IMAGES] = SILENT
    link = courier(server, links, connect_timeout=30, timeout=30)
    begun = time.monotonic()
    assert link.submit_measurement(nth(1), fits_path=frame) is True
    assert time.monotonic() - begun < 10
    assert link.status["queued_images"] == 1


def test_image_may_take_longer_than_a_reply(
    server: CaptureServer, links: Links, frame: Path
) -> None:
    """The time-out of small calls does not cut it short."""
    server.rules[IMAGES] = Answer(delay_s=0.8)
    link = courier(server, links, connect_timeout=0.2, timeout=0.2)
    assert link.submit_measurement(nth(1), fits_path=frame) is True
    assert link.status["queued_images"] == 0


def test_file_that_shrinks_while_it_goes_up_is_tried_again(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """The upload breaks off cleanly, and the next one has the new size."""
    path = tmp_path / "growing.fits"
    path.write_bytes(bytes(3_000_000))

    def shrink(_self: Any, size: int = 65_536) -> bytes:
        path.write_bytes(b"short")
        return original(_self, size)

    original = images.MultipartFile.read
    link = courier(server, links)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images.MultipartFile, "read", shrink)
        assert link.submit_measurement(nth(1), fits_path=path) is True
    assert link.status["queued_images"] == 1
    beat(link)
    assert form(server.to(IMAGES)[-1])[0][3] == b"short"


def test_images_wait_where_uploading_was_switched_off(
    server: CaptureServer, links: Links, frame: Path
) -> None:
    """What an earlier run remembered stays on disk and does not travel."""
    server.rules[IMAGES] = Answer(500)
    courier(server, links).submit_measurement(nth(1), fits_path=frame)
    server.requests.clear()
    link = courier(server, links, upload_images=False)
    beat(link)
    assert server.to(IMAGES) == []
    assert remembered(links) == [str(frame)]


def test_threads_bring_remembered_images_up(
    server: CaptureServer, links: Links, frame: Path
) -> None:
    """A running link needs nobody's help for it."""
    server.rules[IMAGES] = in_turn(Answer(500), Answer(503), Answer())
    link = courier(server, links, heartbeat_interval=0.1)
    link.start()
    link.submit_measurement(nth(1), fits_path=frame)
    wait_until(lambda: link.status["queued_images"] == 0)
    assert len(server.to(IMAGES)) == 3

"""The pages of the sky, the link and the log, and the stream of changes."""

import http.client
import json
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.node.dashboard.dashboards import (
    SIDE_PX,
    RunningDashboard,
    fill_sky,
    item,
    link_status,
    measurement,
)
from tests.support.scenes import MORE_FRAMES

from boundless_skies.node.dashboard.frame_picture import frame_picture, stretched
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.schedule.states import Step
from boundless_skies.node.storage.ledger import FrameFile
from boundless_skies.wire.canonical import canonical_json
from cloud_communicator.disk import Ledger as Records
from cloud_communicator.retryqueue import EVICTED_NAME, RetryQueue


def grey_of(png: bytes) -> np.ndarray:
    """Return the pixels of a PNG of 8 bits of grey without filters."""
    width, height = struct.unpack(">II", png[16:24])
    at, content = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(kind + body)
        content += body if kind == b"IDAT" else b""
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(content), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


@pytest.mark.parametrize("path", ["/", "/sky", "/link", "/settings", "/log"])
def test_each_page_stands_on_an_empty_node(node: RunningDashboard, path: str) -> None:
    """With one main heading, landmarks, and its place in the navigation marked."""
    page = node.get(path)
    assert page.status == 200
    assert page.text.count("<h1>") == 1
    assert '<main id="content"' in page.text
    assert page.text.count('aria-current="page"') == 1
    assert "<script>" not in page.text
    assert "style=" not in page.text


def test_an_unknown_page_is_told(node: RunningDashboard) -> None:
    """As a page like the others."""
    reply = node.get("/nowhere")
    assert reply.status == 404
    assert "There is no such page." in reply.text


def test_the_sky_shows_what_was_measured(node: RunningDashboard) -> None:
    """The light curve as picture, sentence and table, and the last frame."""
    fill_sky(node)
    page = node.get("/sky").text
    assert page.count('class="point good"') == 2 * 43 + 1  # wide, narrow, and the legend
    assert "46 points in CV" in page
    assert "15.118 ± 0.018" in page
    assert "last.fits" in page
    assert "<b>" not in page


def test_brighter_is_up(node: RunningDashboard) -> None:
    """The magnitudes of the axis grow downwards."""
    fill_sky(node)
    labels = node.get("/sky").text.split('text-anchor="end">')[1:]
    magnitudes = [float(label.partition("<")[0]) for label in labels][:4]
    assert magnitudes == sorted(magnitudes)


def test_apertures_lie_on_their_stars(node: RunningDashboard) -> None:
    """The target stands in the middle of the frame; the picture is brightest there."""
    node.put_plan()
    fill_sky(node)
    page = node.get("/sky").text
    circle = page.split('<circle class="aperture" cx="')[1]
    x, y = float(circle.partition('"')[0]), float(circle.split('cy="')[1].partition('"')[0])
    grey = grey_of(node.get("/sky/frame.png").body)
    assert grey.shape == SIDE_PX
    around = grey[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4]
    assert around.min() > np.percentile(grey, 90)
    assert page.count('class="aperture star"') == 2


def test_a_frame_without_a_solution_says_so(node: RunningDashboard) -> None:
    """No aperture is guessed."""
    fill_sky(node, points=2, with_wcs=False)
    page = node.get("/sky").text
    assert "apertures are not drawn" in page
    assert 'class="aperture"' not in page


def test_apertures_are_drawn_by_the_measurements_own_solution(node: RunningDashboard) -> None:
    """Frames of most telescopes say nothing of it; the target is in the same place as with it."""
    node.put_plan()
    fill_sky(node)
    wanted = _first_aperture(node.get("/sky").text)
    path = Path(node.ledger.newest(1)[0][0].path)
    wcs = read_frame(path).wcs
    assert wcs is not None
    with fits.open(path, mode="update") as file:
        for key in ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"):
            file[0].header.remove(key)
    values = dict(node.ledger.newest(1)[0][1])
    values["plate_solution"] = {
        "ra_deg": float(wcs.wcs.crval[0]),
        "dec_deg": float(wcs.wcs.crval[1]),
        "x_px": float(wcs.wcs.crpix[0]) - 1.0,
        "y_px": float(wcs.wcs.crpix[1]) - 1.0,
        "cd_deg_px": wcs.pixel_scale_matrix.tolist(),
    }
    node.ledger.keep_measured(FrameFile(2**62, str(path), 1), values)
    assert _first_aperture(node.get("/sky").text) == pytest.approx(wanted, abs=0.2)


def _first_aperture(page: str) -> tuple[float, float]:
    circle = page.split('<circle class="aperture" cx="')[1]
    return float(circle.partition('"')[0]), float(circle.split('cy="')[1].partition('"')[0])


def test_a_frame_that_could_not_be_measured_is_shown_with_the_reason(
    node: RunningDashboard,
) -> None:
    """Clouds are best seen on the frame itself; older measurements stand beside it."""
    fill_sky(node, points=2)
    path = Path(node.ledger.newest(1)[0][0].path)
    node.ledger.keep_refused(FrameFile(2**62, str(path), 1), "Only 2 stars are seen.")
    page = node.get("/sky").text
    assert "Not measured.</strong> Only 2 stars are seen." in page
    assert 'class="aperture"' not in page
    assert grey_of(node.get("/sky/frame.png").body).shape == SIDE_PX
    assert "Last measurements" in page


def test_a_frame_that_is_gone_is_told(node: RunningDashboard) -> None:
    """The page stands all the same."""
    node.ledger.keep_measured(
        FrameFile(1, "/nowhere/gone.fits", 1), measurement(0, 15.0, "gone.fits")
    )
    page = node.get("/sky")
    assert page.status == 200
    assert "gone.fits cannot be shown" in page.text
    assert node.get("/sky/frame.png").status == 404


def test_times_are_those_of_the_telescope(node: RunningDashboard) -> None:
    """The barycentric date is turned back into the clock's time, to a second."""
    node.put_plan()
    node.ledger.keep_measured(FrameFile(1, "/x.fits", 1), measurement(0, 15.0, "x.fits"))
    assert 'datetime="2026-03-01T21:40:00Z"' in node.get("/sky").text


def test_the_curve_is_heard(node: RunningDashboard) -> None:
    """A sound file; none where nothing was seen."""
    assert node.get("/sky/curve.wav").status == 404
    fill_sky(node, points=5)
    assert node.get("/sky/curve.wav").body[:4] == b"RIFF"


def test_a_stretch_shows_faint_stars() -> None:
    """The sky is dark but not black, a star of ten sigma is seen, the brightest is white."""
    rng = np.random.default_rng(1)
    image = rng.normal(1_000, 10, (200, 200)).astype(np.float32)
    image[100, 100], image[50:60, 50:60] = 1_100, 4_000
    grey = stretched(image)
    sky = np.median(grey)
    assert 10 < sky < 90
    assert grey[100, 100] > sky + 60
    assert grey[55, 55] == 255
    assert grey.min() == 0


@pytest.mark.frames
@pytest.mark.skipif(not MORE_FRAMES.is_dir(), reason="the real frames are not there")
def test_a_real_frame_shows_its_star_within_the_aperture() -> None:
    """HD 200775, the star that lights NGC 7023, in a Seestar's frame that carries a solution."""
    path = next((MORE_FRAMES / "seestar").glob("*NGC_7023*"))
    values = measurement(0, 7.4, path.name, target_name="HD 200775", aperture_px=16.0)
    found = frame_picture(path, values, (315.4037, 68.1633), "luminance")
    grey, star = grey_of(found.png), found.apertures[0]
    assert (found.width, found.height) == (540, 960)
    middle = grey[int(star.y) - 2 : int(star.y) + 3, int(star.x) - 2 : int(star.x) + 3]
    assert middle.max() == 255
    assert np.median(grey) < 60


def test_an_even_image_is_shown() -> None:
    """Without a spread there is nothing to divide by, and no warning."""
    assert stretched(np.full((50, 50), 7.0, np.float32)).std() == 0


def test_the_link_tells_how_it_does(node: RunningDashboard) -> None:
    """What is wrong stands first."""
    page = node.get("/link").text
    assert "The cloud answers." in page
    assert "last answer" in page
    node.status.update(link_status(last_heartbeat_ok=False))
    assert "The last beat was not answered." in node.get("/link").text
    node.status.update(link_status(error="The cloud says no: key revoked."))
    assert "The cloud says no: key revoked." in node.get("/link").text


def put_queue(node: RunningDashboard, waiting: int, evicted: int) -> None:
    """Let measurements wait, and others have left."""
    queue = RetryQueue(node.folder)
    queue.load()
    for number in range(waiting):
        payload = {"measurement": measurement(-2_160 * number, 15.0, f"w{number}.fits")}
        queue.put(canonical_json(payload))
    for number in range(evicted):
        payload = {"measurement": measurement(number, 14.0, f"e{number}.fits")}
        Records(node.folder / EVICTED_NAME).append({"payload": payload, "why": "full"})


def test_what_waits_and_what_left_is_counted(node: RunningDashboard) -> None:
    """With the age of the oldest."""
    put_queue(node, waiting=3, evicted=2)
    page = node.get("/link").text
    assert "the oldest was exposed about 3 days ago" in page
    assert "2 evicted" in page
    assert "0 rejected" in page


def test_what_left_is_brought_back(node: RunningDashboard) -> None:
    """Each goes from the one file to the other."""
    put_queue(node, waiting=1, evicted=2)
    assert node.post("/link/replay", {"book": "evicted"}, seen_on="/link").status == 303
    queue = RetryQueue(node.folder)
    queue.load()
    assert len(queue) == 3
    assert queue.evicted.records() == []


def test_an_unknown_book_is_refused(node: RunningDashboard) -> None:
    """Nothing of the queue can be reached by its attributes' names."""
    assert node.post("/link/replay", {"book": "file"}).status == 409


def test_interrupts_show_what_became_of_them(node: RunningDashboard) -> None:
    """With the reason."""
    node.store.put_interrupt(item("GRB 260301A", 10.0, 50.0))
    work = node.store.interrupts()[0]
    node.store.advance(work.id, Step.PENDING, Step.FAILED, "The mount did not answer.")
    page = node.get("/link").text
    assert "GRB 260301A" in page
    assert "The mount did not answer." in page


def test_the_log_shows_no_secret(node: RunningDashboard) -> None:
    """Neither the config's nor the one that the link got."""
    (node.folder / "cloud_state.json").write_text(json.dumps({"api_key": "got-from-cloud"}))
    log = logging.getLogger("boundless_skies.test")
    log.error("Refused: key-that-nobody-sees and got-from-cloud <i>")
    page = node.get("/log").text
    assert "Refused: [secret] and [secret] &lt;i&gt;" in page


def test_the_newest_line_of_the_log_stands_first(node: RunningDashboard) -> None:
    """Like in every list of news."""
    log = logging.getLogger("boundless_skies.test")
    log.warning("older line")
    log.warning("newer line")
    page = node.get("/log").text
    assert page.index("newer line") < page.index("older line")


def test_changes_are_streamed(node: RunningDashboard) -> None:
    """A mark comes at once, and another when something changes."""
    connection = http.client.HTTPConnection(node.host, timeout=10)
    connection.request("GET", "/events", headers={"Cookie": node.cookie})
    stream = connection.getresponse()
    first = _next_mark(stream)
    node.put_plan()
    second = _next_mark(stream)
    node.status["measuring"] = "x.fits"
    third = _next_mark(stream)
    assert len({first, second, third}) == 3
    connection.close()


def test_a_fault_is_told_without_its_inside(
    node: RunningDashboard, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says where to look; what happened stands in the log alone."""
    node.ledger.keep_measured(FrameFile(1, "/x.fits", 1), {"target_name": "odd"})
    reply = node.get("/sky")
    assert reply.status == 500
    assert "the log says what happened" in reply.text
    assert "KeyError" not in reply.text
    assert "KeyError" in caplog.text


def test_a_store_that_cannot_be_read_is_told(node: RunningDashboard) -> None:
    """In the store's own sentence."""
    node.store.close()
    reply = node.get("/")
    assert reply.status == 503
    assert "schedule.sqlite cannot be used" in reply.text


def test_no_page_shows_a_secret(node: RunningDashboard) -> None:
    """Wherever one looks."""
    for path in ("/", "/sky", "/link", "/settings", "/log"):
        assert "key-that-nobody-sees" not in node.get(path).text


def _next_mark(stream: http.client.HTTPResponse) -> str:
    while True:
        line = stream.readline().decode().strip()
        if line.startswith("data:"):
            return line

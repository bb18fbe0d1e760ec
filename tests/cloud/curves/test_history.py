"""Where a point comes from: its frame, stars, revisions, witnesses and verdict."""

import hashlib
import io
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from astropy.io import fits
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import RunningCloud
from tests.support.operating import wait_for

STARS = [{"name": "000-BCP-193", "mag": 11.1, "measured_mag": -8.3}]
ZERO_HASH = "0" * 64


SOLUTION = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 325.7, "CRVAL2": 43.6}
SOLUTION |= {"CDELT1": -1e-3, "CDELT2": 1e-3, "CROTA2": 30.0}


def make_frame(seed: int, **cards: Any) -> bytes:
    """Return a frame as a camera writes it."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(500, 900, (120, 160)).astype(np.uint16)
    header = fits.Header({"OBJECT": "SS Cyg", "SITELAT": "48.13712", **cards})
    fits.PrimaryHDU(pixels, header).writeto(file)
    return file.getvalue()


@pytest.fixture
def frame() -> bytes:
    """Make a frame."""
    return make_frame(7)


@pytest.fixture
def point(node: Client, frame: bytes, fresh_name: Callable[[str], str]) -> int:
    """Measure a target twice over from an uploaded frame; return the number of the newest."""
    node.upload(frame, "night_001.fits")
    name = fresh_name("Traced")
    for magnitude in (12.0, 12.1):
        sent = make_measurement(
            target_name=name,
            magnitude=magnitude,
            fits_file="C:\\Users\\Ada Lovelace\\night_001.fits",
            comparison_stars=STARS,
            check_star={"name": "K", "mag": 12.4},
            software="Boundless node",
            software_version="0.1.0",
        )
        number = node.post("/api/v1/measurements", sent)["id"]
    return int(number)


def test_a_point_leads_to_all_that_made_it(point: int, public: Client, frame: bytes) -> None:
    """Frame, stars, software and revisions are told; whose it is, and from where, is not."""
    reply = public.call("GET", f"/api/v1/measurements/{point}")
    told = reply.json
    sha256 = hashlib.sha256(frame).hexdigest()
    assert told["frame"]["name"] == "night_001.fits"
    assert told["frame"]["thumbnail"] == f"/api/v1/images/{sha256}/thumbnail.png"
    assert told["provenance"]["comparison_stars"][0]["name"] == "000-BCP-193"
    assert told["provenance"]["check_star"]["catalogue_mag"] == 12.4
    assert told["provenance"]["software_version"] == "0.1.0"
    assert [(one["revision"], one["magnitude"]) for one in told["revisions"]] == [
        (2, 12.1),
        (1, 12.0),
    ]
    assert [one["is_newest"] for one in told["revisions"]] == [True, False]
    for secret in ("Lovelace", "48.137", "11.575"):
        assert secret not in reply.body.decode()


def test_the_page_shows_the_thumbnail(point: int, public: Client, frame: bytes) -> None:
    """The picture is made after the upload, and its sentence stands in its place."""
    sha256 = hashlib.sha256(frame).hexdigest()

    def shown() -> str | None:
        page = public.call("GET", f"/measurements/{point}").body.decode()
        return page if "<img src" in page and 'alt="Frame of SS Cyg' in page else None

    page = wait_for(shown)
    assert f"/api/v1/images/{sha256}/thumbnail.png" in page
    assert "000-BCP-193" in page
    assert "Lovelace" not in page


def test_a_point_says_why_its_quality_is_less_than_good(
    node: Client, public: Client, fresh_name: Callable[[str], str]
) -> None:
    """As JSON, on its page, and in the files; markup in a node's words stays a text."""
    name = fresh_name("Clouded")
    sent = make_measurement(
        target_name=name,
        quality_flag="acceptable",
        quality_bits=8192,
        quality_reasons=["clouds: 0.4 mag less light", "<b>wind</b>: gusts"],
        comparisons_dropped=[{"name": "TYC 1", "why": "AAVSO VSX: V1 Cyg (EA)"}],
    )
    number = node.post("/api/v1/measurements", sent)["id"]
    told = public.get(f"/api/v1/measurements/{number}")["provenance"]
    assert told["quality_bits"] == 8192
    assert [one["found"] for one in told["quality_reasons"]] == ["0.4 mag less light", "gusts"]
    page = public.call("GET", f"/measurements/{number}").body.decode()
    assert "Why its quality is acceptable" in page
    assert "<strong>TYC 1</strong>: AAVSO VSX: V1 Cyg (EA)" in page
    assert "<strong>Clouds</strong>: 0.4 mag less light" in page
    assert told["quality_reasons"][0]["meaning"] in page
    assert "<strong>&lt;b&gt;wind&lt;/b&gt;</strong>: gusts" in page
    sheet = public.call("GET", f"/api/v1/lightcurves/{quote(name)}?format=csv").body.decode()
    assert sheet.endswith(",8192,clouds: 0.4 mag less light; <b>wind</b>: gusts\r\n")


def test_a_good_point_has_nothing_to_explain(point: int, public: Client) -> None:
    """An empty list, and no heading above nothing."""
    assert public.get(f"/api/v1/measurements/{point}")["provenance"]["quality_reasons"] == []
    assert "Why its quality" not in public.call("GET", f"/measurements/{point}").body.decode()


def test_the_same_frame_from_another_node_is_described_too(
    node: Client, public: Client, frame: bytes
) -> None:
    """What it shows is known already, and stands on the second node's point as well."""
    numbers = []
    for sender in (node, public.register()):
        sender.upload(frame, "twice.fits")
        sent = make_measurement(target_name="SS Cyg", bjd=2461200.5, fits_file="twice.fits")
        numbers.append(sender.post("/api/v1/measurements", sent)["id"])
        wait_for(lambda: _sentence(public, numbers[-1]))
    assert _sentence(public, numbers[0]) == _sentence(public, numbers[1])


def _sentence(public: Client, number: int) -> str | None:
    found: str | None = public.get(f"/api/v1/measurements/{number}")["frame"]["sentence"]
    return found


@pytest.mark.parametrize("cards", [SOLUTION, {}])
def test_the_page_marks_north_and_east(cards: dict[str, Any], node: Client, public: Client) -> None:
    """On a picture that was turned by a plate solution, and on no other."""
    node.upload(make_frame(9, **cards), "turned.fits")
    sent = make_measurement(target_name="SS Cyg", bjd=2461200.7, fits_file="turned.fits")
    number = node.post("/api/v1/measurements", sent)["id"]
    sentence = wait_for(lambda: _sentence(public, number))
    page = public.call("GET", f"/measurements/{number}").body.decode()
    assert sentence.endswith("North up.") is bool(cards)
    assert ('class="compass"' in page) is bool(cards)


def test_a_thumbnail_may_be_kept(node: Client, public: Client, frame: bytes) -> None:
    """It is a PNG file, for anybody, for good."""
    node.upload(frame)
    sha256 = hashlib.sha256(frame).hexdigest()
    reply = public.call("GET", f"/api/v1/images/{sha256}/thumbnail.png")
    assert reply.body.startswith(b"\x89PNG")
    assert reply.headers["content-type"] == "image/png"
    assert "immutable" in reply.headers["cache-control"]


def test_what_is_no_picture_has_no_thumbnail(node: Client, public: Client) -> None:
    """The file is kept all the same, and the call says so each time."""
    content = b"no picture at all"
    node.upload(content)
    path = f"/api/v1/images/{hashlib.sha256(content).hexdigest()}/thumbnail.png"
    for _ in range(2):
        reply = public.call("GET", path)
        assert (reply.status, "No picture" in reply.json["error"]) == (404, True)


def test_a_file_is_for_operators(
    node: Client, public: Client, operator: Client, frame: bytes
) -> None:
    """A header may tell where its owner lives, so that neither the public nor nodes get it."""
    node.upload(frame)
    path = f"/api/v1/images/{hashlib.sha256(frame).hexdigest()}"
    for stranger in (public, node):
        assert stranger.call("GET", path).status == 401
    reply = operator.call("GET", path)
    assert reply.body == frame
    assert reply.headers["content-type"] == "application/fits"
    assert "attachment" in reply.headers["content-disposition"]


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=10-999999999", 206, slice(10, None)),
        ("bytes=999999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-2", 200, slice(None)),
        ("bytes=0-1,5-9", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
    ],
)
def test_a_part_of_a_file_is_sent(
    node: Client, operator: Client, frame: bytes, header: str, status: int, part: slice | None
) -> None:
    """One range of bytes; what is no such range is passed over."""
    node.upload(frame)
    path = f"/api/v1/images/{hashlib.sha256(frame).hexdigest()}"
    reply = operator.call("GET", path, Range=header)
    assert reply.status == status
    if part is None:
        assert reply.headers["content-range"] == f"bytes */{len(frame)}"
    else:
        assert reply.body == frame[part]
    if status == 206:
        start, end, _ = part.indices(len(frame))
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/{len(frame)}"


def test_witnesses_and_a_verdict_are_told(
    public: Client, operator: Client, fresh_name: Callable[[str], str]
) -> None:
    """What other nodes saw, whether they agree, and what an astronomer decided."""
    one, other = public.register(), public.register()
    name = fresh_name("Disputed")
    numbers = [
        client.post(
            "/api/v1/measurements",
            make_measurement(target_name=name, bjd=2461033.5 + later, magnitude=magnitude),
        )["id"]
        for client, later, magnitude in ((one, 0, 11.0), (other, 0.001, 12.0))
    ]

    def disputed() -> bool:
        told = public.get(f"/api/v1/measurements/{numbers[0]}")
        return bool(told["validation"] == "outlier" and told["witnesses"])

    wait_for(disputed)
    curve = f"/api/v1/lightcurves/{name.replace(' ', '%20')}"
    assert [point["validation"] for point in public.get(curve)["points"]] == ["outlier"] * 2
    verdict = {"verdict": "reject", "reason": "clouds came in"}
    operator.post(f"/api/v1/operator/review/{numbers[1]}", verdict)
    told = public.get(f"/api/v1/measurements/{numbers[1]}")
    assert told["verdict"]["reason"] == "clouds came in"
    assert "operator" not in told["verdict"]
    assert public.get(curve)["n"] == 1
    assert public.get(curve + "?rejected=1")["n"] == 2
    assert "clouds came in" in public.call("GET", f"/measurements/{numbers[1]}").body.decode()


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 30, "987654321", "1%00"])
def test_an_unknown_measurement_is_told(public: Client, number: str) -> None:
    """The call answers 404 in JSON, the page with a page."""
    assert public.call("GET", f"/api/v1/measurements/{number}").json["error"]
    page = public.call("GET", f"/measurements/{number}")
    assert (page.status, b"<h1>" in page.body) == (404, True)


@pytest.mark.parametrize("name", ["x", ZERO_HASH, "..%2F..%2Fetc", "%00"])
def test_an_unknown_image_is_told(operator: Client, name: str) -> None:
    """Nothing of a name becomes a path."""
    for path in (f"/api/v1/images/{name}", f"/api/v1/images/{name}/thumbnail.png"):
        reply = operator.call("GET", path)
        assert (reply.status, bool(reply.json["error"])) == (404, True)


def test_search_leads_to_the_target(
    node: Client, cloud: RunningCloud, fresh_name: Callable[[str], str]
) -> None:
    """A sure answer is a redirect, works without JavaScript, and a wrong place is told."""
    name = fresh_name("Findme")
    node.post("/api/v1/measurements", make_measurement(target_name=name))
    reply = node.pool.request(
        "GET", f"{cloud.url}/search?q={name.replace(' ', '+')}", redirect=False
    )
    assert (reply.status, reply.headers["location"]) == (
        303,
        "/targets/" + name.replace(" ", "%20"),
    )
    wrong = node.call("GET", "/search?q=25:00:00+10:00:00")
    assert (wrong.status, b'role="alert"' in wrong.body) == (400, True)
    assert node.call("GET", "/search").status == 200
    assert b"Betelgeuse" in node.call("GET", "/targets/alf%20Ori").body

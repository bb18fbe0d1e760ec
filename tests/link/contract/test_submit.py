"""submit_measurement(): what it sends, and what its answer means."""

import inspect
from pathlib import Path
from typing import Any

import multipart
import pytest
from tests.support.capture_server import Answer, CaptureServer, Request
from tests.support.links import IMAGES, MEASUREMENT, MEASUREMENTS, Links, free_port, nth

from boundless_skies.wire import Measurement, QualityFlag
from cloud_communicator import CloudCommunicator


def test_submit_has_the_documented_signature() -> None:
    """A measurement is required; conditions and the frame's path are None by default."""
    parameters = list(inspect.signature(CloudCommunicator.submit_measurement).parameters.values())
    assert [p.name for p in parameters] == ["self", "measurement", "conditions", "fits_path"]
    assert parameters[1].default is inspect.Parameter.empty
    assert [p.default for p in parameters[2:]] == [None, None]


def test_measurement_is_posted_with_its_conditions(server: CaptureServer, links: Links) -> None:
    """The body is {"measurement": …, "conditions": …}, as given."""
    link = links.make(server.url)
    assert link.submit_measurement(MEASUREMENT, {"sky_temp_c": -12.5}) is True
    (request,) = server.to(MEASUREMENTS)
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {"measurement": MEASUREMENT, "conditions": {"sky_temp_c": -12.5}}


def test_missing_conditions_are_an_empty_dict(server: CaptureServer, links: Links) -> None:
    """None becomes {}."""
    links.make(server.url).submit_measurement(MEASUREMENT)
    assert server.to(MEASUREMENTS)[0].json()["conditions"] == {}


def test_measurement_may_be_what_to_dict_gives(server: CaptureServer, links: Links) -> None:
    """Measurement.to_dict() goes as it is."""
    measurement = Measurement(
        **MEASUREMENT,  # type: ignore[arg-type]
        airmass=1.2,
        fwhm=3.1,
        snr=88.0,
        comparison_stars=14,
        quality_flag=QualityFlag.GOOD,
        node_id="node-7",
        zero_point=21.3,
        zp_scatter=0.03,
        fits_file="a.fits",
    ).to_dict()
    assert links.make(server.url).submit_measurement(measurement) is True
    assert server.to(MEASUREMENTS)[0].json()["measurement"] == measurement


def test_image_follows_the_accepted_measurement_at_once(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """A multipart form with the file's bytes arrives after the JSON, before submit returns."""
    frame = tmp_path / "frame.fits"
    frame.write_bytes(b"SIMPLE  =" + bytes(range(256)) * 40)
    link = links.make(server.url, upload_images=True)
    assert link.submit_measurement(MEASUREMENT, fits_path=str(frame)) is True
    assert [request.path for request in server.requests] == [MEASUREMENTS, IMAGES]
    assert _parts(server.requests[1]) == {"file": ("frame.fits", frame.read_bytes())}


def _parts(request: Request) -> dict[str, tuple[str, bytes]]:
    kind, options = multipart.parse_options_header(request.headers["content-type"])
    assert (request.method, kind) == ("POST", "multipart/form-data")
    parser = multipart.PushMultipartParser(options["boundary"], content_length=request.size)
    found: dict[str, tuple[str, bytes]] = {}
    name = ""
    with parser:
        for event in parser.parse(request.body):
            if isinstance(event, multipart.MultipartSegment):
                name = event.name
                found[name] = (event.filename or "", b"")
            elif event:
                found[name] = (found[name][0], found[name][1] + bytes(event))
    return found


@pytest.mark.parametrize("cloud", [{}, {"upload_images": False}])
def test_image_stays_at_home_unless_asked_for(
    server: CaptureServer, links: Links, tmp_path: Path, cloud: dict[str, Any]
) -> None:
    """Without cloud.upload_images no file travels, by default too."""
    frame = tmp_path / "frame.fits"
    frame.write_bytes(b"SIMPLE")
    link = links.make(server.url, **cloud)
    assert link.submit_measurement(MEASUREMENT, fits_path=str(frame)) is True
    assert server.to(IMAGES) == []


def test_no_image_without_a_path(server: CaptureServer, links: Links) -> None:
    """With upload_images and no fits_path only the JSON goes."""
    assert links.make(server.url, upload_images=True).submit_measurement(MEASUREMENT) is True
    assert [request.path for request in server.requests] == [MEASUREMENTS]


@pytest.mark.parametrize("answer", [Answer(500), Answer(400), Answer(raw=b"")])
def test_failed_image_changes_nothing_about_the_measurement(
    server: CaptureServer,
    links: Links,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
) -> None:
    """It is logged, and submit still says True."""
    frame = tmp_path / "frame.fits"
    frame.write_bytes(b"SIMPLE")
    server.rules[IMAGES] = answer
    link = links.make(server.url, upload_images=True)
    assert link.submit_measurement(MEASUREMENT, fits_path=str(frame)) is True
    assert link.status["queued_uploads"] == 0
    assert "frame.fits" in caplog.text


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_true_means_that_the_cloud_took_it(
    server: CaptureServer, links: Links, status: int
) -> None:
    """Any 2xx is a yes, and nothing is queued."""
    server.rules[MEASUREMENTS] = Answer(status, b"" if status == 204 else {"ok": True})
    link = links.make(server.url)
    assert link.submit_measurement(MEASUREMENT) is True
    assert link.status["queued_uploads"] == 0


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422, 429, 500, 502, 503])
def test_false_means_queued_after_a_refusal(
    server: CaptureServer, links: Links, status: int
) -> None:
    """Whatever the cloud said, the payload is on disk when False comes back."""
    server.rules[MEASUREMENTS] = Answer(status, {"error": "no"})
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is False
    assert link.status["queued_uploads"] == 1
    assert '"magnitude":10.001' in (links.folder / "cloud_upload_queue.json").read_text()


def test_false_means_queued_where_nobody_listens(links: Links) -> None:
    """A failed delivery is queued."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    assert link.submit_measurement(MEASUREMENT) is False
    assert link.status["queued_uploads"] == 1


def test_false_means_queued_before_the_registration(server: CaptureServer, links: Links) -> None:
    """Without credentials nothing is sent, and the payload waits on disk."""
    link = links.make(server.url, node_id="", api_key="")
    assert link.submit_measurement(MEASUREMENT) is False
    assert link.status["queued_uploads"] == 1
    assert server.requests == []

"""Auto-registration: the payload field by field, and what becomes of the answer."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, Request, wait_until
from tests.support.links import (
    BEAT,
    KEY,
    MEASUREMENT,
    MEASUREMENTS,
    NODE_ID,
    PLAN,
    REGISTER,
    Links,
    cloud_block,
)

NEW = {"node_id": "", "api_key": ""}
OBSERVATORY = {
    "observer": "Ada Lovelace",
    "latitude": 47.5,
    "longitude": -122.25,
    "elevation": 120,
    "telescope": "Askar V",
}
PHOTOMETRY = {"node_id": "backyard", "filter_name": "B,V,R"}


def registration(server: CaptureServer, links: Links, **blocks: Any) -> Request:
    """Start a link without credentials and return its registration."""
    cloud = cloud_block(server.url, links.folder, **NEW)
    links.of({"cloud": cloud, **blocks}).start()
    return server.wait_for(REGISTER)[0]


@pytest.fixture
def west(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set a local time of five and a half hours west of Greenwich, without summer time."""
    with monkeypatch.context() as context:
        context.setenv("TZ", "XST5:30")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def always_summer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set a local time that is one hour east all the year by daylight saving."""
    with monkeypatch.context() as context:
        context.setenv("TZ", "XST0XDT,0/0,J365/25")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("node_id", "backyard"),
        ("owner_name", "Ada Lovelace"),
        ("latitude", 47.5),
        ("longitude", -122.25),
        ("elevation", 120),
        ("telescope_model", "Askar V"),
        ("filters", "B,V,R"),
    ],
)
def test_registration_field_comes_from_its_source(
    server: CaptureServer, links: Links, field: str, value: Any
) -> None:
    """Each documented field is taken from its place in the config."""
    sent = registration(server, links, observatory=OBSERVATORY, photometry=PHOTOMETRY).json()
    assert sent[field] == value


def test_registration_has_all_fields_and_no_other(server: CaptureServer, links: Links) -> None:
    """Exactly the documented fields, where the config says no more."""
    sent = registration(server, links, observatory=OBSERVATORY, photometry=PHOTOMETRY).json()
    assert set(sent) == {
        "node_id",
        "owner_name",
        "latitude",
        "longitude",
        "elevation",
        "telescope_model",
        "filters",
        "utc_offset_hours",
    }


@pytest.mark.parametrize("blocks", [{}, {"observatory": None, "photometry": None}])
def test_registration_without_blocks_has_defaults(
    server: CaptureServer, links: Links, blocks: dict[str, Any]
) -> None:
    """The telescope is a Seestar S50, the rest empty or zero."""
    sent = registration(server, links, **blocks).json()
    assert sent.pop("utc_offset_hours") is not None
    assert sent == {
        "node_id": "",
        "owner_name": "",
        "latitude": 0.0,
        "longitude": 0.0,
        "elevation": 0.0,
        "telescope_model": "ZWO Seestar S50",
        "filters": "CV",
    }


@pytest.mark.usefixtures("west")
def test_registration_tells_the_offset_of_local_time(server: CaptureServer, links: Links) -> None:
    """Hours east of UTC: negative in the west."""
    assert registration(server, links).json()["utc_offset_hours"] == -5.5


@pytest.mark.usefixtures("always_summer")
def test_registration_offset_includes_daylight_saving(server: CaptureServer, links: Links) -> None:
    """In summer time its hour is added."""
    assert registration(server, links).json()["utc_offset_hours"] == 1.0


def test_registration_carries_no_credentials(server: CaptureServer, links: Links) -> None:
    """It is the one call without the two headers."""
    request = registration(server, links)
    assert request.method == "POST"
    assert not {"x-node-id", "x-api-key"} & set(request.headers)


@pytest.mark.parametrize("half", ["node_id", "api_key"])
def test_registration_happens_if_either_credential_is_blank(
    server: CaptureServer, links: Links, half: str
) -> None:
    """One without the other is no identity."""
    links.started(server.url, **{half: ""})
    server.wait_for(REGISTER)


def test_registration_does_not_happen_with_both_credentials(
    server: CaptureServer, links: Links
) -> None:
    """Explicit ones are used as they are, and no state file is made."""
    links.started(server.url)
    server.wait_for(BEAT, 2)
    assert server.to(REGISTER) == []
    assert not (links.folder / "cloud_state.json").exists()


def test_registered_credentials_are_used_and_kept(server: CaptureServer, links: Links) -> None:
    """The reply's node_id and api_key are in the state file and in the next calls."""
    server.rules[REGISTER] = Answer(body={"node_id": "given-1", "api_key": "given-key"})
    links.started(server.url, **NEW)
    for call in (server.wait_for(BEAT)[0], server.wait_for(PLAN)[0]):
        assert (call.headers["x-node-id"], call.headers["x-api-key"]) == ("given-1", "given-key")
    saved = json.loads((links.folder / "cloud_state.json").read_text())
    assert (saved["node_id"], saved["api_key"]) == ("given-1", "given-key")


def test_registration_is_never_repeated_by_a_later_start(
    server: CaptureServer, links: Links
) -> None:
    """A new object reads the state file and goes on under the same name."""
    first = links.started(server.url, **NEW)
    server.wait_for(BEAT)
    first.stop()
    again = links.make(server.url, **NEW)
    assert again.status["registered"] is True
    beats = len(server.to(BEAT))
    again.start()
    assert server.wait_for(BEAT, beats + 1)[-1].headers["x-node-id"] == "node-1"
    assert len(server.to(REGISTER)) == 1


def test_explicit_credentials_win_over_the_saved_ones(server: CaptureServer, links: Links) -> None:
    """Non-empty values of the config take precedence."""
    links.folder.mkdir()
    saved = {"node_id": "saved", "api_key": "saved-key"}
    (links.folder / "cloud_state.json").write_text(json.dumps(saved))
    links.started(server.url)
    beat = server.wait_for(BEAT)[0]
    assert (beat.headers["x-node-id"], beat.headers["x-api-key"]) == (NODE_ID, KEY)


def test_what_was_queued_before_the_registration_goes_after_it(
    server: CaptureServer, links: Links
) -> None:
    """The first beat after the registration drains it."""
    link = links.make(server.url, **NEW)
    assert link.submit_measurement(MEASUREMENT) is False
    link.start()
    assert server.wait_for(MEASUREMENTS)[0].headers["x-node-id"] == "node-1"
    wait_until(lambda: link.status["queued_uploads"] == 0)

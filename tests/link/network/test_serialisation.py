"""What a measurement may hold: converted as it is meant, or refused at the call."""

import enum
import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from tests.support.capture_server import CaptureServer
from tests.support.links import BEAT, MEASUREMENTS, Links

from cloud_communicator import InvalidMeasurement, LinkRefusal


class Flag(enum.StrEnum):
    """An enum of text."""

    GOOD = "good"


class Level(enum.IntEnum):
    """An enum of numbers."""

    HIGH = 3


@dataclass
class Site:
    """A dataclass."""

    name: str
    height_m: float


EAST = timezone(timedelta(hours=2))

CONVERTED = [
    (np.float64(1.5), 1.5),
    (np.float32(12.34), 12.34),
    (np.float16(0.1), 0.1),
    (np.int64(7), 7),
    (np.uint8(255), 255),
    (np.bool_(True), True),
    (np.str_("V"), "V"),
    (np.array([1.5, 2.5]), [1.5, 2.5]),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array(3.5), 3.5),
    (np.array([]), []),
    (np.array(["a", "b"]), ["a", "b"]),
    (np.array([True, False]), [True, False]),
    (np.datetime64("2026-03-01T02:14:00"), "2026-03-01T02:14:00"),
    (datetime(2026, 3, 1, 2, 14, tzinfo=UTC), "2026-03-01T02:14:00Z"),
    (datetime(2026, 3, 1, 2, 14, 5, 250000, tzinfo=EAST), "2026-03-01T00:14:05.250000Z"),
    (datetime(2026, 3, 1, 2, 14), "2026-03-01T02:14:00"),  # noqa: DTZ001 - naive stays naive
    (date(2026, 3, 1), "2026-03-01"),
    (Decimal("1.25"), 1.25),
    (Flag.GOOD, "good"),
    (Level.HIGH, 3),
    (Path("/data/a.fits"), "/data/a.fits"),
    (Site("home", 120.0), {"name": "home", "height_m": 120.0}),
    ((1, 2), [1, 2]),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ({1: "a"}, {"1": "a"}),
    ({1.5: "a"}, {"1.5": "a"}),
    ({None: "a"}, {"null": "a"}),
    ({True: np.float32(0.1)}, {"true": 0.1}),
    (np.array([0.1, 12.34], dtype="f4"), [0.1, 12.34]),
    (np.array([[0.1]], dtype="f2"), [[0.1]]),
    (np.array(["2026-03-01T02:14:00.5"], dtype="M8[ns]"), ["2026-03-01T02:14:00.500000000"]),
    (np.array("2026-03-01", dtype="M8[D]"), "2026-03-01"),
    (True, True),
    (None, None),
    (10**30, 10**30),
    (-0.0, 0.0),
    (5e-324, 5e-324),
    ("Körper – 星 🔭", "Körper – 星 🔭"),
    ("", ""),
    ("line\nbreak \x00 \u2028", "line\nbreak \x00 \u2028"),
    ([[[[]]]], [[[[]]]]),
]

_RING: list[Any] = []
_RING.append(_RING)
_SELF: dict[str, Any] = {}
_SELF["self"] = _SELF

REFUSED = [
    math.nan,
    math.inf,
    -math.inf,
    np.float64("nan"),
    np.float32("inf"),
    np.array([1.0, np.nan]),
    np.datetime64("NaT"),
    np.array(["2026-03-01", "NaT"], dtype="M8[D]"),
    np.array([0.5, np.inf], dtype="f4"),
    np.array([1 + 2j]),
    np.timedelta64(5, "s"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    1 + 2j,
    {1, 2},
    frozenset(),
    b"bytes",
    bytearray(b"x"),
    object(),
    int,
    lambda: 1,
    timedelta(1),
    (item for item in "ab"),
    {b"key": 1},
    {math.nan: 1},
    {(1, 2): 1},
    "lone \ud800 surrogate",
    {"\udfff": 1},
    _RING,
    _SELF,
    10**5000,
    "x" * 1_000_001,
    Site("home", math.nan),
]


@pytest.mark.parametrize(("value", "expected"), CONVERTED, ids=lambda value: repr(value)[:40])
def test_value_travels_as_it_is_meant(
    server: CaptureServer, links: Links, value: Any, expected: Any
) -> None:
    """Numpy scalars and arrays, times, enums and the like become plain JSON, at any depth."""
    link = links.make(server.url)
    assert link.submit_measurement({"value": value, "deep": [{"value": value}]}, {"value": value})
    sent = server.to(MEASUREMENTS)[0].json()
    found = [sent["measurement"]["value"], sent["measurement"]["deep"][0]["value"]]
    found.append(sent["conditions"]["value"])
    assert found == [expected] * 3
    assert [type(item) for item in found] == [type(expected)] * 3


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: repr(type(value))[:40])
@pytest.mark.parametrize("where", ["measurement", "conditions", "deep"])
def test_what_cannot_be_sent_is_refused_at_the_call(
    server: CaptureServer, links: Links, value: Any, where: str
) -> None:
    """With an error that names the place; nothing is sent or queued, and the books stay."""
    measurement: dict[str, Any] = {"magnitude": 11.0}
    conditions: dict[str, Any] = {}
    if where == "deep":
        measurement["list"] = [{"value": value}]
    else:
        {"measurement": measurement, "conditions": conditions}[where]["value"] = value
    link = links.make(server.url)
    with pytest.raises(InvalidMeasurement, match=r"measurement|conditions"):
        link.submit_measurement(measurement, conditions)
    assert server.requests == []
    assert (link.status["queued_uploads"], link.status["accepted"]) == (0, 0)
    assert link.submit_measurement({"magnitude": 11.0}) is True


def test_refusal_names_the_place_and_what_to_do(server: CaptureServer, links: Links) -> None:
    """A pipeline's author finds the field by it."""
    with pytest.raises(InvalidMeasurement) as caught:
        links.make(server.url).submit_measurement({"stars": [{"mag": 1.0}, {"mag": math.nan}]})
    assert "measurement.stars[1].mag is nan" in str(caught.value)
    assert "leave it out" in str(caught.value)


def test_refusals_are_refusals_and_value_errors() -> None:
    """A caller may catch them as what it knows."""
    assert issubclass(InvalidMeasurement, LinkRefusal)
    assert issubclass(InvalidMeasurement, ValueError)


@pytest.mark.parametrize("measurement", [None, [], "SS Cyg", 7, b"{}", {1, 2}, object()])
def test_measurement_that_is_no_dict_is_refused(
    server: CaptureServer, links: Links, measurement: Any
) -> None:
    """run_pipeline() gives None for a frame that cannot be measured; that is no measurement."""
    with pytest.raises(InvalidMeasurement, match="measurement must be a dict"):
        links.make(server.url).submit_measurement(measurement)


@pytest.mark.parametrize("conditions", [[], "clear", 7])
def test_conditions_that_are_no_dict_are_refused(
    server: CaptureServer, links: Links, conditions: Any
) -> None:
    """None is the way to leave them out."""
    with pytest.raises(InvalidMeasurement, match="conditions must be a dict"):
        links.make(server.url).submit_measurement({}, conditions)


@pytest.mark.parametrize("fits_path", [7, [], object()])
def test_path_that_is_none_is_refused_before_anything_is_sent(
    server: CaptureServer, links: Links, fits_path: Any
) -> None:
    """The measurement is not half accepted."""
    link = links.make(server.url, upload_images=True)
    with pytest.raises(InvalidMeasurement, match="fits_path"):
        link.submit_measurement({"magnitude": 11.0}, None, fits_path)
    assert server.requests == []


def test_keys_that_become_the_same_text_are_refused(server: CaptureServer, links: Links) -> None:
    """Neither value is dropped in silence."""
    with pytest.raises(InvalidMeasurement, match="measurement"):
        links.make(server.url).submit_measurement({"per_star": {1: "a", "1": "b"}})


def test_measurement_is_the_same_in_the_queue_as_on_the_wire(
    server: CaptureServer, links: Links
) -> None:
    """A converted value is converted once."""
    values = {"mag": np.float32(11.1), "at": datetime(2026, 3, 1, tzinfo=UTC), "n": np.int8(4)}
    links.make("", node_id="").submit_measurement(values)
    (queued,) = json.loads((links.folder / "cloud_upload_queue.json").read_text())
    links.make(server.url, data_dir=str(links.folder / "b")).submit_measurement(values)
    assert server.to(MEASUREMENTS)[0].json() == queued


def test_measurement_is_taken_as_it_is_at_the_call(links: Links) -> None:
    """A pipeline may use its dict for the next frame at once."""
    link = links.make("")
    measurement = {"stars": [1]}
    link.submit_measurement(measurement)
    measurement["stars"].append(2)
    (queued,) = json.loads((links.folder / "cloud_upload_queue.json").read_text())
    assert queued["measurement"] == {"stars": [1]}


def test_condition_without_a_json_form_is_left_out_of_the_beat(
    server: CaptureServer, links: Links
) -> None:
    """One broken sensor does not cost the others, nor the beat."""

    def conditions() -> dict[str, Any]:
        return {"temp": np.float32(-5.5), "wind": math.nan, "raw": b"x", "at": date(2026, 3, 1)}

    links.started(server.url, {"get_conditions": conditions})
    sent = server.wait_for(BEAT)[0].json()["conditions"]
    del sent["utc_offset_hours"]
    assert sent == {"temp": -5.5, "at": "2026-03-01"}

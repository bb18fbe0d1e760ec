"""Reading the items of a plan."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.node.schedule.items import (
    ITEMS_MAX,
    evening_of,
    read_interrupt,
    read_items,
)
from boundless_skies.node.schedule.work import PlannedItem, RefusedItem

BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
OLD_CLOUD = {
    "target": "SS Cyg",
    "ra": 21.7118,
    "dec": 43.586,
    "expDur": 10,
    "expCount": 60,
    "binning": 1,
    "startTime": "21:30",
}


def read(
    *raws: Any, night: str = "2026-03-01", zone: Any = BERLIN
) -> tuple[tuple[PlannedItem, ...], tuple[RefusedItem, ...]]:
    """Read the items of a plan that came in the evening."""
    return read_items(list(raws), night=night, received_at=RECEIVED, zone=zone)


def reason_of(changes: dict[str, Any]) -> str:
    """Return why an item with these values is refused."""
    items, (refused,) = read(OLD_CLOUD | changes)
    assert items == ()
    return refused.reason


def test_item_of_an_old_cloud_is_whole() -> None:
    """Seven keys are enough; hours become degrees, and the local start an instant."""
    ((item,), refused) = read(OLD_CLOUD)
    assert refused == ()
    assert (item.target, item.exposure_s, item.count, item.binning) == ("SS Cyg", 10.0, 60, 1)
    assert item.ra_deg == pytest.approx(325.677)
    assert item.start_utc == datetime(2026, 3, 1, 20, 30, tzinfo=UTC)
    assert item.item_id
    assert item.raw == OLD_CLOUD


def test_utc_goes_before_local_time() -> None:
    """``start_utc`` and ``end_utc`` are what counts where they are given."""
    times = {"start_utc": "2026-03-01T22:00:00Z", "end_utc": "2026-03-02T01:00:00+02:00"}
    ((item,), _) = read(OLD_CLOUD | times)
    assert item.start_utc == datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
    assert item.end_utc == datetime(2026, 3, 1, 23, 0, tzinfo=UTC)


def test_local_hours_before_noon_are_of_the_next_morning() -> None:
    """Also in a zone that is told as an offset only."""
    ((item,), _) = read(OLD_CLOUD | {"startTime": "1:15"}, zone=timezone(timedelta(hours=-7)))
    assert item.start_utc == datetime(2026, 3, 2, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "expected_hour"), [("23:00", 0), ("03:30", 0)], ids=["evening before", "later next"]
)
def test_local_time_that_comes_twice_is_told(after: str, expected_hour: int) -> None:
    """The first of the two where the order of the items allows both."""
    others = [OLD_CLOUD | {"startTime": after}]
    twice = OLD_CLOUD | {"startTime": "02:30"}
    raws = [*others, twice] if after == "23:00" else [twice, *others]
    items, _ = read(*raws, night="2026-10-24")
    (told,) = [item for item in items if item.remark]
    assert told.start_utc == datetime(2026, 10, 25, expected_hour, 30, tzinfo=UTC)
    assert told.remark.startswith("02:30 comes twice")
    assert "2026-10-25T00:30Z" in told.remark


def test_order_settles_a_local_time_that_comes_twice() -> None:
    """02:45 and then 02:15: the second is that of an hour later."""
    items, _ = read(
        OLD_CLOUD | {"startTime": "02:45"}, OLD_CLOUD | {"startTime": "02:15"}, night="2026-10-24"
    )
    assert [item.start_utc for item in items] == [
        datetime(2026, 10, 25, 0, 45, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 15, tzinfo=UTC),
    ]


@pytest.mark.parametrize(("following", "hour"), [("03:45", 1), ("03:15", 0)])
def test_local_time_that_does_not_come_is_told(following: str, hour: int) -> None:
    """As if the clock had not been changed yet, unless the next item starts before that."""
    items, _ = read(
        OLD_CLOUD | {"startTime": "02:30"},
        OLD_CLOUD | {"startTime": following},
        night="2026-03-28",
    )
    assert items[0].start_utc == datetime(2026, 3, 29, hour, 30, tzinfo=UTC)
    assert "02:30 does not come" in items[0].remark


def test_order_is_by_start_and_untimed_follow_the_timed_before_them() -> None:
    """An item without a time keeps its place behind the timed one."""
    raws = [
        OLD_CLOUD | {"item_id": "first", "startTime": ""},
        OLD_CLOUD | {"item_id": "late", "startTime": "23:00"},
        OLD_CLOUD | {"item_id": "after late", "startTime": None},
        OLD_CLOUD | {"item_id": "early", "startTime": "22:00"},
    ]
    items, _ = read(*raws)
    assert [item.item_id for item in items] == ["first", "early", "late", "after late"]


def test_made_ids_are_stable_and_differ() -> None:
    """The same plan read again has the same ids; equal items at two places differ."""
    first, _ = read(OLD_CLOUD, OLD_CLOUD)
    again, _ = read(dict(reversed(OLD_CLOUD.items())), OLD_CLOUD)
    assert [item.item_id for item in first] == [item.item_id for item in again]
    assert len({item.item_id for item in first}) == 2


def test_one_bad_item_does_not_stop_the_others() -> None:
    """Each is judged for itself; a second of the same id is refused."""
    good = OLD_CLOUD | {"item_id": "a"}
    items, refused = read("nonsense", good, None, good, OLD_CLOUD | {"item_id": "b"})
    assert [item.item_id for item in items] == ["a", "b"]
    assert len(refused) == 3
    assert refused[2].reason == "SS Cyg: item_id 'a' stands in the plan a second time."


@pytest.mark.parametrize(("written", "dec_deg"), [("5.5", 5.5), ("5,5", 5.5), (" -5,5 ", -5.5)])
def test_number_in_quotes_is_read(written: str, dec_deg: float) -> None:
    """With a point, or with a German comma."""
    ((item,), _) = read(OLD_CLOUD | {"dec": written})
    assert item.dec_deg == dec_deg


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ra": None}, "SS Cyg: ra is missing."),
        ({"ra": True}, "SS Cyg: ra is True, and must be a number."),
        ({"ra": float("nan")}, "SS Cyg: ra is nan, and must be a number."),
        ({"ra": 10**400}, "and must be a number."),
        ({"ra": "21h42m"}, "SS Cyg: ra is '21h42m', and must be a number."),
        ({"ra": "1,234,567"}, "and must be a number."),
        ({"ra": 325.677}, "if that is in degrees, it would be 21.71180 h."),
        ({"dec": -90.01}, "SS Cyg: dec is -90.01, and must lie between -90 and 90."),
        ({"expDur": 0}, "SS Cyg: expDur is 0, and must be more than 0 seconds."),
        ({"expDur": -1}, "must lie between 0 and 86400."),
        ({"expCount": 10**9}, "SS Cyg: expCount is 1000000000, and must lie between 1 and 100000."),
        ({"expCount": 1.5}, "SS Cyg: expCount is 1.5, and must be a whole number."),
        ({"expCount": "1,000"}, "SS Cyg: expCount is '1,000', and must be a whole number."),
        ({"binning": [2]}, "SS Cyg: binning is [2], and must be a number."),
        ({"target": ""}, "Item 1: target is missing."),
        ({"target": 4151}, "Item 1: target is 4151, and must be a text."),
        ({"startTime": "25:00"}, "SS Cyg: startTime is '25:00', and must be \"HH:MM\", local."),
        ({"startTime": 2130}, 'SS Cyg: startTime is 2130, and must be "HH:MM", local.'),
        ({"start_utc": "tonight"}, "and must be a time such as 2026-03-01T21:30:00Z."),
        ({"end_utc": "2026-03-01T20:00Z"}, "it would end (2026-03-01T20:00Z) before it starts"),
        ({"item_id": "x" * 201}, "and must be a text of at most 200 characters."),
        ({"item_id": "a\ud800"}, "and must be a text of at most 200 characters."),
    ],
)
def test_refusal_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    """Which object, which key, its value, and what it must be."""
    reason = reason_of(changes)
    assert sentence in reason
    assert reason.count(".\n") == 0
    assert reason.endswith(".") or sentence.startswith("it would end")


def test_absent_values_are_those_of_the_wire() -> None:
    """Length, number and binning may be left out; a time and a filter too."""
    ((item,), _) = read({"target": "M 31", "ra": 0.7, "dec": 41.3})
    assert (item.exposure_s, item.count, item.binning) == (10.0, 1, 1)
    assert (item.start_utc, item.end_utc, item.filter) == (None, None, None)


@pytest.mark.parametrize("raw", [None, "items", 3, {"a": 1}])
def test_what_is_no_list_is_refused_as_a_whole(raw: object) -> None:
    """One refusal, no item."""
    items, (refused,) = read_items(raw, night="2026-03-01", received_at=RECEIVED, zone=BERLIN)
    assert items == ()
    assert "must be a list" in refused.reason


def test_plan_without_end_is_cut() -> None:
    """So many items, and a refusal for each that is too many."""
    items, refused = read(*[OLD_CLOUD] * (ITEMS_MAX + 2))
    assert (len(items), len(refused)) == (ITEMS_MAX, 2)


@pytest.mark.parametrize(
    ("night", "hour", "expected"),
    [
        ("2026-02-10", 18, date(2026, 2, 10)),
        ("", 18, date(2026, 3, 1)),
        (None, 3, date(2026, 2, 28)),
        ("today", 18, date(2026, 3, 1)),
    ],
)
def test_night_is_named_after_its_evening(night: object, hour: int, expected: date) -> None:
    """As the plan says, else the night that is on or next."""
    received = datetime(2026, 3, 1, hour, tzinfo=UTC)
    assert evening_of(night, received, BERLIN) == expected


INTERRUPT = {
    "id": 7,
    "name": "AT 2026abc",
    "reason": "a nova",
    "ra_deg": 325.677,
    "dec_deg": 43.586,
    "ra": 21.7118,
    "dec": 43.586,
    "expires_at": "2026-03-02T04:00:00Z",
}


@pytest.mark.parametrize("absent", [(), ("ra_deg", "dec_deg"), ("ra", "dec")])
def test_interrupt_is_read_from_degrees_or_hours(absent: tuple[str, ...]) -> None:
    """It goes by the cloud's number, and ends when it expires."""
    raw = {key: value for key, value in INTERRUPT.items() if key not in absent}
    read = read_interrupt(raw, exposure_s=20.0, count=3)
    assert isinstance(read, PlannedItem)
    assert (read.item_id, read.exposure_s, read.count) == ("7", 20.0, 3)
    assert (read.ra_deg, read.dec_deg) == (pytest.approx(325.677), 43.586)
    assert read.end_utc == datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize("raw", [None, [], {"id": 7}, INTERRUPT | {"ra_deg": "north"}])
def test_interrupt_that_says_not_where_is_refused(raw: object) -> None:
    """In a sentence, under its number where it has one."""
    refused = read_interrupt(raw, exposure_s=20.0, count=3)
    assert isinstance(refused, RefusedItem)
    assert refused.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NEAR = st.fixed_dictionaries(
    {},
    optional={
        **{key: st.just(value) | JSON for key, value in OLD_CLOUD.items()},
        **dict.fromkeys(("item_id", "filter", "notes", "start_utc", "end_utc"), JSON),
    },
)


@given(raws=st.lists(JSON | NEAR, max_size=5), night=JSON)
def test_no_plan_whatever_breaks_the_reading(raws: list[Any], night: Any) -> None:
    """Every item is either planned within the limits or refused with a reason, once."""
    items, refused = read_items(raws, night=night, received_at=RECEIVED, zone=BERLIN)
    assert len(items) + len(refused) == len(raws)
    assert len({item.item_id for item in items}) == len(items)
    for item in items:
        assert 0 <= item.ra_deg < 360
        assert -90 <= item.dec_deg <= 90
        assert 0 < item.exposure_s <= 86_400
        assert item.count >= 1
        assert item.target.isprintable()
    for refusal in refused:
        assert refusal.reason.isprintable()
        assert json.dumps(refusal.reason).encode("utf-8")

"""The rules without a server: times in words, coordinates, summaries, keys."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud_client import make_measurement

from boundless_skies.cloud.domain.errors import CloudError, InvalidInput
from boundless_skies.cloud.domain.json_text import parse_json
from boundless_skies.cloud.domain.keys import key_hash, key_matches, new_key
from boundless_skies.cloud.domain.measurements import read_submission
from boundless_skies.cloud.domain.nodes import (
    Node,
    fresh_node_id,
    public_coordinate,
    read_profile,
    read_wish,
)
from boundless_skies.cloud.domain.plans import read_plan
from boundless_skies.cloud.domain.times import ago, calendar_text, julian_date, span_text

NOW = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
LOCATION = {"latitude": 48.1, "longitude": 11.6}


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=10), "just now"),
        (timedelta(seconds=50), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(minutes=59, seconds=59), "1 hour ago"),
        (timedelta(hours=26), "26 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=90), "3 months ago"),
        (timedelta(days=3261), "9 years ago"),
    ],
)
def test_ages_are_told_in_words(age: timedelta, words: str) -> None:
    """A time is told in the unit in which people would tell it."""
    assert ago(NOW - age, NOW) == words


def test_never_is_told() -> None:
    """A node that never beat."""
    assert ago(None, NOW) == "never"


@pytest.mark.parametrize(
    ("days", "words"),
    [(0.0001, "1 minute"), (0.02, "29 minutes"), (0.22, "5.3 hours"), (9, "9 days")],
)
def test_spans_are_told_in_words(days: float, words: str) -> None:
    """A span of a light curve."""
    assert span_text(days) == words


def test_julian_dates_and_calendar_agree() -> None:
    """JD 2451545.0 is 2000-01-01 12:00."""
    assert julian_date(datetime(2000, 1, 1, 12, tzinfo=UTC)) == 2451545.0
    assert calendar_text(2451545.0) == "2000-01-01 12:00"


@given(st.floats(2_400_000, 2_500_000, exclude_min=True, exclude_max=True))
def test_every_date_of_a_measurement_has_a_calendar_date(bjd: float) -> None:
    """No bjd within the limits breaks a page."""
    assert len(calendar_text(bjd)) == 16


def test_a_node_is_online_for_three_beats() -> None:
    """Three minutes after its last beat it counts as offline."""

    def node(age_s: float) -> Node:
        beat = NOW - timedelta(seconds=age_s)
        profile = read_profile(LOCATION)
        return Node(node_id="n", profile=profile, registered_at=NOW, last_beat_at=beat)

    assert node(179).is_online(NOW)
    assert not node(180).is_online(NOW)


@pytest.mark.parametrize(("given_deg", "kept_deg"), [(11.6, 11.6), (350.0, -10.0), (180.0, 180.0)])
def test_longitudes_are_kept_east_positive(given_deg: float, kept_deg: float) -> None:
    """Degrees up to 360 east are the same places as those west."""
    assert read_profile(LOCATION | {"longitude": given_deg}).longitude == kept_deg


def test_public_coordinates_hide_the_garden() -> None:
    """0.1° is some ten kilometres."""
    assert [public_coordinate(x) for x in (48.1374, -0.04, 179.99)] == [48.1, -0.0, 180.0]


@given(st.text(max_size=80))
def test_a_wish_is_safe_or_refused(wish: str) -> None:
    """Whatever is wished for: no wish, a refusal, or a name that is a plain file name."""
    try:
        read = read_wish(wish)
    except InvalidInput:
        return
    assert read is None or (0 < len(read) <= 64 and read.strip(".") and "/" not in read)


def test_derived_names_differ() -> None:
    """A taken wish leads to names that start like it."""
    derived = {fresh_node_id("hilltop") for _ in range(50)}
    assert len(derived) == 50
    assert all(read_wish(name) == name and name.startswith("hilltop-") for name in derived)


def test_keys_are_long_and_known_by_their_hash() -> None:
    """256 random bits, and nothing of them in the hash."""
    key = new_key("node")
    assert len(key) >= 43
    assert key_matches(key, key_hash(key))
    assert not key_matches(key + "x", key_hash(key))


def test_equal_contents_have_one_hash() -> None:
    """The order of keys and what stands around the measurement make no difference."""
    sent = make_measurement()
    hashes = {
        read_submission(body).content_hash
        for body in (
            sent,
            dict(reversed(sent.items())),
            {"measurement": sent, "conditions": {"wind": 3}},
        )
    }
    assert len(hashes) == 1
    assert read_submission(sent | {"magnitude": 1.0}).content_hash not in hashes


@given(
    st.dictionaries(
        st.sampled_from(list(make_measurement())),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none()),
    )
)
def test_a_measurement_is_read_or_refused(odd: dict[str, Any]) -> None:
    """No mixture of values raises anything but the cloud's own refusals."""
    try:
        reading = read_submission(make_measurement() | odd)
    except CloudError:
        return
    assert 2_400_000 < reading.bjd < 2_500_000
    assert -5 < reading.magnitude < 30
    assert 0 <= reading.uncertainty < 5


def test_a_plans_night_is_its_evening() -> None:
    """A plan published after midnight belongs to the evening before."""
    local_2_in_the_morning = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    plan = read_plan([], node_id="n", utc_offset_hours=1.0, now=local_2_in_the_morning)
    assert plan.night == "2026-03-01"


@pytest.mark.parametrize("depth", [10, 64])
def test_bearable_depths_are_read(depth: int) -> None:
    """JSON may nest to 64 levels."""
    parse_json(b"[" * depth + b"]" * depth)


def test_unbearable_depths_are_refused() -> None:
    """One level more is too much."""
    with pytest.raises(InvalidInput, match="64 levels"):
        parse_json(b"[" * 66 + b"]" * 66)

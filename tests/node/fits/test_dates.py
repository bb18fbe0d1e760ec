"""Times as cameras write them."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.node.fits.dates import from_mjd, parse_utc

NIGHT = dt.datetime(2017, 12, 20, 1, 33, 43, 317_000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2017-12-20T01:33:43.317",
        "2017-12-20T01:33:43.317Z",
        "2017-12-20T01:33:43.317-0000",
        "2017-12-20T01:33:43.3170000000",
        "2017-12-20T01:33:43.317+00:00",
        "2017-12-19T18:33:43.317-0700",
        "2017-12-19T18:33:43.317-07:00",
        "2017-12-20T07:03:43.317+0530",
        "  2017-12-20 01:33:43.317 ",
    ],
)
def test_spellings_of_one_instant(text: str) -> None:
    """With and without an offset, which is taken off."""
    assert parse_utc(text) == NIGHT


def test_a_bare_date_takes_its_time_from_another_card() -> None:
    """As old headers have it."""
    assert parse_utc("2017-12-20", "01:33:43.317") == NIGHT
    assert parse_utc("20/12/97", "01:33:43") == NIGHT.replace(year=1997, microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2017-12-20",
        "2017-13-20T00:00:00",
        "2017-12-20T25:00:00",
        "2017-12-20T00:61:00",
        "2017-12-20T00:00:75",
        "12/20/2017",
        "9999-12-31T23:59:59-1200",
    ],
)
def test_what_is_no_time_gives_none(text: str) -> None:
    """Never a guess, never an exception."""
    assert parse_utc(text) is None


def test_a_leap_second_is_the_next_second() -> None:
    """2016 ended with one."""
    assert parse_utc("2016-12-31T23:59:60.5") == dt.datetime(
        2017, 1, 1, 0, 0, 0, 500_000, tzinfo=dt.UTC
    )


@given(st.datetimes(timezones=st.just(dt.UTC), min_value=dt.datetime(1, 1, 2)))  # noqa: DTZ001
def test_every_iso_time_is_read_back(instant: dt.datetime) -> None:
    """Whatever Python writes, with or without a fraction."""
    assert parse_utc(instant.isoformat()) == instant


@given(st.text(), st.text())
def test_no_text_raises(text: str, time_of_day: str) -> None:
    """A header may hold anything."""
    parsed = parse_utc(text, time_of_day)
    assert parsed is None or parsed.tzinfo is dt.UTC


@pytest.mark.parametrize("mjd", [float("nan"), 1e300, -1e9])
def test_no_number_of_days_raises(mjd: float) -> None:
    """A date out of range is none."""
    assert from_mjd(mjd) is None


def test_mjd_of_a_known_day() -> None:
    """J2000.0."""
    assert from_mjd(51544.5) == dt.datetime(2000, 1, 1, 12, tzinfo=dt.UTC)

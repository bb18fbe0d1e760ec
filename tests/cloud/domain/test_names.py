"""Coordinates as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.names import (
    format_sexagesimal,
    looks_like_coordinates,
    name_key,
    parse_coordinates,
)


@pytest.mark.parametrize(
    "text",
    [
        "325.678333 +43.586111",
        "325.678333, 43.586111",
        "325.678333d 43.586111d",
        "325.678333° +43.586111°",
        "21:42:42.8 +43:35:10",
        "21:42:42.8+43:35:10",
        "21:42:42.8, 43:35:10.0",
        "21h42m42.8s +43d35m10s",
        "21h 42m 42.8s 43d 35m 10s",
        "21h42m42.8s+43°35′10″",
        "21 42 42.8 +43 35 10",
        "  21 42 42.8   43 35 10 ",
    ],
)
def test_every_common_form_is_read(text: str) -> None:
    """SS Cygni's place, however it is written."""
    assert parse_coordinates(text) == pytest.approx((325.678333, 43.586111), abs=1e-5)


@pytest.mark.parametrize("text", ["10:00:00 -00:30:00", "150 -0.5", "10 00 00 \u22120 30 0"])
def test_a_minus_before_zero_counts(text: str) -> None:
    """Half a degree south of the equator."""
    assert parse_coordinates(text) == pytest.approx((150.0, -0.5))


@pytest.mark.parametrize(
    "name",
    ["", "SS Cyg", "61 Cyg", "47 Tuc", "HD 209458", "000-BCD-123", "M 31", "3C 273", "12", "12.5"],
)
def test_names_are_no_coordinates(name: str) -> None:
    """A name is left for the search by names."""
    assert not looks_like_coordinates(name)
    assert parse_coordinates(name) is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("360 10", "right ascension of 360°"),
        ("-1 10", "right ascension of -1°"),
        ("24:00:00 +10:00:00", "24 h"),
        ("10 90.001", "declination"),
        ("10 -91", "declination"),
        ("10:60:00 +10:00:00", "60 minutes"),
        ("10:00:00 +10:00:60", "60 seconds"),
        ("10:00:00 +90:00:01", "declination"),
        ("1 2 3", "cannot be read"),
        ("1:2:3:4:5:6:7", "cannot be read"),
        ("1.2.3 4", "cannot be read"),
        ("10 20 30 40 50", "cannot be read"),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(text: str, match: str) -> None:
    """The message names the text and the limit, or the forms that are read."""
    with pytest.raises(InvalidInput, match=match):
        parse_coordinates(text)


@given(st.text(max_size=100) | st.text("0123456789.,:+-hmsd° '", max_size=100))
def test_any_text_is_read_refused_or_no_coordinates(text: str) -> None:
    """Nothing else is raised, and what is read is a place in the sky."""
    try:
        place = parse_coordinates(text)
    except InvalidInput:
        assert looks_like_coordinates(text)
        return
    if place is not None:
        assert 0 <= place[0] < 360
        assert -90 <= place[1] <= 90


def test_a_hostile_text_is_no_coordinates() -> None:
    """A megabyte of digits is not even looked at."""
    assert parse_coordinates("1 " * 500_000) is None


@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90))
def test_what_is_written_is_read_again(ra_deg: float, dec_deg: float) -> None:
    """To 0.08″ in right ascension (0.005 s) and 0.05″ in declination, 24 h being 0 h."""
    place = parse_coordinates(format_sexagesimal(ra_deg, dec_deg))
    assert place is not None
    away_deg = (place[0] - ra_deg + 180) % 360 - 180
    assert abs(away_deg) < 0.0751 / 3600
    assert abs(place[1] - dec_deg) < 0.0501 / 3600


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "text"),
    [
        (325.678333, 43.586111, "21:42:42.80 +43:35:10.0"),
        (359.9999999, -0.000001, "00:00:00.00 +00:00:00.0"),
        (14.9999999, -9.9999999, "01:00:00.00 -10:00:00.0"),
    ],
)
def test_seconds_never_reach_sixty(ra_deg: float, dec_deg: float, text: str) -> None:
    """Rounding carries, through 24 h too."""
    assert format_sexagesimal(ra_deg, dec_deg) == text


def test_the_keys_of_names_are_at_hand() -> None:
    """One import serves the search."""
    assert name_key("ss cygni") == name_key("SS Cyg")

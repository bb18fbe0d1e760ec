"""Angles as cameras write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.node.fits.coordinates import (
    angle_deg,
    declination_deg,
    right_ascension_deg,
)


@pytest.mark.parametrize(
    ("value", "comment", "expected"),
    [
        (31.04275, "", 31.04275),
        ("31.04275", "", 31.04275),
        (31, "", 31.0),
        (2.069517, "[hours] Right ascension", 31.042755),
        (2.069517, "RA in hr", 31.042755),
        ("02:04:10.26", "", 31.04275),
        ("02 04 10.26", "", 31.04275),
        ("2h04m10.26s", "", 31.04275),
        ("02:04.171", "", 31.04275),
        ("31d02m33.9s", "", 31.04275),
        (-10.0, "", 350.0),
        (360.0, "", 0.0),
    ],
)
def test_right_ascension(value: object, comment: str, expected: float) -> None:
    """Degrees as a number, hours in three parts or where the comment says so."""
    assert right_ascension_deg(value, comment) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (46.68783, 46.68783),
        ("+46:41:16.2", 46.68783),
        ("+46 41 16.2", 46.68783),
        ("46d41m16.2s", 46.68783),
        ("46°41′16.2″", 46.68783),
        ("-05:23:28", -5.391111),
        ("-00 30 00", -0.5),
        ("− nonsense", None),
    ],
)
def test_declination(value: object, expected: float | None) -> None:
    """The sign holds for all parts, also for a zero degree."""
    assert declination_deg(value) == (expected and pytest.approx(expected, abs=1e-5))


@pytest.mark.parametrize("value", [None, "", "x", True, float("nan"), "inf", 1e9, "02:61:00", []])
def test_what_is_no_angle_gives_none(value: object) -> None:
    """Never a guess."""
    assert right_ascension_deg(value) is None


def test_a_declination_beyond_the_pole_is_none() -> None:
    """91° is not 89°."""
    assert declination_deg(91.0) is None
    assert angle_deg(91.0) == 91.0


@given(st.floats(0.0, 86_399.99))
def test_sexagesimal_right_ascension_is_read_back(seconds: float) -> None:
    """Written with two digits of a second: to 0.1″."""
    hundredths = round(seconds * 100)
    hours, rest = divmod(hundredths, 360_000)
    minutes, rest = divmod(rest, 6000)
    text = f"{hours:02d}:{minutes:02d}:{rest / 100:05.2f}"
    expected = hundredths / 100 / 240 % 360
    assert right_ascension_deg(text) == pytest.approx(expected, abs=3e-5)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()), st.text())
def test_nothing_raises_and_angles_stay_in_their_circle(value: object, comment: str) -> None:
    """A header may hold anything."""
    ra_deg, dec_deg = right_ascension_deg(value, comment), declination_deg(value)
    assert ra_deg is None or 0.0 <= ra_deg < 360.0
    assert dec_deg is None or -90.0 <= dec_deg <= 90.0

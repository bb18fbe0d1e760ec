"""Twilight and nights."""

import datetime as dt

import pytest
from astropy.coordinates import AltAz, EarthLocation, get_sun
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from boundless_skies.sky import Night, Site, night_around, sun_altitude_deg, sun_crossings
from boundless_skies.sky.sun import SUNSET_ALTITUDE_DEG

BERLIN = Site(52.52, 13.4, 40.0)
SVALBARD = Site(78.22, 15.65, 0.0)
DAY = dt.timedelta(days=1)


def utc(text: str) -> dt.datetime:
    """Return an instant."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_crossing_is_good_to_a_second() -> None:
    """Down in the evening, up in the morning; a second before, the Sun is on the other side."""
    start = utc("2026-03-01T12:00")
    dusk, dawn = sun_crossings(start, start + DAY, BERLIN, -12.0)
    assert (dusk.rising, dawn.rising) == (False, True)
    second = dt.timedelta(seconds=1)
    assert sun_altitude_deg(dusk.at, BERLIN) <= -12.0 < sun_altitude_deg(dusk.at - second, BERLIN)
    assert sun_altitude_deg(dawn.at, BERLIN) > -12.0 >= sun_altitude_deg(dawn.at - second, BERLIN)


def test_astropy_sees_the_sun_there_too() -> None:
    """At a sunset its altitude is what was asked for, within 0.01°."""
    start = utc("2026-03-20T12:00")
    (sunset,) = sun_crossings(start, start + DAY / 2, BERLIN, SUNSET_ALTITUDE_DEG)
    place = EarthLocation.from_geodetic(
        BERLIN.longitude_deg, BERLIN.latitude_deg, BERLIN.elevation_m
    )
    with iers.conf.set_temp("auto_download", value=False):
        time = Time(sunset.at.replace(tzinfo=None))
        seen = get_sun(time).transform_to(AltAz(obstime=time, location=place))
    assert seen.alt.deg == pytest.approx(SUNSET_ALTITUDE_DEG, abs=0.01)


def test_night_of_minutes_is_found() -> None:
    """Its dusk and dawn lie between two coarse instants."""
    around = utc("2026-06-20T22:00")
    lowest = min(sun_altitude_deg(around + dt.timedelta(minutes=n), BERLIN) for n in range(150))
    night = night_around(around, BERLIN, lowest + 0.0005)
    assert night is not None
    assert dt.timedelta(0) < night.ends - night.begins < dt.timedelta(minutes=8)


@pytest.mark.parametrize(
    ("instant", "evening"),
    [
        ("2026-03-01T23:59", 1),
        ("2026-03-02T03:00", 1),
        ("2026-03-02T10:30", 1),
        ("2026-03-02T12:30", 2),
        ("2026-03-02T20:00", 2),
    ],
)
def test_instant_belongs_to_the_night_before_its_noon_or_after(instant: str, evening: int) -> None:
    """Until noon it is last night, from noon on the coming one."""
    night = night_around(utc(instant), BERLIN, -12.0)
    assert night is not None
    assert night.begins.date() == dt.date(2026, 3, evening)
    assert night.ends.date() == dt.date(2026, 3, evening + 1)


@pytest.mark.parametrize("longitude_deg", [-179.9, -74.0, 179.9])
def test_night_is_the_sites_own(longitude_deg: float) -> None:
    """At the date line as in Greenwich: its middle is the site's midnight."""
    instant = utc("2026-03-02T06:00")
    night = night_around(instant, Site(-33.9, longitude_deg), -12.0)
    assert night is not None
    middle = night.begins + (night.ends - night.begins) / 2
    local = middle + dt.timedelta(hours=longitude_deg / 15)
    since_midnight = (local - local.replace(hour=12, minute=0)).total_seconds() / 3600
    assert abs(abs(since_midnight) - 12) < 0.4


def test_polar_summer_has_no_night() -> None:
    """The Sun does not set."""
    assert night_around(utc("2026-06-21T00:00"), SVALBARD, SUNSET_ALTITUDE_DEG) is None


def test_polar_winter_is_all_night() -> None:
    """From noon to noon."""
    night = night_around(utc("2026-12-21T00:00"), SVALBARD, SUNSET_ALTITUDE_DEG)
    assert night is not None
    assert night.ends - night.begins == pytest.approx(DAY, abs=dt.timedelta(minutes=2))


@settings(max_examples=15, deadline=None)
@given(
    latitude_deg=st.floats(-90, 90),
    longitude_deg=st.floats(-180, 180),
    instant=st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2040, 1, 1)),  # noqa: DTZ001
)
def test_in_a_night_the_sun_is_down(
    latitude_deg: float, longitude_deg: float, instant: dt.datetime
) -> None:
    """Anywhere, at any time: at a night's begin, middle and end it is below the limit."""
    site = Site(latitude_deg, longitude_deg)
    night = night_around(instant.replace(tzinfo=dt.UTC), site, -12.0)
    if isinstance(night, Night):
        assert night.begins < night.ends
        middle = night.begins + (night.ends - night.begins) / 2
        for at in (night.begins, middle, night.ends):
            assert sun_altitude_deg(at, site) < -12.0 + 0.01

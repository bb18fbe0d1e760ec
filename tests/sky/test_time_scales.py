"""Times at the barycentre agree with astropy's own, which goes another way."""

import datetime as dt

import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.sky import Site, bjd_tdb, julian_date

SECOND_D = 1.0 / 86_400.0
SITE = Site(31.68, -110.88, 1268.0)


def astropy_bjd(utc: dt.datetime, ra_deg: float, dec_deg: float, site: Site) -> float:
    """BJD_TDB from astropy's light travel time and its bundled Earth orientation."""
    place = EarthLocation.from_geodetic(site.longitude_deg, site.latitude_deg, site.elevation_m)
    with iers.conf.set_temp("auto_download", value=False):
        time = Time(utc.replace(tzinfo=None), scale="utc", location=place)
        star = SkyCoord(ra_deg, dec_deg, unit="deg")
        return float((time.tdb + time.light_travel_time(star, "barycentric")).jd)


@given(
    days=st.floats(0.0, 4500.0),
    ra_deg=st.floats(0.0, 359.99),
    dec_deg=st.floats(-90.0, 90.0),
    latitude_deg=st.floats(-85.0, 85.0),
    longitude_deg=st.floats(-180.0, 180.0),
)
def test_agrees_with_astropy_within_a_millisecond(
    days: float, ra_deg: float, dec_deg: float, latitude_deg: float, longitude_deg: float
) -> None:
    """Any star, place and time of the last years: the same instant to 1 ms."""
    utc = dt.datetime(2013, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=days)
    site = Site(latitude_deg, longitude_deg, 500.0)
    expected = astropy_bjd(utc, ra_deg, dec_deg, site)
    assert bjd_tdb(utc, ra_deg, dec_deg, site) == pytest.approx(expected, abs=1e-3 * SECOND_D)


def test_without_a_site_the_error_is_below_22_ms() -> None:
    """The Earth's radius is 21.3 light milliseconds."""
    utc = dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC)
    away = bjd_tdb(utc, 150.0, 2.0) - bjd_tdb(utc, 150.0, 2.0, SITE)
    assert 0.0 < abs(away) < 0.022 * SECOND_D


def test_light_from_the_ecliptic_comes_up_to_eight_minutes_early() -> None:
    """A star opposite the Sun is seen 499 s before its light would reach the barycentre."""
    opposition = dt.datetime(2026, 3, 21, tzinfo=dt.UTC)
    tdb_minus_utc_s = 69.184
    delay_s = (bjd_tdb(opposition, 180.0, 0.0) - sum(julian_date(opposition))) / SECOND_D
    assert delay_s - tdb_minus_utc_s == pytest.approx(499.0, abs=6.0)


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        (dt.datetime(2000, 1, 1, 12), 2_451_545.0),  # noqa: DTZ001 - naive means UTC
        (dt.datetime(2000, 1, 1, 12, tzinfo=dt.UTC), 2_451_545.0),
        (dt.datetime(2000, 1, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=-7))), 2_451_545.0),
        (dt.datetime(1858, 11, 17, tzinfo=dt.UTC), 2_400_000.5),
    ],
)
def test_julian_dates_of_known_instants(utc: dt.datetime, expected: float) -> None:
    """J2000.0 in three spellings, and the epoch of the modified Julian date."""
    assert sum(julian_date(utc)) == expected


def test_a_far_future_clock_gives_a_date() -> None:
    """A leap second table that ends is no reason to fail, nor to warn."""
    assert bjd_tdb(dt.datetime(2080, 1, 1, tzinfo=dt.UTC), 10.0, 10.0, SITE) > 2_480_000

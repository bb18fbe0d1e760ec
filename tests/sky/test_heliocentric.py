"""Heliocentric dates agree with astropy's own, which goes another way."""

import datetime as dt

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.sky import Site, bjd_tdb
from boundless_skies.sky.time_scales import hjd_utc_from_bjd_tdb

MILLISECOND_D = 1e-3 / 86_400.0
GEOCENTRE = EarthLocation.from_geocentric(0, 0, 0, unit="m")


def astropy_dates(utc: dt.datetime, star: SkyCoord, place: EarthLocation) -> tuple[float, float]:
    """BJD_TDB and HJD_UTC by astropy's light travel times and its bundled Earth orientation."""
    with iers.conf.set_temp("auto_download", value=False):
        time = Time(utc.replace(tzinfo=None), scale="utc", location=place)
        barycentric = time.tdb + time.light_travel_time(star, "barycentric")
        heliocentric = time.utc + time.light_travel_time(star, "heliocentric")
    return float(barycentric.jd), float(heliocentric.utc.jd)


@given(days=st.floats(0.0, 4500.0), ra_deg=st.floats(0.0, 359.99), dec_deg=st.floats(-90.0, 90.0))
def test_agrees_with_astropy_within_a_millisecond(
    days: float, ra_deg: float, dec_deg: float
) -> None:
    """Any star, and any time of the last years, seen from the Earth's centre."""
    utc = dt.datetime(2013, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=days)
    bjd, hjd = astropy_dates(utc, SkyCoord(ra_deg, dec_deg, unit="deg"), GEOCENTRE)
    found = hjd_utc_from_bjd_tdb(bjd, ra_deg, dec_deg)
    assert float(found) == pytest.approx(hjd, abs=MILLISECOND_D, rel=0)


def test_the_observers_place_need_not_be_known() -> None:
    """A BJD made with its site gives the HJD of that site, ms away from the Earth's centre's."""
    utc = dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC)
    site = Site(31.68, -110.88, 1268.0)
    place = EarthLocation.from_geodetic(site.longitude_deg, site.latitude_deg, site.elevation_m)
    star = SkyCoord(150.0, 2.0, unit="deg")
    _, at_site = astropy_dates(utc, star, place)
    _, at_centre = astropy_dates(utc, star, GEOCENTRE)
    found = float(hjd_utc_from_bjd_tdb(bjd_tdb(utc, 150.0, 2.0, site), 150.0, 2.0))
    assert found == pytest.approx(at_site, abs=MILLISECOND_D, rel=0)
    assert abs(found - at_centre) > 5 * MILLISECOND_D


def test_many_dates_are_converted_at_once() -> None:
    """In the shape in which they come, also none."""
    bjd = np.linspace(2_455_000.0, 2_461_000.0, 12).reshape(3, 4)
    together = hjd_utc_from_bjd_tdb(bjd, 10.0, 20.0)
    alone = [[float(hjd_utc_from_bjd_tdb(date, 10.0, 20.0)) for date in row] for row in bjd]
    assert together == pytest.approx(np.array(alone), abs=1e-9, rel=0)
    assert hjd_utc_from_bjd_tdb([], 10.0, 20.0).shape == (0,)


@pytest.mark.parametrize("bjd", [2_400_000.1, 2_430_000.0, 2_499_999.9])
def test_dates_without_leap_seconds_are_converted(bjd: float) -> None:
    """Whatever date a measurement may have: within TDB - UTC and the Sun's 5 s."""
    seconds = (bjd - float(hjd_utc_from_bjd_tdb(bjd, 10.0, 20.0))) * 86_400
    assert 32.184 - 5.1 < seconds < 70 + 5.1

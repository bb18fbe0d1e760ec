"""Altitude and airmass."""

import datetime as dt

import astropy.units as u
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from boundless_skies.sky import Site, airmass, altitude_azimuth_deg

SITE = Site(31.68, -110.88, 1268.0)


@pytest.mark.parametrize("hour", range(0, 24, 4))
@pytest.mark.parametrize(("ra_deg", "dec_deg"), [(31.0, 46.7), (200.0, -30.0), (90.0, 89.0)])
def test_altitude_and_azimuth_agree_with_astropy(hour: int, ra_deg: float, dec_deg: float) -> None:
    """Within 20″: UT1 - UTC is left out."""
    utc = dt.datetime(2017, 12, 20, hour, tzinfo=dt.UTC)
    place = EarthLocation.from_geodetic(SITE.longitude_deg, SITE.latitude_deg, SITE.elevation_m)
    with iers.conf.set_temp("auto_download", value=False):
        frame = AltAz(obstime=Time(utc.replace(tzinfo=None)), location=place)
        seen = SkyCoord(ra_deg, dec_deg, unit="deg").transform_to(frame)
    altitude_deg, azimuth_deg = altitude_azimuth_deg(utc, ra_deg, dec_deg, SITE)
    found = SkyCoord(azimuth_deg, altitude_deg, unit="deg")
    expected = SkyCoord(seen.az.deg, seen.alt.deg, unit="deg")
    assert found.separation(expected) < 20 * u.arcsec


@pytest.mark.parametrize(
    ("altitude_deg", "expected"), [(90.0, 1.0), (30.0, 1.994), (10.0, 5.59), (0.0, 38.7)]
)
def test_airmass_of_known_altitudes(altitude_deg: float, expected: float) -> None:
    """The zenith, two ordinary altitudes and the horizon."""
    assert airmass(altitude_deg) == pytest.approx(expected, rel=0.01)


def test_there_is_no_airmass_below_the_horizon() -> None:
    """None, not a number that looks like one."""
    assert airmass(-0.1) is None

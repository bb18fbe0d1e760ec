"""Sun and Moon over a site, against astropy."""

import datetime as dt
from collections.abc import Iterator

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body, get_sun
from astropy.time import Time
from astropy.utils import iers

from boundless_skies.sky import Site, SkyOverSite, altitude_azimuth_deg, sun_altitude_deg

SITES = [Site(52.52, 13.4, 40.0), Site(-33.9, 151.2, 20.0), Site(78.2, 15.6, 0.0)]
INSTANTS = [
    dt.datetime(2024, 1, 3, 2, 15, tzinfo=dt.UTC) + dt.timedelta(days=41.37 * n) for n in range(25)
]
TIMES = Time([instant.replace(tzinfo=None) for instant in INSTANTS])


@pytest.fixture(autouse=True)
def no_download() -> Iterator[None]:
    """Let astropy work with what it has."""
    with iers.conf.set_temp("auto_download", value=False):
        yield


def place_of(site: Site) -> EarthLocation:
    """Return a site as astropy wants it."""
    return EarthLocation.from_geodetic(site.longitude_deg, site.latitude_deg, site.elevation_m)


@pytest.mark.parametrize("site", SITES)
def test_sun_agrees_with_astropy(site: Site) -> None:
    """In altitude and azimuth within 0.01°, over three years."""
    seen = get_sun(TIMES).transform_to(AltAz(obstime=TIMES, location=place_of(site)))
    sun = SkyOverSite(INSTANTS, site).sun
    found = SkyCoord(sun.azimuth_deg, sun.altitude_deg, unit="deg")
    expected = SkyCoord(seen.az.deg, seen.alt.deg, unit="deg")
    assert max(found.separation(expected)) < 0.01 * u.deg


def test_sun_has_its_place_among_the_stars() -> None:
    """Right ascension and declination within 0.01°."""
    sun = SkyOverSite(INSTANTS, SITES[0]).sun
    expected = get_sun(TIMES)
    found = SkyCoord(sun.ra_deg, sun.dec_deg, unit="deg")
    separation = found.separation(SkyCoord(expected.ra.deg, expected.dec.deg, unit="deg"))
    assert max(separation) < 0.01 * u.deg


@pytest.mark.parametrize("site", SITES)
def test_moon_agrees_with_astropy(site: Site) -> None:
    """As the site sees it, up to 1° from where the Earth's centre does: within 0.05°."""
    body = get_body("moon", TIMES, place_of(site))
    seen = body.transform_to(AltAz(obstime=TIMES, location=place_of(site)))
    moon = SkyOverSite(INSTANTS, site).moon
    found = SkyCoord(moon.azimuth_deg, moon.altitude_deg, unit="deg")
    expected = SkyCoord(seen.az.deg, seen.alt.deg, unit="deg")
    assert max(found.separation(expected)) < 0.05 * u.deg
    among_stars = SkyCoord(moon.ra_deg, moon.dec_deg, unit="deg")
    assert (
        max(among_stars.separation(SkyCoord(body.ra.deg, body.dec.deg, unit="deg"))) < 0.05 * u.deg
    )


@pytest.mark.parametrize(
    ("instant", "percent"),
    [
        ("2024-04-08T18:21:00", 0.0),  # an eclipse of the Sun
        ("2025-03-14T06:55:00", 100.0),  # an eclipse of the Moon
        ("1992-04-12T00:00:00", 67.86),  # Meeus, example 48.a
    ],
)
def test_lit_part_of_the_moon(instant: str, percent: float) -> None:
    """New, full, and the textbook's example."""
    sky = SkyOverSite([dt.datetime.fromisoformat(instant).replace(tzinfo=dt.UTC)], SITES[0])
    assert 100 * sky.moon_illuminated[0] == pytest.approx(percent, abs=0.05)


def test_many_instants_agree_with_one() -> None:
    """A star's course is what each instant alone gives."""
    course = SkyOverSite(INSTANTS, SITES[0]).star(31.0, 46.7)
    alone = [altitude_azimuth_deg(instant, 31.0, 46.7, SITES[0]) for instant in INSTANTS]
    assert np.column_stack([course.altitude_deg, course.azimuth_deg]) == pytest.approx(
        np.array(alone), abs=1e-9
    )


def test_far_years_have_a_sky_too() -> None:
    """A clock that was set wrong gives an altitude, and no warning."""
    altitude = sun_altitude_deg(dt.datetime(2199, 6, 1, 12, tzinfo=dt.UTC), SITES[0])
    assert 55 < altitude < 62

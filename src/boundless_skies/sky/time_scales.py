"""Time scales: from a computer's UTC to the time at the solar system's barycentre."""

import datetime as dt
import math
import warnings

import erfa
import numpy as np
import numpy.typing as npt

from boundless_skies.sky.site import Site

_LIGHT_DAYS_PER_AU = 499.004783836 / 86_400.0
_AU_M = 149_597_870_700.0

Vector = npt.NDArray[np.float64]


def julian_date(utc: dt.datetime) -> tuple[float, float]:
    """Return a time as a Julian date in two parts, midnight's and the day's fraction.

    Parameters
    ----------
    utc : datetime
        Aware, or naive in UTC.

    Returns
    -------
    tuple of float
        The sum is the Julian date; kept apart, it is good to a nanosecond.
    """
    utc = utc.astimezone(dt.UTC) if utc.tzinfo else utc.replace(tzinfo=dt.UTC)
    midnight = utc.replace(hour=0, minute=0, second=0, microsecond=0)
    # Ordinal 1 is 0001-01-01, which begins at JD 1721425.5.
    return utc.toordinal() + 1_721_424.5, (utc - midnight) / dt.timedelta(days=1)


def bjd_tdb(
    mid_exposure_utc: dt.datetime, ra_deg: float, dec_deg: float, site: Site | None = None
) -> float:
    """Return the barycentric Julian date in TDB at which light passed (or will pass).

    The light travel time from the observer to the barycentre along the star's
    direction (the Rømer delay), as in Eastman, Siverd & Gaudi 2010 (PASP 122, 935),
    with the analytic ephemeris of ERFA: good to 0.1 ms. UT1 - UTC is left out
    (below 2 µs); without a site the centre of the Earth observes (below 22 ms).

    Parameters
    ----------
    mid_exposure_utc : datetime
        The middle of the exposure; aware, or naive in UTC.
    ra_deg, dec_deg : float
        Position, ICRS (J2000), degrees.
    site : Site, optional
        Where from.

    Returns
    -------
    float
        BJD_TDB, days (a float holds it to 40 µs).
    """
    utc = julian_date(mid_exposure_utc)
    tt = _terrestrial(utc)
    tdb = erfa.tttdb(*tt, erfa.dtdb(*tt, 0.0, 0.0, 0.0, 0.0))
    position_au = _earth_au(tdb) + (_site_au(utc, tt, site) if site else 0.0)
    light_days = float(np.dot(position_au, _direction(ra_deg, dec_deg))) * _LIGHT_DAYS_PER_AU
    return float(tdb[0]) + (float(tdb[1]) + light_days)


def _terrestrial(utc: tuple[float, float]) -> tuple[float, float]:
    with warnings.catch_warnings():
        # A camera's clock set to a far year shall give a date, not an end of the program.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        first, second = erfa.taitt(*erfa.utctai(*utc))
    return float(first), float(second)


def _direction(ra_deg: float, dec_deg: float) -> Vector:
    direction: Vector = erfa.s2c(math.radians(ra_deg), math.radians(dec_deg))
    return direction


def _earth_au(tdb: tuple[float, float]) -> Vector:
    _, barycentric = erfa.epv00(*tdb)
    position: Vector = barycentric["p"]
    return position


def _site_au(utc: tuple[float, float], tt: tuple[float, float], site: Site) -> Vector:
    """Position of a site relative to the Earth's centre, in celestial axes."""
    terrestrial_m = erfa.gd2gc(
        1, math.radians(site.longitude_deg), math.radians(site.latitude_deg), site.elevation_m
    )
    celestial_to_terrestrial = erfa.c2t06a(*tt, *utc, 0.0, 0.0)
    position: Vector = celestial_to_terrestrial.T @ terrestrial_m / _AU_M
    return position

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


def hjd_utc_from_bjd_tdb(bjd_tdb: npt.ArrayLike, ra_deg: float, dec_deg: float) -> Vector:
    """Return the heliocentric Julian dates in UTC that belong to barycentric ones in TDB.

    The two differ by TDB - UTC and by the light travel time from the Sun's centre to
    the barycentre. The observer's place is in neither, so that it need not be known:
    a BJD that was made with its site gives the HJD of that site, though the site is
    up to 21 light milliseconds from the Earth's centre. Good to 0.1 ms, if the BJD is.

    Parameters
    ----------
    bjd_tdb : array-like
        BJD_TDB, days, of any shape; finite.
    ra_deg, dec_deg : float
        Position, ICRS (J2000), degrees.

    Returns
    -------
    ndarray
        HJD_UTC, days, in the shape of the input (a float holds it to 40 µs). Before
        1960, when there was no UTC, TAI stands for it.

    References
    ----------
    J. Eastman, R. Siverd, B. S. Gaudi: "Achieving Better Than 1 Minute Accuracy in the
    Heliocentric and Barycentric Julian Dates", PASP 122, 935 (2010).
    """
    bjd = np.asarray(bjd_tdb, dtype=np.float64)
    direction = _direction(ra_deg, dec_deg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # years without leap seconds, or far
        # Asked up to 500 s off, when the Sun is within 8 km (25 µs) and the Earth within 50 ms.
        heliocentric, barycentric = erfa.epv00(bjd, 0.0)
        utc_minus_tdb_d = _utc_minus_tdb_d(bjd - barycentric["p"] @ direction * _LIGHT_DAYS_PER_AU)
    sun_au = barycentric["p"] - heliocentric["p"]
    hjd: Vector = bjd + (utc_minus_tdb_d - sun_au @ direction * _LIGHT_DAYS_PER_AU)
    return hjd


def _utc_minus_tdb_d(tdb: Vector) -> Vector:
    tdb_minus_tt_s = erfa.dtdb(tdb, 0.0, 0.0, 0.0, 0.0, 0.0)
    utc = erfa.taiutc(*erfa.tttai(*erfa.tdbtt(tdb, 0.0, tdb_minus_tt_s)))
    difference: Vector = (utc[0] - tdb) + utc[1]
    return difference


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

"""The coordinates that a mount counts in, and J2000."""

import datetime as dt
import math
from enum import IntEnum

import erfa
import numpy as np

from boundless_skies.sky import julian_date

_J2050_JD = 2_469_807.5
_B1950_EPOCH = 1950.0


class EquatorialSystem(IntEnum):
    """What a mount's right ascension and declination mean, numbered as ASCOM does."""

    OTHER = 0
    TOPOCENTRIC = 1
    J2000 = 2
    J2050 = 3
    B1950 = 4


def to_mount(
    ra_deg: float, dec_deg: float, system: EquatorialSystem, utc: dt.datetime
) -> tuple[float, float]:
    """Turn a place of the sky into a mount's coordinates.

    Parameters
    ----------
    ra_deg, dec_deg : float
        ICRS (J2000), degrees.
    system : EquatorialSystem
        What the mount counts in. One that says "other" is taken for the equinox of date,
        as most mounts count.
    utc : datetime
        When; aware.

    Returns
    -------
    tuple of float
        Right ascension within [0, 360) and declination, degrees. Of date they are apparent
        places: precession, nutation and aberration are in, refraction is not.
    """
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    match system:
        case EquatorialSystem.J2000:
            place = ra, dec
        case EquatorialSystem.J2050:
            place = _turned(erfa.pmat06(_J2050_JD, 0.0), ra, dec)
        case EquatorialSystem.B1950:
            place = erfa.fk54z(ra, dec, _B1950_EPOCH)[:2]
        case _:
            intermediate_ra, dec, origins = erfa.atci13(ra, dec, *_NO_MOTION, *_tt(utc))
            place = intermediate_ra - origins, dec
    return _degrees(*place)


def from_mount(
    ra_deg: float, dec_deg: float, system: EquatorialSystem, utc: dt.datetime
) -> tuple[float, float]:
    """Turn a mount's coordinates into a place of the sky; the inverse of :func:`to_mount`.

    Parameters
    ----------
    ra_deg, dec_deg : float
        As the mount says, degrees.
    system : EquatorialSystem
        What the mount counts in.
    utc : datetime
        When; aware.

    Returns
    -------
    tuple of float
        Right ascension within [0, 360) and declination, ICRS (J2000), degrees.
    """
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    match system:
        case EquatorialSystem.J2000:
            place = ra, dec
        case EquatorialSystem.J2050:
            place = _turned(erfa.pmat06(_J2050_JD, 0.0).T, ra, dec)
        case EquatorialSystem.B1950:
            place = erfa.fk45z(ra, dec, _B1950_EPOCH)
        case _:
            place = erfa.atic13(ra + erfa.eo06a(*_tt(utc)), dec, *_tt(utc))[:2]
    return _degrees(*place)


_NO_MOTION = (0.0, 0.0, 0.0, 0.0)
_TT_MINUS_UTC_D = 69.184 / 86_400.0
"""Since 2017; a leap second more or less moves no place by a microarcsecond."""


def _tt(utc: dt.datetime) -> tuple[float, float]:
    day, fraction = julian_date(utc)
    return day, fraction + _TT_MINUS_UTC_D


def _turned(matrix: np.ndarray, ra: float, dec: float) -> tuple[float, float]:
    ra, dec = erfa.c2s(matrix @ erfa.s2c(ra, dec))
    return ra, dec


def _degrees(ra: float, dec: float) -> tuple[float, float]:
    # Twice, for the remainder of a hair below 0 is 360.
    return math.degrees(ra) % 360.0 % 360.0, math.degrees(dec)

"""Where a star stands above a site, and how much air lies before it."""

import datetime as dt
import math

import erfa

from boundless_skies.sky.site import Site
from boundless_skies.sky.time_scales import julian_date

_RIGHT_ANGLE_DEG = 90.0


def altitude_azimuth_deg(
    utc: dt.datetime, ra_deg: float, dec_deg: float, site: Site
) -> tuple[float, float]:
    """Return the altitude and azimuth of a star, without refraction.

    Precession, nutation and aberration are taken in; UT1 - UTC (below 0.9 s, that
    is 14″) and polar motion are not, so that nothing has to be downloaded.

    Parameters
    ----------
    utc : datetime
        When; aware, or naive in UTC.
    ra_deg, dec_deg : float
        Position, ICRS (J2000), degrees.
    site : Site
        Where from.

    Returns
    -------
    tuple of float
        Altitude above the horizon and azimuth from north through east, degrees.
    """
    no_motion = (0.0, 0.0, 0.0, 0.0)
    no_correction = (0.0, 0.0, 0.0)  # UT1 - UTC, polar motion in x and y
    no_air = (0.0, 0.0, 0.0, 1.0)  # pressure, temperature, humidity, wavelength
    azimuth, zenith_distance, *_ = erfa.atco13(
        math.radians(ra_deg),
        math.radians(dec_deg),
        *no_motion,
        *julian_date(utc),
        no_correction[0],
        math.radians(site.longitude_deg),
        math.radians(site.latitude_deg),
        site.elevation_m,
        *no_correction[1:],
        *no_air,
    )
    return _RIGHT_ANGLE_DEG - math.degrees(zenith_distance), math.degrees(azimuth) % 360.0


def airmass(altitude_deg: float) -> float | None:
    """Return the relative airmass at an altitude (Pickering 2002, equation in footnote 39).

    Parameters
    ----------
    altitude_deg : float
        Altitude above the horizon, degrees.

    Returns
    -------
    float or None
        1 at the zenith, 38 at the horizon; None below it.

    References
    ----------
    K. A. Pickering: "The Southern Limits of the Ancient Star Catalog",
    DIO 12, 3 (2002).
    """
    if not 0.0 <= altitude_deg <= _RIGHT_ANGLE_DEG:
        return None
    bent_deg = altitude_deg + 244.0 / (165.0 + 47.0 * altitude_deg**1.1)
    return 1.0 / math.sin(math.radians(bent_deg))

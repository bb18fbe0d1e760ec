"""How long a star stays above an altitude, and when it is on the meridian."""

import datetime as dt

import numpy as np
import numpy.typing as npt

from boundless_skies.sky.horizon import HorizonMask
from boundless_skies.sky.over_site import SkyOverSite
from boundless_skies.sky.searching import first_instant, instants_between
from boundless_skies.sky.site import Site

_FREE_HORIZON = HorizonMask()
_SIDEREAL_DAY = dt.timedelta(seconds=86_164.0905)
_CIRCLE_DEG = 360.0


def hour_angle_deg(utc: dt.datetime, ra_deg: float, dec_deg: float, site: Site) -> float:
    """Return how far a star is west of the meridian.

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
    float
        From -180 to 180 degrees; negative in the east, before its upper transit.
    """
    return float(SkyOverSite([utc], site).star(ra_deg, dec_deg).hour_angle_deg[0])


def next_transit(utc: dt.datetime, ra_deg: float, dec_deg: float, site: Site) -> dt.datetime:
    """Return when a star is next on the meridian in the south, or highest (upper transit).

    Parameters
    ----------
    utc : datetime
        From when on, aware.
    ra_deg, dec_deg : float
        Position, ICRS (J2000), degrees.
    site : Site
        Where from.

    Returns
    -------
    datetime
        Within a sidereal day, good to a second.
    """
    ahead_deg = -hour_angle_deg(utc, ra_deg, dec_deg, site) % _CIRCLE_DEG
    return utc + ahead_deg / _CIRCLE_DEG * _SIDEREAL_DAY


def time_above_s(
    utc: dt.datetime,
    ra_deg: float,
    dec_deg: float,
    site: Site,
    *,
    altitude_deg: float,
    until: dt.datetime,
    horizon: HorizonMask = _FREE_HORIZON,
) -> float:
    """Return how long a star stays above an altitude, and above what stands around.

    Parameters
    ----------
    utc : datetime
        From when on, aware.
    ra_deg, dec_deg : float
        Position, ICRS (J2000), degrees.
    site : Site
        Where from.
    altitude_deg : float
        Least altitude, without refraction, degrees.
    until : datetime
        No further than to this instant, aware.
    horizon : HorizonMask
        What stands around.

    Returns
    -------
    float
        Seconds, to one of them; 0 where it is below already.
    """

    def below(sky: SkyOverSite) -> npt.NDArray[np.bool_]:
        course = sky.star(ra_deg, dec_deg)
        limit = np.maximum(altitude_deg, horizon.altitude_deg(course.azimuth_deg))
        hidden: npt.NDArray[np.bool_] = course.altitude_deg < limit
        return hidden

    sinks = first_instant(SkyOverSite(instants_between(utc, until), site), below)
    return max(0.0, ((sinks or until) - utc).total_seconds())

"""When the Sun crosses an altitude, and the night around an instant."""

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from boundless_skies.sky.over_site import SkyOverSite
from boundless_skies.sky.searching import change_between, instants_between
from boundless_skies.sky.site import Site

_DAY = dt.timedelta(days=1)
_HOURS_PER_DEG = dt.timedelta(hours=1) / 15
# The equation of time is never above 17 minutes.
_NOON_SPREAD = dt.timedelta(minutes=20)
_COARSE = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class SunCrossing:
    """The Sun passes an altitude.

    Attributes
    ----------
    at : datetime
        When, to a second, UTC.
    rising : bool
        Whether it goes up.
    """

    at: dt.datetime
    rising: bool


@dataclass(frozen=True)
class Night:
    """A night, from dusk to dawn.

    Attributes
    ----------
    begins, ends : datetime
        When the Sun sinks below the altitude asked for and rises above it again, UTC; true
        noon and the next where it stays below.
    """

    begins: dt.datetime
    ends: dt.datetime


def sun_altitude_deg(utc: dt.datetime, site: Site) -> float:
    """Return the altitude of the Sun's centre, without refraction.

    Parameters
    ----------
    utc : datetime
        When; aware, or naive in UTC.
    site : Site
        Where from.

    Returns
    -------
    float
        Degrees above the horizon.
    """
    return float(SkyOverSite([utc], site).sun.altitude_deg[0])


def sun_crossings(
    start: dt.datetime, end: dt.datetime, site: Site, altitude_deg: float
) -> tuple[SunCrossing, ...]:
    """Return the instants at which the Sun's centre crosses an altitude.

    Its highest and lowest points are looked up first, so that a night of minutes is found.

    Parameters
    ----------
    start, end : datetime
        Between which instants to look, aware.
    site : Site
        Where from.
    altitude_deg : float
        Altitude without refraction, degrees; -12 for nautical twilight.

    Returns
    -------
    tuple of SunCrossing
        In order of time; empty where the Sun stays on one side.
    """
    instants = _with_turning_points(instants_between(start, end, _COARSE), site)
    above = SkyOverSite(instants, site).sun.altitude_deg > altitude_deg
    return tuple(
        SunCrossing(
            change_between(
                instants[place],
                instants[place + 1],
                site,
                lambda sky: sky.sun.altitude_deg > altitude_deg,
            ),
            bool(above[place + 1]),
        )
        for place in np.flatnonzero(above[1:] != above[:-1])
    )


def night_around(instant: dt.datetime, site: Site, sun_altitude_deg: float) -> Night | None:
    """Return the night that an instant belongs to.

    A night lies between two true noons of the site; an instant belongs to the one before it
    until noon, and to the coming one from noon on.

    Parameters
    ----------
    instant : datetime
        When, aware.
    site : Site
        Where from.
    sun_altitude_deg : float
        The Sun's altitude, without refraction, below which it is night, degrees.

    Returns
    -------
    Night or None
        None where the Sun does not sink so far (summer near the poles); noon to noon where
        it does not rise so far (winter there).
    """
    return _night_between(*_noons_around(instant.astimezone(dt.UTC), site), site, sun_altitude_deg)


# A program asks for the same night again and again, at one instant after the other.
@lru_cache(maxsize=64)
def _night_between(
    noon: dt.datetime, next_noon: dt.datetime, site: Site, sun_altitude_deg: float
) -> Night | None:
    crossings = sun_crossings(noon, next_noon, site, sun_altitude_deg)
    dusks = [crossing.at for crossing in crossings if not crossing.rising]
    dawns = [crossing.at for crossing in crossings if crossing.rising]
    if not crossings and SkyOverSite([noon], site).sun.altitude_deg[0] > sun_altitude_deg:
        return None
    return Night(dusks[0] if dusks else noon, dawns[-1] if dawns else next_noon)


def _noons_around(instant: dt.datetime, site: Site) -> tuple[dt.datetime, dt.datetime]:
    midday = instant.replace(hour=12, minute=0, second=0, microsecond=0)
    mean = midday - site.longitude_deg * _HOURS_PER_DEG
    nearest = mean + round((instant - mean) / _DAY) * _DAY
    noons = [_true_noon(nearest + days * _DAY, site) for days in (-1, 0, 1, 2)]
    return next(pair for pair in pairwise(noons) if pair[0] <= instant < pair[1])


@lru_cache(maxsize=64)
def _true_noon(mean_noon: dt.datetime, site: Site) -> dt.datetime:
    """Return when the Sun is on the meridian, where its hour angle passes zero."""
    return change_between(
        mean_noon - _NOON_SPREAD,
        mean_noon + _NOON_SPREAD,
        site,
        lambda sky: sky.sun.hour_angle_deg > 0.0,
    )


def _with_turning_points(instants: list[dt.datetime], site: Site) -> list[dt.datetime]:
    """Add the instants at which the Sun is highest and lowest."""
    rises = np.diff(SkyOverSite(instants, site).sun.altitude_deg) > 0.0
    turns = [
        _turning_point(instants[place], instants[place + 2], site, highest=bool(rises[place]))
        for place in np.flatnonzero(rises[1:] != rises[:-1])
    ]
    return sorted({*instants, *turns})


def _turning_point(
    start: dt.datetime, end: dt.datetime, site: Site, *, highest: bool
) -> dt.datetime:
    def falls(sky: SkyOverSite) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        later = SkyOverSite([at + dt.timedelta(seconds=1) for at in sky.instants], site)
        return (later.sun.altitude_deg > sky.sun.altitude_deg) != highest  # type: ignore[no-any-return]

    return change_between(start, end, site, falls)

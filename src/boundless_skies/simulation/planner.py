"""A simple planner: what stands well above a site, one star after the other."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from boundless_skies.simulation.stars import SimulatedVariable
from boundless_skies.sky import Night, Site, SkyOverSite, separation_deg

_DEG_PER_HOUR = 15.0
_COLLECTED_S = 6.0
"""What an exposure takes beside its light: reading out, writing, looking around."""


@dataclass(frozen=True, kw_only=True)
class PlannerSettings:
    """How plans are made.

    Attributes
    ----------
    items : int
        How many stars a night gets.
    exposures : int
        How many exposures each of them gets.
    exposure_s : float
        Length of each, seconds.
    least_altitude_deg : float
        How high a star must stand from the beginning to the end of its time.
    least_moon_distance_deg : float
        How far it must be from the Moon.
    start_after : timedelta
        How long after dusk the first star's time begins.
    overhead_s : float
        What each star takes beside its exposures, seconds.
    grace : timedelta
        How long after its time a star may still be observed.
    """

    items: int = 3
    exposures: int = 6
    exposure_s: float = 20.0
    least_altitude_deg: float = 35.0
    least_moon_distance_deg: float = 20.0
    start_after: dt.timedelta = dt.timedelta(minutes=20)
    overhead_s: float = 240.0
    grace: dt.timedelta = dt.timedelta(minutes=45)

    @property
    def slot(self) -> dt.timedelta:
        """How long a star's time is."""
        exposing_s = self.exposures * (self.exposure_s + _COLLECTED_S)
        return dt.timedelta(seconds=exposing_s + self.overhead_s)


def plan_night(
    night: Night,
    site: Site,
    stars: Sequence[SimulatedVariable],
    rng: np.random.Generator,
    settings: PlannerSettings,
) -> list[dict[str, Any]]:
    """Make the items of a plan.

    Parameters
    ----------
    night : Night
        The night.
    site : Site
        Where the telescope stands.
    stars : sequence of SimulatedVariable
        What may be observed.
    rng : Generator
        Chooses among those that stand well.
    settings : PlannerSettings
        How plans are made.

    Returns
    -------
    list of dict
        In the node-schedule-runner format, in their order; fewer than asked for where too few
        stars stand well, or the night is too short.
    """
    items: list[dict[str, Any]] = []
    left = list(stars)
    begins = night.begins + settings.start_after
    while len(items) < settings.items and begins + settings.slot <= night.ends:
        sky = SkyOverSite([begins, begins + settings.slot + settings.grace], site)
        fit = [star for star in left if _stands_well(star, sky, settings)]
        if fit:
            star = fit[int(rng.integers(len(fit)))]
            left.remove(star)
            items.append(_item(star, begins, night, settings))
        begins += settings.slot
    return items


def _stands_well(star: SimulatedVariable, sky: SkyOverSite, settings: PlannerSettings) -> bool:
    altitudes = sky.star(star.ra_deg, star.dec_deg).altitude_deg
    moon = separation_deg(star.ra_deg, star.dec_deg, sky.moon.ra_deg, sky.moon.dec_deg)
    return bool(
        np.min(altitudes) >= settings.least_altitude_deg
        and np.min(moon) >= settings.least_moon_distance_deg
    )


def _item(
    star: SimulatedVariable, begins: dt.datetime, night: Night, settings: PlannerSettings
) -> dict[str, Any]:
    ends = min(begins + settings.slot + settings.grace, night.ends)
    return {
        "target": star.name,
        "ra": star.ra_deg / _DEG_PER_HOUR,
        "dec": star.dec_deg,
        "expDur": settings.exposure_s,
        "expCount": settings.exposures,
        "binning": 1,
        "start_utc": begins.isoformat(timespec="seconds"),
        "end_utc": ends.isoformat(timespec="seconds"),
    }

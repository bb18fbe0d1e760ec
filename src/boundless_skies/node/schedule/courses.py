"""How high the items of a plan stand through a night."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from boundless_skies.sky import (
    HorizonMask,
    Night,
    Site,
    SkyOverSite,
    instants_between,
    separation_deg,
)

Vector = npt.NDArray[np.float64]

STEP = dt.timedelta(minutes=5)
"""Between the points of a course: the sky turns 1.25° meanwhile."""

_FREE_HORIZON = HorizonMask()


class Placed(Protocol):
    """Something with a place on the sky: an item as planned or as kept."""

    @property
    def item_id(self) -> str:
        """The cloud's name for it."""

    @property
    def target(self) -> str:
        """Name of the object."""

    @property
    def ra_deg(self) -> float:
        """Right ascension, ICRS (J2000), degrees."""

    @property
    def dec_deg(self) -> float:
        """Declination, ICRS (J2000), degrees."""


@dataclass(frozen=True, kw_only=True)
class ItemCourse:
    """How high one item stands through a night.

    Attributes
    ----------
    item_id, target : str
        Which.
    altitude_deg : ndarray
        Altitude at each instant of the night, without refraction, degrees.
    free : ndarray of bool
        Whether it is above the least altitude and what stands around.
    moon_distance_deg : ndarray
        Distance from the Moon, degrees.
    """

    item_id: str
    target: str
    altitude_deg: Vector
    free: npt.NDArray[np.bool_]
    moon_distance_deg: Vector


@dataclass(frozen=True, kw_only=True)
class NightCourses:
    """What a night's chart shows.

    Attributes
    ----------
    instants : tuple of datetime
        Evenly spaced, the night's begin and end among them, UTC.
    items : tuple of ItemCourse
        In the order given.
    sun_altitude_deg, moon_altitude_deg : ndarray
        At each instant, degrees.
    moon_illuminated : float
        The lit part of the Moon's disc in the middle of the night, from 0 to 1.
    """

    instants: tuple[dt.datetime, ...]
    items: tuple[ItemCourse, ...]
    sun_altitude_deg: Vector
    moon_altitude_deg: Vector
    moon_illuminated: float


def night_courses(
    items: Iterable[Placed],
    night: Night,
    site: Site,
    *,
    min_altitude_deg: float,
    horizon: HorizonMask = _FREE_HORIZON,
    step: dt.timedelta = STEP,
) -> NightCourses:
    """Return how high items, Sun and Moon stand through a night.

    Parameters
    ----------
    items : iterable of Placed
        Items as planned or as kept.
    night : Night
        From when to when.
    site : Site
        Where the telescope stands.
    min_altitude_deg : float
        Least altitude at which something may be observed, degrees.
    horizon : HorizonMask
        What stands around.
    step : timedelta
        The longest distance between two instants.

    Returns
    -------
    NightCourses
        The courses.
    """
    sky = SkyOverSite(instants_between(night.begins, night.ends, step), site)
    return NightCourses(
        instants=sky.instants,
        items=tuple(_course(item, sky, min_altitude_deg, horizon) for item in items),
        sun_altitude_deg=sky.sun.altitude_deg,
        moon_altitude_deg=sky.moon.altitude_deg,
        moon_illuminated=float(sky.moon_illuminated[len(sky.instants) // 2]),
    )


def _course(
    item: Placed, sky: SkyOverSite, min_altitude_deg: float, horizon: HorizonMask
) -> ItemCourse:
    star = sky.star(item.ra_deg, item.dec_deg)
    limit = np.maximum(min_altitude_deg, horizon.altitude_deg(star.azimuth_deg))
    return ItemCourse(
        item_id=item.item_id,
        target=item.target,
        altitude_deg=star.altitude_deg,
        free=star.altitude_deg >= limit,
        moon_distance_deg=np.asarray(
            separation_deg(item.ra_deg, item.dec_deg, sky.moon.ra_deg, sky.moon.dec_deg)
        ),
    )

"""Where on Earth it is night now, and what stands high there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from boundless_skies.demo.narration import DemoFailure
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.sky import Site, SkyOverSite, separation_deg
from boundless_skies.sky.targets import NamedStar, named_stars

# As their observatories give them; so spread that on each date and hour it is night over some.
_PLACES: Mapping[str, Site] = MappingProxyType(
    {
        "Mauna Kea, Hawaii": Site(19.826, -155.472, 4205.0),
        "Kitt Peak, Arizona": Site(31.958, -111.600, 2096.0),
        "La Palma, Canary Islands": Site(28.762, -17.879, 2326.0),
        "Kottamia, Egypt": Site(29.934, 31.828, 476.0),
        "Hanle, Ladakh": Site(32.779, 78.964, 4500.0),
        "Lulin, Taiwan": Site(23.469, 120.873, 2862.0),
    }
)

LASTS = timedelta(hours=1)
"""How long what is chosen stays high."""

_SUN_BELOW_DEG = -15.0
_MOON_DISTANCE_DEG = 20.0
_BRIGHTEST_MAG, _FAINTEST_MAG = 7.7, 11.0
"""What a small telescope measures well within a few seconds."""
_SAME_STAR_DEG = 2.0 / 3600.0
# The simulators draw no frame across right ascension 0 h, nor close to a pole.
_FROM_ZERO_HOURS_DEG = 3.0
_HIGHEST_DEC_DEG = 70.0


@dataclass(frozen=True, kw_only=True)
class HighStar:
    """A star that stands high.

    Attributes
    ----------
    star : NamedStar
        Which one.
    altitude_deg : float
        Its altitude now, degrees.
    least_altitude_deg : float
        Its least altitude now and `LASTS` later, degrees.
    """

    star: NamedStar
    altitude_deg: float
    least_altitude_deg: float


@dataclass(frozen=True, kw_only=True)
class Evening:
    """A place where it is night, and stars that stand high over it.

    Attributes
    ----------
    place : str
        Its name.
    site : Site
        Where it is.
    sun_altitude_deg : float
        The Sun's altitude, degrees.
    stars : tuple of HighStar
        The highest first.
    """

    place: str
    site: Site
    sun_altitude_deg: float
    stars: tuple[HighStar, ...]


def find_evening(now: datetime, count: int) -> Evening:
    """Find the place where it is night and some stars stand highest.

    Parameters
    ----------
    now : datetime
        Aware.
    count : int
        How many stars are wanted.

    Returns
    -------
    Evening
        The place whose lowest of so many stars stands highest, for an hour.

    Raises
    ------
    DemoFailure
        If there is none.
    """
    stars = measurable_stars(Catalogue.load())
    evenings = [_evening(place, site, now, stars, count) for place, site in _PLACES.items()]
    found = [evening for evening in evenings if evening is not None]
    if not found:
        raise DemoFailure(
            f"there is no place with {count} stars high in a dark sky at {now:%H:%M}."
        )
    return max(found, key=lambda evening: evening.stars[-1].least_altitude_deg)


def measurable_stars(catalogue: Catalogue) -> tuple[NamedStar, ...]:
    """Return the named stars that a small telescope measures well.

    Parameters
    ----------
    catalogue : Catalogue
        Says how bright they are.

    Returns
    -------
    tuple of NamedStar
        Those within some magnitudes, where the simulators can draw them.
    """
    return tuple(star for star in named_stars() if _can_be_drawn(star, catalogue))


def _can_be_drawn(star: NamedStar, catalogue: Catalogue) -> bool:
    from_zero_deg = min(star.ra_deg, 360.0 - star.ra_deg)
    if abs(star.dec_deg) > _HIGHEST_DEC_DEG or from_zero_deg < _FROM_ZERO_HOURS_DEG:
        return False
    near = catalogue.cone(star.ra_deg, star.dec_deg, _SAME_STAR_DEG)
    return len(near) > 0 and bool(_BRIGHTEST_MAG <= near.mag[0] <= _FAINTEST_MAG)


def _evening(
    place: str, site: Site, now: datetime, stars: tuple[NamedStar, ...], count: int
) -> Evening | None:
    sky = SkyOverSite([now, now + LASTS], site)
    if sky.sun.altitude_deg.max() > _SUN_BELOW_DEG:
        return None
    high = [_high_star(star, sky) for star in stars if _is_far_from_moon(star, sky)]
    high.sort(key=lambda one: -one.least_altitude_deg)
    if len(high) < count:
        return None
    return Evening(
        place=place,
        site=site,
        sun_altitude_deg=float(sky.sun.altitude_deg[0]),
        stars=tuple(high[:count]),
    )


def _high_star(star: NamedStar, sky: SkyOverSite) -> HighStar:
    altitude_deg: npt.NDArray[np.float64] = sky.star(star.ra_deg, star.dec_deg).altitude_deg
    return HighStar(
        star=star,
        altitude_deg=float(altitude_deg[0]),
        least_altitude_deg=float(altitude_deg.min()),
    )


def _is_far_from_moon(star: NamedStar, sky: SkyOverSite) -> bool:
    apart_deg = separation_deg(star.ra_deg, star.dec_deg, sky.moon.ra_deg, sky.moon.dec_deg)
    return bool(np.min(apart_deg) >= _MOON_DISTANCE_DEG)

"""Stars that are known to vary, marked among those that a target might be compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from boundless_skies.node.catalogue.comparison_star import ComparisonStar
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.sky.targets import named_stars

SAME_STAR_DEG = 6.0 / 3600.0
"""A variable nearer than this to a catalogue's star is that star: old positions are rough."""


@dataclass(frozen=True, kw_only=True)
class KnownVariable:
    """A star that is listed as variable.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Position, J2000 (ICRS), degrees.
    told : str
        Who lists it, under which name and type.
    """

    ra_deg: float
    dec_deg: float
    told: str


def named_variables(center: tuple[float, float], radius_deg: float) -> list[KnownVariable]:
    """Return the variables, and hosts of transiting planets, of the list of well-known stars.

    Parameters
    ----------
    center : tuple of float
        Right ascension and declination, J2000, degrees.
    radius_deg : float
        How far from it they may lie.

    Returns
    -------
    list of KnownVariable
        Without any network.
    """
    return [
        KnownVariable(
            ra_deg=star.ra_deg,
            dec_deg=star.dec_deg,
            told=f"known variable: {star.name} ({star.kind})",
        )
        for star in named_stars()
        if star.kind and _apart_deg(star.ra_deg, star.dec_deg, center) <= radius_deg
    ]


def mark_variables(
    stars: Sequence[ComparisonStar], variables: Sequence[KnownVariable]
) -> list[ComparisonStar]:
    """Return stars with those marked as variable that a list has at their place.

    Parameters
    ----------
    stars : sequence of ComparisonStar
        What a catalogue offers.
    variables : sequence of KnownVariable
        The first that is near enough to a star counts.

    Returns
    -------
    list of ComparisonStar
        In the same order.
    """
    if not variables:
        return list(stars)
    places = np.array([(one.ra_deg, one.dec_deg) for one in variables])

    def marked(star: ComparisonStar) -> ComparisonStar:
        apart_deg = separation_deg(places[:, 0], places[:, 1], star.ra_deg, star.dec_deg)
        first = int(np.argmax(apart_deg <= SAME_STAR_DEG))
        if apart_deg[first] > SAME_STAR_DEG:
            return star
        return replace(star, is_variable=True, variability=variables[first].told)

    return [marked(star) for star in stars]


def dropped_variables(
    offered: Sequence[ComparisonStar],
    chosen: Sequence[ComparisonStar],
    center: tuple[float, float],
    faint_mag: float,
) -> tuple[ComparisonStar, ...]:
    """Return what would have been compared with, did it not vary.

    Parameters
    ----------
    offered : sequence of ComparisonStar
        All that the catalogues have offered.
    chosen : sequence of ComparisonStar
        What was taken of them: the others of its catalogue count.
    center : tuple of float
        The target's right ascension and declination, J2000, degrees; it is no candidate.
    faint_mag : float
        Fainter stars would not have been taken either.

    Returns
    -------
    tuple of ComparisonStar
        Nearest to the target first.
    """
    catalogues = {star.catalogue for star in chosen}
    lost = [
        (_apart_deg(star.ra_deg, star.dec_deg, center), star)
        for star in offered
        if star.is_variable and star.catalogue in catalogues and star.magnitude <= faint_mag
    ]
    nearest = sorted(lost, key=lambda pair: pair[0])
    return tuple(star for apart_deg, star in nearest if apart_deg > SAME_STAR_DEG)


def _apart_deg(ra_deg: float, dec_deg: float, center: tuple[float, float]) -> float:
    return float(separation_deg(np.array([ra_deg]), np.array([dec_deg]), *center)[0])

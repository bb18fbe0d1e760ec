"""The truth: the light curves on the cloud, against the stars that were rendered."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from boundless_skies.simulation.stars import SimulatedVariable
from boundless_skies.wire import QualityFlag

_SIGMAS = 3.0


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How far good points lie from the star that was rendered.

    Attributes
    ----------
    points : int
        Good points on stars whose brightness is known.
    median_mag : float
        Middle of their distances from the truth, with sign, magnitudes; NaN without points.
    rms_mag : float
        Root of their mean square, magnitudes; NaN without points.
    within_3_sigma : float
        Which part of them lies within three of its own stated uncertainties; NaN without points.
    """

    points: int
    median_mag: float
    rms_mag: float
    within_3_sigma: float

    def to_dict(self) -> dict[str, float | None]:
        """Return it as JSON has it, None for NaN."""
        return {
            name: None if math.isnan(value) else round(value, 4)
            for name, value in asdict(self).items()
        }


def hold_against_truth(
    points: Iterable[tuple[str, dict[str, Any]]], stars: Sequence[SimulatedVariable]
) -> Truth:
    """Hold points of light curves against the stars.

    Parameters
    ----------
    points : iterable of (str, dict)
        Target, and the point as the cloud gives it.
    stars : sequence of SimulatedVariable
        What was rendered.

    Returns
    -------
    Truth
        Of the points with the quality "good"; the others say themselves that they may be off.
    """
    known = {star.name: star for star in stars}
    good = [
        (point["magnitude"] - known[target].magnitude(point["bjd"]), point["uncertainty"])
        for target, point in points
        if target in known and point["quality_flag"] == QualityFlag.GOOD
    ]
    if not good:
        return Truth(points=0, median_mag=math.nan, rms_mag=math.nan, within_3_sigma=math.nan)
    off, stated = np.array(good).T
    return Truth(
        points=len(off),
        median_mag=float(np.median(off)),
        rms_mag=float(np.sqrt(np.mean(off**2))),
        within_3_sigma=float(np.mean(np.abs(off) <= _SIGMAS * stated)),
    )

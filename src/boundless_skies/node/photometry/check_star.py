"""The check star: a constant star measured as if it were the target, to show how good that is."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from boundless_skies.node.catalogue.comparison_star import ComparisonStar
from boundless_skies.node.photometry.ensemble import Behaviour, ZeroPoint
from boundless_skies.node.solving.field import FloatArray

_FRAMES_KEPT = 300
# A tenth in B - V weighs as much as a tenth in brightness times this.
_COLOUR_WEIGHT = 2.0


@dataclass(frozen=True, kw_only=True)
class CheckPoint:
    """The check star in one frame.

    Attributes
    ----------
    star : ComparisonStar
        Which star.
    magnitude : float or None
        Measured with the ensemble of the others; None where the frame does not show it well.
    mean_mag : float or None
        Mean of its magnitudes over the series so far.
    scatter_mag : float or None
        Their standard deviation; None below three.
    frames : int
        How many there are.
    held_out : bool
        True where it did not count for the zero point; False where its own part was
        taken out by calculation, as there were too few stars to spare one.
    """

    star: ComparisonStar
    magnitude: float | None
    mean_mag: float | None
    scatter_mag: float | None
    frames: int
    held_out: bool


@dataclass
class CheckStar:
    """The check star of a series.

    Attributes
    ----------
    index : int
        Its place among the ensemble's candidates.
    star : ComparisonStar
        Which star.
    """

    index: int
    star: ComparisonStar
    _magnitudes: deque[float] = field(default_factory=lambda: deque(maxlen=_FRAMES_KEPT))

    @classmethod
    def choose(
        cls,
        comparisons: Sequence[ComparisonStar],
        instrumental_mag: FloatArray,
        target_mag: float,
        colour_bv: float | None = None,
    ) -> "CheckStar | None":
        """Choose the comparison star that is most like the target.

        Parameters
        ----------
        comparisons : sequence of ComparisonStar
            The candidates, nearest to the target first; none is a known variable.
        instrumental_mag : ndarray, shape (n,)
            As the series' first frame shows them, and further stars behind them; NaN
            where it does not show one well.
        target_mag : float
            The target's, on the same scale.
        colour_bv : float, optional
            The target's B - V; without it the stars' median counts.

        Returns
        -------
        CheckStar or None
            None where the frame shows no comparison star well.
        """
        seen = np.flatnonzero(np.isfinite(instrumental_mag[: len(comparisons)]))
        if not len(seen):
            return None
        stars = [comparisons[index] for index in seen.tolist()]
        fainter = np.abs(instrumental_mag[seen] - target_mag)
        away = fainter + _COLOUR_WEIGHT * _redness_away(stars, colour_bv)
        index = int(seen[np.argmin(away)])
        return cls(index, comparisons[index])

    def measure(self, zero_point: ZeroPoint) -> CheckPoint:
        """Take a frame in.

        Parameters
        ----------
        zero_point : ZeroPoint
            Of the frame, with what each star did.

        Returns
        -------
        CheckPoint
            The star in this frame, and over the series so far.
        """
        behaviour = zero_point.behaviour
        magnitude = None if behaviour is None else self._without_itself(behaviour)
        if magnitude is not None:
            self._magnitudes.append(magnitude)
        several = len(self._magnitudes) > 2  # noqa: PLR2004 - as the docstring says
        return CheckPoint(
            star=self.star,
            magnitude=magnitude,
            mean_mag=float(np.mean(self._magnitudes)) if self._magnitudes else None,
            scatter_mag=float(np.std(self._magnitudes, ddof=1)) if several else None,
            frames=len(self._magnitudes),
            held_out=behaviour is None or float(behaviour.weight[self.index]) == 0.0,
        )

    def _without_itself(self, behaviour: Behaviour) -> float | None:
        if not math.isfinite(behaviour.magnitude[self.index]):
            return None
        magnitude, weight = behaviour.magnitude[self.index], behaviour.weight[self.index]
        residual = behaviour.residual_mag[self.index]
        if not math.isfinite(residual):  # the first frame knows only the catalogue
            residual = magnitude - self.star.magnitude
        # A weighted mean loses w r / (1 - w) when a star with the residual r leaves it.
        return float(magnitude + weight / (1.0 - weight) * residual) if weight < 1.0 else None


def _redness_away(stars: Sequence[ComparisonStar], colour_bv: float | None) -> FloatArray:
    """Return how far each colour lies from the wanted one; 0 where it is unknown."""
    colours = np.array([math.nan if s.colour_bv is None else s.colour_bv for s in stars])
    known = np.isfinite(colours)
    if not known.any():
        return np.zeros(len(stars))
    wanted = float(np.median(colours[known])) if colour_bv is None else colour_bv
    return np.where(known, np.abs(colours - wanted), 0.0)

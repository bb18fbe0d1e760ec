"""A target's comparison stars, kept over the night so that its light curve has no steps.

A catalogue's magnitude differs from what a camera sees in its own colours by about
0.1 mag, another amount for each star. A star that leaves the frame, saturates or is hit
by a cosmic ray would therefore move the mean of the others. So the ensemble remembers
each star's own offset from the mean: the first frame ties the ensemble to the
catalogue, and every later frame is tied to the ensemble.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from boundless_skies.node.catalogue import Stars
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.solving.field import FloatArray

LEAST_STARS = 3

# Flat-field and colour errors that the photons do not tell: no star counts more than this allows.
_FLOOR_MAG = 0.004
_CLIP_SIGMA = 4.0
_SMALLEST_CLIP_MAG = 0.03
_ANCHOR_CLIP_SIGMA = 3.0
_ROUNDS = 4
# An offset is the mean over so many frames, then follows slowly (the field turns, dust settles).
_MEMORY_FRAMES = 50
_ENOUGH_RESIDUALS = 20
_NOISE_FACTORS = (1.0, 5.0)
_NOISE_FACTORS_WITHOUT_GAIN = (0.1, 5.0)
_MAD_TO_SIGMA = 1.4826

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ZeroPoint:
    """What turns instrumental magnitudes of a frame into magnitudes.

    Attributes
    ----------
    value : float
        To be added, magnitudes.
    error : float
        Its random standard deviation from frame to frame, magnitudes.
    scatter : float
        Standard deviation of the comparison stars around it against the catalogue; with
        their number it tells how well the whole ensemble is tied to the catalogue.
    stars : int
        How many comparison stars went into it.
    """

    value: float
    error: float
    scatter: float
    stars: int


class Ensemble:
    """Comparison stars with what was learned of them.

    Parameters
    ----------
    stars : Stars
        Candidates; which of them a frame shows may change.
    aperture : Aperture
        The same for all frames.
    gain_known : bool
        Whether the errors that it is given rest on the camera's gain; else they are
        brought down too where the stars scatter less.
    """

    def __init__(self, stars: Stars, aperture: Aperture, *, gain_known: bool) -> None:
        self.stars = stars
        self.aperture = aperture
        self._factors = _NOISE_FACTORS if gain_known else _NOISE_FACTORS_WITHOUT_GAIN
        self._offsets = np.full(len(stars), np.nan)
        self._frames = np.zeros(len(stars))
        self._chi_squared = 0.0
        self._residuals = 0.0

    @property
    def noise_factor(self) -> float:
        """How much more (or less) the comparison stars scatter than their errors say.

        1 until 20 residuals have been seen; never below 1 where the gain is known.
        """
        if self._residuals < _ENOUGH_RESIDUALS:
            return 1.0
        lowest, highest = self._factors
        return min(max(math.sqrt(self._chi_squared / self._residuals), lowest), highest)

    def tie(self, instrumental_mag: FloatArray, error_mag: FloatArray) -> ZeroPoint | None:
        """Find the zero point of a frame, and learn from it.

        Parameters
        ----------
        instrumental_mag, error_mag : ndarray, shape (stars,)
            Of every candidate; NaN where the frame does not show it well.

        Returns
        -------
        ZeroPoint or None
            None where fewer than three stars are left.
        """
        zeros = self.stars.mag - instrumental_mag
        known = np.isfinite(zeros) & np.isfinite(self._offsets)
        if known.sum() >= LEAST_STARS:
            found = self._tie_to_ensemble(zeros, error_mag, known)
        else:
            found = self._tie_to_catalogue(zeros, error_mag)
        if found is None:
            return None
        value, used = found
        zero_point = self._zero_point(value, used, zeros, error_mag)
        self._learn(value, used, known, zeros, error_mag)
        return zero_point

    def _tie_to_catalogue(
        self, zeros: FloatArray, error_mag: FloatArray
    ) -> tuple[float, Mask] | None:
        used = np.isfinite(zeros) & np.isfinite(error_mag)
        for _ in range(_ROUNDS):
            if used.sum() < LEAST_STARS:
                return None
            middle = float(np.median(zeros[used]))
            spread = _MAD_TO_SIGMA * float(np.median(np.abs(zeros[used] - middle)))
            used &= np.abs(zeros - middle) <= max(_ANCHOR_CLIP_SIGMA * spread, _SMALLEST_CLIP_MAG)
        # The catalogue's errors outweigh the frame's: all stars count alike.
        return float(np.mean(zeros[used])), used

    def _tie_to_ensemble(
        self, zeros: FloatArray, error_mag: FloatArray, known: Mask
    ) -> tuple[float, Mask] | None:
        reduced = zeros - self._offsets
        error = self._reduced_error(error_mag)
        limit = np.maximum(_CLIP_SIGMA * error, _SMALLEST_CLIP_MAG)
        value, used = float(np.median(reduced[known])), known
        for _ in range(_ROUNDS):
            used = known & (np.abs(reduced - value) <= limit)
            if used.sum() < LEAST_STARS:
                return None
            value = float(np.average(reduced[used], weights=error[used] ** -2))
        return value, used

    def _reduced_error(self, error_mag: FloatArray) -> FloatArray:
        frames = np.maximum(self._frames, 1.0)
        seen = (self.noise_factor * error_mag) ** 2
        reduced: FloatArray = np.sqrt(seen * (1.0 + 1.0 / frames) + _FLOOR_MAG**2)
        return reduced

    def _zero_point(
        self, value: float, used: Mask, zeros: FloatArray, error_mag: FloatArray
    ) -> ZeroPoint:
        weights = 1.0 / ((self.noise_factor * error_mag[used]) ** 2 + _FLOOR_MAG**2)
        return ZeroPoint(
            value=value,
            error=1.0 / math.sqrt(float(weights.sum())),
            scatter=float(np.std(zeros[used], ddof=1)),
            stars=int(used.sum()),
        )

    def _learn(
        self, value: float, used: Mask, known: Mask, zeros: FloatArray, error_mag: FloatArray
    ) -> None:
        again = used & known
        if again.any():
            self._judge_noise(value, again, zeros, error_mag)
        self._forget(known & ~used)
        seen = np.isfinite(zeros) & (used | np.isnan(self._offsets))
        self._frames[seen] = np.minimum(self._frames[seen] + 1.0, _MEMORY_FRAMES)
        old = np.where(np.isnan(self._offsets), 0.0, self._offsets)
        step = (zeros - value - old) / np.maximum(self._frames, 1.0)
        self._offsets[seen] = (old + step)[seen]

    def _judge_noise(
        self, value: float, again: Mask, zeros: FloatArray, error_mag: FloatArray
    ) -> None:
        residual = (zeros - self._offsets - value)[again]
        variance = (error_mag**2 * (1.0 + 1.0 / np.maximum(self._frames, 1.0)))[again]
        self._chi_squared += float((residual**2 / variance).sum())
        self._residuals += float(again.sum()) - 1.0

    def _forget(self, refused: Mask) -> None:
        """Lower the trust in stars that did not fit; one that keeps missing starts afresh."""
        self._frames[refused] = np.floor(self._frames[refused] / 2)
        lost = refused & (self._frames == 0)
        self._offsets[lost] = np.nan

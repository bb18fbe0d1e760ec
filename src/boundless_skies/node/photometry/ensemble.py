"""A target's comparison stars, kept over the night so that its light curve has no steps.

A catalogue's magnitude differs from what a camera sees in its own colours by about
0.1 mag, another amount for each star. A star that leaves the frame, saturates or is hit
by a cosmic ray would therefore move the mean of the others. So the ensemble remembers
each star's own offset from the mean: the first frame ties the ensemble to the
catalogue, and every later frame is tied to the ensemble (R. K. Honeycutt, PASP 104,
435 (1992), with the target left out). A star needs no catalogue magnitude for that: the
other stars of the field steady the zero point from frame to frame.

A field that drifts over a vignetted frame, turns, or sinks towards the horizon gains
light on one side and loses it on the other. To first order that is a plane: each frame's
zero point may slope over the frame, and counts where the target is.
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
# How much the zero point may slope from the target to half a diagonal away (standard deviation).
_SLOPE_MAG = 0.03
# An offset is the mean over so many frames, then follows slowly (the field turns, dust settles).
_MEMORY_FRAMES = 50
_PLANE_TERMS = 3
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
        How many stars with a catalogue magnitude went into it.
    field_stars : int
        How many other stars of the field steadied it.
    """

    value: float
    error: float
    scatter: float
    stars: int
    field_stars: int = 0


@dataclass(frozen=True)
class _Tie:
    """What a frame's stars agree on.

    Attributes
    ----------
    value, error : float
        The zero point at the target.
    everywhere : ndarray, shape (stars,)
        The zero point at each star.
    used : ndarray of bool, shape (stars,)
        The stars it rests on.
    """

    value: float
    error: float
    everywhere: FloatArray
    used: Mask


class Ensemble:
    """Comparison stars with what was learned of them.

    Parameters
    ----------
    stars : Stars
        Candidates; which of them a frame shows may change. A magnitude of NaN means
        that the catalogue does not know the star.
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
        self._catalogued = np.isfinite(stars.mag)
        self._magnitudes = np.where(self._catalogued, stars.mag, 0.0)
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

    def tie(
        self,
        instrumental_mag: FloatArray,
        error_mag: FloatArray,
        away: FloatArray | None = None,
    ) -> ZeroPoint | None:
        """Find the zero point of a frame, and learn from it.

        Parameters
        ----------
        instrumental_mag, error_mag : ndarray, shape (stars,)
            Of every candidate; NaN where the frame does not show it well.
        away : ndarray, shape (stars, 2), optional
            Where the candidates lie from the target, in halves of the frame's diagonal;
            without it the zero point is taken to be the same all over the frame.

        Returns
        -------
        ZeroPoint or None
            None where fewer than three stars are left.
        """
        zeros = self._magnitudes - instrumental_mag
        away = np.zeros((len(zeros), 2)) if away is None else away
        known = np.isfinite(zeros) & np.isfinite(self._offsets)
        if known.sum() >= LEAST_STARS:
            found = self._tie_to_ensemble(zeros, error_mag, away, known)
        else:
            found = self._tie_to_catalogue(zeros, error_mag)
        if found is None:
            return None
        zero_point = self._zero_point(found, zeros)
        self._learn(found, known, zeros, error_mag)
        return zero_point

    def _tie_to_catalogue(self, zeros: FloatArray, error_mag: FloatArray) -> _Tie | None:
        used = np.isfinite(zeros) & np.isfinite(error_mag) & self._catalogued
        for _ in range(_ROUNDS):
            if used.sum() < LEAST_STARS:
                return None
            middle = float(np.median(zeros[used]))
            spread = _MAD_TO_SIGMA * float(np.median(np.abs(zeros[used] - middle)))
            used &= np.abs(zeros - middle) <= max(_ANCHOR_CLIP_SIGMA * spread, _SMALLEST_CLIP_MAG)
        # The catalogue's errors outweigh the frame's: all stars count alike.
        value = float(np.mean(zeros[used]))
        weights = 1.0 / ((self.noise_factor * error_mag[used]) ** 2 + _FLOOR_MAG**2)
        error = 1.0 / math.sqrt(float(weights.sum()))
        return _Tie(value, error, np.full(len(zeros), value), used)

    def _tie_to_ensemble(
        self, zeros: FloatArray, error_mag: FloatArray, away: FloatArray, known: Mask
    ) -> _Tie | None:
        reduced = zeros - self._offsets
        error = self._reduced_error(error_mag)
        limit = np.maximum(_CLIP_SIGMA * error, _SMALLEST_CLIP_MAG)
        plane = np.array([np.median(reduced[known]), 0.0, 0.0])
        covariance = np.zeros((3, 3))
        everywhere = _on_plane(plane, away)
        for _ in range(_ROUNDS):
            used = known & (np.abs(reduced - everywhere) <= limit)
            if used.sum() < LEAST_STARS:
                return None
            plane, covariance = _fit_plane(reduced[used], error[used], away[used])
            everywhere = _on_plane(plane, away)
        return _Tie(float(plane[0]), math.sqrt(float(covariance[0, 0])), everywhere, used)

    def _reduced_error(self, error_mag: FloatArray) -> FloatArray:
        frames = np.maximum(self._frames, 1.0)
        seen = (self.noise_factor * error_mag) ** 2
        reduced: FloatArray = np.sqrt(seen * (1.0 + 1.0 / frames) + _FLOOR_MAG**2)
        return reduced

    def _zero_point(self, found: _Tie, zeros: FloatArray) -> ZeroPoint:
        catalogued = found.used & self._catalogued
        residual = (zeros - found.everywhere)[catalogued]
        return ZeroPoint(
            value=found.value,
            error=found.error,
            scatter=float(np.std(residual, ddof=1)) if len(residual) > 1 else 0.0,
            stars=int(catalogued.sum()),
            field_stars=int((found.used & ~self._catalogued).sum()),
        )

    def _learn(self, found: _Tie, known: Mask, zeros: FloatArray, error_mag: FloatArray) -> None:
        again = found.used & known
        if again.any():
            self._judge_noise(found, again, zeros, error_mag)
        self._forget(known & ~found.used)
        seen = np.isfinite(zeros) & (found.used | np.isnan(self._offsets))
        self._frames[seen] = np.minimum(self._frames[seen] + 1.0, _MEMORY_FRAMES)
        old = np.where(np.isnan(self._offsets), 0.0, self._offsets)
        step = (zeros - found.everywhere - old) / np.maximum(self._frames, 1.0)
        self._offsets[seen] = (old + step)[seen]

    def _judge_noise(
        self, found: _Tie, again: Mask, zeros: FloatArray, error_mag: FloatArray
    ) -> None:
        residual = (zeros - self._offsets - found.everywhere)[again]
        variance = (error_mag**2 * (1.0 + 1.0 / np.maximum(self._frames, 1.0)))[again]
        self._chi_squared += float((residual**2 / variance).sum())
        self._residuals += max(float(again.sum()) - _PLANE_TERMS, 0.0)

    def _forget(self, refused: Mask) -> None:
        """Lower the trust in stars that did not fit; one that keeps missing starts afresh."""
        self._frames[refused] = np.floor(self._frames[refused] / 2)
        lost = refused & (self._frames == 0)
        self._offsets[lost] = np.nan


def _fit_plane(
    values: FloatArray, error: FloatArray, away: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fit a plane whose slopes are small; return level and slopes, and their covariance."""
    terms = np.column_stack([np.ones(len(values)), away])
    weighted = terms / error[:, None] ** 2
    precision = weighted.T @ terms + np.diag([0.0, *[_SLOPE_MAG**-2] * away.shape[1]])
    covariance: FloatArray = np.linalg.inv(precision).astype(np.float64)
    return covariance @ (weighted.T @ values), covariance


def _on_plane(plane: FloatArray, away: FloatArray) -> FloatArray:
    heights: FloatArray = plane[0] + away @ plane[1:]
    return heights

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
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from boundless_skies.node.catalogue import Stars
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.solving.field import FloatArray

LEAST_STARS = 3
LEAST_BESIDE_CHECK = 5
"""A star is held out of a zero point that rests on so many catalogued ones without it."""
VARIES_FACTOR = 2.0
"""A star that scatters by so many times its error no longer steadies the zero point."""

# Flat-field and colour errors that the photons do not tell, until the stars have told theirs.
_FLOOR_MAG = 0.002
# No star counts more than this allows.
_SMALLEST_FLOOR_MAG = 0.001
_CLIP_SIGMA = 4.0
_SMALLEST_CLIP_MAG = 0.03
_ANCHOR_CLIP_SIGMA = 3.0
_ROUNDS = 4
# How much the zero point may slope from the target to half a diagonal away (standard deviation).
_SLOPE_MAG = 0.03
# An offset is the mean over so many frames, then follows slowly (the field turns, dust settles).
_MEMORY_FRAMES = 50
# Before a star has shown how it scatters, it is taken at its error's word for so many frames.
_PRIOR_FRAMES = 4.0
# One cosmic ray condemns no star.
_MOST_CHI_SQUARED = 16.0
_PLANE_TERMS = 3
# Bounds of the noise factor, and for how many residuals the error's own word counts.
_NOISE_FACTORS, _TRUST_IN_GAIN = (1.0, 5.0), 10.0
_NOISE_FACTORS_WITHOUT_GAIN, _TRUST_IN_GUESS = (0.1, 5.0), 1.0
_TRUST_IN_FLOOR = 5.0
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
    behaviour : Behaviour or None
        What each star did; None where nobody asked for it.
    """

    value: float
    error: float
    scatter: float
    stars: int
    field_stars: int = 0
    behaviour: "Behaviour | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What each star of an ensemble did in one frame; NaN where it was not seen well.

    Attributes
    ----------
    magnitude : ndarray, shape (stars,)
        Measured, with the zero point at the star's place.
    residual_mag : ndarray, shape (stars,)
        From what the ensemble knew of the star before this frame.
    scatter : ndarray, shape (stars,)
        How many times its error the star scatters over the series; 1 at first.
    weight : ndarray, shape (stars,)
        Its share in the zero point; all shares together are 1.
    """

    magnitude: FloatArray
    residual_mag: FloatArray
    scatter: FloatArray
    weight: FloatArray


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
    fitting : ndarray of bool, shape (stars,)
        The stars that agree with it, also those that vary or are held out.
    weight : ndarray, shape (stars,)
        How much each counts, in any unit.
    """

    value: float
    error: float
    everywhere: FloatArray
    used: Mask
    fitting: Mask
    weight: FloatArray


class _Noise:
    """The variance of a star's residuals: a factor times its own, and a floor for all stars.

    Both come from a least-squares fit of the squared residuals, in units of the variance
    expected at first; each starts at the expectation, as if that had been seen some times.
    """

    def __init__(self, *, gain_known: bool) -> None:
        self._factors = _NOISE_FACTORS if gain_known else _NOISE_FACTORS_WITHOUT_GAIN
        trust = np.array([_TRUST_IN_GAIN if gain_known else _TRUST_IN_GUESS, _TRUST_IN_FLOOR])
        self._normal = np.diag(trust)
        self._right = trust.copy()
        self.factor, self.floor_mag = 1.0, _FLOOR_MAG
        self.gain_known = gain_known
        self.residuals_seen = 0

    def learn(self, squared: FloatArray, own_variance: FloatArray) -> None:
        """Take in squared residuals of stars whose own errors say a variance."""
        self.residuals_seen += len(squared)
        expected = own_variance + _FLOOR_MAG**2
        parts = np.column_stack([own_variance, np.full(len(squared), _FLOOR_MAG**2)])
        parts /= expected[:, None]
        self._normal += parts.T @ parts
        self._right += parts.T @ (squared / expected)
        lowest, highest = (factor**2 for factor in self._factors)
        share, floor = np.linalg.solve(self._normal, self._right)
        if floor < 0.0:
            share, floor = self._right[0] / self._normal[0, 0], 0.0
        if not lowest <= share <= highest:
            share = min(max(share, lowest), highest)
            floor = (self._right[1] - share * self._normal[0, 1]) / self._normal[1, 1]
        self.factor = math.sqrt(share)
        self.floor_mag = max(_FLOOR_MAG * math.sqrt(max(floor, 0.0)), _SMALLEST_FLOOR_MAG)


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
        self._noise = _Noise(gain_known=gain_known)
        self._catalogued = np.isfinite(stars.mag)
        self._magnitudes = np.where(self._catalogued, stars.mag, 0.0)
        self._offsets = np.full(len(stars), np.nan)
        self._frames = np.zeros(len(stars))
        self._held_out = np.zeros(len(stars), dtype=bool)
        self._own_chi_squared = np.zeros(len(stars))
        self._own_frames = np.zeros(len(stars))

    def hold_out(self, star: int) -> None:
        """Keep a star out of the zero point, but in frames where fewer than five are left.

        Parameters
        ----------
        star : int
            Its place among the candidates.
        """
        self._held_out[star] = True

    @property
    def scatter(self) -> FloatArray:
        """How many times its error each star scatters over the series, at least 1."""
        seen = self._own_chi_squared + _PRIOR_FRAMES
        factors: FloatArray = np.sqrt(np.maximum(seen / (self._own_frames + _PRIOR_FRAMES), 1.0))
        return factors

    def _trusted(self, seen: Mask) -> Mask:
        """Return which of the stars seen may count."""
        constant = seen & (self.scatter < VARIES_FACTOR)
        others = constant & ~self._held_out
        enough = (others & self._catalogued).sum() >= LEAST_BESIDE_CHECK
        return others if enough else constant

    @property
    def noise_factor(self) -> float:
        """How much more (or less) the comparison stars scatter than their errors say.

        1 at first; never below 1 where the gain is known.
        """
        return self._noise.factor

    @property
    def noise_from(self) -> str:
        """What the errors rest on: the camera's gain, the comparison stars, or a guess."""
        if self._noise.gain_known:
            return "gain"
        return "comparison stars" if self._noise.residuals_seen else "guess"

    @property
    def floor_mag(self) -> float:
        """What every star scatters however bright it is, magnitudes; 0.002 at first."""
        return self._noise.floor_mag

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
        seen = np.isfinite(zeros) & np.isfinite(error_mag)
        used = self._trusted(seen) & self._catalogued
        middle, limit = 0.0, 0.0
        for _ in range(_ROUNDS):
            if used.sum() < LEAST_STARS:
                return None
            middle = float(np.median(zeros[used]))
            spread = _MAD_TO_SIGMA * float(np.median(np.abs(zeros[used] - middle)))
            limit = max(_ANCHOR_CLIP_SIGMA * spread, _SMALLEST_CLIP_MAG)
            used &= np.abs(zeros - middle) <= limit
        own_error = self.noise_factor * error_mag
        weight = 1.0 / (own_error**2 + self._catalogue_scatter(zeros, own_error, used) ** 2)
        value = float(np.average(zeros[used], weights=weight[used]))
        fitting = seen & (np.abs(zeros - middle) <= limit)
        share = weight[used] / weight[used].sum()
        error = math.sqrt(float((share**2 * (own_error[used] ** 2 + self.floor_mag**2)).sum()))
        return _Tie(value, error, np.full(len(zeros), value), used, fitting, weight)

    @staticmethod
    def _catalogue_scatter(zeros: FloatArray, own_error: FloatArray, used: Mask) -> float:
        """Estimate how far the catalogue is off, beyond the frame's own noise."""
        spread = float(np.var(zeros[used], ddof=1)) - float(np.mean(own_error[used] ** 2))
        return math.sqrt(max(spread, _FLOOR_MAG**2))

    def _tie_to_ensemble(
        self, zeros: FloatArray, error_mag: FloatArray, away: FloatArray, known: Mask
    ) -> _Tie | None:
        reduced = zeros - self._offsets
        error = self._reduced_error(error_mag)
        limit = np.maximum(_CLIP_SIGMA * error, _SMALLEST_CLIP_MAG)
        trusted = self._trusted(known)
        if trusted.sum() < LEAST_STARS:
            return None
        own = error * self.scatter
        plane = np.array([np.median(reduced[trusted]), 0.0, 0.0])
        covariance = np.zeros((3, 3))
        everywhere = _on_plane(plane, away)
        used = trusted
        for _ in range(_ROUNDS):
            used = trusted & (np.abs(reduced - everywhere) <= limit)
            if used.sum() < LEAST_STARS:
                return None
            plane, covariance = _fit_plane(reduced[used], own[used], away[used])
            everywhere = _on_plane(plane, away)
        fitting = known & (np.abs(reduced - everywhere) <= limit)
        error_at_target = math.sqrt(float(covariance[0, 0]))
        return _Tie(float(plane[0]), error_at_target, everywhere, used, fitting, own**-2.0)

    def _reduced_error(self, error_mag: FloatArray) -> FloatArray:
        frames = np.maximum(self._frames, 1.0)
        seen = (self.noise_factor * error_mag) ** 2
        reduced: FloatArray = np.sqrt(seen * (1.0 + 1.0 / frames) + self.floor_mag**2)
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
            behaviour=self._behaviour(found, zeros),
        )

    def _behaviour(self, found: _Tie, zeros: FloatArray) -> Behaviour:
        weight = np.where(found.used, found.weight, 0.0)
        magnitude = self._magnitudes - zeros + found.everywhere
        return Behaviour(
            magnitude=np.where(self._catalogued, magnitude, np.nan),
            residual_mag=self._offsets + found.everywhere - zeros,
            scatter=self.scatter,
            weight=weight / weight.sum(),
        )

    def _learn(self, found: _Tie, known: Mask, zeros: FloatArray, error_mag: FloatArray) -> None:
        if (found.used & known).any():
            self._judge_noise(found, known, zeros, error_mag)
        self._forget(known & ~found.fitting)
        seen = np.isfinite(zeros) & (found.fitting | np.isnan(self._offsets))
        self._frames[seen] = np.minimum(self._frames[seen] + 1.0, _MEMORY_FRAMES)
        old = np.where(np.isnan(self._offsets), 0.0, self._offsets)
        step = (zeros - found.everywhere - old) / np.maximum(self._frames, 1.0)
        self._offsets[seen] = (old + step)[seen]

    def _judge_noise(
        self, found: _Tie, known: Mask, zeros: FloatArray, error_mag: FloatArray
    ) -> None:
        residual = zeros - self._offsets - found.everywhere
        self._judge_each(known, residual / self._reduced_error(error_mag))
        again = found.used & known
        if again.sum() > _PLANE_TERMS:
            # What the fit took up is missing from the residuals.
            shrunk = 1.0 - _PLANE_TERMS / float(again.sum())
            seen = error_mag**2 * (1.0 + 1.0 / np.maximum(self._frames, 1.0))
            self._noise.learn(residual[again] ** 2 / shrunk, seen[again])

    def _judge_each(self, known: Mask, pull: FloatArray) -> None:
        fading = 1.0 - 1.0 / _MEMORY_FRAMES
        worst = np.minimum(pull**2, _MOST_CHI_SQUARED)
        self._own_chi_squared[known] = (fading * self._own_chi_squared + worst)[known]
        self._own_frames[known] = (fading * self._own_frames + 1.0)[known]

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

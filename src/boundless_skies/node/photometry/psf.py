"""The image of a star in a frame (its point spread function), learnt from the frame's own stars.

It is the light that falls into a pixel at some distance from a star's centre, so that the
pixel's own smearing is in it and nothing is integrated later (J. Anderson & I. R. King,
PASP 112, 1360 (2000)). It is a sum of Gaussians of fixed widths, which follow the wings of
any seeing (E. Emsellem, G. Monnet & R. Bacon, A&A 285, 723 (1994)), and of a table of
smooth corrections for trails and coma. Both are linear in what is unknown: no iteration can
fail.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from boundless_skies.node.photometry.aperture import Aperture, Fluxes, Image, pixels_around
from boundless_skies.node.solving.field import FloatArray

LEAST_STARS = 3
"""A frame with fewer stars that show its image well has none."""
MOST_STARS = 30
LEAST_STAR_SNR = 50.0

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_WIDTHS = np.array([0.6, 0.85, 1.2, 1.8, 3.0])
# In units of the FWHM: how far a star's image is learnt, and where the table's corrections end.
_REACH_FWHM, _TABLE_FWHM = 3.0, 1.6
_STEP_FWHM, _SMALLEST_STEP_PX = 0.4, 0.8
# What the table may correct (standard deviation), and the wings, in units of the peak.
_TABLE_PRIOR, _WIDTH_PRIOR = 0.3, 3.0
_ROUNDS = 3
_CLIP_SIGMA = 4.0
# Centroids and interpolation are no better; keeps one bright star from deciding alone.
_LEAST_MISMATCH = 0.005
_CORE = 0.2
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Psf:
    """The image of a star whose light within the series' circle is 1.

    Attributes
    ----------
    shape : ndarray, shape (2, 2)
        Covariance of the Gaussian of width 1, px².
    weights : ndarray, shape (widths,)
        Light in each Gaussian.
    table : ndarray, shape (n, n)
        Corrections at the knots of cubic B-splines, the middle one at the star's centre.
    step_px : float
        Distance of the knots.
    mismatch : float
        How far a star's image differs from it in the core, relative to its light there
        (standard deviation), beyond the noise.
    scale_error : float
        Standard deviation of its scale, relative.
    stars : int
        How many stars it was learnt from.
    """

    shape: FloatArray
    weights: FloatArray
    table: FloatArray
    step_px: float
    mismatch: float = _LEAST_MISMATCH
    scale_error: float = 0.0
    stars: int = 0

    @property
    def peak(self) -> float:
        """The light in a pixel at the star's centre."""
        return float(self.values(np.zeros(1), np.zeros(1))[0])

    def values(self, across: FloatArray, along: FloatArray) -> FloatArray:
        """Return the light in pixels at distances along x and y from the star, shape (n,)."""
        return _Basis.at(self, across, along).values(self)

    @classmethod
    def learn(cls, samples: "Samples", fwhm_px: float) -> "Psf | None":
        """Learn the image from stars.

        Parameters
        ----------
        samples : Samples
            The pixels around stars that stand alone.
        fwhm_px : float
            Full width at half maximum of the stars.

        Returns
        -------
        Psf or None
            None where fewer than three stars show it.
        """
        if samples.stars < LEAST_STARS:
            return None
        psf = _start(samples, fwhm_px)
        basis = _Basis.at(psf, samples.across.ravel(), samples.along.ravel())
        model = np.zeros(samples.values.shape)
        used = np.isfinite(samples.values)
        for _ in range(_ROUNDS):
            psf = _solved(psf, basis, samples, used, model)
            model = basis.values(psf).reshape(model.shape)
            used = samples.agreeing(model, psf.mismatch)
            psf = replace(psf, mismatch=_mismatch(samples, used, model, psf.peak))
        return _scaled(psf, samples, used, model)


@dataclass(frozen=True, eq=False)
class _Basis:
    """What the parts of an image are in given pixels."""

    gaussians: FloatArray
    in_x: FloatArray
    in_y: FloatArray

    @classmethod
    def at(cls, psf: Psf, across: FloatArray, along: FloatArray) -> "_Basis":
        half = len(psf.table) // 2
        return cls(
            _gaussians(across, along, psf.shape),
            _splines(across / psf.step_px, half),
            _splines(along / psf.step_px, half),
        )

    def values(self, psf: Psf) -> FloatArray:
        corrections = ((self.in_y @ psf.table) * self.in_x).sum(axis=1)
        values: FloatArray = self.gaussians @ psf.weights + corrections
        return values

    def terms(self, used: npt.NDArray[np.bool_]) -> FloatArray:
        """Return every part in the pixels used, shape (pixels, parts)."""
        table = self.in_y[used][:, :, None] * self.in_x[used][:, None, :]
        return np.hstack([self.gaussians[used], table.reshape(len(table), -1)])


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels around stars, each star's light in the circle taken as 1; NaN beyond the frame.

    Attributes
    ----------
    across, along : ndarray, shape (stars, pixels)
        Distance from the star along x and y, px.
    values, error : ndarray, shape (stars, pixels)
        Light above the sky, and its standard deviation.
    """

    across: FloatArray
    along: FloatArray
    values: FloatArray
    error: FloatArray

    @property
    def stars(self) -> int:
        """How many stars there are."""
        return len(self.values)

    @classmethod
    def around(
        cls, image: Image, stars: Fluxes, aperture: Aperture, fwhm_px: float, gain_e_per_adu: float
    ) -> "Samples":
        """Take the pixels around stars that were measured with an aperture.

        Parameters
        ----------
        image : ndarray, shape (height, width)
            With its sky.
        stars : Fluxes
            The stars, all with light.
        aperture : Aperture
            What they were measured with.
        fwhm_px : float
            Full width at half maximum of the stars.
        gain_e_per_adu : float
            Electrons per unit.

        Returns
        -------
        Samples
            As far as the ring's inner edge, at most 3 times the full width.
        """
        reach_px = min(_REACH_FWHM * fwhm_px, aperture.inner_px)
        pixels = pixels_around(image, stars.x, stars.y, 0.0, reach_px)
        light = stars.flux[:, None]
        own = np.maximum(stars.error**2 - np.maximum(stars.flux, 0.0) / gain_e_per_adu, _TINY)
        sky = own / (math.pi * aperture.radius_px**2)
        above = pixels.values - stars.sky[:, None]
        error = np.sqrt(sky[:, None] + np.maximum(above, 0.0) / gain_e_per_adu)
        return cls(pixels.across, pixels.along, above / light, error / light)

    def agreeing(self, model: FloatArray, mismatch: float) -> npt.NDArray[np.bool_]:
        """Say which pixels lie within 4 σ of an image, neighbours and cosmic rays left out."""
        allowed = np.hypot(self.error, mismatch * np.abs(model))
        agree = np.abs(np.nan_to_num(self.values) - model) <= _CLIP_SIGMA * allowed
        return np.asarray(agree & np.isfinite(self.values), np.bool_)


def _start(samples: Samples, fwhm_px: float) -> Psf:
    """Return an empty image with the stars' own shape: their Gaussian-weighted moments."""
    window = (fwhm_px / _FWHM_PER_SIGMA) ** 2
    weight: FloatArray = np.exp(-(samples.across**2 + samples.along**2) / (2.0 * window))
    light = weight * np.nan_to_num(samples.values)
    moment = np.array(
        [
            [float((light * first * second).sum()) for second in (samples.across, samples.along)]
            for first in (samples.across, samples.along)
        ]
    ) / float(light.sum())
    table_knots = 2 * math.ceil(_TABLE_FWHM * fwhm_px / _step_px(fwhm_px)) + 1
    return Psf(
        shape=_unweighted(moment, window),
        weights=np.zeros(len(_WIDTHS)),
        table=np.zeros((table_knots, table_knots)),
        step_px=_step_px(fwhm_px),
    )


def _unweighted(moment: FloatArray, window: float) -> FloatArray:
    """Take the window out of a Gaussian's weighted moments, within sensible bounds."""
    size, axes = np.linalg.eigh(moment)
    size = np.clip(size, 0.1 * window, 0.8 * window)
    return np.asarray((axes * (1.0 / (1.0 / size - 1.0 / window))) @ axes.T, np.float64)


def _step_px(fwhm_px: float) -> float:
    return max(_STEP_FWHM * fwhm_px, _SMALLEST_STEP_PX)


def _solved(
    psf: Psf,
    basis: _Basis,
    samples: Samples,
    used: npt.NDArray[np.bool_],
    model: FloatArray,
) -> Psf:
    """Fit Gaussians and table to the pixels, the table held towards nothing."""
    terms = basis.terms(used.ravel())
    weight = 1.0 / (samples.error[used] ** 2 + (psf.mismatch * model[used]) ** 2)
    height = 1.0 / (2.0 * math.pi * math.sqrt(float(np.linalg.det(psf.shape))))
    widths, knots = len(_WIDTHS), psf.table.size
    held = np.r_[np.full(widths, _WIDTH_PRIOR), np.full(knots, _TABLE_PRIOR * height)]
    normal = (terms * weight[:, None]).T @ terms + np.diag(held**-2.0)
    found = np.asarray(
        np.linalg.solve(normal, terms.T @ (weight * samples.values[used])), np.float64
    )
    return replace(psf, weights=found[:widths], table=found[widths:].reshape(psf.table.shape))


def _mismatch(
    samples: Samples, used: npt.NDArray[np.bool_], model: FloatArray, peak: float
) -> float:
    core = used & (model > _CORE * peak)
    beyond = (samples.values - model)[core] ** 2 - samples.error[core] ** 2
    squared = float(beyond.sum()) / max(float((model[core] ** 2).sum()), _TINY)
    return math.sqrt(max(squared, _LEAST_MISMATCH**2))


def _scaled(
    psf: Psf, samples: Samples, used: npt.NDArray[np.bool_], model: FloatArray
) -> Psf | None:
    """Make the fit of a star give, in the median of the stars, what the circle gives."""
    model = np.where(used, model, 0.0)
    weight = np.where(used, 1.0 / (samples.error**2 + (psf.mismatch * model) ** 2), 0.0)
    values = np.where(used, samples.values, 0.0)
    covered = (weight * model**2).sum(axis=1)
    seen = covered > 0.0
    if int(seen.sum()) < LEAST_STARS:
        return None
    scale = ((weight * model * values).sum(axis=1))[seen] / covered[seen]
    middle = float(np.median(scale))
    spread = 1.4826 * float(np.median(np.abs(scale - middle)))
    return replace(
        psf,
        weights=psf.weights * middle,
        table=psf.table * middle,
        # The median's error is 1.25 times the mean's.
        scale_error=1.25 * spread / math.sqrt(float(seen.sum())),
        stars=int(seen.sum()),
    )


def _gaussians(across: FloatArray, along: FloatArray, shape: FloatArray) -> FloatArray:
    """Return the value of each Gaussian of light 1, shape (n, widths)."""
    inverse = np.linalg.inv(shape)
    squared = (
        inverse[0, 0] * across**2 + 2.0 * inverse[0, 1] * across * along + inverse[1, 1] * along**2
    )
    area = 2.0 * math.pi * math.sqrt(float(np.linalg.det(shape))) * _WIDTHS**2
    values: FloatArray = np.exp(-squared[:, None] / (2.0 * _WIDTHS**2)) / area
    return values


def _splines(place: FloatArray, half: int) -> FloatArray:
    """Return the cubic B-splines at whole numbers from -half to half, shape (n, knots)."""
    away = np.abs(place[:, None] - np.arange(-half, half + 1))
    beyond = np.maximum(2.0 - away, 0.0)
    squared = away * away
    near = 2.0 / 3.0 - squared + squared * away / 2.0
    return np.where(away < 1.0, near, beyond * beyond * beyond / 6.0)

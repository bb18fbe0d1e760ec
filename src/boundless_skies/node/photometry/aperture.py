"""Aperture photometry: the light of stars within a circle, above the sky in a ring around it."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sep

from boundless_skies.node.solving.field import FloatArray

Image = npt.NDArray[np.float32]

_CLIP_SIGMA = 3.0
_CLIP_ROUNDS = 4
_INNER_SIGMA = 0.6827
_PLANE_TERMS = 3
# Keeps a ring without a pixel from being a matrix that cannot be solved.
_TINY = 1e-9
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
# In units of the FWHM: a smaller circle feels each change of the seeing, a larger one the sky.
_RADIUS_STEPS = np.arange(1.2, 2.05, 0.1)
_SMALLEST_RADIUS_PX = 2.0


@dataclass(frozen=True)
class Aperture:
    """A circle for the star and a ring for its sky.

    Attributes
    ----------
    radius_px : float
        Of the circle.
    inner_px, outer_px : float
        Of the ring.
    """

    radius_px: float
    inner_px: float
    outer_px: float

    @classmethod
    def around(cls, radius_px: float, fwhm_px: float) -> "Aperture":
        """Choose the ring that belongs to a circle.

        Parameters
        ----------
        radius_px : float
            Radius of the circle.
        fwhm_px : float
            Full width at half maximum of the stars.

        Returns
        -------
        Aperture
            The ring lies outside of the star's wings and holds at least six times
            the pixels of the circle, so that the sky adds little noise.
        """
        inner_px = max(radius_px + 2.0, 3.0 * fwhm_px)
        return cls(radius_px, inner_px, math.sqrt(inner_px**2 + max(6.0 * radius_px**2, 100.0)))


@dataclass(frozen=True)
class Fluxes:
    """The light of stars; NaN where a star could not be measured.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Where they were measured, 0-based pixels.
    flux : ndarray, shape (n,)
        Within the circle, above the sky.
    error : ndarray, shape (n,)
        Standard deviation of `flux`: the star's photons, and the noise of the sky as it is
        seen in the ring (its photons, read-out and digits), within the circle and in the
        sky's mean. No flat-field errors, no scintillation.
    peak : ndarray, shape (n,)
        The highest single value of the file within the circle.
    sky : ndarray, shape (n,)
        Level of the sky at the star, per pixel.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    error: FloatArray
    peak: FloatArray
    sky: FloatArray

    @property
    def snr(self) -> FloatArray:
        """Signal to noise."""
        return self.flux / self.error

    @property
    def instrumental_mag(self) -> FloatArray:
        """Magnitude above an arbitrary zero; NaN where there is no light."""
        light = np.where(self.flux > 0, self.flux, np.nan)
        magnitudes: FloatArray = -2.5 * np.log10(light)
        return magnitudes

    @property
    def error_mag(self) -> FloatArray:
        """Standard deviation of the magnitude, to first order."""
        return 2.5 / math.log(10.0) / self.snr


def recentre(
    image: Image, x: FloatArray, y: FloatArray, fwhm_px: float
) -> tuple[FloatArray, FloatArray]:
    """Move positions onto the stars' centroids, weighted with a Gaussian as wide as the stars.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        Without the sky.
    x, y : ndarray, shape (n,)
        0-based pixels near the stars.
    fwhm_px : float
        Full width at half maximum of the stars.

    Returns
    -------
    tuple of ndarray
        The centroids; where a centroid is not found, the position given.
    """
    if not len(x):
        return x, y
    new_x, new_y, _ = sep.winpos(image, x, y, sig=fwhm_px / _FWHM_PER_SIGMA)
    found = np.isfinite(new_x) & np.isfinite(new_y)
    return np.where(found, new_x, x), np.where(found, new_y, y)


def measure_fluxes(
    image: Image,
    peak: Image,
    x: FloatArray,
    y: FloatArray,
    aperture: Aperture,
    gain_e_per_adu: float | FloatArray,
) -> Fluxes:
    """Measure the light of stars.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        With its sky, which is taken from the ring.
    peak : ndarray, shape (height, width)
        The highest single values of the file.
    x, y : ndarray, shape (n,)
        0-based centres, with the circle inside the image.
    aperture : Aperture
        Circle and ring.
    gain_e_per_adu : float or ndarray, shape (n,)
        Electrons per unit, everywhere or at each star.

    Returns
    -------
    Fluxes
        The exact overlap of circle and pixels is counted.
    """
    total = _circle_sums(image, x, y, aperture.radius_px)
    sky = _skies(image, x, y, aperture)
    area_px = math.pi * aperture.radius_px**2
    flux = total - area_px * sky.level
    variance = np.maximum(flux, 0.0) / gain_e_per_adu
    variance += area_px * sky.noise**2 * (1.0 + area_px / sky.pixels)
    peaks = _peaks(peak, x, y, aperture.radius_px)
    return Fluxes(x, y, flux, np.sqrt(variance), peaks, sky.level)


def best_radius_px(flux: float, noise_adu: float, fwhm_px: float, gain_e_per_adu: float) -> float:
    """Return the radius of the circle with the least noise for a star.

    Parameters
    ----------
    flux : float
        All light of the star.
    noise_adu : float
        Standard deviation of the sky in one pixel.
    fwhm_px : float
        Full width at half maximum of a Gaussian star.
    gain_e_per_adu : float
        Electrons per unit.

    Returns
    -------
    float
        Between 1.2 and 2.0 times the FWHM, and at least 2 px.
    """
    radii = _RADIUS_STEPS * fwhm_px
    light = max(flux, noise_adu) * (1.0 - np.exp(-((radii * _FWHM_PER_SIGMA / fwhm_px) ** 2) / 2))
    noise = np.sqrt(light / gain_e_per_adu + math.pi * radii**2 * noise_adu**2)
    return max(float(radii[np.argmin(noise / light)]), _SMALLEST_RADIUS_PX)


def _circle_sums(image: Image, x: FloatArray, y: FloatArray, radius_px: float) -> FloatArray:
    if not len(x):
        return np.empty(0)
    sums, _, _ = sep.sum_circle(image, x, y, radius_px, subpix=0)
    return np.asarray(sums, np.float64)


@dataclass(frozen=True)
class _Skies:
    """The sky around each star: its level at the star, its noise, and the pixels it rests on."""

    level: FloatArray
    noise: FloatArray
    pixels: FloatArray


def _skies(image: Image, x: FloatArray, y: FloatArray, aperture: Aperture) -> _Skies:
    """Lay a plane through each ring's pixels, stars clipped away; take it at the star.

    A mean would be the sky at the middle of the ring's pixels, which lies up to 0.7 px
    from the star, and farther where the frame or a clipped neighbour cuts the ring.
    """
    values = _around(image, x, y, aperture.inner_px, aperture.outer_px)
    terms = _plane_terms(x, y, aperture)
    used = np.isfinite(values)
    values = np.where(used, values, 0.0)
    model = _quantile(values, used, 0.5)[:, None]
    # What single precision rounds off a pixel is no outlier.
    grain = 4.0 * np.finfo(np.float32).eps * np.abs(model)
    level, noise = model[:, 0], np.zeros(len(x))
    for _ in range(_CLIP_ROUNDS):
        residual = np.abs(values - model)
        used &= residual <= _CLIP_SIGMA * _robust_spread(residual, used)[:, None] + grain
        planes = _fitted_planes(values, terms, used)
        model = np.matmul(terms, planes[:, :, None])[:, :, 0]
        level, noise = planes[:, 0], _spread(values - model, used)
    return _Skies(level, noise, used.sum(axis=1).astype(np.float64))


def _robust_spread(residual: FloatArray, used: npt.NDArray[np.bool_]) -> FloatArray:
    """Return what 68 % of the residuals lie below; a bright neighbour does not widen it.

    Where so many are equal that this is nothing (a coarse converter), the standard deviation.
    """
    inner = _quantile(residual, used, _INNER_SIGMA)
    robust: FloatArray = np.where(inner > 0, inner, _spread(residual, used))
    return robust


def _quantile(values: FloatArray, used: npt.NDArray[np.bool_], share: float) -> FloatArray:
    rising = np.sort(np.where(used, values, np.inf), axis=1)
    index = np.floor(share * np.maximum(used.sum(axis=1) - 1, 0)).astype(int)
    found = rising[np.arange(len(values)), index]
    return np.where(np.isfinite(found), found, 0.0)


def _spread(residual: FloatArray, used: npt.NDArray[np.bool_]) -> FloatArray:
    squares = np.where(used, residual**2, 0.0).sum(axis=1)
    spread: FloatArray = np.sqrt(squares / np.maximum(used.sum(axis=1), 1))
    return spread


def _plane_terms(x: FloatArray, y: FloatArray, aperture: Aperture) -> FloatArray:
    """Return 1 and the distances from the star, in ring radii, shape (n, pixels, 3)."""
    across, along = _steps(aperture.inner_px, aperture.outer_px)
    from_x = across + (np.rint(x) - x)[:, None]
    from_y = along + (np.rint(y) - y)[:, None]
    scale_px = aperture.outer_px
    return np.stack([np.ones_like(from_x), from_x / scale_px, from_y / scale_px], axis=2)


def _fitted_planes(
    values: FloatArray, terms: FloatArray, used: npt.NDArray[np.bool_]
) -> FloatArray:
    weighted = (terms * used[:, :, None]).transpose(0, 2, 1)
    normal = np.matmul(weighted, terms) + _TINY * np.eye(_PLANE_TERMS)
    planes: FloatArray = np.linalg.solve(normal, np.matmul(weighted, values[:, :, None]))[:, :, 0]
    return planes


def _peaks(peak: Image, x: FloatArray, y: FloatArray, radius_px: float) -> FloatArray:
    highest: FloatArray = np.nanmax(_around(peak, x, y, 0.0, max(radius_px, 1.5)), axis=1)
    return highest


def _around(
    image: Image, x: FloatArray, y: FloatArray, inner_px: float, outer_px: float
) -> FloatArray:
    """Return the pixels between two distances from each position, shape (n, pixels).

    Distances count from the centre of the pixel that holds the position; NaN outside
    of the image.
    """
    across, along = _steps(inner_px, outer_px)
    rows = np.rint(y).astype(int)[:, None] + along
    columns = np.rint(x).astype(int)[:, None] + across
    height, width = image.shape
    there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    values = image[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return np.where(there, values.astype(np.float64), np.nan)


def _steps(inner_px: float, outer_px: float) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Return the whole steps along x and y that lead between two distances."""
    reach = math.ceil(outer_px)
    along, across = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(across, along)
    ring = (distance >= inner_px) & (distance <= outer_px)
    return across[ring], along[ring]

"""Aperture photometry: the light of stars within a circle, above the sky in a ring around it."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sep

from boundless_skies.node.solving.field import FloatArray

Image = npt.NDArray[np.float32]

_CLIP_SIGMA = 3.0
_CLIP_ROUNDS = 5
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
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    error: FloatArray
    peak: FloatArray

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
    gain_e_per_adu: float,
) -> Fluxes:
    """Measure the light of stars.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        Without the large-scale sky; what is left of it is taken from the ring.
    peak : ndarray, shape (height, width)
        The highest single values of the file.
    x, y : ndarray, shape (n,)
        0-based centres, with the circle inside the image.
    aperture : Aperture
        Circle and ring.
    gain_e_per_adu : float
        Electrons per unit.

    Returns
    -------
    Fluxes
        The exact overlap of circle and pixels is counted.
    """
    total = _circle_sums(image, x, y, aperture.radius_px)
    sky, noise, pixels = _ring(image, x, y, aperture)
    area_px = math.pi * aperture.radius_px**2
    flux = total - area_px * sky
    variance = np.maximum(flux, 0.0) / gain_e_per_adu
    variance += area_px * noise**2 * (1.0 + area_px / pixels)
    return Fluxes(x, y, flux, np.sqrt(variance), _peaks(peak, x, y, aperture.radius_px))


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


def _ring(
    image: Image, x: FloatArray, y: FloatArray, aperture: Aperture
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, standard deviation and number of the ring's pixels, stars clipped away."""
    values = _around(image, x, y, aperture.inner_px, aperture.outer_px)
    for _ in range(_CLIP_ROUNDS):
        middle = np.nanmedian(values, axis=1, keepdims=True)
        spread = np.nanstd(values, axis=1, keepdims=True)
        values[np.abs(values - middle) > _CLIP_SIGMA * spread] = np.nan
    return (
        np.nanmean(values, axis=1),
        np.nanstd(values, axis=1),
        np.isfinite(values).sum(axis=1).astype(np.float64),
    )


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
    reach = math.ceil(outer_px)
    steps_y, steps_x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(steps_x, steps_y)
    ring = (distance >= inner_px) & (distance <= outer_px)
    rows = np.rint(y).astype(int)[:, None] + steps_y[ring]
    columns = np.rint(x).astype(int)[:, None] + steps_x[ring]
    height, width = image.shape
    there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    values = image[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return np.where(there, values.astype(np.float64), np.nan)

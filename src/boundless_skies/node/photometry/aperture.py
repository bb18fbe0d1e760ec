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

    def chosen(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int_]) -> "Fluxes":
        """Return some of the stars, by a mask or their places."""
        columns = (self.x, self.y, self.flux, self.error, self.peak, self.sky)
        return Fluxes(*(column[which] for column in columns))

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
    sky = ring_skies(image, x, y, aperture)
    area_px = math.pi * aperture.radius_px**2
    flux = total - area_px * sky.level
    variance = np.maximum(flux, 0.0) / gain_e_per_adu
    variance += area_px * sky.noise**2 * (1.0 + area_px / sky.pixels)
    peaks = _peaks(peak, x, y, aperture.radius_px)
    return Fluxes(x, y, flux, np.sqrt(variance), peaks, sky.level)


def good_radius_px(snr: FloatArray, radii_px: FloatArray, lost_fraction: float = 0.01) -> float:
    """Return the middle of the circles that cost stars hardly any signal to noise.

    The signal to noise is flat about its best radius, so that the best one of a frame is
    chance. A smaller circle loses more light when seeing, focus or guiding change; into a
    larger one more neighbours shine. The middle is as far as can be from both.

    Parameters
    ----------
    snr : ndarray, shape (radii, stars)
        Signal to noise of the same stars, at least one, in each circle.
    radii_px : ndarray, shape (radii,)
        Of the circles.
    lost_fraction : float, optional
        How much of the best signal to noise may be lost, in the median of the stars.

    Returns
    -------
    float
        Mean of the radii that lose no more.
    """
    kept = np.median(snr / snr.max(axis=0), axis=1)
    return float(radii_px[kept >= (1.0 - lost_fraction) * kept.max()].mean())


def _circle_sums(image: Image, x: FloatArray, y: FloatArray, radius_px: float) -> FloatArray:
    if not len(x):
        return np.empty(0)
    sums, _, _ = sep.sum_circle(image, x, y, radius_px, subpix=0)
    return np.asarray(sums, np.float64)


@dataclass(frozen=True)
class Skies:
    """The sky around each star.

    Attributes
    ----------
    level : ndarray, shape (n,)
        At the star, per pixel.
    noise : ndarray, shape (n,)
        Standard deviation of a pixel.
    pixels : ndarray, shape (n,)
        How many pixels of the ring it rests on.
    """

    level: FloatArray
    noise: FloatArray
    pixels: FloatArray


def ring_skies(image: Image, x: FloatArray, y: FloatArray, aperture: Aperture) -> Skies:
    """Lay a plane through each ring's pixels, stars clipped away; take it at the star.

    A mean would be the sky at the middle of the ring's pixels, which lies up to 0.7 px
    from the star, and farther where the frame or a clipped neighbour cuts the ring.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        With its sky; NaN is left out.
    x, y : ndarray, shape (n,)
        0-based centres.
    aperture : Aperture
        Whose ring is taken.

    Returns
    -------
    Skies
        The sky at each star; zero where no pixel is left.
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
    return Skies(level, noise, used.sum(axis=1).astype(np.float64))


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


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels around stars, shape (stars, pixels); NaN beyond the image.

    Attributes
    ----------
    values : ndarray
        What they hold.
    across, along : ndarray
        Distance of their centres from the star along x and y, px.
    """

    values: FloatArray
    across: FloatArray
    along: FloatArray


def pixels_around(
    image: Image, x: FloatArray, y: FloatArray, inner_px: float, outer_px: float
) -> Pixels:
    """Return the pixels between two distances from each position.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        Any image.
    x, y : ndarray, shape (n,)
        0-based pixels.
    inner_px, outer_px : float
        Distances from the centre of the pixel that holds the position.

    Returns
    -------
    Pixels
        The same number for each position.
    """
    across, along = _steps(inner_px, outer_px)
    values = _around(image, x, y, inner_px, outer_px)
    off_x, off_y = (np.rint(x) - x)[:, None], (np.rint(y) - y)[:, None]
    return Pixels(values, across + off_x, along + off_y)


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

"""Frames with a fault of a known size: clouds, focus, trails, a neighbour in the aperture."""

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.support.scenes import DEC_DEG, MIDDLE, RA_DEG, write_fits

from boundless_skies.demo.rendering import Camera, camera_wcs
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.node.solving.verification import inside, places

Image = npt.NDArray[np.float64]

_FINE = 5
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_FULL_SCALE_ADU = 65_535


def spot(fwhm_px: float, long_px: float | None = None) -> Image:
    """Return the light of a sharp star, on a grid of a fifth of a pixel; longer along x."""
    across = (long_px or fwhm_px) / _FWHM_PER_SIGMA * _FINE
    along = fwhm_px / _FWHM_PER_SIGMA * _FINE
    rows, columns = _grid(4.0 * max(across, along))
    return np.exp(-(columns**2) / (2 * across**2) - rows**2 / (2 * along**2))


def trail(fwhm_px: float, length_px: float) -> Image:
    """Return the light of a star that moved evenly along x during the exposure."""
    sharp = np.pad(spot(fwhm_px), ((0, 0), (round(length_px * _FINE),) * 2))
    steps = range(-round(length_px * _FINE / 2), round(length_px * _FINE / 2) + 1)
    return np.sum([np.roll(sharp, step, axis=1) for step in steps], axis=0)


def disc(outer_px: float, inner_px: float, fwhm_px: float) -> Image:
    """Return the light of a star out of focus: the telescope's opening, with its obstruction."""
    sigma = fwhm_px / _FWHM_PER_SIGMA * _FINE
    rows, columns = _grid(outer_px * _FINE + 4.0 * sigma)
    radius = np.hypot(rows, columns)
    opening = ((radius <= outer_px * _FINE) & (radius >= inner_px * _FINE)).astype(np.float64)
    blur = np.exp(-(radius**2) / (2 * sigma**2))
    spectrum = np.fft.rfft2(np.fft.ifftshift(blur)) * np.fft.rfft2(np.fft.ifftshift(opening))
    return np.maximum(np.fft.fftshift(np.fft.irfft2(spectrum, radius.shape)), 0.0)


def _grid(reach: float) -> tuple[Image, Image]:
    half = math.ceil(reach)
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    return rows.astype(np.float64), columns.astype(np.float64)


def clear(_x: Image, _y: Image) -> Image:
    """Return the dimming of a sky without clouds, magnitudes."""
    return np.zeros(len(_x))


@dataclass(frozen=True, kw_only=True)
class Blemished:
    """How a frame is spoilt.

    Attributes
    ----------
    star : ndarray
        The light of one star on a grid of a fifth of a pixel.
    dimming_mag : callable
        What clouds take from a star at a pixel.
    target_magnitude : float
        Brightness of the target in the middle.
    neighbours : list of tuple
        Further stars that no catalogue lists: pixels east and north of the target, and
        their magnitude.
    galaxy : ndarray or None
        The light of one long galaxy beside the stars, of magnitude 9.
    """

    star: Image = field(default_factory=lambda: spot(2.6))
    dimming_mag: Callable[[Image, Image], Image] = clear
    target_magnitude: float = 10.5
    neighbours: list[tuple[float, float, float]] = field(default_factory=list)
    galaxy: Image | None = None


def write_blemished(
    path: Path, spoilt: Blemished, *, seed: int = 1, minutes: float = 0.0,
    zero_point: float = 22.3, changes: dict[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Write a frame of 400 × 400 pixels with the bundled catalogue's stars.

    `changes` are header cards to set.
    """
    camera = Camera(height_px=400, width_px=400, zero_point=zero_point)
    x, y, mag = _stars(camera, spoilt)
    flux = 10.0 ** (-0.4 * (mag + spoilt.dimming_mag(x, y) - camera.zero_point))
    light = np.full((camera.height_px, camera.width_px), camera.sky_adu)
    for star_x, star_y, adu in zip(x, y, flux, strict=True):
        add_star(light, spoilt.star, star_x, star_y, adu)
    if spoilt.galaxy is not None:
        add_star(light, spoilt.galaxy, 120.3, 260.8, 10.0 ** (-0.4 * (9.0 - camera.zero_point)))
    cards = {
        "DATE-OBS": (MIDDLE + dt.timedelta(minutes=minutes)).isoformat()[:19],
        "EXPTIME": 10.0, "OBJECT": "Target", "RA": RA_DEG, "DEC": DEC_DEG,
        "PIXSCALE": camera.scale_arcsec_px, "EGAIN": camera.gain_e_per_adu,
        "SATURATE": float(_FULL_SCALE_ADU),
    }  # fmt: skip
    return write_fits(
        path, _exposed(light, camera, np.random.default_rng(seed)), **cards | (changes or {})
    )


def _stars(camera: Camera, spoilt: Blemished) -> tuple[Image, Image, Image]:
    wcs = camera_wcs(camera, RA_DEG, DEC_DEG)
    stars = Catalogue.load().cone(RA_DEG, DEC_DEG, 0.6)
    stars = stars[separation_deg(stars.ra_deg, stars.dec_deg, RA_DEG, DEC_DEG) > 60.0 / 3600.0]
    x, y = places(wcs, stars)
    near = inside(x, y, camera.width_px, camera.height_px, -20.0)
    own_x, own_y = (float(place) for place in wcs.all_world2pix(RA_DEG, DEC_DEG, 0))
    beside = np.array([(0.0, 0.0, spoilt.target_magnitude), *spoilt.neighbours])
    return (
        np.append(x[near], own_x + beside[:, 0]),
        np.append(y[near], own_y + beside[:, 1]),
        np.append(stars.mag[near], beside[:, 2]),
    )


def add_star(light: Image, star: Image, x: float, y: float, adu: float) -> None:
    """Add a star's light to the pixels in place, its centre rounded to a fifth of a pixel."""
    column, row = round(x), round(y)
    reach = math.ceil(max(star.shape) / 2 / _FINE) + 1
    fine = np.zeros(((2 * reach + 1) * _FINE,) * 2)
    middle = reach * _FINE + _FINE // 2
    top = middle + round((y - row) * _FINE) - star.shape[0] // 2
    left = middle + round((x - column) * _FINE) - star.shape[1] // 2
    fine[top : top + star.shape[0], left : left + star.shape[1]] = star / star.sum()
    size = 2 * reach + 1
    stamp = fine.reshape(size, _FINE, size, _FINE).sum(axis=(1, 3)) * adu
    padded = np.pad(light, reach)
    if 0 <= row < light.shape[0] and 0 <= column < light.shape[1]:
        padded[row : row + size, column : column + size] += stamp
        light[:] = padded[reach:-reach, reach:-reach]


def _exposed(light: Image, camera: Camera, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    electrons = rng.poisson(light * camera.gain_e_per_adu)
    electrons = electrons + rng.normal(0.0, camera.read_noise_e, light.shape)
    values = np.rint(electrons / camera.gain_e_per_adu + camera.bias_adu)
    return np.clip(values, 0, _FULL_SCALE_ADU).astype(np.uint16)

"""A frame: one exposure as pixels that can be measured, with the facts of its header."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from boundless_skies.node.errors import UnreadableFrame
from boundless_skies.node.fits.completeness import require_complete
from boundless_skies.node.fits.headers import HeaderFacts, read_facts, time_scale

FloatImage = npt.NDArray[np.float32]

_SMALLEST_SIDE_PX = 32
_PLANES_OF_COLOUR = 3
_CUBE_AXES = 3
# What the ephemeris of the Earth covers.
_YEARS = range(1901, 2100)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One exposure, ready to be measured.

    Attributes
    ----------
    name : str
        The file's name without its folder.
    data : ndarray of float32, shape (height, width)
        Intensity, in the file's units. A Bayer image is summed over its 2 × 2 cells,
        so that each pixel has seen red, green twice, and blue; the planes of a colour
        image are added.
    peak : ndarray of float32, shape (height, width)
        The highest single value of the file in each pixel, to judge saturation by;
        infinite where the file holds no number.
    cell_px : int
        Side of a pixel of `data` in pixels of the file: 2 for a Bayer image, else 1.
    saturation_adu : float
        Where a single value of the file saturates.
    facts : HeaderFacts
        What the header says; scales are those of the file's pixels.
    wcs : WCS or None
        The header's own plate solution for `data`, unchecked.
    """

    name: str
    data: FloatImage
    peak: FloatImage
    cell_px: int
    saturation_adu: float
    facts: HeaderFacts
    wcs: WCS | None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of `data`."""
        height, width = self.data.shape
        return height, width

    def to_file_px(self, x: float, y: float) -> tuple[float, float]:
        """Turn 0-based coordinates of `data` into those of the file's image."""
        half = (self.cell_px - 1) / 2
        return x * self.cell_px + half, y * self.cell_px + half


def read_frame(path: str | os.PathLike[str]) -> Frame:
    """Read a finished FITS file.

    The image is the first in the file, also one in a compressed extension.

    Parameters
    ----------
    path : path-like
        ``.fits``, ``.fit``, ``.fts``, also ``.gz`` or ``.fz``.

    Returns
    -------
    Frame
        The exposure.

    Raises
    ------
    TruncatedFrame
        If the end of the file is missing.
    UnreadableFrame
        If it holds no image, or not when and how long it was exposed.
    """
    require_complete(path)
    name = Path(path).name
    image, header = _read_image(path, name)
    facts = read_facts(header)
    _require_times(header, facts, name)
    data, peak, cell_px = _fold(image, bayer=bool(facts.bayer_pattern))
    return Frame(
        name=name,
        data=data,
        peak=peak,
        cell_px=cell_px,
        saturation_adu=facts.saturation_adu or _saturation_adu(peak),
        facts=facts,
        wcs=_header_wcs(header, cell_px),
    )


def _read_image(path: str | os.PathLike[str], name: str) -> tuple[FloatImage, fits.Header]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _first_image(path, name)
    except UnreadableFrame:
        raise
    except Exception as error:
        # Damaged bytes come out of astropy and its decompressors as many kinds of exception.
        reason = str(error).partition("\n")[0].strip().rstrip(".") or type(error).__name__
        raise UnreadableFrame(
            f"{name} is damaged and cannot be read as FITS: {reason}. Copy it again."
        ) from error


def _first_image(path: str | os.PathLike[str], name: str) -> tuple[FloatImage, fits.Header]:
    # Opened here, for astropy leaves a damaged file open.
    with Path(path).open("rb") as file, fits.open(file, memmap=False) as hdus:
        for hdu in hdus:
            if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2:  # noqa: PLR2004 - width, height
                return _plane(hdu.data, name), _readable(hdu.header)
    raise UnreadableFrame(f"{name} holds no image.")


def _readable(header: fits.Header) -> fits.Header:
    """Return a copy of a header without the cards that cannot be parsed."""
    clean = fits.Header()
    for card in header.cards:
        try:
            clean.append((card.keyword, card.value, card.comment), end=True)
        except (fits.VerifyError, ValueError):
            continue
    return clean


def _plane(pixels: Any, name: str) -> FloatImage:
    image = np.asarray(pixels)
    shape = image.shape
    if image.ndim == _CUBE_AXES and shape[0] in {1, _PLANES_OF_COLOUR}:
        image = image.sum(axis=0, dtype=np.float32)
    if image.ndim != _CUBE_AXES - 1 or min(image.shape) < _SMALLEST_SIDE_PX:
        raise UnreadableFrame(
            f"{name} holds an array of {' × '.join(map(str, shape))} instead of one image of at "
            f"least {_SMALLEST_SIDE_PX} × {_SMALLEST_SIDE_PX} pixels.",
            shape=shape,
        )
    return np.ascontiguousarray(image, np.float32)


def _require_times(header: fits.Header, facts: HeaderFacts, name: str) -> None:
    scale = time_scale(header)
    if scale:
        raise UnreadableFrame(
            f"{name} counts time in TIMESYS {scale!r}; only UTC is understood.", timesys=scale
        )
    if facts.exposure_s is None:
        raise UnreadableFrame(
            f"{name} does not say how long it was exposed: EXPTIME is missing or no number."
        )
    if facts.mid_exposure_utc is None:
        stated = header.get("DATE-OBS")
        raise UnreadableFrame(
            f"{name} does not say when it was exposed: DATE-OBS is {stated!r}, not a date and time."
            if stated is not None
            else f"{name} does not say when it was exposed: DATE-OBS is missing."
        )
    if facts.mid_exposure_utc.year not in _YEARS:
        raise UnreadableFrame(
            f"{name} says that it was exposed in the year {facts.mid_exposure_utc.year}: set the "
            "camera's clock.",
            year=facts.mid_exposure_utc.year,
        )


def _fold(image: FloatImage, *, bayer: bool) -> tuple[FloatImage, FloatImage, int]:
    peak, image = _without_gaps(image)
    if not bayer:
        return image, peak, 1
    return _cells(image).sum(axis=(1, 3)), _cells(peak).max(axis=(1, 3)), 2


def _without_gaps(image: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return the values to judge saturation by, and an image whose every pixel is a number."""
    gaps = ~np.isfinite(image)
    if not gaps.any():
        return image, image
    level = np.median(image[~gaps]) if not gaps.all() else 0.0
    return np.where(gaps, np.float32(np.inf), image), np.where(gaps, np.float32(level), image)


def _cells(image: FloatImage) -> FloatImage:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return image[: 2 * height, : 2 * width].reshape(height, 2, width, 2)


def _saturation_adu(peak: FloatImage) -> float:
    """Return the full scale of the converter: the next 2ⁿ - 1 from the highest value up.

    A frame whose brightest star stays far below full scale gets a limit that is too
    low, but none of its pixels reaches that either, save the brightest star's.
    """
    finite = peak[np.isfinite(peak)]
    highest = float(finite.max()) if finite.size else 0.0
    return float(2 ** max(8, int(np.ceil(np.log2(max(highest, 0.0) + 1.0)))) - 1)


def _header_wcs(header: fits.Header, cell_px: int) -> WCS | None:
    if "RA--" not in str(header.get("CTYPE1", "")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            wcs = WCS(header, naxis=2)
    except (ValueError, TypeError, KeyError, MemoryError):
        return None
    # Distortion terms count in the file's pixels and do not follow the folding.
    if cell_px > 1:
        return None if wcs.sip is not None else wcs.slice(np.s_[::cell_px, ::cell_px])
    return wcs

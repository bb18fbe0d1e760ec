"""A frame: one exposure as pixels that can be measured, with the facts of its header."""

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from boundless_skies.node.errors import UnreadableFrame
from boundless_skies.node.fits.channel import Channel
from boundless_skies.node.fits.completeness import require_complete
from boundless_skies.node.fits.headers import (
    CameraFacts,
    HeaderFacts,
    read_camera,
    read_facts,
    time_scale,
)
from boundless_skies.node.fits.picture import FloatImage, Picture, picture

_IMAGE_AXES = 2
# What describes the array of one header only, and is not taken over from the file's first one.
_OWN_CARDS = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|GROUPS|EXTEND|EXTNAME|EXTVER|EXTLEVEL|BSCALE"
    r"|BZERO|BLANK|CHECKSUM|DATASUM|INHERIT|END|COMMENT|HISTORY||C(TYPE|RVAL|RPIX|DELT|UNIT|ROTA)\d+"
    r"|(CD|PC|PV)\d+_\d+|WCSAXES|[AB]P?_.*)$"
)
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
        Intensity, in the file's units. A Bayer image is summed over the pixels of the
        channel in each of its 2 × 2 cells (luminance: red, green twice, and blue), a
        colour image over the channel's planes.
    peak : ndarray of float32, shape (height, width)
        The highest single value of the channel in each pixel, to judge saturation by;
        infinite where the file holds no number.
    cell_px : int
        Side of a pixel of `data` in pixels of the file: 2 for a Bayer image, else 1.
    place_px : tuple of float
        Where within a pixel of `data` its light lies, in pixels of the file, 0-based.
    channel : Channel or None
        What was taken of a colour image; None for a mono image.
    saturation_adu : float
        Where a single value of the file saturates.
    facts : HeaderFacts
        What the header says; scales are those of the file's pixels.
    wcs : WCS or None
        The header's own plate solution for `data`, unchecked.
    sensitivity : ndarray of float32, shape (height, width), or None
        Where `data` was divided by a flat: that flat. A pixel's unit then stands for so
        many times the electrons.
    """

    name: str
    data: FloatImage
    peak: FloatImage
    cell_px: int
    place_px: tuple[float, float]
    channel: Channel | None
    saturation_adu: float
    facts: HeaderFacts
    wcs: WCS | None
    sensitivity: FloatImage | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of `data`."""
        height, width = self.data.shape
        return height, width

    def to_file_px(self, x: float, y: float) -> tuple[float, float]:
        """Turn 0-based coordinates of `data` into those of the file's image."""
        return x * self.cell_px + self.place_px[0], y * self.cell_px + self.place_px[1]


@dataclass(frozen=True, eq=False)
class Corrected:
    """A file's array without the camera's marks.

    Attributes
    ----------
    values : ndarray of float32, shape (height, width)
        In the file's units.
    sensitivity : ndarray of float32, shape (height, width), or None
        The flat that they were divided by.
    """

    values: FloatImage
    sensitivity: FloatImage | None


Correct = Callable[[npt.NDArray[Any], CameraFacts, str], Corrected]
"""Corrects a file's array; is handed what its header says of the camera, and its name."""


def read_frame(
    path: str | os.PathLike[str],
    channel: Channel | str = Channel.LUMINANCE,
    correct: Correct | None = None,
) -> Frame:
    """Read a finished FITS file.

    The image is the first in the file, also one in a compressed extension. What its
    own header leaves out is taken from the file's first header.

    Parameters
    ----------
    path : path-like
        ``.fits``, ``.fit``, ``.fts``, also ``.gz`` or ``.fz``.
    channel : Channel, optional
        What to take of a colour image; a mono image is taken as it is.
    correct : callable, optional
        Takes darks and flats off the array before pixels are summed; saturation is judged
        by the array as it was.

    Returns
    -------
    Frame
        The exposure.

    Raises
    ------
    TruncatedFrame
        If the end of the file is missing.
    UnreadableFrame
        If it holds no image, or several of which none is the one meant, or not when
        and how long it was exposed.
    """
    require_complete(path)
    name = Path(path).name
    pixels, header = _read_image(path, name)
    facts = read_facts(header)
    _require_times(header, facts, name)
    corrected = None if correct is None else correct(pixels, read_camera(header), name)
    image = picture(
        pixels,
        header,
        facts.bayer_pattern,
        Channel(channel),
        name,
        None if corrected is None else corrected.values,
    )
    return Frame(
        name=name,
        data=image.data,
        peak=image.peak,
        cell_px=image.cell_px,
        place_px=image.place_px,
        channel=image.channel,
        saturation_adu=facts.saturation_adu or image.full_scale_adu,
        facts=facts,
        wcs=_header_wcs(header, image),
        sensitivity=_sensitivity(corrected, header, facts.bayer_pattern, Channel(channel), name),
    )


def read_image(path: str | os.PathLike[str]) -> tuple[npt.NDArray[Any], fits.Header]:
    """Read a file's first image and its header, whatever they hold.

    Parameters
    ----------
    path : path-like
        A FITS file.

    Returns
    -------
    tuple of ndarray and Header
        The header is completed from the file's first one.

    Raises
    ------
    UnreadableFrame
        If it is damaged or holds no image.
    """
    require_complete(path)
    return _read_image(path, Path(path).name)


def _sensitivity(
    corrected: Corrected | None, header: fits.Header, pattern: str, channel: Channel, name: str
) -> FloatImage | None:
    """Return the flat of the image that is measured; its median is 1."""
    if corrected is None or corrected.sensitivity is None:
        return None
    summed = picture(corrected.sensitivity, header, pattern, channel, name).data
    sensitivity: FloatImage = summed / np.median(summed)
    return sensitivity


def image_header(hdus: fits.HDUList) -> fits.Header | None:
    """Return the header of a file's first image, completed from the file's first header.

    Parameters
    ----------
    hdus : HDUList
        An open file.

    Returns
    -------
    Header or None
        Without cards that cannot be parsed; None where there is no image.
    """
    hdu = _first_image(hdus)
    return None if hdu is None else _completed(hdu.header, hdus[0].header)


def _read_image(path: str | os.PathLike[str], name: str) -> tuple[Any, fits.Header]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read_open(path, name)
    except UnreadableFrame:
        raise
    except Exception as error:
        # Damaged bytes come out of astropy and its decompressors as many kinds of exception.
        reason = str(error).partition("\n")[0].strip().rstrip(".") or type(error).__name__
        raise UnreadableFrame(
            f"{name} is damaged and cannot be read as FITS: {reason}. Copy it again."
        ) from error


def _read_open(path: str | os.PathLike[str], name: str) -> tuple[Any, fits.Header]:
    # Opened here, for astropy leaves a damaged file open.
    with Path(path).open("rb") as file, fits.open(file, memmap=False) as hdus:
        hdu = _first_image(hdus)
        if hdu is None:
            raise UnreadableFrame(f"{name} holds no image.")
        return np.asarray(hdu.data), _completed(hdu.header, hdus[0].header)


def _first_image(hdus: fits.HDUList) -> Any:
    for hdu in hdus:
        if hdu.is_image and hdu.header.get("NAXIS", 0) >= _IMAGE_AXES:
            return hdu
    return None


def _completed(own: fits.Header, first: fits.Header) -> fits.Header:
    """Return a header with what only the file's first one says (the INHERIT convention)."""
    header = _readable(own)
    for card in _readable(first).cards:
        if card.keyword not in header and not _OWN_CARDS.match(card.keyword):
            header.append((card.keyword, card.value, card.comment), end=True)
    return header


def _readable(header: fits.Header) -> fits.Header:
    """Return a copy of a header without the cards that cannot be parsed."""
    clean = fits.Header()
    for card in header.cards:
        try:
            clean.append((card.keyword, card.value, card.comment), end=True)
        except (fits.VerifyError, ValueError):
            continue
    return clean


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


def _header_wcs(header: fits.Header, image: Picture) -> WCS | None:
    if "RA--" not in str(header.get("CTYPE1", "")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            wcs = WCS(header, naxis=2)
    except (ValueError, TypeError, KeyError, MemoryError):
        return None
    return wcs if image.cell_px == 1 else _folded(wcs, image)


def _folded(wcs: WCS, image: Picture) -> WCS | None:
    # Distortion terms count in the file's pixels and do not follow the folding.
    if wcs.sip is not None:
        return None
    cell_px = image.cell_px
    folded = wcs.slice(np.s_[::cell_px, ::cell_px])
    middle_px = (cell_px - 1) / 2
    folded.wcs.crpix -= (np.array(image.place_px) - middle_px) / cell_px
    return folded

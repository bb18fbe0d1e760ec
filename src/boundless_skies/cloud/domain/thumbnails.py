"""Thumbnails of frames: binned, stretched, turned to the sky's directions, and described."""

import io
import os
from typing import Any

import numpy as np
from astropy.io import fits
from PIL import Image, PngImagePlugin

from boundless_skies.cloud.domain.binned_frames import BinnedFrame, FloatImage, read_binned
from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.orientation import (
    GreyImage,
    Orientation,
    find_orientation,
    turn,
)
from boundless_skies.cloud.domain.pictures import DEFAULT_MAX_PX, NORTH_UP, Thumbnail

_NAME_LENGTH = 60
_MAX_EXPOSURE_S = 1e6
# Further than any camera counts, and far enough from where float32 ends.
_LARGEST = 1e30
# The look of the pictures, chosen by eye on frames of a Seestar and of two 6-inch telescopes.
_CELLS = 16
_SPREAD = 0.35
_SIGMA_PER_MAD = 1.4826
_BLACK_BELOW_SKY_SIGMA = 2.0
_KNEE_SIGMA = 8.0
_WHITE_PERCENTILE = 99.95
_WHITE_SIGMA = (40.0, 400.0)


def make_thumbnail(
    source: str | os.PathLike[str] | bytes, max_px: int = DEFAULT_MAX_PX
) -> Thumbnail:
    """Make a small picture of a frame.

    Parameters
    ----------
    source : path-like or bytes
        A FITS file, or its content; also gzipped, or with a compressed image inside.
    max_px : int
        Length of the longer side; a smaller frame keeps its scale.

    Returns
    -------
    Thumbnail
        In shades of grey. North is up and East left where the header has a plate solution;
        the corners that this leaves empty are transparent.

    Raises
    ------
    InvalidInput
        If the file holds no image that can be shown, with the reason.
    """
    frame = read_binned(source, max_px)
    orientation = find_orientation(frame.header, frame.width_px, frame.height_px)
    light = _shrink(_without_gaps(frame.pixels), orientation, max_px)
    grey = _stretch(_smooth(_level(light)))
    picture, direction = _orient(grey, frame.header, orientation)
    sentence = _sentence(frame, direction)
    return Thumbnail(_png(picture, sentence), picture.width, picture.height, sentence)


def _without_gaps(pixels: FloatImage) -> FloatImage:
    known = np.isfinite(pixels) & (np.abs(pixels) < _LARGEST)
    if not known.any():
        raise InvalidInput("The image holds no numbers.")
    values = pixels[known]
    if values.min() == values.max():
        raise InvalidInput(f"Every pixel of the image is {values[0]:g}: there is nothing to see.")
    filled: FloatImage = np.where(known, pixels, np.median(values)).astype(np.float32)
    return filled


def _shrink(pixels: FloatImage, orientation: Orientation | None, max_px: int) -> FloatImage:
    """Make a picture so small that it has the size asked for when it is turned."""
    height, width = pixels.shape
    turned_px = orientation.turned_px(width, height) if orientation else (width, height)
    ratio = max_px / max(turned_px)
    if ratio >= 1.0:
        return pixels
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def _level(light: FloatImage) -> FloatImage:
    """Take out the slope that moonlight and dusk give the sky.

    Each cell is compared with the one half an image away, so that a star, a galaxy or a
    nebula has little say in the median.
    """
    height, width = light.shape
    half = min(_CELLS, height, width) // 2
    bands = np.array_split(light, 2 * half)
    cells = np.array([[np.median(c) for c in np.array_split(b, 2 * half, axis=1)] for b in bands])
    down = np.median(cells[half:] - cells[:half])
    across = np.median(cells[:, half:] - cells[:, :half])
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    level: FloatImage = (light - down * y - across * x).astype(np.float32)
    return level


def _smooth(light: FloatImage) -> FloatImage:
    """Spread each pixel a little over its neighbours: stars stand out of the noise."""
    for axis in (0, 1):
        padding = [(1, 1) if axis == padded else (0, 0) for padded in (0, 1)]
        padded = np.pad(light, padding, mode="edge")
        before, after = (np.take(padded, range(n, n + light.shape[axis]), axis) for n in (0, 2))
        light = (_SPREAD * (before + after) + light) / (1.0 + 2.0 * _SPREAD)
    return light


def _stretch(light: FloatImage) -> GreyImage:
    """Return shades of grey: a dark sky, and asinh of what is brighter.

    zscale makes the sky of a frame with few stars bright grey. Here the sky's own noise
    is the measure, for the black point, the asinh's knee, and how much is white.
    """
    sky = np.median(light)
    noise = _SIGMA_PER_MAD * np.median(np.abs(light - sky)) or np.std(light)
    scaled = (light - sky) / noise + _BLACK_BELOW_SKY_SIGMA
    white = np.clip(np.percentile(scaled, _WHITE_PERCENTILE), *_WHITE_SIGMA)
    shade = np.arcsinh(scaled / _KNEE_SIGMA) / np.arcsinh(white / _KNEE_SIGMA)
    grey: GreyImage = np.round(255.0 * np.clip(shade, 0.0, 1.0)).astype(np.uint8)
    return grey


def _orient(
    picture: GreyImage, header: fits.Header, orientation: Orientation | None
) -> tuple[Image.Image, str]:
    """Turn a picture to North up, East left; return it with the words for its direction."""
    if orientation is not None:
        # The first row of a FITS image is its lowest.
        return turn(picture[::-1], orientation), NORTH_UP
    top_down = str(header.get("ROWORDER", "")).strip().upper() == "TOP-DOWN"
    upright = picture if top_down else picture[::-1]
    return Image.fromarray(np.ascontiguousarray(upright)), "as the camera stored it"


def _sentence(frame: BinnedFrame, direction: str) -> str:
    name = _name(frame.header)
    parts = [
        f"Frame of {name}" if name else "Frame",
        _exposure(frame.header),
        f"{frame.width_px} × {frame.height_px} pixels",
        frame.plane,
        direction,
    ]
    return ", ".join(part for part in parts if part) + "."


def _name(header: fits.Header) -> str:
    text = "".join(sign for sign in str(_value(header, "OBJECT") or "") if sign.isprintable())
    return " ".join(text.split())[:_NAME_LENGTH].strip()


def _exposure(header: fits.Header) -> str:
    for key in ("EXPTIME", "EXPOSURE"):
        value = _value(header, key)
        if isinstance(value, int | float) and 0 < value < _MAX_EXPOSURE_S:
            return f"{value:.4g} s"
    return ""


def _value(header: fits.Header, key: str) -> Any:
    """Return a header's value; None where its card is missing or cannot be parsed."""
    try:
        return header.get(key)
    except (fits.VerifyError, ValueError):
        return None


def _png(picture: Image.Image, sentence: str) -> bytes:
    words = PngImagePlugin.PngInfo()
    words.add_itxt("Description", sentence)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=words, optimize=True)
    return file.getvalue()

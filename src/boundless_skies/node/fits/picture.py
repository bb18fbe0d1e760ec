"""From the array of a file to the one image that is measured: Bayer cells, planes of colour."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from boundless_skies.node.errors import UnreadableFrame
from boundless_skies.node.fits.channel import PLANE_LETTERS, Channel
from boundless_skies.node.fits.headers import Cards

FloatImage = npt.NDArray[np.float32]

SMALLEST_SIDE_PX = 32
_IMAGE_AXES = 2
_CUBE_AXES = 3
_COLOUR_AXES = frozenset({"", "RGB", "COLOR", "COLOUR", "BAND", "CHANNEL"})
_TIME_AXES = frozenset({"TIME", "UTC", "UT", "DATE", "MJD", "JD", "FRAME"})
_NO_COLOURS = frozenset({"MONO", "MONOCHROME", "GRAY", "GREY", "GRAYSCALE", "GREYSCALE"})


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One channel of a file's array.

    Attributes
    ----------
    data : ndarray of float32, shape (height, width)
        The channel's values, summed; without gaps.
    peak : ndarray of float32, shape (height, width)
        The highest single value of the channel; infinite where the file holds no number.
    full_scale_adu : float
        Where the values of the whole array, whatever their colour, seem to end.
    cell_px : int
        Side of a pixel of `data` in pixels of the file.
    place_px : tuple of float
        Where in its cell the channel's light lies on average, 0-based, x and y.
    channel : Channel or None
        None for a mono image.
    """

    data: FloatImage
    peak: FloatImage
    full_scale_adu: float
    cell_px: int
    place_px: tuple[float, float]
    channel: Channel | None


def picture(
    pixels: Any,
    header: Cards,
    bayer_pattern: str,
    channel: Channel,
    name: str,
    corrected: FloatImage | None = None,
) -> Picture:
    """Take one channel out of the array of a file.

    Parameters
    ----------
    pixels : array_like
        The file's array, of any type.
    header : Cards
        The header that belongs to it.
    bayer_pattern : str
        As the file's first two rows hold it; empty for another image than a mosaic.
        Ignored where the file has planes of colour: programs that resolve a mosaic
        leave the card in.
    channel : Channel
        What is wanted of a colour image; a mono image is taken as it is.
    name : str
        The file's name, for the message.
    corrected : ndarray, optional
        The array without the camera's marks: what is summed instead. Saturation is judged
        by `pixels` all the same.

    Returns
    -------
    Picture
        Values summed over the pixels of the channel.

    Raises
    ------
    UnreadableFrame
        If the array is no single image.
    """
    array = np.asarray(pixels)
    while array.ndim > _IMAGE_AXES and array.shape[0] == 1:
        array = array[0]
    _require_one_image(array, header, name)
    if corrected is not None:
        return _replaced(array, corrected, bayer_pattern, channel)
    if array.ndim == _CUBE_AXES:
        wanted = [array[i] for i, letter in enumerate(PLANE_LETTERS) if letter in channel.letters]
        return _summed(array, wanted, 1, (0.0, 0.0), channel)
    if not bayer_pattern:
        return _summed(array, [array], 1, (0.0, 0.0), None)
    return _of_mosaic(array, bayer_pattern, channel)


def _replaced(
    raw: npt.NDArray[Any], corrected: FloatImage, pattern: str, channel: Channel
) -> Picture:
    """Return the corrected array's picture, with the peaks of the raw one."""
    if not pattern:
        whole, peaks = (_summed(array, [array], 1, (0.0, 0.0), None) for array in (corrected, raw))
    else:
        whole, peaks = (_of_mosaic(array, pattern, channel) for array in (corrected, raw))
    peak = np.where(np.isinf(whole.peak), whole.peak, peaks.peak)
    return replace(whole, peak=peak, full_scale_adu=peaks.full_scale_adu)


def _of_mosaic(array: npt.NDArray[Any], pattern: str, channel: Channel) -> Picture:
    places = [divmod(i, 2) for i, letter in enumerate(pattern) if letter in channel.letters]
    height, width = array.shape[0] // 2 * 2, array.shape[1] // 2 * 2
    wanted = [array[row:height:2, column:width:2] for row, column in places]
    middle_y, middle_x = (sum(axis) / len(places) for axis in zip(*places, strict=True))
    return _summed(array, wanted, 2, (middle_x, middle_y), channel)


def _require_one_image(array: npt.NDArray[Any], header: Cards, name: str) -> None:
    if array.ndim == _CUBE_AXES and min(array.shape[1:]) >= SMALLEST_SIDE_PX:
        _require_colours(array, header, name)
    elif array.ndim != _IMAGE_AXES or min(array.shape) < SMALLEST_SIDE_PX:
        raise UnreadableFrame(
            f"{name} holds an array of {' × '.join(map(str, array.shape))} instead of one image "
            f"of at least {SMALLEST_SIDE_PX} × {SMALLEST_SIDE_PX} pixels.",
            shape=array.shape,
        )


def _require_colours(array: npt.NDArray[Any], header: Cards, name: str) -> None:
    """Refuse a cube whose planes may be anything but red, green and blue."""
    axis, colours = _word(header, "CTYPE3"), _word(header, "COLORTYP")
    three = len(array) == len(PLANE_LETTERS)
    if three and axis in _COLOUR_AXES and colours not in _NO_COLOURS:
        return
    if axis in _TIME_AXES:
        what = f"exposures one after the other (CTYPE3 is {axis!r})"
    elif three:
        card = f"COLORTYP is {colours!r}" if axis in _COLOUR_AXES else f"CTYPE3 is {axis!r}"
        what = f"which are not red, green and blue ({card})"
    else:
        what = "which cannot be red, green and blue"
    raise UnreadableFrame(
        f"{name} holds {len(array)} planes instead of one image, {what}. Write each exposure to "
        "a file of its own.",
        shape=array.shape,
    )


def _word(header: Cards, key: str) -> str:
    return str(header.get(key) or "").strip().upper()


def _summed(
    array: npt.NDArray[Any],
    wanted: Sequence[npt.NDArray[Any]],
    cell_px: int,
    place_px: tuple[float, float],
    channel: Channel | None,
) -> Picture:
    # What single precision cannot hold becomes infinite, and so a gap.
    with np.errstate(over="ignore"):
        whole = [_without_gaps(np.asarray(plane, np.float32)) for plane in wanted]
    data, peak = (image.copy() for image in whole[0])
    for more, more_peak in whole[1:]:
        data += more
        np.maximum(peak, more_peak, out=peak)
    return Picture(
        data=np.ascontiguousarray(data),
        peak=np.ascontiguousarray(peak),
        full_scale_adu=full_scale_adu(_highest(array), floating=array.dtype.kind == "f"),
        cell_px=cell_px,
        place_px=place_px,
        channel=channel,
    )


def _without_gaps(image: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return an image whose every pixel is a number, and the values to judge saturation by."""
    gaps = ~np.isfinite(image)
    if not gaps.any():
        return image, image
    level = np.median(image[~gaps]) if not gaps.all() else 0.0
    return np.where(gaps, np.float32(level), image), np.where(gaps, np.float32(np.inf), image)


def _highest(array: npt.NDArray[Any]) -> float:
    if array.dtype.kind != "f":
        return float(array.max())
    finite = array[np.abs(array) <= np.finfo(np.float32).max]
    return float(finite.max()) if finite.size else 0.0


def full_scale_adu(highest: float, *, floating: bool) -> float:
    """Return where the camera's values end, as far as one frame's highest value tells.

    A frame whose brightest star stays far below full scale gets a limit that is too
    low, but none of its pixels reaches that either, save the brightest star's.

    Parameters
    ----------
    highest : float
        The highest value of the file.
    floating : bool
        Whether the file holds fractions: one that never exceeds 1 was scaled to 1.

    Returns
    -------
    float
        The next 2ⁿ - 1 from the highest value up, at least 255; or 1.
    """
    if floating and 0.0 < highest <= 1.0:
        return 1.0
    return float(2 ** max(8, math.ceil(math.log2(max(highest, 0.0) + 1.0))) - 1)

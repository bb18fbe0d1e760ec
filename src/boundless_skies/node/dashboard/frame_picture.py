"""A frame as a picture for the eye, and where on it the light was measured."""

import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from boundless_skies.node.fits.channel import Channel
from boundless_skies.node.fits.frame import Frame, read_frame

FloatImage = npt.NDArray[np.float32]
Position = tuple[float, float]

LONGEST_PX = 1_600
_SIGMA_PER_MAD = 1.4826
_BLACK_BELOW_SKY_SIGMA = 1.5
_KNEE_SIGMA = 6.0
_WHITE_PERCENTILE = 99.9
_LEAST_WHITE_SIGMA = 40.0
_SAMPLE = 200_000
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_LEVEL = 4


@dataclass(frozen=True, kw_only=True)
class Aperture:
    """Where light was summed, in pixels of the picture's view box; y downwards."""

    x: float
    y: float
    radius: float
    inner: float
    outer: float
    name: str
    is_target: bool


@dataclass(frozen=True, kw_only=True)
class FramePicture:
    """A frame as a PNG, and the circles on it.

    Attributes
    ----------
    png : bytes
        Shades of grey, the first row of the file at the bottom.
    width, height : int
        Of the view box in which the apertures' places are given (px).
    apertures : list of Aperture
        Empty where nothing tells where they were.
    note : str
        Why there are none; empty where there are.
    """

    png: bytes
    width: int
    height: int
    apertures: list[Aperture]
    note: str


def frame_picture(
    path: Path, measurement: Mapping[str, Any], target: Position | None, channel: str
) -> FramePicture:
    """Make the picture of a frame that was measured.

    Parameters
    ----------
    path : Path
        The FITS file.
    measurement : Mapping
        With the keys of the wire and of its provenance.
    target : tuple of float or None
        Where the target stands, ICRS (J2000), degrees.
    channel : str
        What is shown of a colour camera's frame.

    Raises
    ------
    FrameError
        If the file is gone or cannot be read.
    """
    frame = read_frame(path, Channel(channel))
    height, width = frame.shape
    apertures = _apertures(frame, measurement, target)
    note = (
        ""
        if apertures
        else "The file does not tell where its stars are, so the apertures are not drawn."
    )
    return FramePicture(
        png=_png(stretched(_smoothed(_shrunk(frame.data)))[::-1]),
        width=width,
        height=height,
        apertures=apertures,
        note=note,
    )


def stretched(image: FloatImage) -> npt.NDArray[np.uint8]:
    """Return an image in shades of grey in which faint stars show and bright ones do not burn out.

    Parameters
    ----------
    image : ndarray of float32, shape (height, width)
        Intensity.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        An inverse hyperbolic sine above a black just below the sky (Lupton et al. 1999).
    """
    sample = image.ravel()[:: max(1, image.size // _SAMPLE)]
    sky = float(np.median(sample))
    sigma = _SIGMA_PER_MAD * float(np.median(np.abs(sample - sky))) or 1.0
    white = max(float(np.percentile(sample, _WHITE_PERCENTILE)), sky + _LEAST_WHITE_SIGMA * sigma)
    knee = _KNEE_SIGMA * sigma
    black = sky - _BLACK_BELOW_SKY_SIGMA * sigma
    share = np.arcsinh((image - black) / knee) / math.asinh((white - black) / knee)
    grey: npt.NDArray[np.uint8] = (np.clip(share, 0.0, 1.0) * 255.0).astype(np.uint8)
    return grey


def _shrunk(image: FloatImage) -> FloatImage:
    factor = math.ceil(max(image.shape) / LONGEST_PX)
    if factor <= 1:
        return image
    height, width = (side // factor * factor for side in image.shape)
    blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor)
    means: FloatImage = blocks.mean(axis=(1, 3), dtype=np.float32)
    return means


def _smoothed(image: FloatImage) -> FloatImage:
    """Return an image with less grain: faint nebulae drown in the noise of single pixels."""
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    summed = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    smooth: FloatImage = (summed / 16).astype(np.float32)
    return smooth


def _png(grey: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG of 8 bits of grey; each line begins with the number of its filter, here none."""
    height, width = grey.shape
    lines = np.pad(grey, ((0, 0), (1, 0))).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, _PNG_LEVEL)), (b"IEND", b""))
    return _PNG_SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _apertures(
    frame: Frame, measurement: Mapping[str, Any], target: Position | None
) -> list[Aperture]:
    wcs = _measured_wcs(frame, measurement.get("plate_solution")) or frame.wcs
    if wcs is None or not measurement.get("aperture_px"):
        return []
    radius = float(measurement["aperture_px"]) / frame.cell_px
    ring = measurement.get("annulus_px") or [0.0, 0.0]
    inner, outer = (float(edge) / frame.cell_px for edge in ring)
    stars = [(str(measurement["target_name"]), target, True)] if target else []
    stars += [
        (str(star["name"]), (star["ra_deg"], star["dec_deg"]), False)
        for star in measurement.get("comparisons") or ()
    ]
    height, width = frame.shape
    found = []
    for name, position, is_target in stars:
        x, y = (float(value) for value in wcs.wcs_world2pix(*position, 0))
        if 0 <= x < width and 0 <= y < height:
            found.append(
                Aperture(
                    x=x + 0.5,
                    y=height - y - 0.5,
                    radius=radius,
                    inner=inner,
                    outer=outer,
                    name=name,
                    is_target=is_target,
                )
            )
    return found


def _measured_wcs(frame: Frame, told: Mapping[str, Any] | None) -> WCS | None:
    """Return the plate solution that the measurement holds, for the frame's data."""
    if not told:
        return None
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [told["ra_deg"], told["dec_deg"]]
    wcs.wcs.cd = np.array(told["cd_deg_px"]) * frame.cell_px
    places = zip((told["x_px"], told["y_px"]), frame.place_px, strict=True)
    wcs.wcs.crpix = [(place - shift) / frame.cell_px + 1.0 for place, shift in places]
    return wcs

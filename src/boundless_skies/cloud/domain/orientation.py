"""How a frame lies on the sky, and turning its picture North up and East left."""

import cmath
import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

GreyImage = npt.NDArray[np.uint8]

# North and East are at right angles in any camera; nearer to one line is no plate solution.
_MIN_SINE = 0.1
# A turn that moves no pixel further than this is not worth the loss of a resampling.
_UNSEEN_PX = 0.5
# So much emptiness around a picture makes its edges smooth when it is turned.
_MARGIN_PX = 2


@dataclass(frozen=True)
class Orientation:
    """What brings North up and East left, in a picture whose first row is the highest.

    Attributes
    ----------
    mirrored : bool
        Whether left and right are to be swapped, before the turn.
    left_deg : float
        The turn, counterclockwise (degrees).
    """

    mirrored: bool
    left_deg: float

    def turned_px(self, width_px: float, height_px: float) -> tuple[float, float]:
        """Return the width and height of what holds a turned picture."""
        sine, cosine = _sine_and_cosine(self.left_deg)
        across, along = abs(cosine), abs(sine)
        return width_px * across + height_px * along, width_px * along + height_px * across


def find_orientation(header: fits.Header, width_px: int, height_px: int) -> Orientation | None:
    """Return how a frame is to be turned.

    The directions are those at the middle of the frame: near a pole, and with the reference
    pixel elsewhere, they differ from those that the matrix of the header has.

    Parameters
    ----------
    header : Header
        Of the image.
    width_px, height_px : int
        Of the image, in the pixels that the header speaks of.

    Returns
    -------
    Orientation or None
        None without a plate solution in right ascension and declination.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            north, east = _directions(header, (width_px - 1) / 2, (height_px - 1) / 2)
    except Exception:  # noqa: BLE001 - a header from anybody: as good as none
        return None
    sine = (north.conjugate() * east).imag / abs(north * east)
    if not abs(sine) > _MIN_SINE:
        return None
    mirrored = sine < 0.0
    upward = -north.conjugate() if mirrored else north
    return Orientation(mirrored, math.degrees(cmath.phase(1j / upward)))


def turn(picture: GreyImage, orientation: Orientation) -> Image.Image:
    """Turn a picture North up and East left.

    Parameters
    ----------
    picture : ndarray of uint8, shape (rows, columns)
        Shades of grey; the first row is the highest.
    orientation : Orientation
        The picture's own.

    Returns
    -------
    Image
        With transparent corners where the turn is none by quarters.
    """
    quarters = round(orientation.left_deg / 90.0)
    rest_deg = orientation.left_deg - 90.0 * quarters
    upright = np.rot90(picture[:, ::-1] if orientation.mirrored else picture, quarters)
    if math.radians(abs(rest_deg)) * math.hypot(*upright.shape) / 2 <= _UNSEEN_PX:
        return Image.fromarray(np.ascontiguousarray(upright))
    return _turn_left(upright, rest_deg)


def _turn_left(picture: GreyImage, left_deg: float) -> Image.Image:
    height, width = picture.shape
    across, along = Orientation(mirrored=False, left_deg=left_deg).turned_px(width, height)
    size = (math.floor(across), math.floor(along))
    sheet = np.zeros((height + 2 * _MARGIN_PX, width + 2 * _MARGIN_PX, 2), np.uint8)
    sheet[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX] = 255
    sheet[..., 0] = np.pad(picture, _MARGIN_PX, mode="edge")
    sine, cosine = _sine_and_cosine(left_deg)
    x, y = width / 2 + _MARGIN_PX, height / 2 + _MARGIN_PX
    to_left = x - cosine * size[0] / 2 + sine * size[1] / 2
    to_top = y - sine * size[0] / 2 - cosine * size[1] / 2
    return Image.fromarray(sheet, "LA").transform(
        size,
        Image.Transform.AFFINE,
        (cosine, -sine, to_left, sine, cosine, to_top),
        Image.Resampling.BICUBIC,
    )


def _sine_and_cosine(angle_deg: float) -> tuple[float, float]:
    angle = math.radians(angle_deg)
    return math.sin(angle), math.cos(angle)


def _directions(header: fits.Header, x_px: float, y_px: float) -> tuple[complex, complex]:
    """Return where North and East are at a pixel (from 0) of the image, x right and y up."""
    wcs = WCS(header, naxis=2).celestial
    if wcs.wcs.lngtyp.strip() != "RA":
        raise ValueError(wcs.wcs.lngtyp)
    around = np.array([(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)]) + np.array([x_px, y_px])
    world = np.radians(wcs.all_pix2world(around, 0))
    ra, dec = world[:, wcs.wcs.lng], world[:, wcs.wcs.lat]
    places = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    eastward = (-np.sin(ra[0]), np.cos(ra[0]), 0.0)
    northward = (-np.sin(dec[0]) * np.cos(ra[0]), -np.sin(dec[0]) * np.sin(ra[0]), np.cos(dec[0]))
    per_px = np.array([eastward, northward]) @ (places[:, 1:3] - places[:, 3:5])
    east, north = (complex(*column) for column in np.linalg.inv(per_px).T)
    return north, east

"""A frame laid on the sky: north up, east left, in arcminutes around the target."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

FloatArray = npt.NDArray[np.float64]

_WAYS = (
    *("north", "north-east", "east", "south-east"),
    *("south", "south-west", "west", "north-west"),
)


@dataclass(frozen=True)
class SkyPlane:
    """The plane that touches the sky at the target.

    Attributes
    ----------
    wcs : WCS
        The frame's solution.
    ra_deg, dec_deg : float
        The target, where the plane touches.
    matrix : ndarray, shape (3, 3)
        From pixels to arcminutes east and north of the target, for columns (x, y, 1).
    """

    wcs: WCS
    ra_deg: float
    dec_deg: float
    matrix: FloatArray

    @classmethod
    def of(cls, wcs: WCS, ra_deg: float, dec_deg: float, width: int, height: int) -> "SkyPlane":
        """Lay a frame on the sky.

        Parameters
        ----------
        wcs : WCS
            The frame's solution.
        ra_deg, dec_deg : float
            The target, J2000, degrees.
        width, height : int
            The frame's size, pixels.

        Returns
        -------
        SkyPlane
            Its matrix fits nine points of the frame best; within a degree or two the rest
            is far below a pixel.
        """
        x, y = (
            grid.ravel() for grid in np.meshgrid((0, width / 2, width), (0, height / 2, height))
        )
        ra, dec = wcs.all_pix2world(x, y, 0)
        east, north = to_plane(ra, dec, ra_deg, dec_deg)
        pixels = np.column_stack([x, y, np.ones(len(x))])
        rows, *_ = np.linalg.lstsq(pixels, np.column_stack([east, north]), rcond=None)
        return cls(wcs, ra_deg, dec_deg, np.vstack([rows.T, [0.0, 0.0, 1.0]]))

    @property
    def arcmin_px(self) -> float:
        """Side of a pixel, arcminutes."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix[:2, :2]))))

    def from_pixels(self, x: float, y: float) -> tuple[float, float]:
        """Return how far east and north of the target a pixel lies, arcminutes."""
        east, north, _ = self.matrix @ (x, y, 1.0)
        return float(east), float(north)

    def from_sky(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        """Return where a star shows in the frame, arcminutes east and north of the target."""
        x, y = self.wcs.all_world2pix(ra_deg, dec_deg, 0)
        return self.from_pixels(float(x), float(y))

    def corners(self, width: int, height: int) -> FloatArray:
        """Return the frame's corners, shape (4, 2), arcminutes east and north."""
        ends = (
            (-0.5, -0.5),
            (width - 0.5, -0.5),
            (width - 0.5, height - 0.5),
            (-0.5, height - 0.5),
        )
        return np.array([self.from_pixels(*end) for end in ends])


def to_plane(
    ra_deg: FloatArray, dec_deg: FloatArray, centre_ra_deg: float, centre_dec_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Project stars onto the plane that touches the sky at a centre (gnomonic).

    Parameters
    ----------
    ra_deg, dec_deg : ndarray, shape (n,)
        Stars, less than 90° from the centre.
    centre_ra_deg, centre_dec_deg : float
        Where the plane touches.

    Returns
    -------
    tuple of ndarray
        Arcminutes east and north of the centre.
    """
    turn, dec = np.radians(ra_deg - centre_ra_deg), np.radians(dec_deg)
    sin0, cos0 = math.sin(math.radians(centre_dec_deg)), math.cos(math.radians(centre_dec_deg))
    depth = sin0 * np.sin(dec) + cos0 * np.cos(dec) * np.cos(turn)
    east = np.cos(dec) * np.sin(turn) / depth
    north = (cos0 * np.sin(dec) - sin0 * np.cos(dec) * np.cos(turn)) / depth
    return 60 * np.degrees(east), 60 * np.degrees(north)


def direction(east: float, north: float) -> str:
    """Return which of eight ways a step leads, such as "north-east"."""
    return _WAYS[round(math.degrees(math.atan2(east, north)) / 45.0) % 8]

"""What a solver is given, and what it gives back."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StarField:
    """The stars detected in an image.

    Attributes
    ----------
    x, y, flux : ndarray, shape (n,)
        0-based pixel coordinates and brightness, brightest first.
    width, height : int
        Size of the image in pixels.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    width: int
    height: int

    def __len__(self) -> int:
        """Return the number of stars."""
        return len(self.x)


@dataclass(frozen=True)
class Hint:
    """Roughly where a field lies.

    Attributes
    ----------
    ra_deg, dec_deg : float
        A position near its centre, J2000.
    scale_arcsec_px : float
        Size of a pixel, good to about 20 %.
    radius_deg : float
        How far the true centre may be away.
    """

    ra_deg: float
    dec_deg: float
    scale_arcsec_px: float
    radius_deg: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where a field lies, checked against the catalogue.

    Attributes
    ----------
    wcs : WCS
        Between 0-based pixels and J2000.
    matched : int
        Catalogue stars found at their place.
    expected : int
        Catalogue stars that were looked for.
    rms_px : float
        Distance between the matched stars and their places.
    """

    wcs: WCS
    matched: int
    expected: int
    rms_px: float


class Solver(Protocol):
    """Something that finds where a field lies from its stars."""

    def solve(self, field: StarField, hint: Hint) -> WCS | None:
        """Return a solution near the hint, which is yet to be checked, or None."""

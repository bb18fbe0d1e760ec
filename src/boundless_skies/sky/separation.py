"""How far two things are from each other on the sky."""

from typing import overload

import erfa
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


@overload
def separation_deg(
    ra_deg: float, dec_deg: float, other_ra_deg: float, other_dec_deg: float
) -> float: ...
@overload
def separation_deg(
    ra_deg: float | Vector,
    dec_deg: float | Vector,
    other_ra_deg: float | Vector,
    other_dec_deg: float | Vector,
) -> float | Vector: ...
def separation_deg(
    ra_deg: float | Vector,
    dec_deg: float | Vector,
    other_ra_deg: float | Vector,
    other_dec_deg: float | Vector,
) -> float | Vector:
    """Return the angle between two directions.

    Parameters
    ----------
    ra_deg, dec_deg : float or ndarray
        The one, degrees; right ascension and declination, or azimuth and altitude.
    other_ra_deg, other_dec_deg : float or ndarray
        The other, of the same kind.

    Returns
    -------
    float or ndarray
        From 0 to 180 degrees; exact for small and for large angles.
    """
    angles = map(np.radians, (ra_deg, dec_deg, other_ra_deg, other_dec_deg))
    degrees: float | Vector = np.degrees(erfa.ufunc.seps(*angles))
    return degrees

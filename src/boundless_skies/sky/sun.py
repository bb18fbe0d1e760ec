"""Where the Sun is."""

import erfa
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

SUNSET_ALTITUDE_DEG = -0.833
"""The Sun's altitude, without refraction, at which its upper edge is seen on the horizon: 34′ of
refraction and 16′ of its own radius (J. Meeus: "Astronomical Algorithms", 2nd ed., chapter 15)."""


def sun_au(tt: tuple[Vector, Vector]) -> Vector:
    """Return the direction and distance from the Earth's centre to the Sun's.

    The light's travel moves the Sun by its way around the barycentre only, below 0.01″.

    Parameters
    ----------
    tt : tuple of ndarray
        Terrestrial time, Julian dates in two parts, each of shape (n,).

    Returns
    -------
    ndarray
        Shape (n, 3), ICRS axes, astronomical units; good to 0.02″ (1900 to 2100).

    References
    ----------
    P. Bretagnon, G. Francou: "Planetary theories in rectangular and spherical variables:
    VSOP 87 solution", A&A 202, 309 (1988), as simplified in SOFA's ``epv00``.
    """
    heliocentric, *_ = erfa.ufunc.epv00(*tt)
    direction: Vector = -heliocentric["p"]
    return direction

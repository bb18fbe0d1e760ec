"""Where the Moon is, and how much of it is lit."""

import erfa
import numpy as np
import numpy.typing as npt

from boundless_skies.sky.sun import sun_au

Vector = npt.NDArray[np.float64]


def moon_au(tt: tuple[Vector, Vector]) -> Vector:
    """Return the direction and distance from the Earth's centre to the Moon's.

    Parameters
    ----------
    tt : tuple of ndarray
        Terrestrial time, Julian dates in two parts, each of shape (n,).

    Returns
    -------
    ndarray
        Shape (n, 3), celestial (GCRS) axes, astronomical units; good to 10″.

    References
    ----------
    J. Meeus: "Astronomical Algorithms", 2nd ed., chapter 47, in SOFA's ``moon98``.
    """
    direction: Vector = erfa.ufunc.moon98(*tt)["p"]
    return direction


def illuminated_fraction(tt: tuple[Vector, Vector]) -> Vector:
    """Return the part of the Moon's disc that is lit, as seen from the Earth's centre.

    Parameters
    ----------
    tt : tuple of ndarray
        Terrestrial time, Julian dates in two parts, each of shape (n,).

    Returns
    -------
    ndarray
        Shape (n,), from 0 (new) to 1 (full).

    References
    ----------
    J. Meeus: "Astronomical Algorithms", 2nd ed., equation 48.1: (1 + cos i) / 2 with the
    angle i at the Moon between the Sun and the Earth.
    """
    to_earth = -moon_au(tt)
    to_sun = sun_au(tt) + to_earth
    lengths = np.linalg.norm(to_earth, axis=-1) * np.linalg.norm(to_sun, axis=-1)
    fraction: Vector = (1.0 + np.sum(to_earth * to_sun, axis=-1) / lengths) / 2.0
    return fraction

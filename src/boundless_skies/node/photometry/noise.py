"""Noise that no pixel shows: scintillation."""

import math

_SCALE_HEIGHT_M = 8000.0


def scintillation_mag(
    aperture_mm: float, exposure_s: float, airmass: float, elevation_m: float
) -> float:
    """Return the standard deviation that the air's turbulence gives to a star's brightness.

    Parameters
    ----------
    aperture_mm : float
        Of the telescope, millimetres.
    exposure_s : float
        Seconds; must be above 0.
    airmass : float
        Relative airmass.
    elevation_m : float
        Of the site, metres.

    Returns
    -------
    float
        Magnitudes.

    References
    ----------
    A. T. Young, AJ 72, 747 (1967), as given by D. Dravins et al., PASP 110, 610 (1998),
    equation 10: 0.09 D^(-2/3) X^1.75 (2t)^(-1/2) exp(-h / 8000 m), D in cm.
    """
    relative: float = (
        0.09
        * (aperture_mm / 10.0) ** (-2.0 / 3.0)
        * airmass**1.75
        / math.sqrt(2.0 * exposure_s)
        * math.exp(-elevation_m / _SCALE_HEIGHT_M)
    )
    return 2.5 / math.log(10.0) * relative

"""Noise that no pixel shows: scintillation."""

import math

MEDIAN_SCINTILLATION = 1.56
"""Coefficient C_Y of a median night, m^(2/3) s^(1/2)."""

_SCALE_HEIGHT_M = 8000.0


def scintillation_mag(
    aperture_mm: float,
    exposure_s: float,
    airmass: float,
    elevation_m: float,
    coefficient: float = MEDIAN_SCINTILLATION,
) -> float:
    """Return the standard deviation that the air's turbulence gives to a star's brightness.

    Parameters
    ----------
    aperture_mm : float
        Of the telescope, millimetres.
    exposure_s : float
        Seconds; must be above 0. The formula holds where it is longer than the
        turbulence takes to cross the aperture: well below 0.1 s for a small telescope.
    airmass : float
        Relative airmass, for the secant of the zenith distance.
    elevation_m : float
        Of the site, metres.
    coefficient : float, optional
        C_Y, m^(2/3) s^(1/2); 1.56 is a median night's.

    Returns
    -------
    float
        Magnitudes.

    References
    ----------
    J. Osborn, D. Föhring, V. S. Dhillon, R. W. Wilson, MNRAS 452, 1707 (2015),
    equation 7, Young's approximation with a coefficient of the site:
    σ² = 10e-6 C_Y² D^(-4/3) t⁻¹ (sec z)³ exp(-2h / H), D in m, t in s, H = 8000 m.
    With C_Y = 1 it is Young's own (AJ 72, 747, 1967), which they find too small for a
    median night.
    """
    variance: float = (
        10e-6
        * coefficient**2
        * (aperture_mm / 1000.0) ** (-4.0 / 3.0)
        / exposure_s
        * airmass**3
        * math.exp(-2.0 * elevation_m / _SCALE_HEIGHT_M)
    )
    return 2.5 / math.log(10.0) * math.sqrt(variance)

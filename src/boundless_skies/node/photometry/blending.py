"""How much of the light in the target's aperture comes from other stars of the same frame."""

import math

import numpy as np

from boundless_skies.node.photometry.aperture import Fluxes
from boundless_skies.node.photometry.exposure import Exposure

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
# Beyond so many standard deviations from the circle a Gaussian has no light left.
_REACH_SIGMAS = 5.0
_GRID = 41


def blended_fraction(exposure: Exposure, fluxes: Fluxes, radius_px: float) -> float:
    """Estimate how much of the light in the aperture is another detected star's.

    Parameters
    ----------
    exposure : Exposure
        The frame with its detected stars.
    fluxes : Fluxes
        The target, arrays of one.
    radius_px : float
        Of the aperture.

    Returns
    -------
    float
        From 0 to 1. Stars are taken as Gaussians, so that the far wings of very bright
        neighbours are left out; a neighbour that the frame does not resolve, nearer than
        about one full width at half maximum, is not seen either.
    """
    field, fwhm_px = exposure.detection.field, exposure.detection.fwhm_px
    away_px = np.hypot(field.x - fluxes.x[0], field.y - fluxes.y[0])
    reach_px = radius_px + _REACH_SIGMAS * fwhm_px / _FWHM_PER_SIGMA
    # The target's own detection is the nearest one, where it lies on the target at all.
    other = (away_px > min(float(away_px.min(initial=np.inf)), exposure.largest_shift_px)) & (
        away_px <= reach_px
    )
    shares = np.array([share_within(away, radius_px, fwhm_px) for away in away_px[other]])
    foreign = float((field.flux[other] * shares).sum())
    return min(foreign / max(float(fluxes.flux[0]), foreign, 1e-9), 1.0)


def share_within(away_px: float, radius_px: float, fwhm_px: float) -> float:
    """Return how much of a Gaussian star's light falls into a circle beside it.

    Parameters
    ----------
    away_px : float
        From the star to the circle's centre.
    radius_px : float
        Of the circle.
    fwhm_px : float
        Full width at half maximum of the star.

    Returns
    -------
    float
        From 0 to 1, by summing over points of the circle; to about 0.01.
    """
    sigma_px = fwhm_px / _FWHM_PER_SIGMA
    steps = (np.arange(_GRID) + 0.5) / _GRID * 2.0 - 1.0
    across, along = np.meshgrid(steps * radius_px, steps * radius_px)
    within = np.hypot(across, along) <= radius_px
    squared = (across[within] - away_px) ** 2 + along[within] ** 2
    density = np.exp(-squared / (2.0 * sigma_px**2)) / (2.0 * math.pi * sigma_px**2)
    return float(density.sum() * (2.0 * radius_px / _GRID) ** 2)

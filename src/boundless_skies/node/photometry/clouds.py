"""Whether the sky is even: how well one frame's comparison stars agree on its zero point."""

import math

import numpy as np

from boundless_skies.node.catalogue import Stars
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.photometry.comparison import LEAST_SNR, LINEAR_FRACTION
from boundless_skies.node.photometry.ensemble import ZeroPoint
from boundless_skies.node.photometry.exposure import Exposure

AGREEMENT_MAG = 0.5
LEAST_EXPECTED = 6


def agreeing_fraction(
    exposure: Exposure, stars: Stars, aperture: Aperture, zero_point: ZeroPoint
) -> float | None:
    """Say how many of the stars that should be well seen are as bright as they should be.

    Needs no other frame: the catalogue tells which stars the frame ought to show.

    Parameters
    ----------
    exposure : Exposure
        The frame.
    stars : Stars
        The candidates for comparison; those without a magnitude do not count.
    aperture : Aperture
        Circle and ring.
    zero_point : ZeroPoint
        What the frame's stars agreed on.

    Returns
    -------
    float or None
        From 0 to 1: within 0.5 mag of the zero point, of all that would have a signal to
        noise above 20 and are not saturated; None where that should be fewer than 6 stars.
    """
    noise_adu = exposure.detection.noise_adu * math.sqrt(math.pi) * aperture.radius_px
    faintest_mag = zero_point.value - 2.5 * math.log10(max(LEAST_SNR * noise_adu, 1e-9))
    stars = stars[np.isfinite(stars.mag) & (stars.mag < faintest_mag)]
    x, y = exposure.places(stars)
    shown = exposure.inside(x, y, aperture.outer_px)
    new_x, new_y, _ = exposure.centred(x[shown], y[shown])
    fluxes = exposure.fluxes(new_x, new_y, aperture)
    linear = fluxes.peak < LINEAR_FRACTION * exposure.frame.saturation_adu
    if linear.sum() < LEAST_EXPECTED:
        return None
    miss_mag = stars.mag[shown] - fluxes.instrumental_mag - zero_point.value
    # A star without light has no magnitude, and agrees with nothing.
    return float((np.abs(miss_mag[linear]) <= AGREEMENT_MAG).mean())

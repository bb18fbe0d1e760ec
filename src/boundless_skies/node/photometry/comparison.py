"""Which stars a target is compared with, and what a frame shows of them."""

import itertools

import numpy as np

from boundless_skies.node.catalogue import Stars
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.node.errors import NoComparisonStars
from boundless_skies.node.photometry.ensemble import LEAST_STARS, Ensemble, ZeroPoint
from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.photometry.settings import Target
from boundless_skies.node.solving.field import FloatArray

LEAST_SNR = 20.0
MOST_STARS = 120
# Cameras with anti-blooming bend long before they saturate.
LINEAR_FRACTION = 0.6
# A neighbour this much fainter adds 6 % at most; the ensemble's offsets take that up.
NEIGHBOUR_MAG = 3.0


def choose(around: Stars, target: Target, reach_deg: float) -> Stars:
    """Choose the candidates for comparison: alone in their aperture, and not the target.

    The choice depends on nothing but catalogue, target and aperture, so that it is the
    same for every frame of a night.

    Parameters
    ----------
    around : Stars
        The catalogue around the target.
    target : Target
        What is measured.
    reach_deg : float
        How near no other star may be that is brighter, or less than 3 mag fainter.

    Returns
    -------
    Stars
        At most the 120 nearest to the target, nearest first.
    """
    distance = separation_deg(around.ra_deg, around.dec_deg, target.ra_deg, target.dec_deg)
    nearest = np.argsort(distance, kind="stable")
    nearest = nearest[distance[nearest] > reach_deg]
    alone = (int(index) for index in nearest if _is_alone(around, int(index), reach_deg))
    return around[np.fromiter(itertools.islice(alone, MOST_STARS), np.intp)]


def is_crowded(around: Stars, target: Target, reach_deg: float, own_deg: float) -> bool:
    """Say whether a catalogue star other than the target lies near it.

    Parameters
    ----------
    around : Stars
        The catalogue around the target.
    target : Target
        What is measured.
    reach_deg : float
        How near the other must be.
    own_deg : float
        A star nearer than this is the target itself.

    Returns
    -------
    bool
        True where one is.
    """
    distance = separation_deg(around.ra_deg, around.dec_deg, target.ra_deg, target.dec_deg)
    return bool(((distance > own_deg) & (distance <= reach_deg)).any())


def tie(exposure: Exposure, ensemble: Ensemble) -> ZeroPoint:
    """Measure the comparison stars of a frame and find its zero point.

    Parameters
    ----------
    exposure : Exposure
        The frame.
    ensemble : Ensemble
        The target's comparison stars; learns from the frame.

    Returns
    -------
    ZeroPoint
        From at least three stars.

    Raises
    ------
    NoComparisonStars
        If fewer are left that are inside, unsaturated and bright enough.
    """
    instrumental_mag, error_mag = _magnitudes(exposure, ensemble)
    zero_point = ensemble.tie(instrumental_mag, error_mag)
    if zero_point is None:
        usable = int(np.isfinite(instrumental_mag).sum())
        raise NoComparisonStars(
            f"{usable} comparison stars with a catalogue magnitude are usable in the frame, "
            f"{LEAST_STARS} are needed: point so that more stars brighter than about 11.5 mag "
            "fall into it, and expose so that they are well seen but not saturated.",
            usable=usable,
            needed=LEAST_STARS,
        )
    return zero_point


def _magnitudes(exposure: Exposure, ensemble: Ensemble) -> tuple[FloatArray, FloatArray]:
    """Return magnitude and error of each candidate; NaN where the frame does not show it well."""
    instrumental_mag = np.full(len(ensemble.stars), np.nan)
    error_mag = np.full(len(ensemble.stars), np.nan)
    x, y = exposure.places(ensemble.stars)
    shown = np.flatnonzero(exposure.inside(x, y, ensemble.aperture.outer_px))
    new_x, new_y, near = exposure.centred(x[shown], y[shown])
    fluxes = exposure.fluxes(new_x, new_y, ensemble.aperture)
    linear = fluxes.peak < LINEAR_FRACTION * exposure.frame.saturation_adu
    good = near & linear & (fluxes.snr >= LEAST_SNR)
    instrumental_mag[shown[good]] = fluxes.instrumental_mag[good]
    error_mag[shown[good]] = fluxes.error_mag[good]
    return instrumental_mag, error_mag


def _is_alone(around: Stars, index: int, reach_deg: float) -> bool:
    north = np.abs(around.dec_deg - around.dec_deg[index]) <= reach_deg
    near = around[north & (around.mag < around.mag[index] + NEIGHBOUR_MAG)]
    apart = separation_deg(
        near.ra_deg, near.dec_deg, float(around.ra_deg[index]), float(around.dec_deg[index])
    )
    return int((apart <= reach_deg).sum()) == 1

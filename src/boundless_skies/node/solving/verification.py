"""The check that a solution is right: the catalogue's stars must be where it says they are.

A solver picks, out of very many, the transformation that matches most stars, and so
finds a few matches for any field. Here the question is turned around: of the
catalogue's *brightest* stars within the image, which a right solution must show
nearly all, how many are there?
"""

import math

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from boundless_skies.node.catalogue import Catalogue, Stars
from boundless_skies.node.solving.field import FloatArray, Solution, StarField

MATCH_RADIUS_PX = 2.5
LEAST_MATCHES = 5
LEAST_FRACTION = 0.5
MOST_CHANCE = 1e-6

_BRIGHTEST = 40
_DETECTIONS_PER_STAR = 4
_EDGE_PX = 5.0
_REFITS = 3

Indices = npt.NDArray[np.intp]


def verify(wcs: WCS, field: StarField, catalogue: Catalogue) -> Solution | None:
    """Refine a solution on all stars that it matches, and check it.

    Parameters
    ----------
    wcs : WCS
        A solution to check.
    field : StarField
        The detected stars.
    catalogue : Catalogue
        The stars that ought to be there.

    Returns
    -------
    Solution or None
        None where fewer than half of the brightest 40 catalogue stars within the
        image (or fewer than 5) are found within 2.5 px, or where chance alone
        would match that many with a probability above 1e-6.
    """
    stars = stars_within(wcs, field.width, field.height, catalogue)
    for _ in range(_REFITS):
        seen, known, _ = _pairs(wcs, field, stars)
        if len(seen) < LEAST_MATCHES:
            return None
        wcs = _refit(wcs, field.x[seen], field.y[seen], stars[known])
    return _judge(wcs, field, stars[:_BRIGHTEST])


def stars_within(wcs: WCS, width: int, height: int, catalogue: Catalogue) -> Stars:
    """Return the catalogue stars whose places lie within an image, brightest first.

    Parameters
    ----------
    wcs : WCS
        Where the image lies.
    width, height : int
        Its size in pixels.
    catalogue : Catalogue
        The catalogue.

    Returns
    -------
    Stars
        Empty where the WCS makes no sense.
    """
    ra_deg, dec_deg = centre_deg(wcs, width, height)
    if not (math.isfinite(ra_deg) and math.isfinite(dec_deg)):
        return catalogue.cone(0.0, 0.0, 0.0)
    radius_deg = scale_arcsec_px(wcs) / 3600 * math.hypot(width, height) / 2
    around = catalogue.cone(ra_deg, dec_deg, min(radius_deg, 60.0))
    x, y = places(wcs, around)
    return around[inside(x, y, width, height, _EDGE_PX)]


def centre_deg(wcs: WCS, width: int, height: int) -> tuple[float, float]:
    """Return right ascension and declination of an image's centre, degrees."""
    ra_deg, dec_deg = wcs.all_pix2world((width - 1) / 2, (height - 1) / 2, 0)
    return float(ra_deg), float(dec_deg)


def scale_arcsec_px(wcs: WCS) -> float:
    """Return the size of a pixel, arcseconds: the mean of its two sides."""
    return float(np.mean(proj_plane_pixel_scales(wcs))) * 3600.0


def places(wcs: WCS, stars: Stars) -> tuple[FloatArray, FloatArray]:
    """Return the 0-based pixel coordinates of catalogue stars, NaN where they have none."""
    if not len(stars):
        return np.empty(0), np.empty(0)
    x, y = wcs.all_world2pix(stars.ra_deg, stars.dec_deg, 0, quiet=True)
    return x, y


def inside(
    x: FloatArray, y: FloatArray, width: int, height: int, margin_px: float
) -> npt.NDArray[np.bool_]:
    """Say which positions lie within an image and at least a margin away from its edge."""
    return (
        (x >= margin_px - 0.5)
        & (x <= width - 0.5 - margin_px)
        & (y >= margin_px - 0.5)
        & (y <= height - 0.5 - margin_px)
    )


def _pairs(wcs: WCS, field: StarField, stars: Stars) -> tuple[Indices, Indices, FloatArray]:
    """Match each catalogue star with the nearest detection; return both indices and distances."""
    # The brightest detections only: among ever fainter ones, some would match anything.
    count = min(len(field), _DETECTIONS_PER_STAR * len(stars))
    if not count:
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
    x, y = places(wcs, stars)
    distance = np.hypot(x[:, None] - field.x[None, :count], y[:, None] - field.y[None, :count])
    nearest = distance.argmin(axis=1)
    known = np.flatnonzero(distance.min(axis=1) <= MATCH_RADIUS_PX)
    return nearest[known], known, distance[known, nearest[known]]


def _judge(wcs: WCS, field: StarField, stars: Stars) -> Solution | None:
    seen, _, distance = _pairs(wcs, field, stars)
    expected, matched = len(stars), len(np.unique(seen))
    if matched < max(LEAST_MATCHES, LEAST_FRACTION * expected):
        return None
    if _chance(matched, expected, field) > MOST_CHANCE:
        return None
    rms_px = float(np.sqrt(np.mean(distance**2)))
    return Solution(wcs=wcs, matched=matched, expected=expected, rms_px=rms_px)


def _chance(matched: int, expected: int, field: StarField) -> float:
    """Probability that unrelated detections match so many (upper tail of a binomial)."""
    density = min(len(field), _DETECTIONS_PER_STAR * expected) / (field.width * field.height)
    one = 1.0 - math.exp(-density * math.pi * MATCH_RADIUS_PX**2)
    return sum(
        math.comb(expected, hits) * one**hits * (1.0 - one) ** (expected - hits)
        for hits in range(matched, expected + 1)
    )


def _refit(wcs: WCS, x: FloatArray, y: FloatArray, stars: Stars) -> WCS:
    """Fit the linear part of a gnomonic projection to matched stars (least squares)."""
    start_ra, start_dec = (float(value) for value in wcs.wcs.crval)
    east, north = _gnomonic(stars, start_ra, start_dec)
    terms = np.column_stack([x, y, np.ones(len(x))])
    fit, *_ = np.linalg.lstsq(terms, np.column_stack([east, north]), rcond=None)
    matrix, offset = fit[:2].T, fit[2]
    if abs(np.linalg.det(matrix)) == 0.0:
        return wcs
    refitted = WCS(naxis=2)
    refitted.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    refitted.wcs.cunit = ["deg", "deg"]
    refitted.wcs.crval = [start_ra, start_dec]
    refitted.wcs.crpix = np.linalg.solve(matrix, -offset) + 1.0
    refitted.wcs.cd = matrix
    refitted.wcs.set()
    return refitted


def _gnomonic(stars: Stars, ra0_deg: float, dec0_deg: float) -> tuple[FloatArray, FloatArray]:
    """Project onto the plane tangent at a position, degrees."""
    ra, dec = np.radians(stars.ra_deg - ra0_deg), np.radians(stars.dec_deg)
    sin0, cos0 = math.sin(math.radians(dec0_deg)), math.cos(math.radians(dec0_deg))
    height = np.sin(dec) * sin0 + np.cos(dec) * cos0 * np.cos(ra)
    east = np.cos(dec) * np.sin(ra) / height
    north = (np.sin(dec) * cos0 - np.cos(dec) * sin0 * np.cos(ra)) / height
    return np.degrees(east), np.degrees(north)

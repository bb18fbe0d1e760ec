"""How a magnitude came about, as the keys that travel beside it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from boundless_skies import __version__
from boundless_skies.node.catalogue.comparison_star import ComparisonStar
from boundless_skies.node.fits.frame import Frame
from boundless_skies.node.photometry.check_star import CheckPoint
from boundless_skies.node.photometry.ensemble import VARIES_FACTOR, Behaviour, ZeroPoint
from boundless_skies.node.solving.field import Solution

MOST_STARS_TOLD = 20
"""So many comparison stars are told one by one, the weightiest; of the rest the count."""

_MOST_VARYING_TOLD = 10
_SOFTWARE = "Boundless Skies node"


def used_stars(
    comparisons: Sequence[ComparisonStar], zero_point: ZeroPoint
) -> tuple[ComparisonStar, ...]:
    """Return the comparison stars behind a zero point, the weightiest first.

    Parameters
    ----------
    comparisons : sequence of ComparisonStar
        The candidates, in the ensemble's order.
    zero_point : ZeroPoint
        What became of them.

    Returns
    -------
    tuple of ComparisonStar
        Those that counted.
    """
    if zero_point.behaviour is None:
        return ()
    return tuple(comparisons[index] for index in _weightiest(comparisons, zero_point.behaviour))


def star_facts(
    comparisons: Sequence[ComparisonStar], zero_point: ZeroPoint, check: CheckPoint | None
) -> dict[str, Any]:
    """Tell which stars stand behind a measurement, and how each behaved.

    Parameters
    ----------
    comparisons : sequence of ComparisonStar
        The candidates, in the ensemble's order.
    zero_point : ZeroPoint
        What became of them.
    check : CheckPoint or None
        The check star.

    Returns
    -------
    dict
        Plain JSON, at most 20 stars; the keys are those of the documentation.
    """
    told: dict[str, Any] = {
        "field_stars": zero_point.field_stars,
        "check_star": None if check is None else _check_facts(check),
        "check_star_mag": None if check is None else _rounded(check.magnitude),
    }
    if (behaviour := zero_point.behaviour) is None:
        return told
    order = _weightiest(comparisons, behaviour)
    varying = np.flatnonzero(behaviour.scatter[: len(comparisons)] >= VARIES_FACTOR)
    return told | {
        "comparisons": [
            _star_facts(comparisons[index], behaviour, index) for index in order[:MOST_STARS_TOLD]
        ],
        "comparisons_not_told": max(len(order) - MOST_STARS_TOLD, 0),
        "comparisons_varying": [
            star_name(comparisons[index]) for index in varying[:_MOST_VARYING_TOLD].tolist()
        ],
        "catalogue": _catalogues([comparisons[index] for index in order]),
    }


def dropped_facts(dropped: Sequence[ComparisonStar]) -> dict[str, Any]:
    """Tell which stars were not compared with because they are known to vary.

    Parameters
    ----------
    dropped : sequence of ComparisonStar
        The most important first.

    Returns
    -------
    dict
        Plain JSON, at most 10 stars.
    """
    told = [{"name": star_name(star), "why": star.variability} for star in dropped]
    return {"comparisons_dropped": told[:_MOST_VARYING_TOLD]}


def solution_facts(frame: Frame, solution: Solution) -> dict[str, Any]:
    """Tell where the frame lies in the sky, so that its stars are found again without solving.

    Parameters
    ----------
    frame : Frame
        The exposure.
    solution : Solution
        Of its data.

    Returns
    -------
    dict
        ``plate_solution``: a gnomonic projection about ``ra_deg`` and ``dec_deg`` (J2000), which
        lie at ``x_px`` and ``y_px`` (0-based, pixels of the file); ``cd_deg_px`` is FITS's CD
        matrix for those pixels.
    """
    wcs = solution.wcs
    x_px, y_px = frame.to_file_px(*(float(place) - 1.0 for place in wcs.wcs.crpix))
    ra_deg, dec_deg = (float(value) for value in wcs.wcs.crval)
    matrix = (wcs.pixel_scale_matrix / frame.cell_px).tolist()
    return {
        "plate_solution": {
            "ra_deg": round(ra_deg, 6),
            "dec_deg": round(dec_deg, 6),
            "x_px": round(x_px, 3),
            "y_px": round(y_px, 3),
            "cd_deg_px": [[float(f"{value:.8g}") for value in row] for row in matrix],
        }
    }


def software_facts() -> dict[str, str]:
    """Tell what measured."""
    return {"software": _SOFTWARE, "software_version": __version__}


def star_name(star: ComparisonStar) -> str:
    """Return a star's name; one without is called by its place, as the IAU does it."""
    if star.name:
        return star.name
    tenths = round(star.ra_deg / 15.0 * 36_000.0) % 864_000
    hours, rest = divmod(tenths, 36_000)
    minutes, seconds = divmod(rest, 600)
    arcsec = round(abs(star.dec_deg) * 3600.0)
    sign = "-" if star.dec_deg < 0 else "+"
    return (
        f"J{hours:02d}{minutes:02d}{seconds / 10:04.1f}"
        f"{sign}{arcsec // 3600:02d}{arcsec // 60 % 60:02d}{arcsec % 60:02d}"
    )


def _weightiest(comparisons: Sequence[ComparisonStar], behaviour: Behaviour) -> list[int]:
    weight = behaviour.weight[: len(comparisons)]
    order = np.argsort(-weight, kind="stable")
    return [int(index) for index in order if weight[index] > 0.0]


def _place_facts(star: ComparisonStar) -> dict[str, Any]:
    return {
        "name": star_name(star),
        "ra_deg": round(star.ra_deg, 5),
        "dec_deg": round(star.dec_deg, 5),
        "catalogue_mag": _rounded(star.magnitude, 3),
        "band": star.band,
        "catalogue": star.catalogue,
    }


def _star_facts(star: ComparisonStar, behaviour: Behaviour, index: int) -> dict[str, Any]:
    return _place_facts(star) | {
        "measured_mag": _rounded(behaviour.magnitude[index]),
        "residual_mag": _rounded(behaviour.residual_mag[index]),
        "scatter_in_errors": _rounded(behaviour.scatter[index], 2),
        "weight": _rounded(behaviour.weight[index]),
    }


def _check_facts(check: CheckPoint) -> dict[str, Any]:
    return _place_facts(check.star) | {
        "measured_mag": _rounded(check.magnitude),
        "mean_mag": _rounded(check.mean_mag),
        "scatter_mag": _rounded(check.scatter_mag),
        "frames": check.frames,
        "held_out": check.held_out,
    }


def _catalogues(stars: Sequence[ComparisonStar]) -> str:
    return ", ".join(sorted({star.catalogue for star in stars}))


def _rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a number with so many decimals; None where there is none."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)

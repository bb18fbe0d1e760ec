"""The order in which places and scales are tried until a field is solved and checked."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from astropy.wcs import WCS

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.errors import NotSolved
from boundless_skies.node.solving.field import Hint, Solution, Solver, StarField
from boundless_skies.node.solving.verification import LEAST_MATCHES, verify

NEAR_RADIUS_DEG = 2.0
FAR_RADIUS_DEG = 4.0
# Steps of 1.35 with a tolerance of 20 % each leave no gap between 0.4" and 15" a pixel.
UNKNOWN_SCALES_ARCSEC_PX = tuple(round(0.48 * 1.35**step, 2) for step in (6, 5, 7, 4, 8, 3, 9))
UNKNOWN_SCALES_ARCSEC_PX += tuple(round(0.48 * 1.35**step, 2) for step in (2, 10, 1, 11, 0))


def solve_field(
    field: StarField,
    catalogue: Catalogue,
    solver: Solver,
    *,
    known: Iterable[WCS] = (),
    positions_deg: Sequence[tuple[float, float]] = (),
    scales_arcsec_px: Sequence[float] = (),
) -> Solution:
    """Find where a field lies; no solution is returned unchecked.

    Parameters
    ----------
    field : StarField
        The detected stars.
    catalogue : Catalogue
        The stars to check a solution with.
    solver : Solver
        Tried where none of the known solutions holds.
    known : iterable of WCS, optional
        Solutions that may hold, such as the header's own.
    positions_deg : sequence of (float, float), optional
        Where the field may lie, the likeliest first: within 2°, then within 4°.
    scales_arcsec_px : sequence of float, optional
        What its scale may be, the likeliest first; when empty, 0.4″ to 15″ are tried.

    Returns
    -------
    Solution
        The first that passes the check.

    Raises
    ------
    NotSolved
        If there are too few stars, no position to start from, or no solution.
    """
    if len(field) < LEAST_MATCHES:
        raise NotSolved(
            f"Only {len(field)} stars are seen, {LEAST_MATCHES} are needed to solve the frame: "
            "look for clouds, focus, dew, or too short an exposure.",
            stars=len(field),
        )
    for wcs in itertools.chain(known, _solutions(field, solver, positions_deg, scales_arcsec_px)):
        solution = verify(wcs, field, catalogue)
        if solution is not None:
            return solution
    raise _not_solved(field, positions_deg, scales_arcsec_px)


def _solutions(
    field: StarField,
    solver: Solver,
    positions_deg: Sequence[tuple[float, float]],
    scales_arcsec_px: Sequence[float],
) -> Iterator[WCS]:
    for hint in _hints(positions_deg, scales_arcsec_px):
        wcs = solver.solve(field, hint)
        if wcs is not None:
            yield wcs


def _hints(
    positions_deg: Sequence[tuple[float, float]], scales_arcsec_px: Sequence[float]
) -> Iterator[Hint]:
    # A far search with an unknown scale would take minutes.
    radii_deg = (NEAR_RADIUS_DEG, FAR_RADIUS_DEG) if scales_arcsec_px else (NEAR_RADIUS_DEG,)
    scales = scales_arcsec_px or UNKNOWN_SCALES_ARCSEC_PX
    for radius_deg, (ra_deg, dec_deg), scale in itertools.product(radii_deg, positions_deg, scales):
        yield Hint(ra_deg, dec_deg, scale, radius_deg)


def _not_solved(
    field: StarField,
    positions_deg: Sequence[tuple[float, float]],
    scales_arcsec_px: Sequence[float],
) -> NotSolved:
    if not positions_deg:
        return NotSolved(
            "The header does not say where the telescope pointed (RA and DEC, or OBJCTRA and "
            "OBJCTDEC): name the target's position with --ra and --dec, or in the config."
        )
    ra_deg, dec_deg = positions_deg[0]
    scale = f"{scales_arcsec_px[0]:.2f}″/px" if scales_arcsec_px else "an unknown scale"
    return NotSolved(
        f"No solution from {len(field)} stars near RA {ra_deg:.3f}°, Dec {dec_deg:+.3f}° at "
        f"{scale}: check that position, and FOCALLEN and XPIXSZ in the header (or set "
        "photometry.scale_arcsec_px); look for clouds and trailed stars.",
        stars=len(field),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
    )

"""The solver behind the interface: seiza on the bundled catalogue."""

import math
import time

import seiza
from astropy.io.fits import Header
from astropy.wcs import WCS

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.solving.field import Hint, StarField

# More stars make a try slower, not surer.
_MAX_STARS = 100
_SCALE_TOLERANCE = 0.2
_MOST_TRIES = 4


class SeizaSolver:
    """Solves with seiza.

    Parameters
    ----------
    catalogue : Catalogue
        The stars to look for.
    time_limit_s : float, optional
        When to give up a hint, in seconds of the processor's work.
    """

    def __init__(self, catalogue: Catalogue, time_limit_s: float = 6.0) -> None:
        self._catalogue = catalogue
        self._time_limit_s = time_limit_s

    def solve(self, field: StarField, hint: Hint) -> WCS | None:
        """Return a solution near the hint, which is yet to be checked, or None.

        Parameters
        ----------
        field : StarField
            The detected stars.
        hint : Hint
            Roughly where they lie.

        Returns
        -------
        WCS or None
            A gnomonic (TAN) projection.
        """
        stars, around = _brightest(field), self._stars_around(field, hint)
        spent_s, tries = 0.0, 0
        while spent_s < self._time_limit_s and tries < _MOST_TRIES:
            began_s = time.process_time()
            try:
                solution = seiza.solve(
                    stars,
                    around,
                    field.width,
                    field.height,
                    ra=hint.ra_deg,
                    dec=hint.dec_deg,
                    scale_arcsec_px=hint.scale_arcsec_px,
                    radius_deg=hint.radius_deg,
                    scale_tolerance=_SCALE_TOLERANCE,
                    time_limit=self._time_limit_s * (1 + tries),
                )
            except TimeoutError:
                # Its limit is of the wall's clock: on a busy computer it may hardly have run.
                spent_s += time.process_time() - began_s
                tries += 1
            except seiza.SolveError:
                return None
            else:
                return WCS(Header(solution.fits_header_cards()))
        return None

    def _stars_around(self, field: StarField, hint: Hint) -> seiza.StarCatalog:
        half_diagonal_px = math.hypot(field.width, field.height) / 2
        half_diagonal_deg = half_diagonal_px * hint.scale_arcsec_px * (1 + _SCALE_TOLERANCE) / 3600
        stars = self._catalogue.cone(
            hint.ra_deg, hint.dec_deg, min(hint.radius_deg + half_diagonal_deg, 180.0)
        )
        rows = zip(stars.ra_deg.tolist(), stars.dec_deg.tolist(), stars.mag.tolist(), strict=True)
        return seiza.StarCatalog.from_stars(list(rows))


def _brightest(field: StarField) -> list[seiza.Star]:
    rows = zip(field.x.tolist(), field.y.tolist(), field.flux.tolist(), strict=True)
    return [
        seiza.Star(x, y, flux) for (x, y, flux), _ in zip(rows, range(_MAX_STARS), strict=False)
    ]

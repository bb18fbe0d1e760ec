"""A star whose magnitude is known, and those who know such stars."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class ComparisonStar:
    """A star whose magnitude is known.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Position, J2000 (ICRS), degrees.
    magnitude : float
        In `band`.
    uncertainty : float or None
        Of `magnitude`, magnitudes; None where the catalogue does not tell.
    band : str
        As the AAVSO abbreviates it; ``"VT"`` is Tycho-2's own.
    colour_bv : float or None
        B - V, magnitudes, where it is known.
    colour_bp_rp : float or None
        Gaia's BP - RP, magnitudes, where it is known.
    name : str or None
        What it is called in its catalogue: an AUID, a number, a label on a chart.
    catalogue : str
        Where the magnitude comes from.
    is_variable : bool
        Known, or suspected, to vary; such a star is never compared with.
    variability : str
        Who says that it varies, and how.
    """

    ra_deg: float
    dec_deg: float
    magnitude: float
    uncertainty: float | None = None
    band: str = "V"
    colour_bv: float | None = None
    colour_bp_rp: float | None = None
    name: str | None = None
    catalogue: str
    is_variable: bool = False
    variability: str = ""


class ComparisonSource(Protocol):
    """Something that knows the magnitudes of stars."""

    def stars(
        self, field_center: tuple[float, float], radius_deg: float, bright: float, faint: float
    ) -> list[ComparisonStar]:
        """Return the stars around a position.

        Parameters
        ----------
        field_center : tuple of float
            Right ascension and declination, J2000, degrees.
        radius_deg : float
            How far from it they may lie.
        bright, faint : float
            The brightest and the faintest magnitude of interest.

        Returns
        -------
        list of ComparisonStar
            In any order; empty where it knows none.
        """

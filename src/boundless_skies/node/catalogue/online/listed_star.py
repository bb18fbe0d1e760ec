"""A star as a catalogue lists it: with every band that it has, so that one query serves all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

_FULL_CIRCLE_DEG, _POLE_DEG = 360.0, 90.0
_BRIGHTEST_MAG, _FAINTEST_MAG = -3.0, 30.0
_LONGEST_NAME = 64


@dataclass(frozen=True, kw_only=True)
class ListedStar:
    """A row of a catalogue.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Position, J2000 (ICRS, epoch 2000.0), degrees.
    magnitudes : dict of str to tuple
        Magnitude and its uncertainty (None where unknown) by the AAVSO's name of the band.
    name : str or None
        What the catalogue calls it.
    colour_bv, colour_bp_rp : float or None
        B - V and BP - RP, magnitudes.
    is_variable : bool
        Known, or suspected, to vary.
    """

    ra_deg: float
    dec_deg: float
    magnitudes: dict[str, tuple[float, float | None]]
    name: str | None = None
    colour_bv: float | None = None
    colour_bp_rp: float | None = None
    is_variable: bool = False

    def to_row(self) -> list[Any]:
        """Return the star as plain JSON."""
        bands = {band: list(pair) for band, pair in self.magnitudes.items()}
        colours = [self.colour_bv, self.colour_bp_rp]
        return [self.ra_deg, self.dec_deg, bands, self.name, *colours, self.is_variable]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Read what :meth:`to_row` returns; anything else raises ValueError or TypeError."""
        ra_deg, dec_deg, bands, name, colour_bv, colour_bp_rp, is_variable = row
        return cls(
            ra_deg=float(ra_deg),
            dec_deg=float(dec_deg),
            magnitudes={str(band): (float(m), number_or_none(e)) for band, (m, e) in bands.items()},
            name=None if name is None else str(name),
            colour_bv=number_or_none(colour_bv),
            colour_bp_rp=number_or_none(colour_bp_rp),
            is_variable=bool(is_variable),
        )


def number_or_none(value: Any) -> float | None:
    """Return a value as a finite number; None where it is none.

    Parameters
    ----------
    value : Any
        A number, a text, a masked value, or nothing.

    Returns
    -------
    float or None
        Never NaN nor infinite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def is_place(ra_deg: float | None, dec_deg: float | None) -> bool:
    """Say whether two numbers are a place of the sky, in degrees."""
    if ra_deg is None or dec_deg is None:
        return False
    return 0.0 <= ra_deg <= _FULL_CIRCLE_DEG and abs(dec_deg) <= _POLE_DEG


def is_magnitude(value: float | None) -> bool:
    """Say whether a number can be a star's magnitude."""
    return value is not None and _BRIGHTEST_MAG <= value <= _FAINTEST_MAG


def name_of(value: Any) -> str | None:
    """Return a star's name on one line and of bounded length; None where it has none."""
    text = "".join(char for char in str(value or "") if char.isprintable()).strip()
    return text[:_LONGEST_NAME] or None

"""Places in the sky, and how far apart they are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boundless_skies.cloud.domain.reading import Range, finite_number

RA_DEG = Range(0.0, 360.0, open_high=True)
DEC_DEG = Range(-90.0, 90.0)


@dataclass(frozen=True)
class Place:
    """A place in the sky: ICRS (J2000), degrees."""

    ra_deg: float
    dec_deg: float

    def separation_deg(self, other: "Place") -> float:
        """Return the angle between two places (degrees; haversine formula, sure for small ones)."""
        ra, dec = math.radians(self.ra_deg), math.radians(self.dec_deg)
        other_ra, other_dec = math.radians(other.ra_deg), math.radians(other.dec_deg)
        chord = (
            math.sin((dec - other_dec) / 2) ** 2
            + math.cos(dec) * math.cos(other_dec) * math.sin((ra - other_ra) / 2) ** 2
        )
        return math.degrees(2 * math.asin(min(1.0, math.sqrt(chord))))


def read_place(source: Mapping[str, Any]) -> Place | None:
    """Return the place under ``ra_deg`` and ``dec_deg``; None where there is none that makes sense.

    0/0 is what a program writes that knows no place.
    """
    ra_deg, dec_deg = finite_number(source.get("ra_deg")), finite_number(source.get("dec_deg"))
    if ra_deg is None or dec_deg is None or ra_deg == dec_deg == 0.0:
        return None
    known = ra_deg in RA_DEG and dec_deg in DEC_DEG
    return Place(ra_deg, dec_deg) if known else None

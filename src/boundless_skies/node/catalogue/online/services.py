"""What a catalogue's service is asked and answers, and the AAVSO's chart service.

Those at VizieR are in :mod:`~boundless_skies.node.catalogue.online.vizier`.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from boundless_skies.node.catalogue.online.fetching import CatalogueUnreachable
from boundless_skies.node.catalogue.online.listed_star import (
    ListedStar,
    is_magnitude,
    is_place,
    name_of,
    number_or_none,
)
from boundless_skies.node.fits.coordinates import declination_deg, right_ascension_deg

VSP_URL = "https://app.aavso.org/vsp/api/chart/"

MOST_ROWS = 4000
"""The brightest so many stars are asked for."""

_LARGEST_CHART_ARCMIN = 180.0
_VSP_BANDS = {"U": "U", "B": "B", "V": "V", "Rc": "R", "Ic": "I"}


@dataclass(frozen=True)
class Cone:
    """What is asked for.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Centre, J2000, degrees.
    radius_deg : float
        Radius, degrees.
    faint_mag : float
        The faintest magnitude.
    """

    ra_deg: float
    dec_deg: float
    radius_deg: float
    faint_mag: float


class Service(Protocol):
    """A catalogue's service."""

    name: str
    """What the catalogue is called on a measurement."""
    host: str
    """Services of one host are down together."""
    bands: frozenset[str]
    """The bands that it has magnitudes in."""

    def address(self, cone: Cone) -> str:
        """Return what to fetch."""

    def read(self, answer: bytes) -> list[ListedStar]:
        """Read an answer; CatalogueUnreachable where it is none."""


class Vsp:
    """The AAVSO's comparison stars (Variable Star Plotter).

    Parameters
    ----------
    url : str, optional
        Where its charts are asked for.
    """

    name = "AAVSO VSP"
    bands = frozenset(_VSP_BANDS.values())

    def __init__(self, url: str = VSP_URL) -> None:
        self.host = self._url = url

    def address(self, cone: Cone) -> str:
        """Return the address of a chart; the service draws none wider than 3°."""
        field_arcmin = min(math.ceil(cone.radius_deg * 120.0), _LARGEST_CHART_ARCMIN)
        asked = {
            "format": "json",
            "ra": f"{cone.ra_deg:.4f}",
            "dec": f"{cone.dec_deg:.4f}",
            "fov": f"{field_arcmin:g}",
            "maglimit": f"{cone.faint_mag:g}",
        }
        return f"{self._url}?{urlencode(asked)}"

    def read(self, answer: bytes) -> list[ListedStar]:
        """Read a chart's photometry; a star whose place or magnitudes are no numbers is left out.

        Parameters
        ----------
        answer : bytes
            JSON with ``photometry``: ``auid``, ``ra`` and ``dec`` (sexagesimal), ``bands``.

        Returns
        -------
        list of ListedStar
            None of them varies: the AAVSO's team has seen to it.
        """
        try:
            rows = json.loads(answer)["photometry"]
            return [star for row in rows[:MOST_ROWS] if (star := _vsp_star(row))]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CatalogueUnreachable("its answer is no chart") from error


def _vsp_star(row: Mapping[str, Any]) -> ListedStar | None:
    ra_deg, dec_deg = _sexagesimal(row)
    magnitudes = dict(_vsp_magnitudes(row.get("bands") or []))
    if ra_deg is None or dec_deg is None or not magnitudes:
        return None
    return ListedStar(
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        magnitudes=magnitudes,
        name=name_of(row.get("auid")),
        colour_bv=colour_of(magnitudes),
    )


def _sexagesimal(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    ra_deg, dec_deg = right_ascension_deg(row.get("ra")), declination_deg(row.get("dec"))
    return (ra_deg, dec_deg) if is_place(ra_deg, dec_deg) else (None, None)


def _vsp_magnitudes(bands: Any) -> Iterator[tuple[str, tuple[float, float | None]]]:
    for entry in bands:
        band, magnitude = _VSP_BANDS.get(str(entry.get("band"))), number_or_none(entry.get("mag"))
        if band and magnitude is not None and is_magnitude(magnitude):
            yield band, (magnitude, known_error(entry.get("error")))


def known_error(value: Any) -> float | None:
    """Return an uncertainty (mag); 0 is that of a single observation: none is known."""
    number = number_or_none(value)
    return number if number is not None and number > 0.0 else None


def colour_of(magnitudes: Mapping[str, tuple[float, float | None]]) -> float | None:
    """Return B - V (mag) of magnitudes by band; None where one of the two is missing."""
    if "B" not in magnitudes or "V" not in magnitudes:
        return None
    return round(magnitudes["B"][0] - magnitudes["V"][0], 4)

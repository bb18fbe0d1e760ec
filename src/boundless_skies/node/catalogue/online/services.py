"""The catalogues on the network: how each is asked, and what its answer says."""

import io
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from astropy.io import votable

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
VIZIER_URL = "https://tapvizier.cds.unistra.fr/TAPVizieR/tap/sync"

MOST_ROWS = 4000
"""The brightest so many stars are asked for."""

_LARGEST_CHART_ARCMIN = 180.0
_VSP_BANDS = {"U": "U", "B": "B", "V": "V", "Rc": "R", "Ic": "I"}
# A star of APASS that scatters by more between its nights is suspected to vary.
_STEADY_MAG = 0.15
_GAIA_EPOCH_YEARS = 16.0
_MAS_PER_DEG = 3.6e6
_DOCTYPE = re.compile(rb"<!\s*(doctype|entity)", re.IGNORECASE)
_HEAD_BYTES = 4096


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
        colour_bv=_colour_bv(magnitudes),
    )


def _sexagesimal(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    ra_deg, dec_deg = right_ascension_deg(row.get("ra")), declination_deg(row.get("dec"))
    return (ra_deg, dec_deg) if is_place(ra_deg, dec_deg) else (None, None)


def _vsp_magnitudes(bands: Any) -> Iterator[tuple[str, tuple[float, float | None]]]:
    for entry in bands:
        band, magnitude = _VSP_BANDS.get(str(entry.get("band"))), number_or_none(entry.get("mag"))
        if band and magnitude is not None and is_magnitude(magnitude):
            yield band, (magnitude, _uncertainty(entry.get("error")))


class Apass:
    """APASS, data release 9, at VizieR (II/336).

    Parameters
    ----------
    url : str, optional
        VizieR's TAP service.
    """

    name = "APASS DR9"
    bands = frozenset({"B", "V"})

    def __init__(self, url: str = VIZIER_URL) -> None:
        self.host = self._url = url

    def address(self, cone: Cone) -> str:
        """Return the address of a query for the brightest stars."""
        columns = "recno, RAJ2000, DEJ2000, Vmag, e_Vmag, Bmag, e_Bmag"
        return _tap(self._url, "II/336/apass9", columns, ("RAJ2000", "DEJ2000"), "Vmag", cone)

    def read(self, answer: bytes) -> list[ListedStar]:
        """Read a table; stars that scattered from night to night are suspected to vary.

        Parameters
        ----------
        answer : bytes
            A VOTable.

        Returns
        -------
        list of ListedStar
            Those with a place and a magnitude.
        """
        return [star for row in _rows(answer) if (star := _apass_star(row))]


def _apass_star(row: Mapping[str, Any]) -> ListedStar | None:
    ra_deg, dec_deg = number_or_none(row.get("RAJ2000")), number_or_none(row.get("DEJ2000"))
    magnitudes = {}
    for band in ("B", "V"):
        magnitude = number_or_none(row.get(f"{band}mag"))
        if magnitude is not None and is_magnitude(magnitude):
            magnitudes[band] = (magnitude, _uncertainty(row.get(f"e_{band}mag")))
    if ra_deg is None or dec_deg is None or not is_place(ra_deg, dec_deg) or not magnitudes:
        return None
    scatter_mag = max((error or 0.0 for _, error in magnitudes.values()), default=0.0)
    return ListedStar(
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        magnitudes=magnitudes,
        name=name_of(row.get("recno")),
        colour_bv=_colour_bv(magnitudes),
        is_variable=scatter_mag > _STEADY_MAG,
    )


class Gaia:
    """Gaia, data release 3, at VizieR (I/355), with synthetic V, R and I.

    Parameters
    ----------
    url : str, optional
        VizieR's TAP service.
    """

    name = "Gaia DR3"
    bands = frozenset({"V", "R", "I"})

    def __init__(self, url: str = VIZIER_URL) -> None:
        self.host = self._url = url

    def address(self, cone: Cone) -> str:
        """Return the address of a query for the brightest stars."""
        columns = "Source, RA_ICRS, DE_ICRS, pmRA, pmDE, Gmag, BPmag, RPmag, VarFlag"
        return _tap(self._url, "I/355/gaiadr3", columns, ("RA_ICRS", "DE_ICRS"), "Gmag", cone)

    def read(self, answer: bytes) -> list[ListedStar]:
        """Read a table.

        Parameters
        ----------
        answer : bytes
            A VOTable, positions of epoch 2016.0.

        Returns
        -------
        list of ListedStar
            Those whose colour is known, and within the range of the relations; moved to 2000.0.
        """
        return [star for row in _rows(answer) if (star := _gaia_star(row))]


@dataclass(frozen=True)
class Relation:
    """How G differs from another band, by colour.

    Attributes
    ----------
    terms : tuple of float
        G less the band is the sum of these times the powers of BP - RP.
    bluest, reddest : float
        The colours for which it holds.
    scatter_mag : float
        Standard deviation of stars around it.
    """

    terms: tuple[float, ...]
    bluest: float
    reddest: float
    scatter_mag: float


RELATIONS: Mapping[str, Relation] = {
    "V": Relation((-0.02704, 0.01424, -0.2156, 0.01426), -0.5, 5.0, 0.03017),
    "R": Relation((-0.02275, 0.3961, -0.1243, -0.01396, 0.003775), 0.0, 4.0, 0.03167),
    "I": Relation((0.01753, 0.76, -0.0991), -0.5, 4.5, 0.03765),
}
"""Johnson-Cousins from Gaia (Riello et al. 2021, A&A 649, A3, tables C.1 and C.2)."""


def synthetic_magnitude(band: str, g_mag: float, bp_rp: float) -> float | None:
    """Return a Johnson-Cousins magnitude from Gaia's.

    Parameters
    ----------
    band : str
        V, R or I.
    g_mag : float
        G.
    bp_rp : float
        BP - RP.

    Returns
    -------
    float or None
        None where the colour is outside of the relation's range.

    References
    ----------
    M. Riello et al., A&A 649, A3 (2021), appendix C.
    """
    relation = RELATIONS[band]
    if not relation.bluest < bp_rp < relation.reddest:
        return None
    return g_mag - sum(term * bp_rp**power for power, term in enumerate(relation.terms))


def _gaia_star(row: Mapping[str, Any]) -> ListedStar | None:
    wanted = ("RA_ICRS", "DE_ICRS", "Gmag", "BPmag", "RPmag")
    ra_deg, dec_deg, g_mag, bp_mag, rp_mag = (number_or_none(row.get(key)) for key in wanted)
    if ra_deg is None or dec_deg is None or not is_place(ra_deg, dec_deg):
        return None
    if g_mag is None or bp_mag is None or rp_mag is None or not is_magnitude(g_mag):
        return None
    found = {band: synthetic_magnitude(band, g_mag, bp_mag - rp_mag) for band in RELATIONS}
    magnitudes: dict[str, tuple[float, float | None]] = {
        band: (value, RELATIONS[band].scatter_mag)
        for band, value in found.items()
        if value is not None
    }
    if not magnitudes:
        return None
    ra_deg, dec_deg = _at_2000(ra_deg, dec_deg, row)
    return ListedStar(
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        magnitudes=magnitudes,
        name=name_of(row.get("Source")),
        colour_bp_rp=bp_mag - rp_mag,
        is_variable=str(row.get("VarFlag")).strip().upper() == "VARIABLE",
    )


def _at_2000(ra_deg: float, dec_deg: float, row: Mapping[str, Any]) -> tuple[float, float]:
    east_mas, north_mas = (number_or_none(row.get(key)) or 0.0 for key in ("pmRA", "pmDE"))
    # No star moves by more than 11″ a year; and at a pole right ascension means nothing.
    cos_dec = max(math.cos(math.radians(dec_deg)), 1e-3)
    ra_deg -= _GAIA_EPOCH_YEARS * east_mas / _MAS_PER_DEG / cos_dec
    dec_deg -= _GAIA_EPOCH_YEARS * north_mas / _MAS_PER_DEG
    return ra_deg % 360.0 % 360.0, min(max(dec_deg, -90.0), 90.0)


def _tap(
    url: str, table: str, columns: str, place: tuple[str, str], brightness: str, cone: Cone
) -> str:
    circle = f"CIRCLE('ICRS', {cone.ra_deg:.4f}, {cone.dec_deg:.4f}, {cone.radius_deg:.4f})"
    query = (
        f'SELECT TOP {MOST_ROWS} {columns} FROM "{table}" '  # noqa: S608 - numbers alone vary
        f"WHERE 1=CONTAINS(POINT('ICRS', {place[0]}, {place[1]}), {circle}) "
        f"AND {brightness} <= {cone.faint_mag:.2f} ORDER BY {brightness}"
    )
    asked = {"REQUEST": "doQuery", "LANG": "ADQL", "FORMAT": "votable", "QUERY": query}
    return f"{url}?{urlencode(asked)}"


def _rows(answer: bytes) -> list[dict[str, Any]]:
    """Read a VOTable's first table; an error that it tells is one."""
    if _DOCTYPE.search(answer):  # entities could unfold to any size
        raise CatalogueUnreachable("its answer is no plain VOTable")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document = votable.parse(io.BytesIO(answer), verify="ignore")
            _require_success(document)
            array = document.get_first_table().array[:MOST_ROWS]
            # What is masked comes out as None.
            columns = {name: array[name].tolist() for name in array.dtype.names or ()}
    except CatalogueUnreachable:
        raise
    except Exception as error:
        # Damaged XML comes out of the parser as many kinds of exception.
        raise CatalogueUnreachable("its answer is no VOTable") from error
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _require_success(document: votable.tree.VOTableFile) -> None:
    for resource in document.resources:
        for info in resource.infos:
            if info.name == "QUERY_STATUS" and str(info.value).upper() == "ERROR":
                told = name_of(info.content) or "no reason given"
                raise CatalogueUnreachable(f"it refuses the query: {told}")


def _uncertainty(value: Any) -> float | None:
    """Return an uncertainty; 0 stands for a single observation, and means that none is known."""
    number = number_or_none(value)
    return number if number is not None and number > 0.0 else None


def _colour_bv(magnitudes: Mapping[str, tuple[float, float | None]]) -> float | None:
    if "B" not in magnitudes or "V" not in magnitudes:
        return None
    return round(magnitudes["B"][0] - magnitudes["V"][0], 4)

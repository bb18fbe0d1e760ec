"""Catalogues at VizieR, asked in ADQL: APASS, Gaia, and the AAVSO's index of variable stars."""

import io
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
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
from boundless_skies.node.catalogue.online.services import (
    MOST_ROWS,
    Cone,
    colour_of,
    known_error,
)

VIZIER_URL = "https://tapvizier.cds.unistra.fr/TAPVizieR/tap/sync"

# A star of APASS that scatters by more between its nights is suspected to vary.
_STEADY_MAG = 0.15
_GAIA_EPOCH_YEARS = 16.0
_MAS_PER_DEG = 3.6e6
# VSX's flag: 0 varies, 1 is suspected to; 2 does not, 3 doubles another entry.
_VSX_VARIES = (0.0, 1.0)
_DOCTYPE = re.compile(rb"<!\s*(doctype|entity)", re.IGNORECASE)


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
            magnitudes[band] = (magnitude, known_error(row.get(f"e_{band}mag")))
    if ra_deg is None or dec_deg is None or not is_place(ra_deg, dec_deg) or not magnitudes:
        return None
    scatter_mag = max((error or 0.0 for _, error in magnitudes.values()), default=0.0)
    return ListedStar(
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        magnitudes=magnitudes,
        name=name_of(row.get("recno")),
        colour_bv=colour_of(magnitudes),
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


class Vsx:
    """The AAVSO's International Variable Star Index at VizieR (B/vsx): who varies, and how.

    Parameters
    ----------
    url : str, optional
        VizieR's TAP service.
    """

    name = "AAVSO VSX"
    bands: frozenset[str] = frozenset()

    def __init__(self, url: str = VIZIER_URL) -> None:
        self.host = self._url = url

    def address(self, cone: Cone) -> str:
        """Return the address of a query for the variables that are brightest at maximum."""
        columns = 'OID, Name, V, RAJ2000, DEJ2000, Type, "max"'
        return _tap(self._url, "B/vsx/vsx", columns, ("RAJ2000", "DEJ2000"), '"max"', cone)

    def read(self, answer: bytes) -> list[ListedStar]:
        """Read a table.

        Parameters
        ----------
        answer : bytes
            A VOTable.

        Returns
        -------
        list of ListedStar
            Known and suspected variables, without magnitudes, their type behind the name;
            those that VSX has found to be constant are left out.
        """
        return [star for row in _rows(answer) if (star := _vsx_star(row))]


def _vsx_star(row: Mapping[str, Any]) -> ListedStar | None:
    ra_deg, dec_deg = number_or_none(row.get("RAJ2000")), number_or_none(row.get("DEJ2000"))
    if ra_deg is None or dec_deg is None or not is_place(ra_deg, dec_deg):
        return None
    if number_or_none(row.get("V")) not in _VSX_VARIES:
        return None
    kind = name_of(row.get("Type"))
    name = f"{name_of(row.get('Name')) or ''}{f' ({kind})' if kind else ''}"
    return ListedStar(
        ra_deg=ra_deg, dec_deg=dec_deg, magnitudes={}, name=name_of(name), is_variable=True
    )


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

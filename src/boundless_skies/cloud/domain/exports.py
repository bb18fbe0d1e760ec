"""A light curve as files: CSV, VOTable, and the AAVSO's Extended File Format."""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from boundless_skies import __version__
from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import shown

if TYPE_CHECKING:
    from astropy.io.votable.tree import Field, Param, TableElement, VOTableFile

SOFTWARE = f"Boundless Skies {__version__}"


@dataclass(frozen=True, kw_only=True)
class ExportTarget:
    """Whose light curve it is: name, and position (J2000, degrees) where it is known."""

    name: str
    ra_deg: float | None = None
    dec_deg: float | None = None


@dataclass(frozen=True, kw_only=True)
class ExportPoint:
    """A point of a light curve as files have it.

    ``bjd`` is BJD_TDB in days; magnitudes and uncertainties are in mag. With
    ``is_limit`` the star was not seen, and ``magnitude`` is how faint it would have
    been seen. ``comparison_name`` and ``comparison_mag`` (instrumental) are those of
    a single comparison star; without them, the comparison is an ensemble.
    """

    bjd: float
    magnitude: float
    uncertainty: float
    filter: str
    node_id: str
    quality_flag: str | None = None
    airmass: float | None = None
    snr: float | None = None
    revision: int = 1
    validation: str | None = None
    review: str | None = None
    is_limit: bool = False
    comparison_stars: int | None = None
    comparison_name: str | None = None
    comparison_mag: float | None = None
    check_star: str | None = None
    check_star_mag: float | None = None
    chart: str | None = None


@dataclass(frozen=True)
class _Column:
    """A column: its name in files, the point's attribute, and what it means."""

    name: str
    attribute: str
    datatype: str
    ucd: str
    description: str
    unit: str | None = None


_TEXT = "unicodeChar"
COLUMNS = (
    _Column(
        "bjd_tdb", "bjd", "double", "time.epoch", "Barycentric Julian date of mid-exposure", "d"
    ),
    _Column("magnitude", "magnitude", "double", "phot.mag", "Magnitude, or faint limit", "mag"),
    _Column(
        "uncertainty", "uncertainty", "double", "stat.error;phot.mag", "1 sigma, as stated", "mag"
    ),
    _Column("filter", "filter", _TEXT, "instr.bandpass", "Filter"),
    _Column("node_id", "node_id", _TEXT, "meta.id;instr.tel", "The telescope's node"),
    _Column("quality_flag", "quality_flag", _TEXT, "meta.code.qual", "good, acceptable or poor"),
    _Column("airmass", "airmass", "double", "obs.airMass", "Airmass"),
    _Column("snr", "snr", "double", "stat.snr", "Signal to noise ratio"),
    _Column("revision", "revision", "int", "meta.version", "Revision, counted from 1"),
    _Column(
        "validation",
        "validation",
        _TEXT,
        "meta.code.status",
        "single, consistent or outlier, as other nodes see it",
    ),
    _Column("review", "review", _TEXT, "meta.code.status", "accepted or rejected by an astronomer"),
    _Column("is_limit", "is_limit", "boolean", "meta.code", "The magnitude is a faint limit"),
    _Column("comparison_stars", "comparison_stars", "int", "meta.number", "Comparison stars used"),
    _Column("comparison_name", "comparison_name", _TEXT, "meta.id", "The only comparison star"),
    _Column(
        "comparison_mag", "comparison_mag", "double", "phot.mag", "Its instrumental mag", "mag"
    ),
    _Column("check_star", "check_star", _TEXT, "meta.id", "Check star"),
    _Column("check_star_mag", "check_star_mag", "double", "phot.mag", "Its measured mag", "mag"),
    _Column("chart", "chart", _TEXT, "meta.id", "The AAVSO's chart"),
)
"""The columns of the CSV and of the VOTable; new ones are added at the end."""

_FORMULA_STARTS = "=+-@"


def to_csv(points: Iterable[ExportPoint]) -> str:
    """Return a light curve as CSV (RFC 4180), the first line naming the columns.

    Numbers have all their digits; what is not known is empty. A text that a
    spreadsheet would take for a formula has an apostrophe before it.

    Parameters
    ----------
    points : iterable of ExportPoint
        In the order in which they shall stand.

    Returns
    -------
    str
        Lines that end in CR LF.
    """
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow([column.name for column in COLUMNS])
    values = attrgetter(*(column.attribute for column in COLUMNS))
    writer.writerows(map(_csv_cell, values(point)) for point in points)
    return sheet.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    text = _one_line(value)
    return f"'{text}" if text[:1] and text[0] in _FORMULA_STARTS else text


def _one_line(text: str) -> str:
    """Return a text without what ends a line, is no character, or turns the writing round."""
    if text.isprintable():
        return " ".join(text.split())
    kept = (char if unicodedata.category(char)[0] != "C" else " " for char in text)
    return " ".join("".join(kept).split())


def to_votable(target: ExportTarget, points: Sequence[ExportPoint]) -> bytes:
    """Return a light curve as a VOTable (IVOA, 1.4).

    The times refer to a TIMESYS (TDB at the barycentre), the target's position to a
    COOSYS (ICRS). What is not known is NaN in a column of floats, -1 in one of
    integers (declared as its null), empty in a text.

    Parameters
    ----------
    target : ExportTarget
        The star; a position that is not known is left out.
    points : sequence of ExportPoint
        In the order in which they shall stand.

    Returns
    -------
    bytes
        XML, UTF-8.
    """
    votable, table = _new_votable(target)
    table.create_arrays(len(points))
    for column in COLUMNS:
        values = [getattr(point, column.attribute) for point in points]
        table.array[column.name] = [_votable_cell(column, value) for value in values]
    file = io.BytesIO()
    votable.to_xml(file)
    return file.getvalue()


def _new_votable(target: ExportTarget) -> "tuple[VOTableFile, TableElement]":
    # Loading astropy takes most of a second, which a cloud's start shall not wait for.
    from astropy.io.votable import tree  # noqa: PLC0415

    votable = tree.VOTableFile(version="1.4")
    resource = tree.Resource()
    votable.resources.append(resource)
    resource.coordinate_systems.append(tree.CooSys(ID="icrs", system="ICRS"))
    resource.time_systems.append(
        tree.TimeSys(
            ID="tdb",
            timeorigin="JD-origin",
            timescale="TDB",
            refposition="BARYCENTER",
            config={"version_1_4_or_later": True},
        )
    )
    table = tree.TableElement(votable, name="lightcurve")
    resource.tables.append(table)
    table.description = f"Light curve of {_one_line(target.name)}"
    # As INFO, not as PARAM: astropy escapes a text parameter twice.
    name = tree.Info(name="target", value=_one_line(target.name))
    table.infos.append(name)
    table.params.extend(_position(votable, target))
    table.fields.extend(_field(votable, column) for column in COLUMNS)
    return votable, table


def _position(votable: "VOTableFile", target: ExportTarget) -> "Iterable[Param]":
    from astropy.io.votable import tree  # noqa: PLC0415

    for name, ucd, value in (
        ("ra_deg", "pos.eq.ra;meta.main", target.ra_deg),
        ("dec_deg", "pos.eq.dec;meta.main", target.dec_deg),
    ):
        if value is not None:
            yield tree.Param(
                votable, name=name, datatype="double", unit="deg", ucd=ucd, ref="icrs", value=value
            )


def _field(votable: "VOTableFile", column: _Column) -> "Field":
    from astropy.io.votable import tree  # noqa: PLC0415

    field = tree.Field(
        votable,
        name=column.name,
        ID=column.name,
        datatype=column.datatype,
        arraysize="*" if column.datatype == _TEXT else None,
        unit=column.unit,
        ucd=column.ucd,
        ref="tdb" if column.attribute == "bjd" else None,
    )
    field.description = column.description
    if column.datatype == "int":
        field.values.null = _NO_COUNT
    return field


_NO_COUNT = -1


def _votable_cell(column: _Column, value: Any) -> Any:
    if column.datatype == _TEXT:
        return _one_line(value or "")
    if value is None:
        return _NO_COUNT if column.datatype == "int" else math.nan
    return value


AAVSO_FILTERS = frozenset(
    (
        *("U", "B", "V", "R", "I", "J", "H", "K", "CV", "CR", "TB", "TG", "TR"),
        *("SU", "SG", "SR", "SI", "SZ", "STU", "STV", "STB", "STY", "STHBW", "STHBN"),
        *("MA", "MB", "MI", "ZS", "Y", "HA", "HAC", "CBB", "O"),
    )
)
"""The AAVSO's names of filters."""
_FILTER_SPELLINGS = {"Bj": "B", "Vj": "V", "Rc": "R", "Ic": "I", "Ha": "HA", "H-alpha": "HA"} | {
    f"{band}{mark}": f"S{band.upper()}" for band in "ugriz" for mark in "'p"
}

_OTHER_FILTER = "O"
_DELIMITER = ","
_NOTHING = "na"
_STAR_ID_MAX, _STAR_MAX, _CHART_MAX, _NOTES_MAX = 30, 20, 20, 100
_OBSERVER_CODE = re.compile(r"[A-Za-z0-9]{1,5}")
_AAVSO_FIELDS = "#NAME,DATE,MAG,MERR,FILT,TRANS,MTYPE,CNAME,CMAG,KNAME,KMAG,AMASS,GROUP,CHART,NOTES"


def to_aavso(target: ExportTarget, points: Sequence[ExportPoint], observer_code: str) -> str:
    """Return a light curve in the AAVSO's Extended File Format (version 1.2).

    Dates are HJD_UTC, made from the points' BJD_TDB, to 1 s. The magnitudes are
    standard ones without transformation, tied to an ensemble unless a point names
    its only comparison star. Who sent which point stands in the notes, and so does
    a filter that the AAVSO has no name for.

    Parameters
    ----------
    target : ExportTarget
        The star: the AAVSO's name or AUID of it, and its position.
    points : sequence of ExportPoint
        What is to be sent; choosing it (no rejected point) is the caller's.
    observer_code : str
        The code that the AAVSO gave the observer.

    Returns
    -------
    str
        ASCII lines that end in LF.

    Raises
    ------
    InvalidInput
        If the target has no position, its name does not fit into the format, or the
        observer code is none.

    References
    ----------
    https://www.aavso.org/aavso-extended-file-format
    """
    header = _aavso_header(observer_code)
    star_id = _star_id(target)
    dates = _heliocentric(target, points)
    rows = [_aavso_row(star_id, date, point) for date, point in zip(dates, points, strict=True)]
    return "".join(f"{line}\n" for line in (*header, *rows))


def _aavso_header(observer_code: str) -> list[str]:
    code = observer_code.strip()
    if not _OBSERVER_CODE.fullmatch(code):
        raise InvalidInput(
            f"observer code {shown(observer_code)} must be 1 to 5 letters and digits, "
            "as the AAVSO gave it to you."
        )
    return [
        "#TYPE=Extended",
        f"#OBSCODE={code.upper()}",
        f"#SOFTWARE={SOFTWARE}",
        f"#DELIM={_DELIMITER}",
        "#DATE=HJD",
        "#OBSTYPE=CCD",
        _AAVSO_FIELDS,
    ]


def _star_id(target: ExportTarget) -> str:
    name = _ascii(target.name)
    if name != target.name.strip() or not 0 < len(name) <= _STAR_ID_MAX or name[0] == "#":
        raise InvalidInput(
            f"The AAVSO's format has no place for the name {shown(target.name)}: it takes up to "
            f"{_STAR_ID_MAX} ASCII characters without a comma. Give the target the AAVSO's name "
            "of the star or its AUID (000-BCD-123)."
        )
    return name


def _heliocentric(target: ExportTarget, points: Sequence[ExportPoint]) -> list[float]:
    if target.ra_deg is None or target.dec_deg is None:
        raise InvalidInput(
            f"The AAVSO takes heliocentric dates, which need the position of {target.name}, "
            "and none is known. Set the target's ra_deg and dec_deg."
        )
    # Loaded here, for a cloud's start shall not wait for numpy and erfa.
    from boundless_skies.sky.time_scales import hjd_utc_from_bjd_tdb  # noqa: PLC0415

    bjd = [point.bjd for point in points]
    return list(map(float, hjd_utc_from_bjd_tdb(bjd, target.ra_deg, target.dec_deg)))


def _aavso_row(star_id: str, date: float, point: ExportPoint) -> str:
    band = aavso_filter(point.filter)
    fields = (
        star_id,
        f"{date:.5f}",
        f"{'<' if point.is_limit else ''}{point.magnitude:.3f}",
        _uncertainty(point),
        band,
        "NO",
        "STD",
        *_comparison(point),
        _field_text(point.check_star, _STAR_MAX),
        _magnitude(point.check_star_mag if point.check_star else None),
        _airmass(point.airmass),
        _NOTHING,
        _field_text(point.chart, _CHART_MAX),
        _notes(point, band),
    )
    return _DELIMITER.join(fields)


def aavso_filter(name: str) -> str:
    """Return the AAVSO's name of a filter.

    Parameters
    ----------
    name : str
        As the node calls it.

    Returns
    -------
    str
        "O" (other) where the name is none of theirs or could mean two: a small r is
        Sloan's to one observer and Cousins' to another.
    """
    known = _FILTER_SPELLINGS.get(name, name if len(name) == 1 else name.upper())
    return known if known in AAVSO_FILTERS else _OTHER_FILTER


def _uncertainty(point: ExportPoint) -> str:
    text = f"{point.uncertainty:.4f}"
    return _NOTHING if point.is_limit or not float(text) else text


def _comparison(point: ExportPoint) -> tuple[str, str]:
    name = _field_text(point.comparison_name, _STAR_MAX)
    if name == _NOTHING:
        return "ENSEMBLE", _NOTHING
    return name, _magnitude(point.comparison_mag)


def _magnitude(magnitude: float | None) -> str:
    return _fixed(magnitude, low=-100.0, high=1000.0)


def _airmass(airmass: float | None) -> str:
    return _fixed(airmass, low=0.0, high=100.0)


def _fixed(value: float | None, low: float, high: float) -> str:
    """Return a number to three decimals, nothing where it is none or would not fit."""
    if value is None or not low < value < high:  # NaN, too
        return _NOTHING
    return f"{value:.3f}"


def _notes(point: ExportPoint, band: str) -> str:
    parts = [f"filter {point.filter}"] if band == _OTHER_FILTER else []
    parts += [f"node {point.node_id}"]
    parts += [point.validation] if point.validation else []
    return _field_text("; ".join(parts), _NOTES_MAX)


def _field_text(text: str | None, max_chars: int) -> str:
    """Return a text that can be a field: ASCII, no delimiter, no formula, not too long."""
    plain = _ascii(text or "").lstrip(f"#{_FORMULA_STARTS} ")
    return plain[:max_chars].strip() or _NOTHING


def _ascii(text: str) -> str:
    """Return a text without delimiters and line ends, and with what ASCII has of its letters."""
    decomposed = unicodedata.normalize("NFKD", _one_line(text.replace(_DELIMITER, " ")))
    return " ".join(decomposed.encode("ascii", "ignore").decode("ascii").split())

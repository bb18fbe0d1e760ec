"""A light curve as files: CSV, VOTable, and the AAVSO's Extended File Format."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.reports import aavso
from boundless_skies.reports.text import csv_text, one_line
from boundless_skies.wire.quality_reasons import REASONS

if TYPE_CHECKING:
    from astropy.io.votable.tree import Field, Param, TableElement, VOTableFile


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
    ``quality_reasons`` are sentences, with semicolons between them.
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
    quality_bits: int | None = None
    quality_reasons: str | None = None


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
    _Column(
        "quality_bits",
        "quality_bits",
        "int",
        "meta.code.qual",
        "Why the quality is less than good, as a mask: "
        + ", ".join(f"{reason.mask} {reason.name}" for reason in REASONS),
    ),
    _Column(
        "quality_reasons", "quality_reasons", _TEXT, "meta.note", "The same, and what was found"
    ),
)
"""The columns of the CSV and of the VOTable; new ones are added at the end."""


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
    return csv_text(value) if isinstance(value, str) else value


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
    table.description = f"Light curve of {one_line(target.name)}"
    # As INFO, not as PARAM: astropy escapes a text parameter twice.
    name = tree.Info(name="target", value=one_line(target.name))
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
        return one_line(value or "")
    if value is None:
        return _NO_COUNT if column.datatype == "int" else math.nan
    return value


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
    star = aavso.Star(name=target.name, ra_deg=target.ra_deg, dec_deg=target.dec_deg)
    try:
        return aavso.report(observer_code, [(star, [_observation(point) for point in points])])
    except aavso.AavsoError as error:
        raise InvalidInput(str(error)) from None


def _observation(point: ExportPoint) -> aavso.Observation:
    return aavso.Observation(
        bjd=point.bjd,
        magnitude=point.magnitude,
        uncertainty=point.uncertainty,
        filter=point.filter,
        is_limit=point.is_limit,
        airmass=point.airmass,
        comparison_name=point.comparison_name,
        comparison_mag=point.comparison_mag,
        check_star=point.check_star,
        check_star_mag=point.check_star_mag,
        chart=point.chart,
        notes=(f"node {point.node_id}", *((point.validation,) if point.validation else ())),
    )

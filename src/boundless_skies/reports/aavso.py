"""The AAVSO's Extended File Format: what its observers send light curves in.

See https://www.aavso.org/aavso-extended-file-format (version 1.2).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from boundless_skies import __version__
from boundless_skies.reports.text import FORMULA_STARTS, one_line

SOFTWARE = f"Boundless Skies {__version__}"


class AavsoError(ValueError):
    """Something that the AAVSO could not take; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Star:
    """Whose observations they are.

    Attributes
    ----------
    name : str
        The AAVSO's name of the star, or its AUID.
    ra_deg, dec_deg : float or None
        Position, J2000, degrees.
    """

    name: str
    ra_deg: float | None = None
    dec_deg: float | None = None


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One line of a report.

    Attributes
    ----------
    bjd : float
        BJD_TDB of mid-exposure, days.
    magnitude, uncertainty : float
        Of the star, magnitudes.
    filter : str
        As the observer calls it.
    is_limit : bool
        The star was not seen, and `magnitude` is how faint it would have been seen.
    airmass : float or None
        None where it is not known.
    comparison_name, comparison_mag : str and float, or None
        Name and instrumental magnitude of a single comparison star; an ensemble without.
    check_star, check_star_mag : str and float, or None
        Name and measured magnitude of the check star.
    chart : str or None
        The AAVSO's chart.
    notes : tuple of str
        What else is to be said.
    """

    bjd: float
    magnitude: float
    uncertainty: float
    filter: str
    is_limit: bool = False
    airmass: float | None = None
    comparison_name: str | None = None
    comparison_mag: float | None = None
    check_star: str | None = None
    check_star_mag: float | None = None
    chart: str | None = None
    notes: tuple[str, ...] = ()


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
_FIELDS = "#NAME,DATE,MAG,MERR,FILT,TRANS,MTYPE,CNAME,CMAG,KNAME,KMAG,AMASS,GROUP,CHART,NOTES"


def report(observer_code: str, light_curves: Iterable[tuple[Star, Sequence[Observation]]]) -> str:
    """Return light curves in the AAVSO's Extended File Format.

    Dates are HJD_UTC, made from the observations' BJD_TDB, to 1 s. The magnitudes are
    standard ones without transformation, tied to an ensemble unless an observation names
    its only comparison star. A filter that the AAVSO has no name for stands in the notes.

    Parameters
    ----------
    observer_code : str
        The code that the AAVSO gave the observer.
    light_curves : iterable of (Star, sequence of Observation)
        What is to be sent; choosing it is the caller's.

    Returns
    -------
    str
        ASCII lines that end in LF.

    Raises
    ------
    AavsoError
        If a star has no position, its name does not fit into the format, or the
        observer code is none.
    """
    lines = _header(read_observer_code(observer_code))
    for star, observations in light_curves:
        star_id, dates = read_star_name(star.name), _heliocentric(star, observations)
        lines += [_row(star_id, *row) for row in zip(dates, observations, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def read_observer_code(text: str) -> str:
    """Return an observer code as the AAVSO writes it.

    Parameters
    ----------
    text : str
        As the observer typed it.

    Returns
    -------
    str
        In capitals.

    Raises
    ------
    AavsoError
        If it cannot be one.
    """
    code = text.strip()
    if not _OBSERVER_CODE.fullmatch(code):
        raise AavsoError(
            f"observer code {text!r:.60} must be 1 to 5 letters and digits, "
            "as the AAVSO gave it to you."
        )
    return code.upper()


def read_star_name(text: str) -> str:
    """Return a star's name as the format has room for it.

    Parameters
    ----------
    text : str
        The AAVSO's name of the star, or its AUID.

    Returns
    -------
    str
        The same without blanks around it.

    Raises
    ------
    AavsoError
        If it is empty, longer than 30 characters, not ASCII, or holds a comma.
    """
    name = _ascii(text)
    if name != text.strip() or not 0 < len(name) <= _STAR_ID_MAX or name[0] == "#":
        raise AavsoError(
            f"The AAVSO's format has no place for the name {text!r:.60}: it takes up to "
            f"{_STAR_ID_MAX} ASCII characters without a comma. Give the target the AAVSO's name "
            "of the star or its AUID (000-BCD-123)."
        )
    return name


def _header(code: str) -> list[str]:
    return [
        "#TYPE=Extended",
        f"#OBSCODE={code}",
        f"#SOFTWARE={SOFTWARE}",
        f"#DELIM={_DELIMITER}",
        "#DATE=HJD",
        "#OBSTYPE=CCD",
        _FIELDS,
    ]


def _heliocentric(star: Star, observations: Sequence[Observation]) -> list[float]:
    if star.ra_deg is None or star.dec_deg is None:
        raise AavsoError(
            f"The AAVSO takes heliocentric dates, which need the position of {star.name}, "
            "and none is known. Set the target's ra_deg and dec_deg."
        )
    # Loaded here: a cloud's start shall not wait for numpy and erfa.
    from boundless_skies.sky.time_scales import hjd_utc_from_bjd_tdb  # noqa: PLC0415

    bjd = [observation.bjd for observation in observations]
    return list(map(float, hjd_utc_from_bjd_tdb(bjd, star.ra_deg, star.dec_deg)))


def _row(star_id: str, date: float, seen: Observation) -> str:
    band = aavso_filter(seen.filter)
    fields = (
        star_id,
        f"{date:.5f}",
        f"{'<' if seen.is_limit else ''}{seen.magnitude:.3f}",
        _uncertainty(seen),
        band,
        "NO",
        "STD",
        *_comparison(seen),
        _field_text(seen.check_star, _STAR_MAX),
        _magnitude(seen.check_star_mag if seen.check_star else None),
        _airmass(seen.airmass),
        _NOTHING,
        _field_text(seen.chart, _CHART_MAX),
        _notes(seen, band),
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


def _uncertainty(seen: Observation) -> str:
    text = f"{seen.uncertainty:.4f}"
    return _NOTHING if seen.is_limit or not float(text) else text


def _comparison(seen: Observation) -> tuple[str, str]:
    name = _field_text(seen.comparison_name, _STAR_MAX)
    if name == _NOTHING:
        return "ENSEMBLE", _NOTHING
    return name, _magnitude(seen.comparison_mag)


def _magnitude(magnitude: float | None) -> str:
    return _fixed(magnitude, low=-100.0, high=1000.0)


def _airmass(airmass: float | None) -> str:
    return _fixed(airmass, low=0.0, high=100.0)


def _fixed(value: float | None, low: float, high: float) -> str:
    """Return a number to three decimals, nothing where it is none or would not fit."""
    if value is None or not low < value < high:  # NaN, too
        return _NOTHING
    return f"{value:.3f}"


def _notes(seen: Observation, band: str) -> str:
    parts = [f"filter {seen.filter}"] if band == _OTHER_FILTER else []
    return _field_text("; ".join((*parts, *seen.notes)), _NOTES_MAX)


def _field_text(text: str | None, max_chars: int) -> str:
    """Return a text that can be a field: ASCII, no delimiter, no formula, not too long."""
    plain = _ascii(text or "").lstrip("".join(("#", " ", *FORMULA_STARTS)))
    return plain[:max_chars].strip() or _NOTHING


def _ascii(text: str) -> str:
    """Return a text without delimiters and line ends, and with what ASCII has of its letters."""
    decomposed = unicodedata.normalize("NFKD", one_line(text.replace(_DELIMITER, " ")))
    return " ".join(decomposed.encode("ascii", "ignore").decode("ascii").split())

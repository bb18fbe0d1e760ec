"""Angles as cameras write them, as degrees."""

import math
import re

_PART = r"(\d+(?:\.\d*)?)"
_SEXAGESIMAL = re.compile(
    rf"^\s*([+-]?)\s*{_PART}\s*[:hHdD°\s]\s*{_PART}\s*(?:[:mM'′\s]\s*{_PART}?\s*[sS\"″]?)?\s*$"
)
_HOURS = re.compile(r"\b(hours?|hrs?)\b|[\[(]h[\])]", re.IGNORECASE)
_SIXTY = 60.0
_DEG_PER_HOUR = 15.0


def right_ascension_deg(value: object, comment: str = "") -> float | None:
    """Read a right ascension.

    Parameters
    ----------
    value : object
        A number, or text that holds one: degrees, or hours where the comment says
        so ("hours", "[h]"). Text in parts (``02:04:10.3``, ``02 04 10``, ``2h04m10s``):
        hours.
    comment : str, optional
        The header card's comment.

    Returns
    -------
    float or None
        Degrees within [0, 360); None where the value is no such angle.
    """
    number = _number(value)
    if number is not None:
        degrees = number * (_DEG_PER_HOUR if _HOURS.search(comment) else 1.0)
    elif (parts := _sexagesimal(value)) is not None:
        degrees = parts if _is_degrees(value) else parts * _DEG_PER_HOUR
    else:
        return None
    # Twice, for the remainder of a hair below 0 is 360.
    return degrees % 360.0 % 360.0 if abs(degrees) <= 360.0 else None  # noqa: PLR2004 - a circle


def declination_deg(value: object) -> float | None:
    """Read a declination or latitude: a number of degrees, or degrees, minutes, seconds.

    Parameters
    ----------
    value : object
        A number, or text such as ``+46:41:16``, ``-05 23 28``, ``46d41m16s``.

    Returns
    -------
    float or None
        Degrees within [-90, 90]; None where the value is no such angle.
    """
    degrees = angle_deg(value)
    return degrees if degrees is not None and abs(degrees) <= 90.0 else None  # noqa: PLR2004


def angle_deg(value: object) -> float | None:
    """Read an angle in degrees, decimal or in degrees, minutes, seconds; None where it is none."""
    number = _number(value)
    return number if number is not None else _sexagesimal(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_degrees(value: object) -> bool:
    return isinstance(value, str) and re.match(r"^\s*[+-]?\s*[\d.]+\s*[dD°]", value) is not None


def _sexagesimal(value: object) -> float | None:
    match = _SEXAGESIMAL.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    whole, minutes, seconds = (float(part or 0.0) for part in match.group(2, 3, 4))
    if minutes >= _SIXTY or seconds >= _SIXTY:
        return None
    size = whole + minutes / _SIXTY + seconds / _SIXTY**2
    return -size if match[1] == "-" else size

"""What people type to find a target: a name, or a place in the sky.

How the spellings of a name meet is told in `boundless_skies.sky.names`.
"""

import re

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import shown
from boundless_skies.sky.names import case_tells, loose_key, name_key

__all__ = [
    "case_tells",
    "format_sexagesimal",
    "looks_like_coordinates",
    "loose_key",
    "name_key",
    "parse_coordinates",
]

COORDINATES_MAX_CHARS = 80
RA_MAX_DEG = 360.0
DEC_MAX_DEG = 90.0
DEG_PER_HOUR = 15.0

# Tables and web pages have other signs for minus, degrees, minutes and seconds.
_SIGNS = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "°": "d", "'": "m", "′": "m", "’": "m", '"': "s", "″": "s"}
)
_ALIKE = re.compile(r"[+-]?[0-9.][0-9.,:+\-hmsd ]*")
_NUMBERS = re.compile(r"[0-9]+")
_AROUND_SIGNS = re.compile(r" ?([:hmsd,]) ?")
_DEGREES = re.compile(r"([+-]?[0-9]{1,3}(?:\.[0-9]*)?)d?[, d]([+-]?[0-9]{1,3}(?:\.[0-9]*)?)d?")
_SEXAGESIMAL = re.compile(
    r"([0-9]{1,2})[h: ]([0-9]{1,2})[m: ]([0-9]{1,2}(?:\.[0-9]*)?)(?:s?[, ]|s|(?=[+-]))"
    r"([+-]?)([0-9]{1,2})[d: ]([0-9]{1,2})[m: ]([0-9]{1,2}(?:\.[0-9]*)?)s?"
)


def looks_like_coordinates(text: str) -> bool:
    """Tell whether a text is meant as coordinates, be they right or wrong.

    Parameters
    ----------
    text : str
        As somebody typed it.

    Returns
    -------
    bool
        Whether it starts with a number, has at least two, and nothing that
        coordinates do not have.
    """
    if len(text) > COORDINATES_MAX_CHARS:
        return False
    tidy = _tidy(text)
    return bool(_ALIKE.fullmatch(tidy)) and len(_parts(tidy)) > 1


def parse_coordinates(text: str) -> tuple[float, float] | None:
    """Read equatorial coordinates (ICRS).

    Taken are degrees ("325.678 +43.586", "325.678, 43.586", "325.678d 43.586d") and
    hours with degrees ("21:42:42.8 +43:35:10", "21h42m42.8s +43d35m10s",
    "21 42 42.8 +43 35 10").

    Parameters
    ----------
    text : str
        As somebody typed it.

    Returns
    -------
    tuple of float or None
        Right ascension and declination, degrees; None for a text that does not
        look like coordinates, such as a name.

    Raises
    ------
    InvalidInput
        If it looks like coordinates and is in no such form, or out of range.
    """
    if not looks_like_coordinates(text):
        return None
    tidy = _tidy(text)
    if degrees := _DEGREES.fullmatch(tidy):
        return _checked(float(degrees[1]), float(degrees[2]), text)
    if sexagesimal := _SEXAGESIMAL.fullmatch(tidy):
        ra_hours = _sum_up(text, *sexagesimal.group(1, 2, 3))
        dec_deg = _sum_up(text, *sexagesimal.group(5, 6, 7))
        return _checked(
            ra_hours * DEG_PER_HOUR, -dec_deg if sexagesimal[4] == "-" else dec_deg, text
        )
    raise InvalidInput(
        f"{shown(text)} cannot be read as coordinates. Give right ascension and declination "
        'as "325.678 +43.586" (degrees) or "21:42:42.8 +43:35:10" (hours, degrees).'
    )


def format_sexagesimal(ra_deg: float, dec_deg: float) -> str:
    """Return coordinates in hours and degrees, to 0.01 s and 0.1″.

    Parameters
    ----------
    ra_deg : float
        Right ascension, degrees; any turn.
    dec_deg : float
        Declination, −90 to 90 degrees.

    Returns
    -------
    str
        Such as ``21:42:42.80 +43:35:10.1``; `parse_coordinates` reads it.
    """
    ra_cs = round(ra_deg % RA_MAX_DEG / DEG_PER_HOUR * 360_000) % (24 * 360_000)
    dec_ds = round(abs(dec_deg) * 36_000)
    sign = "-" if dec_deg < 0 and dec_ds else "+"
    ra_min, ra_cs = divmod(ra_cs, 6_000)
    dec_min, dec_ds = divmod(dec_ds, 600)
    return (
        f"{ra_min // 60:02d}:{ra_min % 60:02d}:{ra_cs / 100:05.2f} "
        f"{sign}{dec_min // 60:02d}:{dec_min % 60:02d}:{dec_ds / 10:04.1f}"
    )


def _tidy(text: str) -> str:
    single_spaced = " ".join(text.translate(_SIGNS).split())
    return _AROUND_SIGNS.sub(r"\1", single_spaced)


def _parts(tidy: str) -> list[str]:
    """Return the numbers in a text, those before and behind a point as one."""
    return _NUMBERS.findall(tidy.replace(".", ""))


def _sum_up(text: str, whole: str, minutes: str, seconds: str) -> float:
    for name, value in (("minutes", float(minutes)), ("seconds", float(seconds))):
        if value >= 60:  # noqa: PLR2004 - of a minute, of an hour
            raise InvalidInput(f"{shown(text)} has {value:g} {name}; they must be below 60.")
    return float(whole) + float(minutes) / 60 + float(seconds) / 3600


def _checked(ra_deg: float, dec_deg: float, text: str) -> tuple[float, float]:
    if not 0 <= ra_deg < RA_MAX_DEG:
        raise InvalidInput(
            f"{shown(text)} has a right ascension of {ra_deg:g}° ({ra_deg / DEG_PER_HOUR:g} h), "
            "outside of 0 ≤ ra < 360° (24 h)."
        )
    if not abs(dec_deg) <= DEC_MAX_DEG:
        raise InvalidInput(
            f"{shown(text)} has a declination of {dec_deg:g}°, outside of −90 ≤ dec ≤ 90°."
        )
    return ra_deg, dec_deg

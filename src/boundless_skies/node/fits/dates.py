"""Times as cameras write them, as UTC."""

import datetime as dt
import re

_DATE = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_OLD_DATE = r"(?P<old_day>\d{2})/(?P<old_month>\d{2})/(?P<old_year>\d{2})"
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?P<fraction>\.\d*)?)?"
_OFFSET = r"(?P<offset>[Zz]|[+-]\d{2}:?\d{2})"
_STAMP = re.compile(rf"^(?:{_DATE}|{_OLD_DATE})(?:[T ]+{_TIME}\s*{_OFFSET}?)?$")
_MJD_EPOCH = dt.datetime(1858, 11, 17, tzinfo=dt.UTC)


def parse_utc(text: str, time_of_day: str = "") -> dt.datetime | None:
    """Read a date and time of a FITS header.

    Parameters
    ----------
    text : str
        ``2017-12-20T01:33:43.317``, with a fraction of any length, with ``Z`` or an
        offset (``-0700``, ``+00:00``), which is then taken off; also ``20/12/17``
        (years 1900 to 1999, as the standard has it).
    time_of_day : str, optional
        ``01:33:43.3``, used where `text` is a bare date.

    Returns
    -------
    datetime or None
        In UTC; None where the text is no time, or a date without one.
    """
    text = text.strip()
    if time_of_day and ":" not in text:
        text = f"{text}T{time_of_day.strip()}"
    match = _STAMP.match(text)
    if not match or match["hour"] is None:
        return None
    try:
        stamp = dt.datetime(*_day(match), int(match["hour"]), int(match["minute"]), tzinfo=dt.UTC)
        return stamp + _seconds(match) - _offset(match["offset"])
    except (ValueError, OverflowError):
        return None


def from_mjd(mjd: float) -> dt.datetime | None:
    """Turn a modified Julian date (UTC) into a datetime; None where it is no date."""
    try:
        return _MJD_EPOCH + dt.timedelta(days=mjd)
    except (ValueError, OverflowError):
        return None


def _day(match: re.Match[str]) -> tuple[int, int, int]:
    if match["year"] is not None:
        return int(match["year"]), int(match["month"]), int(match["day"])
    return 1900 + int(match["old_year"]), int(match["old_month"]), int(match["old_day"])


def _seconds(match: re.Match[str]) -> dt.timedelta:
    seconds = int(match["second"] or 0)
    # Second 60 is a leap second; 61 and more are none.
    if seconds > 60:  # noqa: PLR2004
        raise ValueError(f"no such second: {seconds}")
    digits = (match["fraction"] or ".0").ljust(2, "0")
    return dt.timedelta(seconds=seconds, microseconds=round(float(f"0{digits}") * 1e6))


def _offset(text: str | None) -> dt.timedelta:
    if text is None or text in {"Z", "z"}:
        return dt.timedelta()
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "")
    return sign * dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))

"""Instants, Julian dates, and how people say them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Gives the present instant, with a time zone."""

UNIX_EPOCH_JD = 2_440_587.5
"""Julian date of 1970-01-01T00:00 UTC."""
SECONDS_PER_DAY = 86_400.0
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
YEAR_S = 365.25 * DAY_S
JUST_NOW_S = 45
UNITS = (
    (59.5 * MINUTE_S, MINUTE_S, "minute"),
    (2 * DAY_S, HOUR_S, "hour"),
    (60 * DAY_S, DAY_S, "day"),
    (2 * YEAR_S, YEAR_S / 12, "month"),
)
"""Up to which age (s) a time is told in which unit (s)."""


def utc_now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)


def iso(instant: datetime | None) -> str | None:
    """Return an instant as ISO 8601 in UTC with Z, to the second."""
    if instant is None:
        return None
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def julian_date(instant: datetime) -> float:
    """Return the Julian date (days, in the time scale of the instant)."""
    return UNIX_EPOCH_JD + instant.timestamp() / SECONDS_PER_DAY


def calendar_text(bjd_tdb: float) -> str:
    """Return a barycentric Julian date as a calendar date and time, in TDB, to the minute."""
    days = bjd_tdb - UNIX_EPOCH_JD
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    return (instant + timedelta(seconds=30)).strftime("%Y-%m-%d %H:%M")


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 node``, ``12,345 nodes``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ago(then: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in the words of people."""
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    if seconds < JUST_NOW_S:
        return "just now"
    unit_s, noun = next(
        ((unit_s, noun) for limit_s, unit_s, noun in UNITS if seconds < limit_s), (YEAR_S, "year")
    )
    return f"{counted(max(1, round(seconds / unit_s)), noun)} ago"


def span_text(days: float) -> str:
    """Return a span of time in the words of people: minutes, hours or days."""
    if days * 24 < 1:
        return counted(max(1, round(days * 1440)), "minute")
    if days < 2:  # noqa: PLR2004 - a night is told in hours
        return f"{days * 24:.1f} hours"
    return counted(round(days), "day")

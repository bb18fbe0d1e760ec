"""Instants, spans and counts as the pages say them."""

from datetime import UTC, datetime

from boundless_skies.node.night.words import counted

__all__ = ["ago", "clock", "counted", "day_clock", "iso", "span", "until"]

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3_600.0, 86_400.0
_TOLD_IN_MINUTES_S = 99.5 * _MINUTE_S
_NOW_S = 5.0


def iso(instant: datetime) -> str:
    """Return an instant as ISO 8601 in UTC with Z, to the nearest second."""
    rounded = datetime.fromtimestamp(round(instant.timestamp()), UTC)
    return f"{rounded:%Y-%m-%dT%H:%M:%SZ}"


def clock(instant: datetime | None) -> str:
    """Return the time of day, UTC, to the nearest minute; a dash where there is none."""
    if instant is None:
        return "–"
    rounded = datetime.fromtimestamp(round(instant.timestamp() / _MINUTE_S) * _MINUTE_S, UTC)
    return f"{rounded:%H:%M}"


def day_clock(instant: datetime) -> str:
    """Return date and time of day, UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(seconds: float) -> str:
    """Return a length of time in the unit that people would take."""
    seconds = abs(seconds)
    if seconds < 2 * _MINUTE_S:
        return counted(round(seconds), "second")
    if seconds < _TOLD_IN_MINUTES_S:
        return counted(round(seconds / _MINUTE_S), "minute")
    if seconds < 2 * _DAY_S:
        return f"{seconds / _HOUR_S:.1f} hours"
    return counted(round(seconds / _DAY_S), "day")


def ago(then: datetime | None, now: datetime) -> str:
    """Return how long ago something was; ``never`` where it was not."""
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    return "just now" if seconds < _NOW_S else f"{span(seconds)} ago"


def until(then: datetime, now: datetime) -> str:
    """Return how far ahead something is, or how long ago it was."""
    seconds = (then - now).total_seconds()
    return f"in {span(seconds)}" if seconds > 0 else ago(then, now)

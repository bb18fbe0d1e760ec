"""When to call: jittered waits, and the pauses that a cloud asks for."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from threading import Lock

JITTER = 0.1
LONGEST_PAUSE_S = 3600.0


def jittered(interval_s: float, rng: Random) -> float:
    """Return an interval within ±10 % of the given one, so that a fleet does not march in step."""
    return interval_s * rng.uniform(1 - JITTER, 1 + JITTER)


def retry_after_s(value: str | None, now: Callable[[], datetime]) -> float | None:
    """Read a ``Retry-After`` header, in seconds or as a date.

    Parameters
    ----------
    value : str or None
        The header's text.
    now : callable
        Gives the present time (aware).

    Returns
    -------
    float or None
        Seconds to wait, at most an hour; None if absent or unreadable.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_PAUSE_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now()).total_seconds(), 0.0), LONGEST_PAUSE_S)


class Pauses:
    """Until when each kind of call must rest, because the cloud asked for it.

    Parameters
    ----------
    monotonic : callable
        Gives monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until: dict[str, float] = {}
        self._lock = Lock()

    def rest(self, kind: str, seconds: float | None) -> None:
        """Let one kind of call rest for so many seconds; None or 0 changes nothing."""
        if seconds:
            with self._lock:
                self._until[kind] = self._monotonic() + seconds

    def left_s(self, kind: str) -> float:
        """Return for how many seconds this kind of call must still rest."""
        with self._lock:
            return max(0.0, self._until.get(kind, 0.0) - self._monotonic())

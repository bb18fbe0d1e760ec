"""The clock that waiting code is handed, so that a night can also run under a fast one."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds from some fixed point on, which no setting of the clock moves."""

    def sleep(self, seconds: float, stop: Event) -> None:
        """Wait so many seconds, or until ``stop`` is set."""

    def thread(self, target: Callable[[], object], *, name: str) -> Thread:
        """Return a daemon thread, not yet started, whose work this clock's time waits for."""


class SystemClock:
    """The computer's own clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from some fixed point on, which no setting of the clock moves."""
        return time.monotonic()

    def sleep(self, seconds: float, stop: Event) -> None:
        """Wait so many seconds, or until ``stop`` is set."""
        stop.wait(max(0.0, seconds))

    def thread(self, target: Callable[[], object], *, name: str) -> Thread:
        """Return a daemon thread, not yet started."""
        return Thread(target=target, name=name, daemon=True)

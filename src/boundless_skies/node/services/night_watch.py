"""From a telescope that may not be there yet to a schedule that runs on it."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import Telescope
from boundless_skies.node.devices.errors import DeviceError
from boundless_skies.node.errors import NodeError
from boundless_skies.node.services.runner import PARK_LIMIT_S, ScheduleRunner
from boundless_skies.node.services.watchdog import Watchdog

log = logging.getLogger(__name__)

CONNECT_AGAIN_S = 15.0
"""Rest between two tries to reach a telescope that is not there (s)."""


class NightWatch:
    """Connects the telescope, once it is there, and runs the schedule on it.

    Parameters
    ----------
    connect : callable
        Returns the telescope; raises `DeviceError` where it is not there.
    make_runner : callable
        Returns the runner of a telescope; its second argument is to be called each second.
    make_watchdog : callable
        Returns what parks that telescope if this process dies; None for a telescope that dies
        with it.
    clock : Clock
        To wait with.

    Attributes
    ----------
    stop_limit_s : float
        How long its end may take, parking included (s).
    """

    stop_limit_s = PARK_LIMIT_S + 3.0

    def __init__(
        self,
        *,
        connect: Callable[[], Telescope],
        make_runner: Callable[[Telescope, Callable[[], None]], ScheduleRunner],
        make_watchdog: Callable[[Telescope], Watchdog | None],
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._make_runner = make_runner
        self._make_watchdog = make_watchdog
        self._clock = clock
        self._runner: ScheduleRunner | None = None
        self._trouble = "The telescope is being looked for."

    def run(self, stop: threading.Event) -> None:
        """Run the schedule until ``stop`` is set; the telescope is then parked."""
        telescope = self._reach(stop)
        if telescope is None:
            return
        watchdog = self._make_watchdog(telescope)
        try:
            if watchdog is not None and not self._take(watchdog, stop):
                return
            beat = watchdog.beat if watchdog is not None else _nothing
            self._runner = self._make_runner(telescope, beat)
            self._runner.run(stop)
        except NodeError as error:
            self._trouble = f"{error} The schedule is not run."
            log.error("%s", self._trouble)  # noqa: TRY400 - a sentence, no traceback
        finally:
            if watchdog is not None:
                watchdog.close()

    def facts(self) -> dict[str, Any]:
        """Return what the telescope does; see :meth:`ScheduleRunner.facts`."""
        if self._runner is not None:
            return self._runner.facts()
        return {"state": "unreachable", "doing": self._trouble, "target": None, "weather": {}}

    def _take(self, watchdog: Watchdog, stop: threading.Event) -> bool:
        """Take the telescope once nobody else steers it; False where ``stop`` came first."""
        while not stop.is_set():
            try:
                return watchdog.start(stop)
            except NodeError as error:
                self._trouble = f"{error} Trying again."
                log.error("%s", self._trouble)  # noqa: TRY400 - a sentence, no traceback
                self._clock.sleep(CONNECT_AGAIN_S, stop)
        return False

    def _reach(self, stop: threading.Event) -> Telescope | None:
        told = ""
        while not stop.is_set():
            try:
                telescope = self._connect()
            except DeviceError as error:
                self._trouble = f"{error} Trying again."
                if str(error) != told:
                    told = str(error)
                    log.warning("%s Trying again until it is there.", error)
                self._clock.sleep(CONNECT_AGAIN_S, stop)
            else:
                log.info("The telescope is here: %s.", telescope.name)
                return telescope
        return None


def _nothing() -> None:
    """Do nothing."""

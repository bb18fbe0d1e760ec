"""The watch over the telescope: weather, the mount's answers, and the owner's word.

It looks while the runner is busy with slews and exposures, and ends those that must not go on.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import Telescope, Weather
from boundless_skies.node.devices.errors import DeviceError, DeviceUnreachable
from boundless_skies.node.errors import NodeError
from boundless_skies.node.schedule.rules import Limits, weather_against
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import Command
from boundless_skies.node.storage.schedule import ScheduleStore

if TYPE_CHECKING:
    from datetime import datetime

log = logging.getLogger(__name__)

_ENDS_AT_ONCE = frozenset({Command.ABORT, Command.PARK, Command.SKIP})


class Cause(StrEnum):
    """Why the telescope is to let go of what it does."""

    STOP = "the node stops"
    UNSAFE = "it is not safe"
    OWNER = "the owner asked"


class Halt:
    """Ends what the telescope does; the gravest cause stands.

    Attributes
    ----------
    event : threading.Event
        Set while the telescope must let go; handed to each call that waits.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._lock = threading.Lock()
        self._cause: Cause | None = None
        self._graver = [Cause.OWNER, Cause.UNSAFE, Cause.STOP]

    @property
    def cause(self) -> Cause | None:
        """Why; None while the telescope may go on."""
        return self._cause

    def call(self, cause: Cause) -> None:
        """Let the telescope let go."""
        with self._lock:
            if self._cause is None or self._rank(cause) > self._rank(self._cause):
                self._cause = cause
            self.event.set()

    def settle(self) -> None:
        """Let the telescope go on, unless the node stops."""
        with self._lock:
            if self._cause is not Cause.STOP:
                self._cause = None
                self.event.clear()

    def _rank(self, cause: Cause) -> int:
        return self._graver.index(cause)


class Guard:
    """Looks after the telescope until it is told to stop.

    Parameters
    ----------
    telescope : Telescope
        Its mount and its weather are asked.
    store : ScheduleStore
        Where the safety latch is, and the owner's commands.
    halt : Halt
        Ends what the telescope does.
    clock : Clock
        The time, and waiting.
    limits : Limits
        Of the weather.
    settings : NightSettings
        How often to look, and how long a device may be silent.
    current : callable
        Gives the number of the work that runs; None where none does.
    """

    def __init__(
        self,
        *,
        telescope: Telescope,
        store: ScheduleStore,
        halt: Halt,
        clock: Clock,
        limits: Limits,
        settings: NightSettings,
        current: Callable[[], int | None],
        moved: Callable[[], bool],
        on_tick: Callable[[], None],
    ) -> None:
        self._telescope = telescope
        self._store = store
        self._halt = halt
        self._clock = clock
        # Clouds harm nothing: the schedule waits until they are gone.
        self._limits = replace(limits, cloud_cover_max_pct=None)
        self._settings = settings
        self._current = current
        self._moved = moved
        self._on_tick = on_tick
        self._silent_since_s: dict[str, float] = {}
        self.weather: Weather | None = None
        self.weather_at: datetime | None = None
        self.mount_silent_since: datetime | None = None
        self.danger: str | None = None
        # A danger whose latch the disk has not taken yet; nothing moves until it has.
        self._unkept: str | None = None

    def watch(self, stop: threading.Event) -> None:
        """Look until ``stop`` is set, which ends what the telescope does."""
        next_look_s = self._clock.monotonic()
        while not stop.is_set():
            try:
                self._on_tick()
                if self._clock.monotonic() >= next_look_s:
                    self.look()
                    next_look_s = self._clock.monotonic() + self._settings.look_every_s
                self._hear_owner()
            except NodeError as error:
                log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
            except Exception:
                log.exception("The watch over the telescope met unexpected trouble; it goes on.")
            self._clock.sleep(self._settings.hear_every_s, stop)
        self._halt.call(Cause.STOP)

    def look(self) -> str | None:
        """Ask the weather and the mount once; return what is unsafe, and stop for it."""
        danger = self._weather_danger() or self._mount_danger()
        self.danger = danger or self._unheard() or self._unkept
        if danger and self._moved():
            self._unkept = self._unkept or danger
        if self._unkept:
            self._stop_as_unsafe(self._unkept)
        return self.danger

    def _unheard(self) -> str | None:
        """Tell where nothing may move yet: behind a silent station there may be a storm."""
        if self._telescope.weather is None or self.weather is not None:
            return None
        return "The weather station has not answered since this node's start."

    def _stop_as_unsafe(self, danger: str) -> None:
        # The latch first: it is on disk before anything else can fail.
        try:
            if self._store.unsafe(danger):
                log.error("%s The telescope is stopped and parked.", danger)
            self._unkept = None
        finally:
            self._halt.call(Cause.UNSAFE)

    def _weather_danger(self) -> str | None:
        station = self._telescope.weather
        if station is None:
            return None
        try:
            weather = station.sense()
        except DeviceError as error:
            return self._silence("The weather station", error)
        self._heard("The weather station")
        self.weather, self.weather_at = weather, self._clock.now()
        against = weather_against(weather, self._limits)
        return f"{against}, at {self.weather_at:%Y-%m-%dT%H:%MZ}." if against else None

    def _mount_danger(self) -> str | None:
        try:
            self._telescope.mount.is_parked()
        except DeviceUnreachable as error:
            self.mount_silent_since = self.mount_silent_since or self._clock.now()
            return self._silence("The mount", error)
        except DeviceError:
            pass  # it answers
        self._heard("The mount")
        self.mount_silent_since = None
        return None

    def _heard(self, device: str) -> None:
        self._silent_since_s.pop(device, None)

    def _silence(self, device: str, error: DeviceError) -> str | None:
        since_s = self._silent_since_s.setdefault(device, self._clock.monotonic())
        silent_s = self._clock.monotonic() - since_s
        if silent_s < self._settings.lost_after_s:
            return None
        return (
            f"{device} has not answered for {silent_s:.0f} s, longer than this node's limit of "
            f"{self._settings.lost_after_s:.0f} s ({error})."
        )

    def _hear_owner(self) -> None:
        current = self._current()
        for asked in self._store.asked_commands() if current is not None else ():
            if asked.command in _ENDS_AT_ONCE and asked.work_id in {None, current}:
                self._halt.call(Cause.OWNER)

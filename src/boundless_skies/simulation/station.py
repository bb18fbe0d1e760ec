"""One station of the simulated world: the node as it is, at a simulated telescope.

It is a process of its own, so that it can be killed as a power cut would.
"""

import contextlib
import datetime as dt
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.config import load_config
from boundless_skies.node.config_text import annotated_yaml
from boundless_skies.node.factory import build_node
from boundless_skies.node.night_factory import build_night
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import Command
from boundless_skies.node.services.measuring import Outcome, measure_frame
from boundless_skies.node.services.night_watch import NightWatch
from boundless_skies.node.storage.data_folder import FolderLock, make_data_folder
from boundless_skies.node.storage.disk_room import frames_folder
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.simulation.clock import FastClock
from boundless_skies.simulation.dial import Dial
from boundless_skies.simulation.focuser import FocuserTraits
from boundless_skies.simulation.mount import MountTraits
from boundless_skies.simulation.scenario import (
    CONFIG_NAME,
    DATA_NAME,
    DIAL_NAME,
    FRAMES_NAME,
    PROGRESS_NAME,
    SUN_ALTITUDE_DEG,
    StationPlan,
    evening_of,
)
from boundless_skies.simulation.script import Script
from boundless_skies.simulation.stars import simulated_variables
from boundless_skies.simulation.telescope import SimulatedTelescope, Traits, simulated_telescope
from boundless_skies.sky import Night

log = logging.getLogger(__name__)

_BOOT_S = 90.0
_LOOK_S = 0.1
_BEAT_S = 2
_ARRIVES_BEFORE = dt.timedelta(minutes=10)
_OWNER_LOOKS_S = 60.0
_OWNER_WAITS_S = 900.0
_TURN_S = 10.0


def station_config(plan: StationPlan, url: str) -> str:
    """Return the config file of a station's node.

    Parameters
    ----------
    plan : StationPlan
        The station.
    url : str
        The cloud's address.

    Returns
    -------
    str
        YAML, with the shortest intervals that a link may have; the times of the night are the
        defaults that every node has.
    """
    return annotated_yaml(
        {
            "observatory.observer": plan.name,
            "observatory.latitude": plan.site.latitude_deg,
            "observatory.longitude": plan.site.longitude_deg,
            "observatory.elevation": plan.site.elevation_m,
            "observatory.telescope": "Simulated telescope",
            "photometry.node_id": plan.name,
            "telescope.enabled": True,
            "dashboard.enabled": False,
            "image_watcher.watch_path": FRAMES_NAME,
            "image_watcher.debounce_delay": 0.1,
            "image_watcher.poll_interval": 1.0,
            "image_watcher.incomplete_timeout": 2.0,
            "limits.sun_altitude": SUN_ALTITUDE_DEG,
            "schedule.interrupt_exposure": 20.0,
            "schedule.interrupt_count": 4,
            "schedule.keep_free": 0.1,
            "cloud.enabled": True,
            "cloud.url": url,
            "cloud.heartbeat_interval": _BEAT_S,
            "cloud.plan_poll_interval": _BEAT_S,
            "cloud.auto_run_plans": True,
            "cloud.data_dir": DATA_NAME,
        }
    )


def run_station(folder: str) -> None:
    """Run a station until it is told to end; the whole of its process.

    Parameters
    ----------
    folder : str
        Its folder, with its plan and its config; the working folder from now on.
    """
    os.chdir(folder)
    with Path("station.log").open("ab", buffering=0) as sink:
        os.dup2(sink.fileno(), sys.stdout.fileno())
        os.dup2(sink.fileno(), sys.stderr.fileno())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr, force=True
    )
    threading.Thread(target=_end_with_the_world, name="world", daemon=True).start()
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the world, which ends us
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Station(StationPlan.read(Path())).run(stop)


def _end_with_the_world() -> None:
    """End at once where the process that started this one is gone: nobody else would end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


class _MeasuringHere:
    """Measures in this process: a crash costs the station, which is killed now and then anyway."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config

    def measure(self, path: str, stop: threading.Event) -> Outcome | None:
        """Measure one frame; None where ``stop`` was set before."""
        return None if stop.is_set() else measure_frame(path, self._config)

    def close(self) -> None:
        """Nothing is held."""


class _Nights:
    """The nights of a station, one after the other, with what each brings settled in between.

    Parameters
    ----------
    plan : StationPlan
        What the station is.
    clock : FastClock
        The time of the nights.
    telescope : SimulatedTelescope
        What they are spent with.
    watch : NightWatch
        The node's own; runs a night.
    store : ScheduleStore
        The schedule.
    left : callable
        Gives how much there is yet to do, thing by thing, until a night is settled.
    """

    stop_limit_s = 60.0

    def __init__(
        self,
        *,
        plan: StationPlan,
        clock: FastClock,
        telescope: SimulatedTelescope,
        watch: NightWatch,
        store: ScheduleStore,
        left: Callable[[], Iterable[int]],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._telescope = telescope
        self._watch = watch
        self._store = store
        self._left = left

    def facts(self) -> dict[str, Any]:
        """Return what the telescope does."""
        return self._watch.facts()

    def run(self, stop: threading.Event) -> None:
        """Live through the nights, then let the node stay in touch with the cloud."""
        with self._clock.outside():
            for number in range(read_progress(Path()), len(self._plan.nights)):
                self._live_through(self._plan.nights[number], stop)
                self._settle(stop)
                if stop.is_set():
                    return
                self._progress(number + 1)
        stop.wait()

    def _live_through(self, night: Night, stop: threading.Event) -> None:
        evening = evening_of(night, self._plan.site)
        while not (stop.is_set() or self._has_plan(evening)):
            stop.wait(_LOOK_S)
        if stop.is_set():
            return
        self._clock.sleep(self._until(night.begins - _ARRIVES_BEFORE), stop)
        over = threading.Event()
        runner = self._clock.thread(lambda: self._watch.run(over), name="runner")
        owner = self._clock.thread(lambda: self._look_after(night, over, stop), name="owner")
        log.info("The night of %s begins, at %s.", evening, self._clock.now())
        for thread in (runner, owner):
            thread.start()
        for thread in (runner, owner):
            thread.join()
        log.info("The night of %s is over, at %s.", evening, self._clock.now())

    def _has_plan(self, evening: str) -> bool:
        plan = self._store.newest_plan()
        return plan is not None and plan.night == evening

    def _until(self, instant: dt.datetime) -> float:
        return (instant - self._clock.now()).total_seconds()

    def _look_after(self, night: Night, over: threading.Event, stop: threading.Event) -> None:
        """Be the owner: let the telescope go on after an unsafe stop, and end the night."""
        try:
            while not stop.is_set() and self._store.open_work() and self._until(night.ends) > 0.0:
                self._clock.sleep(_OWNER_LOOKS_S, stop)
                if self._may_go_on():
                    self._store.ask(Command.RESUME_AFTER_UNSAFE)
                    self._clock.sleep(_OWNER_LOOKS_S, stop)
        finally:
            over.set()

    def _may_go_on(self) -> bool:
        latch = self._store.latch()
        if latch is None or (self._clock.now() - latch.at).total_seconds() < _OWNER_WAITS_S:
            return False
        with contextlib.suppress(Exception):
            return self._telescope.weather.sense().is_safe is True
        return False

    def _settle(self, stop: threading.Event) -> None:
        """Wait until all that the night brought is measured, and with the cloud."""
        while not stop.is_set() and any(self._left()):
            stop.wait(_LOOK_S)

    def _progress(self, nights: int) -> None:
        draft = Path(f"{PROGRESS_NAME}.part")
        told = {"nights": nights, "at": time.time()}
        draft.write_text(json.dumps(told), encoding="utf-8")
        draft.replace(PROGRESS_NAME)


class Station:
    """A node with a simulated telescope, in the working folder.

    It is put together as every node is, but for its clock, its telescope, and its photometry,
    which needs no process of its own here.

    Parameters
    ----------
    plan : StationPlan
        What it is.
    """

    def __init__(self, plan: StationPlan) -> None:
        self._plan = plan
        self._config = load_config(Path(CONFIG_NAME))
        self._data = make_data_folder(Path(DATA_NAME))
        self._frames = frames_folder(self._config)
        self._frames.mkdir(exist_ok=True)
        self._clock = self._wind_up()
        self._node = build_node(
            self._config,
            self._data,
            Path(CONFIG_NAME),
            clock=self._clock,
            measuring=_MeasuringHere(self._config),
            make_night=self._make_nights,
        )

    def run(self, stop: threading.Event) -> None:
        """Be a node until told to end."""
        with FolderLock(self._data):
            self._node.program.run(stop)

    def _wind_up(self) -> FastClock:
        dial = Dial(Path(DIAL_NAME))
        shown = dial.read()
        dusk = self._plan.nights[0].begins - _ARRIVES_BEFORE
        start = dusk if shown is None else shown + dt.timedelta(seconds=_BOOT_S)
        began_s = start.timestamp()
        dial.show(began_s)
        return FastClock(
            start, speed=self._plan.speed, on_leap=lambda leapt_s: dial.show(began_s + leapt_s)
        )

    def _make_nights(self, store: ScheduleStore) -> _Nights:
        telescope = self._build_telescope()
        settings = NightSettings.from_config(self._config)
        return _Nights(
            plan=self._plan,
            clock=self._clock,
            telescope=telescope,
            watch=build_night(
                self._config,
                self._data,
                store,
                self._clock,
                connect=lambda: telescope,
                settings=replace(settings, turn_s=_TURN_S, hear_every_s=_TURN_S),
            ),
            store=store,
            left=self._left,
        )

    def _build_telescope(self) -> SimulatedTelescope:
        plan, catalogue = self._plan, Catalogue.load()
        # What it is like comes from its seed alone; its noise must differ after each restart.
        started = int(self._clock.now().timestamp())
        return simulated_telescope(
            self._clock,
            plan.site,
            seed=(plan.seed, started),
            catalogue=catalogue,
            stars=simulated_variables(catalogue),
            script=Script(plan.cues),
            traits=_traits(plan.seed),
        )

    def _left(self) -> Iterator[int]:
        """Give how much there is yet to do, thing by thing."""
        counts, status = self._node.ledger.counts(), self._node.link.status
        yield counts["measured"]
        yield sum(1 for _ in self._frames.glob("*.fits")) - counts["handed"] - counts["refused"]
        yield len(self._node.store.unsent_events(1))
        for waiting in ("queued_uploads", "queued_events", "interrupts_unacked"):
            yield int(status[waiting])


def _traits(seed: int) -> Traits:
    """Draw what a station's telescope is like."""
    draw = np.random.default_rng(seed).uniform
    return Traits(
        mount=MountTraits(
            slew_deg_s=float(draw(1.5, 6.0)),
            alignment_error_arcsec=float(draw(60.0, 500.0)),
            slew_error_arcsec=float(draw(5.0, 40.0)),
        ),
        focuser=FocuserTraits(
            best=float(draw(4_900.0, 5_100.0)), sharpest_px=float(draw(2.2, 3.2))
        ),
    )


def read_progress(folder: Path) -> int:
    """Return how many nights a station has behind it.

    Parameters
    ----------
    folder : Path
        The station's folder.

    Returns
    -------
    int
        0 before the first is over.
    """
    try:
        told: dict[str, Any] = json.loads((folder / PROGRESS_NAME).read_text("utf-8"))
    except FileNotFoundError:
        return 0
    return int(told["nights"])

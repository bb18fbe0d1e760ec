"""The demo with a telescope to command: a plan, the owner's word, an interrupt, a kill, the books.

::

    with TelescopePlay(folder, narrator) as play:
        books = play.play()
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
import yaml

from boundless_skies.demo.books import CloudReader, NightBooks, take_books, take_night_books
from boundless_skies.demo.evening import LASTS, Evening, HighStar, find_evening
from boundless_skies.demo.narration import DemoFailure, Narrator, Step
from boundless_skies.demo.processes import Child, call, held_signals
from boundless_skies.demo.simulators import (
    APERTURE_MM,
    Changes,
    free_port,
    simulators_config,
    simulators_words,
    write_sky,
)
from boundless_skies.demo.stage import REACT_LIMIT_S, Stage
from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.schedule import states
from boundless_skies.node.schedule.states import FINAL, RUNNING
from boundless_skies.node.schedule.work import ExposureRecord, ExposureState, Work
from boundless_skies.node.services.measuring import refusal_line
from boundless_skies.node.services.watchdog import LOCK_NAME
from boundless_skies.node.storage.schedule import FILE_NAME as SCHEDULE_NAME
from boundless_skies.node.storage.schedule import ScheduleStore

EXPOSURE_S = 1.5
CENTRING_S = 1.0
COUNTS = (8, 2, 2)
"""How many exposures each target of the plan gets: the first so many that the interrupt finds it
under way."""
INTERRUPT_COUNT = 2

_SKY_RADIUS_DEG = 2.0
# As with each mount, it points a little off where it believes to, and drifts: the stars tell, and
# no two frames are the same.
_IMPERFECT = {"pointing_error_ra": 1.2, "pointing_error_dec": -0.8, "bad_tracking": True}
# A Seestar's own pixels, and stars of 5″ as over a garden: the simulator takes a star's light at
# the middle of each pixel, so that sharper stars would change their brightness with their place,
# and saturate.
_SOFT_STARS: Changes = {
    "camera": {
        "cameraxsize": 1080,
        "cameraysize": 1920,
        "numx": 1080,
        "numy": 1920,
        "pixelsizex": 2.9,
        "pixelsizey": 2.9,
    },
    "focuser": {"position": 10_400},
    "filterwheel": {"position": 3},  # "Clear"
}
_READY_LIMIT_S = 60.0
_WORK_LIMIT_S = 180.0
_PARK_LIMIT_S = 60.0
_STOP_LIMIT_S = 30.0
_CALL_LIMIT_S = 10.0
_LOOK_S = 0.1


class TelescopePlay(Stage):
    """Plays the demo with simulated Alpaca devices; ends every process that it started.

    Parameters
    ----------
    folder : Path
        A fresh folder.
    narrator : Narrator
        Tells it.
    """

    def __init__(self, folder: Path, narrator: Narrator) -> None:
        super().__init__(folder, narrator)
        self.dashboard = ""
        self.target = ""
        self._address = ""
        self._plan_id = ""
        self._kills = 0
        self._simulators: Child | None = None
        self._open_store: ScheduleStore | None = None

    def play(self) -> NightBooks:
        """Play all acts.

        Returns
        -------
        NightBooks
            What became of the plan's exposures.

        Raises
        ------
        DemoFailure
            If a step does not go as it must.
        """
        tell = self._narrator
        tell.act("A night sky, and a network of one telescope")
        evening = self._find_evening()
        *planned, urgent = evening.stars
        stars = self._start_simulators(evening)
        self._start_cloud()
        self._await_simulators(stars)
        self._start_node(evening.site, self._answers())
        self._meet_telescope()
        tell.act("A plan, and the owner's word")
        self._publish_plan(planned)
        self._accept_plan()
        tell.act("The telescope at work, by itself")
        self._begin()
        tell.act("Something flares up: an interrupt")
        self._interrupt(urgent)
        tell.act("The node is killed (kill -9)")
        self._lose_node()
        tell.act("The node is back")
        self._bring_node_back()
        self._finish()
        tell.act("The books")
        return self._close_books()

    @property
    def keepsakes(self) -> list[tuple[str, str]]:
        """What stays when all is over: what it is, and where."""
        return [("Frames", str(self._frames)), ("Logs", f"{self.folder}/*.log")]

    @property
    def pages(self) -> list[tuple[str, str]]:
        """What can be looked at while cloud and node run: what it is, and its address."""
        curve = f"{self.url}/targets/{quote(self.target, safe='')}"
        return [("Dashboard", self.dashboard), ("Cloud", self.url), ("Light curve", curve)]

    # -- acts ---------------------------------------------------------------------------

    def _find_evening(self) -> Evening:
        with self._narrator.step("A place is chosen where it is night now") as step:
            evening = find_evening(datetime.now(UTC), len(COUNTS) + 1)
            below_deg = -evening.sun_altitude_deg
            step.outcome = f"{evening.place}: the Sun is {below_deg:.0f}° below the horizon"
        high = ", ".join(f"{one.star.name} at {one.altitude_deg:.0f}°" for one in evening.stars)
        self._narrator.say(f"High there: {high}.", "dim")
        return evening

    def _start_simulators(self, evening: Evening) -> int:
        """Start what takes longest; return how many stars its sky has."""
        sky, config = self.folder / "sky.sqlite", self.folder / "simulators.yaml"
        places_deg = [(one.star.ra_deg, one.star.dec_deg) for one in evening.stars]
        site = {
            "sitelatitude": evening.site.latitude_deg,
            "sitelongitude": evening.site.longitude_deg,
            "siteelevation": evening.site.elevation_m,
        }
        settings = simulators_config(sky, _SOFT_STARS, {"telescope": site}) | _IMPERFECT
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        stars = write_sky(sky, places_deg, _SKY_RADIUS_DEG)
        port = free_port()
        self._address = f"127.0.0.1:{port}"
        program, *words = simulators_words(config, port)
        log = self.folder / "simulators.log"
        with held_signals():
            self._simulators = Child(
                "telescope", words, log=log, folder=self.folder, program=[program]
            )
        return stars

    def _await_simulators(self, stars: int) -> None:
        with self._narrator.step("A telescope that speaks ASCOM Alpaca starts") as step:
            self.simulators.wait_until(self._answers_calls, _READY_LIMIT_S, "did not come up")
            step.outcome = f"a simulator at {self._address}; it draws {stars:,} stars of Tycho-2"

    def _answers_calls(self) -> bool:
        try:
            urllib3.request("GET", f"http://{self._address}/management/v1/configureddevices")
        except urllib3.exceptions.HTTPError:
            return False
        return True

    def _answers(self) -> dict[str, object]:
        port = free_port()
        self.dashboard = f"http://127.0.0.1:{port}"
        return {
            "observatory.telescope": "Simulated Seestar",
            # The simulated stars twinkle, as they do above such a small lens.
            "observatory.aperture_mm": APERTURE_MM,
            # The owner's command may be given in any folder.
            "image_watcher.watch_path": str(self._frames),
            "cloud.data_dir": str(self._data),
            "telescope.enabled": True,
            "telescope.address": self._address,
            "dashboard.enabled": True,
            "dashboard.port": port,
            "schedule.centring_exposure": CENTRING_S,
            "schedule.interrupt_exposure": EXPOSURE_S,
            "schedule.interrupt_count": INTERRUPT_COUNT,
            # A run of the autofocus takes its minutes.
            "schedule.focus_every": 0.0,
        }

    def _meet_telescope(self) -> None:
        with self._narrator.step("It finds its telescope, and leaves it parked") as step:
            self.node.wait_until(
                lambda: self._telescope.get("state") == "waiting",
                REACT_LIMIT_S,
                "did not find its telescope",
            )
            self._must_be_parked()
            step.outcome = f"dashboard at {self.dashboard}"

    def _publish_plan(self, stars: Sequence[HighStar]) -> None:
        with self._narrator.step("The operator publishes a plan") as step:
            plan = self.folder / "plan.json"
            plan.write_text(json.dumps(_plan(stars)), encoding="utf-8")
            node_id = str(self._link["node_id"])
            call([*self._operator, "plan", "publish", node_id, str(plan)], "publishing a plan")
            self._wait(self._store.waiting_plan)
            step.outcome = ", ".join(
                f"{one.star.name} {count} × {EXPOSURE_S:g} s"
                for one, count in zip(stars, COUNTS, strict=True)
            )
        self._must_be_parked()

    def _accept_plan(self) -> None:
        waiting = self._store.waiting_plan()
        if waiting is None:
            raise self.node.failure("does not wait for the owner's word")
        self._plan_id = waiting.plan_id
        with self._narrator.step("It waited for the owner: boundless node plan accept") as step:
            said = call(["node", "plan", "accept"], "accepting the plan", self.folder)
            step.outcome = said.strip().splitlines()[0]

    def _begin(self) -> None:
        first = self._store.all_work(self._plan_id)[0].target
        self.target = first
        with self._narrator.step(f"It unparks, points at {first} and centres by the stars") as step:
            self._wait_for_work(self._store.open_exposures, step, "did not expose")
            step.outcome = self._off_the_middle(first)
        with self._narrator.step("It exposes, and measures meanwhile") as step:
            self._wait_for_work(lambda: self._frames_in("handed"), step, "did not measure")
            step.outcome = self._counted()

    def _off_the_middle(self, target: str) -> str:
        found = re.findall(rf"{re.escape(target)} stands (\S+)′ off the middle", self.node.said())
        return f"{found[-1]}′ off the middle" if found else "not centred; its log tells why"

    def _interrupt(self, urgent: HighStar) -> None:
        name, reason = urgent.star.name, "brighter than it should be; look at once"
        with self._narrator.step("The operator sends an interrupt") as step:
            place = [f"--ra={urgent.star.ra_deg}", f"--dec={urgent.star.dec_deg}"]
            call(
                [*self._operator, "interrupt", name, *place, "--reason", reason],
                "sending an interrupt",
            )
            self._wait(self._store.interrupts)
            step.outcome = f"{name}: {reason}"
        with self._narrator.step("It goes first, once the exposure under way is finished") as step:
            self._wait_for_work(
                lambda: self._interrupts_in(RUNNING | FINAL), step, "did not take the interrupt on"
            )
            left = [work for work in self._items() if work.step is states.Step.PREEMPTED]
            self._wait_for_work(
                lambda: self._interrupts_in(FINAL), step, "did not finish the interrupt"
            )
            if self._items_are_over():
                raise self.node.failure("left the interrupt for the end of the plan")
            step.outcome = "; ".join(
                [f"{name} {INTERRUPT_COUNT} × {EXPOSURE_S:g} s"]
                + [f"{work.target} waits after {work.taken} of {work.count}" for work in left]
            )

    def _lose_node(self) -> None:
        with self._narrator.step("… in the midst of an exposure") as step:
            self._wait_for_work(self._open_item, step, "did not go on with the plan")
            work = self._open_item()
            if self._mount().is_parked():
                raise self.node.failure("exposes with a parked mount")
            killed_at_s = time.monotonic()
            self.node.kill()
            self._kills += 1
            if work is not None:
                step.outcome = f"{work.target}, exposure {work.taken} of {work.count}"
        with self._narrator.step("The watchdog, a process of its own, parks the telescope") as step:
            self._wait_for_rest("was not parked by the watchdog")
            step.outcome = f"parked {time.monotonic() - killed_at_s:.1f} s after the kill"

    def _open_item(self) -> Work | None:
        """Return the plan's item of which an exposure is under way."""
        open_ids = {record.work_id for record in self._store.open_exposures()}
        return next((work for work in self._items() if work.id in open_ids), None)

    def _bring_node_back(self) -> None:
        with self._narrator.step("It starts again, and goes on where it was") as step:
            self._run_node()
            self._wait_for_work(
                lambda: (
                    [work for work in self._items() if work.step in RUNNING]
                    or self._items_are_over()
                ),
                step,
                "did not resume the plan",
            )
            step.outcome = ", ".join(
                f"{work.target}, {work.count - work.taken} of {work.count} still to take"
                for work in self._items()
                if work.step in RUNNING
            )

    def _finish(self) -> None:
        with self._narrator.step("The rest of the plan is observed") as step:
            self._wait_for_work(self._items_are_over, step, "did not finish the plan")
            step.outcome = self._counted()
        with self._narrator.step("Nothing is left to do: the telescope is parked"):
            self._wait_for_rest("was not parked at the end")
        with self._narrator.step("All frames are measured and delivered") as step:
            self._wait_for_work(self._all_measured, step, "did not measure its frames")
            self._drain(step)
            step.outcome = self._counted()
        self._tell_refusals()
        with self._narrator.step("The cloud was told what became of each target") as step:
            self._wait(lambda: not self._store.unsent_events() and not self._link["queued_events"])
            step.outcome = self._told_to_cloud()

    def _told_to_cloud(self) -> str:
        words = [*self._operator, "plan", "show", self._plan_id, "--json"]
        items = json.loads(call(words, "asking what became of the plan"))["items"]
        if untold := [one["target"] for one in items if one["told"] is None]:
            raise self.node.failure(f"did not tell the cloud what became of {', '.join(untold)}")
        return ", ".join(f"{one['target']} {one['told']['state']}" for one in items)

    def _close_books(self) -> NightBooks:
        cloud = CloudReader(self.url)
        with self._narrator.step("The plan, the frames and the cloud are held together") as step:
            with self._ledger() as ledger:
                accepted = ledger.handed()
            curves = {target: cloud.light_curve(target) for target in cloud.targets()}
            books = take_night_books(
                self._exposures(),
                take_books(accepted, curves, cloud.rows()),
                measured=len(accepted),
                parked=self._mount().is_parked(),
                kills=self._kills,
            )
            step.outcome = f"{len(curves)} light curves"
        self._narrator.books(str(books), balance=books.balance)
        return books

    # -- what there is to see -------------------------------------------------------------

    @property
    def _telescope(self) -> dict[str, Any]:
        telescope: dict[str, Any] = self._status.get("telescope") or {}
        return telescope

    @property
    def _store(self) -> ScheduleStore:
        """The node's schedule, as its owner's command reads it."""
        if self._open_store is None:
            self._open_store = ScheduleStore(self._data / SCHEDULE_NAME, mends=False)
        return self._open_store

    def _items(self) -> tuple[Work, ...]:
        return self._store.all_work(self._plan_id)

    def _items_are_over(self) -> bool:
        return all(work.step in FINAL for work in self._items())

    def _interrupts_in(self, steps: frozenset[states.Step]) -> list[Work]:
        return [work for work in self._store.interrupts() if work.step in steps]

    def _exposures(self) -> list[tuple[Work, Sequence[ExposureRecord]]]:
        works = (*self._items(), *self._store.interrupts())
        return [(work, self._store.exposures(work.id)) for work in works]

    def _saved(self) -> int:
        return sum(
            record.state is ExposureState.SAVED
            for _, records in self._exposures()
            for record in records
        )

    def _all_measured(self) -> bool:
        return self._frames_in("handed", "refused") >= self._saved()

    def _counted(self) -> str:
        refused = self._frames_in("refused")
        skipped = f", {refused} skipped" if refused else ""
        return f"{self._saved()} exposed, {self._frames_in('handed')} measured{skipped}"

    def _wait_for_work(self, holds: Callable[[], object], step: Step, else_it: str) -> None:
        def looked() -> object:
            step.progress(self._counted())
            return holds()

        self.node.wait_until(looked, _WORK_LIMIT_S, else_it)

    def _tell_refusals(self) -> None:
        with self._ledger() as ledger:
            refused = ledger.refused()
        for frame, reason in refused:
            self._narrator.say(refusal_line(frame.name, reason), "yellow")

    # -- the mount ------------------------------------------------------------------------

    def _mount(self) -> AlpacaMount:
        return AlpacaMount(Server(self._address, _CALL_LIMIT_S), 0, SystemClock(), _PARK_LIMIT_S)

    def _must_be_parked(self) -> None:
        if not self._mount().is_parked():
            raise self.node.failure("moved the telescope without the owner's word")

    def _wait_for_rest(self, else_it: str) -> None:
        """Wait until the mount is parked; the node may be dead meanwhile."""
        self.simulators.wait_until(self._mount().is_parked, _PARK_LIMIT_S, else_it)

    @property
    def simulators(self) -> Child:
        """The running telescope."""
        if self._simulators is None:
            raise DemoFailure("the telescope was never started.")
        return self._simulators

    def _end(self) -> None:
        """End the node first, so that it parks; the telescope last, once nobody steers it."""
        if self._node is not None:
            self._node.stop(_STOP_LIMIT_S)
        super()._end()
        if self._open_store is not None:
            self._open_store.close()
        if self._simulators is not None:
            self._await_watchdog()
            self._simulators.stop()

    def _await_watchdog(self) -> None:
        """Let the watchdog of a node that was killed park the telescope."""
        until_s = time.monotonic() + _STOP_LIMIT_S
        while _is_locked(self._data / LOCK_NAME) and time.monotonic() < until_s:
            time.sleep(_LOOK_S)


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _plan(stars: Sequence[HighStar]) -> dict[str, Any]:
    return {
        "night": datetime.now(UTC).strftime("%Y-%m-%d"),
        "items": [
            {
                "target": one.star.name,
                "ra": one.star.ra_deg / 15.0,
                "dec": one.star.dec_deg,
                "expDur": EXPOSURE_S,
                "expCount": count,
                "end_utc": (datetime.now(UTC) + LASTS).isoformat(),
            }
            for one, count in zip(stars, COUNTS, strict=True)
        ],
    }

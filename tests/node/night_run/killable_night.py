"""A short night that is killed (SIGKILL) at any of its durable steps and device calls.

Run as a program with a ROOT it reads lines ``FOLDER POINT``: for each a child lives the night in
``ROOT/FOLDER`` and is killed at that point (0: at none); the answer is ``killed`` or ``done``.
The telescope stands outside of the process, as a real one does: whether it is parked, what it
follows, and each opening of its shutter are in files of its own, and outlive the node.
"""

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.nights import LIMITS, SITE, item, small_telescope

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.devices.capabilities import Exposure
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.services.centring import Centring
from boundless_skies.node.services.focusing import Focusing
from boundless_skies.node.services.plan_desk import PlanDesk
from boundless_skies.node.services.runner import MARK_NAME, ScheduleRunner
from boundless_skies.node.solving.seiza_solver import SeizaSolver
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.simulation.clock import FastClock
from boundless_skies.simulation.script import Script

DUSK = datetime(2026, 3, 1, 20, tzinfo=UTC)
ENDS = DUSK + timedelta(minutes=25)
BOOT = timedelta(seconds=20)
COUNTS = {"a": 2, "b": 1}
LENGTHS_S = {"a": 11.0, "b": 12.0}
ITEMS = [
    item("a", count=COUNTS["a"], exposure_s=LENGTHS_S["a"]),
    item("b", count=COUNTS["b"], exposure_s=LENGTHS_S["b"], start_utc=DUSK + timedelta(minutes=8)),
]
MOUNT, SHUTTER, TOLD, POINTS = "mount.json", "shutter", "told", "points"
_STEPS = ("put_plan", "advance", "begin_exposure", "save_exposure", "lose_exposure", "mark_sent")
_SETTINGS = NightSettings(auto_run=True, turn_s=20.0, hear_every_s=20.0)


class Reaper:
    """Counts what a night does, and kills it at one point."""

    def __init__(self, point: int) -> None:
        self._point = point
        self.passed = 0

    def pass_by(self) -> None:
        """Count one point."""
        self.passed += 1
        if self.passed == self._point:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a call with a point before and after it."""

        def counted(*given: Any, **named: Any) -> Any:
            self.pass_by()
            came = call(*given, **named)
            self.pass_by()
            return came

        return counted

    def watch(self, owner: Any, names: Sequence[str]) -> None:
        """Put points around some calls of an object, or of a module."""
        for name in names:
            setattr(owner, name, self.around(getattr(owner, name)))


class LastingClock:
    """The time at which a killed process ended: what is written outlasts a SIGKILL.

    Parameters
    ----------
    path : Path
        The file that keeps it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        shown = os.pread(self._file, 100, 0).decode("ascii")
        self.start = datetime.fromisoformat(shown) + BOOT if shown else DUSK
        self.show(0.0)

    def show(self, elapsed_s: float) -> None:
        """Keep how many seconds have gone by since the start."""
        now = self.start + timedelta(seconds=elapsed_s)
        os.pwrite(self._file, now.isoformat(timespec="microseconds").encode("ascii"), 0)


class LastingMount:
    """A simulated mount that goes on as it was when the process is gone."""

    def __init__(self, mount: Any, path: Path) -> None:
        self._mount = mount
        self._path = path
        if path.exists():
            state = json.loads(path.read_text("ascii"))
            mount._parked, mount._tracking = state["parked"], state["tracking"]
            mount._rest = tuple(state["rest"])

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._mount, name)
        return self._lasting(call) if name in {"slew", "park", "unpark", "set_tracking"} else call

    def _lasting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def lasting(*given: Any) -> None:
            call(*given)
            mount = self._mount
            state = {"parked": mount._parked, "tracking": mount._tracking, "rest": mount._rest}
            draft = self._path.with_suffix(".part")
            draft.write_text(json.dumps(state), "ascii")
            os.rename(draft, self._path)  # noqa: PTH104 - os.replace is one of the points

        return lasting


class CountedCamera:
    """A camera that puts down each opening of its shutter."""

    def __init__(self, camera: Any, path: Path) -> None:
        self._camera = camera
        self._path = path

    def expose(self, exposure_s: float, **more: Any) -> Exposure:
        """Open the shutter."""
        with self._path.open("a", encoding="ascii") as log:
            log.write(f"{exposure_s}\n")
        came: Exposure = self._camera.expose(exposure_s, **more)
        return came

    def abort_exposure(self) -> None:
        """Close it."""
        self._camera.abort_exposure()


class Ears:
    """A link that has on disk what it was told when it returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.status: dict[str, Any] = {}

    def report_events(self, plan_id: str, events: Sequence[dict[str, Any]]) -> bool:
        """Keep events of a plan."""
        with self._path.open("a", encoding="utf-8") as log:
            log.writelines(f"{json.dumps({'plan_id': plan_id} | event)}\n" for event in events)
        return True

    def report_interrupt_events(
        self, interrupt_id: int | str, events: Sequence[dict[str, Any]]
    ) -> bool:
        """Have none."""
        raise AssertionError((interrupt_id, events))


def live(folder: Path, point: int, catalogue: Catalogue) -> None:
    """Live the night, or what is left of it, in a folder."""
    folder.mkdir(exist_ok=True)
    frames = folder / "frames"
    frames.mkdir(exist_ok=True)
    reaper = Reaper(point)
    lasting = LastingClock(folder / "clock")
    clock = FastClock(lasting.start, on_leap=lasting.show)
    simulated = small_telescope(clock, Script())
    mount = LastingMount(simulated.mount, folder / MOUNT)
    camera = CountedCamera(simulated.camera, folder / SHUTTER)
    telescope = replace(simulated, mount=mount, camera=camera)  # type: ignore[arg-type]
    store = ScheduleStore(folder / FILE_NAME, clock.now)
    reaper.watch(store, _STEPS)
    reaper.watch(mount, ("slew", "park", "unpark", "set_tracking"))
    reaper.watch(camera, ("expose",))
    reaper.watch(os, ("fsync", "replace"))
    desk, ears = PlanDesk(store, _SETTINGS, UTC, clock.now), Ears(folder / TOLD)
    runner = ScheduleRunner(
        store=store,
        telescope=telescope,
        clock=clock,
        site=SITE,
        limits=LIMITS,
        settings=_SETTINGS,
        frames=frames,
        centring=Centring(
            telescope=telescope,
            catalogue=catalogue,
            solver=SeizaSolver(catalogue),
            folder=folder,
            exposure_s=5.0,
            tolerance_deg=0.05,
        ),
        focusing=Focusing(
            focuser=simulated.focuser, camera=camera, folder=folder, exposure_s=5.0, step=0
        ),
        mark=folder / MARK_NAME,
    )
    stop = threading.Event()

    def be_the_node() -> None:
        desk.take_plan(ITEMS, plan_id="p-1")  # the cloud sends it again after each start
        while clock.now() < ENDS:
            desk.tell(ears)
            clock.sleep(40.0, stop)
        stop.set()

    threads = [
        clock.thread(lambda: runner.run(stop), name="night"),
        clock.thread(be_the_node, name="node"),
    ]
    for thread in threads:
        thread.start()
    with clock.outside():
        for thread in threads:
            thread.join()
    desk.tell(ears)
    (folder / POINTS).write_text(f"{reaper.passed}", "ascii")


def main(root: Path) -> None:
    """Fork a night for each line."""
    logging.disable()
    catalogue = Catalogue.load()
    for line in sys.stdin:
        name, point = line.split()
        child = os.fork()
        if not child:
            live(root / name, int(point), catalogue)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"done {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Whole nights in seconds: a plan, a telescope, what befalls it, and what came of it all.

::

    world = NightWorld(tmp_path, at(20), script=[trouble(Trouble.RAIN, at(22), 1800)])
    world.plan([item("m81", count=3)])
    world.run(at(6, day=2), [(at(23), lambda: world.owner.ask(Command.RESUME_AFTER_UNSAFE))])
    assert world.steps() == {"m81": Step.DONE}

Every run is held to what no night may do: the mount follows nothing below the limit, and never
comes near the Sun; no exposure number is used twice, and each one that is saved has its file.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from astropy.io import fits

from boundless_skies.demo.rendering import Camera
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import CanExpose, Exposure, Telescope
from boundless_skies.node.devices.errors import DeviceError, Stopped
from boundless_skies.node.schedule.rules import Limits
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import RUNNING, Step
from boundless_skies.node.schedule.work import ExposureState, ScheduleEvent, Work
from boundless_skies.node.services.centring import Centring
from boundless_skies.node.services.focusing import Focusing
from boundless_skies.node.services.plan_desk import PlanDesk
from boundless_skies.node.services.runner import MARK_NAME, ScheduleRunner
from boundless_skies.node.solving.seiza_solver import SeizaSolver
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.simulation.camera import CameraTraits
from boundless_skies.simulation.clock import FastClock
from boundless_skies.simulation.mount import MountTraits, SimulatedMount
from boundless_skies.simulation.script import Cue, Script, Trouble
from boundless_skies.simulation.stars import simulated_variables
from boundless_skies.simulation.telescope import SimulatedTelescope, Traits, simulated_telescope
from boundless_skies.sky import Site, SkyOverSite, separation_deg

SITE = Site(48.1, 11.6, 500.0)
BERLIN = ZoneInfo("Europe/Berlin")
LIMITS = Limits(
    min_altitude_deg=25.0,
    sun_distance_deg=45.0,
    sun_altitude_deg=-12.0,
    moon_distance_deg=10.0,
    rain_rate_max_mm_h=0.0,
    wind_speed_max_m_s=12.0,
    cloud_cover_max_pct=70.0,
)
SETTINGS = NightSettings(auto_run=True, turn_s=30.0, hear_every_s=10.0, look_every_s=10.0)
RUN_LIMIT_S = 120.0
# After the last exposure's end: the image is fetched, and the mount is told to stand still.
_SLACK_DEG = 0.05
_FITS_BLOCK = 2_880

# Above the limit all night, on every date: it is near the pole.
HIGH = {"target": "High field", "ra": 2.0, "dec": 78.0}
LOW = {"target": "Low field", "ra": 12.0, "dec": -60.0}


def at(hour: int, minute: int = 0, *, day: int = 1, month: int = 3) -> datetime:
    """Return an instant of 2026, UTC; 1 March where nothing else is said."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def item(item_id: str, *, count: int = 2, exposure_s: float = 60.0, **more: Any) -> dict[str, Any]:
    """Return an item of a plan as a cloud sends it: a high field, unless said otherwise."""
    named = {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in more.items()
    }
    return {"item_id": item_id, **HIGH, "expDur": exposure_s, "expCount": count, **named}


def trouble(kind: Trouble, begins: datetime, lasts_s: float, strength: float = 1.0) -> Cue:
    """Return that something befalls the telescope."""
    return Cue(trouble=kind, begins=begins, lasts_s=lasts_s, strength=strength)


@dataclass(frozen=True)
class Sample:
    """Where the mount stood at an instant."""

    at: datetime
    ra_deg: float
    dec_deg: float
    parked: bool
    follows: bool
    moves: bool


class Track:
    """The way of the mount, looked at whenever time passes."""

    def __init__(self, clock: FastClock, mount: SimulatedMount) -> None:
        self._clock = clock
        self._mount = mount
        self.samples: list[Sample] = []

    def look(self) -> None:
        """Put down where the mount stands."""
        ra_deg, dec_deg = self._mount.true_position()
        self.samples.append(
            Sample(
                at=self._clock.now(),
                ra_deg=ra_deg,
                dec_deg=dec_deg,
                parked=self._mount._parked,
                follows=self._mount.follows,
                moves=self._mount._motion is not None,
            )
        )

    def has_moved(self) -> bool:
        """Tell whether the mount was ever on its way."""
        return any(sample.moves for sample in self.samples)

    def unparked_between(self, begins: datetime, ends: datetime) -> bool:
        """Tell whether the mount was awake at any instant of some time."""
        return any(not s.parked for s in self.samples if begins <= s.at <= ends)

    def assert_safe(self, site: Site, limits: Limits) -> None:
        """Hold each instant of the night to the limits."""
        awake = [sample for sample in self.samples if not sample.parked]
        if not awake:
            return
        sky = SkyOverSite([sample.at for sample in awake], site)
        ra_deg, dec_deg = (
            np.array([getattr(sample, name) for sample in awake]) for name in ("ra_deg", "dec_deg")
        )
        follows = np.array([sample.follows for sample in awake])
        at_rest = ~np.array([sample.moves for sample in awake])
        off_deg = separation_deg(ra_deg, dec_deg, sky.sun.ra_deg, sky.sun.dec_deg)
        altitude_deg = sky.star(ra_deg, dec_deg).altitude_deg
        for held, what in (
            (off_deg >= limits.sun_distance_deg, "near the Sun"),
            (~follows | (sky.sun.altitude_deg < 0.0), "following by day"),
            (
                ~(follows & at_rest) | (altitude_deg >= limits.min_altitude_deg - _SLACK_DEG),
                "below the limit",
            ),
        ):
            assert held.all(), (what, awake[int(np.argmin(held))])


@dataclass(frozen=True)
class Shot:
    """One call of the camera."""

    at: datetime
    exposure_s: float
    came: str
    """``image``, or the name of the error."""


class CountingCamera:
    """A camera that puts down each of its exposures, and what came of it."""

    def __init__(self, camera: CanExpose, clock: Clock) -> None:
        self._camera = camera
        self._clock = clock
        self.shots: list[Shot] = []

    def expose(
        self, exposure_s: float, *, binning: int = 1, light: bool = True, stop: threading.Event
    ) -> Exposure:
        """Expose, and put it down."""
        begun = self._clock.now()
        try:
            exposure = self._camera.expose(exposure_s, binning=binning, light=light, stop=stop)
        except (DeviceError, Stopped) as error:
            self.shots.append(Shot(begun, exposure_s, type(error).__name__))
            raise
        self.shots.append(Shot(begun, exposure_s, "image"))
        return exposure

    def abort_exposure(self) -> None:
        """End a running exposure."""
        self._camera.abort_exposure()

    def images(self) -> int:
        """Return how many exposures came to an image."""
        return sum(shot.came == "image" for shot in self.shots)


Deed = tuple[datetime, Callable[[], object]]


class NightWorld:
    """A node's schedule and a simulated telescope, under a clock that leaps.

    Parameters
    ----------
    folder : Path
        Of the node's data and frames.
    start : datetime
        The time at first.
    script : iterable of Cue
        What befalls the telescope.
    settings, limits : NightSettings, Limits
        As the owner has them.
    zone : tzinfo
        In which a plan's ``startTime`` is.
    sees : bool
        Whether the camera's frames show enough stars to centre and focus by, which takes time.
    parked : bool
        Whether the mount rests at first.
    """

    def __init__(
        self,
        folder: Path,
        start: datetime,
        *,
        script: Iterable[Cue] = (),
        settings: NightSettings = SETTINGS,
        limits: Limits = LIMITS,
        zone: tzinfo = BERLIN,
        sees: bool = False,
        parked: bool = True,
    ) -> None:
        self.folder, self.frames = folder, folder / "frames"
        self.frames.mkdir(exist_ok=True)
        self.clock = FastClock(start, on_leap=lambda _elapsed_s: self.track.look())
        self.settings, self.limits, self._zone, self._sees = settings, limits, zone, sees
        self.simulated = small_telescope(self.clock, Script(script), sees=sees, parked=parked)
        self.track = Track(self.clock, self.simulated.mount)
        self.camera = CountingCamera(self.simulated.camera, self.clock)
        self.telescope: Telescope = replace(self.simulated, camera=self.camera)
        self.store = ScheduleStore(folder / FILE_NAME, self.clock.now)
        # The owner's dashboard or command line: a store of its own at the same file.
        self.owner = ScheduleStore(folder / FILE_NAME, self.clock.now, mends=False)
        self.desk = PlanDesk(self.store, settings, zone, self.clock.now)
        self.lacks_room: Callable[[int], str | None] = lambda _frames: None
        self.runner = self.make_runner()

    def make_runner(self, on_tick: Callable[[], None] = lambda: None) -> ScheduleRunner:
        """Return a new runner, as after a start of the node."""
        return ScheduleRunner(
            store=self.store,
            telescope=self.telescope,
            clock=self.clock,
            site=SITE,
            limits=self.limits,
            settings=self.settings,
            frames=self.frames,
            centring=self._centring() if self._sees else None,
            focusing=self._focusing() if self._sees else None,
            on_tick=on_tick,
            mark=self.folder / MARK_NAME,
            lacks_room=self.lacks_room,
        )

    def restart(self) -> None:
        """Let another process take over, as after a cut: all that it knows is on disk."""
        self.store.close()
        self.store = ScheduleStore(self.folder / FILE_NAME, self.clock.now)
        self.desk = PlanDesk(self.store, self.settings, self._zone, self.clock.now)
        self.runner = self.make_runner()

    def _centring(self) -> Centring:
        catalogue = Catalogue.load()
        return Centring(
            telescope=self.telescope,
            catalogue=catalogue,
            solver=SeizaSolver(catalogue),
            folder=self.folder,
            exposure_s=self.settings.centring_exposure_s,
            tolerance_deg=self.settings.centring_tolerance_deg,
        )

    def _focusing(self) -> Focusing:
        return Focusing(
            focuser=self.simulated.focuser,
            camera=self.camera,
            folder=self.folder,
            exposure_s=self.settings.centring_exposure_s,
            step=self.settings.focus_step,
        )

    # -- what comes in ------------------------------------------------------------------

    def plan(self, items: Sequence[Any], plan_id: str = "p-1", night: str | None = None) -> bool:
        """Let a plan come from the cloud."""
        return self.desk.take_plan(items, plan_id=plan_id, night=night)

    def work(self, item_id: str, plan_id: str = "p-1") -> Work:
        """Return an item as it stands, or an interrupt."""
        every = (*self.store.all_work(plan_id), *self.store.interrupts())
        return next(work for work in every if work.item_id == item_id)

    # -- the night ----------------------------------------------------------------------

    def run(self, until: datetime, deeds: Iterable[Deed] = ()) -> None:
        """Run the schedule until an instant, and do what is to be done on the way."""
        stop = threading.Event()
        failures: list[BaseException] = []

        def night() -> None:
            self.runner.run(stop)

        def direct() -> None:
            try:
                for when, deed in sorted(deeds, key=lambda one: one[0]):
                    self.clock.sleep((when - self.clock.now()).total_seconds(), threading.Event())
                    deed()
                self.clock.sleep((until - self.clock.now()).total_seconds(), threading.Event())
            except BaseException as error:  # noqa: BLE001 - told in the test's own thread
                failures.append(error)
            finally:
                stop.set()

        threads = [self.clock.thread(night, name="night"), self.clock.thread(direct, name="deeds")]
        self._see_out(threads)
        for failure in failures:
            raise failure

    def run_until_step(self, item_id: str, step: Step) -> None:
        """Run the schedule until some seconds after work has come to a step, then stop."""
        stop = threading.Event()

        def stop_there() -> None:
            try:
                while self.work(item_id).step is not step:
                    self.clock.sleep(1.0, stop)
                self.clock.sleep(2.5, stop)
            finally:
                stop.set()

        self._see_out(
            [
                self.clock.thread(lambda: self.runner.run(stop), name="night"),
                self.clock.thread(stop_there, name="stop"),
            ]
        )

    def _see_out(self, threads: Sequence[threading.Thread]) -> None:
        for thread in threads:
            thread.start()
        with self.clock.outside():
            for thread in threads:
                thread.join(RUN_LIMIT_S)
                assert not thread.is_alive(), f"{thread.name} goes on at {self.clock.now()}"
        self.track.look()
        self.assert_sound()

    def assert_sound(self) -> None:
        """Hold the run to what no night may do."""
        self.track.assert_safe(SITE, self.limits)
        files = {path for path in self.frames.iterdir() if path.suffix == ".fits"}
        kept: Counter[Path] = Counter()
        for work in self._every_work():
            records = self.store.exposures(work.id)
            assert [record.number for record in records] == list(range(1, work.taken + 1))
            kept.update(Path(r.path) for r in records if r.state is ExposureState.SAVED)
        assert set(kept) == files
        assert set(kept.values()) <= {1}
        assert all(path.stat().st_size % _FITS_BLOCK == 0 for path in files)
        for path in sorted(files)[-1:]:
            assert fits.getdata(path).any()
        assert len([work for work in self._every_work() if work.step in RUNNING]) <= 1

    # -- what came of it ----------------------------------------------------------------

    def _every_work(self) -> list[Work]:
        rows = self.store._works("1 ORDER BY id")
        return list(rows)

    def steps(self) -> dict[str, Step]:
        """Return where each item and interrupt stands."""
        return {work.item_id: work.step for work in self._every_work()}

    def numbers(self, item_id: str, state: ExposureState = ExposureState.SAVED) -> list[int]:
        """Return the exposure numbers of an item that came to a state."""
        work = next(work for work in self._every_work() if work.item_id == item_id)
        return [r.number for r in self.store.exposures(work.id) if r.state is state]

    def saved(self) -> dict[str, int]:
        """Return how many frames each item and interrupt came to."""
        return {work.item_id: len(self.numbers(work.item_id)) for work in self._every_work()}

    def events(self, item_id: str | None = None) -> list[ScheduleEvent]:
        """Return what the cloud is to be told of an item or interrupt, or of plans as a whole."""
        return [
            event
            for event in self.store.unsent_events(1_000)
            if item_id == (event.item_id or event.interrupt_id)
        ]

    def told(self, item_id: str | None = None) -> list[str]:
        """Return the states that the cloud is to be told."""
        return [str(event.state) for event in self.events(item_id)]

    def is_parked(self) -> bool:
        """Tell whether the mount rests, whether it answers or not."""
        return self.track.samples[-1].parked


def small_telescope(
    clock: FastClock, script: Script, *, sees: bool = False, parked: bool = True
) -> SimulatedTelescope:
    """Return a telescope whose frames cost little; with `sees` they can be solved."""
    optics = CameraTraits().optics if sees else Camera(height_px=40, width_px=30)
    traits = Traits(
        mount=MountTraits(alignment_error_arcsec=300.0 if sees else 0.0, slew_error_arcsec=0.0),
        camera=CameraTraits(optics=optics),
    )
    stars = simulated_variables(Catalogue.load()) if sees else ()
    return simulated_telescope(
        clock, SITE, seed=1, script=script, traits=traits, parked=parked, stars=stars
    )

"""The node's own runner at a simulated telescope: a night is the same each time it passes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import numpy as np
from astropy.io import fits

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.schedule.rules import Limits
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import Step
from boundless_skies.node.services.plan_desk import PlanDesk
from boundless_skies.node.services.runner import ScheduleRunner
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.simulation.clock import FastClock
from boundless_skies.simulation.planner import PlannerSettings, plan_night
from boundless_skies.simulation.script import Cue, Script, Trouble
from boundless_skies.simulation.stars import simulated_variables
from boundless_skies.simulation.telescope import simulated_telescope
from boundless_skies.sky import Site, night_around

CATALOGUE = Catalogue.load()
STARS = simulated_variables(CATALOGUE)
SITE = Site(45.0, 10.0, 300.0)
NIGHT = night_around(datetime(2026, 3, 1, 22, 0, tzinfo=UTC), SITE, -12.0)
LIMITS = Limits(
    min_altitude_deg=20.0, sun_distance_deg=30.0, sun_altitude_deg=-12.0, moon_distance_deg=5.0
)
SETTINGS = NightSettings(auto_run=True, focus_every_s=0.0)
PLANNER = PlannerSettings(items=2, exposures=3, exposure_s=15.0, least_moon_distance_deg=10.0)


def pass_night(folder: Path, *cues: Cue) -> tuple[list[tuple[str, ...]], list[bytes], int]:
    """Pass a night; return what was told of it, the frames, and how many were planned."""
    assert NIGHT is not None
    folder.mkdir()
    clock = FastClock(NIGHT.begins)
    store = ScheduleStore(folder / FILE_NAME, clock.now)
    items = plan_night(NIGHT, SITE, STARS, np.random.default_rng(1), PLANNER)
    PlanDesk(store, SETTINGS, UTC, clock.now).take_plan(items, plan_id="plan-1")
    runner = ScheduleRunner(
        store=store,
        telescope=simulated_telescope(
            clock, SITE, seed=1, catalogue=CATALOGUE, stars=STARS, script=Script(cues)
        ),
        clock=clock,
        site=SITE,
        limits=LIMITS,
        settings=SETTINGS,
        frames=folder,
    )
    over, never = Event(), Event()

    def wait_for_end() -> None:
        while store.open_work() and clock.now() < NIGHT.ends:
            clock.sleep(30.0, never)
        over.set()

    threads = [
        clock.thread(lambda: runner.run(over), name="runner"),
        clock.thread(wait_for_end, name="end"),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
        assert not thread.is_alive()
    told = [
        (event.item_id or "", str(event.state), event.reason, event.at.isoformat())
        for event in store.unsent_events(1_000)
    ]
    steps = {work.step for work in store.all_work("plan-1")}
    assert steps <= {Step.DONE, Step.SKIPPED, Step.FAILED}
    store.close()
    frames = [fits.getdata(path).tobytes() for path in sorted(folder.glob("*.fits"))]
    return told, frames, sum(item["expCount"] for item in items)


def cue(trouble: Trouble, after_min: float, lasts_s: float, strength: float = 0.0) -> Cue:
    """Return a trouble so many minutes after dusk."""
    assert NIGHT is not None
    begins = NIGHT.begins + timedelta(minutes=after_min)
    return Cue(trouble=trouble, begins=begins, lasts_s=lasts_s, strength=strength)


def test_night_with_troubles_passes_the_same_way_each_time(tmp_path: Path) -> None:
    """Events with their instants and reasons, and every pixel, are the same in two runs."""
    troubles = (cue(Trouble.MOUNT_SILENT, 20.5, 40.0), cue(Trouble.CLOUDS, 22.0, 300.0, 1.0))
    first = pass_night(tmp_path / "first", *troubles)
    assert pass_night(tmp_path / "second", *troubles) == first
    assert len(first[1]) > 0


def test_clear_night_brings_all_that_was_planned(tmp_path: Path) -> None:
    """Without troubles each planned exposure is a frame, and all its items are told as done."""
    told, frames, planned = pass_night(tmp_path / "night")
    assert len(frames) == planned == 6
    assert (
        sorted(state for _, state, _, _ in told) == ["accepted", "done", "done"] + ["running"] * 2
    )


def test_rain_ends_the_night_until_the_owner_lets_it_go_on(tmp_path: Path) -> None:
    """After rain nothing moves by itself, however long the sky has been clear again."""
    told, frames, planned = pass_night(tmp_path / "night", cue(Trouble.RAIN, 21.0, 60.0, 2.0))
    assert 0 <= len(frames) < planned
    assert "preempted" in {state for _, state, _, _ in told}
    assert "done" not in {state for _, state, _, _ in told}

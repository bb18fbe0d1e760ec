"""The demo with a telescope as a newcomer runs it, and the pieces that it is made of."""

import fcntl
import importlib.util
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from tests.node.program.fakes import until

from boundless_skies.demo.books import Books, NightBooks, take_night_books
from boundless_skies.demo.evening import LASTS, find_evening, measurable_stars
from boundless_skies.demo.main import demo
from boundless_skies.demo.narration import Narrator
from boundless_skies.demo.simulators import write_sky
from boundless_skies.demo.telescope_play import COUNTS, INTERRUPT_COUNT, TelescopePlay
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.config import defaults
from boundless_skies.node.schedule.items import read_items
from boundless_skies.node.schedule.states import PlanState, Step
from boundless_skies.node.schedule.work import ExposureState
from boundless_skies.node.services.watchdog import LOCK_NAME
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.sky import altitude_azimuth_deg
from boundless_skies.sky.twilight import sun_altitude_deg

COMMAND = [sys.executable, "-m", "boundless_skies.cli", "demo", "--telescope"]
PLANNED = sum(COUNTS) + INTERRUPT_COUNT
EVEN = NightBooks(
    planned=6, exposed=5, cut_off=1, measured=5, measurements=Books(5, 0, 0), parked=True, kills=1
)


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the demo in ``folder/night``."""
    return subprocess.Popen(
        [*COMMAND, "--folder", str(folder / "night")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )


def running_in(folder: Path) -> list[str]:
    """Return the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.soak  # a minute; a real night at the simulators is in tests/acceptance/test_nights.py
@pytest.mark.timeout(600)  # real processes, on a machine that may be busy
def test_demo_at_a_telescope_ends_with_books_that_balance(tmp_path: Path) -> None:
    """Agreed to, centred, interrupted, killed, parked, resumed: each frame there, and once."""
    process = start(tmp_path)
    try:
        told, _ = process.communicate(timeout=500)
    finally:
        process.terminate()
        process.communicate()
    assert process.returncode == 0, told
    assert f"planned {PLANNED}, exposed " in told
    assert "lost 0, duplicated 0; the mount is parked" in told
    for step in ("′ off the middle", "is accepted: 3 targets", "waits after", "after the kill"):
        assert step in told, told
    frames = list((tmp_path / "night" / "frames").glob("*.fits"))
    assert PLANNED - 1 <= len(frames) <= PLANNED
    assert running_in(tmp_path) == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_demo_that_is_stopped_while_it_exposes_parks_and_leaves_no_process(tmp_path: Path) -> None:
    """Ctrl-C at the telescope: the node parks it, and everything ends."""
    process = start(tmp_path)
    try:
        until(lambda: any((tmp_path / "night" / "frames").glob("*.fits")), deadline_s=300.0)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=300)
    finally:
        process.terminate()
        process.communicate()
    assert process.returncode == 130, told
    assert "Parking the telescope" in (tmp_path / "night" / "node.log").read_text()
    assert running_in(tmp_path) == []


def test_simulators_that_are_missing_are_named_with_what_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear line, before anything is made or started."""
    found = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> object:
        return None if name == "alpaca_simulators" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    done = CliRunner().invoke(demo, ["--telescope", "--folder", str(tmp_path / "night")])
    assert done.exit_code == 1
    assert "pip install alpaca-simulators" in done.output
    assert not (tmp_path / "night").exists()


@pytest.mark.parametrize("words", [["--count", "24"], ["--ra", "1", "--dec", "2"]])
def test_telescope_takes_no_other_frames(words: list[str]) -> None:
    """What is about frames of one's own is refused beside --telescope."""
    done = CliRunner().invoke(demo, ["--telescope", *words])
    assert done.exit_code == 2
    assert "only --folder and --stay go with it" in done.output


def test_help_tells_what_telescope_does_and_each_exit_code_on_its_line() -> None:
    """A newcomer's first look."""
    lines = CliRunner().invoke(demo, ["--help"]).output.splitlines()
    assert any(line.strip().startswith("--telescope") for line in lines)
    assert [line.split()[:2] for line in lines if "books balance" in line] == [["Exit", "code"]]


@pytest.mark.parametrize("month", range(1, 13))
def test_it_is_night_somewhere_and_stars_stand_high_there(month: int) -> None:
    """At each hour of the day, in each month, all targets stay above the node's limit."""
    limit_deg = defaults()["limits"]["min_altitude"]
    for hour in range(0, 24, 3):
        now = datetime(2027, month, 7 + hour, hour, 20, tzinfo=UTC)
        evening = find_evening(now, len(COUNTS) + 1)
        assert len({one.star.name for one in evening.stars}) == len(COUNTS) + 1
        for at in (now, now + LASTS / 2, now + LASTS):
            assert sun_altitude_deg(at, evening.site) < -14.0
            for one in evening.stars:
                place = (one.star.ra_deg, one.star.dec_deg)
                assert altitude_azimuth_deg(at, *place, evening.site)[0] > limit_deg + 2.0


def test_stars_to_measure_are_neither_too_bright_nor_too_faint() -> None:
    """Mira is too bright, SS Cyg too faint for the catalogue; SW Lac is right."""
    names = {star.name for star in measurable_stars(Catalogue.load())}
    assert "SW Lac" in names
    assert names.isdisjoint({"omi Cet", "SS Cyg", "U Cep"})


def test_sky_holds_each_star_of_its_places_once(tmp_path: Path) -> None:
    """Two cones that overlap: what is in both is drawn once, what is in neither is not there."""
    places = [(83.8, 22.0), (84.3, 22.0)]
    count = write_sky(tmp_path / "sky.sqlite", places, 1.0)
    with closing(sqlite3.connect(tmp_path / "sky.sqlite")) as base:
        rows = base.execute("SELECT ra, dec, phot_g_mean_mag FROM gaia_sources").fetchall()
    cones = [Catalogue.load().cone(*place, 1.0) for place in places]
    wanted = {
        star
        for cone in cones
        for star in zip(cone.ra_deg.tolist(), cone.dec_deg.tolist(), cone.mag.tolist(), strict=True)
    }
    assert len(rows) == count == len(wanted) < sum(map(len, cones))
    assert set(rows) == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"exposed": 6, "cut_off": 0, "measured": 6, "measurements": Books(6, 0, 0)},
        {"cut_off": 0, "planned": 5},
    ],
)
def test_night_without_a_lost_exposure_balances_too(change: dict) -> None:
    """A kill between two exposures costs none."""
    assert EVEN.balance
    assert NightBooks(**{**vars(EVEN), **change}).balance


@pytest.mark.parametrize(
    "change",
    [
        {"planned": 7},
        {"exposed": 4},
        {"exposed": 4, "cut_off": 2},
        {"measured": 4},
        {"measurements": Books(4, 1, 0)},
        {"measurements": Books(5, 0, 1)},
        {"parked": False},
    ],
)
def test_night_books_find_what_is_missing(change: dict) -> None:
    """An exposure, a frame, a measurement or the parking that is missing unbalances them."""
    books = NightBooks(**{**vars(EVEN), **change})
    assert not books.balance


def test_frame_that_is_said_to_be_saved_and_is_not_there_is_missing(tmp_path: Path) -> None:
    """The books look at the files, not only at what the schedule says of them."""
    now = datetime.now(UTC)
    items = [{"target": "SW Lac", "ra": 22.9, "dec": 37.9, "expDur": 2.0, "expCount": 3}]
    planned, _ = read_items(items, night="", received_at=now, zone=UTC)
    with closing(ScheduleStore(tmp_path / FILE_NAME)) as store:
        store.put_plan("p", planned, (), state=PlanState.ACCEPTED, expires_at=now + LASTS)
        work = store.all_work("p")[0]
        assert store.advance(work.id, Step.PENDING, Step.SLEWING)
        assert store.advance(work.id, Step.SLEWING, Step.EXPOSING)
        (tmp_path / "1.fits").touch()
        for number in (1, 2, 3):
            assert store.begin_exposure(work.id, number, tmp_path / f"{number}.fits")
            end = store.lose_exposure if number == 3 else store.save_exposure
            assert end(work.id, number)
        records = store.exposures(work.id)
    assert [record.state for record in records] == [*[ExposureState.SAVED] * 2, ExposureState.LOST]
    books = take_night_books([(work, records)], Books(1, 0, 0), measured=1, parked=True, kills=1)
    assert (books.planned, books.exposed, books.cut_off) == (3, 1, 1)
    assert not books.balance


class Ending:
    """A child that puts down that it was ended."""

    def __init__(self, name: str, ended: list[str]) -> None:
        self._name, self._ended = name, ended

    def stop(self, limit_s: float = 0.0) -> None:
        """Put it down."""
        del limit_s
        if self._name not in self._ended:
            self._ended.append(self._name)


def test_telescope_ends_last_once_the_watchdog_has_parked_it(tmp_path: Path) -> None:
    """While the watchdog of a node that was killed is at it, the telescope stays there."""
    (tmp_path / "node").mkdir()
    lock = os.open(tmp_path / "node" / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ended: list[str] = []
    play = TelescopePlay(tmp_path, Narrator(Console(quiet=True)))
    play._node, play._cloud = Ending("node", ended), Ending("cloud", ended)  # type: ignore[assignment]
    play._simulators = Ending("telescope", ended)  # type: ignore[assignment]

    def park() -> None:
        until(lambda: "cloud" in ended)
        ended.append("parked")
        os.close(lock)

    watchdog = threading.Thread(target=park, name="watchdog")
    watchdog.start()
    with play:
        pass
    watchdog.join()
    assert ended == ["node", "cloud", "parked", "telescope"]

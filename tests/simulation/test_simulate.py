"""``boundless simulate``: the whole world, small, with processes that are really killed."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from boundless_skies.cli import main
from boundless_skies.node.config import load_config
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.simulation.accounts import Account
from boundless_skies.simulation.dial import Dial
from boundless_skies.simulation.main import simulate
from boundless_skies.simulation.scenario import CONFIG_NAME, DATA_NAME, make_stations
from boundless_skies.simulation.station import read_progress, station_config

COMMAND = [sys.executable, "-m", "boundless_skies.cli", "simulate"]
NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)


def running_in(folder: Path) -> list[str]:
    """Return the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
        except OSError:
            continue
    return found


@pytest.mark.timeout(600)  # real processes, on a machine that may be busy
def test_small_world_balances_though_nodes_and_cloud_are_killed(tmp_path: Path) -> None:
    """Each exposure of two nodes is accounted for, once, and nothing is left running."""
    words = ["--nodes", "2", "--nights", "1", "--exposures", "3", "--node-kills", "2"]
    words += [
        "--cloud-kills",
        "1",
        "--interrupts",
        "1",
        "--json",
        "--folder",
        str(tmp_path / "sim"),
    ]
    done = subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert (told["node_kills"], told["cloud_kills"], told["interrupts"]) == (2, 1, 1)
    assert (told["lost"], told["duplicated"], told["untold"]) == (0, 0, 0)
    assert told["delivered"] == told["measured"] > 0
    assert told["planned"] == told["exposed"] + told["cut_off"] + told["not_begun"]
    whole = sum((Account(**account) for account in told["stations"].values()), start=Account())
    assert whole.to_dict() == {name: told[name] for name in whole.to_dict()}
    assert told["truth"]["points"] > 0
    assert told["truth"]["within_3_sigma"] > 0.8
    assert "station-001" in told["stations"]
    assert running_in(tmp_path) == []
    for name in told["stations"]:
        assert read_progress(tmp_path / "sim" / name) == 1
        store = ScheduleStore(tmp_path / "sim" / name / DATA_NAME / FILE_NAME, mends=False)
        plan = store.newest_plan()
        store.close()
        assert plan is not None
        assert len(plan.items) == 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.soak)]
)
def test_world_that_is_ended_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    """Ended in order it ends its cloud and stations; even killed, its stations end themselves."""
    folder = tmp_path / "sim"
    words = ["--nodes", "1", "--nights", "2", "--speed", "1", "--folder", str(folder)]
    world = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL)
    log = folder / "station-001" / "station.log"
    wait_until(log.exists)
    station = [
        pid for pid in running_in(folder) if Path(f"/proc/{pid}/cwd").readlink() == log.parent
    ]
    world.send_signal(number)
    world.wait(60.0)
    wait_until(lambda: not set(station) & set(running_in(folder)))
    assert station
    if number is signal.SIGTERM:
        wait_until(lambda: running_in(folder) == [])
    for left in running_in(folder):  # a cloud whose demo was killed outlives it
        os.kill(int(left), signal.SIGKILL)


def wait_until(holds: object, limit_s: float = 90.0) -> None:
    """Wait for something."""
    assert callable(holds)
    ends_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is written into somebody's folder; the message says what to do."""
    result = CliRunner().invoke(main, ["simulate", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "is there already; name another with --folder" in " ".join(result.output.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--nodes", "0"], ["--nights", "0"], ["--speed", "0.5"]])
def test_world_of_nothing_is_refused(words: list[str]) -> None:
    """A number that cannot be meant is a usage error."""
    assert CliRunner().invoke(simulate, words).exit_code == 2


def test_dial_goes_on_after_a_cut(tmp_path: Path) -> None:
    """The next process reads what was shown last; a new dial shows nothing."""
    path = tmp_path / "dial"
    dial = Dial(path)
    assert dial.read() is None
    for minutes in range(3):
        dial.show((NOW + timedelta(minutes=minutes)).timestamp())
    del dial
    shown = Dial(path).read()
    assert shown is not None
    assert abs(shown - (NOW + timedelta(minutes=2))) < timedelta(microseconds=2)


def test_config_of_a_station_is_one_that_nodes_read(tmp_path: Path) -> None:
    """Its place, its cloud and its will to run plans are in it."""
    (plan,) = make_stations(1, 1, seed=1, today=NOW, speed=1.0)
    (tmp_path / CONFIG_NAME).write_text(station_config(plan, "http://127.0.0.1:1"))
    config = load_config(tmp_path / CONFIG_NAME)
    assert config["observatory"]["latitude"] == plan.site.latitude_deg
    assert config["cloud"]["url"] == "http://127.0.0.1:1"
    assert config["cloud"]["auto_run_plans"] is True


def test_station_without_progress_is_at_its_beginning(tmp_path: Path) -> None:
    """No file means no night."""
    assert read_progress(tmp_path) == 0

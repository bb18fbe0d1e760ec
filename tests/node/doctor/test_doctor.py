"""``boundless node doctor``: what is wrong with a node's computer, and what to do."""

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from tests.node.devices.fakes import fake_alpaca
from tests.node.program.fakes import config_for
from tests.support.capture_server import Answer, CaptureServer

from boundless_skies.node import doctor
from boundless_skies.node.doctor import Finding, Level, examine

HEALTH = "/api/v1/health"
SECRETS = ("key-that-nobody-sees", "code-that-nobody-sees", "password-that-nobody-sees")


@pytest.fixture
def cloud() -> Iterator[CaptureServer]:
    """Run a cloud that answers."""
    server = CaptureServer()
    try:
        yield server
    finally:
        server.close()


def write_config(folder: Path, url: str = "", **blocks: dict[str, object]) -> Path:
    """Write the config of a node whose frames lie in a folder that is there."""
    (folder / "frames").mkdir(exist_ok=True)
    config = config_for(folder, url)
    for name, block in blocks.items():
        config[name] |= block
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def findings(path: Path, off_s: float = 0.0) -> dict[str, Finding]:
    """Examine with a clock that is so far off; return the last finding of each check."""
    found = examine(path, lambda: datetime.now(UTC) + timedelta(seconds=off_s))
    return {finding.check: finding for finding in found}


def test_healthy_node_has_nothing_but_oks(tmp_path: Path, cloud: CaptureServer) -> None:
    """Every part is looked at for real: libraries, folders, catalogue, solver, times, cloud."""
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "a.fits").touch()
    found = findings(write_config(tmp_path, cloud.url))
    wrong = {check for check, finding in found.items() if finding.level is not Level.OK}
    # The bundled leap seconds hold for some time only, and tests are run later too.
    assert wrong <= {"time scales"}
    assert list(found) == [
        *("Python", "libraries", "config", "data folder", "watched folder"),
        *("catalogue", "plate solver", "time scales", "cloud", "clock"),
    ]
    assert "frames in it: 1." in found["watched folder"].text
    assert "1,871,011 stars" in found["catalogue"].text


def test_looking_changes_nothing_and_gives_nothing_away(
    tmp_path: Path, cloud: CaptureServer
) -> None:
    """No folder is made; the cloud sees one call without identity and key."""
    path = write_config(tmp_path, cloud.url, cloud={"api_key": SECRETS[0], "node_id": "node-7"})
    before = sorted(tmp_path.rglob("*"))
    findings(path)
    assert sorted(tmp_path.rglob("*")) == before
    (request,) = cloud.requests
    assert (request.method, request.path) == ("GET", HEALTH)
    assert SECRETS[0] not in str(request.headers)
    assert "node-7" not in str(request.headers)


@pytest.mark.parametrize(
    ("off_s", "level", "told"),
    [(60.0, "warning", "60 s ahead of"), (-60.0, "warning", "60 s behind"), (2.0, "ok", "within")],
)
def test_clock_is_held_against_the_clouds(
    tmp_path: Path, cloud: CaptureServer, off_s: float, level: str, told: str
) -> None:
    """More than 5 s warns and says how to set it; a second or two is the header's own grain."""
    finding = findings(write_config(tmp_path, cloud.url), off_s)["clock"]
    assert finding.level == level
    # The header is cut to the second.
    assert told in finding.text.replace("59 s", "60 s").replace("61 s", "60 s")


def test_silent_cloud_is_given_up_in_time(tmp_path: Path, cloud: CaptureServer) -> None:
    """One that takes the call and never answers fails, as does one that is not there."""
    cloud.rules[HEALTH] = Answer(delay_s=30.0)
    limits = {"timeout": 0.3, "connect_timeout": 0.3}
    silent = findings(write_config(tmp_path, cloud.url, cloud=limits))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        absent = findings(write_config(tmp_path, url, cloud=limits))
    for found in (silent, absent):
        assert found["cloud"].level is Level.FAILED
        assert "nothing is lost" in found["cloud"].text
        assert found["clock"].level is Level.WARNING


def test_address_of_something_else_fails(tmp_path: Path, cloud: CaptureServer) -> None:
    """A web server that is no cloud."""
    cloud.rules[HEALTH] = Answer(status=404)
    found = findings(write_config(tmp_path, cloud.url))
    assert found["cloud"].level is Level.FAILED
    assert "status 404" in found["cloud"].text
    assert found["clock"].level is Level.OK


@pytest.mark.parametrize(
    ("blocks", "check", "level", "told"),
    [
        (
            {"cloud": {"heartbeat_intervall": 3}},
            "config",
            Level.FAILED,
            "did you mean cloud.heartbeat_interval?",
        ),
        ({"cloud": {"enabled": True}}, "config", Level.FAILED, "cloud.url is empty"),
        (
            {"cloud": {"enabled": True, "url": "cloud.example.org"}},
            "config",
            Level.FAILED,
            "write it as https://cloud.example.org",
        ),
        ({"cloud": {"data_dir": "/proc/none"}}, "data folder", Level.FAILED, "/proc cannot be"),
        (
            {"image_watcher": {"watch_path": "/proc/none"}},
            "watched folder",
            Level.FAILED,
            "Mount the telescope's storage",
        ),
        ({"image_watcher": {"enabled": False}}, "watched folder", Level.OK, "none"),
        ({}, "cloud", Level.OK, "off"),
        ({}, "clock", Level.WARNING, "timedatectl"),
    ],
)
def test_each_fault_is_told_with_what_to_do(
    tmp_path: Path, blocks: dict[str, dict[str, object]], check: str, level: Level, told: str
) -> None:
    """By the check that finds it."""
    finding = findings(write_config(tmp_path, **blocks))[check]
    assert finding.level is level
    assert told in finding.text


def test_without_a_config_the_computer_is_examined_all_the_same(tmp_path: Path) -> None:
    """And the command that makes one is named."""
    found = findings(tmp_path / "config.yaml")
    assert "boundless node init" in found["config"].text
    assert found["plate solver"].level is Level.OK
    assert "cloud" not in found


@pytest.mark.parametrize(
    ("free_mib", "level"), [(50, Level.FAILED), (500, Level.WARNING), (5_000, Level.OK)]
)
def test_room_is_judged(free_mib: float, level: Level) -> None:
    """A full disk fails, one that fills up warns."""
    assert doctor._judge_room(Path("data"), free_mib).level is level


def test_leap_seconds_that_have_run_out_warn() -> None:
    """With the command that brings new ones."""
    finding = doctor.examine_leap_seconds(lambda: datetime(2099, 1, 1, tzinfo=UTC))
    assert finding.level is Level.WARNING
    assert "pip install --upgrade astropy-iers-data" in finding.text


@pytest.mark.parametrize(
    ("needed", "told"),
    [("numpy>=99; extra == 'node'", "numpy>=99 is needed"), ("no-such-thing", "not installed")],
)
def test_missing_and_old_libraries_fail(
    monkeypatch: pytest.MonkeyPatch, needed: str, told: str
) -> None:
    """What other extras need is none of the node's."""
    others = ["torch>=99; extra == 'cloud'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: [needed, *others])
    wrong = [finding for finding in doctor.examine_software() if finding.level is Level.FAILED]
    assert len(wrong) == 1
    assert told in wrong[0].text


def test_solver_that_is_wrong_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solution an arcsecond and more away is none."""
    monkeypatch.setattr(doctor, "_solve_made_field", lambda: 7.0)
    assert doctor.examine_solver().level is Level.FAILED


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "boundless_skies.cli", "node", "doctor", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"COLUMNS": "400"},
    )


def test_command_shows_no_secret_and_ends_with_1(tmp_path: Path) -> None:
    """As lines and as JSON: neither the key, nor the code, nor a password in the address."""
    block = {
        "enabled": True,
        "api_key": SECRETS[0],
        "activation_code": SECRETS[1],
        "url": f"https://me:{SECRETS[2]}@cloud.example.org",
    }
    write_config(tmp_path, cloud=block)
    lines, as_json = run(tmp_path), run(tmp_path, "--json")
    assert (lines.returncode, as_json.returncode) == (1, 1)
    told = json.loads(as_json.stdout)
    assert {"check", "level", "text"} == set(told[0])
    assert [entry["level"] for entry in told] == [
        line.split()[0] for line in lines.stdout.split("\n")[:-1]
    ]
    assert "must not carry a user name or password" in lines.stdout
    for secret in SECRETS:
        assert secret not in lines.stdout + lines.stderr + as_json.stdout + as_json.stderr


def test_telescope_that_answers_is_named(tmp_path: Path) -> None:
    """What it has is told; nothing is ordered of it."""
    with fake_alpaca() as telescope:
        block = {"enabled": True, "address": telescope.address}
        found = findings(write_config(tmp_path, telescope=block))["telescope"]
        assert found.level is Level.OK, found
        assert telescope.address in found.text
        assert "camera" in found.text
        assert telescope.orders == []


def test_telescope_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """It may be switched off, or its address wrong: the schedule cannot run."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        block = {"enabled": True, "address": address}
        found = findings(write_config(tmp_path, telescope=block))["telescope"]
    assert found.level is Level.FAILED
    assert address in found.text


def test_telescope_that_is_not_used_is_not_looked_for(tmp_path: Path) -> None:
    """Nobody's network is searched without need."""
    assert "telescope" not in findings(write_config(tmp_path))

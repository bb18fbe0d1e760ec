"""``boundless node …`` as an owner types it."""

import csv
import dataclasses
import json
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.node.program.fakes import config_for, until
from tests.support.warm_python import NODE_LIBRARIES, warm_python

import boundless_skies.demo
from boundless_skies.node.config import defaults, load_config
from boundless_skies.node.storage.data_folder import FolderLock
from boundless_skies.node.storage.status_file import read_status, write_status
from boundless_skies.wire import Measurement

REAL_FRAME = Path(boundless_skies.demo.__file__).parent / "data" / "t_sex.fits.fz"
PROGRAM = "boundless_skies.cli"
COMMAND = [sys.executable, "-m", PROGRAM, "node"]
Boundless = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def boundless() -> Iterator[Boundless]:
    """Give a caller of ``boundless node`` in a folder, away from a terminal."""
    environment = os.environ | {"COLUMNS": "400", "NO_COLOR": "1"}
    with warm_python(NODE_LIBRARIES) as python:
        yield lambda folder, *words: python.run(
            PROGRAM, "node", *words, cwd=folder, env=environment
        )


def write_config(folder: Path, **blocks: dict[str, object]) -> Path:
    """Write a quick config, with blocks changed."""
    config = config_for(folder)
    for name, block in blocks.items():
        config[name] |= block
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_init_writes_a_private_file_that_loads(tmp_path: Path, boundless: Boundless) -> None:
    """Away from a terminal, init asks nothing and writes the defaults, for the owner alone."""
    done = boundless(tmp_path, "init")
    path = tmp_path / "config.yaml"
    assert done.returncode == 0
    assert "Wrote config.yaml." in done.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_config(path) == defaults()


def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal the answers go into the file; an answer that cannot be is asked again."""
    answers = ["Ada", "roof", "", "95", "52.5", "13.4", "", "", "y"]
    answers.append("https://cloud.example.org")
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    done = subprocess.run(
        [*COMMAND, "init"], cwd=tmp_path, stdin=theirs, stdout=theirs, timeout=60, check=False
    )
    told = os.read(ours, 100_000).decode()
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert "95.0 is not in the range" in told
    config = load_config(tmp_path / "config.yaml")
    assert config["observatory"]["observer"] == "Ada"
    assert config["photometry"]["node_id"] == "roof"
    assert (config["observatory"]["latitude"], config["observatory"]["longitude"]) == (52.5, 13.4)
    assert config["cloud"]["enabled"] is True
    assert config["telescope"]["enabled"] is True
    assert config["cloud"]["url"] == "https://cloud.example.org"


def test_init_keeps_what_is_there(tmp_path: Path, boundless: Boundless) -> None:
    """A config that is there stays; with --force the old one is kept beside the new."""
    path = tmp_path / "config.yaml"
    path.write_text("# mine\n")
    refused = boundless(tmp_path, "init")
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: config.yaml is there already and stays as it is.")
    assert path.read_text() == "# mine\n"
    assert boundless(tmp_path, "init", "--force").returncode == 0
    assert (tmp_path / "config.yaml.old").read_text() == "# mine\n"
    assert load_config(path) == defaults()


@pytest.mark.parametrize("words", [("run",), ("status",), ("measure", ".", "--config", "c.yaml")])
def test_missing_config_is_one_clear_line(
    tmp_path: Path, boundless: Boundless, words: tuple[str, ...]
) -> None:
    """No config file: one line that says how to make one, exit code 2."""
    done = boundless(tmp_path, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: No config file at c")
    assert "Make one with: boundless node init" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        ({"cloud": {"heartbeat_intervall": 3}}, "did you mean cloud.heartbeat_interval?"),
        (
            {"cloud": {"enabled": True, "url": "cloud.example.org"}},
            "cloud.url 'cloud.example.org' has no scheme; write it as https://cloud.example.org",
        ),
        ({"cloud": {"enabled": True}}, "cloud.enabled is true, but cloud.url is empty."),
        (
            {"cloud": {"data_dir": "/proc/nowhere"}},
            "The data folder /proc/nowhere cannot be written:",
        ),
        ({"cloud": {"data_dir": "config.yaml"}}, "config.yaml cannot be written: File exists."),
        (
            {
                "cloud": {"enabled": True, "url": "https://cloud.example.org"},
                "observatory": {"latitude": None},
            },
            "observatory.latitude and observatory.longitude are not set.",
        ),
    ],
)
def test_what_must_be_set_right_is_one_clear_line(
    tmp_path: Path, boundless: Boundless, blocks: dict[str, dict[str, object]], told: str
) -> None:
    """Each fault of the config stops the node at its start with one line and exit code 2."""
    write_config(tmp_path, **blocks)
    done = boundless(tmp_path, "run")
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_second_node_in_one_folder_is_refused(tmp_path: Path, boundless: Boundless) -> None:
    """Two nodes with one data folder would measure everything twice: the second one is told."""
    write_config(tmp_path)
    with FolderLock(tmp_path / "data"):
        done = boundless(tmp_path, "run")
    assert done.returncode == 2
    assert "Error: A node already runs with the data folder" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_node_runs_tells_its_status_and_stops_at_a_signal(
    tmp_path: Path, boundless: Boundless, number: signal.Signals
) -> None:
    """A running node is seen by status; a signal ends it cleanly; then status says so."""
    write_config(tmp_path)
    node = subprocess.Popen([*COMMAND, "run"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (read_status(tmp_path / "data") or {}).get("state") == "running")
        told = boundless(tmp_path, "status")
        assert "running since" in told.stdout
        assert "cloud off" in told.stdout
        as_json = json.loads(boundless(tmp_path, "status", "--json").stdout)
        assert as_json["running"] is True
        assert as_json["pid"] == node.pid
        node.send_signal(number)
        assert node.wait(20) == 0
    finally:
        node.kill()
        node.wait()
    after = boundless(tmp_path, "status")
    assert after.returncode == 3
    assert "No node runs. Start it with: boundless node run" in after.stdout
    assert stat.S_IMODE((tmp_path / "data" / "node_status.json").stat().st_mode) == 0o600


def test_status_without_any_node_says_so(tmp_path: Path, boundless: Boundless) -> None:
    """Where no node has ever run, status says that and exits with 3."""
    write_config(tmp_path)
    done = boundless(tmp_path, "status")
    assert done.returncode == 3
    assert "None has ever run with the data folder" in done.stdout


def test_status_of_a_silent_or_troubled_node_is_trouble(
    tmp_path: Path, boundless: Boundless
) -> None:
    """An old status, or a link with an error, gives exit code 1 and says what it is."""
    write_config(tmp_path)
    link = {"last_heartbeat_ok": False, "error": "the cloud refuses the key", "queued_uploads": 3}
    status = {"link": link, "cloud": {"enabled": True, "url": "https://c"}, "frames": {}}
    with FolderLock(tmp_path / "data"):
        write_status(tmp_path / "data", status | {"written_at": "2026-01-01T00:00:00+00:00"})
        done = boundless(tmp_path, "status")
    assert done.returncode == 1
    assert "the cloud refuses the key" in done.stdout
    assert "3 in the queue" in done.stdout
    assert "has not told its status" in done.stdout


def test_measure_shows_a_table_and_writes_csv_and_json(
    tmp_path: Path, boundless: Boundless
) -> None:
    """A folder with a good frame and a torn one: one row, one line of trouble, exit code 1."""
    (tmp_path / "night").mkdir()
    shutil.copy(REAL_FRAME, tmp_path / "night" / "a.fits.fz")
    (tmp_path / "night" / "b.fits.fz").write_bytes(REAL_FRAME.read_bytes()[:50_000])
    done = boundless(tmp_path, "measure", "night", "--csv", "table.csv")
    assert done.returncode == 1
    assert "b.fits.fz skipped: " in done.stderr
    assert "T Sex in CV: 1 point" in done.stdout
    assert "1 measured, 1 skipped; written to table.csv." in done.stdout
    with (tmp_path / "table.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    columns = [field.name for field in dataclasses.fields(Measurement)]
    assert list(row)[: len(columns)] == columns
    assert row["target_name"] == "T Sex"
    as_json = boundless(tmp_path, "measure", "night/a.fits.fz", "--json", "--target", "T Sextantis")
    assert as_json.returncode == 0
    (entry,) = json.loads(as_json.stdout)["measurements"]
    assert entry["target_name"] == "T Sextantis"
    assert float(row["magnitude"]) == entry["magnitude"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("measure", "empty"), 2, "Error: there are no FITS files in empty."),
        (("measure", "nowhere.fits"), 2, "Path 'nowhere.fits' does not exist."),
        (("measure", "x.fits", "--ra", "10"), 2, "--ra and --dec go together"),
        (("measure", "x.fits", "--ra", "400", "--dec", "0"), 2, "400"),
        (("measure", "x.fits", "--csv", "/proc/no/x.csv"), 2, "/proc/no/x.csv cannot be written"),
        (("measure", "x.fits", "--csv", "x.fits"), 2, "x.fits is one of the frames"),
        (("measure", "x.fits", "--workers", "0"), 2, "--workers"),
        (("measure", "x.fits"), 1, "x.fits skipped: "),
    ],
)
def test_measure_tells_what_is_wrong(
    tmp_path: Path, boundless: Boundless, words: tuple[str, ...], code: int, told: str
) -> None:
    """Bad input to measure is told in a line, with the exit code of the help text."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.fits").write_bytes(b"no FITS at all")
    done = boundless(tmp_path, *words)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_measure_keeps_what_was_done_when_it_is_ended(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a night: the rows so far, a count, exit code 130, no traceback."""
    for index in range(40):
        shutil.copy(REAL_FRAME, tmp_path / f"{index}.fits.fz")
    words = ["measure", ".", "--workers", "1", "--csv", "t.csv"]
    table = tmp_path / "t.csv"
    with subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: table.exists() and table.read_text().count("\n") >= 2, deadline_s=60)
        process.send_signal(signal.SIGINT)
        told, troubles = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "not reached; written to t.csv." in told
    assert "Traceback" not in troubles
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert 1 <= len(rows) < 40
    assert {row["target_name"] for row in rows} == {"T Sex"}

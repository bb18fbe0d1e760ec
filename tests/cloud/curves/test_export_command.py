"""Light curves and targets on the command line."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import RunningCloud

from boundless_skies.cli import main


def run(cloud: RunningCloud, *arguments: str, expect: int = 0) -> str:
    """Run a subcommand on a cloud's folder; return what it prints."""
    done = CliRunner().invoke(main, ["cloud", "--data", str(cloud.data_dir), *arguments])
    assert done.exit_code == expect, done.output
    return done.output


def run_json(cloud: RunningCloud, *arguments: str) -> object:
    """Run a subcommand with --json; return its answer."""
    return json.loads(run(cloud, *arguments, "--json"))


@pytest.fixture
def measured(node: Client) -> str:
    """Measure a star of the list of named stars."""
    node.post("/api/v1/measurements", make_measurement(target_name="AE UMa", bjd=2461010.5))
    return "AE UMa"


@pytest.mark.parametrize(
    ("form", "sign"),
    [("csv", b"bjd_tdb,"), ("json", b'{"target"'), ("votable", b"<?xml"), ("aavso", b"#TYPE=Ext")],
)
def test_every_form_is_written(
    cloud: RunningCloud, measured: str, tmp_path: Path, form: str, sign: bytes
) -> None:
    """A file in each form, whole; nothing is left beside it."""
    file = tmp_path / "curve"
    output = ("--format", form, "-o", str(file), "--obscode", "ABC")
    told = run_json(cloud, "export", measured.lower(), *output)
    assert told["target"] == measured
    assert file.read_bytes().startswith(sign)
    assert [entry.name for entry in tmp_path.iterdir()] == ["curve"]


def test_standard_output_has_the_file_alone(cloud: RunningCloud, measured: str) -> None:
    """What is printed can be piped on."""
    rows = list(csv.DictReader(io.StringIO(run(cloud, "export", measured))))
    assert rows[0]["bjd_tdb"] == "2461010.5"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "AE UMaX"), "AE UMa"),
        (("export", "AE UMa", "--format", "aavso"), "observer code"),
        (("export", "AE UMa", "-o", "/proc/none/x"), "Name another file"),
        (("export", "AE UMa", "--json"), "-o FILE"),
        (("targets", "show", "Nobody"), "targets list"),
        (("targets", "merge", "Nobody", "AE UMa", "--yes"), "Nobody"),
        (("targets", "describe", "AE UMa"), "Nothing was told"),
        (("targets", "describe", "AE UMa", "--ra", "10"), "dec_deg"),
        (("targets", "describe", "AE UMa", "--at", "25:00:00 +10:00:00"), "24 h"),
        (("targets", "describe", "AE UMa", "--period", "-1"), "period_d is -1"),
    ],
)
def test_what_cannot_be_done_is_told(
    cloud: RunningCloud, measured: str, arguments: tuple[str, ...], words: str
) -> None:
    """One line says what failed and what to do."""
    del measured
    done = CliRunner().invoke(main, ["cloud", "--data", str(cloud.data_dir), *arguments])
    assert done.exit_code in (1, 2)
    assert words in done.output
    assert "Traceback" not in done.output


def test_an_operator_corrects_targets(cloud: RunningCloud, node: Client, public: Client) -> None:
    """Place, period and names come from the command line; the running server hears of it."""
    for name in ("New Star", "Nw Star"):
        node.post("/api/v1/measurements", make_measurement(target_name=name, bjd=2461020.5))
    run(cloud, "targets", "describe", "New Star", "--at", "12:00:00 -30:00:00", "--period", "2.5")
    run(cloud, "targets", "alias", "New Star", "V999 Tst")
    assert "taken" not in run(cloud, "targets", "show", "v999 tst")
    refusal = run(cloud, "targets", "alias", "New Star", "Nw Star", expect=1)
    assert "targets merge" in refusal
    assert run_json(cloud, "targets", "merge", "Nw Star", "New Star", "--yes") == {
        "ok": True,
        "moved": 1,
    }
    entries = run_json(cloud, "targets", "list")
    entry = next(entry for entry in entries if entry["name"] == "New Star")
    assert entry["names"] == ["New Star", "Nw Star", "V999 Tst"]
    assert (entry["ra_deg"], entry["dec_deg"], entry["period_d"]) == (180.0, -30.0, 2.5)
    curve = public.get("/api/v1/lightcurves/Nw%20Star")
    assert (curve["target"], curve["n"]) == ("New Star", 1)
    run(cloud, "targets", "show", "New Star")
    audit = run(cloud, "audit", "--json")
    for action in ("target.describe", "target.alias", "target.merge"):
        assert action in audit

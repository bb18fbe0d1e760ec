"""Kill -9 of the node at every step of its books: nothing lost, nothing counted twice."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.program.fakes import TARGET, config_for
from tests.support.cloud_server import RunningCloud, running_cloud
from tests.support.warm_python import NODE_LIBRARIES, REPOSITORY, WarmPython, warm_python

from boundless_skies.node.storage.ledger import FILE_NAME, Ledger

FRAMES = 3
STEPS_A_FRAME = 6  # before and after each of: keep, submit, mark


@pytest.fixture(scope="module")
def python() -> Iterator[WarmPython]:
    """Run a Python that has loaded what a node needs."""
    with warm_python(NODE_LIBRARIES) as running:
        yield running


def _run_node(python: WarmPython, folder: Path, url: str, fatal_step: int) -> int:
    module = "tests.node.program.killable_node"
    return python.run(module, str(folder), url, str(fatal_step), cwd=REPOSITORY).returncode


def _held(cloud: RunningCloud) -> tuple[set[float], int]:
    """Return the magnitudes on the light curve, and how many rows there are in all."""
    name = urllib.request.quote(TARGET)
    with urllib.request.urlopen(f"{cloud.url}/api/v1/lightcurves/{name}") as reply:
        points = {point["magnitude"] for point in json.load(reply)["points"]}
    with urllib.request.urlopen(f"{cloud.url}/api/v1/network/status") as reply:
        return points, int(json.load(reply)["counts"]["measurements"])


@pytest.mark.parametrize("away_at_first", [False, True], ids=["cloud-there", "cloud-away"])
def test_node_killed_at_every_step_loses_and_doubles_nothing(
    tmp_path: Path, python: WarmPython, away_at_first: bool
) -> None:
    """A node killed at each of its steps in turn, then left in peace: the books balance."""
    config_for(tmp_path)
    for number in range(FRAMES):
        (tmp_path / "frames" / f"{number}.fits").write_text(f"frame {number}")
    with running_cloud(tmp_path / "cloud") as cloud:
        url = "http://127.0.0.1:9" if away_at_first else cloud.url
        for fatal_step in range(1, STEPS_A_FRAME + 1):
            assert _run_node(python, tmp_path, url, fatal_step) == -signal.SIGKILL
        assert _run_node(python, tmp_path, cloud.url, 0) == 0
        points, rows = _held(cloud)
    accepted = {entry["magnitude"] for entry in Ledger(tmp_path / "data" / FILE_NAME).handed()}
    assert len(accepted) == FRAMES
    assert points == accepted
    assert rows == FRAMES

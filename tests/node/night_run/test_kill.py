"""A night that is killed (SIGKILL) anywhere: nothing exposed twice, nothing forgotten."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from astropy.io import fits
from tests.node.night_run.killable_night import COUNTS, LENGTHS_S, MOUNT, POINTS, SHUTTER, TOLD

from boundless_skies.node.schedule.states import PlanState, Step
from boundless_skies.node.schedule.work import ExposureState
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore

SAMPLES = 10
ROOT = Path(__file__).resolve().parents[3]


class Nights:
    """The process that forks the nights.

    Parameters
    ----------
    root : Path
        Where their folders are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.node.night_run.killable_night", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=dict(os.environ) | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def live(self, name: str, point: int) -> bool:
        """Live a night; tell whether it was killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name} {point}\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        assert said in {"killed", "done 0"}, said
        return said == "killed"

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """Give the process that forks the nights."""
    forks = Nights(tmp_path_factory.mktemp("nights"))
    yield forks
    forks.close()


def assert_night_is_whole(folder: Path, cuts: int) -> None:
    """Hold what a night left behind against what it should, by the telescope's own books."""
    store = ScheduleStore(folder / FILE_NAME, mends=False)
    plan = store.plan("p-1")
    assert plan is not None
    assert plan.state is PlanState.FINISHED
    opened = Counter(map(float, (folder / SHUTTER).read_text("ascii").split()))
    files = set((folder / "frames").iterdir())
    lost = 0
    for work in plan.items:
        records = store.exposures(work.id)
        assert [record.number for record in records] == list(range(1, COUNTS[work.item_id] + 1))
        saved = [record for record in records if record.state is ExposureState.SAVED]
        lost += len(records) - len(saved)
        # One number, at most one opening; a number may be cut before its shutter opened.
        assert len(saved) <= opened[LENGTHS_S[work.item_id]] <= len(records)
        assert work.step is (Step.DONE if saved else Step.FAILED)
        for record in saved:
            files.remove(Path(record.path))
            with fits.open(record.path) as frame:
                assert frame[0].header["EXPTIME"] == LENGTHS_S[work.item_id]
                assert frame[0].data.any()
    assert files == set()
    assert lost <= cuts
    assert json.loads((folder / MOUNT).read_text("ascii"))["parked"]
    store.close()
    assert_told_once(folder / TOLD, {work.item_id: work.step for work in plan.items})


def assert_told_once(path: Path, steps: dict[str, Step]) -> None:
    """Hold what the cloud was told: an event told again has the same id, and counts once."""
    told = {}
    for line in path.read_text("utf-8").splitlines():
        event = json.loads(line)
        assert told.setdefault(event["event_id"], event) == event
    by_item: dict[str | None, list[str]] = {}
    for event in told.values():
        by_item.setdefault(event["item_id"], []).append(event["state"])
    assert by_item == {None: ["accepted"]} | {
        item_id: ["running", str(step)] for item_id, step in steps.items()
    }


def live_through(nights: Nights, name: str, points: list[int]) -> int:
    """Live a night, killed at each of these points after another; return how often it was."""
    cuts = 0
    for point in points:
        cuts += nights.live(name, point)
    while nights.live(name, 0):
        raise AssertionError("nobody kills it here")
    return cuts


def test_night_killed_at_sampled_points_is_whole(nights: Nights) -> None:
    """From its first write to its last, some points on the way."""
    assert live_through(nights, "whole", []) == 0
    assert_night_is_whole(nights.root / "whole", 0)
    last = int((nights.root / "whole" / POINTS).read_text("ascii"))
    assert last > 100
    for point in sorted({1 + round(k * (last - 1) / (SAMPLES - 1)) for k in range(SAMPLES)}):
        cuts = live_through(nights, f"at-{point}", [point])
        assert cuts == 1
        assert_night_is_whole(nights.root / f"at-{point}", cuts)


def test_night_killed_again_and_again_is_whole(nights: Nights) -> None:
    """Also in what follows a cut."""
    points = [37, 5, 9, 23, 11, 2]
    cuts = live_through(nights, "again", points)
    assert cuts == len(points)
    assert_night_is_whole(nights.root / "again", cuts)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_night_killed_at_each_point_is_whole(nights: Nights) -> None:
    """Every one of them."""
    point = 0
    while True:
        point += 1
        cuts = live_through(nights, f"each-{point}", [point])
        assert_night_is_whole(nights.root / f"each-{point}", cuts)
        if not cuts:
            break
    assert point > 100

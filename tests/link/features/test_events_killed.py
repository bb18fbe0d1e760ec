"""A link that reports events, killed before each of its writes, syncs, renames and unlinks."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.support.killable_events import CAP, PLANS, EventWalk
from tests.support.killable_link import KILL_AT, NOTHING, BlackBox

from cloud_communicator.arrayfile import Reading
from cloud_communicator.disk import Ledger
from cloud_communicator.events import FILES

pytestmark = pytest.mark.strace

REPOSITORY = Path(__file__).parents[3]
STEPS = 20
SEED = 28
CALLS = ",".join(NOTHING)
Point = tuple[str, int]


def strace(output: Path, options: list[str], root: Path, points: list[Point]) -> None:
    """Run a walk under strace for each point."""
    tracer = ["strace", "-f", "-qq", "-o", str(output), "-e", f"trace={CALLS}", *options]
    walker = [sys.executable, "-m", "tests.support.killable_events", str(root), str(SEED)]
    subprocess.run(
        [*tracer, *walker, str(STEPS)],
        input="".join(f"{call} {number}\n" for call, number in points),
        text=True,
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=600,
    )


@cache
def needs_strace() -> str:
    """Say why strace cannot be used here; empty if it can."""
    if shutil.which("strace") is None:
        return "needs Debian's strace"
    tried = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True)  # noqa: PLW1510
    return "" if tried.returncode == 0 else "needs the right to trace processes"


@pytest.fixture(autouse=True)
def _strace() -> None:
    if reason := needs_strace():
        pytest.skip(reason)


def kill_points(root: Path) -> list[Point]:
    """Count the calls of a whole walk: each is a point to be killed at."""
    trace = root / "trace"
    strace(trace, [], root, [("pwrite64", KILL_AT)])
    walked = root / f"pwrite64-{KILL_AT}"
    assert BlackBox(walked / "box").lines()[-1] == ["end"]
    for name in (FILES.evicted, FILES.rejected):  # the walk goes every way out of the queue
        assert Ledger(walked / "data" / name).records()
    counts = Counter(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    assert max(counts.values()) < KILL_AT
    return [(call, number + 1) for call, count in counts.items() for number in range(count)]


def ledger(walk: EventWalk, name: str) -> list[Any]:
    """Return the ids of the events in a ledger."""
    return [r["payload"]["event"]["event_id"] for r in getattr(walk.queue, name).records()]


def check(folder: Path) -> None:
    """Start the link where it was killed, let the cloud be kind, and check the books."""
    data, box = folder / "data", BlackBox(folder / "box")
    killed = box.lines()
    assert ["end"] not in killed
    path = data / FILES.queue
    if path.exists():
        assert Reading(path.read_bytes(), FILES.hallmark).damaged == []
    revived = EventWalk(data, box)
    assert revived.link.status["damaged_events"] == 0
    # A kill may come between the newest, at most three together, and the eviction.
    assert revived.link.status["queued_events"] <= CAP + 3
    for _ in range(4):
        revived.beat()
    assert revived.link.status["queued_events"] == 0
    aside = ledger(revived, "evicted") + ledger(revived, "rejected")
    assert len(aside) == len(set(aside))
    for plan_id in PLANS:
        taken = [w[2] for w in box.lines() if w[:2] == ["taken", plan_id]]
        kept = [w[2] for w in killed if w[:2] == ["kept", plan_id]]
        assert set(kept) <= set(taken) | set(aside)
        first_told = list(dict.fromkeys(map(int, taken)))
        assert first_told == sorted(first_told)
    revived.queue.file.close()


@pytest.mark.timeout(300)
def test_killed_at_each_of_its_calls() -> None:
    """No event that was taken into keeping is lost, none overtakes another, no file is damaged."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it is our own
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        root = Path(name)
        points = kill_points(root)
        assert {call for call, _ in points} >= {"pwrite64", "fsync", "fdatasync", "rename"}
        inject = ["-e", f"inject={CALLS}:signal=KILL:when={KILL_AT}"]
        strace(Path(os.devnull), inject, root, points)
        for call, number in points:
            check(root / f"{call}-{number}")

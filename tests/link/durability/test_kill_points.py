"""The link killed before each of its writes, syncs, renames and unlinks, and the books checked."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.books import in_ledgers, queued
from tests.support.killable_link import CAP, KILL_AT, NOTHING, BlackBox, Walk

pytestmark = pytest.mark.strace

REPOSITORY = Path(__file__).parents[3]
STEPS = 200
SEED = 1
PARTS = 8
RARE = ("fsync", "ftruncate", "rename", "unlink")
WALKERS = 2
CALLS = ",".join(NOTHING)
Point = tuple[str, int]


def strace(output: Path, options: list[str], root: Path, points: list[Point], seed: int) -> None:
    """Run walks under strace, one for each point."""
    tracer = ["strace", "-f", "-qq", "-o", str(output), "-e", f"trace={CALLS}", *options]
    walker = [sys.executable, "-m", "tests.support.killable_link", str(root), str(seed)]
    subprocess.run(
        [*tracer, *walker, str(STEPS)],
        input="".join(f"{call} {number}\n" for call, number in points),
        text=True,
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=3000,
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


def kill_points(root: Path, seed: int) -> list[Point]:
    """Count the calls of a whole walk: each is a point to be killed at."""
    trace = root / "trace"
    strace(trace, [], root, [("pwrite64", KILL_AT)], seed)
    assert BlackBox(root / f"pwrite64-{KILL_AT}" / "box").lines()[-1] == ["end"]
    counts = Counter(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    assert max(counts.values()) < KILL_AT
    return [(call, number + 1) for call, count in counts.items() for number in range(count)]


def kill_at(root: Path, points: list[Point], seed: int) -> None:
    """Walk once for each point, and be killed there; two walk at a time."""
    inject = ["-e", f"inject={CALLS}:signal=KILL:when={KILL_AT}"]
    nowhere = Path(os.devnull)
    with ThreadPoolExecutor(WALKERS) as pool:
        shares = [points[share::WALKERS] for share in range(WALKERS)]
        list(pool.map(lambda share: strace(nowhere, inject, root, share, seed), shares))


def check(folder: Path) -> str:
    """Start the link where it was killed, let the cloud be kind, and check the books."""
    data, box = folder / "data", BlackBox(folder / "box")
    killed = box.lines()
    assert ["end"] not in killed
    queued(data)  # an array for everybody, also now
    revived = Walk(data, box)
    assert revived.link.status["damaged"] == 0
    assert len(queued(data)) <= CAP + 1  # a kill may come between the newest and the eviction
    drain(revived, killed)
    check_measurements(box.lines(), killed, data)
    check_images(box.lines(), killed)
    check_interrupts(box.lines(), len(killed))
    return killed[-1][0] if killed else "start"


def drain(walk: Walk, killed: list[list[str]]) -> None:
    """Beat and poll until there is nothing left to do."""
    acked = {words[1] for words in killed if words[0] == "acked"}
    walk.cloud.kind = True
    walk.cloud.offered = {w[1]: w[1] in acked for w in killed if w[0] == "offered"}
    for _ in range(8):
        walk.beat()
        walk.poll()
    status = walk.link.status
    assert (status["queued_uploads"], status["queued_images"]) == (0, 0)
    assert status["interrupts_unacked"] == 0
    walk.queue.file.close()
    walk.link._images._queue.close()


def check_measurements(lines: list[list[str]], killed: list[list[str]], data: Path) -> None:
    """Each accepted measurement is in one of the books, and taken twice under one key only."""
    keys: dict[int, set[str]] = {}
    for words in lines:
        if words[0] == "taken":
            keys.setdefault(int(words[1]), set()).add(words[2])
    assert all(len(found) == 1 for found in keys.values())
    books = Counter(list(keys))
    for numbers in in_ledgers(data).values():
        books += Counter(numbers)
    accepted = {int(words[1]): words[2] for words in killed if words[0] == "accepted"}
    assert [n for n in accepted if not books[n]] == []
    # one that was taken and whose reply was lost may have been evicted or dropped since
    assert [n for n in books if books[n] > 1 and accepted.get(n, "lost") != "lost"] == []
    assert set(books) <= set(accepted) | {len(accepted)}  # the one that was being handed over


def check_images(lines: list[list[str]], killed: list[list[str]]) -> None:
    """Each image that went along with an accepted measurement has arrived."""
    arrived = {words[1] for words in lines if words[0] == "image"}
    sent = {f"{words[1]}.fit" for words in killed if words[0] == "accepted" and "image" in words}
    assert sent <= arrived


def check_interrupts(lines: list[list[str]], kill: int) -> None:
    """None is called again once it is done; one that was cut down is called again and says so."""
    last: dict[str, tuple[str, int]] = {}
    for place, words in enumerate(lines):
        if words[0] not in ("called", "raised", "returned", "acked"):
            continue
        before, when = last.get(words[1], ("", -1))
        if words[0] == "called" and words[2] == "redelivered":
            assert when < kill <= place
            assert before != "acked"
        elif words[0] == "called":
            assert before in ("", "raised")
        last[words[1]] = (words[0], place)
    offered = {words[1] for words in lines if words[0] == "offered"}
    assert {key for key, (what, _) in last.items() if what == "acked"} == offered


def walk_and_check(root: Path, points: list[Point], seed: int) -> None:
    """Be killed at each of these points, and check what is left there."""
    kill_at(root, points, seed)
    for call, number in points:
        check(root / f"{call}-{number}")


@pytest.fixture
def memory() -> Iterator[Path]:
    """Give a folder in memory where there is one: a killed process loses no page of either."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it is our own
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.timeout(900)
def test_killed_at_each_of_its_rare_calls(memory: Path) -> None:
    """At each sync, cut, rename and unlink of a file: nothing accepted is lost, none damaged."""
    points = [point for point in kill_points(memory, SEED) if point[0] in RARE]
    assert {call for call, _ in points} == set(RARE)
    walk_and_check(memory, points, SEED)


# Each write is made dozens of times: an eighth of them in an ordinary run, all with the soak.
PART = [pytest.param(part, marks=[pytest.mark.soak] * (part > 0)) for part in range(PARTS)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", PART)
def test_killed_at_each_of_its_calls(part: int, memory: Path) -> None:
    """Wherever a walk of 200 steps is killed, nothing accepted is lost, and no file is damaged."""
    points = [point for point in kill_points(memory, SEED) if point[0] not in RARE]
    assert {call for call, _ in points} >= {"pwrite64", "fdatasync"}
    walk_and_check(memory, points[part::PARTS], SEED)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(SEED + 1, SEED + 6))
def test_killed_at_each_call_of_other_walks(seed: int, tmp_path: Path) -> None:
    """The same for other walks, on the disk."""
    walk_and_check(tmp_path, kill_points(tmp_path, seed), seed)

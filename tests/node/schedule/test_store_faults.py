"""The schedule under kill -9, beside another process, and on a full disk."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest
from tests.support.disks import small_disk

from boundless_skies.node.schedule.states import Command, PlanState, Step
from boundless_skies.node.schedule.work import ExposureState, PlannedItem
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleError, ScheduleStore

ITEMS = tuple(
    PlannedItem(
        item_id=f"item{n}", target=f"star {n}", ra_deg=10.0, dec_deg=20.0, exposure_s=1.0, count=25
    )
    for n in range(4)
)
KILLS = 12


def started(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a runner."""
    command = [sys.executable, "-m", "tests.node.schedule.killable_runner", str(folder), str(log)]
    return subprocess.Popen(command)


def killed_at_random(folder: Path, log: Path, random: Random) -> bool:
    """Let a runner write some lines and kill it; tells whether it was not done before."""
    lines = log.read_bytes().count(b"\n") if log.exists() else 0
    enough = lines + random.randint(0, 8)
    runner = started(folder, log)
    while runner.poll() is None:
        if log.exists() and log.read_bytes().count(b"\n") >= enough:
            time.sleep(random.uniform(0, 0.01))
            runner.kill()
            break
        time.sleep(0.001)
    return runner.wait() != 0


def test_killed_runner_exposes_nothing_twice_and_forgets_nothing(tmp_path: Path) -> None:
    """However often it is cut: each number is exposed at most once, each file is accounted for."""
    log = tmp_path / "exposed.log"
    store = ScheduleStore(tmp_path / FILE_NAME)
    store.put_plan("A", ITEMS, state=PlanState.ACCEPTED)
    random = Random()  # noqa: S311 - where it is cut needs no secret
    killed = sum(killed_at_random(tmp_path, log, random) for _ in range(KILLS))
    assert killed
    assert started(tmp_path, log).wait() == 0

    exposed = Counter(log.read_text(encoding="ascii").split())
    assert set(exposed.values()) == {1}
    plan = store.plan("A")
    assert plan is not None
    assert plan.state is PlanState.FINISHED
    for work in plan.items:
        records = store.exposures(work.id)
        assert (work.step, work.taken, len(records)) == (Step.DONE, 25, 25)
        for record in records:
            assert (record.state is ExposureState.SAVED) == Path(record.path).exists()
    events = [(event.item_id, event.state.value) for event in store.unsent_events(100)]
    assert events == [
        (None, "accepted"),
        *((item.item_id, state) for item in ITEMS for state in ("running", "done")),
    ]
    lost = sum(
        record.state is ExposureState.LOST
        for work in plan.items
        for record in store.exposures(work.id)
    )
    assert lost <= killed


GRAB = """
import sys
from pathlib import Path
from boundless_skies.node.schedule.states import Step
from boundless_skies.node.storage.schedule import ScheduleStore
store = ScheduleStore(Path(sys.argv[1]), mends=False)
print("ready", flush=True)
sys.stdin.readline()
won = [work.item_id for work in store.all_work("A")
       if store.advance(work.id, Step.PENDING, Step.SKIPPED, sys.argv[2])]
print(",".join(won))
"""


def test_two_processes_never_both_get_the_same(tmp_path: Path) -> None:
    """Each item goes to one of them; each change is told once and counted."""
    path = tmp_path / FILE_NAME
    store = ScheduleStore(path)
    items = [PlannedItem(**{**vars(ITEMS[0]), "item_id": f"i{n}"}) for n in range(40)]
    store.put_plan("A", items, state=PlanState.ACCEPTED)
    before = store.version()
    both = [
        subprocess.Popen(
            [sys.executable, "-c", GRAB, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "other")
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [process.communicate()[0].strip().split(",") for process in both]
    assert sorted(item for one in won for item in one if item) == sorted(i.item_id for i in items)
    assert store.version() == before + len(items)
    assert len(store.unsent_events(100)) == 1 + len(items)


def ask_without_end(store: ScheduleStore) -> NoReturn:
    """Write to the schedule until that fails."""
    while True:
        store.ask(Command.PARK)


def test_full_disk_is_told_in_a_line_and_changes_nothing(tmp_path: Path) -> None:
    """What was kept can be read; once there is room, work goes on."""
    with small_disk(tmp_path / "disk", 600_000) as disk:
        store = ScheduleStore(disk.root / FILE_NAME)
        store.put_plan("A", ITEMS, state=PlanState.ACCEPTED)
        disk.fill()
        with pytest.raises(ScheduleError, match="full") as told:
            ask_without_end(store)
        assert "\n" not in str(told.value)
        asked = len(store.asked_commands())
        assert [work.step for work in store.all_work("A")] == [Step.PENDING] * 4
        disk.free()
        store.ask(Command.PARK)
        assert len(store.asked_commands()) == asked + 1
        assert store.advance(store.all_work("A")[0].id, Step.PENDING, Step.SLEWING)
        store.close()


def test_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    """A scrambled file is set aside whole, with what its log still holds."""
    path = tmp_path / FILE_NAME
    store = ScheduleStore(path)
    store.put_plan("A", ITEMS, state=PlanState.ACCEPTED)
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    again = ScheduleStore(path)
    assert again.set_aside is not None
    assert again.set_aside.stat().st_size == size
    assert again.newest_plan() is None
    assert again.unsafe_reason() is not None

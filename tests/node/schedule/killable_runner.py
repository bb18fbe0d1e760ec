"""A runner of the schedule that is killed (SIGKILL) while it works.

Run as ``python -m tests.node.schedule.killable_runner FOLDER LOG``: it carries out the accepted
plan, writes each exposure's file, and puts down in LOG every number before its shutter opens.
A new start goes on where the last one was cut.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from boundless_skies.node.schedule.states import RUNNING, Step
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore, Work


def main(folder: Path, log: Path) -> None:
    """Work until nothing is open."""
    store = ScheduleStore(folder / FILE_NAME)
    with log.open("a", encoding="ascii") as opened:
        _settle(store)
        while work := store.due_work(datetime.now(UTC)):
            _carry_out(store, work, folder, opened.fileno())


def _settle(store: ScheduleStore) -> None:
    for record in store.open_exposures():
        end = store.save_exposure if Path(record.path).exists() else store.lose_exposure
        assert end(record.work_id, record.number)


def _carry_out(store: ScheduleStore, work: Work, folder: Path, log: int) -> None:
    if work.step not in RUNNING:
        assert store.advance(work.id, work.step, Step.SLEWING)
        assert store.advance(work.id, Step.SLEWING, Step.EXPOSING)
    elif work.step is Step.SLEWING:
        assert store.advance(work.id, Step.SLEWING, Step.EXPOSING)
    for number in range(work.taken + 1, work.count + 1):
        _expose(store, work, number, folder / f"{work.item_id}-{number}.fits", log)
    assert store.advance(work.id, Step.EXPOSING, Step.DONE)


def _expose(store: ScheduleStore, work: Work, number: int, path: Path, log: int) -> None:
    assert store.begin_exposure(work.id, number, path)
    os.write(log, f"{work.item_id}-{number}\n".encode("ascii"))
    draft = path.with_suffix(".part")
    draft.write_bytes(b"light")
    draft.replace(path)
    assert store.save_exposure(work.id, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""What is removed from a node's disk when it is old, and above all what is not."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.node.program.fakes import config_for, until
from tests.support.disks import small_disk

from boundless_skies.node.factory import build_program
from boundless_skies.node.schedule.states import PlanState, Step
from boundless_skies.node.schedule.work import PlannedItem, RefusedItem
from boundless_skies.node.services.housekeeping import REMEMBERED, Housekeeping
from boundless_skies.node.storage.ledger import FILE_NAME as LEDGER_NAME
from boundless_skies.node.storage.ledger import FrameFile, Ledger
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore, Work
from boundless_skies.wire import canonical_json
from cloud_communicator.arrayfile import ArrayFile
from cloud_communicator.images import QUEUE_NAME as IMAGES_NAME
from cloud_communicator.payload import measurement_payload
from cloud_communicator.retryqueue import RetryQueue

TAKEN = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
KEEP_DAYS = 14
LATER = TAKEN + timedelta(days=KEEP_DAYS, hours=1)
AGES_LATER = TAKEN + REMEMBERED + timedelta(days=1)


class House:
    """A node's data folder with one night's frames in it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.frames = folder / "data", folder / "frames"
        self.data.mkdir()
        self.frames.mkdir()
        self.now = TAKEN
        self.store = ScheduleStore(self.data / FILE_NAME, lambda: self.now)
        self.ledger = Ledger(self.data / LEDGER_NAME, lambda: self.now)
        self.link_status = {"queued_uploads": 0, "queued_images": 0}

    def keeper(self, keep_days: int = KEEP_DAYS, *, cloud_on: bool = True) -> Housekeeping:
        """Return who tidies up here."""
        return Housekeeping(
            folder=self.data,
            store=self.store,
            ledger=self.ledger,
            link_status=self.link_status,
            keep_days=keep_days,
            cloud_on=cloud_on,
            now=lambda: self.now,
        )

    def plan(self, plan_id: str = "A", count: int = 3) -> Work:
        """Return a piece of work that a plan of the present instant asks for."""
        target = PlannedItem(
            item_id="a", target="a", ra_deg=1.0, dec_deg=2.0, exposure_s=5.0, count=count
        )
        assert self.store.put_plan(plan_id, [target], state=PlanState.ACCEPTED)
        return self.store.all_work(plan_id)[0]

    def take(self, plan_id: str = "A", count: int = 3) -> list[Path]:
        """Carry a plan out, measure its frames, and hand the measurements over."""
        work = self.plan(plan_id, count)
        self.store.advance(work.id, Step.PENDING, Step.SLEWING)
        self.store.advance(work.id, Step.SLEWING, Step.EXPOSING)
        paths = [self.frames / f"{plan_id}-{number}.fits" for number in range(1, count + 1)]
        for number, path in enumerate(paths, 1):
            assert self.store.begin_exposure(work.id, number, path)
            self.write(path)
            assert self.store.save_exposure(work.id, number)
            self.measure(path)
        self.store.advance(work.id, Step.EXPOSING, Step.DONE)
        return paths

    def write(self, path: Path) -> None:
        """Write a file at the present instant."""
        path.write_bytes(os.urandom(1_000))
        os.utime(path, (self.now.timestamp(), self.now.timestamp()))

    def frame(self, path: Path) -> FrameFile:
        """Return a file as the ledger knows it."""
        found = path.stat()
        return FrameFile(found.st_mtime_ns, str(path), found.st_size)

    def measure(self, path: Path, *, handed: bool = True) -> None:
        """Keep a file's measurement, and hand it to the link."""
        self.ledger.keep_measured(self.frame(path), {"fits_file": path.name})
        if handed:
            self.ledger.mark_handed(self.frame(path))

    def tell_all(self) -> None:
        """Let the cloud hear of everything."""
        self.store.mark_sent([event.event_id for event in self.store.unsent_events(1_000)])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return a node's folders."""
    found = House(tmp_path)
    yield found
    found.store.close()
    found.ledger.close()


def left(house: House) -> set[str]:
    """Return the names of the files that are there."""
    return {path.name for path in house.frames.iterdir()}


def test_measured_frames_go_when_they_are_old_enough(house: House) -> None:
    """To the day; the measurements stay."""
    house.take()
    house.now = TAKEN + timedelta(days=KEEP_DAYS) - timedelta(minutes=1)
    assert house.keeper().tidy() == 0
    house.now = LATER
    assert house.keeper().tidy() == 3
    assert left(house) == set()
    assert house.ledger.counts()["handed"] == 3


def test_all_frames_are_kept_where_the_owner_says_nothing(house: House) -> None:
    """The default removes no frame, however old."""
    paths = house.take()
    house.now = AGES_LATER + timedelta(days=3_000)
    assert house.keeper(keep_days=0).tidy() == 0
    assert left(house) == {path.name for path in paths}


def queue_measurement(house: House, path: Path) -> None:
    """Let a frame's measurement wait in the link's queue."""
    queue = RetryQueue(house.data)
    queue.put(measurement_payload({"fits_file": path.name, "bjd": 1.0}, None))
    queue.file.close()
    house.link_status["queued_uploads"] = 1


def evict_measurement(house: House, path: Path) -> None:
    """Let a frame's measurement have left the full queue."""
    queue = RetryQueue(house.data, cap=1)
    queue.put(measurement_payload({"fits_file": path.name, "bjd": 1.0}, None))
    queue.put(measurement_payload({"fits_file": "other.fits", "bjd": 2.0}, None))
    queue.file.close()


def queue_image(house: House, path: Path) -> None:
    """Let a frame's upload wait."""
    queue = ArrayFile(house.data / IMAGES_NAME, hallmark="path")
    queue.append(canonical_json({"path": str(path)}))
    queue.close()
    house.link_status["queued_images"] = 1


def change_file(house: House, path: Path) -> None:
    """Let the owner write a file of that name, which is measured in its turn."""
    house.now += timedelta(hours=5)
    house.write(path)
    house.measure(path)


def unmeasure(house: House, path: Path) -> None:
    """Let a frame not be measured yet: a touched file is another frame."""
    os.utime(path, (house.now.timestamp() - 60, house.now.timestamp() - 60))


def keep_waiting(house: House, path: Path) -> None:
    """Let a frame's measurement be one that the link has not taken."""
    os.utime(path, (house.now.timestamp() - 60, house.now.timestamp() - 60))
    house.measure(path, handed=False)


def put_a_link(house: House, path: Path) -> None:
    """Let the owner have moved the frame, and left a link in its place."""
    path.rename(house.data / path.name)
    path.symlink_to(house.data / path.name)


@pytest.mark.parametrize(
    "keep",
    [
        queue_measurement,
        evict_measurement,
        queue_image,
        change_file,
        unmeasure,
        keep_waiting,
        put_a_link,
    ],
)
def test_frame_that_is_wanted_stays(house: House, keep: Callable[[House, Path], None]) -> None:
    """Of three old frames the one stays that somebody still waits for, or has changed."""
    paths = house.take()
    keep(house, paths[1])
    house.now = LATER + timedelta(days=1)
    assert house.keeper().tidy() == 2
    assert left(house) == {paths[1].name}


@pytest.mark.parametrize("book", ["queued_uploads", "queued_images"])
def test_nothing_goes_while_something_waits_in_memory_only(house: House, book: str) -> None:
    """A link whose disk took nothing has more than its files: nobody knows of which frames."""
    paths = house.take()
    house.link_status[book] = 1
    house.now = LATER
    assert house.keeper().tidy() == 0
    assert left(house) == {path.name for path in paths}


def test_owners_own_files_stay(house: House) -> None:
    """Whatever is in the folder and no frame of this node's is none of its business."""
    house.take()
    mine = house.frames / "mine.fits"
    house.write(mine)
    house.measure(mine)
    house.now = LATER
    assert house.keeper().tidy() == 3
    assert left(house) == {"mine.fits"}


def test_without_a_cloud_a_measured_frame_waits_for_nobody(house: House) -> None:
    """Its measurement is kept here, so that the frame can go."""
    (path,) = house.take(count=1)
    os.utime(path, (TAKEN.timestamp() - 60, TAKEN.timestamp() - 60))
    house.measure(path, handed=False)
    house.now = LATER
    assert house.keeper().tidy() == 0
    assert house.keeper(cloud_on=False).tidy() == 1


def test_refused_frame_goes_too(house: House) -> None:
    """Clouds leave frames that nobody measures; they would fill the disk all the same."""
    (path,) = house.take(count=1)
    os.utime(path, (TAKEN.timestamp() - 60, TAKEN.timestamp() - 60))
    house.ledger.keep_refused(house.frame(path), "it shows no stars.")
    house.now = LATER
    assert house.keeper().tidy() == 1


def test_old_plans_are_forgotten_but_for_the_newest_two(house: House) -> None:
    """With work, exposures, refused items and events; the schedule's file can use the room."""
    for number in range(5):
        house.take(f"plan-{number}", 2)
        house.now += timedelta(minutes=1)
    house.tell_all()
    for path in house.frames.iterdir():
        path.unlink()
    house.now = AGES_LATER
    house.keeper(keep_days=0).tidy()
    known = [name for name in (f"plan-{n}" for n in range(5)) if house.store.plan(name)]
    assert known == ["plan-3", "plan-4"]
    rows = {
        table: house.store._base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for table in ("work", "exposure", "event", "refused")
    }
    assert rows == {"work": 2, "exposure": 4, "event": 0, "refused": 0}


def test_plan_is_remembered_as_long_as_a_frame_of_it_is_there(house: House) -> None:
    """An owner who lets frames be removed later finds them known."""
    paths = house.take("old", 2)
    house.take("newer", 1)
    house.take("newest", 1)
    house.tell_all()
    house.now = AGES_LATER
    house.keeper(keep_days=0).tidy()
    assert house.store.plan("old") is not None
    assert house.keeper(keep_days=KEEP_DAYS).tidy() == 4
    assert not paths[0].exists()
    assert house.store.plan("old") is None


def test_what_the_cloud_has_yet_to_hear_of_stays(house: House) -> None:
    """A network that was away for months gets its events all the same."""
    for plan_id in ("a", "b", "c"):
        house.take(plan_id, 1)[0].unlink()
    before = house.store.unsent_events(1_000)
    house.now = AGES_LATER
    house.keeper().tidy()
    assert house.store.unsent_events(1_000) == before
    assert house.store.plan("a") is not None


def test_work_that_is_not_over_stays(house: House) -> None:
    """However old: neither an accepted plan, nor one that waits, nor an open interrupt."""
    house.plan("accepted")
    interrupt = PlannedItem(
        item_id="7", target="nova", ra_deg=1.0, dec_deg=2.0, exposure_s=5.0, count=1
    )
    house.store.put_interrupt(interrupt)
    house.tell_all()
    for plan_id in ("waiting", "newer"):
        house.store.put_plan(plan_id, [])
    house.now = AGES_LATER
    house.keeper().tidy()
    assert house.store.accepted_plan() is not None
    assert [work.item_id for work in house.store.open_work()] == ["7", "a"]


def test_old_interrupts_are_forgotten_and_young_ones_kept(house: House) -> None:
    """Carried out or refused; one that comes again in the meantime is still known."""
    interrupt = PlannedItem(
        item_id="7", target="nova", ra_deg=1.0, dec_deg=2.0, exposure_s=5.0, count=1
    )
    refused = RefusedItem(item_id="8", target="", reason="it has no position")
    house.store.put_interrupt(interrupt)
    house.store.refuse_interrupt(refused)
    (work,) = house.store.interrupts()
    house.store.advance(work.id, Step.PENDING, Step.SKIPPED, "too low")
    house.ledger.keep_interrupt({"id": 7})
    house.tell_all()
    house.now = TAKEN + REMEMBERED - timedelta(hours=1)
    house.keeper().tidy()
    assert not house.store.put_interrupt(interrupt)
    assert not house.store.refuse_interrupt(refused)
    assert house.ledger.interrupts()
    house.now = AGES_LATER
    house.keeper().tidy()
    assert house.store.interrupts() == ()
    assert house.ledger.interrupts() == []
    assert house.store.refuse_interrupt(refused)


def test_ledger_keeps_the_newest_plan_as_it_came(house: House) -> None:
    """The status shows it, however old."""
    house.ledger.keep_plan([{"target": "old"}])
    house.ledger.keep_plan([{"target": "newest"}])
    house.now = AGES_LATER
    house.keeper().tidy()
    assert house.ledger.plan() == [{"target": "newest"}]
    assert house.ledger._run("SELECT count(*) FROM plan") == [(1,)]


def test_schedule_of_many_years_grows_no_further(house: House) -> None:
    """Night after night of forty targets: the file stays as large as it was after the first."""
    sizes = []
    for night in range(12):
        targets = [
            PlannedItem(
                item_id=str(n), target="a", ra_deg=1.0, dec_deg=2.0, exposure_s=5.0, count=1
            )
            for n in range(40)
        ]
        house.store.put_plan(f"night-{night}", targets, state=PlanState.ACCEPTED)
        house.tell_all()
        house.now += REMEMBERED + timedelta(days=1)
        house.keeper().tidy()
        pages = house.store._base.execute("PRAGMA page_count").fetchone()[0]
        sizes.append(pages)
    assert len(set(sizes[4:])) == 1


def test_frames_on_a_failed_card_are_told_of_and_left(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that cannot be removed is no reason to end."""
    with small_disk(tmp_path / "card", 1_000_000) as card:
        house.frames = card.root
        paths = house.take()
        house.now = LATER
        card.shut(card.root)
        assert house.keeper().tidy() == 0
        assert all(path.exists() for path in paths)
    assert "cannot be removed: Read-only file system" in caplog.text


def test_running_node_tidies_up_by_its_config(tmp_path: Path) -> None:
    """From the factory on: the frame of twenty days ago goes, that of yesterday stays."""
    config = config_for(tmp_path)
    config["schedule"]["keep_frames"] = KEEP_DAYS
    (tmp_path / "data").rmdir()
    (tmp_path / "frames").rmdir()
    house = House(tmp_path)
    house.now = datetime.now(UTC) - timedelta(days=20)
    (old,) = house.take("old", 1)
    house.now = datetime.now(UTC) - timedelta(days=1)
    (young,) = house.take("young", 1)
    house.store.close()
    house.ledger.close()
    stop = threading.Event()
    program = build_program(config, house.data)
    thread = threading.Thread(target=program.run, args=(stop,))
    thread.start()
    try:
        until(lambda: not old.exists())
    finally:
        stop.set()
        thread.join(30)
    assert young.exists()


def test_rounds_go_on_after_trouble_and_end_with_the_node(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A schedule that cannot be read is told of; the next round tries again."""
    keeper, rounds = house.keeper(), []

    class TwoRounds(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rounds.append(timeout)
            if len(rounds) == 2:
                self.set()
            return self.is_set()

    house.store._base.execute("ALTER TABLE exposure RENAME TO away")
    keeper.run(TwoRounds())
    assert len(rounds) == 2
    assert "Nothing old is removed for now" in caplog.text
    house.store._base.execute("ALTER TABLE away RENAME TO exposure")
    assert keeper.tidy() == 0

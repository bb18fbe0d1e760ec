"""The room for frames on a disk: what fits, what is said of it, and a night on a full one."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.node.dashboard.dashboards import running_dashboard
from tests.support.disks import small_disk
from tests.support.nights import NightWorld, at, item

from boundless_skies.cli import main
from boundless_skies.node.config import defaults
from boundless_skies.node.config_text import annotated_yaml
from boundless_skies.node.dashboard.tonight import disk_words
from boundless_skies.node.doctor import Level, examine_room
from boundless_skies.node.schedule.states import PlanState, Step
from boundless_skies.node.schedule.work import PlannedItem
from boundless_skies.node.storage.disk_room import DiskRoom, free_bytes
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.node.storage.status_file import write_status

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FRAME_BYTES = 1_000_000


class Hand:
    """A clock that is set by hand."""

    def __init__(self, instant: datetime = NOW) -> None:
        self.instant = instant

    def now(self) -> datetime:
        """Return the instant that it was set to."""
        return self.instant


def take_night(store: ScheduleStore, clock: Hand, folder: Path, night: int, count: int) -> None:
    """Take frames in the night that begins on this day of March, as a night does."""
    clock.instant = datetime(2026, 3, night, 22, 0, tzinfo=UTC)
    target = PlannedItem(
        item_id="a", target="a", ra_deg=1.0, dec_deg=2.0, exposure_s=5.0, count=count
    )
    store.put_plan(f"night-{night}", [target], state=PlanState.ACCEPTED)
    (work,) = store.all_work(f"night-{night}")
    assert store.advance(work.id, Step.PENDING, Step.SLEWING)
    assert store.advance(work.id, Step.SLEWING, Step.EXPOSING)
    for number in range(1, count + 1):
        path = folder / f"{night}-{number}.fits"
        assert store.begin_exposure(work.id, number, path)
        path.write_bytes(bytes(FRAME_BYTES))
        clock.instant += timedelta(hours=8 / count)
        assert store.save_exposure(work.id, number)
    assert store.advance(work.id, Step.EXPOSING, Step.DONE)


@pytest.fixture
def clock() -> Hand:
    """Return a clock to be set by hand."""
    return Hand()


@pytest.fixture
def store(tmp_path: Path, clock: Hand) -> ScheduleStore:
    """Return an empty schedule."""
    return ScheduleStore(tmp_path / FILE_NAME, clock.now)


def room_of(store: ScheduleStore, clock: Hand, free: int, **more: float) -> DiskRoom:
    """Return the room of a disk with so many bytes free."""
    settings = {"reserve_gb": 0.01, "keep_days": 0, "longitude_deg": 13.4} | more
    folder = store._path.parent
    return DiskRoom(folder, store, now=clock.now, free=lambda _: free, **settings)  # type: ignore[arg-type]


def test_room_is_told_in_nights_like_the_last_ones(
    tmp_path: Path, store: ScheduleStore, clock: Hand
) -> None:
    """Frames after midnight belong to the evening before; 3 and 5 frames are 4 a night."""
    take_night(store, clock, tmp_path, 1, 3)
    take_night(store, clock, tmp_path, 3, 5)
    clock.instant = NOW
    room = room_of(store, clock, 50_000_000).room()
    assert room is not None
    assert room.frame_bytes == FRAME_BYTES
    assert room.nights == pytest.approx((50 - 10) / 4)
    assert "for about 10 nights" in room.sentence


def test_night_that_is_on_does_not_make_the_mean_smaller(
    tmp_path: Path, store: ScheduleStore, clock: Hand
) -> None:
    """An evening's first frame says nothing of how many a night brings."""
    take_night(store, clock, tmp_path, 1, 4)
    take_night(store, clock, tmp_path, 10, 1)
    clock.instant = datetime(2026, 3, 11, 3, 0, tzinfo=UTC)
    room = room_of(store, clock, 50_000_000).room()
    assert room is not None
    assert room.nights == pytest.approx((50 - 10) / 4)


def test_frames_that_are_removed_in_time_have_room_for_good(
    tmp_path: Path, store: ScheduleStore, clock: Hand
) -> None:
    """Where the disk lasts longer than frames are kept, no end is told."""
    take_night(store, clock, tmp_path, 1, 4)
    clock.instant = NOW
    room = room_of(store, clock, 50_000_000, keep_days=9).room()
    assert room is not None
    assert "for good" in room.sentence
    assert room.lasts_nights == float("inf")


def test_frames_must_leave_free_what_the_owner_wants(
    tmp_path: Path, store: ScheduleStore, clock: Hand
) -> None:
    """To the byte; the sentence says what they take, what is free, and what to do."""
    take_night(store, clock, tmp_path, 1, 1)
    fits = room_of(store, clock, 10_000_000 + 7 * FRAME_BYTES)
    assert fits.lacks(7) is None
    told = fits.lacks(8)
    assert told is not None
    assert "8 frames of its take 8.0 MB, 17.0 MB are free" in told
    assert "schedule.keep_free" in told


def test_before_the_first_frame_only_the_reserve_counts(store: ScheduleStore, clock: Hand) -> None:
    """How large this camera's frames are is not guessed."""
    assert room_of(store, clock, 10_000_000).lacks(1_000) is None
    assert room_of(store, clock, 9_999_999).lacks(1) is not None


def test_room_is_asked_of_the_disk_that_the_folder_would_be_on(tmp_path: Path) -> None:
    """A folder that is not made yet has the room of its parent."""
    with small_disk(tmp_path / "card", 3_000_000) as card:
        assert free_bytes(card.root / "a" / "b") <= 3_000_000 + 4_096
        card.fill()
        assert free_bytes(card.root / "a" / "b") == 0


def world_on(card: Path, reserve_gb: float) -> NightWorld:
    """Return a night whose frames lie on a small disk, while the schedule does not."""
    world = NightWorld(card.parent, at(20))
    world.frames = card
    room = DiskRoom(card, world.store, reserve_gb=reserve_gb, now=world.clock.now)
    world.lacks_room = room.lacks
    world.runner = world.make_runner()
    return world


def test_night_stops_exposing_before_the_disk_is_full(tmp_path: Path) -> None:
    """No shutter opens for a frame without room; the target is skipped, and the reason is told."""
    with small_disk(tmp_path / "card", 4_000_000) as card:
        card.fill(2_200_000)
        world = world_on(card.root, 0.002)
        world.plan([item("a", count=60, end_utc=at(21, 30))])
        world.run(at(21, 40))
        taken = len(world.numbers("a"))
        assert 0 < taken < 60
        assert world.camera.images() == taken
        assert free_bytes(card.root) >= 2_000_000
    reason = world.events("a")[-1].reason
    assert world.steps() == {"a": Step.SKIPPED}
    assert "waits for room on the disk" in reason
    assert "schedule.keep_frames" in reason


def test_night_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """An owner who makes room in the midst of the night gets the rest of it."""
    with small_disk(tmp_path / "card", 4_000_000) as card:
        card.fill(2_200_000)
        world = world_on(card.root, 0.002)
        world.plan([item("a", count=30, end_utc=at(23)), item("b", start_utc=at(21, 30))])
        world.run(at(23, 30), [(at(21), card.free)])
        assert world.steps() == {"a": Step.DONE, "b": Step.DONE}
        assert world.camera.images() == 32
    assert world.told("a") == ["running", "preempted", "running", "done"]
    assert not world.track.unparked_between(at(20, 50), at(21))


def test_doctor_fails_a_full_disk_and_warns_of_a_nearly_full_one(
    tmp_path: Path, clock: Hand
) -> None:
    """On a real disk: a line for no schedule yet, for few nights, and for none."""
    with small_disk(tmp_path / "card", 30_000_000) as card:
        config = defaults()
        config["image_watcher"]["watch_path"] = str(card.root)
        config["cloud"]["data_dir"] = str(tmp_path)
        config["schedule"]["keep_free"] = 0.005
        assert "no night yet" in examine_room(config, clock.now).text
        take_night(ScheduleStore(tmp_path / FILE_NAME, clock.now), clock, card.root, 1, 2)
        clock.instant = NOW
        assert examine_room(config, clock.now).level is Level.OK
        card.fill(9_100_000)
        found = examine_room(config, clock.now)
        assert found.level is Level.WARNING
        assert "2 nights" in found.text
        card.fill()
        found = examine_room(config, clock.now)
        assert found.level is Level.FAILED
        assert "none for frames" in found.text


def test_dashboard_and_status_tell_the_same_nights(
    tmp_path: Path, store: ScheduleStore, clock: Hand
) -> None:
    """What the running node says of its disk, on the page and in the terminal."""
    take_night(store, clock, tmp_path, 1, 4)
    clock.instant = NOW
    facts = room_of(store, clock, 500_000_000).facts()
    assert facts is not None
    assert (
        disk_words(facts) == "0.5 GB are free for frames, for about 122 nights like the last ones."
    )
    config = tmp_path / "config.yaml"
    config.write_text(annotated_yaml({"cloud.data_dir": str(tmp_path / "data")}), encoding="utf-8")
    (tmp_path / "data").mkdir()
    write_status(
        tmp_path / "data",
        {
            "disk": facts,
            "cloud": {"enabled": False, "url": ""},
            "link": {"last_heartbeat_ok": None},
            "written_at": NOW.isoformat(),
        },
    )
    shown = CliRunner().invoke(main, ["node", "status", "--config", str(config)])
    assert "0.5 GB free, for about 122 nights" in " ".join(shown.stdout.split())
    assert json.dumps(facts)


def test_full_disk_is_a_problem_on_the_dashboard(
    tmp_path: Path, store: ScheduleStore, clock: Hand
) -> None:
    """It says that targets wait, and where room is wanted."""
    facts = room_of(store, clock, 9_000_000).facts()
    assert facts is not None
    assert facts["is_short"]
    assert "targets wait until there is room in" in disk_words(facts)
    assert disk_words({}) == ""
    with running_dashboard(tmp_path) as node:
        assert 'id="disk"' not in node.get("/").text
        node.status["disk"] = facts
        assert '<p id="disk" class="notice problem">0.0 GB are free' in node.get("/").text

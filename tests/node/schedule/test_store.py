"""The schedule on disk."""

import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boundless_skies.node.schedule.states import Command, PlanState, Step
from boundless_skies.node.schedule.work import ExposureState, PlannedItem, RefusedItem
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleError, ScheduleStore, Work

NOW = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)


def item(item_id: str, start: datetime | None = None, count: int = 2) -> PlannedItem:
    """Return an item of a plan."""
    return PlannedItem(
        item_id=item_id,
        target=f"star {item_id}",
        ra_deg=10.0,
        dec_deg=20.0,
        exposure_s=5.0,
        count=count,
        start_utc=start,
        raw={"target": f"star {item_id}"},
    )


@pytest.fixture
def store(tmp_path: Path) -> ScheduleStore:
    """Return an empty store."""
    return ScheduleStore(tmp_path / FILE_NAME, lambda: NOW)


def accepted(store: ScheduleStore, *items: PlannedItem, plan_id: str = "A") -> tuple[Work, ...]:
    """Put an accepted plan and return its work."""
    assert store.put_plan(plan_id, items, state=PlanState.ACCEPTED)
    return store.all_work(plan_id)


def steps(store: ScheduleStore, plan_id: str) -> list[Step]:
    """Return where the items of a plan stand."""
    return [work.step for work in store.all_work(plan_id)]


def told(store: ScheduleStore) -> list[tuple[str | None, str]]:
    """Return item (or interrupt) and state of every unsent event."""
    return [
        (event.item_id or event.interrupt_id, event.state.value) for event in store.unsent_events()
    ]


def test_plan_comes_back_as_it_was_put(store: ScheduleStore) -> None:
    """Items in their order with their times, what was refused, and when it came."""
    start = NOW + timedelta(minutes=5)
    refused = RefusedItem(item_id="c", target="?", reason="it has no position")
    assert store.put_plan("A", [item("a", start), item("b")], [refused], night="2026-03-01")
    plan = store.newest_plan()
    assert plan is not None
    assert (plan.plan_id, plan.night, plan.state) == ("A", "2026-03-01", PlanState.WAITING)
    assert plan.received_at == NOW
    assert [work.item_id for work in plan.items] == ["a", "b"]
    assert plan.items[0].start_utc == start
    assert plan.items[0].raw == {"target": "star a"}
    assert plan.refused == (refused,)
    assert store.due_works(NOW) == ()


def test_plan_that_comes_again_changes_nothing(store: ScheduleStore) -> None:
    """The second is told as known, also after the first was rejected."""
    store.put_plan("A", [item("a")])
    store.decide("A", PlanState.REJECTED, "cloudy")
    version = store.version()
    assert not store.put_plan("A", [item("z")], state=PlanState.ACCEPTED)
    assert store.version() == version
    assert steps(store, "A") == [Step.SKIPPED]


def test_owner_decides_once(store: ScheduleStore) -> None:
    """The first word holds, and the cloud hears only that."""
    store.put_plan("A", [item("a")])
    assert store.decide("A", PlanState.ACCEPTED, "by the owner")
    assert not store.decide("A", PlanState.EXPIRED, "nobody answered")
    assert told(store) == [(None, "accepted")]


def test_owner_keeps_some_items_in_another_order(store: ScheduleStore) -> None:
    """What is left out is skipped and told; the rest runs in the owner's order."""
    store.put_plan("A", [item("a"), item("b"), item("c")])
    assert store.decide("A", PlanState.ACCEPTED, keep=["c", "a"])
    assert [work.item_id for work in store.open_work()] == ["c", "a"]
    assert told(store) == [(None, "accepted"), ("b", "skipped")]


@pytest.mark.parametrize("keep", [["a", "a"], ["nobody"]])
def test_choice_that_does_not_fit_changes_nothing(store: ScheduleStore, keep: list[str]) -> None:
    """An item twice, or one that is in no plan: the plan waits on."""
    store.put_plan("A", [item("a"), item("b")])
    with pytest.raises(ScheduleError, match="choose again"):
        store.decide("A", PlanState.ACCEPTED, keep=keep)
    assert store.waiting_plan() is not None
    assert told(store) == []


def test_sleeping_owner_keeps_the_accepted_plan(store: ScheduleStore) -> None:
    """A newer plan that waits does not end the accepted one; its acceptance does."""
    running, _ = accepted(store, item("a"), item("b"))
    assert store.advance(running.id, Step.PENDING, Step.SLEWING)
    store.put_plan("B", [item("x")])
    assert steps(store, "A") == [Step.SLEWING, Step.PENDING]
    store.decide("B", PlanState.ACCEPTED)
    assert steps(store, "A") == [Step.SLEWING, Step.SKIPPED]
    assert [work.item_id for work in store.open_work()] == ["a", "x"]
    previous = store.previous_plan()
    assert previous is not None
    assert (previous.state, previous.items[1].reason) == (
        PlanState.SUPERSEDED,
        "replaced by plan B",
    )


def test_table_of_steps_holds(store: ScheduleStore) -> None:
    """No step that the table does not allow, none from where the work does not stand."""
    (work,) = accepted(store, item("a"))
    assert not store.advance(work.id, Step.PENDING, Step.DONE)
    assert not store.advance(work.id, Step.EXPOSING, Step.DONE)
    assert not store.advance(work.id + 1, Step.PENDING, Step.SLEWING)
    assert store.advance(work.id, Step.PENDING, Step.SKIPPED, "below the horizon")
    assert not store.advance(work.id, Step.SKIPPED, Step.PENDING)
    assert told(store) == [(None, "accepted"), ("a", "skipped")]


def test_one_piece_of_work_moves_the_telescope(store: ScheduleStore) -> None:
    """A second cannot start while the first runs."""
    first, second = accepted(store, item("a"), item("b"))
    assert store.advance(first.id, Step.PENDING, Step.SLEWING)
    assert not store.advance(second.id, Step.PENDING, Step.SLEWING)
    assert store.advance(first.id, Step.SLEWING, Step.PREEMPTED)
    assert store.advance(second.id, Step.PENDING, Step.SLEWING)


def test_nothing_moves_while_the_latch_is_set(store: ScheduleStore) -> None:
    """Neither a slew nor an exposure begins; ending work is still possible."""
    first, second = accepted(store, item("a"), item("b"))
    store.advance(first.id, Step.PENDING, Step.SLEWING)
    store.advance(first.id, Step.SLEWING, Step.EXPOSING)
    assert store.unsafe("rain")
    assert not store.unsafe("wind")
    assert store.unsafe_reason() == "rain"
    assert not store.begin_exposure(first.id, 1, "a1.fits")
    assert not store.advance(first.id, Step.EXPOSING, Step.SLEWING)
    assert store.advance(first.id, Step.EXPOSING, Step.FAILED, "rain")
    assert not store.advance(second.id, Step.PENDING, Step.SLEWING)
    assert store.clear_unsafe()
    assert not store.clear_unsafe()
    assert store.advance(second.id, Step.PENDING, Step.SLEWING)


def test_plan_that_waits_moves_nothing(store: ScheduleStore) -> None:
    """Only the owner's word, or a plan put as accepted, lets the telescope move."""
    store.put_plan("A", [item("a")])
    (work,) = store.all_work("A")
    assert not store.advance(work.id, Step.PENDING, Step.SLEWING)


def test_exposure_numbers_are_used_once(store: ScheduleStore) -> None:
    """In order, one at a time, no more than the item wants; a lost one is not repeated."""
    (work,) = accepted(store, item("a", count=2))
    assert not store.begin_exposure(work.id, 1, "a1.fits")
    store.advance(work.id, Step.PENDING, Step.SLEWING)
    store.advance(work.id, Step.SLEWING, Step.EXPOSING)
    assert not store.begin_exposure(work.id, 2, "a2.fits")
    assert store.begin_exposure(work.id, 1, "a1.fits")
    assert not store.begin_exposure(work.id, 2, "a2.fits")
    assert [record.path for record in store.open_exposures()] == ["a1.fits"]
    assert store.lose_exposure(work.id, 1)
    assert not store.save_exposure(work.id, 1)
    assert not store.begin_exposure(work.id, 1, "a1.fits")
    assert store.begin_exposure(work.id, 2, "a2.fits")
    assert store.save_exposure(work.id, 2)
    assert not store.begin_exposure(work.id, 3, "a3.fits")
    assert [record.state for record in store.exposures(work.id)] == [
        ExposureState.LOST,
        ExposureState.SAVED,
    ]


def test_plan_finishes_with_its_last_item(store: ScheduleStore) -> None:
    """And not before."""
    first, second = accepted(store, item("a"), item("b"))
    store.advance(first.id, Step.PENDING, Step.FAILED)
    assert store.accepted_plan() is not None
    store.advance(second.id, Step.PENDING, Step.SKIPPED)
    plan = store.plan("A")
    assert plan is not None
    assert plan.state is PlanState.FINISHED


def test_interrupt_goes_first_and_comes_once(store: ScheduleStore) -> None:
    """Before the items, after what runs; the cloud hears of it under its own id."""
    running, _ = accepted(store, item("a"), item("b"))
    store.advance(running.id, Step.PENDING, Step.SLEWING)
    assert store.put_interrupt(item("7"))
    assert not store.put_interrupt(item("7"))
    assert [work.item_id for work in store.open_work()] == ["a", "7", "b"]
    store.advance(running.id, Step.SLEWING, Step.PREEMPTED, "interrupt 7")
    assert [work.item_id for work in store.open_work()] == ["7", "a", "b"]
    interrupt = store.interrupts()[0]
    store.advance(interrupt.id, Step.PENDING, Step.SLEWING)
    assert told(store)[1:] == [("a", "running"), ("a", "preempted"), ("7", "running")]


def test_refused_are_told_to_the_cloud(store: ScheduleStore) -> None:
    """An item when its plan is accepted, an interrupt at once and once."""
    refused = RefusedItem(item_id="c", target="", reason="it has no position")
    store.put_plan("A", [item("a")], [refused])
    assert told(store) == []
    store.decide("A", PlanState.ACCEPTED)
    assert store.refuse_interrupt(refused)
    assert not store.refuse_interrupt(refused)
    assert told(store) == [(None, "accepted"), ("c", "skipped"), ("c", "skipped")]


def test_work_is_due_when_its_time_has_come(store: ScheduleStore) -> None:
    """An item without a time waits for the timed one before it."""
    later = NOW + timedelta(hours=1)
    accepted(store, item("a"), item("b", later), item("c"))
    assert [work.item_id for work in store.due_works(NOW)] == ["a"]
    assert [work.item_id for work in store.due_works(later)] == ["a", "b", "c"]
    due, following = store.due_work(NOW), store.next_work()
    assert due is not None
    assert due == following


def test_command_whose_taker_died_comes_again(tmp_path: Path) -> None:
    """Once for each start of the node, until it is carried out."""
    asking = ScheduleStore(tmp_path / FILE_NAME)
    runner = ScheduleStore(tmp_path / FILE_NAME)
    asking.ask(Command.ABORT)
    asking.ask(Command.SKIP, 3)
    assert [asked.command for asked in runner.take_commands()] == [Command.ABORT, Command.SKIP]
    assert runner.take_commands() == ()
    runner.close()
    again = ScheduleStore(tmp_path / FILE_NAME)
    first, second = again.take_commands()
    assert second.work_id == 3
    assert again.finish_command(first.id)
    assert not again.finish_command(first.id)
    assert [asked.id for asked in asking.asked_commands()] == [second.id]


def test_event_keeps_its_id_until_it_is_sent(store: ScheduleStore) -> None:
    """Told again, it is the same event."""
    accepted(store, item("a"))
    (event,) = store.unsent_events()
    assert store.unsent_events() == (event,)
    store.mark_sent([event.event_id])
    assert store.unsent_events() == ()


def test_version_grows_with_changes_alone(store: ScheduleStore) -> None:
    """What reads, or changes nothing, leaves it."""
    before = store.version()
    store.clear_unsafe()
    store.mark_sent(["unknown"])
    store.take_commands()
    assert store.version() == before
    store.unsafe("rain")
    assert store.version() > before


def test_file_is_the_owners_alone(tmp_path: Path, store: ScheduleStore) -> None:
    """Nobody else reads where the telescope looks."""
    store.unsafe("rain")
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_damaged_file_is_set_aside_and_nothing_moves(tmp_path: Path) -> None:
    """A new schedule begins with the latch set: nobody knows whether it was."""
    path = tmp_path / FILE_NAME
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    with pytest.raises(ScheduleError, match="damaged"):
        ScheduleStore(path, mends=False)
    store = ScheduleStore(path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes().startswith(b"no database")
    assert store.set_aside.name in (store.unsafe_reason() or "")
    assert ScheduleStore(path).set_aside is None


def test_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """It is refused in words, not set aside."""
    path = tmp_path / FILE_NAME
    ScheduleStore(path).close()
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(ScheduleError, match="newer version"):
        ScheduleStore(path)
    assert not list(tmp_path.glob("*damaged*"))


def test_schedule_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """A folder that is not there: a sentence, no trace of the database's own error."""
    with pytest.raises(ScheduleError, match="cannot be opened"):
        ScheduleStore(tmp_path / "nowhere" / FILE_NAME)


def test_work_is_found_by_its_number(store: ScheduleStore) -> None:
    """As it stands; None for one that is not there."""
    (work,) = accepted(store, item("a"))
    assert store.work(work.id) == work
    assert store.work(work.id + 1) is None
    assert store.plan("nobody") is None


@pytest.mark.parametrize("state", [PlanState.WAITING, PlanState.FINISHED, PlanState.SUPERSEDED])
def test_what_nobody_can_decide_is_a_fault(store: ScheduleStore, state: PlanState) -> None:
    """It is not kept quietly."""
    store.put_plan("A", [item("a")])
    with pytest.raises(ValueError, match="nobody can decide"):
        store.decide("A", state)
    with pytest.raises(ValueError, match="cannot be"):
        store.put_plan("B", [], state=PlanState.FINISHED)


def test_item_left_for_an_interrupt_ends_with_its_plan(store: ScheduleStore) -> None:
    """A newer plan's acceptance skips it: it does not run, so nothing is to be ended first."""
    (work,) = accepted(store, item("a"))
    store.advance(work.id, Step.PENDING, Step.SLEWING)
    store.advance(work.id, Step.SLEWING, Step.PREEMPTED)
    accepted(store, item("x"), plan_id="B")
    assert steps(store, "A") == [Step.SKIPPED]
    assert [open_work.item_id for open_work in store.open_work()] == ["x"]

"""What becomes of plans: the owner's word, new plans, old clouds, changed clocks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.nights import HIGH, LOW, NightWorld, at, item

from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import PlanState, Step
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.simulation.telescope import SimulatedFilterWheel

ASKS = NightSettings(turn_s=30.0, hear_every_s=10.0, confirm_within_s=3_600.0)


def state_of(world: NightWorld, plan_id: str = "p-1") -> PlanState:
    """Return what has become of a plan."""
    plan = world.store.plan(plan_id)
    assert plan is not None
    return plan.state


def test_clear_night_observes_all_in_order_and_rests_between(tmp_path: Path) -> None:
    """Each item runs in its time; the mount is parked while there is none, and at the end."""
    world = NightWorld(tmp_path, at(17))
    world.plan(
        [
            item("a", count=3, start_utc=at(19), end_utc=at(20)),
            item("b", count=2, start_utc=at(20), end_utc=at(21)),
            item("low", start_utc=at(20), **LOW),
        ]
    )
    world.run(at(21))
    assert world.steps() == {"a": Step.DONE, "b": Step.DONE, "low": Step.SKIPPED}
    assert world.saved() == {"a": 3, "b": 2, "low": 0}
    assert world.camera.images() == 5
    assert world.told() == ["accepted"]
    assert world.told("a") == world.told("b") == ["running", "done"]
    assert "altitude" in world.events("low")[0].reason
    assert not world.track.unparked_between(at(17), at(18, 59))
    assert not world.track.unparked_between(at(19, 12), at(19, 59))
    assert state_of(world) is PlanState.FINISHED
    assert world.is_parked()


def test_plan_waits_for_the_owner_and_nothing_moves(tmp_path: Path) -> None:
    """Without a word it expires in time, and the cloud is told."""
    world = NightWorld(tmp_path, at(20), settings=ASKS)
    world.plan([item("a")])
    world.run(at(22))
    assert state_of(world) is PlanState.EXPIRED
    assert not world.track.has_moved()
    assert world.told() == ["expired"]
    assert world.events()[0].at - at(21) <= timedelta(seconds=60)
    assert world.told("a") == []


@pytest.mark.parametrize("keep", [None, ["b"]])
def test_accepted_plan_runs_as_the_owner_left_it(tmp_path: Path, keep: list[str] | None) -> None:
    """From the owner's word on, and only what was kept."""
    world = NightWorld(tmp_path, at(20), settings=ASKS)
    world.plan([item("a"), item("b")])
    accept = (at(20, 30), lambda: world.owner.decide("p-1", PlanState.ACCEPTED, keep=keep))
    world.run(at(21), [accept])
    a = Step.SKIPPED if keep else Step.DONE
    assert world.steps() == {"a": a, "b": Step.DONE}
    assert not world.track.unparked_between(at(20), at(20, 29))
    assert world.told() == ["accepted"]
    if keep:
        assert world.events("a")[0].reason == "taken out by the owner"


def test_rejected_plan_never_runs(tmp_path: Path) -> None:
    """The cloud is told of the plan as a whole, with the owner's reason."""
    world = NightWorld(tmp_path, at(20), settings=ASKS)
    world.plan([item("a")])
    reject = (at(20, 10), lambda: world.owner.decide("p-1", PlanState.REJECTED, "I am away."))
    world.run(at(21, 30), [reject])
    assert not world.track.has_moved()
    assert [(str(e.state), e.reason) for e in world.events()] == [("rejected", "I am away.")]
    assert world.steps() == {"a": Step.SKIPPED}


def test_waiting_plan_expires_while_an_earlier_one_runs(tmp_path: Path) -> None:
    """A busy telescope is no reason to answer late."""
    world = NightWorld(tmp_path, at(20), settings=ASKS)
    world.plan([item("a", count=9, exposure_s=600.0)])
    world.owner.decide("p-1", PlanState.ACCEPTED)
    world.run(at(21, 35), [(at(20, 10), lambda: world.plan([item("b")], "p-2"))])
    expired = [event for event in world.events() if event.plan_id == "p-2"]
    assert [str(event.state) for event in expired] == ["expired"]
    assert expired[0].at - at(21, 10) <= timedelta(seconds=660)


def test_new_plan_takes_the_place_of_the_running_one_after_its_item(tmp_path: Path) -> None:
    """What runs ends first; what did not begin is told to be replaced."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=6), item("b")])
    world.run(at(20, 40), [(at(20, 3), lambda: world.plan([item("c")], "p-2"))])
    assert world.steps() == {"a": Step.DONE, "b": Step.SKIPPED, "c": Step.DONE}
    assert world.numbers("a") == list(range(1, 7))
    assert world.events("b")[0].reason == "replaced by plan p-2"
    assert (state_of(world), state_of(world, "p-2")) == (PlanState.SUPERSEDED, PlanState.FINISHED)


def test_plan_that_comes_twice_runs_once(tmp_path: Path) -> None:
    """The same plan again changes nothing, whether or not the cloud names it."""
    world = NightWorld(tmp_path, at(20))
    items = [item("a")]
    assert world.desk.take_plan(items)
    world.run(at(20, 20), [(at(20, 10), lambda: world.desk.take_plan(items))])
    assert world.saved() == {"a": 2}


def test_plan_of_an_old_cloud_runs_by_its_local_times(tmp_path: Path) -> None:
    """The first seven keys are enough, past midnight too."""
    world = NightWorld(tmp_path, at(21, 30))
    place = {"ra": HIGH["ra"], "dec": HIGH["dec"], "binning": 1}
    old = [
        {"startTime": "22:45", "target": "One", **place, "expDur": 60, "expCount": 2},
        {"startTime": "00:15", "target": "Two", **place, "expDur": 60, "expCount": 2},
    ]
    assert world.desk.take_plan(old)
    world.run(at(23, 40))
    plan = world.store.newest_plan()
    assert plan is not None
    assert [work.step for work in plan.items] == [Step.DONE, Step.DONE]
    assert [work.target for work in plan.items] == ["One", "Two"]
    begun = [shot.at for shot in world.camera.shots]
    # Winter in Berlin: an hour ahead of UTC.
    assert at(21, 45) <= begun[0] < at(21, 48)
    assert at(23, 15) <= begun[2] < at(23, 18)


@pytest.mark.parametrize(
    ("night", "month", "wanted"),
    [
        # 02:00 becomes 03:00: 02:30 does not come.
        (datetime(2026, 3, 28, 23, 50, tzinfo=UTC), 3, [(0, 30), (1, 30), (1, 40)]),
        # 03:00 becomes 02:00: the order tells that 02:15 is the second one.
        (datetime(2026, 10, 24, 23, 50, tzinfo=UTC), 10, [(0, 30), (1, 15), (2, 40)]),
    ],
)
def test_night_of_a_clock_change_runs_in_the_plans_order(
    tmp_path: Path, night: datetime, month: int, wanted: list[tuple[int, int]]
) -> None:
    """Local times alone, in both nights: no item is lost, none runs out of its order."""
    world = NightWorld(tmp_path, night)
    times = {3: ["01:30", "02:30", "03:40"], 10: ["02:30", "02:15", "03:40"]}[month]
    place = {"ra": HIGH["ra"], "dec": HIGH["dec"], "binning": 1, "expDur": 60, "expCount": 1}
    names = ("One", "Two", "Three")
    items = [{"startTime": t, "target": n, **place} for t, n in zip(times, names, strict=True)]
    assert world.desk.take_plan(items)
    world.run(night.replace(hour=3, minute=30) + timedelta(days=1))
    plan = world.store.newest_plan()
    assert plan is not None
    assert [work.target for work in plan.items] == list(names)
    assert {work.step for work in plan.items} == {Step.DONE}
    begun = [shot.at for shot in world.camera.shots]
    day = night.date() + timedelta(days=1)
    for instant, (hour, minute) in zip(begun, wanted, strict=True):
        start = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
        assert start <= instant < start + timedelta(minutes=3)


@pytest.mark.parametrize("hour", [6, 9, 15])
def test_plan_without_times_that_comes_by_day_waits_for_the_evening(
    tmp_path: Path, hour: int
) -> None:
    """The night that it is meant for is the coming one, in the morning too."""
    world = NightWorld(tmp_path, at(hour))
    world.plan([item("a")])
    world.run(at(19))
    assert world.steps() == {"a": Step.DONE}
    assert world.camera.shots[0].at >= at(17)
    assert not world.track.unparked_between(at(hour), at(17))


def test_items_that_cannot_be_meant_are_told_and_take_no_others_along(tmp_path: Path) -> None:
    """Right ascension in degrees, no name, no object: each is told with its reason."""
    world = NightWorld(tmp_path, at(20))
    bad = item("bad") | {"ra": 280.0}
    world.plan([bad, item("a"), "nonsense"])
    world.run(at(20, 20))
    assert world.saved() == {"a": 2}
    assert world.told("bad") == ["skipped"]
    assert "in hours" in world.events("bad")[0].reason
    skipped = [e for e in world.store.unsent_events() if e.state == "skipped"]
    assert len(skipped) == 2


def test_another_process_sees_the_plan_and_decides(tmp_path: Path) -> None:
    """Two words at once: one of them holds, and the other one is told so."""
    world = NightWorld(tmp_path, at(20), settings=ASKS)
    world.plan([item("a")])
    second = ScheduleStore(tmp_path / "schedule.sqlite", world.clock.now, mends=False)
    assert second.decide("p-1", PlanState.ACCEPTED)
    assert not world.owner.decide("p-1", PlanState.REJECTED)
    world.run(at(20, 15))
    assert world.steps() == {"a": Step.DONE}


@pytest.mark.parametrize("asked", ["V", "v"])
def test_item_is_taken_in_its_filter(tmp_path: Path, asked: str) -> None:
    """However the planner writes it."""
    world = NightWorld(tmp_path, at(20))
    wheel = SimulatedFilterWheel(world.clock, ("R", "V"))
    world.telescope = replace(world.telescope, filters=wheel)
    world.restart()
    world.plan([item("a", filter=asked)])
    world.run(at(20, 10))
    assert world.steps() == {"a": Step.DONE}
    assert wheel.filter_name() == "V"


def test_filter_that_the_wheel_lacks_is_told_in_the_items_end(tmp_path: Path) -> None:
    """The frames are taken in another one, and say so themselves; the planner shall know."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", filter="Ha")])
    world.run(at(20, 10))
    assert world.told("a") == ["running", "done"]
    assert "no filter Ha" in world.events("a")[-1].reason

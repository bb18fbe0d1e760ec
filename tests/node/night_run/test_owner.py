"""The owner's commands, from another process' store, and the node's stop in each step."""

import threading
from pathlib import Path

import pytest
from tests.support.nights import LOW, NightWorld, at, item, trouble

from boundless_skies.node.schedule.states import RUNNING, Command, Step
from boundless_skies.node.schedule.work import ExposureState
from boundless_skies.node.services.runner import MARK_NAME
from boundless_skies.simulation.script import Trouble


def test_skip_ends_the_running_item_at_once(tmp_path: Path) -> None:
    """The next one begins; the cut exposure is lost, and told in no frame."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=20, exposure_s=300.0), item("b")])
    skip = (at(20, 7), lambda: world.owner.ask(Command.SKIP, world.work("a").id))
    world.run(at(20, 30), [skip])
    assert world.steps() == {"a": Step.SKIPPED, "b": Step.DONE}
    assert world.events("a")[-1].reason == "skipped by the owner"
    assert world.numbers("a") == [1]
    assert world.numbers("a", ExposureState.LOST) == [2]
    assert (world.events("a")[-1].at - at(20, 7)).total_seconds() <= 30.0


def test_skip_of_a_waiting_item_disturbs_nothing(tmp_path: Path) -> None:
    """What runs goes on without a loss."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=6), item("b")])
    skip = (at(20, 2), lambda: world.owner.ask(Command.SKIP, world.work("b").id))
    world.run(at(20, 20), [skip])
    assert world.steps() == {"a": Step.DONE, "b": Step.SKIPPED}
    assert world.numbers("a") == list(range(1, 7))


def test_abort_ends_what_runs(tmp_path: Path) -> None:
    """Whatever it is; the rest of the plan goes on."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=20, exposure_s=300.0), item("b")])
    world.run(at(20, 30), [(at(20, 7), lambda: world.owner.ask(Command.ABORT))])
    assert world.steps() == {"a": Step.SKIPPED, "b": Step.DONE}
    assert world.events("a")[-1].reason == "aborted by the owner"


def test_park_holds_until_the_owner_lets_it_go_on(tmp_path: Path) -> None:
    """Then the item goes on with its next number."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=10, exposure_s=120.0)])
    deeds = [
        (at(20, 5), lambda: world.owner.ask(Command.PARK)),
        (at(20, 30), lambda: world.owner.ask(Command.RESUME_AFTER_UNSAFE)),
    ]
    world.run(at(21), deeds)
    assert world.steps() == {"a": Step.DONE}
    assert not world.track.unparked_between(at(20, 7), at(20, 30))
    lost = world.numbers("a", ExposureState.LOST)
    assert sorted([*lost, *world.numbers("a")]) == list(range(1, 11))
    assert world.told("a") == ["running", "preempted", "running", "done"]


def test_park_while_nothing_runs_keeps_the_next_item_waiting(tmp_path: Path) -> None:
    """The command is heard at once, not at the next exposure."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", start_utc=at(20, 20))])
    world.run(at(20, 40), [(at(20, 10), lambda: world.owner.ask(Command.PARK))])
    assert not world.track.has_moved()
    assert world.steps() == {"a": Step.PENDING}


def test_run_lets_an_item_go_first_before_its_time(tmp_path: Path) -> None:
    """What runs ends its exposure, steps back, and goes on afterwards."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=8), item("b", start_utc=at(23))])
    run = (at(20, 3), lambda: world.owner.ask(Command.RUN, world.work("b").id))
    world.run(at(20, 30), [run])
    assert world.steps() == {"a": Step.DONE, "b": Step.DONE}
    assert world.told("a") == ["running", "preempted", "running", "done"]
    assert world.numbers("a") == list(range(1, 9))
    assert world.events("b")[-1].at < at(20, 15)
    assert not world.store.asked_commands()


def test_run_overrules_no_hard_limit(tmp_path: Path) -> None:
    """What never rises is told so, and not pointed at."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", start_utc=at(23), **LOW)])
    run = (at(20, 3), lambda: world.owner.ask(Command.RUN, world.work("a").id))
    world.run(at(20, 20), [run])
    assert world.steps() == {"a": Step.SKIPPED}
    assert not world.track.has_moved()


def test_run_of_what_is_over_changes_nothing(tmp_path: Path) -> None:
    """A final step stays."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=1)])
    run = (at(20, 10), lambda: world.owner.ask(Command.RUN, world.work("a").id))
    world.run(at(20, 20), [run])
    assert world.told("a") == ["running", "done"]
    assert not world.store.asked_commands()


@pytest.mark.parametrize("step", [Step.SLEWING, Step.CENTRING, Step.FOCUSING, Step.EXPOSING])
def test_stop_in_each_step_parks_and_the_next_start_goes_on(tmp_path: Path, step: Step) -> None:
    """The stop comes while the telescope is busy with that step; no number is used twice."""
    world = NightWorld(tmp_path, at(20), sees=True)
    world.plan([item("a")])
    world.run_until_step("a", step)
    assert world.work("a").step is step
    assert world.is_parked()
    world.restart()
    world.run(at(20, 30))
    assert world.steps() == {"a": Step.DONE}
    assert world.told("a") == ["running", "done"]
    lost = world.numbers("a", ExposureState.LOST)
    assert len(lost) == (step is Step.EXPOSING)
    assert sorted([*lost, *world.numbers("a")]) == [1, 2]


def test_stop_while_the_mount_is_silent_parks_once_it_answers(tmp_path: Path) -> None:
    """The node's end waits for the mount, for a while."""
    silent = trouble(Trouble.MOUNT_SILENT, at(20, 4, day=1), 100)
    world = NightWorld(tmp_path, at(20), script=[silent])
    world.plan([item("a", count=20)])
    world.run(at(20, 4).replace(second=30))
    assert world.is_parked()
    assert world.clock.now() >= silent.ends


def test_runner_says_what_it_does(tmp_path: Path) -> None:
    """The dashboard and the heartbeat get the state, the target and the reason to wait."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", start_utc=at(20, 10)), item("b", start_utc=at(20, 10), **LOW)])
    seen: list[dict[str, object]] = []
    looks = [(at(20, m), lambda: seen.append(world.runner.facts())) for m in (5, 12)]
    looks.append((at(20, 20), lambda: world.owner.ask(Command.PARK)))
    looks.append((at(20, 22), lambda: seen.append(world.runner.facts())))
    world.run(at(20, 25), looks)
    assert [facts["state"] for facts in seen] == ["waiting", "observing", "unsafe"]
    assert seen[1]["target"] == "High field"
    assert seen[0]["doing"] == "Waiting for High field."
    assert seen[1]["weather"]


def test_only_one_piece_of_work_ever_runs(tmp_path: Path) -> None:
    """At every instant of a busy night."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=3), item("b", count=3), item("c", count=3)])
    most = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.is_set() and world.clock.now() < at(20, 20):
            most = max(most, sum(step in RUNNING for step in world.steps().values()))
            world.clock.sleep(7.0, over)

    world.run(at(20, 21), [(at(20), watch)])
    assert most == 1
    assert set(world.steps().values()) == {Step.DONE}


def test_owners_park_moves_a_telescope_that_the_node_never_moved(tmp_path: Path) -> None:
    """The owner's word counts, whoever left it unparked."""
    world = NightWorld(tmp_path, at(20), parked=False)
    world.run(at(20, 10), [(at(20, 2), lambda: world.owner.ask(Command.PARK))])
    assert world.is_parked()


def test_command_outlives_a_restart(tmp_path: Path) -> None:
    """What was asked for and not yet done is done by the next process."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=4, exposure_s=300.0), item("b", start_utc=at(23))])
    run = (at(20, 3), lambda: world.owner.ask(Command.RUN, world.work("b").id))
    world.run(at(20, 4), [run])
    assert world.steps()["b"] is Step.PENDING
    world.restart()
    world.run(at(20, 15))
    assert world.steps()["b"] is Step.DONE
    assert not world.store.asked_commands()


def test_latch_that_is_set_while_the_node_is_down_holds_after_its_start(tmp_path: Path) -> None:
    """What was cut off steps back, is told so, and is skipped when its time is over."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=4, exposure_s=300.0, end_utc=at(20, 40))])
    world.run_until_step("a", Step.EXPOSING)
    world.owner.unsafe("The roof is closed.")
    world.restart()
    world.run(at(20, 45))
    assert world.told("a") == ["running", "preempted", "skipped"]
    assert "The roof is closed" in world.events("a")[1].reason
    assert world.events("a")[1].at < at(20, 10)
    assert not world.track.unparked_between(at(20, 6), at(20, 45))


def test_start_after_a_cut_parks_what_was_left_unparked(tmp_path: Path) -> None:
    """Nothing is planned any more, but this node had moved the telescope."""
    world = NightWorld(tmp_path, at(20), parked=False)
    (tmp_path / MARK_NAME).touch()
    world.restart()
    world.run(at(20, 5))
    assert world.is_parked()
    assert not (tmp_path / MARK_NAME).exists()

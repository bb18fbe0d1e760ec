"""The table of steps, and the clock that waiting code is handed."""

from datetime import UTC
from threading import Event

import pytest

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.schedule.states import ALLOWED, FINAL, RUNNING, Step, wire_state
from boundless_skies.wire import ItemState


def reachable(start: Step) -> set[Step]:
    """Return the steps that can come after one, at any distance."""
    found: set[Step] = set()
    ahead = {start}
    while ahead:
        found |= ahead
        ahead = {after for step in ahead for after in ALLOWED[step]} - found
    return found


def test_every_step_can_come() -> None:
    """From PENDING on; the table leaves none out."""
    assert set(ALLOWED) == set(Step) == reachable(Step.PENDING)


@pytest.mark.parametrize("step", Step)
def test_nothing_follows_a_final_step_and_every_other_can_end(step: Step) -> None:
    """In SKIPPED or FAILED by one move."""
    assert (not ALLOWED[step]) == (step in FINAL)
    assert step in FINAL or {Step.SKIPPED, Step.FAILED} <= ALLOWED[step]


def test_item_is_done_only_after_it_was_exposed() -> None:
    """No other step leads there, and what was left comes back by PENDING alone."""
    assert [step for step in Step if Step.DONE in ALLOWED[step]] == [Step.EXPOSING]
    assert ALLOWED[Step.PREEMPTED] - FINAL == {Step.PENDING}
    assert {step for step in Step if Step.PREEMPTED in ALLOWED[step]} == RUNNING


def test_cloud_hears_its_own_words() -> None:
    """Of every step but PENDING; all that run are one to it."""
    told = {step: wire_state(step) for step in Step}
    assert [step for step, state in told.items() if state is None] == [Step.PENDING]
    assert {told[step] for step in RUNNING} == {ItemState.RUNNING}
    assert all(told[step] == step.value for step in {*FINAL, Step.PREEMPTED})


def test_clock_of_the_computer_waits_until_it_is_stopped() -> None:
    """An hour's wait ends at once when the stop is set, and a wait into the past too."""
    clock = SystemClock()
    stop = Event()
    clock.sleep(-5.0, stop)
    stop.set()
    before = clock.monotonic()
    clock.sleep(3600.0, stop)
    assert clock.monotonic() - before < 3600.0
    assert clock.now().tzinfo is UTC

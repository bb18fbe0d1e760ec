"""The schedule against a model, from two connections and over restarts."""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from boundless_skies.node.schedule.states import (
    ALLOWED,
    DECISIONS,
    FINAL,
    RUNNING,
    PlanState,
    Step,
    wire_state,
)
from boundless_skies.node.schedule.work import PlannedItem
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore, Work

NOW = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)
COUNT = 2
ANY = st.integers(0, 99)
_NEXT = {
    Step.PENDING: Step.SLEWING,
    Step.SLEWING: Step.CENTRING,
    Step.CENTRING: Step.EXPOSING,
    Step.FOCUSING: Step.EXPOSING,
    Step.EXPOSING: Step.DONE,
    Step.PREEMPTED: Step.PENDING,
}
Key = tuple[str, str]  # plan ("" for an interrupt) and item


class ScheduleMachine(RuleBasedStateMachine):
    """What runner, owner and cloud do to one schedule, and a model of what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = ScheduleStore(self.folder / FILE_NAME, lambda: NOW)
        self.beside = ScheduleStore(self.folder / FILE_NAME, lambda: NOW)
        self.plans: dict[str, PlanState] = {}
        self.steps: dict[Key, Step] = {}
        self.taken: dict[Key, int] = {}
        self.open_exposure: tuple[Key, int] | None = None
        self.latched = False
        self.told: list[tuple[str, str, str]] = []
        self.version = 0

    def teardown(self) -> None:
        """Give back what this run held."""
        self.store.close()
        self.beside.close()
        shutil.rmtree(self.folder)

    # -- helpers ------------------------------------------------------------------------

    def _side(self, which: int) -> ScheduleStore:
        return self.store if which % 2 else self.beside

    def _works(self) -> list[Work]:
        works = [work for plan_id in self.plans for work in self.store.all_work(plan_id)]
        return [*works, *self.store.interrupts(99)]

    def _pick(self, which: int) -> Work | None:
        works = self._works()
        return works[which % len(works)] if works else None

    def _settle(self, plan_id: str, state: PlanState) -> None:
        self.plans[plan_id] = state
        self.told.append((plan_id, "", state.value))
        if state is PlanState.ACCEPTED:
            self._supersede(plan_id, PlanState.ACCEPTED)
        else:
            self._skip(plan_id, told=False)
        self._finish()

    def _supersede(self, plan_id: str, state: PlanState) -> None:
        for old_id, old in self.plans.items():
            if old is state and old_id != plan_id:
                self.plans[old_id] = PlanState.SUPERSEDED
                if state is PlanState.WAITING:
                    self.told.append((old_id, "", "expired"))
                self._skip(old_id, told=state is PlanState.ACCEPTED)

    def _skip(self, plan_id: str, *, told: bool) -> None:
        for key, step in self.steps.items():
            if key[0] == plan_id and step in {Step.PENDING, Step.PREEMPTED}:
                self.steps[key] = Step.SKIPPED
                if told:
                    self.told.append((*key, "skipped"))

    def _finish(self) -> None:
        for plan_id, state in self.plans.items():
            items = [step for key, step in self.steps.items() if key[0] == plan_id]
            if state is PlanState.ACCEPTED and set(items) <= FINAL:
                self.plans[plan_id] = PlanState.FINISHED

    def _may_move(self, key: Key) -> bool:
        others = any(step in RUNNING for other, step in self.steps.items() if other != key)
        plan = self.plans.get(key[0], PlanState.ACCEPTED)
        accepted = plan in {PlanState.ACCEPTED, PlanState.SUPERSEDED}
        return not self.latched and not others and accepted

    # -- what happens -------------------------------------------------------------------

    @rule(which=ANY, number=st.integers(0, 5), items=st.integers(0, 3), at_once=st.booleans())
    def put_plan(self, which: int, number: int, items: int, at_once: bool) -> None:
        """Let a plan come, perhaps a second time."""
        plan_id = f"plan{number}"
        state = PlanState.ACCEPTED if at_once else PlanState.WAITING
        planned = [_item(f"i{n}") for n in range(items)]
        added = self._side(which).put_plan(plan_id, planned, state=state)
        assert added == (plan_id not in self.plans)
        if added:
            self.plans[plan_id] = PlanState.WAITING
            for item in planned:
                self.steps[plan_id, item.item_id] = Step.PENDING
                self.taken[plan_id, item.item_id] = 0
            self._supersede(plan_id, PlanState.WAITING)
            if at_once:
                self._settle(plan_id, state)

    @rule(which=ANY, number=st.integers(0, 3))
    def put_interrupt(self, which: int, number: int) -> None:
        """Let an interrupt come, perhaps a second time."""
        key = ("", f"n{number}")
        assert self._side(which).put_interrupt(_item(key[1])) == (key not in self.steps)
        self.steps.setdefault(key, Step.PENDING)
        self.taken.setdefault(key, 0)

    @rule(which=ANY, number=st.integers(0, 5), state=st.sampled_from(sorted(DECISIONS)))
    def decide(self, which: int, number: int, state: PlanState) -> None:
        """Decide as the owner, or as the clock whose time is over."""
        plan_id = f"plan{number}"
        waits = self.plans.get(plan_id) is PlanState.WAITING
        assert self._side(which).decide(plan_id, state) == waits
        if waits:
            self._settle(plan_id, state)

    @rule(which=ANY, before=st.sampled_from(Step), after=st.sampled_from(Step), honest=ANY)
    def advance(self, which: int, before: Step, after: Step, honest: int) -> None:
        """Move a piece of work on, as somebody who may be mistaken."""
        work = self._pick(which)
        if work is not None:
            before = work.step if honest % 4 else before
            ahead = sorted(ALLOWED[before])
            after = ahead[honest % len(ahead)] if honest % 3 and ahead else after
            self._advance(self._side(which + honest), work, before, after)

    def _advance(self, side: ScheduleStore, work: Work, before: Step, after: Step) -> None:
        key = (work.plan_id, work.item_id)
        right = self.steps[key] is before and after in ALLOWED[before]
        right = right and (after not in RUNNING or self._may_move(key))
        assert side.advance(work.id, before, after) == right
        if right:
            self.steps[key] = after
            state = wire_state(after)
            if state and state is not wire_state(before):
                self.told.append((*key, state.value))
            self._finish()

    @rule(which=ANY, number=st.integers(1, COUNT + 1))
    def begin_exposure(self, which: int, number: int) -> None:
        """Ask whether the shutter may open for some number, mostly of what runs."""
        work = self.store.next_work() if which % 4 else self._pick(which)
        if work is not None:
            self._begin_exposure(self._side(which), work, number)

    def _begin_exposure(self, side: ScheduleStore, work: Work, number: int) -> None:
        key = (work.plan_id, work.item_id)
        right = (
            self.steps[key] is Step.EXPOSING
            and number == self.taken[key] + 1 <= COUNT
            and self.open_exposure is None
            and not self.latched
        )
        assert side.begin_exposure(work.id, number, "f.fits") == right
        if right:
            self.taken[key] = number
            self.open_exposure = key, number

    @rule(which=ANY, steps=st.integers(1, 20))
    def work_on(self, which: int, steps: int) -> None:
        """Let it go on, and do what the runner does: some steps of what is to be done next."""
        self.latch(which, unsafe=False)
        for _ in range(steps):
            work = self._side(which).next_work()
            if work is None:
                return
            if work.step is Step.EXPOSING and work.taken < COUNT:
                self._begin_exposure(self._side(which), work, work.taken + 1)
                self.end_exposure(which, saved=True)
            else:
                self._advance(self._side(which), work, work.step, _NEXT[work.step])

    @rule(which=ANY, saved=st.booleans())
    def end_exposure(self, which: int, saved: bool) -> None:
        """Save or lose the open exposure; a second time it is neither."""
        side = self._side(which)
        records = side.open_exposures()
        assert len(records) == (self.open_exposure is not None)
        for record in records:
            end = side.save_exposure if saved else side.lose_exposure
            assert end(record.work_id, record.number)
            assert not end(record.work_id, record.number)
        self.open_exposure = None

    @rule(which=ANY, unsafe=st.booleans())
    def latch(self, which: int, unsafe: bool) -> None:
        """Set the latch, as the guard, or clear it, as the owner."""
        side = self._side(which)
        changed = side.unsafe("rain") if unsafe else side.clear_unsafe()
        assert changed == (self.latched is not unsafe)
        self.latched = unsafe

    @rule()
    def start_again(self) -> None:
        """Start the node anew."""
        self.store.close()
        self.store = ScheduleStore(self.folder / FILE_NAME, lambda: NOW)
        assert self.store.set_aside is None

    # -- what must hold -----------------------------------------------------------------

    @invariant()
    def schedule_is_as_the_model(self) -> None:
        """Every plan, step and number, from both sides."""
        found = {(work.plan_id, work.item_id): work for work in self._works()}
        assert {key: work.step for key, work in found.items()} == self.steps
        assert {key: work.taken for key, work in found.items()} == self.taken
        for plan_id, state in self.plans.items():
            record = self.beside.plan(plan_id)
            assert record is not None
            assert record.state is state
        assert (self.beside.unsafe_reason() is not None) == self.latched
        assert self.beside.version() >= self.version
        self.version = self.beside.version()

    @invariant()
    def cloud_is_told_each_change_once(self) -> None:
        """In order, under the right names, and nothing else."""
        events = [
            (event.plan_id or "", event.item_id or event.interrupt_id or "", event.state.value)
            for event in self.store.unsent_events(10_000)
        ]
        assert events == self.told

    @invariant()
    def open_work_is_what_is_not_final(self) -> None:
        """Of accepted plans and interrupts; what runs comes first."""
        works = self.store.open_work()
        expected = {
            key
            for key, step in self.steps.items()
            if step not in FINAL
            and self.plans.get(key[0], PlanState.ACCEPTED)
            in {PlanState.ACCEPTED, PlanState.SUPERSEDED}
        }
        assert {(work.plan_id, work.item_id) for work in works} == expected
        assert [work.step in RUNNING for work in works[1:]] == [False] * len(works[1:])


def _item(item_id: str) -> PlannedItem:
    return PlannedItem(
        item_id=item_id,
        target=item_id,
        ra_deg=1.0,
        dec_deg=2.0,
        exposure_s=1.0,
        count=COUNT,
    )


def test_schedule_against_the_model() -> None:
    """No order of events leads anywhere that the table and the model do not."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        ScheduleMachine,
        settings=settings(max_examples=25, stateful_step_count=30, deadline=None),
    )

"""What came in is settled once: compared across nodes, and counted."""

import asyncio
from functools import partial
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, entry

from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.domain.measurements import Entry
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.validation import Observation, validate, window_for
from boundless_skies.cloud.services.settling import (
    GROUP_MAX,
    SettlingService,
    compare_group_anew,
    judge_again,
    settle_group,
)
from boundless_skies.cloud.services.target_names import TargetNames
from boundless_skies.cloud.services.targets import TargetService
from boundless_skies.cloud.storage import curves, measurements, settling
from boundless_skies.cloud.storage.database import Database

MINUTE_D = 1 / 1440


def add(store: Store, *entries: Entry) -> None:
    """Add measurements."""
    store.write(partial(measurements.add_all, entries=entries))


def statuses(store: Store) -> dict[str, list[str]]:
    """Return what each node's points were found to be, by time."""
    found: dict[str, list[str]] = {}
    wanted = Selection(with_rejected=True)
    curve = partial(curves.read_points, target_name="SS Cyg", wanted=wanted)
    for point in store.read(curve):
        found.setdefault(point.node_id, []).append(point.validation)
    return found


def test_a_lone_node_is_single_however_often_it_looks(store: Store) -> None:
    """A node never confirms itself."""
    add(store, *(entry(bjd=2461000 + n * MINUTE_D) for n in range(5)))
    assert store.write(settle_group) == 5
    assert statuses(store) == {"hilltop": ["single"] * 5}


def test_points_are_judged_anew_as_others_come(store: Store) -> None:
    """Single, then consistent with a second node, then the third is the outlier."""
    add(store, entry(node_id="a", magnitude=11.0))
    store.write(settle_group)
    assert statuses(store) == {"a": ["single"]}
    add(store, entry(node_id="b", magnitude=11.02, bjd=2461000.5 + MINUTE_D))
    store.write(settle_group)
    assert statuses(store) == {"a": ["consistent"], "b": ["consistent"]}
    add(store, entry(node_id="c", magnitude=11.9, bjd=2461000.5 + 2 * MINUTE_D))
    store.write(settle_group)
    assert statuses(store) == {"a": ["consistent"], "b": ["consistent"], "c": ["outlier"]}


def test_other_bands_targets_and_times_are_no_witnesses(store: Store) -> None:
    """Only the same target in the same band within the window counts."""
    add(
        store,
        entry(node_id="a"),
        entry(node_id="b", filter="B", magnitude=13.0),
        entry(node_id="c", target_name="T CrB", magnitude=9.0),
        entry(node_id="d", bjd=2461000.7, magnitude=10.0),
    )
    store.write(settle_group)
    assert {status for found in statuses(store).values() for status in found} == {"single"}


def test_a_revision_replaces_what_its_node_said(store: Store) -> None:
    """A corrected point agrees, and so no longer disputes its neighbour."""
    add(store, entry(node_id="a", magnitude=11.0), entry(node_id="b", magnitude=12.0))
    store.write(settle_group)
    assert statuses(store) == {"a": ["outlier"], "b": ["outlier"]}
    add(store, entry(node_id="b", magnitude=11.01))
    store.write(settle_group)
    assert statuses(store) == {"a": ["consistent"], "b": ["consistent"]}


def test_a_rejected_point_is_no_witness(store: Store) -> None:
    """After the verdict its neighbour stands alone again."""
    add(store, entry(node_id="a", magnitude=11.0), entry(node_id="b", magnitude=12.0))
    store.write(settle_group)

    def reject(connection: Connection) -> None:
        connection.execute(text("UPDATE measurements SET review = 'rejected' WHERE node_id = 'b'"))
        judge_again(connection, "SS Cyg", "V", 2461000.5)

    store.write(reject)
    assert statuses(store)["a"] == ["single"]


def test_the_order_of_settling_does_not_matter(store: Store) -> None:
    """A backlog settled late ends as one that was settled point by point."""
    for number, (node, magnitude) in enumerate([("a", 11.0), ("b", 11.3), ("c", 11.01)]):
        add(store, entry(node_id=node, magnitude=magnitude, bjd=2461000.5 + number * MINUTE_D))
    store.write(settle_group)
    assert statuses(store) == {"a": ["consistent"], "b": ["outlier"], "c": ["consistent"]}


def test_counts_are_the_same_before_and_after_settling(store: Store) -> None:
    """Summaries hold at every moment; a revision is an arrival, but no further point."""
    add(store, entry(), entry(node_id="b"), entry(magnitude=11.1), entry(filter="B"))
    before = store.read(measurements.summarise_targets), store.read(measurements.count_by_node)
    store.write(settle_group)
    assert store.read(settling.count_unsettled) == 0
    after = store.read(measurements.summarise_targets), store.read(measurements.count_by_node)
    assert before == after
    assert after[0][0].points == 3
    assert after[1] == {"hilltop": 3, "b": 1}


def test_processes_that_settle_at_once_count_everything_once(store: Store) -> None:
    """Four at work on the same backlog share it out."""
    for node in range(20):
        add(store, *(entry(node_id=f"n{node}", bjd=2461000 + n) for n in range(60)))

    async def settle(database: Database) -> int:
        service = SettlingService(database)

        async def until_done() -> int:
            done = 0
            while settled := await service.settle_some():
                done += settled
            return done

        return sum(await asyncio.gather(*(until_done() for _ in range(4))))

    assert store.run(settle) == 1200
    assert store.read(settling.count_unsettled) == 0
    assert sum(store.read(measurements.count_by_node).values()) == 1200


ADA = Operator(name="Ada", role=Role.OPERATOR)
FAST_D, SLOW_D = 0.2, 5.0
"""Periods with a window of 3 minutes, and with that of any slow star."""


def describe(store: Store, name: str = "SS Cyg", **known: Any) -> None:
    """Tell of a target as an operator does."""

    async def tell(database: Database) -> None:
        await TargetService(database, TargetNames(lambda: NOW), lambda: NOW).describe(
            ADA, name, known
        )

    store.run(tell)


def compare_all_anew(store: Store, size: int = GROUP_MAX) -> list[int]:
    """Compare in groups until nothing is due; return how large they were."""

    async def compare(database: Database) -> list[int]:
        sizes = []
        while done := await database.write(partial(compare_group_anew, size=size)):
            sizes.append(done)
        return sizes

    return store.run(compare)


def add_night(store: Store) -> None:
    """Settle what three nodes saw in two bands, some minutes apart and not always alike."""
    rng = np.random.default_rng(5)
    found = [
        entry(
            node_id=node,
            filter=band,
            bjd=2461000 + number * 0.05 + int(rng.integers(10)) * MINUTE_D,
            magnitude=float(rng.choice((11.0, 11.0, 11.5))),
        )
        for number in range(12)
        for node in "abc"
        for band in "BV"
    ]
    add(store, *found)
    assert store.write(settle_group) == len(found)


def judged(store: Store) -> dict[str, list[tuple[Observation, str | None]]]:
    """Return the points of each band with what they were found to be."""
    read = partial(settling.read_between, target_name="SS Cyg", low_bjd=0, high_bjd=1e8)
    return {band: sorted(store.read(partial(read, band=band)), key=str) for band in "BV"}


def expected(store: Store, period_d: float) -> dict[str, list[tuple[Observation, str | None]]]:
    """Return what the points of each band are with a period, all compared at once."""
    found = {}
    for band, held in judged(store).items():
        statuses = validate((point for point, _ in held), window_for(period_d))
        found[band] = sorted(((point, statuses[point.id]) for point, _ in held), key=str)
    return found


@pytest.mark.parametrize("size", [1, 7, 200])
def test_a_new_period_is_applied_to_old_points(store: Store, size: int) -> None:
    """A fast star's points are compared within less time, a slow one's within more again."""
    add_night(store)
    for period_d in (FAST_D, SLOW_D):
        before = judged(store)
        describe(store, period_d=period_d)
        assert judged(store) == before
        assert sum(compare_all_anew(store, size)) == 72
        assert judged(store) == expected(store, period_d) != before
        assert store.read(settling.count_due) == 0


def test_comparing_anew_goes_on_where_it_was(store: Store) -> None:
    """Each group is kept for itself; another change begins at the first point again."""
    add_night(store)
    describe(store, period_d=FAST_D)
    assert store.write(partial(compare_group_anew, size=30)) in (30, 31, 32)
    assert sum(compare_all_anew(store, 30)) in (40, 41, 42)
    describe(store, period_d=SLOW_D)
    store.write(partial(compare_group_anew, size=30))
    describe(store, period_d=FAST_D)
    assert sum(compare_all_anew(store)) == 72
    assert judged(store) == expected(store, FAST_D)


def test_points_at_one_time_stay_together(store: Store) -> None:
    """A group ends behind them, not among them."""
    add(store, *(entry(node_id=f"n{n}", bjd=2461000.5) for n in range(9)), entry(bjd=2461001.5))
    store.write(settle_group)
    describe(store, period_d=FAST_D)
    assert compare_all_anew(store, 4) == [9, 1]


def test_nothing_is_compared_anew_without_need(store: Store) -> None:
    """A kind, an epoch, or a period with the same window changes no comparison."""
    add_night(store)
    describe(store, kind="EA")
    describe(store, period_d=SLOW_D)
    describe(store, period_d=2 * SLOW_D, epoch_bjd=2461000.5)
    assert store.read(settling.count_due) == 0


def test_comparing_anew_counts_nothing_twice(store: Store) -> None:
    """The summaries are what they were."""
    add_night(store)
    before = store.read(measurements.summarise_targets)
    describe(store, period_d=FAST_D)
    compare_all_anew(store)
    assert store.read(measurements.summarise_targets) == before


def test_comparing_anew_waits_for_what_is_being_settled(store: Store) -> None:
    """A point that another process may be settling with the old period is not passed by."""
    early, late = 2461000.5, 2461002.5
    add(store, *(entry(node_id=node, bjd=bjd) for node in "ab" for bjd in (early, late)))
    store.write(settle_group)
    describe(store, period_d=FAST_D)
    add(store, entry(node_id="c", bjd=late + 20 * MINUTE_D))
    assert store.write(compare_group_anew) == 2
    assert store.write(compare_group_anew) == 0
    assert store.read(settling.count_due) == 1
    store.write(settle_group)
    assert store.write(compare_group_anew) == 3
    assert store.read(settling.count_due) == 0


def test_a_target_that_waits_holds_up_no_other(store: Store) -> None:
    """The next one that is due is compared meanwhile; one that was merged away is forgotten."""
    for name in ("A 1", "B 2"):
        add(store, entry(target_name=name))
    store.write(settle_group)
    for name in ("A 1", "B 2", "C 3"):
        describe(store, name, period_d=FAST_D)
    add(store, entry(target_name="A 1", node_id="b"))
    assert compare_all_anew(store) == [1]
    assert [due.target_name for due in store.write(settling.take_due)] == ["A 1"]


def test_processes_compare_anew_beside_each_other(store: Store) -> None:
    """Four at work on one target end where one would."""
    add_night(store)
    describe(store, period_d=FAST_D)

    async def compare(database: Database) -> None:
        async def until_done() -> None:
            service = SettlingService(database)
            while await database.read(settling.count_due):
                await service.compare_some_anew()

        await asyncio.gather(*(until_done() for _ in range(4)))

    store.run(compare)
    assert judged(store) == expected(store, FAST_D)

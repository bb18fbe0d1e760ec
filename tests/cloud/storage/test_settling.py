"""What came in is settled once: compared across nodes, and counted."""

import asyncio
from functools import partial

from sqlalchemy import Connection, text
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import entry

from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.domain.measurements import Entry
from boundless_skies.cloud.services.settling import SettlingService, judge_again, settle_group
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

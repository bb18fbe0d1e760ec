"""Measurements in either database: each once, every revision kept, in their months."""

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, entry
from tests.support.postgresql import Postgresql, database_name

from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.domain.errors import InvalidInput, KeyReused
from boundless_skies.cloud.domain.measurements import Entry, Point, Receipt
from boundless_skies.cloud.schema import partitions
from boundless_skies.cloud.storage import curves, measurements
from boundless_skies.cloud.storage.database import Database


def add(store: Store, *entries: Entry) -> list[Receipt | KeyReused]:
    """Add measurements in one group."""
    return store.write(partial(measurements.add_all, entries=entries))


def curve(store: Store, name: str = "SS Cyg", **options: Any) -> list[Point]:
    """Return a light curve."""
    most = options.pop("most", curves.POINTS_MAX)
    wanted = Selection(**options)
    return store.read(partial(curves.read_points, target_name=name, wanted=wanted, most=most))


def test_every_field_comes_back_exactly(store: Store) -> None:
    """Floats are the same to the last bit, and text is the same text."""
    odd = entry(bjd=2461000.123456789, magnitude=0.1 + 0.2, uncertainty=5e-324, filter="i'")
    (receipt,) = add(store, odd)
    assert isinstance(receipt, Receipt)
    row = store.read(partial(measurements.find, number=receipt.id))
    assert row is not None
    assert (row.bjd_tdb, row.magnitude, row.uncertainty) == (2461000.123456789, 0.1 + 0.2, 5e-324)
    assert (row.filter, row.software, row.received_at) == ("i'", "a test", NOW)
    assert row.payload["fits_file"] == "ss_cyg_0001.fits"
    assert row.conditions == {}


def test_the_same_content_is_one_measurement(store: Store) -> None:
    """In one group or in two, the second is told as a duplicate of the first."""
    first, second = add(store, entry(), entry())
    (third,) = add(store, entry())
    assert first == Receipt(first.id, duplicate=False)
    assert second == third == Receipt(first.id, duplicate=True)
    assert len(curve(store)) == 1


def test_other_values_are_a_revision_and_the_newest_is_shown(store: Store) -> None:
    """Revisions count up within a group and across groups; none is deleted."""
    add(store, entry(magnitude=11.0), entry(magnitude=11.1))
    (last,) = add(store, entry(magnitude=11.2))
    (point,) = curve(store)
    assert (point.magnitude, point.revision, point.id) == (11.2, 3, last.id)
    row = store.read(partial(measurements.find, number=last.id))
    revisions = store.read(partial(measurements.list_revisions, row=row))
    assert [(one.revision, one.magnitude) for one in revisions] == [
        (3, 11.2),
        (2, 11.1),
        (1, 11.0),
    ]


def test_an_older_content_that_comes_again_stays_what_it_was(store: Store) -> None:
    """A late retry of the first revision does not supersede the second."""
    (first, _second) = add(store, entry(magnitude=11.0), entry(magnitude=11.1))
    (again,) = add(store, entry(magnitude=11.0))
    assert again == Receipt(first.id, duplicate=True)
    assert [point.magnitude for point in curve(store)] == [11.1]


def test_other_nodes_filters_and_times_are_other_points(store: Store) -> None:
    """Nothing but the same node, target, time and filter is a revision."""
    add(
        store,
        entry(),
        entry(node_id="valley"),
        entry(filter="B"),
        entry(bjd=2461000.50000001),
        entry(target_name="ss cyg"),
    )
    assert [point.revision for point in curve(store)] == [1, 1, 1, 1]


def test_a_key_that_a_client_made_up_is_kept_to_its_content(store: Store) -> None:
    """The same key with another content is refused, in one group and in the next, by node."""
    first, clash = add(store, entry(key="k"), entry(key="k", magnitude=12.0))
    assert isinstance(first, Receipt)
    assert isinstance(clash, KeyReused)
    later, other_node, again = add(
        store,
        entry(key="k", magnitude=12.5),
        entry(key="k", magnitude=12.5, node_id="valley"),
        entry(key="k"),
    )
    assert isinstance(later, KeyReused)
    assert isinstance(other_node, Receipt)
    assert again == Receipt(first.id, duplicate=True)


def test_many_that_write_the_same_at_once_make_one(store: Store) -> None:
    """Twenty groups at once, some of the same content, some revisions: each exactly once."""

    async def race(database: Database) -> list[list[Receipt | KeyReused]]:
        groups = [[entry(magnitude=11.0), entry(magnitude=11 + n % 5 / 10)] for n in range(20)]
        jobs = [partial(measurements.add_all, entries=group) for group in groups]
        return await asyncio.gather(*(database.write(job) for job in jobs))

    receipts = [one for group in store.run(race) for one in group]
    made = [one.id for one in receipts if isinstance(one, Receipt) and not one.duplicate]
    assert len(made) == len(set(made)) == 5
    (point,) = curve(store)
    assert point.revision == 5


def test_the_newest_points_of_a_long_curve_are_kept(store: Store) -> None:
    """A bound on the points takes the oldest away, and the order is that of time."""
    add(store, *(entry(bjd=2461000 + day / 10) for day in range(50)))
    bjds = [point.bjd for point in curve(store, most=10)]
    assert bjds == [2461000 + day / 10 for day in range(40, 50)]


def test_rejected_points_are_left_out_unless_asked_for(store: Store) -> None:
    """A verdict hides a point, and does not delete it."""
    add(store, entry(), entry(bjd=2461001.5))
    store.write(
        lambda connection: connection.execute(
            text("UPDATE measurements SET review = 'rejected' WHERE bjd_tdb > 2461001")
        )
    )
    assert len(curve(store)) == 1
    assert len(curve(store, with_rejected=True)) == 2


def test_points_lie_in_the_partition_of_their_month(postgresql: Postgresql) -> None:
    """On PostgreSQL: months of their own from 2010 to 2049, one place for the rest."""
    url = postgresql.create_database(template="migrated")
    store = Store("postgresql", url)
    edge = 2461041.5  # 2026-01-01T00:00
    bjds = {
        edge - 1e-8: "measurements_2025_12",
        edge: "measurements_2026_01",
        2455196.9: "measurements_rest",
        2455197.5: "measurements_2010_01",
        2499999.0: "measurements_rest",
    }
    for bjd in bjds:
        add(store, entry(bjd=bjd))

    def places(connection: Connection) -> dict[float, str]:
        rows = connection.execute(
            text("SELECT bjd_tdb, tableoid::regclass::text AS place FROM measurements")
        )
        return {row.bjd_tdb: row.place for row in rows}

    assert store.read(places) == bjds
    postgresql.drop_database(database_name(url))


def test_two_processes_make_a_month_at_once(postgresql: Postgresql) -> None:
    """Whoever comes second finds it there; nobody's measurement is lost."""
    url = postgresql.create_database(template="migrated")
    store = Store("postgresql", url)

    async def race(database: Database) -> None:
        other = store.make()
        await other.open()
        jobs = [
            partial(measurements.add_all, entries=[entry(node_id=f"n{n}", bjd=2461100.0 + 31 * m)])
            for m in range(6)
            for n in range(4)
        ]
        await asyncio.gather(*((database, other)[n % 2].write(job) for n, job in enumerate(jobs)))
        await other.close()

    store.run(race)
    assert len(curve(store)) == 24
    postgresql.drop_database(database_name(url))


@pytest.mark.parametrize("year", range(2010, 2050, 3))
def test_every_instant_of_a_month_falls_into_its_partition(year: int) -> None:
    """The bounds in the SQL and the month in Python agree at each edge, to the last bit."""
    for month in range(1, 13):
        statement = partitions.create_statement(year, month)
        low, high = (float(part.strip("() ")) for part in statement.split("FROM ")[1].split(" TO "))
        assert partitions.month_of(low) == (year, month)
        for offset in (1e-9, 1e-6, 1e-3, 0.5):
            assert partitions.month_of(low + offset) == (year, month)
            assert partitions.month_of(high - offset) == (year, month)


def test_a_light_curve_reads_one_index_of_each_month(postgresql: Postgresql) -> None:
    """On PostgreSQL no partition is scanned for a light curve, and foreign months not at all."""
    url = postgresql.create_database(template="migrated")
    store = Store("postgresql", url)
    for month in range(3):
        add(
            store,
            *(
                entry(bjd=2461050.0 + 31 * month + n / 50, target_name=f"T{n % 40}")
                for n in range(300)
            ),
        )

    def explain(connection: Connection) -> str:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        query = curves.light_curve_query("T7", Selection(from_bjd=2461080.0), most=1000)
        sql = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        return "\n".join(connection.scalars(text(f"EXPLAIN {sql}")))

    plan = store.read(explain)
    assert "Seq Scan" not in plan
    assert plan.count("Index") >= 2
    assert "measurements_2026_01" not in plan
    postgresql.drop_database(database_name(url))


def test_a_text_that_postgresql_cannot_keep_is_told(postgresql: Postgresql) -> None:
    """A NUL in a name is the sender's mistake, not a failing database."""
    url = postgresql.create_database(template="migrated")
    with pytest.raises(InvalidInput, match="NUL"):
        curve(Store("postgresql", url), "a\x00b")
    postgresql.drop_database(database_name(url))

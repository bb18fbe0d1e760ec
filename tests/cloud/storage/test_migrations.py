"""Tables of every form that there was are brought up to date, with all that is in them."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, entry
from tests.support.postgresql import Postgresql, database_name

from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.domain.measurements import Receipt
from boundless_skies.cloud.schema.tables import metadata
from boundless_skies.cloud.services.settling import settle_group
from boundless_skies.cloud.storage import (
    curves,
    images,
    interrupts,
    measurements,
    migrating,
    nodes,
    plans,
    settings,
    settling,
    targets,
)
from boundless_skies.cloud.storage.database import Database, UnusableDatabase

SCHEMAS = Path(__file__).parent / "schemas"


def scripts(kind: str) -> str:
    """Return the first form's tables and rows, in the words of a database."""
    parts = [f"first_form.{kind}.sql", "first_form.rows.sql"]
    return "\n".join((SCHEMAS / part).read_text() for part in parts)


@pytest.fixture(params=["sqlite", "postgresql"])
def old_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a database as the first form left it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'cloud.sqlite3'}"
        engine = create_engine(url)
        with engine.begin() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.executescript(scripts("sqlite"))
        engine.dispose()
        yield Store("sqlite", url)
        return
    server: Postgresql = request.getfixturevalue("postgresql")
    url = server.create_database()
    server.run_sql(scripts("postgresql"), database_name(url))
    yield Store("postgresql", url)
    server.drop_database(database_name(url))


def migrate(store: Store) -> list[str]:
    """Bring a database up to date, as `boundless cloud migrate` does."""
    return asyncio.run(store.make().migrate())


def test_the_code_stands_at_the_last_step() -> None:
    """The step that a start looks for is that to which the migrations lead."""
    assert ScriptDirectory(str(migrating.SCRIPTS)).get_current_head() == migrating.HEAD


def test_the_migrations_make_the_tables_that_the_queries_know(store: Store) -> None:
    """Nothing differs but PostgreSQL's partitions, which the definitions need not know."""

    def differences(connection: Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = [str(one) for one in compare_metadata(context, metadata)]
        return [one for one in found if "measurements_rest" not in one]

    assert store.read(differences) == []


def test_a_first_forms_database_is_taken_over_whole(old_store: Store) -> None:
    """Every row of every table is there, to the last digit; the numbers go on."""
    assert [step[:4] for step in migrate(old_store)] == ["0002", "0003", "0004"]
    assert migrate(old_store) == []
    hilltop, valley = old_store.read(nodes.list_some)
    assert (hilltop.profile.owner_name, hilltop.profile.rig) == ("the owner", {"aperture_mm": 50})
    assert (hilltop.conditions, hilltop.queued_uploads, hilltop.image_bytes) == (
        {"wind": 3},
        2,
        1500,
    )
    assert not hilltop.profile.owner_public
    assert (valley.image_bytes, valley.last_beat_at) == (0, None)
    assert old_store.read(partial(nodes.find_keys, node_id="valley")).key_hash == "hash-2"
    current = old_store.read(partial(plans.find_current, node_ids=["hilltop"]))
    assert current["hilltop"].parse().items[0]["target"] == "SS Cyg"
    assert [one.id for one in old_store.read(partial(interrupts.list_standing, now=NOW))] == [3]
    acked = partial(interrupts.list_acked, node_id="hilltop", numbers=[3])
    assert old_store.read(acked) == {3}
    assert old_store.read(images.count) == 2
    assert old_store.read(partial(settings.get, name="operator_key_hash")) == "abc"


def test_a_first_forms_measurements_are_taken_over_whole(old_store: Store) -> None:
    """Values to the last bit, revisions, keys, and the two stars whose names differ in case."""
    migrate(old_store)
    row = old_store.read(partial(measurements.find, number=1))
    assert row is not None
    assert (row.bjd_tdb, row.payload, row.revision) == (2461000.123456789, {"x": 1}, 1)
    assert row.received_at.microsecond == 1
    assert len(old_store.read(partial(measurements.list_revisions, row=row))) == 2
    kept = [old_store.read(partial(targets.resolve, name=name)) for name in ("R Car", "r Car")]
    assert kept == ["R Car", "r Car"]
    summaries = {one.name: one.points for one in old_store.read(measurements.summarise_targets)}
    assert sum(summaries.values()) == 4
    (new,) = old_store.write(
        partial(measurements.add_all, entries=[entry(node_id="hilltop", key="key-1")])
    )
    assert "came before" in str(new)
    (later,) = old_store.write(partial(measurements.add_all, entries=[entry(node_id="hilltop")]))
    assert later.id > 8
    assert old_store.write(settle_group) == 6
    after = {one.name: one.points for one in old_store.read(measurements.summarise_targets)}
    assert sum(after.values()) == 5


def test_targets_with_a_period_are_compared_anew(
    empty_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their points may have been compared before the period was known."""
    with monkeypatch.context() as before:
        before.setattr(migrating, "HEAD", "0003")
        migrate(empty_store)
        for known in (targets.Target(name="A 1", period_d=0.5), targets.Target(name="B 2")):
            empty_store.write(partial(targets.add, target=known, now=NOW))
    migrate(empty_store)
    due = empty_store.write(settling.take_due)
    assert due == [settling.Due("A 1", settling.BEFORE_ALL_BJD)]


def test_spellings_of_one_star_become_one_target(old_store: Store) -> None:
    """What the first form kept apart is one light curve."""
    migrate(old_store)
    name = old_store.read(partial(targets.resolve, name="ss cyg"))
    assert name is not None
    curve = partial(curves.read_points, target_name=name, wanted=Selection())
    assert [point.magnitude for point in old_store.read(curve)] == [11.9, 11.95]


def test_a_services_database_keeps_its_points(
    empty_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step before today's is brought up to date with a point in it, which is known again."""
    with monkeypatch.context() as before:
        before.setattr(migrating, "HEAD", "0002")
        assert [step[:4] for step in migrate(empty_store)] == ["0001", "0002"]
        empty_store.write(partial(measurements.add_all, entries=[entry()]))
    assert [step[:4] for step in migrate(empty_store)] == ["0003", "0004"]
    (receipt,) = empty_store.write(partial(measurements.add_all, entries=[entry()]))
    assert isinstance(receipt, Receipt)
    assert receipt.duplicate


def test_a_light_curve_is_read_from_the_index_alone(store: Store) -> None:
    """On PostgreSQL, no page of the table is read for it."""
    if store.kind != "postgresql":
        pytest.skip("SQLite has no such index")

    def explain(connection: Connection) -> str:
        query = curves.light_curve_query("SS Cyg", Selection(), 100).compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {query}"))

    store.write(partial(measurements.add_all, entries=[entry()]))
    assert "Index Only Scan" in store.read(explain)


def test_processes_that_migrate_at_once_do_it_once(empty_store: Store) -> None:
    """Whoever comes second waits, and finds nothing to do."""

    async def race() -> list[list[str]]:
        return await asyncio.gather(*(empty_store.make().migrate() for _ in range(3)))

    made = asyncio.run(race())
    assert sorted(len(steps) for steps in made) == [0, 0, 4]


def test_postgresql_is_not_migrated_by_a_start(postgresql: Postgresql) -> None:
    """An empty or old database is told, with what to do; nothing is made in it."""
    url = postgresql.create_database()
    with pytest.raises(UnusableDatabase, match=r"no tables yet.*boundless cloud migrate"):
        Store("postgresql", url).run(_nothing)
    assert (
        postgresql.run_sql(
            "SELECT count(*) FROM pg_class WHERE relname = 'nodes'", database_name(url)
        )
        == "0"
    )
    postgresql.run_sql(scripts("postgresql"), database_name(url))
    with pytest.raises(UnusableDatabase, match=r"stand at step 0001.*boundless cloud migrate"):
        Store("postgresql", url).run(_nothing)
    postgresql.drop_database(database_name(url))


@pytest.mark.parametrize(
    ("oldest_code", "works"),
    [(2, True), (int(migrating.HEAD), True), (int(migrating.HEAD) + 1, False)],
)
def test_older_code_works_beside_newer_tables_that_allow_it(
    store: Store, oldest_code: int, works: bool
) -> None:
    """While a deployment is under way; tables that it would harm are left alone."""

    def go_on(connection: Connection) -> None:
        newer = f"{int(migrating.HEAD) + 1:04}"
        connection.execute(
            text("UPDATE alembic_version SET version_num = :newer"), {"newer": newer}
        )
        query = text("UPDATE settings SET value = :value WHERE name = 'oldest_code'")
        connection.execute(query, {"value": str(oldest_code)})
        connection.execute(text("ALTER TABLE nodes ADD COLUMN of_the_next_form TEXT"))

    store.write(go_on)
    if not works:
        with pytest.raises(UnusableDatabase, match="too old"):
            store.read(migrating.current)
        return
    (receipt,) = store.write(partial(measurements.add_all, entries=[entry()]))
    assert receipt.duplicate is False
    assert store.read(nodes.list_some) == []


async def _nothing(_database: Database) -> None:
    """Do nothing."""

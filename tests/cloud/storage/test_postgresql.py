"""What is particular to PostgreSQL: connections that are cut off, and numbers drawn ahead."""

from functools import partial

import pytest
from sqlalchemy import Connection, text
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import add_node, entry
from tests.support.postgresql import Postgresql, database_name

from boundless_skies.cloud.domain.measurements import Receipt
from boundless_skies.cloud.storage import measurements, postgresql
from boundless_skies.cloud.storage.database import Database


def numbers_of(receipts: list[object]) -> list[int]:
    """Return the numbers of measurements that were taken."""
    return [receipt.id for receipt in receipts if isinstance(receipt, Receipt)]


@pytest.fixture
def served(postgresql: Postgresql) -> Store:
    """Give a migrated database on PostgreSQL."""
    return Store("postgresql", postgresql.create_database(template="migrated"))


def test_connections_that_were_cut_off_while_they_rested_are_made_anew(
    served: Store, postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No caller notices that the server was restarted in a quiet hour."""
    monkeypatch.setattr("boundless_skies.cloud.storage.postgresql.PING_AFTER_S", 0.0)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"

    def answer(connection: Connection) -> int | None:
        return connection.scalar(text("SELECT 1"))

    async def work(database: Database) -> list[int | None]:
        before = await database.write(answer)
        postgresql.run_sql(cut.format(database_name(served.url)))
        return [before, await database.write(answer), await database.read(answer)]

    assert served.run(work) == [1, 1, 1]


def test_numbers_drawn_ahead_are_each_used_once(
    served: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that draw in turn, one of them undone, never give a number twice."""
    monkeypatch.setattr(measurements, "NUMBERS_IN_STOCK", 3)
    add_node(served)

    def undone(connection: Connection) -> None:
        measurements.add_all(connection, [entry(bjd=2_461_000.5)])
        raise RuntimeError("undone")

    async def work(database: Database) -> list[int]:
        other = served.make()
        await other.open()
        numbers: list[int] = []
        for night in range(6):
            for place, each in enumerate((database, other)):
                with pytest.raises(RuntimeError, match="undone"):
                    await each.write(undone)
                bjds = [2_461_001.5 + night + place / 2 + few / 100 for few in range(1 + night)]
                entries = [entry(bjd=bjd) for bjd in bjds]
                job = partial(measurements.add_all, entries=entries)
                numbers += numbers_of(await each.write(job))
        await other.close()
        return numbers

    numbers = served.run(work)
    assert len(numbers) == 42
    assert len(set(numbers)) == 42


def test_a_connection_in_use_is_not_tried_first(
    served: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ping costs each commit a round trip."""
    pings: list[object] = []
    dialect = "sqlalchemy.dialects.postgresql.asyncpg.PGDialect_asyncpg.do_ping"
    monkeypatch.setattr(dialect, lambda _self, connection: pings.append(connection) or True)
    monkeypatch.setattr(postgresql, "PING_AFTER_S", 3_600.0)

    async def work(database: Database) -> None:
        for _ in range(5):
            await database.write(lambda connection: connection.execute(text("SELECT 1")).all())

    served.run(work)
    assert pings == []


def test_a_new_months_measurements_are_found_by_the_index_from_the_first_on(served: Store) -> None:
    """No group reads the whole month, although the server's plans are as old as the empty one."""
    add_node(served)
    groups, of_each = 30, 20

    async def fill(database: Database) -> None:
        for group in range(groups):
            new = [entry(bjd=2_461_000.5 + group + n / 100) for n in range(of_each)]
            await database.write(partial(measurements.add_all, entries=new))

    def rows_read_in_whole(connection: Connection) -> int:
        query = "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname ~ '^measurements_'"
        return int(connection.scalar(text(query)) or 0)

    served.run(fill)  # its connections tell what they have read when they are closed
    held = sum(served.read(measurements.count_by_node).values())
    assert held == groups * of_each
    assert served.read(rows_read_in_whole) < held


def test_tables_without_an_index_that_fits_are_read_all_the_same(served: Store) -> None:
    """And nothing is compiled for it."""
    add_node(served)

    def look(connection: Connection) -> tuple[list[str], str]:
        owners = connection.scalars(text("SELECT owner_name FROM nodes WHERE elevation_m = 0"))
        return list(owners), str(connection.scalar(text("SHOW jit")))

    assert served.read(look) == (["the owner"], "off")

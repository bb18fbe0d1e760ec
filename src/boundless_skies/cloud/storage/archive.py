"""All rows of a database as lines of JSON, and back: the same lines from and into either kind."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    String,
    Table,
    Text,
    cast,
    exists,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.schema import partitions
from boundless_skies.cloud.schema.tables import (
    UtcDateTime,
    changes,
    measurements,
    metadata,
    settings,
)
from boundless_skies.cloud.storage import bulk
from boundless_skies.cloud.storage.database import JsonText

TABLES: dict[str, Table] = {t.name: t for t in metadata.sorted_tables if t is not changes}
"""The tables that are kept, each after those that it points to."""
OWN_SETTINGS = ("schema_version", "oldest_code")
"""Settings that tell of the tables themselves."""
GROUP = 1_000
NUL, INSTEAD_OF_NUL = "\x00", "\ufffd"


class UnusableArchive(CloudError):  # noqa: N818 - named after what happened
    """An archive is damaged, of a newer cloud, or cannot go where it should."""


def count_rows(connection: Connection) -> int:
    """Return how many rows there are to keep."""
    counts = [
        connection.scalar(select(func.count()).select_from(table)) for table in TABLES.values()
    ]
    return sum(count or 0 for count in counts)


def read_lines(connection: Connection, table: Table) -> Iterator[bytes]:
    """Give a table as lines: its columns, then each row; numbers and JSON exactly as they are."""
    yield _line([column.name for column in table.columns])
    query = select(*(_exact(column) for column in table.columns))
    if table is settings:
        query = query.where(settings.c.name.not_in(OWN_SETTINGS))
    for row in connection.execute(query, execution_options={"yield_per": GROUP}):
        yield _line([v.isoformat() if isinstance(v, datetime) else v for v in row])


def find_row(connection: Connection) -> str | None:
    """Return the name of a table that is not empty; None where all are."""
    for name, table in TABLES.items():
        query = select(exists(select(1).select_from(table)))
        if table is settings:
            held = select(1).select_from(table).where(settings.c.name.not_in(OWN_SETTINGS))
            query = select(exists(held))
        if connection.scalar(query):
            return name
    return None


def load_lines(connection: Connection, table: Table, lines: Iterable[bytes]) -> Iterator[int]:
    """Insert what `read_lines` gave; give the number of rows after each group of them.

    A column that a newer cloud has added is left to its default.

    Raises
    ------
    UnusableArchive
        If the rows do not fit the table.
    """
    rows = iter(lines)
    try:
        names = json.loads(next(rows, b"[]"))
        readers = [(name, _reader(connection, table.c[name])) for name in names]
        while group := [json.loads(line) for line in islice(rows, GROUP)]:
            insert_rows(connection, table, [_to_row(readers, values) for values in group])
            yield len(group)
    except (ValueError, KeyError, TypeError, DBAPIError) as error:
        reason = getattr(error, "orig", None) or f"{type(error).__name__}: {error}"
        raise UnusableArchive(
            f"The archive's rows do not fit the table {table.name}: {reason}"
        ) from None


def insert_rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, with the months that they need."""
    if table is measurements and connection.dialect.name == "postgresql":
        months = {partitions.month_of(row["bjd_tdb"]) for row in rows}
        for month in filter(None, months):
            connection.exec_driver_sql(partitions.create_statement(*month))
    if rows:
        names = [column.name for column in table.columns if column.name in rows[0]]
        bulk.insert_many(connection, table, {name: [row[name] for row in rows] for name in names})


def set_counters(connection: Connection) -> None:
    """Let PostgreSQL's counters go on after the largest numbers that were loaded."""
    if connection.dialect.name != "postgresql":
        return  # SQLite's follow by themselves
    _set_counter(connection, "measurement_ids", measurements)
    for table in TABLES.values():
        if table is not measurements and "id" in table.c:
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name}
            )
            _set_counter(connection, sequence, table)


def _set_counter(connection: Connection, sequence: str, table: Table) -> None:
    highest = connection.scalar(select(func.max(table.c.id))) or 0
    connection.execute(
        text("SELECT setval(CAST(:name AS regclass), :next, false)"),
        {"name": sequence, "next": highest + 1},
    )


def _exact(column: Column[Any]) -> Any:
    # As text: reading and writing JSON anew could change a number's form.
    return cast(column, Text) if isinstance(column.type, JSON) else column


def _line(values: Sequence[Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _reader(connection: Connection, column: Column[Any]) -> Any:
    if isinstance(column.type, JSON):
        return JsonText
    if isinstance(column.type, UtcDateTime):
        return datetime.fromisoformat
    if isinstance(column.type, String) and connection.dialect.name == "postgresql":
        return lambda value: value.replace(NUL, INSTEAD_OF_NUL)
    return lambda value: value


def _to_row(readers: Sequence[tuple[str, Any]], values: Sequence[Any]) -> dict[str, Any]:
    return {
        name: None if value is None else read(value)
        for (name, read), value in zip(readers, values, strict=True)
    }

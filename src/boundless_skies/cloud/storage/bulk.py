"""The few statements that run thousands of times a second, without what each row would cost.

SQLAlchemy prepares every value of every row anew. Here a statement is compiled
once, the values' own processors are looked up once, and the rows go to the driver
as plain tuples.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, insert
from sqlalchemy.engine import Dialect

Processor = Callable[[Any], Any]


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns; JSON columns may hold `JsonText`."""
    if not rows:
        return
    names = tuple(rows[0])
    statement, processors = _compiled_insert(connection.dialect, table, names)
    plain = [tuple(row.values()) for row in rows]
    if processors:
        plain = [_process(values, processors) for values in plain]
    connection.exec_driver_sql(statement, plain)


def sought(connection: Connection, kinds: Mapping[str, str], count: int) -> str:
    """Return a table expression ``sought`` of rows that are handed in; see `sought_values`.

    Parameters
    ----------
    connection : Connection
        Whose words it is in.
    kinds : mapping of str to str
        Column names and their SQL types.
    count : int
        How many rows there will be.
    """
    names = ", ".join(kinds)
    if connection.dialect.name == "postgresql":
        lists = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(kinds.values(), 1))
        return f"unnest({lists}) AS sought({names})"
    row = f"({', '.join('?' * len(kinds))})"
    values = ", ".join([row] * count)
    return f"(WITH v({names}) AS (VALUES {values}) SELECT * FROM v) AS sought"  # noqa: S608 - placeholders


def sought_values(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the rows of `sought` as the parameters of its statement."""
    if connection.dialect.name == "postgresql":
        return tuple(list(column) for column in zip(*rows, strict=True))
    return tuple(value for row in rows for value in row)


def reader(connection: Connection, column: ColumnElement[Any]) -> Processor:
    """Return what makes a column's value of what the driver reads."""
    dialect = connection.dialect
    process = column.type.dialect_impl(dialect).result_processor(dialect, None)
    return process or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _process(
    values: tuple[Any, ...], processors: Sequence[tuple[int, Processor]]
) -> tuple[Any, ...]:
    processed = list(values)
    for place, process in processors:
        processed[place] = process(processed[place])
    return tuple(processed)


@lru_cache
def _compiled_insert(
    dialect: Dialect, table: Table, names: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, Processor], ...]]:
    statement = str(insert(table).compile(dialect=dialect, column_keys=list(names)))
    places = {column.name: place for place, column in enumerate(table.columns)}
    in_order = sorted(names, key=places.__getitem__)
    if list(names) != in_order:
        raise ValueError(f"The rows' columns must be in the order of the table: {in_order}")
    found = [
        (place, table.c[name].type.dialect_impl(dialect).bind_processor(dialect))
        for place, name in enumerate(names)
    ]
    return statement, tuple((place, process) for place, process in found if process is not None)

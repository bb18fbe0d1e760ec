"""The few statements that run thousands of times a second, without what each row would cost.

SQLAlchemy prepares every value of every row anew. Here a statement is compiled
once, the values' own processors are looked up once, and the rows go to the driver
column by column.

On SQLite many rows are one step: at each step the driver lets Python's other threads
go first, and while the calls keep one of them busy, a step a row takes many times as
long as its work.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, Update, insert
from sqlalchemy.engine import AdaptedConnection, Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.types import TypeEngine

Processor = Callable[[Any], Any]
Row = tuple[Any, ...]

VARIABLES_MAX = 32_766
"""Of one statement of SQLite's, unless it was built for more."""
_EXACT = "%!.17g"
"""SQLite's form for a number of which no digit is lost."""


def insert_many(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert rows, given by their columns; JSON columns may hold `JsonText`."""
    names = tuple(columns)
    statement, processors = _compiled_insert(connection.dialect, table, names)
    plain = _processed(columns.values(), processors)
    if is_postgresql(connection):
        _copy(connection, table.name, names, list(zip(*plain, strict=True)))
        return
    head, _, marks = statement.rpartition(" VALUES ")
    for part in _parts(list(zip(*plain, strict=True)), len(names)):
        values = ", ".join([marks] * len(part))
        connection.exec_driver_sql(f"{head} VALUES {values}", _flat(part))


def update_many(
    connection: Connection, statement: Update, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Execute an update, made once, for each of some rows of its parameters.

    On SQLite its conditions may compare columns with parameters for equality only.
    """
    if not rows:
        return
    compiled = _compiled_update(connection.dialect, statement)
    columns = [[row[name] for row in rows] for name in compiled.names]
    plain = list(zip(*_processed(columns, compiled.processors), strict=True))
    if is_postgresql(connection):
        connection.exec_driver_sql(compiled.text, plain)
        return
    for part in _parts(plain, len(compiled.names)):
        connection.exec_driver_sql(compiled.joined(len(part)), _flat(part))


def fetch(
    connection: Connection, columns: Mapping[str, type], rest: str, values: Row = ()
) -> list[Row]:
    """Return the rows of a query; on SQLite in one step.

    Parameters
    ----------
    connection : Connection
        Where it runs.
    columns : mapping of str to type
        What is selected: expressions, and what they are. No float may be NULL.
    rest : str
        The query from its FROM on, with ``?`` for each value.
    values : tuple
        The values.
    """
    if is_postgresql(connection):
        numbers = count(1)
        rest = re.sub(r"\?", lambda _: f"${next(numbers)}", rest)
        query = f"SELECT {', '.join(columns)} {rest}"
        return [tuple(row) for row in connection.exec_driver_sql(query, values)]
    floats = [place for place, kind in enumerate(columns.values()) if kind is float]
    query = _in_one_step(tuple(columns), tuple(floats), rest)
    rows = msgspec.json.decode(connection.exec_driver_sql(query, values).scalar_one())
    for place in floats:
        for row in rows:
            row[place] = float(row[place])
    return [tuple(row) for row in rows]


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
    if is_postgresql(connection):
        lists = ", ".join(f"?::{kind}[]" for kind in kinds.values())
        return f"unnest({lists}) AS sought({names})"
    return _given(names, len(kinds), count)


def sought_values(connection: Connection, rows: Sequence[Row]) -> Row:
    """Return the rows of `sought` as the parameters of its statement."""
    if is_postgresql(connection):
        return _columns(rows)
    return _flat(rows)


def reader(connection: Connection, column: ColumnElement[Any]) -> Processor:
    """Return what makes a column's value of what the driver reads."""
    dialect = connection.dialect
    process = column.type.dialect_impl(dialect).result_processor(dialect, None)
    return process or _as_it_is


def is_postgresql(connection: Connection) -> bool:
    """Tell which of the two databases it is."""
    return connection.dialect.name == "postgresql"


class _CompiledUpdate:
    """An update in a dialect's words, and what its parameters go through."""

    def __init__(self, dialect: Dialect, statement: Update) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self.names = tuple(compiled.positiontup or ())
        self.processors = _bind_processors(dialect, [compiled.binds[n].type for n in self.names])

    def joined(self, rows: int) -> str:
        """Return it as one statement for so many rows, in SQLite's words."""
        names = iter(self.names)
        text = re.sub(r"\?", lambda _: f"sought.{next(names)}", self.text)
        before, _, after = text.partition(" WHERE ")
        source = _given(", ".join(self.names), len(self.names), rows)
        return f"{before} FROM {source} WHERE {after}"


def _given(names: str, width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    values = ", ".join([row] * rows)
    return f"(WITH v({names}) AS (VALUES {values}) SELECT * FROM v) AS sought"  # noqa: S608 - placeholders


def _in_one_step(columns: Sequence[str], floats: Sequence[int], rest: str) -> str:
    inner = ", ".join(f"{column} AS c{place}" for place, column in enumerate(columns))
    outer = ", ".join(
        f"printf('{_EXACT}', c{place})" if place in floats else f"c{place}"
        for place in range(len(columns))
    )
    return f"SELECT json_group_array(json_array({outer})) FROM (SELECT {inner} {rest})"  # noqa: S608 - our own words


def _parts(rows: Sequence[Row], width: int) -> Iterator[Sequence[Row]]:
    """Part rows into few different sizes, so that few different statements are prepared."""
    most = 1 << ((VARIABLES_MAX // width).bit_length() - 1)
    begin = 0
    while begin < len(rows):
        size = min(most, 1 << ((len(rows) - begin).bit_length() - 1))
        yield rows[begin : begin + size]
        begin += size


def _flat(rows: Sequence[Row]) -> Row:
    return tuple(chain.from_iterable(rows))


def _as_it_is(value: Any) -> Any:
    return value


def _copy(connection: Connection, table: str, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Send rows by COPY: half of what an INSERT of as many costs us, and less for the server.

    It goes past SQLAlchemy, which knows no COPY: what begins a transaction there, and
    names an error, is done here.
    """
    import asyncpg  # noqa: PLC0415 - an embedded cloud needs no driver for PostgreSQL

    adapted = connection.connection.dbapi_connection
    if not isinstance(adapted, AdaptedConnection):
        raise TypeError(f"{type(adapted).__name__} is no connection of asyncpg.")
    if not adapted.driver_connection.is_in_transaction():
        connection.exec_driver_sql("SELECT 1")
    try:
        adapted.run_async(
            lambda driver: driver.copy_records_to_table(table, records=rows, columns=names)
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        raise IntegrityError(f"COPY {table}", None, error) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError(f"COPY {table}", None, error) from error


def _processed(
    columns: Iterable[Sequence[Any]], processors: Sequence[tuple[int, Processor]]
) -> list[Sequence[Any]]:
    """Return columns with each value as the driver takes it."""
    plain = list(columns)
    for place, process in processors:
        plain[place] = _each(plain[place], process)
    return plain


def _each(values: Sequence[Any], process: Processor) -> list[Any]:
    """Process each value; one that is the same as before it, as what came at one time, once."""
    found: list[Any] = []
    before, processed = object(), None
    for value in values:
        if value is not before:
            before, processed = value, process(value)
        found.append(processed)
    return found


@lru_cache
def _compiled_update(dialect: Dialect, statement: Update) -> _CompiledUpdate:
    return _CompiledUpdate(dialect, statement)


@lru_cache
def _compiled_insert(
    dialect: Dialect, table: Table, names: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, Processor], ...]]:
    places = {column.name: place for place, column in enumerate(table.columns)}
    in_order = sorted(names, key=places.__getitem__)
    if list(names) != in_order:
        raise ValueError(f"The columns must be in the order of the table: {in_order}")
    types = [table.c[name].type for name in names]
    statement = str(insert(table).compile(dialect=dialect, column_keys=list(names)))
    return statement, _bind_processors(dialect, types)


def _columns(rows: Sequence[Row]) -> Row:
    return tuple([list(column) for column in zip(*rows, strict=True)])


def _bind_processors(
    dialect: Dialect, types: Sequence[TypeEngine[Any]]
) -> tuple[tuple[int, Processor], ...]:
    """Return what values of some types go through, by their place, where they do."""
    found = (
        (n, each.dialect_impl(dialect).bind_processor(dialect)) for n, each in enumerate(types)
    )
    return tuple((place, process) for place, process in found if process is not None)

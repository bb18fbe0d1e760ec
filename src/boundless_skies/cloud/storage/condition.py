"""Queries that tell how a database is set up: does it keep what it said it kept."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

POSTGRESQL_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
AS_DURABLE = ("remote_write", "remote_apply", "local")
"""Values of ``synchronous_commit`` with which a commit is on this server's disk, too."""
SQLITE_DURABLE = {"journal_mode": "wal", "synchronous": "2"}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """How a database is set up.

    ``lax`` names the settings with which a commit may be lost, with their values;
    ``damage`` is what a check of the file found; ``now`` is the database's clock,
    None where it has none of its own.
    """

    kind: str
    lax: dict[str, str]
    damage: str | None
    now: datetime | None


def look(connection: Connection) -> Condition:
    """Look at a database's settings; of SQLite's file, at whether it is sound."""
    if connection.dialect.name == "postgresql":
        return _look_at_postgresql(connection)
    return _look_at_sqlite(connection)


def _look_at_postgresql(connection: Connection) -> Condition:
    values = {name: str(connection.scalar(text(f"SHOW {name}"))) for name in POSTGRESQL_DURABLE}
    lax = {
        name: value
        for name, value in values.items()
        if value != POSTGRESQL_DURABLE[name] and value not in AS_DURABLE
    }
    now = connection.scalar(text("SELECT clock_timestamp() AT TIME ZONE 'UTC'"))
    return Condition(kind="PostgreSQL", lax=lax, damage=None, now=_in_utc(now))


def _look_at_sqlite(connection: Connection) -> Condition:
    values = {name: str(connection.scalar(text(f"PRAGMA {name}"))) for name in SQLITE_DURABLE}
    lax = {name: value for name, value in values.items() if value != SQLITE_DURABLE[name]}
    found = str(connection.scalar(text("PRAGMA quick_check(1)")))
    damage = None if found == "ok" else found
    return Condition(kind="SQLite", lax=lax, damage=damage, now=None)


def _in_utc(value: Any) -> datetime | None:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None

"""Bringing a database's tables up to date, step by step.

Code and tables may be one step apart while a deployment is under way: a step
names the oldest code that works with its tables, and code that is older than
the tables but not older than that goes on working.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from boundless_skies.cloud.domain.times import utc_now
from boundless_skies.cloud.storage import targets
from boundless_skies.cloud.storage.database import UnusableDatabase

SCRIPTS = Path(__file__).parents[1] / "migrations"
FIRST_FORM = "0001"
HEAD = "0004"
"""The step that this code stands at."""
OLDEST_CODE = "2"
"""The oldest schema number whose code works with today's tables."""
LOCK_NUMBER = 0x426F_756E
"""Of the advisory lock under which one process migrates at a time."""


def current(connection: Connection) -> str | None:
    """Return the step that the tables stand at; None where there are none."""
    tables = inspect(connection)
    if tables.has_table("alembic_version"):
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if found is not None:
            return found
    return FIRST_FORM if tables.has_table("settings") else None


def check(connection: Connection) -> None:
    """Check that this code works with the tables as they are.

    Raises
    ------
    UnusableDatabase
        If they are missing, too old, or of a cloud that is too new.
    """
    found, known = current(connection), HEAD
    if found is None:
        raise UnusableDatabase(
            "The database has no tables yet. Make them with: boundless cloud migrate"
        )
    if found < known:
        raise UnusableDatabase(
            f"The database's tables stand at step {found}; this cloud needs {known}. "
            "Bring them up to date with: boundless cloud migrate"
        )
    if found > known and _oldest_code(connection) > int(known):
        raise UnusableDatabase(
            f"The database's tables stand at step {found}; this cloud knows {known} and is too "
            "old for them. Start the newer version that made them."
        )


def upgrade(connection: Connection) -> list[str]:
    """Bring the tables up to date within this transaction; return the steps that were made.

    Raises
    ------
    UnusableDatabase
        If they are of a cloud that is too new.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOCK_NUMBER})
    found, known = current(connection), HEAD
    if found is not None and found > known:
        check(connection)
        return []
    if found == known:
        return []
    steps = _run_steps(connection, found)
    _note_versions(connection, known)
    targets.adopt_nameless(connection, utc_now())
    return steps


def _run_steps(connection: Connection, found: str | None) -> list[str]:
    # Imported here: a start that finds the tables up to date does without.
    from alembic import command  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = _config(connection)
    if found == FIRST_FORM:
        command.stamp(config, FIRST_FORM)
    command.upgrade(config, HEAD)
    scripts = ScriptDirectory(str(SCRIPTS)).walk_revisions(found or "base", HEAD)
    steps = [f"{script.revision} {script.doc}" for script in scripts if script.revision != found]
    return list(reversed(steps))


def _config(connection: Connection) -> Any:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config


def _note_versions(connection: Connection, known: str) -> None:
    for name, value in (("schema_version", str(int(known))), ("oldest_code", OLDEST_CODE)):
        connection.execute(text("DELETE FROM settings WHERE name = :name"), {"name": name})
        connection.execute(
            text("INSERT INTO settings (name, value) VALUES (:name, :value)"),
            {"name": name, "value": value},
        )


def _oldest_code(connection: Connection) -> int:
    found = connection.scalar(text("SELECT value FROM settings WHERE name = 'oldest_code'"))
    return int(found or 0)

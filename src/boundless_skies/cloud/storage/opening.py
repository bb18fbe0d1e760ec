"""Which database a URL means."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from boundless_skies.cloud.storage.database import Database, UnusableDatabase
from boundless_skies.cloud.storage.sqlite import SqliteDatabase

POSTGRESQL_NAMES = ("postgresql", "postgres")


def make_database(url: str | None, embedded_file: Path) -> Database:
    """Return the database of a URL, not yet opened; without one, the embedded SQLite file.

    Parameters
    ----------
    url : str or None
        ``postgresql://user:password@host:port/name`` or ``sqlite:///path``.
    embedded_file : Path
        Where the embedded database lies.

    Raises
    ------
    UnusableDatabase
        If the URL cannot be read, with what to write.
    """
    if url is None:
        return SqliteDatabase(embedded_file)
    parsed = _parse(url)
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database:
        return SqliteDatabase(Path(parsed.database))
    if kind not in POSTGRESQL_NAMES or not parsed.database:
        raise UnusableDatabase(
            f"The database URL {parsed.render_as_string(hide_password=True)!r} is not understood. "
            "Write postgresql://user:password@host:5432/name, or leave it out for SQLite."
        )
    # Imported here: an embedded cloud needs no driver for PostgreSQL.
    from boundless_skies.cloud.storage.postgresql import PostgresqlDatabase  # noqa: PLC0415

    return PostgresqlDatabase(_for_asyncpg(parsed))


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise UnusableDatabase(
            "The database URL cannot be read. Write postgresql://user:password@host:5432/name "
            "(special characters of the password as %XX), or leave it out for SQLite."
        ) from None


def _for_asyncpg(url: URL) -> URL:
    """Name the driver, and say ``sslmode`` (libpq's word) in asyncpg's."""
    query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg").set(query=query)

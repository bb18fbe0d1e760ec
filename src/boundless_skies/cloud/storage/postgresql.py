"""PostgreSQL, over asyncpg: the pool's connections run jobs side by side."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.storage import changes, migrating
from boundless_skies.cloud.storage.database import (
    CONFLICT_PAUSE_S,
    CONFLICT_TRIES,
    ENGINE_OPTIONS,
    LOOK_AGAIN_S,
    Database,
    Job,
    UnusableDatabase,
    heard_changes,
    is_conflict,
    unavailable,
)

T = TypeVar("T")

POOL_SIZE = 8
POOL_WAIT_S = 10.0
CONNECT_S = 10.0
PING_AFTER_S = 1.0
"""A connection that rested so long is tried before it is used: it may have been cut off."""
SETTINGS = {"enable_seqscan": "off", "jit": "off"}
"""A month's partition is empty when its first plans are made, and while it is, reading all of it
seems the cheapest; the server keeps to such a plan for minutes, and reads more with each row. A
table without a fitting index is read whole all the same, but seems so dear that compiling would
pay."""

_NO_SUCH_CHARACTER = "22021"

logger = logging.getLogger(__name__)


class PostgresqlDatabase(Database):
    """A database on a PostgreSQL server.

    Its tables are made and changed by `migrate` only: a start must not do that
    under the processes of another version.

    Parameters
    ----------
    url : URL
        With the driver name ``postgresql+asyncpg``.
    """

    # While one waits for the server, the other is made ready.
    writes_at_once = 2

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine: AsyncEngine | None = None
        self._look = asyncio.Event()

    async def open(self) -> None:
        """Connect, and check that the tables are those of this cloud."""
        self._engine = _make_engine(self._url)
        try:
            async with self._engine.connect() as connection:
                await connection.run_sync(migrating.check)
        except (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise self._unusable(error) from None
        except UnusableDatabase:
            await self.close()
            raise

    async def migrate(self) -> list[str]:
        """Bring the tables up to date; returns the steps that were made.

        Raises
        ------
        UnusableDatabase
            If the server cannot be reached, or the tables are of another program.
        """
        engine = _make_engine(self._url)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(migrating.upgrade)
        except (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._unusable(error) from None
        finally:
            await engine.dispose()

    async def read(self, job: Job[T]) -> T:
        """Run a job that only reads; it sees one consistent state."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        try:
            async with self._opened.connect() as connection:
                await connection.execution_options(**options)
                return await connection.run_sync(job)
        except (DBAPIError, OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise _failure(error) from error

    async def write(self, job: Job[T]) -> T:
        """Run a job in a transaction; returns once the commit is durable."""
        for tried in range(1, CONFLICT_TRIES):
            try:
                return await self._commit(job)
            except DBAPIError as error:
                if not is_conflict(error):
                    raise _failure(error) from error
            except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
                raise _failure(error) from error
            await asyncio.sleep(random.uniform(0, tried * CONFLICT_PAUSE_S))  # noqa: S311
        try:
            return await self._commit(job)
        except (DBAPIError, OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise _failure(error) from error

    async def watch(self, on_change: Callable[[str], None]) -> None:
        """Listen for changes; a lost connection is made anew, and nothing is missed."""
        known: dict[str, int] = {}
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    connection = await asyncpg.connect(**_connect_options(self._url))
                try:
                    await self._listen(connection, known, on_change)
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("The changes' connection is lost (%s); it is made anew.", error)
                await asyncio.sleep(1.0)

    def look_now(self) -> None:
        """Let `watch` look at once."""
        self._look.set()

    async def close(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            await self._engine.dispose()

    @property
    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise UnusableDatabase("The database is not open.")
        return self._engine

    async def _commit(self, job: Job[T]) -> T:
        async with self._opened.begin() as connection:
            return await connection.run_sync(job)

    async def _listen(
        self,
        connection: Any,
        known: dict[str, int],
        on_change: Callable[[str], None],
    ) -> None:
        await connection.add_listener(changes.CHANNEL, lambda *_: self._look.set())
        while True:
            rows = await connection.fetch(changes.ALL_VERSIONS)
            first = not known
            for topic in heard_changes(known, {row[0]: row[1] for row in rows}):
                if not first:
                    on_change(topic)
            known.setdefault("", 0)  # from now on, a topic that appears is news
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._look.wait()
            self._look.clear()

    def _unusable(self, error: Exception) -> UnusableDatabase:
        reason = getattr(error, "orig", None) or error
        shown = self._url.render_as_string(hide_password=True)
        return UnusableDatabase(
            f"The database {shown} cannot be opened: {reason}. Check that the server runs, and "
            "its address, user and password in --database or BOUNDLESS_DATABASE_URL."
        )


def _make_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=2,
        pool_timeout=POOL_WAIT_S,
        connect_args={"timeout": CONNECT_S, "server_settings": SETTINGS},
        **ENGINE_OPTIONS,
    )
    _ping_after_rest(engine.sync_engine)
    return engine


def _ping_after_rest(engine: Engine) -> None:
    """Try connections that rested, unlike SQLAlchemy's own ping: one in use costs no round trip."""

    def put_back(_connection: Any, record: Any) -> None:
        record.info["rests_since_s"] = time.monotonic()

    def take(connection: Any, record: Any, _proxy: Any) -> None:
        since_s = record.info.get("rests_since_s")
        if since_s is None or time.monotonic() - since_s < PING_AFTER_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except (DBAPIError, engine.dialect.dbapi.Error, OSError) as error:  # type: ignore[union-attr]
            raise DisconnectionError(str(error)) from error

    event.listen(engine, "checkin", put_back)
    event.listen(engine, "checkout", take)


def _connect_options(url: URL) -> dict[str, Any]:
    options = url.translate_connect_args(username="user") | dict(url.query)
    return {name: value for name, value in options.items() if value not in (None, "")}


def _failure(error: Exception) -> Exception:
    """Return what the caller is told: to try again, or that the text cannot be kept."""
    if isinstance(error, DBAPIError):
        if getattr(error.orig, "sqlstate", None) == _NO_SUCH_CHARACTER:
            return InvalidInput("A text holds the character NUL, which cannot be kept.")
        return unavailable(error)
    logger.error("database: %s", error)
    return unavailable(OperationalError("", None, error))

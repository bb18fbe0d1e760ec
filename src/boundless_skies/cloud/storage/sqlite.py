"""SQLite: many readers, one writer.

SQLite lets one connection write at a time; a single writer thread turns the
fight for its lock into a queue. A job runs in a transaction of its own, and
``write`` returns only after the commit is on disk (WAL with
``synchronous=FULL``), so whatever is answered to a node survives both a kill and
a loss of power.

What is committed stands in the log (WAL) at first. A thread of its own copies it
into the database meanwhile: done within a commit, as SQLite does it by itself,
that would let every few hundred milliseconds all senders wait.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.storage import changes, migrating
from boundless_skies.cloud.storage.database import (
    CONFLICT_TRIES,
    ENGINE_OPTIONS,
    RETRY_AFTER_S,
    Database,
    Job,
    UnusableDatabase,
    heard_changes,
    unavailable,
)
from boundless_skies.cloud.storage.folder import touch_private

T = TypeVar("T")

READERS = 4
WAITING_WRITES_MAX = 4_096
BUSY_TIMEOUT_MS = 10_000
LOOK_S = 0.1
"""How often other processes' changes are looked for."""
LOG_LOOK_S = 0.5
LOG_LONG_BYTES = 8 << 20
"""A log that is longer is copied into the database."""
LOG_KEPT_BYTES = 4 << 20
"""What stays of the log's file once all of it is copied, to be written over."""
LOG_MAX_PAGES = 16_384
"""At 64 MiB the writer copies what is left itself, and begins the log anew."""


@dataclass
class _Task:
    job: Job[Any]
    done: Future[Any]


class SqliteDatabase(Database):
    """A database in one file; its tables are brought up to date when it is opened.

    Parameters
    ----------
    file : Path
        Made (0600) where it is missing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._engine: Engine | None = None
        self._tasks: queue.Queue[_Task | None] = queue.Queue(WAITING_WRITES_MAX)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="cloud-reader")
        self._writer = threading.Thread(target=self._write_all, name="cloud-writer", daemon=True)
        self._copier = threading.Thread(target=self._copy_log, name="cloud-log", daemon=True)
        self._closing = threading.Event()
        self._look = asyncio.Event()
        self._local = threading.local()
        self._held: set[Connection] = set()

    async def open(self) -> None:
        """Open the file, bring its tables up to date, start the writer."""
        self._engine, _ = await asyncio.to_thread(self._prepare)
        self._writer.start()
        self._copier.start()

    async def migrate(self) -> list[str]:
        """Bring the tables up to date; return the steps that were made."""
        engine, steps = await asyncio.to_thread(self._prepare)
        engine.dispose()
        return steps

    async def read(self, job: Job[T]) -> T:
        """Run a job that only reads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read_one, job)

    async def write(self, job: Job[T]) -> T:
        """Run a job in a transaction; returns once the commit is on disk."""
        task = _Task(job, Future())
        try:
            self._tasks.put_nowait(task)
        except queue.Full:
            raise Unavailable(
                f"{WAITING_WRITES_MAX} writes are waiting already; try again later.", RETRY_AFTER_S
            ) from None
        result: T = await asyncio.wrap_future(task.done)
        return result

    async def watch(self, on_change: Callable[[str], None]) -> None:
        """Look for changes at short intervals, and at once when `look_now` says so."""
        known = await self.read(changes.read_versions)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._look.wait()
            self._look.clear()
            with suppress(Unavailable):  # busy: the next look sees it
                for topic in heard_changes(known, await self.read(changes.read_versions)):
                    on_change(topic)

    def look_now(self) -> None:
        """Let `watch` look at once."""
        self._look.set()

    async def close(self) -> None:
        """Finish what was handed in, then close every connection."""
        if self._writer.is_alive():
            self._tasks.put(None)
            await asyncio.to_thread(self._writer.join)
            self._closing.set()
            await asyncio.to_thread(self._copier.join)
        self._readers.shutdown()
        for connection in self._held:
            connection.close()
        if self._engine is not None:
            self._engine.dispose()

    @property
    def _opened(self) -> Engine:
        if self._engine is None:
            raise UnusableDatabase("The database is not open.")
        return self._engine

    def _prepare(self) -> tuple[Engine, list[str]]:
        touch_private(self._file)
        url = URL.create("sqlite", database=str(self._file))
        engine = create_engine(url, pool_size=READERS + 1, max_overflow=2, **ENGINE_OPTIONS)
        _tune(engine)
        try:
            with _begin_writing(engine) as connection:
                return engine, migrating.upgrade(connection)
        except DBAPIError as error:
            engine.dispose()
            raise UnusableDatabase(f"The database cannot be opened: {error.orig}.") from None
        except UnusableDatabase:
            engine.dispose()
            raise

    def _read_one(self, job: Job[T]) -> T:
        try:
            with self._own_connection() as connection, connection.begin():
                return job(connection)
        except OperationalError as error:
            raise unavailable(error) from error

    @contextmanager
    def _own_connection(self, *, writes: bool = False) -> Iterator[Connection]:
        """Lend the connection of this thread; a failed one is made anew."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._opened.execution_options(boundless_writes=writes).connect()
        self._local.connection = connection
        self._held.add(connection)
        try:
            yield connection
        except BaseException:
            self._local.connection = None
            self._held.discard(connection)
            connection.close()
            raise

    def _copy_log(self) -> None:
        log = self._file.with_name(f"{self._file.name}-wal")
        while not self._closing.wait(LOG_LOOK_S):
            with suppress(sqlite3.Error, OSError):  # the writer does it then, at the latest
                if log.stat().st_size > LOG_LONG_BYTES:
                    with closing(sqlite3.connect(self._file)) as connection:
                        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _write_all(self) -> None:
        while (task := self._tasks.get()) is not None:
            if not task.done.set_running_or_notify_cancel():
                continue
            try:
                result = self._write_one(task.job)
            except BaseException as error:  # noqa: BLE001 - belongs to whoever waits for the job
                task.done.set_exception(error)
            else:
                task.done.set_result(result)

    def _write_one(self, job: Job[T]) -> T:
        for _ in range(CONFLICT_TRIES - 1):
            with suppress(IntegrityError):
                return self._commit(job)
        return self._commit(job)

    def _commit(self, job: Job[T]) -> T:
        try:
            with self._own_connection(writes=True) as connection, connection.begin():
                return job(connection)
        except OperationalError as error:
            raise unavailable(error) from error


def _tune(engine: Engine) -> None:
    """Set the pragmas, and begin transactions ourselves: the driver begins them too late."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"wal_autocheckpoint={LOG_MAX_PAGES}",
            f"journal_size_limit={LOG_KEPT_BYTES}",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that reads first may not wait for it later.
        writes = connection.get_execution_options().get("boundless_writes", False)
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        try:
            connection.connection.cursor().execute(begin)
        except sqlite3.OperationalError as error:
            raise OperationalError(begin, None, error) from error


def _begin_writing(engine: Engine) -> AbstractContextManager[Connection]:
    return engine.execution_options(boundless_writes=True).begin()

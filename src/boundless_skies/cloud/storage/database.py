"""The database: many readers, one writer.

SQLite lets one connection write at a time; a single writer thread turns the
fight for its lock into a queue. A job is a function of a connection; it runs in
a transaction of its own, and ``write`` returns only after the commit is on disk
(WAL with ``synchronous=FULL``), so whatever is answered to a node survives both
a kill and a loss of power. Several jobs could share one commit without any
change for the callers.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from boundless_skies.cloud.domain.errors import CloudError, Unavailable
from boundless_skies.cloud.schema.tables import SCHEMA_VERSION, metadata, settings

T = TypeVar("T")
Job = Callable[[Connection], T]

READERS = 4
WAITING_WRITES_MAX = 4_096
BUSY_TIMEOUT_MS = 10_000
RETRY_AFTER_S = 10
CONFLICT_TRIES = 4

logger = logging.getLogger(__name__)


class UnusableDatabase(CloudError):  # noqa: N818 - named after what happened
    """The database cannot be opened, or belongs to a newer cloud."""


@dataclass
class _Task:
    job: Job[Any]
    done: Future[Any]


class Database:
    """Runs jobs against the database, off the event loop.

    Parameters
    ----------
    url : str
        An SQLAlchemy URL.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open_engine(url)
        self._tasks: queue.Queue[_Task | None] = queue.Queue(WAITING_WRITES_MAX)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="cloud-reader")
        self._writer = threading.Thread(target=self._write_all, name="cloud-writer", daemon=True)
        self._writer.start()

    async def read(self, job: Job[T]) -> T:
        """Run a job that only reads; it sees one consistent state.

        Raises
        ------
        Unavailable
            If the database does not answer.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read_one, job)

    async def write(self, job: Job[T]) -> T:
        """Run a job in a transaction; its result is returned once the commit is on disk.

        A job that meets a row written in the meantime (a unique constraint) is
        run again from its start.

        Raises
        ------
        Unavailable
            If too many jobs are waiting, or the disk is full or fails.
        """
        task = _Task(job, Future())
        try:
            self._tasks.put_nowait(task)
        except queue.Full:
            raise Unavailable(
                f"{WAITING_WRITES_MAX} writes are waiting already; try again later.", RETRY_AFTER_S
            ) from None
        result: T = await asyncio.wrap_future(task.done)
        return result

    def close(self) -> None:
        """Finish what was handed in, then close every connection."""
        self._tasks.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._engine.dispose()

    def _read_one(self, job: Job[T]) -> T:
        try:
            with self._engine.begin() as connection:
                return job(connection)
        except OperationalError as error:
            raise _unavailable(error) from error

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
            try:
                return self._commit(job)
            except IntegrityError:
                continue
        return self._commit(job)

    def _commit(self, job: Job[T]) -> T:
        try:
            with _begin_writing(self._engine) as connection:
                return job(connection)
        except OperationalError as error:
            raise _unavailable(error) from error


def _open_engine(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_size=READERS + 1, max_overflow=2)
    except ModuleNotFoundError as error:
        raise UnusableDatabase(
            f"The database's driver {error.name!r} is missing. Install it, for PostgreSQL with: "
            'pip install "psycopg[binary]", and write the URL as postgresql+psycopg://…'
        ) from None
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine)
    try:
        _prepare_tables(engine)
    except DBAPIError as error:
        engine.dispose()
        raise UnusableDatabase(f"The database cannot be opened: {error.orig}.") from None
    return engine


def _tune_sqlite(engine: Engine) -> None:
    """Set the pragmas, and begin transactions ourselves: the driver begins them too late."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that reads first may not wait for it later.
        writes = connection.get_execution_options().get("boundless_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_tables(engine: Engine) -> None:
    with _begin_writing(engine) as connection:
        metadata.create_all(connection)
        version = connection.scalar(
            select(settings.c.value).where(settings.c.name == "schema_version")
        )
        if version is None:
            row = {"name": "schema_version", "value": str(SCHEMA_VERSION)}
            connection.execute(insert(settings).values(row))
        elif int(version) > SCHEMA_VERSION:
            raise UnusableDatabase(
                f"The database has schema version {version}; this cloud knows "
                f"{SCHEMA_VERSION}. Start the newer version that wrote it."
            )


def _begin_writing(engine: Engine) -> AbstractContextManager[Connection]:
    return engine.execution_options(boundless_writes=True).begin()


def _unavailable(error: OperationalError) -> Unavailable:
    logger.error("database: %s", error.orig)
    return Unavailable("The database cannot take this now; try again later.", RETRY_AFTER_S)

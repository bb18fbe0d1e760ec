"""Each test of the storage runs on SQLite and on a real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from tests.support.postgresql import Postgresql, database_name, running_postgresql

from boundless_skies.cloud.storage.database import Database, Job
from boundless_skies.cloud.storage.opening import make_database

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """A fresh, migrated database; each piece of work opens it anew, as a process would."""

    kind: str
    url: str

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do a piece of work with the database open."""

        async def opened() -> T:
            database = self.make()
            await database.open()
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(opened())

    def write(self, job: Job[T]) -> T:
        """Run one writing job."""
        return self.run(lambda database: database.write(job))

    def read(self, job: Job[T]) -> T:
        """Run one reading job."""
        return self.run(lambda database: database.read(job))

    def make(self) -> Database:
        """Return the database, not yet opened."""
        return make_database(self.url, Path())


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """Run a PostgreSQL server with a migrated database to copy."""
    with running_postgresql() as server:
        url = server.create_database("migrated")
        asyncio.run(make_database(url, Path()).migrate())
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a migrated database of either kind."""
    if request.param == "sqlite":
        yield Store("sqlite", f"sqlite:///{tmp_path / 'cloud.sqlite3'}")
        return
    server: Postgresql = request.getfixturevalue("postgresql")
    url = server.create_database(template="migrated")
    yield Store("postgresql", url)
    server.drop_database(database_name(url))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a database of either kind that has no tables yet."""
    if request.param == "sqlite":
        yield Store("sqlite", f"sqlite:///{tmp_path / 'cloud.sqlite3'}")
        return
    server: Postgresql = request.getfixturevalue("postgresql")
    url = server.create_database()
    yield Store("postgresql", url)
    server.drop_database(database_name(url))

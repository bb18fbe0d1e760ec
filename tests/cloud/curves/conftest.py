"""The same storage on both databases."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.support.postgresql import Postgresql, running_postgresql

from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.opening import make_database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """Run a PostgreSQL."""
    with running_postgresql(settings={"fsync": "off"}) as server:
        yield server


class Store:
    """A database with a loop of its own, so that tests need none."""

    def __init__(self, database: Database, url: str | None) -> None:
        self.runner = asyncio.Runner()
        self.database = database
        self.url = url

    def write(self, job: Callable[[Connection], Any]) -> Any:
        """Run a job in a transaction."""
        return self.runner.run(self.database.write(job))

    def read(self, job: Callable[[Connection], Any]) -> Any:
        """Run a job that only reads."""
        return self.runner.run(self.database.read(job))


@pytest.fixture(params=["sqlite", "postgresql"])
def unmade(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Name an empty database; nothing is opened yet."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").create_database()
    store = Store(make_database(url, tmp_path / "cloud.sqlite3"), url)
    with store.runner:
        yield store
        store.runner.run(store.database.close())


@pytest.fixture
def store(unmade: Store) -> Store:
    """Open a database with its tables."""
    unmade.runner.run(unmade.database.migrate())
    unmade.runner.run(unmade.database.open())
    return unmade

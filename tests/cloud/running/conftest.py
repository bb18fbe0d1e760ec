"""A PostgreSQL for clouds that run on one."""

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from tests.support.postgresql import Postgresql, database_name, running_postgresql

from boundless_skies.cli import main

Call = Callable[..., Result]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """Run a PostgreSQL server."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def database_url(postgresql: Postgresql) -> Iterator[str]:
    """Give an empty database."""
    url = postgresql.create_database()
    yield url
    postgresql.drop_database(database_name(url))


@pytest.fixture
def call() -> Call:
    """Give a caller of ``boundless cloud`` with some arguments."""
    return lambda *arguments: CliRunner().invoke(main, ["cloud", *map(str, arguments)])

"""A database as services see it: jobs that read, jobs that write, and news of changes.

A job is a function of a connection. It is the same on SQLite and PostgreSQL:
one set of queries, whichever database runs them.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from boundless_skies.cloud.domain.errors import CloudError, Unavailable

T = TypeVar("T")
Job = Callable[[Connection], T]

RETRY_AFTER_S = 10
CONFLICT_TRIES = 12
"""How often a job is tried that others' commits cut off; of many at once, one wins each time."""
CONFLICT_PAUSE_S = 0.01
LOOK_AGAIN_S = 5.0
"""How long a change can go unheard of where its signal was lost."""

# PostgreSQL's words: serialisation failure, deadlock, and a month's partition that another
# process has just made.
_PASSING = ("40001", "40P01", "42P07")

logger = logging.getLogger(__name__)


class UnusableDatabase(CloudError):  # noqa: N818 - named after what happened
    """The database cannot be opened, or its tables are not those of this cloud."""


class Database(ABC):
    """Runs jobs against a database, off the event loop.

    ``writes_at_once`` is how many writing jobs of one kind are worth having under way.
    """

    writes_at_once: ClassVar[int] = 1

    @abstractmethod
    async def open(self) -> None:
        """Connect.

        Raises
        ------
        UnusableDatabase
            If that fails, with what to do.
        """

    @abstractmethod
    async def migrate(self) -> list[str]:
        """Bring the tables up to date; return the steps that were made.

        Raises
        ------
        UnusableDatabase
            If the database cannot be reached, or its tables are of a newer cloud.
        """

    @abstractmethod
    async def read(self, job: Job[T]) -> T:
        """Run a job that only reads; it sees one consistent state.

        Raises
        ------
        Unavailable
            If the database does not answer.
        """

    @abstractmethod
    async def write(self, job: Job[T]) -> T:
        """Run a job in a transaction; its result is returned once the commit is durable.

        A job that meets a row written in the meantime (a unique constraint) is
        run again from its start.

        Raises
        ------
        Unavailable
            If too many jobs are waiting, or the database is full or fails.
        """

    @abstractmethod
    async def watch(self, on_change: Callable[[str], None]) -> None:
        """Call back with the topic of each change that a process made known, until cancelled.

        Parameters
        ----------
        on_change : callable
            Called on the event loop.
        """

    @abstractmethod
    def look_now(self) -> None:
        """Let `watch` look at once: this process has just made a change known."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what was handed in, then close every connection."""


class JsonText(str):
    """JSON that is ready to be stored as it is."""

    __slots__ = ()


def to_json(value: Any) -> str:
    """Return a value as JSON for a column."""
    return value if isinstance(value, JsonText) else msgspec.json.encode(value).decode()


ENGINE_OPTIONS: dict[str, Any] = {
    "json_serializer": to_json,
    "json_deserializer": msgspec.json.decode,
    # An error's text goes to the log: without the hashes of keys, and owners' names.
    "hide_parameters": True,
}


def unavailable(error: DBAPIError) -> Unavailable:
    """Return what a caller is told of a database that fails; the log has the details."""
    logger.error("database: %s", error.orig)
    return Unavailable("The database cannot take this now; try again later.", RETRY_AFTER_S)


def is_conflict(error: DBAPIError) -> bool:
    """Tell whether a job met another one's row, and is right to be run again."""
    if isinstance(error, IntegrityError):
        return True
    return getattr(error.orig, "sqlstate", None) in _PASSING


def heard_changes(known: dict[str, int], seen: dict[str, int]) -> list[str]:
    """Return the topics that have a new version, and remember the versions."""
    changed = [topic for topic, version in seen.items() if known.get(topic) != version]
    known.update(seen)
    return changed

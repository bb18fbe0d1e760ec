"""Sharing one task of the database: whoever comes while it is under way shares the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.storage.database import Database

T = TypeVar("T")
R = TypeVar("R")

RETRY_AFTER_S = 5
LOOK_UPS_WAITING_MAX = 20_000
LOOK_UP_REST_S = 0.005
"""Between groups of look-ups: an answer that comes so much later costs a fraction."""


def look_ups(
    database: Database,
    find: Callable[[Connection, Sequence[str]], Mapping[str, R]],
    *,
    what: str,
    most: int,
) -> "Grouping[str, R | None]":
    """Return a grouping that looks names up; what is not found is None.

    Parameters
    ----------
    database : Database
        Where they are looked up.
    find : callable
        Returns what was found of some names, by name.
    what : str
        What is looked up, for the sentence that turns one away.
    most : int
        The largest group.
    """

    async def work(names: Sequence[str]) -> list[R | None]:
        found = await database.read(lambda connection: find(connection, names))
        return [found.get(name) for name in names]

    return Grouping(
        work, what=what, most=most, waiting_max=LOOK_UPS_WAITING_MAX, rest_s=LOOK_UP_REST_S
    )


class Grouping(Generic[T, R]):
    """Hands items to a task in groups; each is answered once the task of its group is done.

    An item waits for nobody: where no task is under way it goes at once, alone.
    Under load the groups grow by themselves to what comes during one task.

    Parameters
    ----------
    work : callable
        Commits, or looks up, a group and returns one result for each item, in order.
    what : str
        What the items are, for the sentence that turns one away.
    most : int
        The largest group.
    waiting_max : int
        How many items may wait; above that, new ones are turned away.
    lanes : int
        How many groups may be under way at once.
    rest_s : float
        How long it rests after a group of several (s), so that the next one grows.
    on_group : callable
        Told the size of each group.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        what: str,
        most: int,
        waiting_max: int,
        lanes: int = 1,
        rest_s: float = 0.0,
        on_group: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._work_on = work
        self._what = what
        self._most = most
        self._waiting_max = waiting_max
        self._rest_s = rest_s
        self.on_group = on_group
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._lanes = lanes
        self._under_way = 0
        self._workers: set[asyncio.Task[None]] = set()

    async def submit(self, item: T) -> R:
        """Return the result of an item, once its group is done.

        Raises
        ------
        Unavailable
            If too many are waiting, or the task fails.
        """
        if len(self._waiting) >= self._waiting_max:
            raise Unavailable(
                f"{self._waiting_max} {self._what} are waiting already; try again later.",
                RETRY_AFTER_S,
            )
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._under_way < self._lanes:
            self._under_way += 1
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await done

    async def _work(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._most)
                await self._work_on_group([self._waiting.popleft() for _ in range(size)])
                if size > 1 and self._rest_s:
                    await asyncio.sleep(self._rest_s)
        finally:
            self._under_way -= 1

    async def _work_on_group(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._work_on([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - belongs to whoever waits for the group
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
            return
        self.on_group(len(group))
        for (_, done), result in zip(group, results, strict=True):
            if not done.done():  # the caller may have hung up; its item is done all the same
                done.set_result(result)

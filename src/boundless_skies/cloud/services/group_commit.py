"""Group commit: whoever comes while a commit is under way shares the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from boundless_skies.cloud.domain.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

RETRY_AFTER_S = 5


class GroupCommit(Generic[T, R]):
    """Hands items to a commit in groups; each is answered once its group is durable.

    An item waits for nobody: where no commit is under way it goes at once, alone.
    Under load the groups grow by themselves to what comes during one commit.

    Parameters
    ----------
    commit : callable
        Makes a group durable and returns one result for each item, in order.
    most : int
        The largest group.
    waiting_max : int
        How many items may wait; above that, new ones are turned away.
    on_commit : callable
        Told the size of each group.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most: int,
        waiting_max: int,
        on_commit: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._commit = commit
        self._most = most
        self._waiting_max = waiting_max
        self.on_commit = on_commit
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Return the result of an item, once it is durable.

        Raises
        ------
        Unavailable
            If too many are waiting, or the commit fails.
        """
        if len(self._waiting) >= self._waiting_max:
            raise Unavailable(
                f"{self._waiting_max} measurements are waiting already; try again later.",
                RETRY_AFTER_S,
            )
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await done

    async def _work(self) -> None:
        while self._waiting:
            size = min(len(self._waiting), self._most)
            await self._commit_group([self._waiting.popleft() for _ in range(size)])

    async def _commit_group(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._commit([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - belongs to whoever waits for the group
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
            return
        self.on_commit(len(group))
        for (_, done), result in zip(group, results, strict=True):
            if not done.done():  # the caller may have hung up; its item is durable all the same
                done.set_result(result)

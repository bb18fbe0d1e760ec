"""What goes on beside the calls: beats are written, changes heard, books kept."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.storage.changes import Topic
from boundless_skies.cloud.storage.database import Database

EXPIRY_S = 3_600.0
ADOPTION_S = 600.0
AFTER_FAILURE_S = 5.0

logger = logging.getLogger(__name__)


class Upkeep:
    """Runs a process's share of the work beside the calls; several processes may do so at once.

    Parameters
    ----------
    database : Database
        Tells of changes.
    services : Services
        What is kept up.
    data_dir : Path
        Where the first form kept its images.
    """

    def __init__(self, database: Database, services: Services, data_dir: Path) -> None:
        self._database = database
        self._services = services
        self._data_dir = data_dir
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run until the context is left; then write what is still in memory."""
        await self._services.interrupts.refresh()
        for work in (
            self._services.beats.keep_flushing(),
            self._database.watch(self._hear),
            self._services.settling.keep_settling(),
            self._services.metrics.keep_sampling(lambda: self._services.interrupts.waiting),
            self._repeat(self._services.images.expire_old, EXPIRY_S),
            self._repeat(self._services.targets.adopt_nameless, ADOPTION_S),
            self._once(partial(self._services.images.adopt_old, self._data_dir)),
            self._services.images.keep_making_thumbnails(),
        ):
            self._start(work)
        try:
            yield
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._flush_beats()

    async def _flush_beats(self) -> None:
        try:
            await self._services.beats.flush()
        except CloudError as error:
            logger.warning("the last second's heartbeats are lost: %s", error)

    def _hear(self, topic: str) -> None:
        """Forget, or learn anew, what another process has changed."""
        if topic == Topic.CREDENTIALS:
            self._services.credentials.forget()
        elif topic == Topic.TARGETS:
            self._services.target_names.forget()
        elif topic == Topic.INTERRUPTS:
            self._start(self._once(self._services.interrupts.refresh))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended by itself", task.get_coro(), exc_info=error)

    async def _once(self, work: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await work()
            except CloudError as error:
                logger.warning("%s; it is tried again.", error)
                await asyncio.sleep(AFTER_FAILURE_S)
            else:
                return

    async def _repeat(self, work: Callable[[], Awaitable[Any]], pause_s: float) -> None:
        while True:
            await self._once(work)
            await asyncio.sleep(pause_s)

"""Heartbeats: the newest of each node, written in bulk."""

import asyncio
import logging
from functools import partial

from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.nodes import Beat
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.storage import nodes
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.nodes import TakenBeat

FLUSH_S = 0.2
"""How much of the newest beats a crash may cost."""
GROUP_MAX = 2_000

logger = logging.getLogger(__name__)


class BeatBook:
    """Keeps each node's newest beat in memory for a moment, then writes all at once.

    Parameters
    ----------
    database : Database
        Where beats are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._newest: dict[str, TakenBeat] = {}
        self._writing = asyncio.Lock()

    def take(self, node_id: str, beat: Beat) -> TakenBeat:
        """Take a beat; it is written within a second."""
        taken = TakenBeat(beat, self._clock())
        self._newest[node_id] = taken
        return taken

    async def flush(self) -> None:
        """Write what is there now.

        Raises
        ------
        Unavailable
            If the database does not take it; the beats are kept.
        """
        async with self._writing:
            while self._newest:
                group = dict(list(self._newest.items())[:GROUP_MAX])
                await self._database.write(partial(nodes.record_beats, beats=group))
                for node_id, taken in group.items():
                    if self._newest.get(node_id) is taken:
                        del self._newest[node_id]

    async def keep_flushing(self) -> None:
        """Write several times a second, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await self.flush()
            except CloudError as error:
                logger.warning("heartbeats are not written yet: %s", error)

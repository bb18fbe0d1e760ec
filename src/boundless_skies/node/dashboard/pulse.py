"""Tells open pages when something has changed, so that they look again."""

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator

from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.errors import NodeError

PERIOD_S = 1.0
"""Pages hear of a change after so long at most (s)."""
STREAMS_MAX = 16
_STEP_S = 0.25
# Proxies and sleeping laptops: a stream that says nothing for long is taken for dead.
_STILL_THERE_S = 15.0


class Pulse:
    """Watches the schedule and the status, once for all pages that are open.

    Parameters
    ----------
    desk : Desk
        The node.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._mark = ""
        self._looked_at_s = float("-inf")
        self._streams = 0

    def stop(self) -> None:
        """End all streams."""
        self._stopped.set()

    @property
    def is_full(self) -> bool:
        """Whether so many streams are open that no other should be."""
        return self._streams >= STREAMS_MAX

    def mark(self) -> str:
        """Return what stays the same as long as nothing changes."""
        with self._lock:
            now_s = self._desk.clock.monotonic()
            if now_s - self._looked_at_s >= PERIOD_S:
                self._mark, self._looked_at_s = self._look(), now_s
            return self._mark

    async def changes(self) -> AsyncIterator[dict[str, str]]:
        """Yield an event for each change, and a sign of life now and then.

        Yields
        ------
        dict
            An event; its data is the new mark.
        """
        self._streams += 1
        try:
            told, quiet_s = "", _STILL_THERE_S
            while not self._stopped.is_set():
                mark = await asyncio.to_thread(self.mark)
                if mark != told or quiet_s >= _STILL_THERE_S:
                    yield {"event": "mark", "data": mark}
                    told, quiet_s = mark, 0.0
                await asyncio.sleep(_STEP_S)
                quiet_s += _STEP_S
        finally:
            self._streams -= 1

    def _look(self) -> str:
        try:
            version = self._desk.store.version()
        except NodeError as error:
            version = str(error)  # type: ignore[assignment]  # only compared
        told = json.dumps([version, dict(self._desk.status())], default=str, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

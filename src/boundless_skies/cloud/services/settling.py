"""Settling what came in: comparing nodes with each other, and counting."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.validation import Status, affected_span, validate, window_for
from boundless_skies.cloud.storage import settling, targets
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.settling import Unsettled

GROUP_MAX = 200
GROUP_MIN = 10
HOLD_S = 0.02
"""How long a group shall take: on SQLite, the measurements that come in wait behind it."""
IDLE_S = 1.0
"""How often it is looked for something to settle."""
REST_FACTOR = 9.0
"""How much longer it rests than it worked while measurements come in: they go first."""

logger = logging.getLogger(__name__)


class SettlingService:
    """Settles measurements soon after they came in, beside the calls.

    What is unsettled stands in the database, so that it does not matter which
    process settles it, or when.

    Parameters
    ----------
    database : Database
        Where measurements are kept.
    taken : callable
        Tells how many measurements this process has taken in.
    """

    def __init__(self, database: Database, taken: Callable[[], int] = lambda: 0) -> None:
        self._database = database
        self._taken = taken
        self._size = GROUP_MIN

    async def settle_some(self) -> int:
        """Settle some measurements; return how many."""
        settled, took_s = await self._database.write(partial(_timed, size=self._size))
        if settled == self._size:
            best = settled * HOLD_S / max(took_s, 1e-4)
            self._size = round(min(max(best, GROUP_MIN), 2 * settled, GROUP_MAX))
        return settled

    async def keep_settling(self) -> None:
        """Settle whatever comes in, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began_s, before = loop.time(), self._taken()
            settled = 0
            try:
                settled = await self.settle_some()
            except CloudError as error:
                logger.warning("measurements are not settled yet: %s", error)
            busy = self._taken() != before
            rest_s = REST_FACTOR * (loop.time() - began_s) if busy else 0.0
            await asyncio.sleep(rest_s if settled else IDLE_S)


def _timed(connection: Connection, *, size: int) -> tuple[int, float]:
    began_s = time.perf_counter()
    return settle_group(connection, size), time.perf_counter() - began_s


def settle_group(connection: Connection, size: int = GROUP_MAX) -> int:
    """Settle up to so many measurements in one transaction; return how many."""
    rows = settling.take_unsettled(connection, size)
    if not rows:
        return 0
    by_series = attrgetter("target_name", "filter", "bjd", "id")
    for (target_name, band), series in groupby(
        sorted(rows, key=by_series), attrgetter("target_name", "filter")
    ):
        window_d = _window(connection, target_name)
        for cluster in _clusters(series, 4 * window_d):
            judge(connection, target_name, band, [row.bjd for row in cluster], window_d, cluster)
    settling.tally(connection, rows)
    return len(rows)


def judge_again(connection: Connection, target_name: str, band: str, bjd: float) -> None:
    """Compare the points around a time anew: one of them was reviewed."""
    judge(connection, target_name, band, [bjd], _window(connection, target_name), ())


def judge(
    connection: Connection,
    target_name: str,
    band: str,
    bjds: Sequence[float],
    window_d: float,
    new: Sequence[Unsettled],
) -> None:
    """Compare the points around some times, and keep what has changed.

    Parameters
    ----------
    connection : Connection
        In a transaction that writes.
    target_name, band : str
        Whose points.
    bjds : sequence of float
        Times (BJD_TDB, days) at which points came, in order and close together.
    window_d : float
        How far apart in time points are compared (days).
    new : sequence of Unsettled
        The points that came; those of a revision that was superseded are single.
    """
    low, _ = affected_span(bjds[0], 2 * window_d)
    _, high = affected_span(bjds[-1], 2 * window_d)
    held = settling.read_between(connection, target_name, band, low, high)
    found = validate((observation for observation, _ in held), window_d)
    first, _ = affected_span(bjds[0], window_d)
    _, last = affected_span(bjds[-1], window_d)
    statuses = {(row.id, row.bjd): Status.SINGLE for row in new}
    for observation, before in held:
        key, now = (observation.id, observation.bjd), found.get(observation.id)
        is_due = key in statuses or (before is not None and first <= observation.bjd <= last)
        if is_due and now is not None and now != before:
            statuses[key] = now
    settling.set_statuses(connection, statuses)


def _window(connection: Connection, target_name: str) -> float:
    known = targets.find(connection, target_name)
    return window_for(known.period_d if known else None)


def _clusters(series: Iterable[Unsettled], gap_d: float) -> Iterator[list[Unsettled]]:
    """Part rows that are in the order of time where a gap is wider than a limit (days)."""
    cluster: list[Unsettled] = []
    for row in series:
        if cluster and row.bjd - cluster[-1].bjd > gap_d:
            yield cluster
            cluster = []
        cluster.append(row)
    yield cluster

"""Settling what came in: comparing nodes with each other, and counting."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.validation import (
    DEFAULT_WINDOW_D,
    Status,
    affected_span,
    spans_of_new,
    validate,
    window_for,
)
from boundless_skies.cloud.storage import settling, targets
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.settling import Due, Place, Unsettled

GROUP_MAX = 200
GROUP_MIN = 5
HOLD_S = 0.005
"""How long a group shall take: on SQLite, the measurements that come in wait behind it."""
IDLE_S = 1.0
"""How often it is looked for something to settle."""
REST_FACTOR = 9.0
"""How much longer it rests than it worked while measurements come in: they go first."""

Statuses = dict[tuple[int, float], Status]
"""What points are found to be, by number and BJD_TDB (days)."""
_Point = TypeVar("_Point", Unsettled, Place)

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
        self._settling = _Pace(settle_group)
        self._comparing = _Pace(compare_group_anew)

    async def settle_some(self) -> int:
        """Settle some measurements; return how many."""
        return await self._settling.take_group(self._database)

    async def compare_some_anew(self) -> int:
        """Compare some points anew that a changed period makes due; return how many."""
        if not await self._database.read(settling.count_due):
            return 0
        return await self._comparing.take_group(self._database)

    async def keep_settling(self) -> None:
        """Settle whatever comes in, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began_s, before = loop.time(), self._taken()
            settled = 0
            try:
                settled = await self.settle_some()
                settled += await self.compare_some_anew()
            except CloudError as error:
                logger.warning("measurements are not settled yet: %s", error)
            busy = self._taken() != before
            rest_s = REST_FACTOR * (loop.time() - began_s) if busy else 0.0
            await asyncio.sleep(rest_s if settled else IDLE_S)


class _Pace:
    """Does work in groups, each so large that it does not hold others up for long."""

    def __init__(self, work: Callable[[Connection, int], int]) -> None:
        self._work = work
        self._size = GROUP_MIN

    async def take_group(self, database: Database) -> int:
        """Do the next group's work in one transaction; return how large it was."""
        done, took_s = await database.write(self._timed)
        if done >= self._size:
            best = done * HOLD_S / max(took_s, 1e-4)
            self._size = round(min(max(best, GROUP_MIN), 2 * self._size, GROUP_MAX))
        return done

    def _timed(self, connection: Connection) -> tuple[int, float]:
        began_s = time.perf_counter()
        return self._work(connection, self._size), time.perf_counter() - began_s


def settle_group(connection: Connection, size: int = GROUP_MAX) -> int:
    """Settle up to so many measurements in one transaction; return how many."""
    rows = settling.take_unsettled(connection, size)
    if not rows:
        return 0
    periods_d = targets.list_periods(connection, {row.target_name for row in rows})
    by_series = attrgetter("target_name", "filter", "bjd", "id")
    statuses: Statuses = {}
    for (target_name, band), series in groupby(
        sorted(rows, key=by_series), attrgetter("target_name", "filter")
    ):
        window_d = window_for(periods_d.get(target_name))
        for cluster in _clusters(series, 4 * window_d):
            bjds = [row.bjd for row in cluster]
            statuses |= _compare(connection, target_name, band, bjds, window_d, cluster)
    settling.set_statuses(connection, statuses)
    settling.tally(connection, rows)
    return len(rows)


def compare_group_anew(connection: Connection, size: int = GROUP_MAX) -> int:
    """Compare up to so many due points of one target in one transaction; return how many."""
    for due in settling.take_due(connection):
        if done := _compare_anew(connection, due, size):
            return done
    return 0


def ask_anew_if_changed(connection: Connection, target_name: str, before_d: float) -> None:
    """Have a target's points compared anew if its window is another than before (days)."""
    if window_of(connection, target_name) != before_d:
        settling.ask_anew(connection, target_name)


def _compare_anew(connection: Connection, due: Due, size: int) -> int:
    window_d = window_of(connection, due.target_name)
    found, is_more = settling.list_due(connection, due, size)
    places = _before_unsettled(connection, due, found)
    by_series = attrgetter("filter", "bjd")
    statuses: Statuses = {}
    for band, series in groupby(sorted(places, key=by_series), attrgetter("filter")):
        for cluster in _clusters(series, 4 * window_d):
            bjds = [place.bjd for place in cluster]
            statuses |= _compare(connection, due.target_name, band, bjds, window_d)
    settling.set_statuses(connection, statuses)
    if len(places) == len(found) and not is_more:
        settling.note_compared(connection, due, None)
    elif places:
        settling.note_compared(connection, due, places[-1].bjd)
    return len(places)


def _before_unsettled(connection: Connection, due: Due, places: list[Place]) -> list[Place]:
    """Leave out what another process may be settling with the window of before.

    Such a point and its neighbours are kept for later. All that is settled after the
    period was changed is settled with the new one, so that nothing behind is missed.
    """
    if not places:
        return places
    reach_d = 2 * DEFAULT_WINDOW_D
    first_bjd = settling.find_first_unsettled(
        connection, due.target_name, due.after_bjd, places[-1].bjd + reach_d
    )
    if first_bjd is None:
        return places
    return [place for place in places if place.bjd < first_bjd - reach_d]


def judge_again(connection: Connection, target_name: str, band: str, bjd: float) -> None:
    """Compare the points around a time anew: one of them was reviewed."""
    window_d = window_of(connection, target_name)
    settling.set_statuses(connection, _compare(connection, target_name, band, [bjd], window_d))


def _compare(
    connection: Connection,
    target_name: str,
    band: str,
    bjds: Sequence[float],
    window_d: float,
    new: Sequence[Unsettled] = (),
) -> Statuses:
    """Compare the points around some times; return what has changed.

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
    points = [observation for observation, _ in held]
    spans = [(affected_span(bjds[0], window_d)[0], affected_span(bjds[-1], window_d)[1])]
    if new:
        spans = spans_of_new(((row.node_id, row.bjd) for row in new), points, window_d)
    found = validate(points, window_d, spans)
    statuses: Statuses = {(row.id, row.bjd): Status.SINGLE for row in new}
    for observation, before in held:
        key, now = (observation.id, observation.bjd), found.get(observation.id)
        is_due = key in statuses or before is not None
        if is_due and now is not None and now != before:
            statuses[key] = now
    return statuses


def window_of(connection: Connection, target_name: str) -> float:
    """Return how far apart in time (days) points of a target are compared."""
    known = targets.find(connection, target_name)
    return window_for(known.period_d if known else None)


def _clusters(series: Iterable[_Point], gap_d: float) -> Iterator[list[_Point]]:
    """Part rows that are in the order of time where a gap is wider than a limit (days)."""
    cluster: list[_Point] = []
    for row in series:
        if cluster and row.bjd - cluster[-1].bjd > gap_d:
            yield cluster
            cluster = []
        cluster.append(row)
    yield cluster

"""Queries that count the network, for whoever watches it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select

from boundless_skies.cloud.schema.tables import nodes
from boundless_skies.cloud.storage import settling

AGE_BOUNDS_S = (60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0)

_c = nodes.c


@dataclass(frozen=True)
class QueueAges:
    """How old the oldest measurement in nodes' queues is (s).

    ``at_most`` gives for each bound how many nodes are not above it; the last
    bound is infinite.
    """

    at_most: list[tuple[float, int]]
    longest: float
    total: float


@dataclass(frozen=True, kw_only=True)
class Census:
    """The network in numbers."""

    nodes: int
    online: int
    queued: int
    unsettled: int
    queue_age_s: QueueAges


def take(connection: Connection, *, online_since: datetime) -> Census:
    """Count; queues are those of the nodes online, for the others' word is old."""
    row = connection.execute(_query().where(_c.last_beat_at >= online_since)).one()
    bounds = [(bound, row[number]) for number, bound in enumerate(AGE_BOUNDS_S, start=5)]
    return Census(
        nodes=connection.scalar(select(func.count()).select_from(nodes)) or 0,
        online=row.online,
        queued=int(row.queued or 0),
        unsettled=settling.count_unsettled(connection),
        queue_age_s=QueueAges(
            at_most=[*bounds, (float("inf"), row.told)],
            longest=float(row.longest or 0),
            total=float(row.total or 0),
        ),
    )


def _query() -> Any:
    age = _c.queue_age_s
    return select(
        func.count().label("online"),
        func.sum(_c.queued_uploads).label("queued"),
        func.count(age).label("told"),
        func.max(age).label("longest"),
        func.sum(age).label("total"),
        *(func.count(case((age <= bound, 1))) for bound in AGE_BOUNDS_S),
    )

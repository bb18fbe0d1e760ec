"""Queries that settle what came in: whether nodes agree, and how much there is of what."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from boundless_skies.cloud.domain.validation import Observation, Status
from boundless_skies.cloud.schema.tables import comparisons_due, measurements, tallies
from boundless_skies.cloud.storage import bulk
from boundless_skies.cloud.storage.upserting import insert_or

BEFORE_ALL_BJD = 0.0
"""Earlier than any point that is taken in."""

_c = measurements.c
_due = comparisons_due.c
_KIND = attrgetter("target_name", "node_id", "filter")
_SET_STATUS = (
    update(measurements)
    # The time leads PostgreSQL to the partition.
    .where(_c.id == bindparam("of_id"), _c.bjd_tdb == bindparam("at_bjd"))
    .values(validation=bindparam("status"))
)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A measurement that came in and was not looked at yet."""

    id: int
    target_name: str
    filter: str
    node_id: str
    bjd: float
    revision: int


@dataclass(frozen=True, slots=True)
class Due:
    """A target whose points are to be compared anew: those after a time (BJD_TDB, days)."""

    target_name: str
    after_bjd: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point is: its band and its time (BJD_TDB, days)."""

    filter: str
    bjd: float


def take_unsettled(connection: Connection, limit: int) -> list[Unsettled]:
    """Return measurements that nobody has settled, locked against other processes."""
    columns = {"id": int, "target_name": str, "filter": str, "node_id": str}
    columns |= {"bjd_tdb": float, "revision": int}
    lock = "FOR UPDATE SKIP LOCKED" if bulk.is_postgresql(connection) else ""
    rest = f"FROM measurements WHERE validation IS NULL ORDER BY id LIMIT ? {lock}"
    return [Unsettled(*row) for row in bulk.fetch(connection, columns, rest, (limit,))]


def read_between(
    connection: Connection, target_name: str, band: str, low_bjd: float, high_bjd: float
) -> list[tuple[Observation, str | None]]:
    """Return the newest revisions of points in a span, with what they were found to be."""
    columns = {"id": int, "node_id": str, "bjd_tdb": float, "magnitude": float}
    columns |= {"uncertainty": float, "review": str, "validation": str}
    rest = (
        "FROM measurements "
        "WHERE target_name = ? AND filter = ? AND bjd_tdb BETWEEN ? AND ? AND is_newest"
    )
    rows = bulk.fetch(connection, columns, rest, (target_name, band, low_bjd, high_bjd))
    return [
        (
            Observation(
                id=number,
                node_id=node_id,
                bjd=bjd,
                magnitude=magnitude,
                uncertainty=uncertainty,
                review=review,
            ),
            validation,
        )
        for number, node_id, bjd, magnitude, uncertainty, review, validation in rows
    ]


def set_statuses(connection: Connection, statuses: dict[tuple[int, float], Status]) -> None:
    """Keep what points were found to be, by number and BJD_TDB."""
    rows = [
        {"of_id": number, "at_bjd": bjd, "status": str(status)}
        for (number, bjd), status in sorted(statuses.items())
    ]
    bulk.update_many(connection, _SET_STATUS, rows)


def tally(connection: Connection, rows: Sequence[Unsettled]) -> None:
    """Add measurements to the counts of their target, node and filter."""
    kinds = groupby(sorted(rows, key=_KIND), _KIND)
    added = [_tally_row(kind, list(of_kind)) for kind, of_kind in kinds]
    statement = insert_or(connection, tallies)
    new, held = statement.excluded, tallies.c
    earlier = case((new.first_bjd < held.first_bjd, new.first_bjd), else_=held.first_bjd)
    later = case((new.last_bjd > held.last_bjd, new.last_bjd), else_=held.last_bjd)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["target_name", "node_id", "filter"],
            set_={
                "points": held.points + new.points,
                "arrivals": held.arrivals + new.arrivals,
                "first_bjd": earlier,
                "last_bjd": later,
            },
        ),
        added,
    )


def ask_anew(connection: Connection, target_name: str) -> None:
    """Have all points of a target compared anew, from the first on."""
    statement = insert_or(connection, comparisons_due).values(
        target_name=target_name, after_bjd=BEFORE_ALL_BJD
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["target_name"], set_={"after_bjd": BEFORE_ALL_BJD}
        )
    )


def count_due(connection: Connection) -> int:
    """Return how many targets have points that are to be compared anew."""
    return connection.scalar(select(func.count()).select_from(comparisons_due)) or 0


def take_due(connection: Connection) -> list[Due]:
    """Return the targets to be compared anew, locked against other processes."""
    query = select(comparisons_due).order_by(_due.target_name)
    rows = connection.execute(query.with_for_update(skip_locked=True))
    return [Due(row.target_name, row.after_bjd) for row in rows]


def note_compared(connection: Connection, due: Due, up_to_bjd: float | None) -> None:
    """Keep how far a target was compared anew; None is to its last point."""
    of_target = _due.target_name == due.target_name
    if up_to_bjd is None:
        connection.execute(delete(comparisons_due).where(of_target))
    else:
        connection.execute(update(comparisons_due).where(of_target).values(after_bjd=up_to_bjd))


def list_due(connection: Connection, due: Due, limit: int) -> tuple[list[Place], bool]:
    """Return where the next points of a target are, and whether there are more.

    They are in the order of time. Of points at one time all are returned, also beyond
    the limit.
    """
    is_due = (_c.target_name == due.target_name, _c.bjd_tdb > due.after_bjd, _c.is_newest)
    query = select(_c.filter, _c.bjd_tdb).where(*is_due).order_by(_c.bjd_tdb)
    last_bjd = connection.scalar(
        query.with_only_columns(_c.bjd_tdb).offset(limit - 1).limit(1),
    )
    if last_bjd is not None:
        query = query.where(_c.bjd_tdb <= last_bjd)
    return [Place(*row) for row in connection.execute(query)], last_bjd is not None


def find_first_unsettled(
    connection: Connection, target_name: str, after_bjd: float, before_bjd: float
) -> float | None:
    """Return when (BJD_TDB, days) the first point between two times is that nobody settled."""
    of_target = (_c.target_name == target_name, _c.validation.is_(None))
    within = (_c.bjd_tdb > after_bjd, _c.bjd_tdb <= before_bjd)
    query = select(func.min(_c.bjd_tdb)).where(*of_target, *within)
    first_bjd: float | None = connection.scalar(query)
    return first_bjd


def count_unsettled(connection: Connection) -> int:
    """Return how many measurements nobody has settled."""
    query = select(func.count()).select_from(measurements).where(_c.validation.is_(None))
    return connection.scalar(query) or 0


def _tally_row(kind: tuple[str, str, str], rows: Sequence[Unsettled]) -> dict[str, Any]:
    target_name, node_id, band = kind
    return {
        "target_name": target_name,
        "node_id": node_id,
        "filter": band,
        "points": sum(row.revision == 1 for row in rows),
        "arrivals": len(rows),
        "first_bjd": min(row.bjd for row in rows),
        "last_bjd": max(row.bjd for row in rows),
    }

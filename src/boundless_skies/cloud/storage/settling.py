"""Queries that settle what came in: whether nodes agree, and how much there is of what."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update

from boundless_skies.cloud.domain.validation import Observation, Status
from boundless_skies.cloud.schema.tables import measurements, tallies
from boundless_skies.cloud.storage import bulk
from boundless_skies.cloud.storage.upserting import insert_or

_c = measurements.c
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

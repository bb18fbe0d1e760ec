"""Queries about light curves."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, true, tuple_

from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.domain.measurements import Point
from boundless_skies.cloud.schema.tables import measurements
from boundless_skies.cloud.storage.measurements import POINT, to_point

POINTS_MAX = 100_000
"""How many points one light curve holds at most; the newest are kept."""

_c = measurements.c


@dataclass(frozen=True, kw_only=True)
class WholePoint:
    """A point with what its node wrote of it."""

    point: Point
    payload: Any


def read_points(
    connection: Connection, target_name: str, wanted: Selection, most: int = POINTS_MAX
) -> list[Point]:
    """Return the newest revisions of a target's points, by time; ``days`` is not looked at."""
    rows = connection.execute(light_curve_query(target_name, wanted, most)).all()
    return [to_point(row) for row in reversed(rows)]


def read_whole_points(
    connection: Connection,
    target_name: str,
    wanted: Selection,
    before: Point | None,
    limit: int,
) -> list[WholePoint]:
    """Return some points before one, the newest first, with what their nodes wrote."""
    query = light_curve_query(target_name, wanted, limit).add_columns(_c.payload)
    if before is not None:
        query = query.where(tuple_(_c.bjd_tdb, _c.id) < tuple_(before.bjd, before.id))
    return [
        WholePoint(point=to_point(row), payload=row.payload) for row in connection.execute(query)
    ]


def light_curve_query(target_name: str, wanted: Selection, most: int) -> Any:
    """Return the query of a light curve, the newest points first."""
    query = (
        select(*POINT)
        .where(_c.target_name == target_name, _c.is_newest == true())
        .order_by(_c.bjd_tdb.desc(), _c.id.desc())
        .limit(most)
    )
    if not wanted.with_rejected:
        query = query.where(func.coalesce(_c.review, "") != "rejected")
    if wanted.from_bjd is not None:
        query = query.where(_c.bjd_tdb >= wanted.from_bjd)
    if wanted.to_bjd is not None:
        query = query.where(_c.bjd_tdb <= wanted.to_bjd)
    if wanted.band is not None:
        query = query.where(_c.filter == wanted.band)
    if wanted.node_id is not None:
        query = query.where(_c.node_id == wanted.node_id)
    return query

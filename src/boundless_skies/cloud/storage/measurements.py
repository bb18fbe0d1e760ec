"""Queries about measurements. Nothing here deletes one."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, true, update

from boundless_skies.cloud.domain.errors import KeyReused
from boundless_skies.cloud.domain.measurements import (
    Arrival,
    Point,
    Reading,
    Receipt,
    TargetSummary,
)
from boundless_skies.cloud.schema.tables import measurements


def add(
    connection: Connection, node_id: str, reading: Reading, key: str | None, now: datetime
) -> Receipt:
    """Add a measurement, unless it is here already.

    The same content from the same node is the same measurement. Other values
    for the same node, target, time and filter are a new revision; the older
    ones stay.

    Raises
    ------
    KeyReused
        If the idempotency key came before, with another content.
    """
    held = _find_held(connection, node_id, reading, key)
    if held is not None:
        return Receipt(held, duplicate=True)
    revision = _supersede(connection, node_id, reading)
    row = connection.execute(
        insert(measurements).values(
            node_id=node_id,
            idempotency_key=key,
            received_at=now,
            revision=revision,
            is_newest=True,
            **_columns(reading),
        )
    )
    (number,) = row.inserted_primary_key or (0,)
    return Receipt(int(number), duplicate=False)


def light_curve(connection: Connection, target_name: str, since_bjd: float | None) -> list[Point]:
    """Return the newest revisions of a target's points, by time."""
    query = (
        select(measurements)
        .where(measurements.c.target_name == target_name, measurements.c.is_newest == true())
        .order_by(measurements.c.bjd_tdb, measurements.c.id)
    )
    if since_bjd is not None:
        query = query.where(measurements.c.bjd_tdb >= since_bjd)
    return [_to_point(row) for row in connection.execute(query)]


def summarise_targets(connection: Connection) -> list[TargetSummary]:
    """Return a summary of every target, the newest points first."""
    columns = measurements.c
    query = (
        select(
            columns.target_name,
            columns.filter,
            columns.node_id,
            func.count().label("points"),
            func.min(columns.bjd_tdb).label("first_bjd"),
            func.max(columns.bjd_tdb).label("last_bjd"),
        )
        .where(columns.is_newest == true())
        .group_by(columns.target_name, columns.filter, columns.node_id)
    )
    by_target: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(query):
        by_target.setdefault(row.target_name, []).append(row)
    summaries = [_summarise(name, rows) for name, rows in by_target.items()]
    return sorted(summaries, key=lambda summary: (-summary.last_bjd, summary.name))


def list_recent(connection: Connection, limit: int) -> list[Arrival]:
    """Return the measurements that came in last, the newest first."""
    query = select(measurements).order_by(measurements.c.id.desc()).limit(limit)
    return [
        Arrival(
            target_name=row.target_name,
            magnitude=row.magnitude,
            uncertainty=row.uncertainty,
            filter=row.filter,
            node_id=row.node_id,
            received_at=row.received_at,
        )
        for row in connection.execute(query)
    ]


def count_by_node(connection: Connection, since: datetime | None = None) -> dict[str, int]:
    """Return how many measurements each node has sent, in all or since an instant."""
    held = func.count().label("held")
    query = select(measurements.c.node_id, held).group_by(measurements.c.node_id)
    if since is not None:
        query = query.where(measurements.c.received_at >= since)
    return {row.node_id: row.held for row in connection.execute(query)}


def _find_held(
    connection: Connection, node_id: str, reading: Reading, key: str | None
) -> int | None:
    columns = measurements.c
    same = columns.content_hash == reading.content_hash
    if key is not None:
        same = or_(same, columns.idempotency_key == key)
    query = select(columns.id, columns.content_hash).where(and_(columns.node_id == node_id, same))
    rows = connection.execute(query).all()
    for row in rows:
        if row.content_hash == reading.content_hash:
            return int(row.id)
    if rows:
        raise KeyReused(
            "This Idempotency-Key came before with another measurement. "
            "Take the SHA-256 of the payload, or leave the header out."
        )
    return None


def _supersede(connection: Connection, node_id: str, reading: Reading) -> int:
    """Take the newest mark from older revisions; return the number of the new one."""
    columns = measurements.c
    same_point = and_(
        columns.node_id == node_id,
        columns.target_name == reading.target_name,
        columns.bjd_tdb == reading.bjd,
        columns.filter == reading.filter,
    )
    newest = connection.scalar(select(func.max(columns.revision)).where(same_point))
    if newest is None:
        return 1
    connection.execute(update(measurements).where(same_point).values(is_newest=False))
    return int(newest) + 1


def _columns(reading: Reading) -> dict[str, Any]:
    return {
        "target_name": reading.target_name,
        "bjd_tdb": reading.bjd,
        "magnitude": reading.magnitude,
        "uncertainty": reading.uncertainty,
        "filter": reading.filter,
        "airmass": reading.airmass,
        "fwhm_px": reading.fwhm,
        "snr": reading.snr,
        "comparison_stars": reading.comparison_stars,
        "quality_flag": reading.quality_flag,
        "zero_point": reading.zero_point,
        "zp_scatter": reading.zp_scatter,
        "fits_file": reading.fits_file,
        "payload": reading.payload,
        "conditions": reading.conditions,
        "content_hash": reading.content_hash,
    }


def _to_point(row: Row[Any]) -> Point:
    return Point(
        bjd=row.bjd_tdb,
        magnitude=row.magnitude,
        uncertainty=row.uncertainty,
        filter=row.filter,
        node_id=row.node_id,
        quality_flag=row.quality_flag,
        airmass=row.airmass,
        snr=row.snr,
        revision=row.revision,
    )


def _summarise(name: str, rows: list[Row[Any]]) -> TargetSummary:
    return TargetSummary(
        name=name,
        points=sum(row.points for row in rows),
        nodes=len({row.node_id for row in rows}),
        filters=sorted({row.filter for row in rows}),
        first_bjd=min(row.first_bjd for row in rows),
        last_bjd=max(row.last_bjd for row in rows),
    )

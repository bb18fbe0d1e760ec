"""Queries about measurements. Nothing here deletes one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    case,
    func,
    insert,
    select,
    text,
    true,
    tuple_,
    update,
)

from boundless_skies.cloud.domain.errors import KeyReused
from boundless_skies.cloud.domain.measurements import (
    Arrival,
    Entry,
    Point,
    PointId,
    Receipt,
    TargetSummary,
)
from boundless_skies.cloud.schema import partitions
from boundless_skies.cloud.schema.tables import idempotency_keys, measurements, tallies
from boundless_skies.cloud.storage import bulk
from boundless_skies.cloud.storage.database import JsonText

_c = measurements.c
_POINT_ID = (_c.target_name, _c.bjd_tdb, _c.filter, _c.node_id)
POINT = (
    _c.id,
    _c.bjd_tdb,
    _c.magnitude,
    _c.uncertainty,
    _c.filter,
    _c.node_id,
    _c.quality_flag,
    _c.airmass,
    _c.snr,
    _c.revision,
    _c.validation,
    _c.review,
)
_DEMOTE = (
    update(measurements)
    .where(
        _c.target_name == bindparam("of_target"),
        _c.bjd_tdb == bindparam("of_bjd"),
        _c.filter == bindparam("of_filter"),
        _c.node_id == bindparam("of_node"),
        _c.id != bindparam("but_id"),
        _c.is_newest == true(),
    )
    .values(is_newest=False)
)

NUMBERS_IN_STOCK = 500
"""So many numbers a connection to PostgreSQL draws beyond those it needs."""

Held = dict[PointId, dict[str, tuple[int, int]]]
"""For each point, the number and revision of each content that is held of it."""


@dataclass(slots=True)
class _New:
    """An entry that goes in, with the number and revision that it gets."""

    entry: Entry
    number: int
    revision: int
    is_newest: bool = True


def add_all(connection: Connection, entries: Sequence[Entry]) -> list[Receipt | KeyReused]:
    """Add measurements, each unless it is here already; what became of each, in order.

    The same content from the same node is the same measurement. Other values
    for the same node, target, time and filter are a new revision; the older
    ones stay.
    """
    _ensure_months(connection, (entry.reading.bjd for entry in entries))
    held = _find_held(connection, {entry.point_id for entry in entries})
    keys = _find_keys(connection, [entry for entry in entries if entry.key is not None])
    numbers = iter(_reserve_numbers(connection, len(entries)))
    new: dict[int, _New] = {}
    receipts = [_place(entry, held, keys, numbers, new) for entry in entries]
    if new:
        bulk.insert_many(connection, measurements, _columns(list(new.values())))
        _demote_older(connection, list(new.values()))
    _keep_keys(connection, entries, receipts)
    return receipts


def _place(
    entry: Entry,
    held: Held,
    keys: dict[tuple[str, str], str],
    numbers: Iterator[int],
    new: dict[int, _New],
) -> Receipt | KeyReused:
    """Decide on one entry, with what is held and what came before it in the same group."""
    known = held.setdefault(entry.point_id, {})
    content = entry.reading.content_hash
    used_for = keys.get((entry.node_id, entry.key)) if entry.key is not None else None
    if used_for not in (None, content):
        return KeyReused(
            "This Idempotency-Key came before with another measurement. "
            "Take the SHA-256 of the payload, or leave the header out."
        )
    if content in known:
        return Receipt(known[content][0], duplicate=True)
    number = next(numbers)
    revision = 1 + max((revision for _, revision in known.values()), default=0)
    for earlier, _ in known.values():
        if earlier in new:
            new[earlier].is_newest = False
    known[content] = (number, revision)
    if entry.key is not None:
        keys[entry.node_id, entry.key] = content
    new[number] = _New(entry, number, revision)
    return Receipt(number, duplicate=False)


def find(connection: Connection, number: int) -> Row[Any] | None:
    """Return a measurement by its number, whole."""
    return connection.execute(select(measurements).where(_c.id == number)).first()


def list_revisions(connection: Connection, row: Row[Any]) -> list[Row[Any]]:
    """Return every revision of the point that a measurement belongs to, the one shown first."""
    same = tuple_(*_POINT_ID) == tuple_(row.target_name, row.bjd_tdb, row.filter, row.node_id)
    query = select(*POINT, _c.received_at, _c.software, _c.is_newest).where(same)
    newest_first = query.order_by(_c.is_newest.desc(), _c.revision.desc())
    return list(connection.execute(newest_first))


def summarise_targets(connection: Connection) -> list[TargetSummary]:
    """Return a summary of every target, the newest points first."""
    by_target: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(_tallied()):
        by_target.setdefault(row.target_name, []).append(row)
    summaries = [_summarise(name, rows) for name, rows in by_target.items()]
    return sorted(summaries, key=lambda summary: (-summary.last_bjd, summary.name))


def list_recent(connection: Connection, limit: int) -> list[Arrival]:
    """Return the measurements that came in last, the newest first."""
    query = (
        select(
            _c.id,
            _c.target_name,
            _c.magnitude,
            _c.uncertainty,
            _c.filter,
            _c.node_id,
            _c.received_at,
        )
        .order_by(_c.received_at.desc(), _c.id.desc())
        .limit(limit)
    )
    return [Arrival(**row) for row in connection.execute(query).mappings()]


def count_by_node(connection: Connection) -> dict[str, int]:
    """Return how many measurements each node has sent."""
    tallied = _tallied().subquery()
    query = select(tallied.c.node_id, func.sum(tallied.c.arrivals).label("held")).group_by(
        tallied.c.node_id
    )
    return {row.node_id: int(row.held) for row in connection.execute(query)}


def count_since(connection: Connection, since: Any) -> dict[str, int]:
    """Return how many measurements each node has sent since an instant."""
    query = (
        select(_c.node_id, func.count().label("held"))
        .where(_c.received_at >= since)
        .group_by(_c.node_id)
    )
    return {row.node_id: row.held for row in connection.execute(query)}


def _tallied() -> Any:
    """Return what is settled and what is not yet, in rows of the same form."""
    t = tallies.c
    settled = select(
        t.target_name, t.node_id, t.filter, t.points, t.arrivals, t.first_bjd, t.last_bjd
    )
    unsettled = (
        select(
            _c.target_name,
            _c.node_id,
            _c.filter,
            func.sum(case((_c.revision == 1, 1), else_=0)).label("points"),
            func.count().label("arrivals"),
            func.min(_c.bjd_tdb).label("first_bjd"),
            func.max(_c.bjd_tdb).label("last_bjd"),
        )
        .where(_c.validation.is_(None))
        .group_by(_c.target_name, _c.node_id, _c.filter)
    )
    return settled.union_all(unsettled)


def _ensure_months(connection: Connection, bjds: Iterable[float]) -> None:
    """Make the partitions that are missing; each connection remembers those it has seen."""
    if connection.dialect.name != "postgresql":
        return
    seen: set[tuple[int, int]] = connection.info.setdefault("months", set())
    missing = {month for bjd in bjds if (month := partitions.month_of(bjd))} - seen
    if not missing:
        return
    names = {partitions.partition_name(*month): month for month in missing}
    query = text("SELECT relname FROM pg_class WHERE relname = ANY(:names)")
    there = {names[name] for name in connection.scalars(query, {"names": list(names)})}
    seen |= there
    for month in sorted(missing - there):
        connection.exec_driver_sql(partitions.create_statement(*month))


def _find_held(connection: Connection, points: set[PointId]) -> Held:
    wanted = list(points)
    kinds = {"target_name": "text", "bjd_tdb": "float8", "filter": "text", "node_id": "text"}
    kinds["place"] = "int"
    # A join that begins with what is sought: each point costs one look into the index, on
    # PostgreSQL into that of its month only.
    columns = {"sought.place": int, "m.id": int, "m.revision": int, "m.content_hash": str}
    rows = bulk.fetch(
        connection,
        columns,
        f"FROM {bulk.sought(connection, kinds, len(wanted))} CROSS JOIN measurements AS m "
        "WHERE m.target_name = sought.target_name AND m.bjd_tdb = sought.bjd_tdb "
        "AND m.filter = sought.filter AND m.node_id = sought.node_id",
        bulk.sought_values(connection, [(*point, place) for place, point in enumerate(wanted)]),
    )
    held: Held = {}
    for place, number, revision, content in rows:
        held.setdefault(wanted[place], {})[content] = (number, revision)
    return held


def _find_keys(connection: Connection, entries: Sequence[Entry]) -> dict[tuple[str, str], str]:
    if not entries:
        return {}
    k = idempotency_keys.c
    wanted = [(entry.node_id, entry.key) for entry in entries]
    query = select(k.node_id, k.key, k.content_hash).where(tuple_(k.node_id, k.key).in_(wanted))
    rows = connection.execute(query)
    return {(row.node_id, row.key): row.content_hash for row in rows}


def _keep_keys(
    connection: Connection,
    entries: Sequence[Entry],
    receipts: Sequence[Receipt | KeyReused],
) -> None:
    rows = {
        (entry.node_id, entry.key): {
            "node_id": entry.node_id,
            "key": entry.key,
            "measurement_id": receipt.id,
            "content_hash": entry.reading.content_hash,
        }
        for entry, receipt in zip(entries, receipts, strict=True)
        if entry.key is not None and isinstance(receipt, Receipt) and not receipt.duplicate
    }
    if rows:
        connection.execute(insert(idempotency_keys), list(rows.values()))


def _reserve_numbers(connection: Connection, count: int) -> list[int]:
    if connection.dialect.name == "postgresql":
        return _numbers_in_stock(connection, count)
    # The one writer holds the lock, and no row is ever deleted.
    (highest,) = connection.exec_driver_sql("SELECT MAX(id) FROM measurements").one()
    return list(range((highest or 0) + 1, (highest or 0) + count + 1))


def _numbers_in_stock(connection: Connection, count: int) -> list[int]:
    """Take numbers that this connection drew earlier, or draw many; gaps between numbers are fine.

    Those of a transaction that is undone are not used again.
    """
    stock: list[int] = connection.info.setdefault("numbers", [])
    if len(stock) < count:
        query = "SELECT nextval('measurement_ids') FROM generate_series(1, $1::int)"
        drawn = connection.exec_driver_sql(query, (count + NUMBERS_IN_STOCK,))
        stock += [number for (number,) in drawn]
    taken = stock[:count]
    del stock[:count]
    return taken


def _demote_older(connection: Connection, new: Sequence[_New]) -> None:
    """Take the newest mark from the revisions before."""
    demoted = [
        {
            "of_target": one.entry.target_name,
            "of_bjd": one.entry.reading.bjd,
            "of_filter": one.entry.reading.filter,
            "of_node": one.entry.node_id,
            "but_id": one.number,
        }
        for one in new
        if one.revision > 1 and one.is_newest
    ]
    if demoted:
        connection.execute(_DEMOTE, demoted)


def _columns(new: Sequence[_New]) -> dict[str, list[Any]]:
    entries = [one.entry for one in new]
    readings = [entry.reading for entry in entries]
    return {
        "id": [one.number for one in new],
        "node_id": [entry.node_id for entry in entries],
        "target_name": [entry.target_name for entry in entries],
        "bjd_tdb": [reading.bjd for reading in readings],
        "magnitude": [reading.magnitude for reading in readings],
        "uncertainty": [reading.uncertainty for reading in readings],
        "filter": [reading.filter for reading in readings],
        "airmass": [reading.airmass for reading in readings],
        "fwhm_px": [reading.fwhm for reading in readings],
        "snr": [reading.snr for reading in readings],
        "comparison_stars": [reading.comparison_stars for reading in readings],
        "quality_flag": [reading.quality_flag for reading in readings],
        "zero_point": [reading.zero_point for reading in readings],
        "zp_scatter": [reading.zp_scatter for reading in readings],
        "fits_file": [reading.fits_file for reading in readings],
        "revision": [one.revision for one in new],
        "is_newest": [one.is_newest for one in new],
        "payload": [JsonText(reading.payload_json) for reading in readings],
        "conditions": [reading.conditions for reading in readings],
        "content_hash": [reading.content_hash for reading in readings],
        "received_at": [entry.received_at for entry in entries],
        "software": [entry.software for entry in entries],
    }


def to_point(row: Row[Any]) -> Point:
    """Return a row of a light curve's query as a point."""
    return Point(
        id=row.id,
        bjd=row.bjd_tdb,
        magnitude=row.magnitude,
        uncertainty=row.uncertainty,
        filter=row.filter,
        node_id=row.node_id,
        quality_flag=row.quality_flag,
        airmass=row.airmass,
        snr=row.snr,
        revision=row.revision,
        validation=row.validation or "single",
        review=row.review,
    )


def _summarise(name: str, rows: list[Row[Any]]) -> TargetSummary:
    return TargetSummary(
        name=name,
        points=sum(int(row.points) for row in rows),
        nodes=len({row.node_id for row in rows}),
        filters=sorted({row.filter for row in rows}),
        first_bjd=min(row.first_bjd for row in rows),
        last_bjd=max(row.last_bjd for row in rows),
    )

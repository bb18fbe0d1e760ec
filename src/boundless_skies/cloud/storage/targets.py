"""Queries about targets and the names that they are known by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from boundless_skies.cloud.schema.tables import measurements, tallies, target_names, targets
from boundless_skies.cloud.storage.upserting import insert_or
from boundless_skies.sky.names import case_tells, loose_key, name_key
from boundless_skies.sky.targets import NamedStar, find_target

_t = targets.c
_n = target_names.c


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is known of a target: J2000 degrees, period in days, epoch in BJD_TDB."""

    name: str
    ra_deg: float | None = None
    dec_deg: float | None = None
    kind: str | None = None
    period_d: float | None = None
    epoch_bjd: float | None = None


def resolve(connection: Connection, name: str) -> str | None:
    """Return the name under which a target is kept, from any of its names.

    A spelling that fits one target only when case does not count is taken
    where there is no other such target, and where its capitals tell nothing.
    """
    found = find_exactly(connection, name)
    if found is not None or case_tells(name):
        return found
    loosely = select(_n.target_name).where(_n.loose_key == loose_key(name)).distinct().limit(2)
    candidates = list(connection.scalars(loosely))
    return str(candidates[0]) if len(candidates) == 1 else None


def find_exactly(connection: Connection, name: str) -> str | None:
    """Return the name under which a target is kept that has just this name."""
    return connection.scalar(select(_n.target_name).where(_n.name_key == name_key(name)))


def ensure(connection: Connection, names: Sequence[str], now: datetime) -> dict[str, str]:
    """Return under which name each target is kept, in a transaction that adds the unknown ones.

    One that the list of named stars has comes with its position, period and other names.
    """
    by_key = {name_key(name): name for name in reversed(names)}
    known = _find_by_key(connection, list(by_key))
    for key in sorted(set(by_key) - set(known)):
        _add_new(connection, by_key[key], now)
    known = known | _find_by_key(connection, sorted(set(by_key) - set(known)))
    return {name: known[name_key(name)] for name in names}


def _add_new(connection: Connection, name: str, now: datetime) -> None:
    star = find_target(name)
    names = (star.name, *star.aliases) if star else ()
    keys = [name_key(other) for other in names]
    if star is None or name_key(name) not in keys:  # found only where capitals do not count
        add(connection, Target(name=name), now)
        return
    held = _find_by_key(connection, keys)
    kept = next((held[key] for key in keys if key in held), name)
    add(connection, to_known(kept, star), now)
    for other in (name, *names):
        add_name(connection, other, kept)


def to_known(name: str, star: NamedStar) -> Target:
    """Return what the list of named stars knows, under a name."""
    return Target(
        name=name,
        ra_deg=star.ra_deg,
        dec_deg=star.dec_deg,
        kind=star.kind or None,
        period_d=star.period_d,
        epoch_bjd=star.epoch_bjd,
    )


def add(connection: Connection, target: Target, now: datetime) -> None:
    """Add a target under its name; one that is there already stays as it is."""
    row = {"name": target.name, "ra_deg": target.ra_deg, "dec_deg": target.dec_deg}
    row |= {"kind": target.kind, "period_d": target.period_d, "epoch_bjd": target.epoch_bjd}
    statement = insert_or(connection, targets).values(**row, added_at=now)
    connection.execute(statement.on_conflict_do_nothing())
    add_name(connection, target.name, target.name)


def add_name(connection: Connection, name: str, target_name: str) -> None:
    """Let a target be found by a further name; one that is taken stays whose it is."""
    row = {"name_key": name_key(name), "loose_key": loose_key(name)}
    statement = insert_or(connection, target_names).values(
        **row, name=name, target_name=target_name
    )
    connection.execute(statement.on_conflict_do_nothing())


def place(connection: Connection, name: str, ra_deg: float, dec_deg: float) -> None:
    """Keep where a target stands, where that was not known."""
    connection.execute(
        update(targets)
        .where(_t.name == name, _t.ra_deg.is_(None))
        .values(ra_deg=ra_deg, dec_deg=dec_deg)
    )


def describe(connection: Connection, name: str, **known: Any) -> bool:
    """Set what is known of a target; tells whether there is such a target."""
    done = connection.execute(update(targets).where(_t.name == name).values(**known))
    return done.rowcount == 1


def find(connection: Connection, name: str) -> Target | None:
    """Return a target by the name under which it is kept."""
    row = connection.execute(select(targets).where(_t.name == name)).first()
    return None if row is None else _to_target(row)


def list_periods(connection: Connection, names: Iterable[str]) -> dict[str, float | None]:
    """Return the periods (days) of targets that are known, by name."""
    query = select(_t.name, _t.period_d).where(_t.name.in_(sorted(names)))
    return {row.name: row.period_d for row in connection.execute(query)}


def list_names(connection: Connection, target_name: str) -> list[str]:
    """Return every name of a target."""
    query = select(_n.name).where(_n.target_name == target_name).order_by(_n.name)
    return list(connection.scalars(query))


def list_names_by_target(connection: Connection) -> dict[str, list[str]]:
    """Return every name of every target."""
    found: dict[str, list[str]] = {}
    query = select(_n.target_name, _n.name).order_by(_n.name)
    for row in connection.execute(query):
        found.setdefault(row.target_name, []).append(row.name)
    return found


def list_between(connection: Connection, low_dec_deg: float, high_dec_deg: float) -> list[Target]:
    """Return the targets within a band of declination (degrees)."""
    query = select(targets).where(_t.dec_deg.between(low_dec_deg, high_dec_deg))
    return [_to_target(row) for row in connection.execute(query)]


def list_all(connection: Connection) -> list[Target]:
    """Return every target, by name."""
    return [_to_target(row) for row in connection.execute(select(targets).order_by(_t.name))]


def find_like(connection: Connection, text: str, limit: int) -> list[str]:
    """Return the kept names of targets one of whose names holds a text, whatever its capitals."""
    query = (
        select(_n.target_name)
        .where(_n.loose_key.contains(loose_key(text), autoescape=True))
        .distinct()
        .order_by(_n.target_name)
        .limit(limit)
    )
    return list(connection.scalars(query))


def list_every_name(connection: Connection, limit: int) -> list[tuple[str, str]]:
    """Return loose keys of names with the name under which the target is kept."""
    query = select(_n.loose_key, _n.target_name).order_by(_n.loose_key).limit(limit)
    return [(row.loose_key, row.target_name) for row in connection.execute(query)]


def list_nameless(connection: Connection) -> list[str]:
    """Return the target names of measurements that no target is kept under."""
    unsettled = select(measurements.c.target_name).where(measurements.c.validation.is_(None))
    measured = select(tallies.c.target_name).union(unsettled).subquery()
    query = (
        select(measured.c.target_name)
        .outerjoin(targets, targets.c.name == measured.c.target_name)
        .where(targets.c.name.is_(None))
    )
    return sorted(connection.scalars(query))


def adopt_nameless(connection: Connection, now: datetime) -> int:
    """Make targets of names that only measurements know; return how many.

    They are of the first form, or came in while two targets were made one.
    """
    nameless = list_nameless(connection)
    for name, kept in ensure(connection, nameless, now).items():
        if kept != name:
            rename_measurements(connection, name, kept)
    return len(nameless)


def rename_measurements(connection: Connection, before: str, after: str) -> int:
    """Move the measurements of one target to another, as further revisions where both have them."""
    m = measurements.c
    other = measurements.alias("other")
    highest = (
        select(func.coalesce(func.max(other.c.revision), 0))
        .where(
            other.c.target_name == after,
            other.c.bjd_tdb == m.bjd_tdb,
            other.c.filter == m.filter,
            other.c.node_id == m.node_id,
        )
        .scalar_subquery()
    )
    superseded = select(other.c.id).where(
        other.c.target_name == before,
        other.c.bjd_tdb == m.bjd_tdb,
        other.c.filter == m.filter,
        other.c.node_id == m.node_id,
    )
    connection.execute(
        update(measurements)
        .where(m.target_name == after, superseded.exists())
        .values(is_newest=False)
    )
    moved = connection.execute(
        update(measurements)
        .where(m.target_name == before)
        .values(target_name=after, revision=m.revision + highest, validation=None)
    )
    connection.execute(tallies.delete().where(tallies.c.target_name.in_((before, after))))
    connection.execute(update(measurements).where(m.target_name == after).values(validation=None))
    return moved.rowcount


def merge(connection: Connection, before: str, after: str) -> int:
    """Make one target of two: every name and point of the first goes to the second."""
    moved = rename_measurements(connection, before, after)
    connection.execute(
        update(target_names).where(_n.target_name == before).values(target_name=after)
    )
    connection.execute(targets.delete().where(_t.name == before))
    return moved


def _find_by_key(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    if not keys:
        return {}
    query = select(_n.name_key, _n.target_name).where(_n.name_key.in_(keys))
    return {row.name_key: row.target_name for row in connection.execute(query)}


def _to_target(row: Row[Any]) -> Target:
    return Target(
        name=row.name,
        ra_deg=row.ra_deg,
        dec_deg=row.dec_deg,
        kind=row.kind,
        period_d=row.period_d,
        epoch_bjd=row.epoch_bjd,
    )

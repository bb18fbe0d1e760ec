"""Queries about nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, update

from boundless_skies.cloud.domain.nodes import Beat, Node, Profile
from boundless_skies.cloud.schema.tables import nodes
from boundless_skies.cloud.storage import bulk

_c = nodes.c
_BEAT = (
    update(nodes)
    .where(_c.node_id == bindparam("of_node"))
    .values(
        last_beat_at=bindparam("at"),
        conditions=bindparam("said"),
        queued_uploads=bindparam("waiting"),
        queue_age_s=bindparam("age_s"),
        utc_offset_hours=func.coalesce(bindparam("offset_hours"), _c.utc_offset_hours),
    )
)


@dataclass(frozen=True)
class NodeKeys:
    """Hashes of the keys that a node may call with, and what stands against it."""

    key_hash: str
    pending_hash: str | None
    previous_hash: str | None
    previous_until: datetime | None
    rotation_asked: bool
    revoked_at: datetime | None


@dataclass(frozen=True)
class TakenBeat:
    """A beat and when it came."""

    beat: Beat
    at: datetime


def exists(connection: Connection, node_id: str) -> bool:
    """Tell whether a ``node_id`` is taken."""
    return connection.scalar(select(_c.node_id).where(_c.node_id == node_id)) is not None


def add(
    connection: Connection, node_id: str, key_hash: str, profile: Profile, now: datetime
) -> None:
    """Add a node."""
    connection.execute(
        insert(nodes).values(
            node_id=node_id,
            key_hash=key_hash,
            owner_name=profile.owner_name,
            latitude_deg=profile.latitude,
            longitude_deg=profile.longitude,
            elevation_m=profile.elevation,
            telescope_model=profile.telescope_model,
            filters=profile.filters,
            utc_offset_hours=profile.utc_offset_hours,
            rig=profile.rig,
            owner_public=profile.owner_public,
            registered_at=now,
            conditions={},
        )
    )


def find(connection: Connection, node_id: str) -> Node | None:
    """Return a node."""
    row = connection.execute(select(nodes).where(_c.node_id == node_id)).first()
    return None if row is None else _to_node(row)


def find_keys(connection: Connection, node_id: str) -> NodeKeys | None:
    """Return what a node's key is checked against."""
    return list_keys(connection, [node_id]).get(node_id)


def list_keys(connection: Connection, node_ids: Sequence[str]) -> dict[str, NodeKeys]:
    """Return what the keys of some nodes are checked against, by ``node_id``."""
    wanted = [(node_id,) for node_id in dict.fromkeys(node_ids)]
    columns = ("node_id", "key_hash", "pending_key_hash", "previous_key_hash")
    instants = ("previous_key_until", "rotation_asked_at", "revoked_at")
    rows = bulk.fetch(
        connection,
        {f"n.{name}": str for name in (*columns, *instants)},
        f"FROM {bulk.sought(connection, {'node_id': 'text'}, len(wanted))} CROSS JOIN nodes AS n "
        "WHERE n.node_id = sought.node_id",
        bulk.sought_values(connection, wanted),
    )
    to_instant = bulk.reader(connection, _c.revoked_at)
    return {
        node_id: NodeKeys(
            key, pending, previous, to_instant(until), asked is not None, to_instant(revoked)
        )
        for node_id, key, pending, previous, until, asked, revoked in rows
    }


def list_some(
    connection: Connection, *, after: str | None = None, limit: int | None = None
) -> list[Node]:
    """Return nodes by name: those after a name, at most so many."""
    query = select(nodes).order_by(_c.node_id)
    if after is not None:
        query = query.where(_c.node_id > after)
    return [_to_node(row) for row in connection.execute(query.limit(limit))]


def count(connection: Connection, beat_since: datetime | None = None) -> int:
    """Return how many nodes there are, or have beaten since an instant."""
    query = select(func.count()).select_from(nodes)
    if beat_since is not None:
        query = query.where(_c.last_beat_at > beat_since)
    return connection.scalar(query) or 0


def count_joined_before(connection: Connection, instant: datetime) -> int:
    """Return how many nodes that may call have joined before an instant."""
    joined = (_c.registered_at < instant, _c.revoked_at.is_(None))
    return connection.scalar(select(func.count()).select_from(nodes).where(*joined)) or 0


def list_offline(connection: Connection, since: datetime, limit: int) -> tuple[int, list[Node]]:
    """Return how many nodes have not beaten since an instant, and those that left last."""
    silent = or_(_c.last_beat_at.is_(None), _c.last_beat_at <= since)
    # Those that never beat come last on either database.
    newest = (_c.last_beat_at.is_(None), _c.last_beat_at.desc(), _c.node_id)
    return _count_and_list(connection, and_(silent, _c.revoked_at.is_(None)), newest, limit)


def list_behind(connection: Connection, age_s: float, limit: int) -> tuple[int, list[Node]]:
    """Return how many nodes have held something back for so long (s), the longest first."""
    behind = and_(_c.queue_age_s > age_s, _c.revoked_at.is_(None))
    return _count_and_list(connection, behind, (_c.queue_age_s.desc(), _c.node_id), limit)


def list_rotating(connection: Connection, limit: int) -> tuple[int, list[Node]]:
    """Return how many nodes were asked for a new key and have none yet, the oldest first."""
    asked = _c.rotation_asked_at.is_not(None)
    return _count_and_list(connection, asked, (_c.rotation_asked_at, _c.node_id), limit)


def _count_and_list(
    connection: Connection, where: Any, order: Sequence[Any], limit: int
) -> tuple[int, list[Node]]:
    counted = connection.scalar(select(func.count()).select_from(nodes).where(where)) or 0
    rows = connection.execute(select(nodes).where(where).order_by(*order).limit(limit))
    return counted, [_to_node(row) for row in rows]


def record_beats(connection: Connection, beats: Mapping[str, TakenBeat]) -> None:
    """Keep the newest beat of each of some nodes.

    Always in the order of names, so that two processes do not wait for each other.
    """
    rows = [_beat_row(node_id, beats[node_id]) for node_id in sorted(beats)]
    bulk.update_many(connection, _BEAT, rows)


def keep_pending_key(connection: Connection, node_id: str, pending_hash: str) -> bool:
    """Keep a key that becomes a node's own when it first calls with it; tells whether it may."""
    done = connection.execute(
        update(nodes)
        .where(_c.node_id == node_id, _c.revoked_at.is_(None))
        .values(pending_key_hash=pending_hash)
    )
    return done.rowcount == 1


def promote_pending_key(
    connection: Connection, node_id: str, pending_hash: str, previous_until: datetime
) -> None:
    """Make the pending key a node's own; the one before it stays valid until an instant."""
    connection.execute(
        update(nodes)
        .where(_c.node_id == node_id, _c.pending_key_hash == pending_hash)
        .values(
            previous_key_hash=_c.key_hash,
            previous_key_until=previous_until,
            key_hash=pending_hash,
            pending_key_hash=None,
            rotation_asked_at=None,
        )
    )


def ask_for_rotation(connection: Connection, node_ids: Sequence[str] | None, now: datetime) -> int:
    """Ask nodes (None for all) to take a new key; return how many were asked."""
    query = update(nodes).where(_c.revoked_at.is_(None)).values(rotation_asked_at=now)
    if node_ids is not None:
        query = query.where(_c.node_id.in_(node_ids))
    return connection.execute(query).rowcount


def revoke(connection: Connection, node_id: str, now: datetime) -> bool:
    """Take every key of a node; tells whether it had any."""
    done = connection.execute(
        update(nodes)
        .where(_c.node_id == node_id, _c.revoked_at.is_(None))
        .values(
            revoked_at=now,
            pending_key_hash=None,
            previous_key_hash=None,
            previous_key_until=None,
            rotation_asked_at=None,
        )
    )
    return done.rowcount == 1


def readmit(connection: Connection, node_id: str) -> bool:
    """Let a revoked node call with its key again; tells whether it was revoked."""
    done = connection.execute(
        update(nodes)
        .where(_c.node_id == node_id, _c.revoked_at.is_not(None))
        .values(revoked_at=None)
    )
    return done.rowcount == 1


def show_owner(connection: Connection, node_id: str, *, public: bool) -> bool:
    """Show or hide the owner's name; tells whether there is such a node."""
    done = connection.execute(
        update(nodes).where(_c.node_id == node_id).values(owner_public=public)
    )
    return done.rowcount == 1


def take_image_bytes(
    connection: Connection, node_id: str, size_bytes: int, quota_bytes: int | None
) -> bool:
    """Count an image towards a node's quota; tells whether it still fits."""
    query = (
        update(nodes).where(_c.node_id == node_id).values(image_bytes=_c.image_bytes + size_bytes)
    )
    if quota_bytes is not None:
        query = query.where(_c.image_bytes + size_bytes <= quota_bytes)
    return connection.execute(query).rowcount == 1


def _beat_row(node_id: str, taken: TakenBeat) -> dict[str, Any]:
    beat = taken.beat
    return {
        "of_node": node_id,
        "at": taken.at,
        "said": beat.conditions,
        "waiting": beat.queued_uploads,
        "age_s": beat.queue_age_s,
        "offset_hours": beat.utc_offset_hours,
    }


def _to_node(row: Row[Any]) -> Node:
    profile = Profile(
        owner_name=row.owner_name,
        latitude=row.latitude_deg,
        longitude=row.longitude_deg,
        elevation=row.elevation_m,
        telescope_model=row.telescope_model,
        filters=row.filters,
        utc_offset_hours=row.utc_offset_hours,
        rig=row.rig,
        owner_public=row.owner_public,
    )
    return Node(
        node_id=row.node_id,
        profile=profile,
        registered_at=row.registered_at,
        last_beat_at=row.last_beat_at,
        conditions=row.conditions,
        queued_uploads=row.queued_uploads,
        queue_age_s=row.queue_age_s,
        rotation_asked_at=row.rotation_asked_at,
        revoked_at=row.revoked_at,
        image_bytes=row.image_bytes,
    )

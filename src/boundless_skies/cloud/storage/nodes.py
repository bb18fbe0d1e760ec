"""Queries about nodes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from boundless_skies.cloud.domain.nodes import Beat, Node, Profile
from boundless_skies.cloud.schema.tables import nodes


@dataclass(frozen=True)
class NodeCredentials:
    """A node and the hash of its key."""

    node: Node
    key_hash: str


def exists(connection: Connection, node_id: str) -> bool:
    """Tell whether a ``node_id`` is taken."""
    query = select(nodes.c.node_id).where(nodes.c.node_id == node_id)
    return connection.scalar(query) is not None


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
            registered_at=now,
            conditions={},
        )
    )


def find(connection: Connection, node_id: str) -> NodeCredentials | None:
    """Return a node with the hash of its key."""
    row = connection.execute(select(nodes).where(nodes.c.node_id == node_id)).first()
    return None if row is None else NodeCredentials(_to_node(row), row.key_hash)


def list_all(connection: Connection) -> list[Node]:
    """Return every node, by name."""
    return [_to_node(row) for row in connection.execute(select(nodes).order_by(nodes.c.node_id))]


def record_beat(connection: Connection, node_id: str, beat: Beat, now: datetime) -> None:
    """Keep the newest beat of a node."""
    values: dict[str, Any] = {
        "last_beat_at": now,
        "conditions": beat.conditions,
        "queued_uploads": beat.queued_uploads,
    }
    if beat.utc_offset_hours is not None:
        values["utc_offset_hours"] = beat.utc_offset_hours
    connection.execute(update(nodes).where(nodes.c.node_id == node_id).values(values))


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
    )
    return Node(
        node_id=row.node_id,
        profile=profile,
        registered_at=row.registered_at,
        last_beat_at=row.last_beat_at,
        conditions=row.conditions,
        queued_uploads=row.queued_uploads,
    )

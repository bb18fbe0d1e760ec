"""Measurements and nodes for tests of the storage."""

from datetime import UTC, datetime
from typing import Any

from tests.cloud.storage.conftest import Store
from tests.support.cloud_client import make_measurement

from boundless_skies.cloud.domain.keys import key_hash
from boundless_skies.cloud.domain.measurements import Entry, read_submission
from boundless_skies.cloud.domain.nodes import read_profile
from boundless_skies.cloud.storage import nodes

NOW = datetime(2026, 3, 1, 21, 30, tzinfo=UTC)
PROFILE = read_profile({"latitude": 48.1, "longitude": 11.6, "owner_name": "the owner"})


def entry(*, node_id: str = "hilltop", key: str | None = None, **changes: Any) -> Entry:
    """Return a measurement on its way in."""
    reading = read_submission(make_measurement(**changes))
    return Entry(
        node_id=node_id,
        target_name=reading.target_name,
        reading=reading,
        key=key,
        software="a test",
        received_at=NOW,
    )


def add_node(store: Store, node_id: str = "hilltop", key: str = "first") -> None:
    """Register a node."""
    store.write(lambda connection: nodes.add(connection, node_id, key_hash(key), PROFILE, NOW))

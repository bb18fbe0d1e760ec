"""Nodes that are registered straight in the database, for fleets of a size nobody registers."""

import contextlib
import hashlib
import sqlite3
from datetime import UTC, datetime
from typing import Any

import psycopg
import sqlalchemy as sa

from benchmarks import messages
from boundless_skies.cloud.domain.keys import key_hash
from boundless_skies.cloud.schema.tables import nodes, plans

CHUNK = 10_000
PLAN_ITEMS = [
    {
        "item_id": f"item-{number}",
        "target": f"Star {number}",
        "ra": 21.7145,
        "dec": 43.5864,
        "expDur": 30.0,
        "expCount": 20,
        "binning": 1,
        "filter": "CV",
        "startTime": f"{number + 10}:00",
        "start_utc": f"2026-03-01T{number + 10}:00:00Z",
        "end_utc": f"2026-03-01T{number + 10}:15:00Z",
        "score": 0.87,
        "notes": "",
    }
    for number in range(10)
]


def in_ours(database: str, count: int, *, with_plans: bool = False) -> None:
    """Register nodes in our cloud's database, which must have its tables; a plan for each too."""
    url = database.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url if "://" in url else f"sqlite:///{url}")
    now = datetime.now(UTC)
    for first in range(0, count, CHUNK):
        numbers = range(first, min(count, first + CHUNK))
        with engine.begin() as connection:  # each chunk its own, so that the cloud can write too
            connection.execute(sa.insert(nodes), [_node(number, now) for number in numbers])
            if with_plans:
                connection.execute(sa.insert(plans), [_plan(number, now) for number in numbers])
    engine.dispose()


def _node(number: int, now: datetime) -> dict[str, Any]:
    return {
        "node_id": messages.node_id(number),
        "key_hash": key_hash(messages.api_key(number)),
        "owner_name": "Ada",
        "latitude_deg": 48.137,
        "longitude_deg": 11.575,
        "elevation_m": 520.0,
        "telescope_model": "ZWO Seestar S50",
        "filters": "CV",
        "utc_offset_hours": 1.0,
        "rig": {},
        "registered_at": now,
        "conditions": {},
    }


def _plan(number: int, now: datetime) -> dict[str, Any]:
    return {
        "plan_id": f"plan-{number}",
        "node_id": messages.node_id(number),
        "night": "2026-03-01",
        "generated_at": now,
        "published_at": now,
        "items": PLAN_ITEMS,
    }


def in_field(database: str, count: int) -> None:
    """Register nodes in the database of the cloud of the ordinary kind."""
    rows = [
        (
            messages.node_id(number),
            hashlib.sha256(messages.api_key(number).encode()).hexdigest(),
            48.137,
            11.575,
        )
        for number in range(count)
    ]
    sql = "INSERT INTO nodes (node_id, key_hash, latitude, longitude) VALUES (?, ?, ?, ?)"
    if database.startswith("postgresql://"):
        with psycopg.connect(database) as connection, connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), rows)
        return
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(sql, rows)

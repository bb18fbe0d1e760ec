"""The tables, in portable constructs only: SQLite and PostgreSQL take the same definitions."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

SCHEMA_VERSION = 1
"""Raised with every change of the tables; a folder of a newer cloud is not touched."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Counter = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up in SQLite
_NodeName = String(64)
_Hash = String(64)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: stored as UTC without a zone, read back with UTC as its zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an instant into UTC without a zone."""
        del dialect
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give a stored instant its zone back."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("node_id", _NodeName, primary_key=True),
    Column("key_hash", _Hash, nullable=False),
    Column("owner_name", Text, nullable=False),
    Column("latitude_deg", Double, nullable=False),
    Column("longitude_deg", Double, nullable=False),
    Column("elevation_m", Double, nullable=False),
    Column("telescope_model", Text, nullable=False),
    Column("filters", Text, nullable=False),
    Column("utc_offset_hours", Double, nullable=False),
    Column("rig", JSON, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("last_beat_at", UtcDateTime),
    Column("conditions", JSON, nullable=False),
    Column("queued_uploads", Integer),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("node_id", _NodeName, ForeignKey(nodes.c.node_id), nullable=False),
    Column("target_name", Text, nullable=False),
    Column("bjd_tdb", Double, nullable=False),
    Column("magnitude", Double, nullable=False),
    Column("uncertainty", Double, nullable=False),
    Column("filter", String(32), nullable=False),
    Column("airmass", Double),
    Column("fwhm_px", Double),
    Column("snr", Double),
    Column("comparison_stars", Integer),
    Column("quality_flag", String(16)),
    Column("zero_point", Double),
    Column("zp_scatter", Double),
    Column("fits_file", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("is_newest", Boolean, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("conditions", JSON, nullable=False),
    Column("content_hash", _Hash, nullable=False),
    Column("idempotency_key", String(200)),
    Column("received_at", UtcDateTime, nullable=False),
    UniqueConstraint("node_id", "content_hash"),
    UniqueConstraint("node_id", "idempotency_key"),
    UniqueConstraint("node_id", "target_name", "bjd_tdb", "filter", "revision"),
    Index(None, "target_name", "bjd_tdb"),
    Index(None, "received_at"),
)

plans = Table(
    "plans",
    metadata,
    Column("plan_id", String(100), primary_key=True),
    Column("node_id", _NodeName, ForeignKey(nodes.c.node_id), nullable=False),
    Column("night", String(10), nullable=False),
    Column("generated_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("items", JSON, nullable=False),
    Index(None, "node_id", "published_at"),
)

interrupts = Table(
    "interrupts",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ra_deg", Double, nullable=False),
    Column("dec_deg", Double, nullable=False),
    Column("mag", Double),
    Column("node_ids", JSON(none_as_null=True)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "expires_at"),
    sqlite_autoincrement=True,
)

interrupt_acks = Table(
    "interrupt_acks",
    metadata,
    Column("interrupt_id", _Counter, ForeignKey(interrupts.c.id), primary_key=True),
    Column("node_id", _NodeName, ForeignKey(nodes.c.node_id), primary_key=True),
    Column("acked_at", UtcDateTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("node_id", _NodeName, ForeignKey(nodes.c.node_id), primary_key=True),
    Column("event_id", String(200), primary_key=True),
    Column("subject", String(120), nullable=False),
    Column("item_id", String(200)),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("happened_at", String(200), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Index(None, "subject"),
)

images = Table(
    "images",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("node_id", _NodeName, ForeignKey(nodes.c.node_id), nullable=False),
    Column("stored_name", String(100), nullable=False, unique=True),
    Column("original_name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", _Hash, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    UniqueConstraint("node_id", "sha256"),
)

"""The tables, in portable constructs only: SQLite and PostgreSQL take the same definitions.

The migrations make them; a test holds the two against each other. On PostgreSQL
``measurements`` is partitioned by month of observation, which these definitions
need not know.
"""

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
    false,
    text,
)
from sqlalchemy.engine import Dialect

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
    Column("queue_age_s", Double),
    Column("owner_public", Boolean, nullable=False, server_default=false()),
    Column("pending_key_hash", _Hash),
    Column("previous_key_hash", _Hash),
    Column("previous_key_until", UtcDateTime),
    Column("rotation_asked_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("image_bytes", BigInteger, nullable=False, server_default="0"),
    Index(None, "last_beat_at"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=False),
    Column("node_id", _NodeName, nullable=False),
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
    Column("received_at", UtcDateTime, nullable=False),
    Column("software", String(200)),
    Column("validation", String(12)),
    Column("review", String(12)),
    Index(
        "uq_measurements_point",
        "target_name",
        "bjd_tdb",
        "filter",
        "node_id",
        "revision",
        unique=True,
        # What a light curve shows: it is read from the index alone.
        postgresql_include=[
            "id",
            "magnitude",
            "uncertainty",
            "quality_flag",
            "airmass",
            "snr",
            "is_newest",
            "validation",
            "review",
        ],
    ),
    Index(None, "received_at"),
    Index(
        "ix_measurements_unsettled",
        "id",
        sqlite_where=text("validation IS NULL"),
        postgresql_where=text("validation IS NULL"),
    ),
    Index(
        "ix_measurements_disputed",
        "id",
        sqlite_where=text("validation = 'outlier'"),
        postgresql_where=text("validation = 'outlier'"),
    ),
)
"""Points by target and time; ``validation`` is NULL until a point was settled."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("node_id", _NodeName, primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("measurement_id", BigInteger, nullable=False),
    Column("content_hash", _Hash, nullable=False),
)
"""Keys that clients made up themselves; those taken from the content need no row."""

tallies = Table(
    "tallies",
    metadata,
    Column("target_name", Text, primary_key=True),
    Column("node_id", _NodeName, primary_key=True),
    Column("filter", String(32), primary_key=True),
    Column("points", BigInteger, nullable=False),
    Column("arrivals", BigInteger, nullable=False),
    Column("first_bjd", Double, nullable=False),
    Column("last_bjd", Double, nullable=False),
    Index(None, "node_id"),
)
"""How much of what is settled there is; the unsettled rows come on top."""

comparisons_due = Table(
    "comparisons_due",
    metadata,
    Column("target_name", Text, primary_key=True),
    Column("after_bjd", Double, nullable=False),
)
"""Targets whose points are to be compared anew, from the first after a time on."""

targets = Table(
    "targets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("ra_deg", Double),
    Column("dec_deg", Double),
    Column("kind", String(32)),
    Column("period_d", Double),
    Column("epoch_bjd", Double),
    Column("added_at", UtcDateTime, nullable=False),
    Index(None, "dec_deg"),
)

target_names = Table(
    "target_names",
    metadata,
    Column("name_key", Text, primary_key=True),
    Column("loose_key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("target_name", Text, ForeignKey(targets.c.name), nullable=False),
    Index(None, "loose_key"),
    Index(None, "target_name"),
)
"""Every name that a target is known by."""

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
    Column("stored_name", String(100), nullable=False),
    Column("original_name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", _Hash, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("sentence", Text),
    Column("expired_at", UtcDateTime),
    UniqueConstraint("node_id", "sha256"),
    Index(None, "sha256"),
    Index(None, "node_id", "original_name"),
    Index(None, "received_at"),
)
"""Which node sent which file; ``sentence`` says what its thumbnail shows."""

changes = Table(
    "changes",
    metadata,
    Column("topic", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""Counts up with each change that other processes hold in memory and must hear of."""

activation_codes = Table(
    "activation_codes",
    metadata,
    Column("code", String(20), primary_key=True),
    Column("note", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("used_by", _NodeName),
    Column("withdrawn_at", UtcDateTime),
)

operator_tokens = Table(
    "operator_tokens",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("token_hash", _Hash, nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

operator_sessions = Table(
    "operator_sessions",
    metadata,
    Column("session_hash", _Hash, primary_key=True),
    Column("token_name", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "expires_at"),
)
"""Who is signed in to the operator's pages."""

audit = Table(
    "audit",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("operator", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("measurement_id", BigInteger, nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "measurement_id"),
    sqlite_autoincrement=True,
)
"""Every verdict on a disputed point; the newest holds."""

"""The tables of the first form.

A cloud of that time made them without Alembic; such a database is taken to
stand at this step.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NODE_NAME = sa.String(64)
_HASH = sa.String(64)


def upgrade() -> None:
    """Make every table."""
    _make_nodes()
    _make_measurements()
    _make_plans_and_interrupts()
    _make_events_and_images()


def _make_nodes() -> None:
    op.create_table(
        "settings",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )
    op.create_table(
        "nodes",
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("key_hash", _HASH, nullable=False),
        sa.Column("owner_name", sa.Text, nullable=False),
        sa.Column("latitude_deg", sa.Double, nullable=False),
        sa.Column("longitude_deg", sa.Double, nullable=False),
        sa.Column("elevation_m", sa.Double, nullable=False),
        sa.Column("telescope_model", sa.Text, nullable=False),
        sa.Column("filters", sa.Text, nullable=False),
        sa.Column("utc_offset_hours", sa.Double, nullable=False),
        sa.Column("rig", sa.JSON, nullable=False),
        sa.Column("registered_at", sa.DateTime, nullable=False),
        sa.Column("last_beat_at", sa.DateTime),
        sa.Column("conditions", sa.JSON, nullable=False),
        sa.Column("queued_uploads", sa.Integer),
        sa.PrimaryKeyConstraint("node_id", name="pk_nodes"),
    )


def _make_measurements() -> None:
    op.create_table(
        "measurements",
        sa.Column("id", _COUNTER, nullable=False, autoincrement=True),
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("target_name", sa.Text, nullable=False),
        sa.Column("bjd_tdb", sa.Double, nullable=False),
        sa.Column("magnitude", sa.Double, nullable=False),
        sa.Column("uncertainty", sa.Double, nullable=False),
        sa.Column("filter", sa.String(32), nullable=False),
        sa.Column("airmass", sa.Double),
        sa.Column("fwhm_px", sa.Double),
        sa.Column("snr", sa.Double),
        sa.Column("comparison_stars", sa.Integer),
        sa.Column("quality_flag", sa.String(16)),
        sa.Column("zero_point", sa.Double),
        sa.Column("zp_scatter", sa.Double),
        sa.Column("fits_file", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("is_newest", sa.Boolean, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("conditions", sa.JSON, nullable=False),
        sa.Column("content_hash", _HASH, nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_measurements"),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.node_id"], name="fk_measurements_node_id"),
        sa.UniqueConstraint("node_id", "content_hash", name="uq_measurements_node_id_content_hash"),
        sa.UniqueConstraint(
            "node_id", "idempotency_key", name="uq_measurements_node_id_idempotency_key"
        ),
        sa.UniqueConstraint(
            "node_id",
            "target_name",
            "bjd_tdb",
            "filter",
            "revision",
            name="uq_measurements_node_id_target_name_bjd_tdb_filter_revision",
        ),
    )
    op.create_index(
        "ix_measurements_target_name_bjd_tdb", "measurements", ["target_name", "bjd_tdb"]
    )
    op.create_index("ix_measurements_received_at", "measurements", ["received_at"])


def _make_plans_and_interrupts() -> None:
    op.create_table(
        "plans",
        sa.Column("plan_id", sa.String(100), nullable=False),
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("night", sa.String(10), nullable=False),
        sa.Column("generated_at", sa.DateTime, nullable=False),
        sa.Column("published_at", sa.DateTime, nullable=False),
        sa.Column("items", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("plan_id", name="pk_plans"),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.node_id"], name="fk_plans_node_id"),
    )
    op.create_index("ix_plans_node_id_published_at", "plans", ["node_id", "published_at"])
    op.create_table(
        "interrupts",
        sa.Column("id", _COUNTER, nullable=False, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ra_deg", sa.Double, nullable=False),
        sa.Column("dec_deg", sa.Double, nullable=False),
        sa.Column("mag", sa.Double),
        sa.Column("node_ids", sa.JSON),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_interrupts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_interrupts_expires_at", "interrupts", ["expires_at"])
    op.create_table(
        "interrupt_acks",
        sa.Column("interrupt_id", _COUNTER, nullable=False),
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("acked_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("interrupt_id", "node_id", name="pk_interrupt_acks"),
        sa.ForeignKeyConstraint(
            ["interrupt_id"], ["interrupts.id"], name="fk_interrupt_acks_interrupt_id"
        ),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.node_id"], name="fk_interrupt_acks_node_id"),
    )


def _make_events_and_images() -> None:
    op.create_table(
        "events",
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("event_id", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(120), nullable=False),
        sa.Column("item_id", sa.String(200)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("happened_at", sa.String(200), nullable=False),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("node_id", "event_id", name="pk_events"),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.node_id"], name="fk_events_node_id"),
    )
    op.create_index("ix_events_subject", "events", ["subject"])
    op.create_table(
        "images",
        sa.Column("id", _COUNTER, nullable=False, autoincrement=True),
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("stored_name", sa.String(100), nullable=False),
        sa.Column("original_name", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", _HASH, nullable=False),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.node_id"], name="fk_images_node_id"),
        sa.UniqueConstraint("stored_name", name="uq_images_stored_name"),
        sa.UniqueConstraint("node_id", "sha256", name="uq_images_node_id_sha256"),
    )

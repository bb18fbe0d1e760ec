"""The tables of the service: partitions, push, codes, tokens, reviews, targets.

Nodes, plans, interrupts, events and images only gain columns. The measurements
move into a table that has one index for identity and light curves, and on
PostgreSQL a partition for each month.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from boundless_skies.cloud.schema.partitions import REST, create_statement, month_of

revision = "0002"
down_revision = "0001"

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NODE_NAME = sa.String(64)
_HASH = sa.String(64)

_KEPT = (
    "id, node_id, target_name, bjd_tdb, magnitude, uncertainty, filter, airmass, fwhm_px, snr, "
    "comparison_stars, quality_flag, zero_point, zp_scatter, fits_file, revision, is_newest, "
    "payload, conditions, content_hash, received_at"
)
_LIVE_INDEXES = (
    (
        "CREATE UNIQUE INDEX uq_measurements_point ON measurements "
        "(target_name, bjd_tdb, filter, node_id, revision)"
    ),
    "CREATE INDEX ix_measurements_received_at ON measurements (received_at)",
    "CREATE INDEX ix_measurements_unsettled ON measurements (id) WHERE validation IS NULL",
    "CREATE INDEX ix_measurements_disputed ON measurements (id) WHERE validation = 'outlier'",
)


def upgrade() -> None:
    """Make what is new, and move the measurements."""
    _extend_nodes_and_images()
    _make_targets()
    _make_access()
    _make_books()
    _move_measurements()


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _extend_nodes_and_images() -> None:
    for column in (
        sa.Column("queue_age_s", sa.Double),
        sa.Column("owner_public", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("pending_key_hash", _HASH),
        sa.Column("previous_key_hash", _HASH),
        sa.Column("previous_key_until", sa.DateTime),
        sa.Column("rotation_asked_at", sa.DateTime),
        sa.Column("revoked_at", sa.DateTime),
        sa.Column("image_bytes", sa.BigInteger, nullable=False, server_default="0"),
    ):
        op.add_column("nodes", column)
    op.create_index("ix_nodes_last_beat_at", "nodes", ["last_beat_at"])
    if _is_postgresql():  # beats update in place
        op.execute("ALTER TABLE nodes SET (fillfactor = 70)")
    with op.batch_alter_table("images") as images:
        images.drop_constraint("uq_images_stored_name", type_="unique")
        images.add_column(sa.Column("sentence", sa.Text))
        images.add_column(sa.Column("expired_at", sa.DateTime))
    op.create_index("ix_images_sha256", "images", ["sha256"])
    op.create_index("ix_images_node_id_original_name", "images", ["node_id", "original_name"])
    op.create_index("ix_images_received_at", "images", ["received_at"])
    op.execute(
        "UPDATE nodes SET image_bytes = COALESCE("
        "(SELECT SUM(size_bytes) FROM images WHERE images.node_id = nodes.node_id), 0)"
    )


def _make_targets() -> None:
    op.create_table(
        "targets",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("ra_deg", sa.Double),
        sa.Column("dec_deg", sa.Double),
        sa.Column("kind", sa.String(32)),
        sa.Column("period_d", sa.Double),
        sa.Column("epoch_bjd", sa.Double),
        sa.Column("added_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_targets"),
    )
    op.create_index("ix_targets_dec_deg", "targets", ["dec_deg"])
    op.create_table(
        "target_names",
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("loose_key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("target_name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name_key", name="pk_target_names"),
        sa.ForeignKeyConstraint(
            ["target_name"], ["targets.name"], name="fk_target_names_target_name"
        ),
    )
    op.create_index("ix_target_names_loose_key", "target_names", ["loose_key"])
    op.create_index("ix_target_names_target_name", "target_names", ["target_name"])


def _make_access() -> None:
    op.create_table(
        "changes",
        sa.Column("topic", sa.String(32), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_changes"),
    )
    op.create_table(
        "activation_codes",
        sa.Column("code", sa.String(20), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.Column("used_at", sa.DateTime),
        sa.Column("used_by", _NODE_NAME),
        sa.Column("withdrawn_at", sa.DateTime),
        sa.PrimaryKeyConstraint("code", name="pk_activation_codes"),
    )
    op.create_table(
        "operator_tokens",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("token_hash", _HASH, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("last_used_at", sa.DateTime),
        sa.Column("revoked_at", sa.DateTime),
        sa.PrimaryKeyConstraint("name", name="pk_operator_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_operator_tokens_token_hash"),
    )
    op.create_table(
        "operator_sessions",
        sa.Column("session_hash", _HASH, nullable=False),
        sa.Column("token_name", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("session_hash", name="pk_operator_sessions"),
    )
    op.create_index("ix_operator_sessions_expires_at", "operator_sessions", ["expires_at"])


def _make_books() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _COUNTER, nullable=False, autoincrement=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "reviews",
        sa.Column("id", _COUNTER, nullable=False, autoincrement=True),
        sa.Column("measurement_id", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reviews_measurement_id", "reviews", ["measurement_id"])
    op.create_table(
        "tallies",
        sa.Column("target_name", sa.Text, nullable=False),
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("filter", sa.String(32), nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("arrivals", sa.BigInteger, nullable=False),
        sa.Column("first_bjd", sa.Double, nullable=False),
        sa.Column("last_bjd", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("target_name", "node_id", "filter", name="pk_tallies"),
    )
    op.create_index("ix_tallies_node_id", "tallies", ["node_id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("node_id", _NODE_NAME, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("measurement_id", sa.BigInteger, nullable=False),
        sa.Column("content_hash", _HASH, nullable=False),
        sa.PrimaryKeyConstraint("node_id", "key", name="pk_idempotency_keys"),
    )


def _move_measurements() -> None:
    op.execute(
        "INSERT INTO idempotency_keys (node_id, key, measurement_id, content_hash) "
        "SELECT node_id, idempotency_key, id, content_hash FROM measurements "
        "WHERE idempotency_key IS NOT NULL"
    )
    op.drop_index("ix_measurements_target_name_bjd_tdb", "measurements")
    op.drop_index("ix_measurements_received_at", "measurements")
    op.rename_table("measurements", "measurements_before")
    if _is_postgresql():
        op.execute("ALTER TABLE measurements_before DROP CONSTRAINT pk_measurements")
        _make_partitioned()
    else:
        _make_table(sa.PrimaryKeyConstraint("id", name="pk_measurements"))
    op.execute(
        f"INSERT INTO measurements ({_KEPT}) SELECT {_KEPT} FROM measurements_before"  # noqa: S608
    )
    op.drop_table("measurements_before")
    for statement in _LIVE_INDEXES:
        op.execute(statement)


def _make_partitioned() -> None:
    """Make the table, a partition for each month that there is, and the numbers' sequence."""
    _make_table(
        sa.PrimaryKeyConstraint("id", "bjd_tdb", name="pk_measurements"),
        postgresql_partition_by="RANGE (bjd_tdb)",
    )
    op.execute(f"CREATE TABLE {REST} PARTITION OF measurements DEFAULT")
    bjds = op.get_bind().scalars(sa.text("SELECT DISTINCT bjd_tdb FROM measurements_before"))
    for month in sorted({month for bjd in bjds if (month := month_of(bjd))}):
        op.execute(create_statement(*month))
    op.execute("CREATE SEQUENCE measurement_ids")
    op.execute(
        "SELECT setval('measurement_ids', COALESCE(MAX(id), 0) + 1, false) FROM measurements_before"
    )


def _make_table(key: sa.PrimaryKeyConstraint, **options: Any) -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "measurements",
        sa.Column("id", number, nullable=False, autoincrement=False),
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
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.Column("software", sa.String(200)),
        sa.Column("validation", sa.String(12)),
        sa.Column("review", sa.String(12)),
        key,
        **options,
    )

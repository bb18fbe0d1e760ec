"""PostgreSQL reads light curves from the index of points alone.

The points of one curve lie far apart in their tables, each among those of other
targets; in the index they lie side by side. SQLite keeps its index as it is.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_POINT = "target_name, bjd_tdb, filter, node_id, revision"
_READ = "id, magnitude, uncertainty, quality_flag, airmass, snr, is_newest, validation, review"


def upgrade() -> None:
    """Make the index anew, with what a light curve shows."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP INDEX uq_measurements_point")
    op.execute(
        f"CREATE UNIQUE INDEX uq_measurements_point ON measurements ({_POINT}) INCLUDE ({_READ})"
    )

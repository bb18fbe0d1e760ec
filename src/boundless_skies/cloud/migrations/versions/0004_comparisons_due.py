"""Targets whose points are to be compared anew, which a changed period makes necessary.

Those with a period are due at once: it may have been set after their points were
compared.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table, and put every target into it that has a period."""
    op.create_table(
        "comparisons_due",
        sa.Column("target_name", sa.Text, nullable=False),
        sa.Column("after_bjd", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("target_name", name="pk_comparisons_due"),
    )
    op.execute(
        "INSERT INTO comparisons_due (target_name, after_bjd) "
        "SELECT name, 0.0 FROM targets WHERE period_d IS NOT NULL"
    )

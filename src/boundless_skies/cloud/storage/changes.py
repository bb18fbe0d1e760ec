"""What processes that hold something in memory must hear of."""

from enum import StrEnum

from sqlalchemy import Connection

from boundless_skies.cloud.schema.tables import changes
from boundless_skies.cloud.storage.upserting import insert_or

CHANNEL = "boundless_changes"
ALL_VERSIONS = "SELECT topic, version FROM changes"


class Topic(StrEnum):
    """What has changed."""

    CREDENTIALS = "credentials"
    INTERRUPTS = "interrupts"
    TARGETS = "targets"


def read_versions(connection: Connection) -> dict[str, int]:
    """Return the version of each topic that ever changed."""
    return {row.topic: row.version for row in connection.exec_driver_sql(ALL_VERSIONS)}


def announce(connection: Connection, topic: Topic) -> None:
    """Make a change known to every process, once this transaction is committed."""
    statement = insert_or(connection, changes).values(topic=str(topic), version=1)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["topic"], set_={"version": changes.c.version + 1}
        )
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")

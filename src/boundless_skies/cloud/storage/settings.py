"""What the cloud remembers about itself."""

from sqlalchemy import Connection, delete, insert, select

from boundless_skies.cloud.schema.tables import settings
from boundless_skies.cloud.storage.upserting import insert_or


def get(connection: Connection, name: str) -> str | None:
    """Return a setting, None where it was never set."""
    value: str | None = connection.scalar(select(settings.c.value).where(settings.c.name == name))
    return value


def add(connection: Connection, name: str, value: str) -> None:
    """Set what was never set before."""
    connection.execute(insert(settings).values(name=name, value=value))


def put(connection: Connection, name: str, value: str) -> None:
    """Set what may have been set before."""
    statement = insert_or(connection, settings).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )


def pop(connection: Connection, name: str) -> str | None:
    """Return a setting and take it away, None where it was never set."""
    value = get(connection, name)
    connection.execute(delete(settings).where(settings.c.name == name))
    return value

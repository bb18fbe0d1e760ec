"""Queries about who is signed in to the operator's pages."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from boundless_skies.cloud.schema.tables import operator_sessions

_c = operator_sessions.c


def add(
    connection: Connection, hashed: str, token_name: str, now: datetime, until: datetime
) -> None:
    """Add a session, of which only the hash is kept."""
    row = {"session_hash": hashed, "token_name": token_name, "created_at": now}
    connection.execute(insert(operator_sessions).values(**row, expires_at=until))


def find(connection: Connection, hashes: Sequence[str], now: datetime) -> str | None:
    """Return the name of the token that a session was begun with, unless it has expired."""
    query = select(_c.token_name).where(_c.session_hash.in_(hashes), _c.expires_at > now)
    found: str | None = connection.scalar(query)
    return found


def end(connection: Connection, hashes: Sequence[str]) -> None:
    """End a session."""
    connection.execute(delete(operator_sessions).where(_c.session_hash.in_(hashes)))


def end_all(connection: Connection, token_name: str) -> None:
    """End every session that was begun with a token."""
    connection.execute(delete(operator_sessions).where(_c.token_name == token_name))


def remove_expired(connection: Connection, now: datetime) -> None:
    """Remove the sessions that have expired."""
    connection.execute(delete(operator_sessions).where(_c.expires_at <= now))

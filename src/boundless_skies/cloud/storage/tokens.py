"""Queries about operators' tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from boundless_skies.cloud.domain.operators import Role
from boundless_skies.cloud.schema.tables import operator_tokens

_c = operator_tokens.c


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token, of which only the hash is kept."""

    name: str
    role: Role
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    revoked_at: datetime | None


def add(connection: Connection, name: str, hashed: str, role: Role, by: str, now: datetime) -> None:
    """Add a token."""
    row = {"name": name, "token_hash": hashed, "role": str(role)}
    connection.execute(insert(operator_tokens).values(**row, created_by=by, created_at=now))


def find(connection: Connection, name: str) -> Token | None:
    """Return a token by its name."""
    return _to_token(connection.execute(_query().where(_c.name == name)).mappings().first())


def find_by_hash(connection: Connection, hashed: str) -> Token | None:
    """Return the token that has a hash."""
    return _to_token(connection.execute(_query().where(_c.token_hash == hashed)).mappings().first())


def list_all(connection: Connection) -> list[Token]:
    """Return every token, revoked ones too, by name."""
    rows = connection.execute(_query().order_by(_c.name)).mappings()
    return [token for row in rows if (token := _to_token(row))]


def count_valid(connection: Connection, role: Role) -> int:
    """Return how many tokens of a role are valid."""
    query = select(func.count()).where(_c.role == str(role), _c.revoked_at.is_(None))
    return connection.scalar(query) or 0


def lock_valid(connection: Connection, role: Role) -> list[str]:
    """Return the names of a role's valid tokens, which nobody else can revoke meanwhile."""
    query = select(_c.name).where(_c.role == str(role), _c.revoked_at.is_(None))
    return list(connection.scalars(query.order_by(_c.name).with_for_update()))


def note_use(connection: Connection, name: str, now: datetime) -> None:
    """Keep when a token was used last."""
    connection.execute(update(operator_tokens).where(_c.name == name).values(last_used_at=now))


def revoke(connection: Connection, name: str, now: datetime) -> bool:
    """Revoke a token; tells whether it was valid."""
    done = connection.execute(
        update(operator_tokens)
        .where(_c.name == name, _c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return done.rowcount == 1


def _query() -> Any:
    return select(_c.name, _c.role, _c.created_at, _c.created_by, _c.last_used_at, _c.revoked_at)


def _to_token(row: RowMapping | None) -> Token | None:
    if row is None:
        return None
    return Token(**{**row, "role": Role(row["role"])})

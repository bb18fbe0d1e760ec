"""What operators did: written in the same transaction as the deed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from boundless_skies.cloud.domain.operators import Operator
from boundless_skies.cloud.schema.tables import audit


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One thing that an operator did."""

    id: int
    at: datetime
    operator: str
    action: str
    subject: str
    detail: dict[str, Any]


def add(
    connection: Connection,
    operator: Operator,
    action: str,
    subject: str,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    """Keep what an operator does."""
    row = {"at": now, "operator": operator.name, "action": action, "subject": subject}
    connection.execute(insert(audit).values(**row, detail=detail))


def list_newest(connection: Connection, limit: int, *, before_id: int | None = None) -> list[Deed]:
    """Return the newest deeds first, or those before one."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(audit.c.id < before_id)
    return [Deed(**row) for row in connection.execute(query).mappings()]


def list_about(connection: Connection, node_id: str, limit: int) -> list[Deed]:
    """Return what was done to a node, the newest first."""
    query = (
        select(audit)
        .where(audit.c.subject == node_id, audit.c.action.startswith("node."))
        .order_by(audit.c.id.desc())
        .limit(limit)
    )
    return [Deed(**row) for row in connection.execute(query).mappings()]

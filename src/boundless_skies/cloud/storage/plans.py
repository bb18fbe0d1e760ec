"""Queries about plans."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.schema.tables import plans
from boundless_skies.cloud.storage import bulk


@dataclass(frozen=True)
class StoredPlan:
    """A plan whose items are the JSON text that is kept."""

    plan_id: str
    node_id: str
    night: str
    generated_at: datetime
    items_json: str

    def parse(self) -> PublishedPlan:
        """Return the plan with its items."""
        return PublishedPlan(
            plan_id=self.plan_id,
            node_id=self.node_id,
            night=self.night,
            generated_at=self.generated_at,
            items=msgspec.json.decode(self.items_json),
        )


@dataclass(frozen=True)
class PlanHeading:
    """A plan by its name, without its items."""

    plan_id: str
    night: str
    published_at: datetime


def add(connection: Connection, plan: PublishedPlan, now: datetime) -> None:
    """Add a plan; it is its node's current one from now on."""
    connection.execute(
        insert(plans).values(
            plan_id=plan.plan_id,
            node_id=plan.node_id,
            night=plan.night,
            generated_at=plan.generated_at,
            published_at=now,
            items=plan.items,
        )
    )


def find(connection: Connection, plan_id: str) -> PublishedPlan | None:
    """Return a plan by its id."""
    row = connection.execute(select(plans).where(plans.c.plan_id == plan_id)).first()
    return None if row is None else _to_plan(row)


def make_current(connection: Connection, plan_id: str, now: datetime) -> None:
    """Make a plan that was published before its node's current one again."""
    connection.execute(update(plans).where(plans.c.plan_id == plan_id).values(published_at=now))


def list_headings(connection: Connection, node_id: str, limit: int) -> list[PlanHeading]:
    """Return the plans of a node, those published last first."""
    columns = (plans.c.plan_id, plans.c.night, plans.c.published_at)
    newest_first = (plans.c.published_at.desc(), plans.c.plan_id)
    query = select(*columns).where(plans.c.node_id == node_id).order_by(*newest_first)
    rows = connection.execute(query.limit(limit)).mappings()
    return [PlanHeading(**row) for row in rows]


def find_current(connection: Connection, node_ids: Sequence[str]) -> dict[str, StoredPlan]:
    """Return the plan that was published last for each of some nodes, by ``node_id``."""
    wanted = [(node_id,) for node_id in dict.fromkeys(node_ids)]
    if not wanted:
        return {}
    columns = ("sought.node_id", "p.plan_id", "p.night", "p.generated_at", "CAST(p.items AS TEXT)")
    rows = bulk.fetch(
        connection,
        dict.fromkeys(columns, str),
        f"FROM {bulk.sought(connection, {'node_id': 'text'}, len(wanted))} CROSS JOIN plans AS p "  # noqa: S608 - placeholders
        "WHERE p.plan_id = (SELECT q.plan_id FROM plans AS q WHERE q.node_id = sought.node_id "
        "ORDER BY q.published_at DESC, q.plan_id LIMIT 1)",
        bulk.sought_values(connection, wanted),
    )
    to_instant = bulk.reader(connection, plans.c.generated_at)
    return {
        node_id: StoredPlan(plan_id, node_id, night, to_instant(generated_at), items)
        for node_id, plan_id, night, generated_at, items in rows
    }


def _to_plan(row: Row[Any]) -> PublishedPlan:
    return PublishedPlan(
        plan_id=row.plan_id,
        node_id=row.node_id,
        night=row.night,
        generated_at=row.generated_at,
        items=row.items,
    )

"""Publishing plans, handing them out, and hearing what became of them."""

from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import NameTaken, UnknownObject
from boundless_skies.cloud.domain.events import Event, read_events
from boundless_skies.cloud.domain.names import DEG_PER_HOUR
from boundless_skies.cloud.domain.nodes import Caller, Node
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.outcomes import PlanReport, report_plan
from boundless_skies.cloud.domain.plans import PublishedPlan, read_plan
from boundless_skies.cloud.domain.reading import json_object, shown
from boundless_skies.cloud.domain.times import Clock, iso
from boundless_skies.cloud.services.grouping import look_ups
from boundless_skies.cloud.storage import audit, events, plans, targets
from boundless_skies.cloud.storage.database import Database

POLLS_MAX = 200
"""Read together; a plan may have many items."""
NO_PLAN = msgspec.json.encode(
    {"plan": None, "message": "No plan has been published for this node yet."}
)


class PlanService:
    """Keeps each node's current plan.

    Parameters
    ----------
    database : Database
        Where plans are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._polls = look_ups(database, plans.find_current, what="polls", most=POLLS_MAX)

    async def publish(self, operator: Operator, node: Node, document: Any) -> PublishedPlan:
        """Make a plan a node's current one.

        Raises
        ------
        InvalidInput
            If it is not in the form that nodes read.
        NameTaken
            If its ``plan_id`` belongs to another plan.
        """
        operator.require(Role.OPERATOR)
        plan = read_plan(
            document,
            node_id=node.node_id,
            utc_offset_hours=node.profile.utc_offset_hours,
            now=self._clock(),
        )
        await self._database.write(partial(self._put, operator=operator, plan=plan))
        return plan

    async def current(self, caller: Caller) -> tuple[str | None, bytes]:
        """Return a node's current plan: its id, and the JSON of the wire.

        A plan never changes under its id.
        """
        plan = await self._polls.submit(caller.node_id)
        if plan is None:
            return None, NO_PLAN
        wire = {
            "plan_id": plan.plan_id,
            "node_id": caller.node_id,
            "night": plan.night,
            "generated_at": iso(plan.generated_at),
            "items": msgspec.Raw(plan.items_json.encode()),
        }
        return plan.plan_id, msgspec.json.encode({"plan": wire})

    async def report(self, operator: Operator, plan_id: str) -> PlanReport:
        """Return a plan with what became of it and its items.

        Raises
        ------
        UnknownObject
            If there is no such plan.
        """
        operator.require(Role.READER)
        return await self._database.read(partial(_report, plan_id=plan_id))

    async def record_events(self, caller: Caller, plan_id: str, body: Any) -> dict[str, Any]:
        """Keep what became of a plan and its items.

        Raises
        ------
        InvalidInput
            If an event is not in the form of the wire.
        UnknownObject
            If this node was never given such a plan.
        """
        new = read_events(json_object(body, "The body"))
        await self._database.write(
            partial(self._add_events, node_id=caller.node_id, plan_id=plan_id, new=new)
        )
        return {"ok": True}

    def _put(self, connection: Connection, *, operator: Operator, plan: PublishedPlan) -> None:
        now = self._clock()
        detail = {"node_id": plan.node_id, "night": plan.night, "items": len(plan.items)}
        audit.add(connection, operator, "plan.publish", plan.plan_id, detail, now)
        held = plans.find(connection, plan.plan_id)
        if held is None:
            plans.add(connection, plan, now)
            _place_targets(connection, plan, now)
        elif asdict(held) | {"generated_at": None} == asdict(plan) | {"generated_at": None}:
            plans.make_current(connection, plan.plan_id, now)
        else:
            raise NameTaken(
                f"plan_id {plan.plan_id!r} was published before with another content. "
                "Give the plan a new plan_id, or leave it out."
            )

    def _add_events(
        self, connection: Connection, *, node_id: str, plan_id: str, new: list[Event]
    ) -> None:
        plan = plans.find(connection, plan_id)
        if plan is None or plan.node_id != node_id:
            raise UnknownObject(f"This node was never given a plan {shown(plan_id)}.")
        events.add_all(connection, node_id, plan_id, new, self._clock())


def _report(connection: Connection, *, plan_id: str) -> PlanReport:
    plan = plans.find(connection, plan_id)
    if plan is None:
        raise UnknownObject(
            f"There is no plan {shown(plan_id)}. `boundless cloud nodes` names each node's "
            "current one."
        )
    return report_plan(plan, events.list_about(connection, [plan_id], plan.node_id))


def _place_targets(connection: Connection, plan: PublishedPlan, now: datetime) -> None:
    """Learn from a plan where its targets stand."""
    kept = targets.ensure(connection, [item["target"] for item in plan.items], now)
    for item in plan.items:
        ra_deg = item["ra"] * DEG_PER_HOUR
        targets.place(connection, kept[item["target"]], ra_deg, item["dec"])

"""What an operator sees: what needs attention, and each node with all that is known of it."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from boundless_skies.cloud.domain.nodes import ONLINE_WITHIN, Node
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.outcomes import (
    HeardEvent,
    InterruptReport,
    PlanReport,
    latest_first,
    report_plan,
)
from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.beats import BeatBook
from boundless_skies.cloud.services.nodes import NodeService
from boundless_skies.cloud.storage import (
    audit,
    events,
    images,
    interrupts,
    measurements,
    nodes,
    plans,
    reviews,
)
from boundless_skies.cloud.storage.audit import Deed
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.images import StoredImage
from boundless_skies.cloud.storage.plans import PlanHeading

NODES_SHOWN_MAX = 1_000
"""How many nodes one page or answer holds."""
ATTENTION_MAX = 10
"""How many nodes of each concern are named; the rest are counted."""
OLD_QUEUE_S = 3_600.0
"""A node that holds something back for longer does not get through, or not fast enough."""
NEWEST_SHOWN = 20
EARLIER_SHOWN = 10
"""How many of a node's plans before the current one are named."""
INTERRUPTS_LOOKED_AT = 200
"""Among so many that were sent last are those that a node's page shows."""


@dataclass(frozen=True, kw_only=True)
class Concern:
    """Nodes that share a trouble: how many in all, and the first of them."""

    count: int
    nodes: list[Node]


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What needs an operator at this instant."""

    now: datetime
    nodes_in_all: int
    disputed: int
    offline: Concern
    behind: Concern
    rotating: Concern


@dataclass(frozen=True, kw_only=True)
class NodeList:
    """Nodes by name, with their current plans, and how many nodes there are in all."""

    now: datetime
    nodes: list[Node]
    nodes_in_all: int
    plans: dict[str, PublishedPlan]
    measurements: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class NodeFile:
    """All that is known of a node, the newest first."""

    now: datetime
    node: Node
    measurements: int
    plan: PublishedPlan | None
    report: PlanReport | None
    earlier_plans: list[PlanHeading]
    interrupts: list[InterruptReport]
    events: list[HeardEvent]
    images: list[StoredImage]
    deeds: list[Deed]


class ControlRoom:
    """Answers operators' questions about the network.

    Parameters
    ----------
    database : Database
        Where everything is kept.
    beats : BeatBook
        Where beats are taken.
    node_service : NodeService
        Knows single nodes.
    clock : Clock
        The present instant.
    """

    def __init__(
        self, database: Database, beats: BeatBook, node_service: NodeService, clock: Clock
    ) -> None:
        self._database = database
        self._beats = beats
        self._nodes = node_service
        self._clock = clock

    def now(self) -> datetime:
        """Return the present instant."""
        return self._clock()

    async def attention(self, operator: Operator) -> Attention:
        """Return what needs an operator now."""
        operator.require(Role.READER)
        await self._beats.flush()
        return await self._database.read(self._attention)

    async def list_nodes(self, operator: Operator, after: str | None = None) -> NodeList:
        """Return nodes by name, at most 1,000: those after one."""
        operator.require(Role.READER)
        await self._beats.flush()
        return await self._database.read(partial(self._list_nodes, after=after))

    async def open_file(self, operator: Operator, node_id: str) -> NodeFile:
        """Return all that is known of a node.

        Raises
        ------
        UnknownObject
            If there is no such node.
        """
        operator.require(Role.READER)
        node = await self._nodes.find(node_id)
        return await self._database.read(partial(self._open_file, node=node))

    def _attention(self, connection: Connection) -> Attention:
        now = self._clock()
        since = now - ONLINE_WITHIN
        return Attention(
            now=now,
            nodes_in_all=nodes.count(connection),
            disputed=reviews.count_waiting(connection),
            offline=_concern(*nodes.list_offline(connection, since, ATTENTION_MAX)),
            behind=_concern(*nodes.list_behind(connection, OLD_QUEUE_S, ATTENTION_MAX)),
            rotating=_concern(*nodes.list_rotating(connection, ATTENTION_MAX)),
        )

    def _list_nodes(self, connection: Connection, *, after: str | None) -> NodeList:
        some = nodes.list_some(connection, after=after, limit=NODES_SHOWN_MAX)
        current = plans.find_current(connection, [node.node_id for node in some])
        return NodeList(
            now=self._clock(),
            nodes=some,
            nodes_in_all=nodes.count(connection),
            plans={node_id: plan.parse() for node_id, plan in current.items()},
            measurements=measurements.count_by_node(connection),
        )

    def _open_file(self, connection: Connection, *, node: Node) -> NodeFile:
        node_id = node.node_id
        report = _report_current(connection, node_id)
        return NodeFile(
            now=self._clock(),
            node=node,
            measurements=measurements.count_by_node(connection).get(node_id, 0),
            plan=report.plan if report else None,
            report=report,
            earlier_plans=plans.list_headings(connection, node_id, 1 + EARLIER_SHOWN)[1:],
            interrupts=_report_interrupts(connection, node_id),
            events=events.list_newest(connection, node_id, NEWEST_SHOWN),
            images=images.list_newest(connection, node_id, NEWEST_SHOWN),
            deeds=audit.list_about(connection, node_id, NEWEST_SHOWN),
        )


def _report_current(connection: Connection, node_id: str) -> PlanReport | None:
    stored = plans.find_current(connection, [node_id]).get(node_id)
    if stored is None:
        return None
    plan = stored.parse()
    return report_plan(plan, events.list_about(connection, [plan.plan_id], node_id))


def _report_interrupts(connection: Connection, node_id: str) -> list[InterruptReport]:
    recent = interrupts.list_recent(connection, INTERRUPTS_LOOKED_AT)
    mine = [one for one in recent if one.is_for(node_id)][:NEWEST_SHOWN]
    subjects = {events.interrupt_subject(one.id): one for one in mine}
    acked = interrupts.list_acked(connection, node_id, [one.id for one in mine])
    told: dict[str, HeardEvent] = {}
    for event in latest_first(events.list_about(connection, list(subjects), node_id)):
        told.setdefault(event.subject, event)
    return [
        InterruptReport(interrupt=one, acked=one.id in acked, told=told.get(subject))
        for subject, one in subjects.items()
    ]


def _concern(count: int, some: list[Node]) -> Concern:
    return Concern(count=count, nodes=some)

"""What the public may see: the network, its targets, their light curves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from boundless_skies.cloud.domain.measurements import Arrival, TargetSummary
from boundless_skies.cloud.domain.nodes import ONLINE_WITHIN, Node, public_coordinate
from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.beats import BeatBook
from boundless_skies.cloud.storage import images, measurements, nodes, plans, settings
from boundless_skies.cloud.storage.database import Database

RECENT_WINDOW = timedelta(hours=24)
RECENT_MEASUREMENTS = 8
NODES_SHOWN_MAX = 1_000
"""How many nodes one page or answer holds."""


@dataclass(frozen=True, kw_only=True)
class PublicNode:
    """A node as the public sees it: coordinates to 0.1°, an owner only by their own wish."""

    node_id: str
    owner_name: str | None
    latitude: float
    longitude: float
    telescope_model: str
    filters: str
    online: bool
    last_beat_at: datetime | None
    plan_id: str | None
    plan_night: str | None
    plan_items: int
    queued_uploads: int | None
    measurements: int
    measurements_24h: int


@dataclass(frozen=True, kw_only=True)
class NetworkView:
    """The network at one instant."""

    now: datetime
    nodes: list[PublicNode]
    nodes_in_all: int
    online: int
    targets: list[TargetSummary]
    recent: list[Arrival]
    measurements: int
    measurements_24h: int
    images: int


class NetworkService:
    """Answers the public's questions.

    Parameters
    ----------
    database : Database
        Where everything is kept.
    beats : BeatBook
        Where beats are taken.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, beats: BeatBook, clock: Clock) -> None:
        self._database = database
        self._beats = beats
        self._clock = clock

    async def check(self) -> None:
        """Ask the database for a sign of life.

        Raises
        ------
        Unavailable
            If it gives none.
        """
        await self._database.read(partial(settings.get, name="schema_version"))

    async def overview(self, after: str | None = None) -> NetworkView:
        """Return the network at this instant."""
        await self._beats.flush()
        return await self._database.read(partial(self._overview, after=after))

    async def list_targets(self) -> list[TargetSummary]:
        """Return a summary of every target."""
        return await self._database.read(measurements.summarise_targets)

    def now(self) -> datetime:
        """Return the present instant."""
        return self._clock()

    def _overview(self, connection: Connection, *, after: str | None) -> NetworkView:
        now = self._clock()
        shown = nodes.list_some(connection, after=after, limit=NODES_SHOWN_MAX)
        current = plans.find_current(connection, [node.node_id for node in shown])
        counts = measurements.count_by_node(connection)
        recent = measurements.count_since(connection, now - RECENT_WINDOW)
        return NetworkView(
            now=now,
            nodes=[
                _to_public(
                    node,
                    now,
                    plan.parse() if (plan := current.get(node.node_id)) else None,
                    counts.get(node.node_id, 0),
                    recent.get(node.node_id, 0),
                )
                for node in shown
            ],
            nodes_in_all=nodes.count(connection),
            online=nodes.count(connection, now - ONLINE_WITHIN),
            targets=measurements.summarise_targets(connection),
            recent=measurements.list_recent(connection, RECENT_MEASUREMENTS),
            measurements=sum(counts.values()),
            measurements_24h=sum(recent.values()),
            images=images.count(connection),
        )


def _to_public(
    node: Node, now: datetime, plan: PublishedPlan | None, count: int, recent: int
) -> PublicNode:
    return PublicNode(
        node_id=node.node_id,
        owner_name=node.profile.owner_name if node.profile.owner_public else None,
        latitude=public_coordinate(node.profile.latitude),
        longitude=public_coordinate(node.profile.longitude),
        telescope_model=node.profile.telescope_model,
        filters=node.profile.filters,
        online=node.is_online(now),
        last_beat_at=node.last_beat_at,
        plan_id=plan.plan_id if plan else None,
        plan_night=plan.night if plan else None,
        plan_items=len(plan.items) if plan else 0,
        queued_uploads=node.queued_uploads,
        measurements=count,
        measurements_24h=recent,
    )

"""What the public may see: the network, its targets, their light curves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.measurements import (
    Arrival,
    Point,
    TargetSummary,
    read_target_name,
)
from boundless_skies.cloud.domain.nodes import Node, public_coordinate
from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.domain.times import Clock, julian_date
from boundless_skies.cloud.storage import images, measurements, nodes, plans, settings
from boundless_skies.cloud.storage.database import Database

RECENT_WINDOW = timedelta(hours=24)
RECENT_MEASUREMENTS = 8


@dataclass(frozen=True, kw_only=True)
class PublicNode:
    """A node as the public sees it: coordinates to 0.1°, no owner."""

    node_id: str
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
    targets: list[TargetSummary]
    recent: list[Arrival]
    images: int

    @property
    def online(self) -> int:
        """How many nodes are online."""
        return sum(node.online for node in self.nodes)

    @property
    def measurements(self) -> int:
        """How many measurements came in, in all."""
        return sum(node.measurements for node in self.nodes)

    @property
    def measurements_24h(self) -> int:
        """How many measurements came in within the last 24 hours."""
        return sum(node.measurements_24h for node in self.nodes)


@dataclass(frozen=True, kw_only=True)
class LightCurve:
    """A target's points, the newest revision of each, by time."""

    target: str
    points: list[Point]


class NetworkService:
    """Answers the public's questions.

    Parameters
    ----------
    database : Database
        Where everything is kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def check(self) -> None:
        """Ask the database for a sign of life.

        Raises
        ------
        Unavailable
            If it gives none.
        """
        await self._database.read(partial(settings.get, name="schema_version"))

    async def overview(self) -> NetworkView:
        """Return the network at this instant."""
        return await self._database.read(self._overview)

    async def list_targets(self) -> list[TargetSummary]:
        """Return a summary of every target."""
        return await self._database.read(measurements.summarise_targets)

    async def light_curve(self, name: str, days: float | None = None) -> LightCurve:
        """Return a target's light curve; empty where nothing is held about it.

        Parameters
        ----------
        name : str
            The target's name.
        days : float, optional
            Only the points of so many days up to now.

        Raises
        ------
        InvalidInput
            If ``days`` is not above 0.
        """
        if days is not None and not days > 0:  # NaN, too
            raise InvalidInput(f"days is {days:g}; it must be above 0.")
        since = None if days is None else julian_date(self._clock()) - days
        target = read_target_name(name)
        query = partial(measurements.light_curve, target_name=target, since_bjd=since)
        return LightCurve(target=target, points=await self._database.read(query))

    def now(self) -> datetime:
        """Return the present instant."""
        return self._clock()

    def _overview(self, connection: Connection) -> NetworkView:
        now = self._clock()
        current = plans.list_current(connection)
        counts = measurements.count_by_node(connection)
        recent = measurements.count_by_node(connection, now - RECENT_WINDOW)
        return NetworkView(
            now=now,
            nodes=[
                _to_public(
                    node,
                    now,
                    current.get(node.node_id),
                    counts.get(node.node_id, 0),
                    recent.get(node.node_id, 0),
                )
                for node in nodes.list_all(connection)
            ],
            targets=measurements.summarise_targets(connection),
            recent=measurements.list_recent(connection, RECENT_MEASUREMENTS),
            images=images.count(connection),
        )


def _to_public(
    node: Node, now: datetime, plan: PublishedPlan | None, count: int, recent: int
) -> PublicNode:
    return PublicNode(
        node_id=node.node_id,
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

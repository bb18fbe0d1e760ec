"""What became of a plan, of its items, or of an interrupt, out of all that nodes told."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from boundless_skies.cloud.domain.interrupts import StandingInterrupt
from boundless_skies.cloud.domain.plans import PublishedPlan


@dataclass(frozen=True, kw_only=True)
class HeardEvent:
    """An event as it is kept; ``subject`` is the plan's id, or ``interrupt`` and its number.

    ``happened_at`` is the node's own time of it, as it came.
    """

    node_id: str
    subject: str
    item_id: str | None
    state: str
    reason: str
    happened_at: str
    received_at: datetime

    @property
    def at(self) -> datetime:
        """When it happened by the node's clock; when it came, where the node did not tell."""
        return _instant(self.happened_at) or self.received_at


@dataclass(frozen=True, kw_only=True)
class ItemReport:
    """An item of a plan, and what its node told of it last, if anything."""

    item: dict[str, Any]
    told: HeardEvent | None


@dataclass(frozen=True, kw_only=True)
class PlanReport:
    """A plan with what became of it.

    ``told`` is of the plan as a whole; ``events`` are all that its node told, the
    latest first.
    """

    plan: PublishedPlan
    told: HeardEvent | None
    items: list[ItemReport]
    events: list[HeardEvent]

    @property
    def names(self) -> dict[str | None, str]:
        """The target of each item, by its ``item_id``."""
        return {one.item.get("item_id"): one.item["target"] for one in self.items}

    @property
    def counts(self) -> dict[str, int]:
        """How many items are in each state that was told, the most first."""
        return dict(Counter(one.told.state for one in self.items if one.told).most_common())

    @property
    def untold(self) -> int:
        """Of how many items nothing was told."""
        return sum(one.told is None for one in self.items)


@dataclass(frozen=True, kw_only=True)
class InterruptReport:
    """An interrupt, and what became of it at one node."""

    interrupt: StandingInterrupt
    acked: bool
    told: HeardEvent | None


def latest_first(events: Iterable[HeardEvent]) -> list[HeardEvent]:
    """Return events by the node's time of them, then by arrival, the latest first.

    A queue that was held up, or a call that was repeated, may bring them in any order.
    """
    return sorted(events, key=lambda event: (event.at, event.received_at), reverse=True)


def report_plan(plan: PublishedPlan, events: Iterable[HeardEvent]) -> PlanReport:
    """Tell what became of a plan and of each of its items.

    Parameters
    ----------
    plan : PublishedPlan
        The plan.
    events : iterable of HeardEvent
        All that its node told of it, in any order.

    Returns
    -------
    PlanReport
        With the latest event of the whole plan, and of each item.
    """
    ordered = latest_first(events)
    latest: dict[str | None, HeardEvent] = {}
    for event in ordered:
        latest.setdefault(event.item_id, event)
    return PlanReport(
        plan=plan,
        told=latest.get(None),
        items=[ItemReport(item=item, told=_of_item(latest, item)) for item in plan.items],
        events=ordered,
    )


def latest_by_node(events: Iterable[HeardEvent]) -> dict[str, HeardEvent]:
    """Return the latest event of each node, by its name."""
    latest: dict[str, HeardEvent] = {}
    for event in latest_first(events):
        latest.setdefault(event.node_id, event)
    return dict(sorted(latest.items()))


def _of_item(latest: dict[str | None, HeardEvent], item: dict[str, Any]) -> HeardEvent | None:
    name = item.get("item_id")
    return latest.get(name) if name is not None else None


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None

"""What became of a plan, out of events that come twice, late and in any order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from boundless_skies.cloud.domain.outcomes import (
    HeardEvent,
    latest_by_node,
    latest_first,
    report_plan,
)
from boundless_skies.cloud.domain.plans import PublishedPlan

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


def heard(state: str, at: str, item_id: str | None = "item-1", **changes: Any) -> HeardEvent:
    """Return an event that came in the morning."""
    values = {"node_id": "hilltop", "subject": "p", "reason": "", "received_at": NOW} | changes
    return HeardEvent(state=state, happened_at=at, item_id=item_id, **values)


def plan(*item_ids: str) -> PublishedPlan:
    """Return a plan with these items."""
    items = [{"item_id": item_id, "target": f"Target {item_id}"} for item_id in item_ids]
    return PublishedPlan(
        plan_id="p", node_id="hilltop", night="2026-03-01", generated_at=NOW, items=items
    )


NIGHT = [
    heard("accepted", "2026-03-01T19:00:00Z", None),
    heard("running", "2026-03-01T20:00:00Z"),
    heard("preempted", "2026-03-01T20:30:00+00:00"),
    heard("running", "2026-03-01T23:00:00+02:00"),
    heard("done", "2026-03-01T21:40:00.250Z"),
]


@pytest.mark.parametrize("order", [*permutations(NIGHT), (*NIGHT, *NIGHT[:3])])
def test_the_latest_by_the_nodes_time_counts(order: tuple[HeardEvent, ...]) -> None:
    """However they come, and however often."""
    report = report_plan(plan("item-1", "item-2"), order)
    assert report.told is not None
    assert report.told.state == "accepted"
    first, second = report.items
    assert first.told is not None
    assert (first.told.state, second.told) == ("done", None)
    assert (report.counts, report.untold) == ({"done": 1}, 1)
    assert [event.state for event in report.events][:2] == ["done", "running"]


def test_at_one_time_the_last_to_arrive_counts() -> None:
    """A node whose clock tells whole seconds may say two things in one."""
    at = "2026-03-01T21:00:00Z"
    early, late = heard("running", at), heard("failed", at, received_at=NOW + timedelta(0, 0, 1))
    for order in ((early, late), (late, early)):
        assert latest_first(order) == [late, early]


@pytest.mark.parametrize("at", ["", "now", "yesterday", "0001-01-01T00:00:00+23:59"])
def test_an_event_without_a_time_counts_from_its_arrival(at: str) -> None:
    """What cannot be read is no time."""
    assert heard("done", at).at == NOW


def test_a_time_without_a_zone_is_utc() -> None:
    """As everywhere on the wire."""
    assert heard("done", "2026-03-01T21:00:00").at == datetime(2026, 3, 1, 21, tzinfo=UTC)


def test_an_event_of_an_item_that_is_not_in_the_plan_is_history_only() -> None:
    """It is told, and no item has it."""
    report = report_plan(plan("item-1"), [heard("done", "", "other")])
    assert (report.items[0].told, len(report.events)) == (None, 1)


def test_an_item_without_a_name_has_not_what_is_said_of_the_plan() -> None:
    """An older plan may have such items."""
    unnamed = plan("item-1")
    del unnamed.items[0]["item_id"]
    assert report_plan(unnamed, [heard("accepted", "", None)]).items[0].told is None


def test_each_node_has_its_own_latest() -> None:
    """By name."""
    told = [
        heard("failed", "2026-03-01T21:00:00Z", None, node_id="valley"),
        heard("running", "2026-03-01T21:00:00Z", None),
        heard("done", "2026-03-01T21:05:00Z", None),
    ]
    latest = latest_by_node(told)
    assert {name: event.state for name, event in latest.items()} == {
        "hilltop": "done",
        "valley": "failed",
    }
    assert list(latest) == ["hilltop", "valley"]

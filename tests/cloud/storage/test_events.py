"""What nodes told of plans and interrupts, in either database."""

from datetime import timedelta
from functools import partial

import pytest
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, add_node

from boundless_skies.cloud.domain.events import Event
from boundless_skies.cloud.domain.outcomes import HeardEvent, latest_first
from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.storage import events, plans


def told(number: int, state: str = "running", **changes: str | None) -> Event:
    """Return an event, all of one second by the node's clock."""
    values = {"item_id": "item-1", "reason": "", "at": "2026-03-01T21:00:00Z"} | changes
    return Event(event_id=f"e{number}", state=state, **values)  # type: ignore[arg-type]


def hear(store: Store, new: list[Event], subject: str = "p", node_id: str = "hilltop") -> None:
    """Keep events as a call of a node does."""
    store.write(partial(events.add_all, node_id=node_id, subject=subject, new=new, now=NOW))


def about(store: Store, *subjects: str, node_id: str | None = None) -> list[HeardEvent]:
    """Return what is kept about some subjects."""
    return store.read(partial(events.list_about, subjects=subjects, node_id=node_id))


@pytest.fixture(autouse=True)
def _nodes(store: Store) -> None:
    add_node(store)
    add_node(store, "valley")


def test_events_of_one_call_keep_their_order(store: Store) -> None:
    """Though all have one time by the node's clock, and came in one moment."""
    states = ["accepted", "running", "preempted", "running", "done"]
    hear(store, [told(number, state) for number, state in enumerate(states)])
    heard = about(store, "p")
    assert [event.state for event in heard] == states[::-1]
    assert [event.state for event in latest_first(heard)] == states[::-1]
    assert heard[0].received_at - NOW == timedelta(microseconds=len(states) - 1)


def test_an_event_counts_once_by_its_id_and_node(store: Store) -> None:
    """In one call and in several: the first that came is kept, of each node."""
    hear(store, [told(1, "running"), told(2, "done"), told(1, "failed")])
    hear(store, [told(2, "failed"), told(3, "skipped")])
    hear(store, [told(1, "expired")], node_id="valley")
    kept = {(event.node_id, event.state) for event in about(store, "p")}
    assert kept == {
        ("hilltop", "running"),
        ("hilltop", "done"),
        ("hilltop", "skipped"),
        ("valley", "expired"),
    }


def test_events_are_found_by_subject_and_node(store: Store) -> None:
    """Nobody else's, and nothing of another plan."""
    hear(store, [told(1)], "p")
    hear(store, [told(2)], "q")
    hear(store, [told(3)], events.interrupt_subject(7))
    hear(store, [told(4)], events.interrupt_subject(7), "valley")
    assert [event.subject for event in about(store, "q")] == ["q"]
    assert about(store, "interrupt") == []
    assert about(store) == []
    both = about(store, "interrupt 7")
    assert {event.node_id for event in both} == {"hilltop", "valley"}
    assert {event.node_id for event in about(store, "p", "interrupt 7", node_id="valley")} == {
        "valley"
    }


def test_a_nodes_plans_are_named_newest_first(store: Store) -> None:
    """With their nights, without their items, and none of another node."""
    for hours, name, node_id in ((0, "a", "hilltop"), (1, "b", "hilltop"), (2, "c", "valley")):
        plan = PublishedPlan(
            plan_id=name, node_id=node_id, night="2026-03-01", generated_at=NOW, items=[]
        )
        store.write(partial(plans.add, plan=plan, now=NOW + timedelta(hours=hours)))
    store.write(partial(plans.make_current, plan_id="a", now=NOW + timedelta(hours=3)))
    headings = store.read(partial(plans.list_headings, node_id="hilltop", limit=9))
    assert [(heading.plan_id, heading.night) for heading in headings] == [
        ("a", "2026-03-01"),
        ("b", "2026-03-01"),
    ]
    assert headings[0].published_at == NOW + timedelta(hours=3)
    assert len(store.read(partial(plans.list_headings, node_id="hilltop", limit=1))) == 1

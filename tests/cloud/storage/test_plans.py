"""Plans in either database: what a polling node is given."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, add_node

from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.domain.times import iso
from boundless_skies.cloud.services.plans import NO_PLAN, PlanService
from boundless_skies.cloud.storage import plans
from boundless_skies.cloud.storage.database import Database


def plan(plan_id: str, node_id: str = "hilltop", **item: Any) -> PublishedPlan:
    """Return a plan with one item."""
    items = [{"target": "o Ceti", "ra": 2.32, "dec": -2.98, **item}]
    return PublishedPlan(
        plan_id=plan_id, node_id=node_id, night="2026-03-01", generated_at=NOW, items=items
    )


def test_each_node_is_given_the_plan_published_last(store: Store) -> None:
    """Of many that ask together, each gets its own newest plan as it was written, or none."""
    for name in ("hilltop", "valley", "new"):
        add_node(store, name)
    newest = plan("b", note='Größe "5" \\ \u2028', odd=[None, 1.5e-300, {"x": True}])
    store.write(partial(plans.add, plan=plan("a"), now=NOW))
    store.write(partial(plans.add, plan=newest, now=NOW + timedelta(seconds=1)))
    store.write(partial(plans.add, plan=plan("c", "valley"), now=NOW))

    async def poll(database: Database) -> list[tuple[str | None, bytes]]:
        service = PlanService(database, lambda: NOW)
        names = ["hilltop", "valley", "new", "unknown", "hilltop"]
        return await asyncio.gather(*(service.current(Caller(name, False)) for name in names))

    hilltop, valley, new, unknown, again = store.run(poll)
    assert (hilltop[0], valley[0], again) == ("b", "c", hilltop)
    assert new == unknown == (None, NO_PLAN)
    expected = newest.to_wire() | {"generated_at": iso(NOW)}
    assert msgspec.json.decode(hilltop[1]) == {"plan": expected}


def test_a_plan_made_current_again_is_given_again(store: Store) -> None:
    """An older plan that is published anew is the node's current one."""
    add_node(store, "hilltop")
    store.write(partial(plans.add, plan=plan("a"), now=NOW))
    store.write(partial(plans.add, plan=plan("b"), now=NOW + timedelta(seconds=1)))
    store.write(partial(plans.make_current, plan_id="a", now=NOW + timedelta(seconds=2)))
    found = store.read(partial(plans.find_current, node_ids=["hilltop"]))
    assert found["hilltop"].plan_id == "a"


def test_current_plans_are_the_same_for_one_node_and_for_many(store: Store) -> None:
    """Of two published at one instant it is one and the same, whole; no nodes have none."""
    for name in ("hilltop", "valley", "new"):
        add_node(store, name)
    published = [plan("b"), plan("a"), plan("c", "valley", note="low")]
    for one in published:
        store.write(partial(plans.add, plan=one, now=NOW))
    many = store.read(partial(plans.find_current, node_ids=["hilltop", "valley", "new"]))
    assert {name: stored.parse() for name, stored in many.items()} == {
        "hilltop": published[1],
        "valley": published[2],
    }
    assert store.read(partial(plans.find_current, node_ids=["hilltop"]))["hilltop"].plan_id == "a"
    headings = store.read(partial(plans.list_headings, node_id="hilltop", limit=9))
    assert [heading.plan_id for heading in headings] == ["a", "b"]
    assert store.read(partial(plans.find_current, node_ids=[])) == {}

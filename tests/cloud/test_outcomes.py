"""From a plan that is published to what an operator sees became of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud
from tests.support.links import Links
from tests.support.operating import OPERATOR, Pages, command, command_json, wait_for

ITEMS = [
    {"target": name, "ra": 21.7118, "dec": 43.5861, "expDur": 30, "expCount": 20}
    for name in ("SS Cyg", "AH Vir", "T CrB")
]
HOSTILE = "<script>alert(1)</script>\"'&"


def told(number: int, state: str, item_id: str | None, **more: Any) -> dict[str, Any]:
    """Return an event of a node."""
    at = f"2026-03-01T21:{number:02d}:00Z"
    return {"event_id": f"e{number}", "state": state, "item_id": item_id, "at": at} | more


def publish(cloud: RunningCloud, node: Client, folder: Path, items: Any = ITEMS) -> str:
    """Publish a plan with the command; return its id."""
    file = folder / "plan.json"
    file.write_text(json.dumps({"night": "2026-03-01", "items": items}))
    plan_id: str = command_json(cloud, "plan", "publish", node.node_id, str(file))["plan_id"]
    return plan_id


def states(outcome: dict[str, Any]) -> dict[str, str | None]:
    """Return the state of each item, by name."""
    return {one["item_id"]: one["told"] and one["told"]["state"] for one in outcome["items"]}


@pytest.fixture
def pages(cloud: RunningCloud, operator: Client, fresh_name: Callable[[str], str]) -> Pages:
    """Be signed in, as one who may only read."""
    name = fresh_name("watcher").replace(" ", "-")
    made = operator.post(f"{OPERATOR}/tokens", {"name": name, "role": "reader"})
    return Pages.signed_in(cloud.url, made["token"])


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Links]:
    """Give links in a folder of the test."""
    for name in ("http_proxy", "HTTP_PROXY", "BOUNDLESS_NODE_ID", "BOUNDLESS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    made = Links(tmp_path / "data")
    yield made
    made.stop()


def test_a_published_plan_comes_back_as_what_became_of_it(
    cloud: RunningCloud, node: Client, operator: Client, pages: Pages, links: Links, tmp_path: Path
) -> None:
    """Command, link, callback, events, link, and the operator's page, with real programs."""
    plan_id = publish(cloud, node, tmp_path)
    number = operator.post(
        "/api/v1/interrupts",
        {"name": "SN 2026abc", "ra_deg": 1, "dec_deg": 2, "node_ids": [node.node_id]},
    )["id"]

    def run(items: list[dict[str, Any]]) -> None:
        plan, night = (link.status[key] for key in ("last_plan_id", "last_plan_night"))
        first, second, third = (item["item_id"] for item in items)
        link.report_events(
            plan,
            [
                told(1, "accepted", None),
                told(2, "running", first),
                told(3, "done", first),
                told(4, "skipped", second, reason=f"Too low all night of {night}."),
                told(5, "running", third),
            ],
        )

    def leave(interrupt: dict[str, Any]) -> None:
        # The cloud is other tests' too: what one sent to all nodes comes here as well.
        event = told(6, "failed", None, reason="Clouds.", event_id=f"left-{interrupt['id']}")
        link.report_interrupt_events(interrupt["id"], [event])

    link = links.make(
        cloud.url,
        {"on_plan": run, "on_interrupt": leave},
        node_id=node.node_id,
        api_key=node.identity["X-Api-Key"],
        heartbeat_interval=5,  # a call that a busy machine cuts off is made again after a beat
        plan_poll_interval=3_600,
    )
    link.start()
    outcome = wait_for(
        lambda: (
            (found := operator.get(f"{OPERATOR}/plans/{plan_id}"))["told"]
            and found["items"][2]["told"]
            and found
        )
    )
    assert states(outcome) == {"item-1": "done", "item-2": "skipped", "item-3": "running"}
    assert outcome["items"][1]["told"]["reason"] == "Too low all night of 2026-03-01."
    assert outcome["items"][0]["told"]["at"] == "2026-03-01T21:03:00Z"
    assert outcome["told"]["state"] == "accepted"
    sent = wait_for(
        lambda: next(
            one
            for one in operator.get(f"{OPERATOR}/interrupts")["interrupts"]
            if one["id"] == number
        )["told_by"]
    )
    assert (sent[node.node_id]["state"], sent[node.node_id]["reason"]) == ("failed", "Clouds.")
    wait_for(lambda: link.status["queued_events"] == 0)
    for path in (f"/operate/plans/{plan_id}", f"/operate/nodes/{node.node_id}"):
        body = pages.get(path).body.decode()
        assert "Too low all night of 2026-03-01." in body
        assert "3 items: 1 done, 1 skipped, 1 running" in " ".join(body.split())
    assert "Clouds." in pages.get("/operate/interrupts").body.decode()


def test_events_out_of_order_and_twice_make_no_confusion(
    cloud: RunningCloud, node: Client, operator: Client, tmp_path: Path
) -> None:
    """The latest by the node's own time counts, then what came last."""
    plan_id = publish(cloud, node, tmp_path)
    path = f"/api/v1/plan/{plan_id}/events"
    done, running = told(9, "done", "item-1"), told(8, "running", "item-1")
    same = {"at": "2026-03-01T21:30:00Z"}
    for events in (
        [done],
        [running, done],
        [done | {"state": "failed"}],  # its event_id came before
        [told(n, state, "item-2", **same) for n, state in ((20, "running"), (21, "skipped"))],
        [told(30, "accepted", None), told(31, "expired", None)],
    ):
        node.post(path, {"events": events})
    outcome = operator.get(f"{OPERATOR}/plans/{plan_id}")
    assert states(outcome) == {"item-1": "done", "item-2": "skipped", "item-3": None}
    assert outcome["told"]["state"] == "expired"
    assert (outcome["counts"], outcome["untold"]) == ({"done": 1, "skipped": 1}, 1)
    assert [event["state"] for event in outcome["events"]] == [
        "expired",
        "accepted",
        "skipped",
        "running",
        "done",
        "running",
    ]


def test_the_commands_tell_what_became_of_it(
    cloud: RunningCloud, node: Client, operator: Client, tmp_path: Path
) -> None:
    """For people and for programs, the same as over HTTP."""
    plan_id = publish(cloud, node, tmp_path)
    events = [told(1, "accepted", None), told(2, "failed", "item-2", reason="Clouds.")]
    node.post(f"/api/v1/plan/{plan_id}/events", {"events": events})
    shown = command_json(cloud, "plan", "show", plan_id)
    assert shown == operator.get(f"{OPERATOR}/plans/{plan_id}")
    file = command_json(cloud, "nodes", "show", node.node_id)
    assert file["plan_outcome"] == {
        key: shown[key] for key in ("told", "counts", "untold", "items")
    }
    for text in (
        command(cloud, "plan", "show", plan_id).stdout,
        command(cloud, "nodes", "show", node.node_id).stdout,
    ):
        assert plan_id in text
        assert "1 failed, 2 not told" in text
        (line,) = [line for line in text.splitlines() if "AH Vir" in line]
        assert line.endswith(": Clouds.")
    missing = command(cloud, "plan", "show", "no-such-plan")
    assert missing.exit_code == 1
    assert "no-such-plan" in missing.output


def test_an_interrupt_tells_what_became_of_it(
    cloud: RunningCloud, public: Client, operator: Client
) -> None:
    """By node on the list, and on each node's file, of those that are meant for it."""
    one, two, stranger = public.register(), public.register(), public.register()
    named = {"name": "SN 2026xyz", "ra_deg": 1, "dec_deg": 2}
    both = [one.node_id, two.node_id]
    number = operator.post("/api/v1/interrupts", named | {"node_ids": both})["id"]
    path = f"/api/v1/interrupts/{number}/events"
    one.post(path, {"events": [told(2, "done", None), told(1, "running", None)]})
    one.post(f"/api/v1/interrupts/{number}/ack")
    listed = operator.get(f"{OPERATOR}/interrupts")["interrupts"]
    (entry,) = [entry for entry in listed if entry["id"] == number]
    assert {name: event["state"] for name, event in entry["told_by"].items()} == {
        one.node_id: "done"
    }

    def in_file(node: Client) -> list[tuple[bool, str | None]]:
        found = operator.get(f"{OPERATOR}/nodes/{node.node_id}")["interrupts"]
        return [
            (entry["acked"], entry["told"] and entry["told"]["state"])
            for entry in found
            if entry["id"] == number
        ]

    assert [in_file(node) for node in (one, two, stranger)] == [
        [(True, "done")],
        [(False, None)],
        [],
    ]
    shown = command(cloud, "nodes", "show", one.node_id).stdout
    (line,) = [line for line in shown.splitlines() if "SN 2026xyz" in line]
    assert "acknowledged, done" in line


def test_earlier_plans_are_led_to(
    cloud: RunningCloud, node: Client, operator: Client, pages: Pages, tmp_path: Path
) -> None:
    """What became of last night's plan stays in reach once there is tonight's."""
    first = publish(cloud, node, tmp_path)
    node.post(f"/api/v1/plan/{first}/events", {"events": [told(1, "done", "item-1")]})
    second = publish(cloud, node, tmp_path, ITEMS[:1])
    file = operator.get(f"{OPERATOR}/nodes/{node.node_id}")
    assert file["plan"]["plan_id"] == second
    assert states(file["plan_outcome"]) == {"item-1": None}
    assert [plan["plan_id"] for plan in file["earlier_plans"]] == [first]
    assert (
        f'href="/operate/plans/{first}"'
        in pages.get(f"/operate/nodes/{node.node_id}").body.decode()
    )
    assert pages.get(f"/operate/plans/{first}").status == 200
    assert pages.get("/operate/plans/no-such-plan").status == 404
    assert Pages(cloud.url).get(f"/operate/plans/{first}").status == 303


def test_what_nodes_tell_is_shown_as_text(
    cloud: RunningCloud, node: Client, operator: Client, pages: Pages, tmp_path: Path
) -> None:
    """Whatever a node writes stays text on every page."""
    plan_id = publish(cloud, node, tmp_path, [ITEMS[0] | {"item_id": HOSTILE}])
    number = operator.post(
        "/api/v1/interrupts",
        {"name": HOSTILE, "ra_deg": 1, "dec_deg": 2, "node_ids": [node.node_id]},
    )["id"]
    for path in (f"/api/v1/plan/{plan_id}/events", f"/api/v1/interrupts/{number}/events"):
        events = [
            told(1, "failed", HOSTILE, reason=HOSTILE, event_id=path),
            told(2, "failed", None, reason=HOSTILE, at=HOSTILE, event_id=path + "2"),
        ]
        node.post(path, {"events": events})
    for path in (f"/plans/{plan_id}", f"/nodes/{node.node_id}", "/interrupts"):
        reply = pages.get(f"/operate{path}")
        assert reply.status == 200
        assert b"<script>alert" not in reply.body
        assert b"&lt;script&gt;alert" in reply.body


def test_an_empty_plan_has_a_page(
    cloud: RunningCloud, node: Client, pages: Pages, tmp_path: Path
) -> None:
    """Nothing to do is a plan, too."""
    plan_id = publish(cloud, node, tmp_path, [])
    assert b"The plan has none." in pages.get(f"/operate/plans/{plan_id}").body
    assert plan_id.encode() in pages.get(f"/operate/nodes/{node.node_id}").body

"""What an operator sends reaches its nodes."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud
from tests.support.operating import wait_for

from boundless_skies.cli import main

ITEM = {"target": "SS Cyg", "ra": 21.7118, "dec": 43.5861}
INTERRUPT = {"name": "SN 2026abc", "ra_deg": 210.9, "dec_deg": 54.3}


def run_command(cloud: RunningCloud, *arguments: str) -> Result:
    """Run ``boundless cloud --data DIR …`` beside the running server."""
    return CliRunner().invoke(main, ["cloud", "--data", str(cloud.data_dir), *arguments])


def publish(cloud: RunningCloud, node: Client, tmp_path: Path, plan: Any) -> str:
    """Publish a plan for a node; return its id."""
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    done = run_command(cloud, "plan", "publish", node.node_id, str(file), "--json")
    assert done.exit_code == 0, done.stderr
    plan_id: str = json.loads(done.stdout)["plan_id"]
    return plan_id


def test_no_plan_is_said(node: Client) -> None:
    """A node without a plan gets null and a message."""
    reply = node.get("/api/v1/plan")
    assert reply["plan"] is None
    assert reply["message"]


def test_a_published_plan_reaches_its_node(
    cloud: RunningCloud, public: Client, tmp_path: Path
) -> None:
    """The plan is handed to its node alone, every field of a runner filled in."""
    node, other = public.register(utc_offset_hours=1.0), public.register()
    items = [
        ITEM | {"startTime": "22:30", "expDur": 30, "expCount": 20, "filter": "V", "extra": 1},
        ITEM | {"startTime": "01:15", "item_id": "mine"},
        ITEM | {"start_utc": "2026-03-01T23:00:00+00:00"},
    ]
    plan_id = publish(cloud, node, tmp_path, {"night": "2026-03-01", "items": items})
    plan = node.get("/api/v1/plan")["plan"]
    assert (plan["plan_id"], plan["node_id"], plan["night"]) == (
        plan_id,
        node.node_id,
        "2026-03-01",
    )
    first, second, third = plan["items"]
    assert first["start_utc"] == "2026-03-01T21:30:00Z"
    assert (first["expDur"], first["expCount"], first["binning"]) == (30.0, 20, 1)
    assert (first["item_id"], first["filter"], first["extra"]) == ("item-1", "V", 1)
    assert (second["start_utc"], second["item_id"]) == ("2026-03-02T00:15:00Z", "mine")
    assert third["startTime"] == "00:00"
    assert other.get("/api/v1/plan")["plan"] is None


def test_the_newest_plan_counts(cloud: RunningCloud, node: Client, tmp_path: Path) -> None:
    """A later plan takes the place of an earlier one, which may be brought back."""
    one = publish(cloud, node, tmp_path, [ITEM])
    two = publish(cloud, node, tmp_path, [])
    assert node.get("/api/v1/plan")["plan"]["plan_id"] == two
    assert publish(cloud, node, tmp_path, [ITEM]) == one
    assert node.get("/api/v1/plan")["plan"]["plan_id"] == one


def test_an_unchanged_plan_is_not_sent_again(
    cloud: RunningCloud, node: Client, tmp_path: Path
) -> None:
    """A poll that names the plan's ETag is answered with 304 and no body."""
    publish(cloud, node, tmp_path, [ITEM])
    etag = node.call("GET", "/api/v1/plan").headers["etag"]
    again = node.call("GET", "/api/v1/plan", If_None_Match=etag)
    assert (again.status, again.body) == (304, b"")
    publish(cloud, node, tmp_path, [ITEM, ITEM | {"target": "other"}])
    assert node.call("GET", "/api/v1/plan", If_None_Match=etag).status == 200


@pytest.mark.parametrize(
    ("plan", "hint"),
    [
        ({"items": "x"}, "items must be a list"),
        ([{"target": "a", "ra": 310.2, "dec": 1}], "degrees / 15"),
        ([{"ra": 1, "dec": 1}], "items[0].target"),
        ([ITEM | {"dec": 91}], "items[0].dec"),
        ([ITEM | {"startTime": "10 pm"}], "startTime"),
        ([ITEM | {"start_utc": "soon"}], "start_utc"),
        ([ITEM | {"item_id": "a"}, ITEM | {"item_id": "a"}], "twice"),
        ({"night": "tonight", "items": []}, "night"),
        ({"plan_id": "a b", "items": []}, "plan_id"),
        (5, "JSON object"),
    ],
)
def test_a_bad_plan_is_told(
    cloud: RunningCloud, node: Client, tmp_path: Path, plan: Any, hint: str
) -> None:
    """The command names what is wrong and where, in one line."""
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    done = run_command(cloud, "plan", "publish", node.node_id, str(file))
    assert done.exit_code == 1
    assert hint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_plan_id_is_one_plan(cloud: RunningCloud, node: Client, tmp_path: Path) -> None:
    """Another content under a plan_id that was published before is refused."""
    publish(cloud, node, tmp_path, {"plan_id": f"p-{node.node_id}", "items": []})
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"plan_id": f"p-{node.node_id}", "items": [ITEM]}))
    done = run_command(cloud, "plan", "publish", node.node_id, str(file))
    assert done.exit_code == 1
    assert "published before" in done.stderr


def test_events_of_a_plan_are_taken_once(
    cloud: RunningCloud, node: Client, public: Client, tmp_path: Path
) -> None:
    """A node tells what became of its plan, may repeat itself, and speaks for no other."""
    plan_id = publish(cloud, node, tmp_path, [ITEM])
    event = {"event_id": "e1", "item_id": "item-1", "state": "done", "reason": "", "at": "now"}
    path = f"/api/v1/plan/{plan_id}/events"
    for events in ([event], [event, event | {"event_id": "e2", "item_id": None}], []):
        assert node.post(path, {"events": events}) == {"ok": True}
    stranger = public.register()
    assert stranger.call("POST", path, {"events": [event]}).status == 404
    assert node.call("POST", path, {"events": [event | {"state": "lost"}]}).status == 400


def test_an_interrupt_reaches_every_node_until_it_is_acked(
    public: Client, operator: Client
) -> None:
    """Each node sees it, with RA in degrees and hours, and acknowledges it for itself."""
    one, two = public.register(), public.register()
    number = operator.post("/api/v1/interrupts", INTERRUPT | {"reason": "supernova", "mag": 13})[
        "id"
    ]
    seen = _find(one, number)
    assert seen is not None
    assert (seen["name"], seen["reason"], seen["mag"]) == ("SN 2026abc", "supernova", 13.0)
    assert (seen["ra_deg"], seen["dec_deg"], seen["dec"]) == (210.9, 54.3, 54.3)
    assert seen["ra"] == pytest.approx(14.06)
    assert seen["acked"] is False
    for _ in range(2):
        assert one.post(f"/api/v1/interrupts/{number}/ack") == {"ok": True}
    after = [_find(node, number) for node in (one, two)]
    assert [entry and entry["acked"] for entry in after] == [True, False]


def test_an_interrupt_may_address_some_nodes(public: Client, operator: Client) -> None:
    """Nobody else sees it, nor may acknowledge it."""
    one, two = public.register(), public.register()
    number = operator.post("/api/v1/interrupts", INTERRUPT | {"node_ids": [one.node_id]})["id"]
    assert _find(one, number) is not None
    assert _find(two, number) is None
    assert two.call("POST", f"/api/v1/interrupts/{number}/ack").status == 404
    event = {"event_id": "i1", "state": "done"}
    assert one.post(f"/api/v1/interrupts/{number}/events", {"events": [event]}) == {"ok": True}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"ra_deg": 360}, "ra_deg"),
        ({"dec_deg": -91}, "dec_deg"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"mag": "bright"}, "mag"),
        ({"node_ids": "all"}, "node_ids"),
        ({"node_ids": ["nobody-here"]}, "nobody-here"),
        ({"expires_hours": 0}, "expires_hours"),
        ({"expires_hours": 1e9}, "expires_hours"),
    ],
)
def test_a_bad_interrupt_is_refused(operator: Client, change: dict[str, Any], hint: str) -> None:
    """The error names what is wrong."""
    reply = operator.call("POST", "/api/v1/interrupts", INTERRUPT | change)
    assert reply.status == (404 if change == {"node_ids": ["nobody-here"]} else 400)
    assert hint in reply.json["error"]


@pytest.mark.parametrize("key", ["", "wrong", "\xff"])
def test_only_the_operator_sends_interrupts(public: Client, key: str) -> None:
    """A wrong or absent admin key is refused."""
    reply = public.send("POST", "/api/v1/interrupts", b"{}", {"X-Admin-Key": key})
    assert (reply.status, reply.json) == (401, {"error": "invalid admin key"})


def test_the_command_sends_an_interrupt(cloud: RunningCloud, node: Client) -> None:
    """An operator on the cloud's machine needs no key."""
    where = ("--ra", "210.9", "--dec", "54.3", "--node", node.node_id)
    done = run_command(cloud, "interrupt", "M 101", *where, "--reason", "flare", "--json")
    seen = wait_for(lambda: _find(node, json.loads(done.stdout)["id"]))
    assert seen["reason"] == "flare"
    bad = run_command(cloud, "interrupt", "M 101", "--ra", "400", "--dec", "54.3")
    assert bad.exit_code == 1
    assert "ra_deg is 400" in bad.stderr


def test_the_command_lists_nodes(cloud: RunningCloud, node: Client) -> None:
    """Names, state and counts, for people and for programs."""
    assert node.node_id in run_command(cloud, "nodes").stdout
    listed = json.loads(run_command(cloud, "nodes", "--json").stdout)
    assert node.node_id in {entry["node_id"] for entry in listed}


def _find(node: Client, number: int) -> dict[str, Any] | None:
    interrupts = node.get("/api/v1/interrupts")["interrupts"]
    return next((entry for entry in interrupts if entry["id"] == number), None)

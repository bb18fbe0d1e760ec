"""What an operator does with nodes over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.cloud_client import LOCATION, Client
from tests.support.cloud_server import running_cloud
from tests.support.operating import OPERATOR, wait_for

BEAT = "/api/v1/nodes/heartbeat"
PLAN = {"items": [{"target": "SS Cyg", "ra": 21.7118, "dec": 43.5861}]}


def test_operators_see_what_the_public_does_not(public: Client, operator: Client) -> None:
    """Owner and exact place are told to operators; the public gets 0.1° and no name."""
    node = public.register(owner_name="Grace of the tests")
    entry = operator.get(f"{OPERATOR}/nodes/{node.node_id}")
    assert entry["owner_name"] == "Grace of the tests"
    assert (entry["latitude"], entry["longitude"]) == tuple(LOCATION.values())
    listed = operator.get(f"{OPERATOR}/nodes?after={node.node_id[:-1]}")["nodes"]
    assert node.node_id in [one["node_id"] for one in listed]
    assert node.identity["X-Api-Key"] not in str(entry) + str(listed)
    told = str(public.get("/api/v1/network/status"))
    assert "Grace of the tests" not in told
    assert str(LOCATION["latitude"]) not in told


def test_a_plan_is_published_over_http(node: Client, operator: Client) -> None:
    """The node gets it; publishing it again changes nothing; a bad one is refused by its item."""
    where = f"/api/v1/nodes/{node.node_id}/plan"
    plan_id = operator.post(where, PLAN)["plan"]["plan_id"]
    assert operator.post(where, PLAN["items"])["plan"]["plan_id"] == plan_id
    assert node.get("/api/v1/plan")["plan"]["plan_id"] == plan_id
    bad = operator.call("POST", where, {"items": [{"target": "x", "ra": 400, "dec": 0}]})
    assert bad.status == 400
    assert "items[0].ra" in bad.json["error"]
    assert operator.call("POST", "/api/v1/nodes/nobody/plan", PLAN).status == 404


def test_a_revoked_node_is_out_and_comes_back(node: Client, operator: Client) -> None:
    """Its key is refused with the reason, what it sent stays, and readmitted it is as before."""
    node.post(BEAT)
    operator.post(f"{OPERATOR}/nodes/{node.node_id}/revoke", {"reason": "its rig is sold"})
    refusal = node.call("POST", BEAT, {})
    assert refusal.status == 401
    assert refusal.json["reason"] == "revoked"
    assert node.call("POST", "/api/v1/nodes/me/key", {}).status == 401
    entry = operator.get(f"{OPERATOR}/nodes/{node.node_id}")
    assert entry["revoked_at"] is not None
    assert entry["history"][0]["detail"] == {"reason": "its rig is sold"}
    operator.post(f"{OPERATOR}/nodes/{node.node_id}/readmit")
    node.post(BEAT)


def test_a_wrong_key_of_a_revoked_node_learns_nothing(
    public: Client, node: Client, operator: Client
) -> None:
    """Only the right key is told that it was revoked."""
    operator.post(f"{OPERATOR}/nodes/{node.node_id}/revoke", {"reason": "lost"})
    thief = Client(public.url, {**node.identity, "X-Api-Key": "node_guess"})
    assert "reason" not in thief.call("POST", BEAT, {}).json


def test_a_rotation_ends_with_the_new_key(node: Client, operator: Client) -> None:
    """The node is asked until it calls with its new key; the old one stays valid for a day."""
    operator.post(f"{OPERATOR}/nodes/{node.node_id}/rotate")
    assert node.post(BEAT)["rotate_key"] is True
    api_key = node.post("/api/v1/nodes/me/key")["api_key"]
    assert node.post(BEAT)["rotate_key"] is True
    renewed = Client(node.url, {**node.identity, "X-Api-Key": api_key})
    assert "rotate_key" not in renewed.post(BEAT)
    assert operator.get(f"{OPERATOR}/nodes/{node.node_id}")["rotation_asked_at"] is None
    assert "rotate_key" not in node.post(BEAT)


@pytest.mark.parametrize("deed", ["rotate", "revoke", "readmit", "owner"])
def test_a_node_that_is_not_there_is_told(operator: Client, deed: str) -> None:
    """404, with how to list those that there are."""
    body = {"reason": "x", "public": True}
    reply = operator.call("POST", f"{OPERATOR}/nodes/nobody/{deed}", body)
    assert reply.status == 404
    assert "boundless cloud nodes" in reply.json["error"]


def test_what_changes_nothing_is_told(node: Client, operator: Client) -> None:
    """Revoking twice, rotating what is revoked, readmitting what is not: 404 with the reason."""
    where = f"{OPERATOR}/nodes/{node.node_id}"
    assert "not revoked" in operator.call("POST", f"{where}/readmit", {}).json["error"]
    operator.post(f"{where}/revoke", {"reason": "x"})
    for deed in ("revoke", "rotate"):
        reply = operator.call("POST", f"{where}/{deed}", {"reason": "x"})
        assert reply.status == 404
        assert "is revoked" in reply.json["error"]


@pytest.mark.parametrize("reason", [None, "", "  ", 7, ["x"], "x" * 501, "a\x00b", "a\x1bb"])
def test_revoking_needs_a_reason(node: Client, operator: Client, reason: Any) -> None:
    """One that can be kept; the node goes on working otherwise."""
    reply = operator.call("POST", f"{OPERATOR}/nodes/{node.node_id}/revoke", {"reason": reason})
    assert reply.status == 400
    assert "reason" in reply.json["error"]
    node.post(BEAT)


@pytest.mark.parametrize("wish", [None, "yes", 1, []])
def test_showing_an_owner_needs_a_yes_or_no(node: Client, operator: Client, wish: Any) -> None:
    """True or false, and nothing that might be taken for it."""
    reply = operator.call("POST", f"{OPERATOR}/nodes/{node.node_id}/owner", {"public": wish})
    assert reply.status == 400


def test_a_revocation_holds_in_every_worker(tmp_path: Path) -> None:
    """However many processes know the key, soon none takes it any more."""
    with running_cloud(tmp_path / "c", arguments=("--workers", "2")) as cloud:
        node = Client(cloud.url).register()
        operator = Client(cloud.url, {"X-Admin-Key": cloud.admin_key})

        def beat(_: int) -> int:
            return Client(cloud.url, node.identity).call("POST", BEAT, {}).status

        with ThreadPoolExecutor(8) as crowd:
            assert set(crowd.map(beat, range(40))) == {200}
            operator.post(f"{OPERATOR}/nodes/{node.node_id}/revoke", {"reason": "sold"})
            wait_for(lambda: set(crowd.map(beat, range(40))) == {401})
            operator.post(f"{OPERATOR}/nodes/{node.node_id}/readmit")
            wait_for(lambda: set(crowd.map(beat, range(40))) == {200})

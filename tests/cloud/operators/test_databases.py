"""A day of an operator's work, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import RunningCloud
from tests.support.operating import OPERATOR, Pages, running_coded, wait_for

BEAT = "/api/v1/nodes/heartbeat"
TABS = ("", "/nodes", "/interrupts", "/review", "/codes", "/tokens", "/audit")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def coded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningCloud]:
    """Run a cloud for this day alone: its pages show the first of many, and here there are few."""
    with running_coded(request.param, tmp_path_factory.mktemp("day") / "data") as cloud:
        yield cloud


def join(gate: Client) -> Client:
    """Register a node with a code of its own."""
    (code,) = gate.post(f"{OPERATOR}/codes")["codes"]
    return Client(gate.url).register(activation_code=code["code"])


def test_points_are_judged_and_their_neighbours_compared_anew(gate: Client) -> None:
    """Of two that disagree, the one that is left is disputed no more."""
    right, wrong = (
        join(gate).post("/api/v1/measurements", make_measurement(magnitude=magnitude))["id"]
        for magnitude in (11.9, 13.2)
    )
    wait_for(lambda: gate.get(f"{OPERATOR}/review")["waiting"] == 2)
    queued = [point["id"] for point in gate.get(f"{OPERATOR}/review")["points"]]
    assert queued == sorted([right, wrong])
    verdict = {"verdict": "reject", "reason": "wrong star"}
    assert gate.post(f"{OPERATOR}/review/{wrong}", verdict)["review"] == "rejected"
    assert gate.get(f"{OPERATOR}/review/{right}")["validation"] == "single"
    assert gate.get(f"{OPERATOR}/review") == {"waiting": 0, "points": []}


def test_keys_are_rotated_revoked_and_readmitted(gate: Client) -> None:
    """As on the other database."""
    node = join(gate)
    where = f"{OPERATOR}/nodes/{node.node_id}"
    node.post(BEAT, {"queue": {"length": 3, "oldest_age_s": 9_000}})
    gate.post(f"{where}/rotate")
    assert node.post(BEAT)["rotate_key"] is True
    gate.post(f"{where}/revoke", {"reason": "sold"})
    assert node.call("POST", BEAT, {}).json["reason"] == "revoked"
    gate.post(f"{where}/readmit")
    node.post(BEAT)
    assert [deed["action"] for deed in gate.get(where)["history"]] == [
        "node.readmit",
        "node.revoke",
        "node.rotate",
    ]


def test_every_page_opens(coded: RunningCloud, gate: Client) -> None:
    """With nodes that are offline, hold something back, or are to take a new key."""
    silent, behind = join(gate), join(gate)
    behind.post(BEAT, {"queue": {"length": 3, "oldest_age_s": 9_000}})
    gate.post(f"{OPERATOR}/nodes/{behind.node_id}/rotate")
    pages = Pages.signed_in(coded.url, coded.admin_key)
    for tab in (*TABS, f"/nodes/{silent.node_id}"):
        assert pages.get(f"/operate{tab}").status == 200, tab
    overview = pages.get("/operate").body.decode()
    for node in (silent, behind):
        assert node.node_id in overview

"""A node gets an identity."""

import re
from typing import Any

import pytest
from tests.support.cloud_client import LOCATION, Client

REGISTER = "/api/v1/nodes/register"


def test_a_wished_name_is_given(public: Client) -> None:
    """A free node_id that a client wishes for becomes its own."""
    reply = public.post(REGISTER, {"node_id": "hill.top_1-a", **LOCATION})
    assert reply["node_id"] == "hill.top_1-a"
    assert len(reply["api_key"]) >= 32


@pytest.mark.parametrize("wish", ["", None, "  "])
def test_a_name_is_made_where_there_is_no_wish(public: Client, wish: str | None) -> None:
    """An empty or absent wish is answered with a generated name."""
    reply = public.post(REGISTER, {"node_id": wish, **LOCATION})
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", reply["node_id"])


def test_a_taken_name_gets_a_fresh_one(public: Client) -> None:
    """A second default install gets in, and never learns the first one's key."""
    first = public.post(REGISTER, {"node_id": "twin", **LOCATION})
    second = public.post(REGISTER, {"node_id": "twin", **LOCATION})
    assert second["node_id"].startswith("twin-")
    assert second["api_key"] != first["api_key"]


def test_a_taken_name_of_full_length_gets_a_fresh_one(public: Client) -> None:
    """A derived name stays within 64 characters."""
    wish = "x" * 64
    public.post(REGISTER, {"node_id": wish, **LOCATION})
    derived = public.post(REGISTER, {"node_id": wish, **LOCATION})["node_id"]
    assert derived != wish
    assert len(derived) == 64


@pytest.mark.parametrize(
    "wish", ["../../etc", "..", ".", "a b", "ä", "x" * 65, "a/b", "a\n", "\x00", 7, ["a"], True]
)
def test_a_wish_that_breaks_the_rules_is_refused(public: Client, wish: Any) -> None:
    """Letters, digits, '.', '_' and '-' only, and not only dots."""
    reply = public.call("POST", REGISTER, {"node_id": wish, **LOCATION})
    assert reply.status == 400
    assert "node_id" in reply.json["error"]


@pytest.mark.parametrize(
    "location",
    [
        {},
        {"latitude": None, "longitude": None},
        {"latitude": 0.0, "longitude": 0.0},
        {"latitude": 48.1},
        {"latitude": "0", "longitude": 0},
    ],
)
def test_an_unset_location_is_told_with_what_to_set(
    public: Client, location: dict[str, Any]
) -> None:
    """A node that was never configured learns which keys to set."""
    reply = public.call("POST", REGISTER, location)
    assert reply.status == 400
    assert "observatory.latitude" in reply.json["error"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latitude", 90.1),
        ("longitude", -181),
        ("latitude", "north"),
        ("latitude", True),
        ("latitude", [48]),
        ("latitude", 10**400),
        ("elevation", 99_999),
        ("utc_offset_hours", 25),
        ("owner_name", 7),
        ("owner_name", "x" * 300),
        ("owner_name", "a\x00b"),
        ("filters", {"V": 1}),
        ("aperture_mm", "big"),
        ("horizon_mask", "no json"),
        ("horizon_mask", [[1, 2, 3]]),
        ("horizon_mask", [["a", 2]]),
    ],
)
def test_a_wrong_value_is_refused_by_name(public: Client, key: str, value: Any) -> None:
    """What is out of range or of the wrong type is named in the error."""
    reply = public.call("POST", REGISTER, {**LOCATION, key: value})
    assert reply.status == 400
    assert key in reply.json["error"]


def test_an_entry_shows_what_was_registered(public: Client) -> None:
    """A node's own entry is exact, has its rig, and never its key."""
    node = public.register(
        "rigged",
        owner_name="Ada",
        elevation="520",
        filters=["B", "V"],
        horizon_mask="[[20, 0], [15, 180]]",
        aperture_mm=50,
        something_new={"a": 1},
        activation_code="BS-1",
    )
    entry = node.get("/api/v1/nodes/me")
    assert entry["owner_name"] == "Ada"
    assert entry["latitude"] == LOCATION["latitude"]
    assert entry["elevation"] == 520.0
    assert entry["filters"] == "B,V"
    assert entry["horizon_mask"] == [[20.0, 0.0], [15.0, 180.0]]
    assert entry["aperture_mm"] == 50.0
    assert node.identity["X-Api-Key"] not in str(entry)


@pytest.mark.parametrize(
    "path",
    [
        "GET /api/v1/nodes/me",
        "GET /api/v1/plan",
        "GET /api/v1/interrupts",
        "POST /api/v1/nodes/heartbeat",
        "POST /api/v1/measurements",
        "POST /api/v1/measurements/batch",
        "POST /api/v1/images",
        "POST /api/v1/interrupts/1/ack",
        "POST /api/v1/plan/p/events",
    ],
)
@pytest.mark.parametrize("fault", ["absent", "wrong key", "empty key", "other node", "odd bytes"])
def test_wrong_credentials_are_refused(public: Client, node: Client, path: str, fault: str) -> None:
    """Every node call but the registration asks for the node's own key."""
    method, _, where = path.partition(" ")
    identity = {
        "absent": {},
        "wrong key": {**node.identity, "X-Api-Key": "node_wrong"},
        "empty key": {**node.identity, "X-Api-Key": ""},
        "other node": {**node.identity, "X-Node-Id": "nobody"},
        "odd bytes": {"X-Node-Id": "\xff", "X-Api-Key": "\xff\xfe"},
    }[fault]
    reply = Client(public.url, identity, public.pool).send(method, where, b"{}")
    assert reply.status == 401
    assert reply.json == {"error": "invalid node credentials"}


def test_a_beat_tells_the_time_and_the_features(node: Client) -> None:
    """A heartbeat's reply has what a node needs to know of this cloud."""
    reply = node.post("/api/v1/nodes/heartbeat", {"conditions": {"utc_offset_hours": 1.0}})
    assert reply["ok"] is True
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", reply["server_time"])
    assert set(reply["features"]) == {
        "measurements.batch",
        "interrupts.wait",
        "plan.events",
        "keys.rotate",
        "heartbeat.queue",
    }


@pytest.mark.parametrize(
    "body", [{}, {"conditions": None}, {"conditions": {"a": [1, {"b": None}]}}]
)
def test_a_beat_takes_what_nodes_send(node: Client, body: Any) -> None:
    """Conditions are free, and may be missing."""
    assert node.post("/api/v1/nodes/heartbeat", body)["ok"] is True


def test_a_beat_is_remembered(node: Client) -> None:
    """The conditions and the time of the last beat show in the node's entry."""
    node.post("/api/v1/nodes/heartbeat", {"conditions": {"wind": 3, "utc_offset_hours": 2.0}})
    entry = node.get("/api/v1/nodes/me")
    assert entry["conditions"]["wind"] == 3
    assert entry["utc_offset_hours"] == 2.0
    assert entry["online"] is True

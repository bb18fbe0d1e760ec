"""Each call, and who may make it."""

from typing import Any

import pytest
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud
from tests.support.operating import OPERATOR

ROLES = ("reader", "operator", "admin")
CALLS = {
    "POST /api/v1/interrupts": "operator",
    "POST /api/v1/nodes/{node_id}/plan": "operator",
    f"GET {OPERATOR}/interrupts": "reader",
    f"GET {OPERATOR}/plans/{{plan_id}}": "reader",
    f"GET {OPERATOR}/nodes": "reader",
    f"GET {OPERATOR}/nodes/{{node_id}}": "reader",
    f"POST {OPERATOR}/nodes/{{node_id}}/rotate": "operator",
    f"POST {OPERATOR}/nodes/{{node_id}}/revoke": "operator",
    f"POST {OPERATOR}/nodes/{{node_id}}/readmit": "operator",
    f"POST {OPERATOR}/nodes/{{node_id}}/owner": "operator",
    f"GET {OPERATOR}/review": "reader",
    f"GET {OPERATOR}/review/{{number}}": "reader",
    f"POST {OPERATOR}/review/{{number}}": "operator",
    f"GET {OPERATOR}/registration": "reader",
    f"POST {OPERATOR}/registration": "admin",
    f"GET {OPERATOR}/codes": "operator",
    f"POST {OPERATOR}/codes": "operator",
    f"POST {OPERATOR}/codes/{{code}}/withdraw": "operator",
    f"GET {OPERATOR}/tokens": "admin",
    f"POST {OPERATOR}/tokens": "admin",
    f"POST {OPERATOR}/tokens/{{name}}/revoke": "admin",
    f"GET {OPERATOR}/audit": "admin",
    f"POST {OPERATOR}/rotate-all": "operator",
}
BODIES: dict[str, Any] = {f"POST {OPERATOR}/nodes/{{node_id}}/owner": {"public": True}}
"""Bodies of calls that would say so first if they came without."""


def make(client: Client, call: str, node_id: str) -> int:
    """Make a call on a node that there is, and else on what there is not; return its status."""
    method, _, path = call.partition(" ")
    where = path.format(
        node_id=node_id, number="999999999", code="BS-1", name="nobody", plan_id="no-plan"
    )
    body = BODIES.get(call, {}) if method == "POST" else None
    return client.call(method, where, body).status


@pytest.mark.parametrize("call", CALLS)
def test_a_call_needs_its_role(
    cloud: RunningCloud, tokens: dict[str, str], node: Client, call: str
) -> None:
    """Roles below are refused, those from there on are not."""
    allowed = {
        role: make(Client(cloud.url, {"X-Admin-Key": tokens[role]}), call, node.node_id) != 403
        for role in ROLES
    }
    least = ROLES.index(CALLS[call])
    assert allowed == {role: index >= least for index, role in enumerate(ROLES)}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("key", [None, "", "operator_wrong", "\xff"])
def test_nobody_else_gets_in(cloud: RunningCloud, node: Client, call: str, key: str | None) -> None:
    """Without a key, with a wrong one, or with a node's, the answer is 401."""
    for identity in ({} if key is None else {"X-Admin-Key": key}, node.identity):
        assert make(Client(cloud.url, identity), call, node.node_id) == 401


def test_every_operators_call_is_known_here(public: Client) -> None:
    """What the API describes below /operator has a role above."""
    described = {
        f"{method.upper()} {path}"
        for path, methods in public.get("/docs/openapi.json")["paths"].items()
        for method in methods
        if path.startswith(OPERATOR)
    }
    assert described == {call for call in CALLS if OPERATOR in call}


def test_a_refusal_names_the_role_that_is_missing(
    cloud: RunningCloud, tokens: dict[str, str]
) -> None:
    """And how to get it."""
    reader = Client(cloud.url, {"X-Admin-Key": tokens["reader"]})
    reply = reader.call("POST", f"{OPERATOR}/rotate-all", {})
    assert "has the role reader; this needs operator" in reply.json["error"]
    assert tokens["reader"] not in reply.json["error"]

"""Which nodes may join: all, those with an activation code, or none."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.cloud_client import LOCATION, Client
from tests.support.operating import OPERATOR, wait_for

REGISTER = "/api/v1/nodes/register"


@pytest.fixture(autouse=True)
def restored_policy(gate: Client) -> Iterator[None]:
    """Leave the policy as the tests expect it."""
    yield
    gate.post(f"{OPERATOR}/registration", {"policy": "code"})


def make_code(gate: Client, **order: Any) -> str:
    """Make one code."""
    (made,) = gate.post(f"{OPERATOR}/codes", order)["codes"]
    code: str = made["code"]
    return code


def find_code(gate: Client, code: str) -> dict[str, Any]:
    """Return what is known of a code."""
    return next(one for one in gate.get(f"{OPERATOR}/codes")["codes"] if one["code"] == code)


def join(gate: Client, **more: Any) -> Any:
    """Try to register a node; return the reply."""
    return Client(gate.url, {}, gate.pool).call("POST", REGISTER, LOCATION | more)


def count_nodes(gate: Client) -> int:
    """Return how many nodes there are."""
    count: int = gate.get(f"{OPERATOR}/nodes")["nodes_in_all"]
    return count


def test_a_code_lets_a_node_in_and_is_used(gate: Client) -> None:
    """A code reads BS-YYYY-XXXXXXXX, lets one node in, and says which."""
    code = make_code(gate, note="for the school")
    assert re.fullmatch(r"BS-\d{4}-[2-9A-HJKMNP-Z]{8}", code)
    reply = join(gate, activation_code=code)
    assert reply.status == 200
    used = find_code(gate, code)
    assert (used["state"], used["used_by"]) == ("used", reply.json["node_id"])
    assert used["note"] == "for the school"


def test_a_node_without_a_code_is_told_what_to_do(gate: Client) -> None:
    """The refusal names the key to set; nothing is registered."""
    before = count_nodes(gate)
    reply = join(gate)
    assert reply.status == 403
    assert "cloud.activation_code" in reply.json["error"]
    assert count_nodes(gate) == before


def test_each_bad_code_is_told_apart(gate: Client) -> None:
    """Unknown, used, withdrawn and expired ones are refused, each with its reason."""
    used, withdrawn, expired = make_code(gate), make_code(gate), make_code(gate, days=1e-7)
    assert join(gate, activation_code=used).status == 200
    gate.post(f"{OPERATOR}/codes/{withdrawn}/withdraw")
    wait_for(lambda: find_code(gate, expired)["state"] == "expired")
    before = count_nodes(gate)
    for code, reason in (
        (used, "used before"),
        (withdrawn, "withdrawn"),
        (expired, "expired on 2"),
        ("BS-2026-AAAAAAAA", "not known"),
    ):
        reply = join(gate, activation_code=code)
        assert reply.status == 403
        assert reason in reply.json["error"]
        assert "operator" in reply.json["error"]
    assert count_nodes(gate) == before


@pytest.mark.parametrize(
    "code", ["x", "BS", 7, True, ["BS-2026-AAAAAAAA"], {"a": 1}, "ß" * 90, "BS-2026-\x00AAAAAAA"]
)
def test_what_is_no_code_is_not_known(gate: Client, code: Any) -> None:
    """Whatever else comes is refused like an unknown code."""
    reply = join(gate, activation_code=code)
    assert reply.status == 403
    assert "not known" in reply.json["error"]


def test_one_code_lets_one_of_fifty_in(gate: Client) -> None:
    """Fifty registrations at once with one code make exactly one node."""
    code, before = make_code(gate), count_nodes(gate)
    with ThreadPoolExecutor(50) as crowd:
        replies = list(crowd.map(lambda _: join(gate, activation_code=code), range(50)))
    assert sorted(reply.status for reply in replies) == [200] + [403] * 49
    assert count_nodes(gate) == before + 1
    (winner,) = [reply.json["node_id"] for reply in replies if reply.status == 200]
    assert find_code(gate, code)["used_by"] == winner


def test_a_registration_that_fails_leaves_its_code_valid(gate: Client) -> None:
    """A node whose location is not set may come again with the same code."""
    code = make_code(gate)
    assert join(gate, activation_code=code, latitude=None).status == 400
    assert find_code(gate, code)["state"] == "valid"
    assert join(gate, activation_code=code).status == 200


def test_a_code_is_forgiven_how_it_is_typed(gate: Client) -> None:
    """Small letters, spaces and missing dashes are no reason to refuse."""
    for change in (
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: f"  {code.replace('-', ' – ')} ",
    ):
        assert join(gate, activation_code=change(make_code(gate))).status == 200


def test_an_open_network_needs_no_code(gate: Client) -> None:
    """It takes nodes without a code, ignores a bad one, and marks a good one as used."""
    code = make_code(gate)
    gate.post(f"{OPERATOR}/registration", {"policy": "open"})
    assert join(gate).status == 200
    assert join(gate, activation_code="BS-1").status == 200
    assert join(gate, activation_code=code).status == 200
    assert find_code(gate, code)["state"] == "used"


def test_a_closed_network_takes_nobody(gate: Client) -> None:
    """Not even with a code, which stays valid; nodes that are in go on working."""
    first, second = make_code(gate), make_code(gate)
    node = Client(gate.url, {}, gate.pool).register(activation_code=first)
    gate.post(f"{OPERATOR}/registration", {"policy": "closed"})
    reply = join(gate, activation_code=second)
    assert reply.status == 403
    assert "no new nodes" in reply.json["error"]
    assert find_code(gate, second)["state"] == "valid"
    assert node.post("/api/v1/nodes/heartbeat")["ok"] is True


@pytest.mark.parametrize(
    "order",
    [
        {"count": 0},
        {"count": 1.5},
        {"count": 501},
        {"count": "many"},
        {"count": True},
        {"days": -1},
        {"days": 4_000},
        {"note": "a\x00b"},
        {"note": "x" * 201},
        [],
        "BS",
    ],
)
def test_an_odd_order_for_codes_is_refused(gate: Client, order: Any) -> None:
    """One sentence says what is wrong; no code is made."""
    before = len(gate.get(f"{OPERATOR}/codes")["codes"])
    reply = gate.call("POST", f"{OPERATOR}/codes", order)
    assert reply.status == 400
    assert reply.json["error"]
    assert len(gate.get(f"{OPERATOR}/codes")["codes"]) == before


@pytest.mark.parametrize("code", ["BS-2026-AAAAAAAA", "nothing", "%00"])
def test_withdrawing_what_is_not_there_is_told(gate: Client, code: str) -> None:
    """Only a code that is known and not used can be withdrawn."""
    assert gate.call("POST", f"{OPERATOR}/codes/{code}/withdraw").status == 404


@pytest.mark.parametrize("policy", ["OPEN", "", None, 1, ["open"]])
def test_an_unknown_policy_is_refused(gate: Client, policy: Any) -> None:
    """There are three."""
    reply = gate.call("POST", f"{OPERATOR}/registration", {"policy": policy})
    assert reply.status == 400
    assert "open, code, closed" in reply.json["error"]


def test_the_audit_names_no_code_in_full(gate: Client) -> None:
    """It says how many were made and by whom, but cannot be used to join."""
    code = make_code(gate, note="school")
    gate.post(f"{OPERATOR}/codes/{code}/withdraw")
    deeds = gate.get(f"{OPERATOR}/audit")["deeds"]
    assert [deed["action"] for deed in deeds[:2]] == ["codes.withdraw", "codes.create"]
    assert deeds[1]["detail"]["note"] == "school"
    assert code not in str(deeds)

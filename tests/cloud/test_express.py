"""The calls that are served past the framework: answered to the letter as within it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from litestar import get
from litestar.params import FromPath
from tests.support.cloud_client import Client, Reply, make_measurement

from boundless_skies.cloud.handlers import node_calls
from boundless_skies.cloud.handlers.express import Express

BEAT = {"conditions": {"state": "observing"}}
CASES: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "beat": ("POST", "/api/v1/nodes/heartbeat", BEAT, {}),
    "beat that is no JSON": ("POST", "/api/v1/nodes/heartbeat", b"{", {}),
    "beat that is a list": ("POST", "/api/v1/nodes/heartbeat", [], {}),
    "beat in another form": ("POST", "/api/v1/nodes/heartbeat", b"a=1", {"Content-Type": "a/b"}),
    "beat in another packing": (
        "POST",
        "/api/v1/nodes/heartbeat",
        b"x",
        {"Content-Encoding": "br"},
    ),
    "beat too long": ("POST", "/api/v1/nodes/heartbeat", b" " * (1 << 21), {}),
    "beat with a wrong key": ("POST", "/api/v1/nodes/heartbeat", BEAT, {"X-Api-Key": "node_no"}),
    "no plan": ("GET", "/api/v1/plan", None, {}),
    "no interrupts": ("GET", "/api/v1/interrupts", None, {}),
    "wait that is no number": ("GET", "/api/v1/interrupts?wait=x", None, {}),
    "short wait": ("GET", "/api/v1/interrupts?wait=0.01", None, {}),
    "measurement that breaks a rule": (
        "POST",
        "/api/v1/measurements",
        {"measurement": make_measurement(bjd=5), "conditions": {}},
        {},
    ),
    "measurement with a wrong key": (
        "POST",
        "/api/v1/measurements",
        make_measurement(),
        {"X-Api-Key": "node_no"},
    ),
    "batch without items": ("POST", "/api/v1/measurements/batch", {}, {}),
    "batch of refusals": ("POST", "/api/v1/measurements/batch", {"items": [1, None]}, {}),
    "the methods": ("OPTIONS", "/api/v1/plan", None, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_both_ways_answer_alike(node: Client, case: str) -> None:
    """Status, headers and body are those of the framework, which a slash at the end leads to."""
    method, path, body, headers = CASES[case]
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    bare, _, query = path.partition("?")
    quick = node.send(method, path, raw, headers)
    usual = node.send(method, f"{bare}/?{query}", raw, headers)
    assert _told(quick) == _told(usual)


def test_a_plan_is_the_same_both_ways(
    node: Client, operator: Client, fresh_name: Callable[[str], str]
) -> None:
    """A plan comes whole, and with 304 and no body where the node has it."""
    item = {"target": fresh_name("Mira"), "ra": 2.32, "dec": -2.98, "startTime": "22:30"}
    operator.post(f"/api/v1/nodes/{node.node_id}/plan", {"items": [item]})
    quick, usual = (node.send("GET", f"/api/v1/plan{end}") for end in ("", "/"))
    assert quick.json["plan"]["items"][0]["ra"] == 2.32
    assert _told(quick) == _told(usual)
    known = {"If-None-Match": quick.headers["etag"]}
    quick, usual = (node.send("GET", f"/api/v1/plan{end}", None, known) for end in ("", "/"))
    assert (quick.status, quick.body) == (304, b"")
    assert _told(quick) == _told(usual)


def test_a_handler_that_asks_for_more_is_refused_at_the_start() -> None:
    """A handler with a path parameter cannot be served so, and that is told at once."""

    @get("/x/{name:str}")
    async def odd(name: FromPath[str]) -> dict[str, str]:
        return {"name": name}

    with pytest.raises(ValueError, match="asks for more"):
        Express(_nowhere, None, [*node_calls.CONSTANT_CALLS, odd])  # type: ignore[arg-type]


async def _nowhere(*_: Any) -> None:
    raise AssertionError


def _told(reply: Reply) -> tuple[int, dict[str, str], Any]:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    for own in ("date", "x-request-id"):
        headers.pop(own, None)
    body = reply.body.replace(b"/?", b"?")
    shown = json.loads(body) if body else b""
    if isinstance(shown, dict):
        shown.pop("server_time", None)
    return reply.status, headers, shown

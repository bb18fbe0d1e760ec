"""The API's description, held against a running cloud with every check of schemathesis on."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import schemathesis
from astropy.io import fits
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import ADMIN_KEY, RunningCloud, running_cloud

SEED = 20260301
NODE = "hilltop"
WAIT_MAX_S = 0.01
TIME_MAX_S = 150
INTERRUPTS = 7
"""The example is the seventh."""
LAST = ("give_new_key", "register", "set_registration", "revoke_node", "readmit_node")
"""Calls whose examples would shut out the others, in an order that works."""


@pytest.fixture
def free_cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """Run a cloud of its own."""
    with running_cloud(tmp_path / "data") as running:
        yield running


@pytest.fixture
def hilltop(free_cloud: RunningCloud) -> Client:
    """Register the node of the examples, with a measurement."""
    node = Client(free_cloud.url).register(NODE)
    node.post("/api/v1/measurements", make_measurement())
    return node


@pytest.mark.parametrize(
    "drawn",
    [
        pytest.param(False, id="edges"),
        pytest.param(True, id="drawn", marks=pytest.mark.soak),
    ],
)
@pytest.mark.timeout(300)
def test_every_check_holds(free_cloud: RunningCloud, hilltop: Client, drawn: bool) -> None:
    """What the description says is what the cloud does: good data, bad data, keys, methods.

    The ordinary run goes through the examples and the edges of every schema; what is
    drawn at random comes on top in the soak.
    """
    document = hilltop.get("/docs/openapi.json")
    schema = schemathesis.openapi.from_dict(document, config=_config(free_cloud, hilltop, drawn))
    found: dict[str, list[str]] = {}
    errors: list[str] = []
    calls = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            calls += len(event.recorder.interactions)
            for label, message in _failures(event):
                found.setdefault(label, []).append(message)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            errors.append(str(getattr(event, "value", None) or event.exception))
    told = [f"{label} ({len(all_)}): {all_[0]}" for label, all_ in sorted(found.items())]
    assert not told, "\n\n".join(told)
    assert not errors, errors
    assert calls > 1_000


def _failures(event: Any) -> Iterator[tuple[str, str]]:
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                case = event.recorder.cases[case_id].value
                sent = (
                    f"{case.method} {case.path} {case.path_parameters} {case.query} {case.body!r}"
                )
                why = check.failure_info.failure
                label = f"{case.method} {case.path} {check.name}"
                yield label, f"{why}\n    {sent[:1500]}"


@pytest.fixture
def furnished(free_cloud: RunningCloud, hilltop: Client) -> Client:
    """Bring about what the examples speak of; return a client with every key."""
    operator = Client(free_cloud.url, {"X-Admin-Key": ADMIN_KEY})
    plan = hilltop.get("/docs/openapi.json")["paths"]["/api/v1/plan"]["get"]["responses"]["200"]
    document = plan["content"]["application/json"]["example"]["plan"]
    operator.post(f"/api/v1/nodes/{NODE}/plan", document)
    for _ in range(INTERRUPTS):
        operator.post("/api/v1/interrupts", {"name": "SN 2026abc", "ra_deg": 1, "dec_deg": 2})
    hilltop.post("/api/v1/measurements", make_measurement())
    return Client(free_cloud.url, hilltop.identity | operator.identity)


def test_every_example_is_answered_as_described(
    furnished: Client, examples: dict[str, str]
) -> None:
    """Sent to a cloud that has what they speak of, the examples are answered with 200."""
    answers = {}
    for path, method, operation in _in_order(furnished.get("/docs/openapi.json")):
        reply = _send_example(furnished, examples, path, method, operation)
        answers[f"{method} {path}"] = (reply.status, reply.body[:200])
    wrong = {call: answer for call, answer in answers.items() if answer[0] != 200}
    assert not wrong
    assert len(answers) > 30


@pytest.fixture
def examples(furnished: Client) -> dict[str, str]:
    """Return what stands for each part of a path."""
    stored = furnished.upload(_make_frame(), "ss_cyg_0001.fits").json["stored"]
    code = furnished.post("/api/v1/operator/codes", {})["codes"][0]["code"]
    furnished.post("/api/v1/operator/tokens", {"name": "bob", "role": "reader"})
    return {
        "node_id": NODE,
        "name": "bob",
        "code": code,
        "number": "1",
        "sha256": stored.removesuffix(".fits"),
    }


def _in_order(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    calls = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    place = {name: number for number, name in enumerate(LAST)}
    return sorted(calls, key=lambda call: place.get(call[2]["operationId"], -1))


def _send_example(
    client: Client, examples: dict[str, str], path: str, method: str, operation: dict[str, Any]
) -> Any:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            name = parameter["name"]
            value = parameter.get("example", examples.get(name))
            path = path.replace(f"{{{name}}}", quote(str(value)))
    body = operation.get("requestBody")
    if body is None:
        return client.call(method.upper(), path)
    (media_type, content), *_ = body["content"].items()
    if media_type == "multipart/form-data":
        return client.upload(b"any bytes")
    return client.call(method.upper(), path, content["example"])


def _make_frame() -> bytes:
    file = io.BytesIO()
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    fits.PrimaryHDU(pixels).writeto(file)
    return file.getvalue()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Keep to what the description says in words: which parameters belong together.

    ``wait`` is shortened, for a minute of waiting is no minute of testing.
    """
    query = case.query
    if not query:
        return
    if _above(query.get("wait"), WAIT_MAX_S):
        query["wait"] = WAIT_MAX_S
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if query.get("format") == "aavso":
        query["format"] = "csv"
    if "period_d" not in query:
        query.pop("epoch_bjd", None)
        query.pop("fold", None)
    if _above(query.get("from"), query.get("to")):
        query["from"], query["to"] = query["to"], query["from"]


def _above(value: Any, limit: Any) -> bool:
    """Tell whether two values are numbers, and the first is the greater."""
    try:
        return float(value) > float(limit)
    except (TypeError, ValueError):
        return False


def _config(cloud: RunningCloud, node: Client, drawn: bool) -> SchemathesisConfig:
    keys = {
        "nodeId": node.identity["X-Node-Id"],
        "nodeKey": node.identity["X-Api-Key"],
        "operatorKey": ADMIN_KEY,
    }
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "max-time": TIME_MAX_S,
            "base-url": cloud.url,
            "continue-on-failure": True,
            "generation": {"max-examples": 6, "deterministic": True, "no-shrink": True},
            "phases": {
                "coverage": {"unexpected-methods": ["DELETE", "TRACE"]},
                "fuzzing": {"enabled": drawn},
                "stateful": {"enabled": drawn},
            },
            "auth": {"openapi": {name: {"api_key": key} for name, key in keys.items()}},
            "checks": {
                "enabled": True,
                "negative_data_rejection": {"expected-statuses": ["4xx"]},
            },
        }
    )

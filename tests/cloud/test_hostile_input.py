"""Whatever is sent, the answer below /api is JSON with the right status, never a page or a 5xx."""

import contextlib
import gzip
import json
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud_client import Client, Reply, make_measurement
from tests.support.cloud_server import RunningCloud

MEASUREMENTS = "/api/v1/measurements"
NODE_POSTS = [
    "/api/v1/nodes/heartbeat",
    MEASUREMENTS,
    "/api/v1/measurements/batch",
    "/api/v1/plan/some-plan/events",
    "/api/v1/interrupts/1/events",
]
MIB = 1 << 20

BAD_JSON = {
    "empty": b"",
    "cut": b'{"measurement": {"bjd": 24610',
    "bare word": b"hello",
    "NaN": b'{"bjd": NaN}',
    "infinity": b'{"bjd": -Infinity}',
    "beyond a float": b'{"bjd": 1e999}',
    "lone surrogate": b'{"target_name": "\\ud800"}',
    "not UTF-8": b'{"target_name": "\xff\xfe"}',
    "deep list": b"[" * 100_000 + b"]" * 100_000,
    "deep object": b'{"a":' * 500 + b"1" + b"}" * 500,
    "two values": b"{} {}",
    "NUL bytes": b"\x00\x00",
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "a text": b'"x"',
}


def assert_refused(reply: Reply, *statuses: int) -> None:
    """Check that an answer is a JSON error with one of these statuses."""
    assert reply.status in statuses, reply
    assert reply.headers["content-type"].startswith("application/json")
    assert isinstance(reply.json["error"], str)
    assert reply.json["error"]


@pytest.mark.parametrize("path", NODE_POSTS)
@pytest.mark.parametrize("fault", sorted(BAD_JSON))
def test_a_bad_body_is_refused(node: Client, path: str, fault: str) -> None:
    """What is no JSON object is answered with 400."""
    assert_refused(node.send("POST", path, BAD_JSON[fault]), 400)


@pytest.mark.parametrize("fault", sorted(BAD_JSON))
def test_a_bad_registration_is_refused(public: Client, operator: Client, fault: str) -> None:
    """The registration and the operator's call are held to the same."""
    assert_refused(public.send("POST", "/api/v1/nodes/register", BAD_JSON[fault]), 400)
    assert_refused(operator.send("POST", "/api/v1/interrupts", BAD_JSON[fault]), 400)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "x", "\xff", ";;;"],
)
def test_another_media_type_is_refused(node: Client, content_type: str) -> None:
    """Only JSON is read as JSON."""
    raw = json.dumps(make_measurement()).encode()
    assert_refused(node.send("POST", MEASUREMENTS, raw, {"Content-Type": content_type}), 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_every_spelling_of_json_is_read(node: Client, content_type: str) -> None:
    """A charset or another case does no harm."""
    raw = json.dumps(make_measurement()).encode()
    assert node.send("POST", MEASUREMENTS, raw, {"Content-Type": content_type}).status == 200


def test_a_large_body_is_refused(node: Client) -> None:
    """A body over the limit is answered with 413, announced or not, and the answer arrives."""
    raw = json.dumps(make_measurement(notes="x" * 2 * MIB)).encode()
    assert_refused(node.send("POST", MEASUREMENTS, raw), 413)
    chunks = (raw[start : start + 65_536] for start in range(0, len(raw), 65_536))
    assert_refused(node.send("POST", MEASUREMENTS, chunks), 413)


def test_a_gzip_bomb_is_refused(node: Client) -> None:
    """Packed bytes are unpacked up to the limit and no further."""
    bomb = gzip.compress(b'{"items": [' + b" " * 64 * MIB + b"]}", 1)
    packed = {"Content-Encoding": "gzip"}
    assert_refused(node.send("POST", "/api/v1/measurements/batch", bomb, packed), 413)


@pytest.mark.parametrize(
    ("encoding", "raw", "status"),
    [
        ("gzip", b"no gzip at all", 400),
        ("gzip", gzip.compress(b'{"items": []}', mtime=0)[:-9], 400),
        ("br", b"{}", 415),
        ("gzip, gzip", b"{}", 415),
    ],
)
def test_a_bad_encoding_is_refused(node: Client, encoding: str, raw: bytes, status: int) -> None:
    """Broken gzip and other encodings get a clear answer."""
    reply = node.send("POST", "/api/v1/measurements/batch", raw, {"Content-Encoding": encoding})
    assert_refused(reply, status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/plan", 404),
        ("GET", "/api/%00", 404),
        ("GET", "/api/v1/%ff%fe", 404),
        ("DELETE", "/api/v1/plan", 405),
        ("PUT", "/api/v1/measurements", 405),
        ("GET", "/api/v1/nodes/register", 405),
        ("GET", "/api/v1/measurements", 405),
        ("PATCH", "/api/v1/nodes/me", 405),
        ("POST", "/api/v1/interrupts/99999999999999999999999/ack", 404),
        ("POST", "/api/v1/interrupts/4611686018427387904/ack", 404),
        ("POST", "/api/v1/interrupts/-1/ack", 404),
        ("POST", "/api/v1/interrupts/0/ack", 404),
        ("POST", "/api/v1/interrupts/x/ack", 404),
        ("POST", "/api/v1/interrupts/1%00/ack", 404),
        ("GET", "/api/v1/lightcurves/SS%20Cyg?days=x", 400),
        ("GET", "/api/v1/lightcurves/SS%20Cyg?days=-1", 400),
        ("GET", "/api/v1/lightcurves/SS%20Cyg?days=nan", 400),
    ],
)
def test_a_wrong_place_is_answered_in_json(
    node: Client, method: str, path: str, status: int
) -> None:
    """404, 405 and wrong parameters are JSON too."""
    raw = b"{}" if method in ("POST", "PUT", "PATCH") else None
    reply = node.send(method, path, raw)
    assert_refused(reply, status)
    if status == 405:
        assert reply.headers["allow"]


def test_a_key_that_is_no_key_is_refused(node: Client) -> None:
    """An Idempotency-Key is short and printable."""
    for key in ("x" * 201, "a b", "ä".encode().decode("latin-1")):
        reply = node.call("POST", MEASUREMENTS, make_measurement(), Idempotency_Key=key)
        assert_refused(reply, 400)


@pytest.mark.parametrize(
    "body",
    [
        {"conditions": 5},
        {"conditions": [1]},
        {"conditions": "x"},
    ],
)
def test_odd_conditions_are_refused(node: Client, body: Any) -> None:
    """A beat's conditions are an object."""
    assert_refused(node.call("POST", "/api/v1/nodes/heartbeat", body), 400)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        *make_measurement(),
        *("measurement", "conditions", "items", "events", "node_id", "latitude", "longitude"),
        *("horizon_mask", "filters", "event_id", "state", "name", "ra_deg", "dec_deg"),
        *("node_ids", "mag", "expires_hours", "utc_offset_hours", "queued_uploads"),
    ]
)
BODIES = (
    st.dictionaries(FIELDS, JSON_VALUES, max_size=8)
    | st.dictionaries(FIELDS, JSON_VALUES, max_size=8).map(
        lambda odd: {"measurement": make_measurement() | odd}
    )
    | st.lists(JSON_VALUES, max_size=3).map(lambda odd: {"items": odd, "events": odd})
    | JSON_VALUES
)


@given(body=BODIES)
def test_no_body_breaks_a_call(node: Client, operator: Client, body: Any) -> None:
    """Any JSON value sent to any call is answered with 200 or a 4xx, in JSON."""
    calls = [(node, path) for path in NODE_POSTS]
    calls += [(node, "/api/v1/nodes/register"), (operator, "/api/v1/interrupts")]
    for client, path in calls:
        reply = client.call("POST", path, body)
        assert 200 <= reply.status < 500, (path, reply)
        assert isinstance(reply.json, dict)


@given(raw=st.binary(max_size=200))
def test_no_bytes_break_a_call(node: Client, raw: bytes) -> None:
    """Any bytes at all are answered with a 4xx in JSON."""
    for path in ("/api/v1/nodes/register", MEASUREMENTS):
        assert_refused(node.send("POST", path, raw or b"\x00"), 400)


def test_half_open_requests_block_nobody(cloud: RunningCloud, node: Client) -> None:
    """200 connections that never finish their request leave the cloud answering."""
    head = b"POST /api/v1/measurements HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    with contextlib.ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", cloud.port), timeout=30)
            )
            connection.sendall(head if number % 2 else head + b"\r\n{")
        assert node.post("/api/v1/nodes/heartbeat", {})["ok"] is True


def test_keys_never_reach_the_log(cloud: RunningCloud, node: Client) -> None:
    """The log has neither a node's key nor the operator's."""
    node.call("GET", "/api/v1/plan")
    log = cloud.log.read_text()
    assert node.identity["X-Api-Key"] not in log
    assert cloud.admin_key not in log


def test_answers_carry_security_headers(node: Client) -> None:
    """Every answer has them, and none names the server's software or allows other origins."""
    for path in ("/", "/api/v1/health", "/api/v1/nothing", "/nothing"):
        headers = {k.lower(): v for k, v in node.call("GET", path).headers.items()}
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
        if headers["content-type"].startswith("text/html"):
            assert "default-src 'self'" in headers["content-security-policy"]

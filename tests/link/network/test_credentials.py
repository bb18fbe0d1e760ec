"""Credentials: who may read them, where they go, and where they never show."""

import json
import logging
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import (
    Answer,
    CaptureServer,
    Request,
    capture_server,
    in_turn,
    wait_until,
)
from tests.support.links import (
    BEAT,
    IMAGES,
    INTERRUPTS,
    KEY,
    MEASUREMENTS,
    NODE_ID,
    PLAN,
    REGISTER,
    Links,
    nth,
)

from cloud_communicator import CloudCommunicator, ConfigError, transport

STATE = "cloud_state.json"
NEW = {"node_id": "", "api_key": ""}


def tick(link: CloudCommunicator, times: int = 1) -> None:
    """Let both threads do their work here and now."""
    for _ in range(times):
        link._heartbeat_tick(threading.Event())
        link._plan_tick(threading.Event())


# -- files --------------------------------------------------------------------------------


@pytest.fixture
def open_to_all() -> Iterator[None]:
    """Run with a umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_to_all")
def test_files_are_private_from_their_creation(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file below the folder is opened 0600 and stays so, whatever the umask."""
    modes: dict[str, int] = {}
    opened = os.open

    def spy(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(links.folder)):
            modes[Path(path).name] = mode
        return opened(path, flags, mode, **options)

    monkeypatch.setattr(os, "open", spy)
    server.rules[REGISTER] = Answer(body={"node_id": "n", "api_key": KEY})
    server.rules[MEASUREMENTS] = Answer(422)
    server.rules[IMAGES] = Answer(500)
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [{"id": 7}]})
    callbacks = {"on_interrupt": lambda _interrupt: None}
    link = links.make(server.url, callbacks, **NEW, upload_images=True)
    link.start()
    link.stop()
    link.submit_measurement(nth(1), fits_path=__file__)
    tick(link, 4)
    assert {STATE + ".tmp", "cloud_upload_rejected.jsonl", "cloud_interrupts.jsonl"} <= set(modes)
    assert set(modes.values()) == {0o600}
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in links.folder.iterdir()}
    assert STATE in found
    assert set(found.values()) == {0o600}


def test_readable_state_file_is_made_private(server: CaptureServer, links: Links) -> None:
    """One that an older client left open to all is closed when it is read."""
    links.folder.mkdir()
    state = links.folder / STATE
    state.write_text(json.dumps({"node_id": "n", "api_key": KEY}))
    state.chmod(0o644)
    links.make(server.url, **NEW)
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


@pytest.mark.parametrize("data", [b"", b"{", b"\x00" * 90, b"[]", b'{"node_id": 7}', b"\xff" * 9])
def test_damaged_state_file_is_put_aside_and_told(
    server: CaptureServer, links: Links, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """The link starts all the same, and registers where it has no credentials left."""
    links.folder.mkdir()
    (links.folder / STATE).write_bytes(data)
    link = links.make(server.url, **NEW)
    if not data.startswith(b'{"'):
        assert "is damaged" in caplog.text
        assert (links.folder / f"{STATE}.damaged").read_bytes() == data
        assert "registers anew" in link.status["error"]
    tick(link)
    assert link.status["registered"] is True
    assert len(server.to(REGISTER)) == 1


def test_damaged_state_file_that_cannot_be_put_aside_stops_no_start(
    server: CaptureServer, links: Links
) -> None:
    """Explicit credentials need no state file."""
    (links.folder / f"{STATE}.damaged" / "full").mkdir(parents=True)
    (links.folder / STATE).write_bytes(b"{")
    assert links.make(server.url).submit_measurement(nth(1)) is True


# -- the key shows nowhere ----------------------------------------------------------------


def _garbage(request: Request) -> Answer:
    return Answer(raw=request.headers["x-api-key"].encode() + b" \r\n\r\n")


def _error(request: Request) -> Answer:
    return Answer(500, {"error": f"bad key {request.headers['x-api-key']} here"})


def _page(request: Request) -> Answer:
    return Answer(403, f"<p>{request.headers}</p>".encode())


def _behind_much(request: Request) -> Answer:
    return Answer(500, b" " * 1192 + request.headers["x-api-key"].encode())


def _refused(request: Request) -> Answer:
    return Answer(422, {"error": str(request.headers)})


def _away(request: Request) -> Answer:
    return Answer(302, b"", {"Location": f"http://other/?key={request.headers['x-api-key']}"})


def _header(request: Request) -> Answer:
    key = request.headers["x-api-key"].encode()
    return Answer(raw=b"HTTP/1.1 200 OK\r\nX-Api-Key " + key + b"\r\nContent-Length: x\r\n\r\n{}")


def _text(request: Request) -> Answer:
    return Answer(200, request.headers["x-api-key"].encode())


def _plan(request: Request) -> Answer:
    key = request.headers["x-api-key"]
    return Answer(body={"plan": {"plan_id": [key], "items": key}, "interrupts": [{"id": [key]}]})


ECHOES = [_garbage, _error, _page, _behind_much, _refused, _away, _header, _text, _plan]


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
def test_key_shows_nowhere_even_if_the_cloud_sends_it_back(
    server: CaptureServer,
    links: Links,
    caplog: pytest.LogCaptureFixture,
    echo: Any,
) -> None:
    """Not in the log, not in the status, nor a repr, nor any file but the state's."""
    for path in (BEAT, PLAN, INTERRUPTS, MEASUREMENTS, f"{INTERRUPTS}/7/ack"):
        server.rules[path] = echo
    with caplog.at_level(logging.DEBUG):
        link = links.make(server.url)
        link.submit_measurement(nth(1))
        tick(link)
        server.rules[BEAT] = Answer()
        tick(link, 4)
    shown = [caplog.text, repr(link.status), repr(link), repr(link._identity)]
    shown += [repr(link._settings), str(link)]
    shown += [path.read_bytes().decode("latin-1") for path in links.folder.glob("*")]
    for text in shown:
        assert KEY not in text
        assert KEY[:10] not in text


@pytest.mark.parametrize("value", [17, ["sk-secret"], {"k": "sk-secret"}, b"sk-secret"])
def test_config_error_names_the_key_and_shows_no_value(value: Any) -> None:
    """A key of a wrong type is not printed."""
    with pytest.raises(ConfigError, match=r"cloud\.api_key") as caught:
        CloudCommunicator({"cloud": {"enabled": True, "api_key": value}})
    assert "secret" not in str(caught.value)
    assert "17" not in str(caught.value)


@pytest.mark.parametrize("name", ["api_key", "node_id"])
@pytest.mark.parametrize("value", ["two\nlines", "a\r\nX-Evil: 1", "ключ", "sp ace", "k" * 600])
def test_credentials_that_no_header_can_carry_are_refused(name: str, value: str) -> None:
    """At construction, without showing them."""
    with pytest.raises(ConfigError, match=rf"cloud\.{name}") as caught:
        CloudCommunicator({"cloud": {"enabled": True, name: value}})
    assert value not in str(caught.value)


# -- redirects ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_never_followed(server: CaptureServer, links: Links, status: int) -> None:
    """The other origin gets nothing, the measurement stays, the status says what to do."""
    with capture_server() as other:
        for path in (BEAT, PLAN, INTERRUPTS, MEASUREMENTS):
            location = {"Location": other.url + path}
            server.rules[path] = Answer(status, b"", location)
        link = links.make(server.url)
        assert link.submit_measurement(nth(1)) is False
        tick(link, 2)
        assert other.requests == []
        assert link.status["queued_uploads"] == 1
        assert other.url in link.status["error"]
        assert "cloud.url" in link.status["error"]


def test_redirected_registration_gives_no_identity(server: CaptureServer, links: Links) -> None:
    """Nobody but the configured cloud names this node."""
    with capture_server() as other:
        server.rules[REGISTER] = Answer(307, b"", {"Location": other.url + REGISTER})
        link = links.make(server.url, **NEW)
        tick(link)
        assert other.requests == []
        assert link.status["registered"] is False


# -- plain http ---------------------------------------------------------------------------


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every name be a public host, and note whom the link would connect to."""
    tried: list[str] = []

    def refuse(_sock: Any, address: Any, *_args: Any) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: found)
    monkeypatch.setattr(transport, "_connect_within", refuse)
    return tried


@pytest.mark.parametrize("host", ["cloud.example.org", "93.184.216.34", "93.184.216.34:8800"])
def test_plain_http_to_a_public_host_is_refused(
    links: Links, connects: list[str], host: str
) -> None:
    """No connection is even begun; the status says what to change."""
    link = links.make(f"http://{host}")
    assert link.submit_measurement(nth(1)) is False
    tick(link)
    assert connects == []
    assert link.status["queued_uploads"] == 1
    assert "https://" in link.status["error"]
    assert "cloud.allow_http" in link.status["error"]


def test_plain_http_to_a_public_host_is_refused_to_a_new_node_too(
    links: Links, connects: list[str]
) -> None:
    """A key must not come down readable either."""
    tick(links.make("http://cloud.example.org", **NEW))
    assert connects == []


def test_plain_http_to_a_public_host_goes_where_it_is_allowed(
    links: Links, connects: list[str]
) -> None:
    """cloud.allow_http is the owner's word."""
    links.make("http://cloud.example.org", allow_http=True).submit_measurement(nth(1))
    assert connects == ["93.184.216.34"]


def test_https_to_a_public_host_goes(links: Links, connects: list[str]) -> None:
    """It is the rule that this is about plain http only."""
    links.make("https://cloud.example.org").submit_measurement(nth(1))
    assert connects == ["93.184.216.34"]


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.1.20", True),
        ("192.169.1.20", False),
        ("169.254.10.1", True),
        ("fe80::1%eth0", True),
        ("fd12:3456::1", True),
        ("2606:4700::1111", False),
        ("::ffff:8.8.8.8", False),
        ("::ffff:192.168.1.1", True),
        ("8.8.8.8", False),
        ("1.1.1.1", False),
        ("localhost", True),
        ("localhost.example.org", False),
        ("192.168.1.1.example.org", False),
        ("", False),
    ],
)
def test_private_networks_are_told_from_public_hosts(address: str, private: bool) -> None:
    """Loopback, link-local and the private ranges are private, and nothing else."""
    assert transport._is_private(address) is private


def test_plain_http_to_loopback_goes_with_a_warning_once(
    server: CaptureServer, links: Links, caplog: pytest.LogCaptureFixture
) -> None:
    """The owner is told that the way is readable."""
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is True
    tick(link, 2)
    assert caplog.text.count("plain http") == 1


def test_name_that_moves_to_a_public_host_gets_no_key(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the address at each connection, not the name's first one."""
    tried: list[Any] = []
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: found)
    link = links.make(f"http://cloud.localhost:{server.port}")
    assert link.submit_measurement(nth(1)) is True
    found[:] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]
    monkeypatch.setattr(transport, "_connect_within", lambda *args: tried.append(args))
    server.rules[MEASUREMENTS] = Answer(headers={"Connection": "close"}, close=True)
    link.submit_measurement(nth(2))
    assert link.submit_measurement(nth(3)) is False
    assert tried == []


# -- whose word counts --------------------------------------------------------------------


@pytest.mark.parametrize("in_state", [True, False])
@pytest.mark.parametrize("in_config", [True, False])
@pytest.mark.parametrize("in_environment", [True, False])
def test_environment_wins_over_config_wins_over_state(
    server: CaptureServer,
    links: Links,
    monkeypatch: pytest.MonkeyPatch,
    in_environment: bool,
    in_config: bool,
    in_state: bool,
) -> None:
    """Each is asked in turn; without any the node registers."""
    if in_environment:
        monkeypatch.setenv("BOUNDLESS_NODE_ID", "env-node")
        monkeypatch.setenv("BOUNDLESS_API_KEY", "env-key")
    if in_state:
        links.folder.mkdir()
        state = {"node_id": "state-node", "api_key": "state-key"}
        (links.folder / STATE).write_text(json.dumps(state))
    configured = {"node_id": "config-node", "api_key": "config-key"} if in_config else NEW
    link = links.make(server.url, **configured)
    tick(link)
    asked = [("env", in_environment), ("config", in_config), ("state", in_state)]
    winner = next((name for name, there in asked if there), None)
    beat = server.to(BEAT)[0].headers
    expected = (f"{winner}-node", f"{winner}-key") if winner else ("node-1", "key-1")
    assert (beat["x-node-id"], beat["x-api-key"]) == expected
    assert len(server.to(REGISTER)) == (winner is None)


def test_environment_is_not_written_to_disk(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is handed in by the environment stays there."""
    monkeypatch.setenv("BOUNDLESS_NODE_ID", NODE_ID)
    monkeypatch.setenv("BOUNDLESS_API_KEY", KEY)
    link = links.started(server.url, **NEW)
    server.wait_for(BEAT)
    link.stop()
    assert all(KEY.encode() not in path.read_bytes() for path in links.folder.iterdir())


# -- 401 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [BEAT, PLAN, INTERRUPTS, MEASUREMENTS])
def test_401_is_told_with_what_to_do_and_makes_no_new_identity(
    server: CaptureServer, links: Links, path: str
) -> None:
    """The owner decides; the link goes on with the identity that it has."""
    server.rules[path] = Answer(401, {"error": "invalid node credentials"})
    link = links.make(server.url)
    link.submit_measurement(nth(1))
    tick(link, 3)
    error = link.status["error"]
    for word in ("401", "invalid node credentials", "cloud.node_id", "cloud.api_key"):
        assert word in error
    assert server.to(REGISTER) == []
    assert link.status["registered"] is True
    assert server.to(path)[-1].headers["x-node-id"] == NODE_ID


def test_401_of_saved_credentials_makes_no_new_identity(
    server: CaptureServer, links: Links
) -> None:
    """Nor after a registration that the cloud has forgotten."""
    link = links.started(server.url, **NEW)
    server.wait_for(BEAT)
    server.rules[BEAT] = Answer(401, {"error": "who?"})
    server.wait_for(BEAT, len(server.to(BEAT)) + 4)
    assert len(server.to(REGISTER)) == 1
    assert STATE in link.status["error"]


def test_credentials_that_are_mended_work_again(server: CaptureServer, links: Links) -> None:
    """When the operator takes the node back, all that waited arrives."""
    server.rules[MEASUREMENTS] = server.rules[BEAT] = in_turn(*[Answer(401)] * 4, Answer())
    link = links.started(server.url, heartbeat_interval=0.1)
    link.submit_measurement(nth(1))
    wait_until(lambda: link.status["queued_uploads"] == 0)
    wait_until(lambda: link.status["error"] is None)

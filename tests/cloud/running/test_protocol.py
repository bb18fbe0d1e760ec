"""Peers that are slow, silent or too many."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from tests.support.capture_server import wait_until
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud

from boundless_skies.cloud.serving.protocol import JoinedWrites, Patience, PatientProtocol
from boundless_skies.cloud.web import exchange_of

SHORT = Patience(head_s=0.3, head_bytes=8 << 10, take_s=0.3, connections=100)
LONG = Patience(head_s=60, head_bytes=8 << 10, take_s=60, connections=3)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNK = bytes(1 << 20)
HALF_OPEN = 500


class App:
    """Reads a body, answers with its length; or answers early, or sends without end."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        size, more = 0, scope["path"] != "/early"
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/much":
            for _ in range(64):
                await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        await send({"type": "http.response.body", "body": str(size).encode()})
        self.ended.set()


class WholeApp(App):
    """Answers in one piece, with the body that came in one piece; or says that there is none."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        del receive, send
        exchange = exchange_of(scope)
        assert exchange is not None
        exchange.marks = b"x-mark: 1\r\n"
        body = exchange.take_body()
        if scope["path"] == "/much":
            body = CHUNK * 64
        elif body is None:
            body = b"in pieces"
        try:
            await exchange.answer(200, b"content-length: %d\r\n" % len(body), body)
            if scope["path"] == "/twice":
                await exchange.answer(200, b"", b"")
        finally:
            self.ended.set()


@contextlib.contextmanager
def served(app: App, patience: Patience) -> Iterator[int]:
    """Serve an app with some patience; give its port."""
    protocol = type("Protocol", (PatientProtocol,), {"patience": patience})
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started, what="the server starts")
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def connected(port: int, sent: bytes = b"") -> Iterator[socket.socket]:
    """Connect, and send something."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
        peer.sendall(sent)
        yield peer


def read_all(peer: socket.socket) -> bytes:
    """Return what comes until the other side ends the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := peer.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost:", b"\r\n\r\n"])
def test_a_peer_that_never_finishes_its_head_is_cut(head: bytes) -> None:
    """Silence, half a head and blank lines all end without an answer."""
    with served(App(), SHORT) as port, connected(port, head) as peer:
        assert read_all(peer) == b""


def test_a_second_half_request_is_cut_too() -> None:
    """The patience is for each request, not for the first alone."""
    with served(App(), SHORT) as port, connected(port, REQUEST) as peer:
        assert b"200 OK" in peer.recv(1 << 16)
        peer.sendall(b"GET / HTTP")
        assert read_all(peer) == b""


def test_a_slow_body_is_left_to_the_handler() -> None:
    """Once a head is whole its time is over; the body has limits of its own."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    with served(App(), SHORT) as port, connected(port, head) as slow:
        with connected(port) as silent:
            assert read_all(silent) == b""  # the time for a head is over
        slow.sendall(b"ab")
        assert read_all(slow).endswith(b"2\r\n0\r\n\r\n")


def test_a_head_without_end_is_refused() -> None:
    """Headers beyond the limit get 431, and the connection ends."""
    endless = b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (16 << 10)
    with served(App(), LONG) as port, connected(port, endless) as peer:
        assert read_all(peer).startswith(b"HTTP/1.1 431 ")


def test_a_peer_that_does_not_take_its_answer_is_cut() -> None:
    """The handler is let go, although nobody reads what it sends."""
    app = App()
    with served(app, SHORT) as port:
        ask = b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
        with connected(port, ask):
            assert app.ended.wait(30)


def test_a_slow_reader_gets_everything() -> None:
    """A peer that takes its answer bit by bit is no peer that does not take it."""
    with served(App(), replace(SHORT, take_s=60)) as port:
        ask = b"GET /much HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with connected(port, ask) as peer:
            assert len(read_all(peer)) > 64 * len(CHUNK)


def test_a_connection_too_many_is_told_so() -> None:
    """It gets 503, the others stay; a place that becomes free is given away again."""
    with served(App(), LONG) as port, contextlib.ExitStack() as held:
        peers = [held.enter_context(connected(port, REQUEST)) for _ in range(3)]
        assert all(b"200 OK" in peer.recv(1 << 16) for peer in peers)
        with connected(port) as peer:
            refusal = read_all(peer)
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in refusal
        peers[0].close()
        wait_until(lambda: _is_answered(port), what="a place is free")


def test_requests_in_one_packet_are_answered_in_order() -> None:
    """What a peer sends ahead waits for its turn, also where a body ends in a later packet."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n"
    first = REQUEST + post % (3, b"") + b"abc" + post % (5, b"Connection: close\r\n") + b"ab"
    with served(App(), LONG) as port, connected(port, first) as peer:
        peer.sendall(b"cde")
        bodies = [part.split(b"\r\n\r\n")[1] for part in read_all(peer).split(b"HTTP/1.1 200")[1:]]
    assert [body.split(b"\r\n")[1] for body in bodies] == [b"0", b"3", b"5"]


def test_a_body_that_comes_after_its_answer_is_passed_over() -> None:
    """A refusal does not wait for the body; the next request on the connection is understood."""
    head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab"
    with served(App(), LONG) as port, connected(port, head) as peer:
        assert b"200 OK" in peer.recv(1 << 16)
        peer.sendall(b"cd" + REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(peer).endswith(b"0\r\n0\r\n\r\n")


def test_an_answers_head_and_body_leave_together() -> None:
    """Writes of one moment are one; much leaves at once, and nothing is lost at a close."""

    class Wire:
        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def is_closing(self) -> bool:
            return False

        def write(self, data: bytes) -> None:
            self.sent.append(data)

        def close(self) -> None:
            self.sent.append(b"closed")

    async def answer() -> list[bytes]:
        wire = Wire()
        joined = JoinedWrites(wire, asyncio.get_running_loop())  # type: ignore[arg-type]
        joined.write(b"head ")
        joined.write(b"body")
        await asyncio.sleep(0)
        joined.write(b"much ")
        joined.write(CHUNK)
        joined.write(b"last")
        joined.close()
        await asyncio.sleep(0)
        return wire.sent

    assert asyncio.run(answer()) == [b"head body", b"much " + CHUNK, b"last", b"closed"]


def test_whole_bodies_are_answered_whole_and_in_order() -> None:
    """Also several in one packet; a body of which a part is missing is not handed over."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n"
    first = post % (3, b"") + b"abc" + REQUEST + post % (4, b"Connection: close\r\n") + b"de"
    with served(WholeApp(), LONG) as port, connected(port, first) as peer:
        parts = read_all(peer).split(b"HTTP/1.1 200 OK\r\n")[1:]
    heads, bodies = zip(*[part.split(b"\r\n\r\n") for part in parts], strict=True)
    assert bodies == (b"abc", b"", b"in pieces")
    assert all(b"x-mark: 1" in head and b"date: " in head for head in heads)
    assert [b"connection: close" in head for head in heads] == [False, False, True]


@pytest.mark.parametrize(
    ("ask", "ends"),
    [(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok", True), (b"", False)],
)
def test_a_whole_answer_ends_the_connection_where_the_peer_wants_it(ask: bytes, ends: bool) -> None:
    """As for HTTP/1.0; any other goes on, and a packing in chunks is whole as well."""
    chunked = (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    with served(WholeApp(), LONG) as port, connected(port, ask or chunked) as peer:
        answer = peer.recv(1 << 16)
        assert answer.endswith(b"\r\n\r\nok")
        assert (b"connection: close" in answer) == ends
        if ends:
            assert read_all(peer) == b""
        else:
            peer.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert read_all(peer).startswith(b"HTTP/1.1 200 OK")


def test_a_whole_answer_waits_for_a_slow_reader_and_not_for_one_that_is_gone() -> None:
    """All of it arrives; where nobody takes it the connection is cut."""
    ask = b"GET /much HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with served(WholeApp(), replace(SHORT, take_s=60)) as port, connected(port, ask) as peer:
        assert read_all(peer).endswith(CHUNK)
    app = WholeApp()
    with served(app, SHORT) as port, connected(port, ask + ask):
        assert app.ended.wait(30)


def test_a_second_whole_answer_is_the_programs_fault() -> None:
    """The first one stands, and the connection is closed."""
    ask = b"GET /twice HTTP/1.1\r\nHost: x\r\n\r\n"
    with served(WholeApp(), LONG) as port, connected(port, ask) as peer:
        assert read_all(peer).count(b"HTTP/1.1") == 1


def test_half_open_requests_hinder_nobody(cloud: RunningCloud, node: Client) -> None:
    """Five hundred peers that never finish their request leave nodes their answers."""
    with contextlib.ExitStack() as held:
        for _ in range(HALF_OPEN):
            held.enter_context(connected(cloud.port, b"GET /api/v1/plan HTTP/1.1\r\nX-Slow:"))
        for _ in range(10):
            node.post("/api/v1/nodes/heartbeat")


def _is_answered(port: int) -> bool:
    with connected(port, REQUEST) as peer:
        return b"200 OK" in peer.recv(1 << 16)

"""A real HTTP server on loopback that keeps every request and answers as told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

_KEPT_BYTES = 4_000_000


@dataclass
class Request:
    """One request as it arrived; ``at`` is monotonic seconds.

    Of a body above 4 MB only the size is kept.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    connection: tuple[str, int]
    size: int = 0

    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)


@dataclass
class Answer:
    """What to answer: a status, a body (bytes, or anything that JSON has a form for), headers.

    ``raw`` writes these bytes instead of an answer; ``act`` runs with the open socket.
    """

    status: int = 200
    body: Any = field(default_factory=lambda: {"ok": True})
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    raw: bytes | None = None
    act: Callable[[Any], None] | None = None
    close: bool = False


Rule = Answer | Callable[[Request], Answer]


class CaptureServer:
    """Answers by (method, path) or path; a rule is an Answer or a function of the request."""

    def __init__(self, port: int = 0, tls: SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.rules: dict[str, Rule] = {
            "/api/v1/nodes/register": Answer(body={"node_id": "node-1", "api_key": "key-1"}),
            "/api/v1/plan": Answer(body={"plan": None}),
            "/api/v1/interrupts": Answer(body={"interrupts": []}),
        }
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self._scheme = "https" if tls else "http"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                if tls is not None:  # here, in the connection's own thread
                    self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()  # the server closes only the socket below TLS

            def handle_any(self) -> None:
                outer._handle(self)

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - names of the base class

            def log_message(self, *_args: Any) -> None:
                """Stay quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_args: Any) -> None:
                """Stay quiet: a client that left early is no news."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._open: set[Any] = set()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Base URL."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def _handle(self, handler: Any) -> None:
        self._open.add(handler.connection)
        length = int(handler.headers.get("Content-Length") or 0)
        body = self._body(handler.rfile, length)
        request = Request(
            handler.command,
            handler.path,
            {name.lower(): value for name, value in handler.headers.items()},
            body,
            time.monotonic(),
            handler.client_address,
            length,
        )
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        bare = request.path.partition("?")[0]
        names = (f"{request.method} {request.path}", request.path, bare)
        rule = next((self.rules[name] for name in names if name in self.rules), None)
        answer = rule(request) if callable(rule) else rule or Answer()
        if answer.delay_s:
            self.closing.wait(answer.delay_s)
        self._answer(handler, answer)

    @staticmethod
    def _body(stream: Any, length: int) -> bytes:
        if length <= _KEPT_BYTES:
            return bytes(stream.read(length))
        while length and (piece := stream.read(min(length, 65_536))):
            length -= len(piece)
        return b""

    @staticmethod
    def _answer(handler: Any, answer: Answer) -> None:
        if answer.act is not None:
            answer.act(handler.connection)
            handler.close_connection = True
            return
        if answer.raw is not None:
            handler.wfile.write(answer.raw)
            handler.close_connection = True
            return
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = handler.close_connection or answer.close

    def to(self, path: str) -> list[Request]:
        """Return the requests to a path."""
        return [request for request in list(self.requests) if request.path == path]

    def wait_for(self, path: str, count: int = 1, timeout_s: float = 20.0) -> list[Request]:
        """Wait until so many requests came to a path."""
        with self.changed:
            arrived = self.changed.wait_for(lambda: len(self.to(path)) >= count, timeout_s)
        assert arrived, f"{len(self.to(path))} of {count} requests to {path} in {timeout_s} s"
        return self.to(path)

    def close(self) -> None:
        """Stop listening and cut every open connection."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(2)
                connection.close()
            except OSError:
                continue


def in_turn(*answers: Answer) -> Callable[[Request], Answer]:
    """Answer with each in turn, and with the last for ever."""
    left = list(answers)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def capture_server(port: int = 0, tls: SSLContext | None = None) -> Iterator[CaptureServer]:
    """Run a capture server."""
    server = CaptureServer(port, tls)
    try:
        yield server
    finally:
        server.close()


def wait_until(holds: Callable[[], Any], timeout_s: float = 20.0, what: str = "") -> Any:
    """Poll until something holds; fails with what was waited for."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        if found := holds():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout_s} s: {what or holds}")

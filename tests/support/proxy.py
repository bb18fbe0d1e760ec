"""A small real HTTP proxy: forwards absolute requests, tunnels CONNECT, keeps what it was asked."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Proxy:
    """Runs on loopback; ``asked`` holds "METHOD target" of each request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                outer._note(self)
                outer._forward(self)

            def tunnel(self) -> None:
                outer._note(self)
                outer._tunnel(self)

            do_GET = do_POST = forward  # noqa: N815 - names of the base class
            do_CONNECT = tunnel  # noqa: N815

            def log_message(self, *_args: Any) -> None:
                """Stay quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_args: Any) -> None:
                """Stay quiet."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def _note(self, handler: Any) -> None:
        self.asked.append(f"{handler.command} {handler.path}")
        self.authorizations.append(handler.headers.get("Proxy-Authorization"))

    @staticmethod
    def _forward(handler: Any) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with closing(HTTPConnection("127.0.0.1", parts.port or 80, timeout=10)) as onward:
            onward.request(handler.command, parts.path, body, dict(handler.headers.items()))
            reply = onward.getresponse()
            data = reply.read()
        handler.send_response(reply.status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    @staticmethod
    def _tunnel(handler: Any) -> None:
        port = int(handler.path.rpartition(":")[2])
        with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as onward:
            handler.send_response(200)
            handler.end_headers()
            ends = {handler.connection: onward, onward: handler.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65_536)
                    if not data:
                        handler.close_connection = True
                        return
                    ends[end].sendall(data)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxy() -> Iterator[Proxy]:
    """Run a proxy."""
    running = Proxy()
    try:
        yield running
    finally:
        running.close()

"""Peers that misbehave: silent, dripping, endless, or deaf from the first packet on."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.support.capture_server import Answer

_DRIP_S = 0.2
_HEAD = b"HTTP/1.1 200 OK\r\n"


def _silent(connection: socket.socket) -> None:
    connection.settimeout(60)
    connection.recv(1)


def _drip(head: bytes, drop: bytes) -> Callable[[Any], None]:
    def act(connection: socket.socket) -> None:
        connection.settimeout(_DRIP_S)
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    return act


def _pour(head: bytes, piece: bytes) -> Callable[[Any], None]:
    def act(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return act


SILENT = Answer(act=_silent)
DRIPPING_HEADERS = Answer(act=_drip(_HEAD + b"X-Long: ", b"x"))
DRIPPING_BODY = Answer(act=_drip(_HEAD + b"Content-Length: 5000\r\n\r\n", b" "))
DRIPPING_CHUNKS = Answer(act=_drip(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"))
ENDLESS_BODY = Answer(act=_pour(_HEAD + b"\r\n", b" " * 65_536))
ENDLESS_HEADERS = Answer(act=_pour(_HEAD, b"X-More: yes\r\n" * 100))
ENDLESS_CONTINUE = Answer(act=_pour(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100))

SLOW = {
    "silent": SILENT,
    "dripping headers": DRIPPING_HEADERS,
    "dripping body": DRIPPING_BODY,
    "dripping chunks": DRIPPING_CHUNKS,
    "endless body": ENDLESS_BODY,
    "endless 100 Continue": ENDLESS_CONTINUE,
}


@contextmanager
def black_hole() -> Iterator[int]:
    """Give a port whose connections never come about: its backlog is full and nobody accepts."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])


@contextmanager
def deaf_resolver() -> Iterator[Callable[..., Any]]:
    """Give a getaddrinfo that answers only when the test is over."""
    over = threading.Event()

    def getaddrinfo(*_args: Any, **_options: Any) -> Any:
        over.wait(60)
        raise socket.gaierror("the test is over")

    try:
        yield getaddrinfo
    finally:
        over.set()

"""Servers are found by a broadcast, whatever else answers to it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from boundless_skies.node.devices.alpaca.discovery import discover


@contextmanager
def responder(*answers: bytes) -> Iterator[int]:
    """Answer each question with these datagrams; gives the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)

        def answer() -> None:
            question, asker = sock.recvfrom(100)
            if question == b"alpacadiscovery1":
                for content in answers:
                    sock.sendto(content, asker)

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(sock.getsockname()[1])
        thread.join(10)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"AlpacaPort": "11111"}',
        b'{"AlpacaPort": 0}',
        b'{"AlpacaPort": 70000}',
        b"\xff\xfe",
        b"[" * 1_000,
    ],
)
def test_server_is_found_among_garbage(garbage: bytes) -> None:
    """An answer that is none is passed over, and the next one counts."""
    with responder(garbage, b'{"AlpacaPort": 11111}', b'{"AlpacaPort": 11111}') as port:
        assert discover(0.3, [("127.0.0.1", port)]) == ("127.0.0.1:11111",)


def test_flood_of_answers_comes_to_an_end() -> None:
    """A computer that answers without end fills no memory."""
    flood = [b'{"AlpacaPort": %d}' % port for port in range(1, 101)]
    with responder(*flood) as port:
        assert len(discover(0.5, [("127.0.0.1", port)])) == 64

"""HTTP calls to an Alpaca server, each bounded in time and size whatever the server does."""

import http.client
import queue
import select
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Event
from typing import Any
from urllib.parse import urlencode, urlsplit

from boundless_skies.node.devices.errors import DeviceUnreachable, Stopped

ALPACA_PORT = 11111
"""Where a server is, unless its address says another port."""

_SLICE_S = 0.1
_ANSWER_MAX_BYTES = 2_000_000
_OK = 200
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Answer:
    """The body of an answer, and what it says it is."""

    content_type: str
    body: bytes


class _Bound:
    """The time that a call may still take, and who may end it before."""

    def __init__(self, limit_s: float, stop: Event | None) -> None:
        self._until_s = time.monotonic() + limit_s
        self._stop = stop

    def slice_s(self) -> float:
        """Return a short time to wait; raises where none is left, or stop is asked for."""
        if self._stop is not None and self._stop.is_set():
            raise Stopped("The call was given up: stop was asked for.")
        left_s = self._until_s - time.monotonic()
        if left_s <= 0.0:
            raise TimeoutError
        return min(left_s, _SLICE_S)


class _BoundSocket(socket.socket):
    """A socket whose waits together last no longer than the call: drips count like silence."""

    bound: _Bound

    def recv_into(self, *args: Any) -> int:
        while True:
            self.settimeout(self.bound.slice_s())
            with suppress(TimeoutError):
                return super().recv_into(*args)

    def sendall(self, data: Any, *args: Any) -> None:
        rest = memoryview(data)
        while rest:
            self.settimeout(self.bound.slice_s())
            with suppress(TimeoutError):
                rest = rest[super().send(rest, *args) :]


class _Connection(http.client.HTTPConnection):
    """A connection to a server, kept open between calls."""

    bound: _Bound

    def connect(self) -> None:
        self.sock = _connected(self.host, self.port, self.bound)

    def bind(self, bound: _Bound) -> None:
        """Let this call's time count from here on."""
        self.bound = bound
        if isinstance(self.sock, _BoundSocket):
            self.sock.bound = bound

    def stands(self) -> bool:
        """Return whether the connection is open still, with nothing left over on it."""
        return self.sock is not None and not select.select([self.sock], [], [], 0)[0]

    def __del__(self) -> None:
        """Close with the server that it belonged to."""
        with suppress(Exception):
            self.close()


class Server:
    """An Alpaca server: calls to it, from any thread.

    The system's proxy is not used: a telescope stands in the same network.

    Parameters
    ----------
    address : str
        ``host``, ``host:port`` or ``[IPv6]:port``.
    timeout_s : float, optional
        How long a call may take in all, seconds.

    Raises
    ------
    DeviceUnreachable
        If the address is none.
    """

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._host, self._port = host_and_port(address)
        self._idle: list[_Connection] = []
        self._guard = threading.Lock()
        self._calls = 0

    def get(
        self,
        path: str,
        *,
        limit_s: float | None = None,
        accept: str = "application/json",
        most_bytes: int = _ANSWER_MAX_BYTES,
        stop: Event | None = None,
    ) -> Answer:
        """Ask for a value.

        Parameters
        ----------
        path : str
            Path on the server.
        limit_s : float, optional
            How long it may take in all; else the server's own limit.
        accept : str, optional
            Which form the answer should have.
        most_bytes : int, optional
            The largest answer that is read.
        stop : Event, optional
            Gives the call up.

        Returns
        -------
        Answer
            What the server said, with HTTP status 200.

        Raises
        ------
        DeviceUnreachable
            If no such answer came.
        Stopped
            If `stop` was set.
        """
        target = f"{path}?{urlencode(self._identity())}"
        return self._call("GET", target, None, accept, limit_s, most_bytes, stop)

    def put(
        self,
        path: str,
        values: dict[str, str],
        *,
        limit_s: float | None = None,
        stop: Event | None = None,
    ) -> Answer:
        """Give an order. It is sent once only: a telescope that got it twice would do it twice.

        Parameters
        ----------
        path : str
            Path on the server.
        values : dict of str to str
            The order's parameters.
        limit_s : float, optional
            How long it may take in all; else the server's own limit.
        stop : Event, optional
            Gives the call up.

        Returns
        -------
        Answer
            What the server said, with HTTP status 200.

        Raises
        ------
        DeviceUnreachable
            If no such answer came; the order may have arrived all the same.
        Stopped
            If `stop` was set; the order may have arrived all the same.
        """
        body = urlencode(values | self._identity()).encode()
        return self._call("PUT", path, body, "application/json", limit_s, _ANSWER_MAX_BYTES, stop)

    def close(self) -> None:
        """Close the connections that no call uses."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _identity(self) -> dict[str, str]:
        with self._guard:
            self._calls += 1
            return {
                "ClientID": str(id(self) % 65_536),
                "ClientTransactionID": str(self._calls),
            }

    def _call(
        self,
        method: str,
        target: str,
        body: bytes | None,
        accept: str,
        limit_s: float | None,
        most_bytes: int,
        stop: Event | None,
    ) -> Answer:
        seconds = self.timeout_s if limit_s is None else limit_s
        bound = _Bound(seconds, stop)
        connection = self._take(bound)
        was_kept = connection.sock is not None
        try:
            try:
                answer = _exchange(connection, method, target, body, accept, most_bytes)
            except ConnectionError:
                # A kept connection may be closed by the server while the question is on its way.
                if not was_kept or method != "GET":
                    raise
                connection.close()
                connection = self._new_connection(bound)
                answer = _exchange(connection, method, target, body, accept, most_bytes)
        except (DeviceUnreachable, Stopped):
            connection.close()
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise DeviceUnreachable(f"{self.address} {_words(error, seconds)}.") from error
        self._give_back(connection)
        return answer

    def _take(self, bound: _Bound) -> _Connection:
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        if connection is not None and connection.stands():
            connection.bind(bound)
            return connection
        if connection is not None:
            connection.close()
        return self._new_connection(bound)

    def _new_connection(self, bound: _Bound) -> _Connection:
        connection = _Connection(self._host, self._port)
        connection.bind(bound)
        return connection

    def _give_back(self, connection: _Connection) -> None:
        if connection.sock is None:  # the server wished to close it
            return
        with self._guard:
            self._idle.append(connection)


def host_and_port(address: str) -> tuple[str, int]:
    """Return the parts of ``host:port``.

    Parameters
    ----------
    address : str
        Also ``http://host:port``, a bare host, and ``[IPv6]:port``.

    Returns
    -------
    tuple of str and int
        Host without brackets, and port.

    Raises
    ------
    DeviceUnreachable
        If the text is no such address.
    """
    try:
        parts = urlsplit(f"//{address.strip().removeprefix('http://')}")
        host, port = parts.hostname, parts.port or ALPACA_PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.path.strip("/") or any(char.isspace() for char in host):
        raise DeviceUnreachable(
            f"{address!r} is no address of an Alpaca server; write it like 192.168.1.20:11111."
        )
    return host, port


def _exchange(
    connection: _Connection,
    method: str,
    target: str,
    body: bytes | None,
    accept: str,
    most_bytes: int,
) -> Answer:
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, target, body, headers)
    with connection.getresponse() as response:
        content = response.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise ValueError(f"answers with more than {most_bytes:,} bytes")
        if response.length:
            raise http.client.IncompleteRead(content, response.length)
        _require_success(response, target, content)
        return Answer(response.getheader("Content-Type") or "", content)


def _require_success(response: http.client.HTTPResponse, target: str, content: bytes) -> None:
    if response.status == _OK:
        return
    said = " ".join(content[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace").split())
    words = f": {said[:_SHOWN_CHARACTERS]}" if said else ""
    name = target.partition("?")[0].rpartition("/")[2]
    raise DeviceUnreachable(
        f"The Alpaca server answers {name} with HTTP status {response.status}{words}.",
        status=response.status,
    )


def _connected(host: str, port: int, bound: _Bound) -> socket.socket:
    """Try each address of a host; the last failure is told."""
    failure: OSError = OSError(f"the name {host} has no address")
    for family, kind, protocol, _, address in _addresses(host, port, bound):
        sock = _BoundSocket(family, kind, protocol)
        sock.bound = bound
        try:
            _connect(sock, address, bound)
        except OSError as error:
            sock.close()
            failure = error
        except Stopped:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _connect(sock: _BoundSocket, address: Any, bound: _Bound) -> None:
    sock.setblocking(False)
    with suppress(BlockingIOError):
        sock.connect(address)
    while not select.select([], [sock], [], bound.slice_s())[1]:
        pass
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, "it cannot be connected to")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _addresses(host: str, port: int, bound: _Bound) -> list[Any]:
    """Look a name up; a resolver that hangs, which no time limit reaches, is left behind."""
    with suppress(ValueError):
        ip_address(host.partition("%")[0])
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    found: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=look_up, name="telescope-resolve", daemon=True).start()
    while True:
        with suppress(queue.Empty):
            answer = found.get(timeout=bound.slice_s())
            if isinstance(answer, Exception):
                raise OSError(f"cannot be found: no such name ({answer})")
            return answer


def _words(error: Exception, limit_s: float) -> str:
    match error:
        case TimeoutError():
            return f"gave no whole answer within {limit_s:g} s"
        case ConnectionResetError() | BrokenPipeError() | http.client.RemoteDisconnected():
            return "broke the connection off"
        case http.client.IncompleteRead():
            return f"broke its answer off after {len(error.partial):,} bytes"
        case http.client.HTTPException():
            return f"gives no answer in HTTP ({type(error).__name__})"
        case OSError(errno=int()):
            return "cannot be connected to: nothing listens there, or it is switched off"
        case _:
            return str(error)

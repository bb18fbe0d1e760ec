"""HTTP calls that end in time, whatever the network does.

urllib3's connections speak HTTP, TLS and to proxies. What they do not bound is
bounded here: the sockets ask, before each wait, how much of the call's whole
time is left, so that bytes which drip in one by one use up the same seconds as
silence. A thread has one connection, so urllib3's pools are not needed.
"""

import errno
import http.client
import ipaddress
import logging
import os
import queue
import select
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Url, parse_url

from cloud_communicator.errors import (
    BadReply,
    Cancelled,
    ConnectionBroken,
    InsecureTransport,
    LinkFailure,
    NoConnection,
    TimedOut,
)

log = logging.getLogger("cloud_communicator")

REPLY_MAX_BYTES = 8_000_000
_SLICE_S = 0.1
_LEAST_S = 0.001
_BLOCK_BYTES = 65_536


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its headers (names in any case), its whole body."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class _Budget(threading.local):
    """The time that is left to this thread's call, and who may end it early."""

    until = 0.0
    connect_until = 0.0
    cancel: Event | None = None
    sockets: "weakref.WeakSet[socket.socket] | None" = None
    connected = 0
    check_peer: Callable[[str], None] | None = None

    def left_s(self) -> float:
        """Return what is left of the call; raises when it is used up or cancelled."""
        if self.cancel is not None and self.cancel.is_set():
            raise _StoppedError
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's time is used up")
        return max(left, _LEAST_S)


class _StoppedError(OSError):
    """The call was cancelled."""


_budget = _Budget()
_registry = threading.Lock()
"""Held while sockets are added to a thread's, or listed to be aborted."""


class _TimedSocket(socket.socket):
    """A socket whose every wait is bounded by what is left of the call."""

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_budget.left_s())
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        self.settimeout(_budget.left_s())
        super().sendall(*args)


class _TimedTlsSocket(ssl.SSLSocket):
    """The same for TLS, where ``sendall`` is a loop over ``send``."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_budget.left_s())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_budget.left_s())
        return super().send(*args, **kwargs)

    def do_handshake(self, block: bool = False) -> None:
        _register(self)
        self.settimeout(min(_budget.left_s(), _connect_left_s()))
        super().do_handshake(block)


def _register(sock: socket.socket) -> None:
    if _budget.sockets is not None:
        with _registry:
            _budget.sockets.add(sock)


def _connect_left_s() -> float:
    return max(_budget.connect_until - time.monotonic(), _LEAST_S)


def _slice_s() -> float:
    """Return a short wait within what is left to connect; raises when that is used up."""
    left = min(_budget.left_s(), _budget.connect_until - time.monotonic())
    if left <= 0:
        raise TimeoutError("no connection in time")
    return min(left, _SLICE_S)


def _resolve(host: str, port: int) -> list[Any]:
    """Look a name up; a resolver that hangs is left behind in its own thread."""
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=look_up, name="cloud-resolve", daemon=True).start()
    while True:
        with suppress(queue.Empty):
            found = answer.get(timeout=_slice_s())
            if isinstance(found, BaseException):
                raise OSError(f"the name {host} cannot be resolved ({found})")
            return list(found)


def _connect(host: str, port: int) -> socket.socket:
    """Try each address of a host until one answers; a dead one takes its share of the time only."""
    failure: OSError = OSError(f"the name {host} has no address")
    addresses = _resolve(host.strip("[]"), port)
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        if _budget.check_peer is not None:
            _budget.check_peer(str(address[0]))
        share_s = _connect_left_s() / (len(addresses) - tried)
        sock = _TimedSocket(family, kind, protocol)
        try:
            _register(sock)
            _connect_within(sock, address, time.monotonic() + share_s)
        except _StoppedError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _connect_within(sock: socket.socket, address: Any, until: float) -> None:
    sock.setblocking(False)
    code = sock.connect_ex(address)
    while code in (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK):
        if time.monotonic() >= until:
            raise TimeoutError("no connection in time")
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        if poll.poll(_slice_s() * 1000):
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    sock.settimeout(_budget.left_s())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _OnePacket(HTTPConnection):
    """Sends a small request's head and body together: one packet less on a weak Wi-Fi."""

    _head = b""
    putheader = http.client.HTTPConnection.putheader

    def _new_conn(self) -> socket.socket:
        sock = _connect(self._dns_host, self.port)
        _budget.connected += 1
        return sock

    def send(self, data: Any) -> None:
        is_head = isinstance(data, bytes) and data.endswith(b"\r\n\r\n")
        if is_head and not self._head and not data.startswith(b"CONNECT "):
            self._head = data
            return
        head, self._head = self._head, b""
        super().send(head + data if isinstance(data, bytes) else data)

    def ask(self, method: str, target: str, body: Any, headers: dict[str, str]) -> None:
        """Send the whole request, without what urllib3 adds for the answers that it makes."""
        http.client.HTTPConnection.request(self, method, target, body, headers)

    def answer(self) -> Reply:
        """Read the whole answer; raises BadReply or HTTPException if there is none."""
        head, self._head = self._head, b""
        if head:
            super().send(head)
        with http.client.HTTPConnection.getresponse(self) as response:
            body = response.read(REPLY_MAX_BYTES + 1)
            _check_whole(response, body)
        return Reply(response.status, response.headers, body)

    def close(self) -> None:
        self._head = b""
        super().close()

    def __del__(self) -> None:
        """Close with the thread that it belonged to."""
        with suppress(Exception):
            self.close()


def _check_whole(response: http.client.HTTPResponse, body: bytes) -> None:
    """Raise unless this is one whole final answer: a torn one must not pass for a yes."""
    if len(body) > REPLY_MAX_BYTES:
        raise BadReply(f"the answer is larger than {REPLY_MAX_BYTES} bytes")
    if response.status < HTTPStatus.OK:  # the final answer would be taken for the next call's
        raise BadReply(f"the cloud gave an interim answer only ({response.status})")
    unsized = response.length is None and not response.chunked
    if response.length or (unsized and not body):
        raise http.client.IncompleteRead(body, response.length)


class _TlsConnection(_OnePacket, HTTPSConnection):
    """TLS to the cloud, through a proxy's tunnel where one is set."""

    tunnel: tuple[str, int, dict[str, str]] | None = None

    def connect(self) -> None:
        if self.tunnel:
            self.set_tunnel(*self.tunnel)  # anew each time: close() forgets it
        super().connect()


class _Session(threading.local):
    """One thread's connection, and what stands before each path on it."""

    connection: _OnePacket | None = None
    prefix = ""
    extra_headers: dict[str, str]
    process_id = 0
    sockets: "weakref.WeakSet[socket.socket] | None" = None


class Transport:
    """Calls to one cloud: each bounded in time, one kept-alive connection a thread.

    Redirects are never followed: the key goes to the configured origin only.

    Parameters
    ----------
    url : str
        Base URL of the cloud.
    connect_timeout_s : float
        Time for name, connection and TLS together.
    allow_http : bool
        Whether the key may travel readable to public hosts.
    user_agent : str
        Names this program and its version.
    """

    def __init__(
        self, url: str, connect_timeout_s: float, *, allow_http: bool, user_agent: str
    ) -> None:
        self.url = url
        self._connect_timeout_s = connect_timeout_s
        self._user_agent = user_agent
        self._parts = urlsplit(url)
        self._secure = self._parts.scheme == "https" or allow_http
        self._session = _Session()
        self._tls: ssl.SSLContext | None = None
        self._guard = threading.Lock()
        self._open_sockets: list[tuple[int, weakref.WeakSet[socket.socket]]] = []
        self._warned = self._secure

    # -- one call -----------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        body: Any = None,
        timeout_s: float,
        total_s: float | None = None,
        cancel: Event | None = None,
        again: bool = True,
    ) -> Reply:
        """Make one call.

        Parameters
        ----------
        method : str
            HTTP method.
        path : str
            Path below the base URL.
        headers : dict
            Headers beside ``User-Agent``.
        body : bytes or a readable file or None
            What is sent; a file needs its Content-Length among the headers.
        timeout_s : float
            Time for sending and the whole answer, after the connection stands.
        total_s : float, optional
            A tighter bound on everything together.
        cancel : threading.Event, optional
            Ends the call when set, together with `abort`.
        again : bool
            Whether a call that a kept-alive connection did not survive is made anew.

        Returns
        -------
        Reply
            Whatever the cloud answered, of any status.

        Raises
        ------
        LinkFailure
            If there was no answer; the class tells why.
        """
        all_headers = {"User-Agent": self._user_agent, **headers}
        now = time.monotonic()
        whole_s = self._connect_timeout_s + timeout_s
        _budget.until = now + (whole_s if total_s is None else min(whole_s, total_s))
        _budget.connect_until = min(now + self._connect_timeout_s, _budget.until)
        _budget.cancel = cancel
        _budget.connected = 0
        try:
            return self._call(method, path, all_headers, body)
        except ConnectionBroken:
            # A kept-alive connection that the cloud closed while this call set out: nothing
            # was answered, and the idempotency key makes the second try the same request.
            if _budget.connected or not again or not isinstance(body, bytes | None):
                raise
            return self._call(method, path, all_headers, body)

    def _call(self, method: str, path: str, headers: dict[str, str], body: Any) -> Reply:
        connection = self._connection()
        headers = headers | self._session.extra_headers
        try:
            self._open(connection)
            with suppress(BrokenPipeError):  # a cloud may refuse a body before it has all of it
                connection.ask(method, self._session.prefix + path, body, headers)
            return connection.answer()
        except LinkFailure:
            connection.close()
            raise
        except (http.client.HTTPException, HTTPError, OSError, ValueError) as error:
            connection.close()
            raise self._broken(error) from error

    def _open(self, connection: _OnePacket) -> None:
        """Connect unless the kept-alive connection still stands."""
        if connection.is_connected:
            return
        connection.close()
        try:
            connection.connect()
        except (OSError, HTTPError, ValueError) as error:
            raise self._unconnected(error) from error

    def _unconnected(self, error: Exception) -> LinkFailure:
        host = self._parts.netloc
        if _is_stopped(error):
            return Cancelled("the link is being stopped")
        if isinstance(error, TimeoutError):
            return NoConnection(f"no connection to {host} within {self._connect_timeout_s:g} s")
        trusted = "" if not isinstance(error, ssl.SSLError | HTTPError) else "trusted "
        return NoConnection(f"no {trusted}connection to {host}: {_words(error)}")

    def _broken(self, error: Exception) -> LinkFailure:
        host = self._parts.netloc
        if _is_stopped(error):
            return Cancelled("the link is being stopped")
        if isinstance(error, TimeoutError):
            return TimedOut(f"no whole answer from {host} in time")
        return ConnectionBroken(f"the connection to {host} broke off: {_words(error)}")

    # -- connections --------------------------------------------------------------------

    def _connection(self) -> _OnePacket:
        """Return this thread's connection, whether it stands or not."""
        session = self._session
        if session.connection is None or session.process_id != os.getpid():
            session.process_id = os.getpid()  # a fork shares no socket
            session.sockets = weakref.WeakSet()
            session.connection = self._new_connection()
            self._note_thread(session.sockets)
        _budget.sockets = session.sockets
        direct = session.connection.proxy is None
        _budget.check_peer = self._check_peer if direct and not self._secure else None
        if not (direct or self._secure):
            self._check_peer(self._parts.hostname or "")
        return session.connection

    def _note_thread(self, sockets: "weakref.WeakSet[socket.socket]") -> None:
        with self._guard:
            alive = {thread.ident for thread in threading.enumerate()}
            self._open_sockets = [pair for pair in self._open_sockets if pair[0] in alive]
            self._open_sockets.append((threading.get_ident(), sockets))

    def _new_connection(self) -> _OnePacket:
        secure = self._parts.scheme == "https"
        host = self._parts.hostname or ""
        port = self._parts.port or (443 if secure else 80)
        proxy = self._proxy()
        self._session.prefix, self._session.extra_headers = self._parts.path, {}
        at = {"host": proxy.host, "port": proxy.port} if proxy else {"host": host, "port": port}
        options: dict[str, Any] = {"blocksize": _BLOCK_BYTES, "proxy": proxy, **at}
        if not secure:
            if proxy:
                self._session.prefix = self.url
                self._session.extra_headers = _proxy_headers(proxy)
            return _OnePacket(**options)
        connection = _TlsConnection(ssl_context=self._tls_context(), **options)
        if proxy:
            connection.tunnel = (host, port, _proxy_headers(proxy))
        return connection

    def _proxy(self) -> Url | None:
        """Return the system's proxy for this cloud, if there is one."""
        host = self._parts.hostname or ""
        if proxy_bypass(f"{host}:{self._parts.port}" if self._parts.port else host):
            return None
        proxies = getproxies()
        address = proxies.get(self._parts.scheme) or proxies.get("all")
        if not address:
            return None
        try:
            proxy = parse_url(address if "://" in address else f"http://{address}")
        except HTTPError:
            raise NoConnection("the system's proxy setting is no address; mend it") from None
        if proxy.scheme != "http" or not proxy.host:
            raise NoConnection(
                f"the proxy {proxy.scheme}://{proxy.host} is of a kind that the link does not "
                "speak; set HTTP_PROXY and HTTPS_PROXY to an http:// proxy"
            )
        return proxy._replace(port=proxy.port or 80)

    def _tls_context(self) -> ssl.SSLContext:
        with self._guard:
            if self._tls is None:
                context = ssl.create_default_context()
                context.sslsocket_class = _TimedTlsSocket
                _trust_bundle(context)
                self._tls = context
            return self._tls

    def _check_peer(self, address: str) -> None:
        """Refuse to send a key readable to a public host; warn once on a private one."""
        if not _is_private(address):
            raise InsecureTransport(
                f"cloud.url is plain http and {self._parts.hostname} is a public host: the key "
                "would travel readable. Write https://, or set cloud.allow_http: true."
            )
        if not self._warned:
            self._warned = True
            log.warning("%s is plain http: whoever can listen on the way reads the key.", self.url)

    def abort(self, thread_ids: set[int]) -> None:
        """End the calls of these threads now; their ``cancel`` must be set before."""
        with self._guard, _registry:
            sockets = [
                s for ident, group in self._open_sockets if ident in thread_ids for s in group
            ]
        for sock in sockets:
            with suppress(OSError, ValueError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _trust_bundle(context: ssl.SSLContext) -> None:
    """Trust the certificates that the system names for requests and curl as well."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if bundle := os.environ.get(variable):
            where = {"capath" if Path(bundle).is_dir() else "cafile": bundle}
            try:
                context.load_verify_locations(**where)
            except OSError as error:  # SSLError is one
                raise NoConnection(
                    f"{variable} names {bundle}, which holds no certificates "
                    f"({_words(error)}); mend it or take the variable away"
                ) from error
            return


def _is_stopped(error: Exception) -> bool:
    return isinstance(error, _StoppedError) or bool(_budget.cancel and _budget.cancel.is_set())


def _proxy_headers(proxy: Url) -> dict[str, str]:
    if not proxy.auth:
        return {}
    return dict(urllib3.make_headers(proxy_basic_auth=unquote(proxy.auth)))


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "verify_message", None) or str(error)
    return " ".join(str(text).split()) or type(error).__name__


def _is_private(address: str) -> bool:
    if address == "localhost" or address.endswith(".localhost"):
        return True
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    return ip.is_loopback or ip.is_link_local or (ip.is_private and not ip.is_unspecified)

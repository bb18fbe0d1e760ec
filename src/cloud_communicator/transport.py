"""HTTP calls that end in time, whatever the network does.

urllib3 speaks HTTP and keeps connections; what it does not bound is bounded
here: the sockets ask, before each wait, how much of the call's whole time is
left, so that bytes which drip in one by one use up the same seconds as silence.
"""

import errno
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
from threading import Event
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

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
    """An answer: its status, its headers (lower-case names), its whole body."""

    status: int
    headers: dict[str, str]
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
    """Try each address of a host until one answers."""
    failure: OSError = OSError(f"the name {host} has no address")
    for family, kind, protocol, _, address in _resolve(host.strip("[]"), port):
        if _budget.check_peer is not None:
            _budget.check_peer(str(address[0]))
        sock = _TimedSocket(family, kind, protocol)
        try:
            _register(sock)
            _connect_within(sock, address)
        except _StoppedError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _connect_within(sock: socket.socket, address: Any) -> None:
    sock.setblocking(False)
    code = sock.connect_ex(address)
    while code in (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK):
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        if poll.poll(_slice_s() * 1000):
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    sock.settimeout(_budget.left_s())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _new_connection(connection: HTTPConnection) -> socket.socket:
    host, port = connection._dns_host, connection.port  # noqa: SLF001 - urllib3's own name for it
    try:
        sock = _connect(host, port)
    except _StoppedError:
        raise
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, str(error)) from error
    except OSError as error:
        raise NewConnectionError(connection, error.strerror or str(error)) from error
    _budget.connected += 1
    return sock


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _new_connection(self)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _new_connection(self)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Session(threading.local):
    """One thread's connections."""

    manager: urllib3.PoolManager | None = None
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
        self._tls_lock = threading.Lock()
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
            if _budget.connected or not isinstance(body, bytes | None):
                raise
            return self._call(method, path, all_headers, body)

    def _call(self, method: str, path: str, headers: dict[str, str], body: Any) -> Reply:
        try:
            manager = self._manager()
            response = manager.urlopen(
                method,
                self.url + path,
                body=body,
                headers=headers,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
            return _whole_reply(response)
        except LinkFailure:
            raise
        except (HTTPError, OSError, ValueError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> LinkFailure:
        cause = _root(error)
        if isinstance(cause, _StoppedError) or (_budget.cancel and _budget.cancel.is_set()):
            return Cancelled("the link is being stopped")
        if isinstance(cause, InsecureTransport):
            return cause
        return _named(error, cause, self._parts.netloc, self._connect_timeout_s)

    # -- connections --------------------------------------------------------------------

    def _manager(self) -> urllib3.PoolManager:
        session = self._session
        if session.manager is None or session.process_id != os.getpid():  # a fork shares no socket
            session.process_id = os.getpid()
            session.sockets = weakref.WeakSet()
            session.manager = self._new_manager()
            with self._tls_lock:
                alive = {thread.ident for thread in threading.enumerate()}
                self._open_sockets = [pair for pair in self._open_sockets if pair[0] in alive]
                self._open_sockets.append((threading.get_ident(), session.sockets))
        _budget.sockets = session.sockets
        proxied = isinstance(session.manager, urllib3.ProxyManager)
        _budget.check_peer = None if self._secure or proxied else self._check_peer
        if proxied and not self._secure:
            self._check_peer(self._parts.hostname or "")
        return session.manager

    def _new_manager(self) -> urllib3.PoolManager:
        options: dict[str, Any] = {"num_pools": 2, "maxsize": 1, "blocksize": _BLOCK_BYTES}
        if self._parts.scheme == "https":
            options["ssl_context"] = self._tls_context()
        proxy = self._proxy()
        manager = _proxied(proxy, options) if proxy else urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager

    def _proxy(self) -> str | None:
        host = self._parts.hostname or ""
        if proxy_bypass(f"{host}:{self._parts.port}" if self._parts.port else host):
            return None
        proxies = getproxies()
        proxy = proxies.get(self._parts.scheme) or proxies.get("all")
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        return proxy or None

    def _tls_context(self) -> ssl.SSLContext:
        with self._tls_lock:
            if self._tls is None:
                bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
                self._tls = ssl.create_default_context()
                if bundle:
                    where = {"capath" if os.path.isdir(bundle) else "cafile": bundle}  # noqa: PTH112 - as given
                    self._tls.load_verify_locations(**where)
                self._tls.sslsocket_class = _TimedTlsSocket
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
        with self._tls_lock:
            sockets = [
                s for ident, group in self._open_sockets if ident in thread_ids for s in group
            ]
        for sock in sockets:
            with suppress(OSError, ValueError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _named(
    error: Exception, cause: BaseException, host: str, connect_timeout_s: float
) -> LinkFailure:
    """Tell in the link's own terms how a call failed."""
    why = _words(cause)
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return NoConnection(f"no connection to {host} within {connect_timeout_s:g} s")
    if isinstance(error, ReadTimeoutError) or isinstance(cause, TimeoutError):
        return TimedOut(f"no whole answer from {host} in time")
    if isinstance(error, SSLError) or isinstance(cause, ssl.SSLError):
        return NoConnection(f"no trusted connection to {host}: {why}")
    if isinstance(error, NewConnectionError | ProxyError | LocationValueError):
        return NoConnection(f"no connection to {host}: {why}")
    return ConnectionBroken(f"the connection to {host} broke off: {why}")


def _proxied(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    auth = urllib3.util.parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)


def _whole_reply(response: urllib3.BaseHTTPResponse) -> Reply:
    try:
        body = response.read(REPLY_MAX_BYTES + 1, decode_content=False)
    except BaseException:
        response.close()
        raise
    if len(body) > REPLY_MAX_BYTES:
        response.close()
        raise BadReply(f"the answer is larger than {REPLY_MAX_BYTES} bytes")
    response.release_conn()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, headers, body)


def _root(error: BaseException) -> BaseException:
    """Follow an error to what caused it first."""
    seen = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = error.__cause__ or error.__context__ or getattr(error, "original_error", None)
        if inner is None and error.args and isinstance(error.args[-1], BaseException):
            inner = error.args[-1]
        if inner is None:
            break
        error = inner
    return error


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "verify_message", None) or str(error)
    return " ".join(str(text).split())[:200] or type(error).__name__


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

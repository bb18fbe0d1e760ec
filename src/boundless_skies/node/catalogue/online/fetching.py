"""Fetching an answer that may cost only so much time and memory, whatever the other side does."""

import queue
import threading
import time
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

import urllib3

from boundless_skies import __version__
from boundless_skies.node.errors import NodeError

LIMIT_S = 10.0
"""Longest time that one query may take in all (s)."""
MOST_BYTES = 8_000_000
"""Largest answer that is read."""

_PIECE_BYTES = 65_536
_OK = 200
# Packed answers could unpack to any size; an answer's own size is bounded.
_HEADERS = {"User-Agent": f"boundless-skies/{__version__}", "Accept-Encoding": "identity"}


class CatalogueUnreachable(NodeError):  # noqa: N818 - the name says the fault
    """A catalogue's service did not answer, or not with what it should."""


Fetch = Callable[[str], bytes]


def fetch(url: str, limit_s: float = LIMIT_S, most_bytes: int = MOST_BYTES) -> bytes:
    """Fetch an address.

    Parameters
    ----------
    url : str
        ``https://`` or ``http://``. Proxies of the environment are used.
    limit_s : float, optional
        Longest time in all (s), the look-up of the name included, which no timeout of a
        socket bounds.
    most_bytes : int, optional
        Largest answer.

    Returns
    -------
    bytes
        The body.

    Raises
    ------
    CatalogueUnreachable
        If there is no answer in time, or one that is too large or no success.
    """
    done: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put(_read(url, limit_s, most_bytes))
        except Exception as error:  # noqa: BLE001 - told by the caller's thread
            done.put(error)

    threading.Thread(target=work, name="boundless-catalogue", daemon=True).start()
    try:
        outcome = done.get(timeout=limit_s)
    except queue.Empty:
        outcome = TimeoutError()
    # Which of the two clocks ends it, the socket's or this one, is chance.
    if isinstance(outcome, TimeoutError | urllib3.exceptions.ReadTimeoutError):
        raise CatalogueUnreachable(f"no whole answer within {limit_s:g} s") from None
    if isinstance(outcome, CatalogueUnreachable):
        raise outcome
    if isinstance(outcome, Exception):
        raise CatalogueUnreachable(f"{_reason(outcome)}") from outcome
    return outcome


def _read(url: str, limit_s: float, most_bytes: int) -> bytes:
    ends_s = time.monotonic() + limit_s
    with _pool(url, limit_s) as pool:
        answer = pool.request(
            "GET", url, headers=_HEADERS, preload_content=False, redirect=False, retries=False
        )
        try:
            if answer.status != _OK:
                raise CatalogueUnreachable(f"it answers with HTTP status {answer.status}")
            return _body(answer, ends_s, most_bytes)
        finally:
            answer.close()


def _body(answer: urllib3.BaseHTTPResponse, ends_s: float, most_bytes: int) -> bytes:
    pieces, size = [], 0
    # Each piece as it comes: a service that drips must not hold this thread for hours.
    while piece := answer.read1(_PIECE_BYTES, decode_content=False):
        size += len(piece)
        if size > most_bytes:
            raise CatalogueUnreachable(f"its answer is larger than {most_bytes:,} bytes")
        if time.monotonic() > ends_s:
            raise CatalogueUnreachable("its answer takes too long")
        pieces.append(piece)
    return b"".join(pieces)


def _pool(url: str, limit_s: float) -> urllib3.PoolManager:
    parts, timeout = urlsplit(url), urllib3.Timeout(total=limit_s)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, timeout=timeout)
    return urllib3.PoolManager(timeout=timeout)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "it cannot be reached"
    return str(error).partition("\n")[0].strip().rstrip(".") or type(error).__name__

"""HTTP with time-outs for peers that say nothing, say it slowly, or never take their answer.

The server's own protocol waits for such a peer for ever, and a few hundred of
them would hold every connection that there is.
"""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from boundless_skies.cloud.web import EXCHANGE

HELD_MAX_BYTES = 16 << 10


@dataclass(frozen=True)
class Patience:
    """How long a peer is waited for, and how much it may send and hold.

    ``head_s`` is the time for a request's line and headers, ``head_bytes`` their
    size; ``take_s`` the time in which a peer must take what waits for it.
    """

    head_s: float = 15.0
    head_bytes: int = 64 << 10
    take_s: float = 60.0
    connections: int = 10_000


class JoinedWrites:
    """A transport whose writes of one moment leave together: an answer's head with its body.

    Parameters
    ----------
    transport : Transport
        What is written to.
    loop : AbstractEventLoop
        The loop that it belongs to.
    """

    __slots__ = ("_held", "_held_bytes", "_loop", "_transport")

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        """Return whatever else a transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write when the loop turns next; at once where it is much, so that the pace holds."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD_MAX_BYTES:
            self._flush()

    def close(self) -> None:
        """Close, once everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(b"".join(self._held))
        self._held.clear()
        self._held_bytes = 0


class WholeExchange:
    """Hands a request's body and its answer over in one piece: an `Exchange`.

    The server's own messages take an answer apart, check each of its headers against
    expressions, and cost a constant call a fifth of its time.

    Parameters
    ----------
    cycle : RequestResponseCycle
        The server's books of this request.
    """

    __slots__ = ("_cycle", "marks", "status")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self.status: int | None = None
        self.marks = b""

    def take_body(self) -> bytes | None:
        """Return the request's body, and forget it; None where it has not come whole."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        return body

    async def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Send an answer; a peer that is gone gets none."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if cycle.response_started:
            raise RuntimeError("This request has an answer already.")
        self.status = status
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        own = [b"%b: %b\r\n" % item for item in cycle.default_headers]
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.transport.write(b"".join((STATUS_LINE[status], *own, lines, self.marks, end, body)))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


class PatientProtocol(HttpToolsProtocol):
    """Speaks HTTP with one peer, as patiently as `patience` says."""

    patience: ClassVar[Patience] = Patience()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: TimerHandle | None = None
        self._take_timer: TimerHandle | None = None
        self._head_bytes = 0
        self._in_body = False
        self._head_is_whole = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first request; a connection too many is told so."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        if len(self.connections) > self.patience.connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_timer = _stop(self._head_timer)
        self._take_timer = _stop(self._take_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what is no body is a head, also blank lines that never become one."""
        self._head_is_whole = self._in_body
        super().data_received(data)
        # Nearly every head comes whole, and costs no timer.
        if not self._head_is_whole:
            self._await_head()
            self._head_bytes += len(data)
            if self._head_bytes > self.patience.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        self._head_is_whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin a request's body, for which the handlers have limits of their own."""
        self._head_timer = _stop(self._head_timer)
        self._head_is_whole = self._in_body = True
        super().on_headers_complete()
        # The request's task has not begun yet.
        self.scope["extensions"] = {EXCHANGE: WholeExchange(self.cycle)}  # type: ignore[dict-item]

    def on_message_complete(self) -> None:
        """End a request's body."""
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer, and forget the request.

        The server would keep it until the next one comes: with many connections, that is
        what most of the memory holds, and what the search for garbage goes through.
        """
        super().on_response_complete()
        cycle = self.cycle
        if cycle.response_complete and not cycle.more_body:
            if self.scope is cycle.scope:
                del self.scope, self.headers
            self.cycle = None  # type: ignore[assignment]

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in JSON as every error."""
        del msg
        self._refuse(HTTPStatus.BAD_REQUEST)

    def pause_writing(self) -> None:
        """Wait for the peer to take what waits for it."""
        super().pause_writing()
        if self._take_timer is None:
            self._take_timer = self.loop.call_later(self.patience.take_s, self._cut)

    def resume_writing(self) -> None:
        """Go on: the peer has taken most of it."""
        self._take_timer = _stop(self._take_timer)
        super().resume_writing()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(self.patience.head_s, self._cut)

    def _cut(self) -> None:
        # Not closed, for that would wait until the peer has taken everything.
        self.transport.abort()

    def _refuse(self, status: HTTPStatus) -> None:
        self._head_timer = _stop(self._head_timer)
        body = f'{{"error":"{status.phrase}: the request could not be read as HTTP."}}'
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            body = '{"error":"Too many connections; try again later."}'
        lines = [f"HTTP/1.1 {status} {status.phrase}", "connection: close"]
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
        retry = ["retry-after: 5"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []
        self.transport.write("\r\n".join([*lines, *retry, "", body]).encode())
        self.transport.close()


def _stop(timer: TimerHandle | None) -> TimerHandle | None:
    """Stop a timer that may run; return what takes its place."""
    if timer is not None:
        timer.cancel()
    return None

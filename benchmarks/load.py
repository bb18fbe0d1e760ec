"""A fleet of nodes in one process: many connections, little work a request.

Run as ``python -m benchmarks.load``, it reads one JSON object from standard input: ``do`` (the
name of a function below) and its arguments. It prints a line ``{"ready": true}`` once all
connections stand, and its result as the last line.

A closed loop keeps every connection busy: the next request leaves when the answer is there. An
open loop sends at a fixed rate whatever comes back, and counts a request's time from when it
was due, so that a server that stalls is charged for everyone who had to wait.
"""

import asyncio
import collections
import contextlib
import itertools
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks import messages

CONNECTING_AT_ONCE = 200
TICK_S = 0.001
TAIL_S = 20.0
PREPARED_BATCHES = 400
"""So many are packed before the clock starts: the packing would cost more than the sending."""
SETTLE_S = 8.0
LONGEST_S = 600.0
ACK = re.compile(rb'"id": ?(\d+)')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ADMIN_POST = "POST /api/v1/interrupts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Connection(asyncio.Protocol):
    """A kept-alive connection with at most one request under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.on_reply: Callable[[int, bytes], None] = lambda _status, _body: None
        self.on_lost: Callable[[], None] = lambda: None
        self._address = address
        self._got = b""
        self._transport: Any = None

    async def open(self) -> "Connection":
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, *self._address)
        return self

    def send(self, request: bytes) -> None:
        """Send a request; its answer comes to ``on_reply``."""
        self._transport.write(request)

    def close(self) -> None:
        """Hang up."""
        self.on_lost = lambda: None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._got:
            data = self._got + data
        end = data.find(b"\r\n\r\n") + 4
        found = _LENGTH.search(data, 0, end) if end >= 4 else None
        whole = end + (int(found[1]) if found else 0)
        if end < 4 or len(data) < whole:
            self._got = data
            return
        self._got = data[whole:]
        self.on_reply(int(data[9:12]), data[end:whole])

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._got = b""
        self.on_lost()


class Books:
    """What came back within the window that counts."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.statuses: collections.Counter[int] = collections.Counter()
        self.lost = 0

    def add(self, status: int, took_s: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.times_s.append(took_s)

    def result(self, seconds: float) -> dict[str, Any]:
        """Return counts, and the quantiles of the times in milliseconds."""
        times = sorted(self.times_s)
        return {
            "answers": len(times),
            "per_s": len(times) / seconds,
            "statuses": {str(status): n for status, n in self.statuses.items()},
            "lost_connections": self.lost,
            **{f"p{q:g}_ms": _quantile(times, q) * 1e3 for q in (50, 90, 99, 99.9, 100)},
        }


def _quantile(times: list[float], percent: float) -> float:
    return times[min(len(times) - 1, int(len(times) * percent / 100))] if times else float("nan")


def requests_of(kind: str, nodes: int, start: int = 0) -> Iterator[bytes]:
    """Return the requests of a kind, of all nodes in turn; ``start`` numbers what must differ."""
    if kind == "batches":
        source = messages.batches(0, nodes, start)
        return itertools.chain(list(itertools.islice(source, PREPARED_BATCHES)), source)
    if kind == "measurements":
        made: Iterator[bytes] = messages.measurements(0, nodes, start)
    else:
        made = getattr(messages, kind)(0, nodes)
    return made


async def closed(
    url: str, kind: str, connections: int, nodes: int, warm_s: float, measure_s: float, start: int
) -> dict[str, Any]:
    """Keep all connections busy; count what was answered between warm-up and end.

    Each node has beaten once before, as it has in a cloud in service.
    """
    source = requests_of(kind, nodes, start)
    books = Books()
    lines = await _connect(url, connections)
    await _beat_once(lines, nodes)
    print(json.dumps({"ready": True}), flush=True)
    begin = time.perf_counter() + warm_s
    end = begin + measure_s
    running = len(lines)
    done = asyncio.Event()

    def drive(line: Connection) -> None:
        sent = 0.0

        def send() -> None:
            nonlocal sent, running
            sent = time.perf_counter()
            if sent < end:
                line.send(next(source))
                return
            running -= 1
            if not running:
                done.set()

        def on_reply(status: int, _body: bytes) -> None:
            now = time.perf_counter()
            if begin <= now < end:
                books.add(status, now - sent)
            send()

        def on_lost() -> None:
            nonlocal running
            books.lost += 1
            running -= 1
            if not running:
                done.set()

        line.on_reply, line.on_lost = on_reply, on_lost
        send()

    for line in lines:
        drive(line)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), warm_s + measure_s + TAIL_S)
    _hang_up(lines)
    return books.result(measure_s)


class Lane:
    """A connection that answers what is due on it one after the other."""

    def __init__(self, line: Connection, books: list[Books]) -> None:
        self._line = line
        self._books = books
        self._due: collections.deque[tuple[float, int, bytes]] = collections.deque()
        line.on_reply, line.on_lost = self._on_reply, self._on_lost

    @property
    def waiting(self) -> int:
        """How many have not been answered."""
        return len(self._due)

    def add(self, due: float, book: int, request: bytes) -> None:
        """Send a request now, or as soon as those before it are answered."""
        self._due.append((due, book, request))
        if len(self._due) == 1:
            self._line.send(request)

    def _on_reply(self, status: int, _body: bytes) -> None:
        due, book, _ = self._due.popleft()
        self._books[book].add(status, time.perf_counter() - due)
        if self._due:
            self._line.send(self._due[0][2])

    def _on_lost(self) -> None:
        self._books[0].lost += 1
        asyncio.get_running_loop().create_task(self._again())

    async def _again(self) -> None:
        with contextlib.suppress(OSError):
            await self._line.open()
            if self._due:
                self._line.send(self._due[0][2])


async def fleet(
    url: str, nodes: int, connections: int, periods_s: dict[str, float], windows_s: list[float]
) -> dict[str, Any]:
    """Send what a fleet sends, each node its beats and polls in its own rhythm; an open loop.

    The nodes' phases are spread evenly. One result is kept per window, by when a request was
    due. A node's requests all use one connection, which it shares with every
    ``nodes / connections``-th other.
    """
    books = [Books() for _ in windows_s]
    lines = await _connect(url, connections)
    lanes = [Lane(line, books) for line in lines]
    ends = list(itertools.accumulate(windows_s))
    source = _timetable(nodes, periods_s)
    print(json.dumps({"ready": True}), flush=True)
    begin = time.perf_counter() + TICK_S
    at, node, request = next(source)
    window = 0
    while at < ends[-1]:
        now = time.perf_counter() - begin
        while at <= now and at < ends[-1]:
            while at >= ends[window]:
                window += 1
            lanes[node % connections].add(begin + at, window, request)
            at, node, request = next(source)
        await asyncio.sleep(TICK_S)
    behind = time.perf_counter() - begin - ends[-1]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TAIL_S):
            while any(lane.waiting for lane in lanes):  # noqa: ASYNC110 - nobody else runs
                await asyncio.sleep(TICK_S * 10)
    unanswered = sum(lane.waiting for lane in lanes)
    _hang_up(lines)
    results = [book.result(seconds) for book, seconds in zip(books, windows_s, strict=True)]
    return {"windows": results, "unanswered": unanswered, "sender_behind_s": behind}


def _timetable(nodes: int, periods_s: dict[str, float]) -> Iterator[tuple[float, int, bytes]]:
    """Yield (due, node, request) in the order of time."""
    streams = [_stream(kind, nodes, period) for kind, period in periods_s.items()]
    upcoming = [next(stream) for stream in streams]
    while True:
        first = min(range(len(streams)), key=lambda i: upcoming[i][0])
        at, node, kind = upcoming[first]
        yield at, node, _request(kind, node)
        upcoming[first] = next(streams[first])


def _stream(kind: str, nodes: int, period_s: float) -> Iterator[tuple[float, int, str]]:
    # A stride without common factor with the fleet: polls meet other nodes than beats do.
    stride = 61 if kind == "beat" else 7_919
    for number in itertools.count():
        yield number * period_s / nodes, number * stride % nodes, kind


def _request(kind: str, node: int) -> bytes:
    if kind == "beat":
        return messages.post("/api/v1/nodes/heartbeat", node, messages.BEAT)
    return messages.get(f"/api/v1/{kind}", node)


async def waiting(url: str, nodes: int, hold_s: float) -> dict[str, Any]:
    """Let nodes wait for interrupts, each on its own connection, until the time is over."""
    books = Books()
    lines = await _connect(url, nodes)
    for node, line in enumerate(lines):
        _wait_again(line, messages.get("/api/v1/interrupts?wait=25", node), books)
        if node % CONNECTING_AT_ONCE == 0:
            await asyncio.sleep(TICK_S * 20)
    await asyncio.sleep(hold_s / 3)
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.sleep(hold_s)
    lost = books.lost
    _hang_up(lines)
    return books.result(hold_s) | {"lost_connections": lost}


def _wait_again(line: Connection, request: bytes, books: Books) -> None:
    sent = 0.0

    def send() -> None:
        nonlocal sent
        sent = time.perf_counter()
        line.send(request)

    def on_reply(status: int, _body: bytes) -> None:
        books.add(status, time.perf_counter() - sent)
        send()

    def on_lost() -> None:
        books.lost += 1

    line.on_reply, line.on_lost = on_reply, on_lost
    send()


async def interrupt(url: str, nodes: int, rounds: int, admin_key: str) -> dict[str, Any]:
    """Send interrupts to waiting nodes; the time is from the operator's POST to each arrival."""
    books = Books()
    lines = await _connect(url, nodes)
    (operator,) = await _connect(url, 1)
    await _ask_once(lines)
    print(json.dumps({"ready": True}), flush=True)
    for number in range(rounds):
        await _interrupt_once(lines, operator, number, admin_key, books)
    _hang_up([*lines, operator])
    return books.result(1.0) | {"asked": nodes * rounds}


async def _interrupt_once(
    lines: list[Connection], operator: Connection, number: int, admin_key: str, books: Books
) -> None:
    posted = 0.0
    arrivals: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    def listen(node: int, line: Connection) -> None:
        def on_reply(status: int, body: bytes) -> None:
            books.add(status, time.perf_counter() - posted)
            arrivals.put_nowait((node, body))

        line.on_reply = on_reply
        line.send(messages.get("/api/v1/interrupts?wait=25", node))

    for node, line in enumerate(lines):
        listen(node, line)
    await asyncio.sleep(SETTLE_S)  # all of them wait by then, and none has waited for its 25 s
    body = json.dumps({"name": f"SN bench {number}", "ra_deg": 210.9, "dec_deg": 54.3}).encode()
    length = f"X-Admin-Key: {admin_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    posted = time.perf_counter()
    operator.send(_ADMIN_POST.encode() + length.encode() + body)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TAIL_S):
            told = [await arrivals.get() for _ in lines]
            await _acknowledge(lines, told)


async def _beat_once(lines: list[Connection], nodes: int) -> None:
    left = itertools.islice(messages.beats(0, nodes), nodes)
    done = asyncio.Semaphore(0)

    def send_next(line: Connection) -> None:
        request = next(left, None)
        if request is None:
            done.release()
        else:
            line.send(request)

    for line in lines:
        line.on_reply = lambda _status, _body, line=line: send_next(line)
        send_next(line)
    for _ in lines:
        await done.acquire()


async def _ask_once(lines: list[Connection]) -> None:
    """Let each node poll once: a fleet in service is known to its cloud."""
    left = asyncio.Semaphore(0)
    for node, line in enumerate(lines):
        line.on_reply = lambda _status, _body: left.release()
        line.send(messages.get("/api/v1/interrupts", node))
    for _ in lines:
        await left.acquire()


async def _acknowledge(lines: list[Connection], told: list[tuple[int, bytes]]) -> None:
    left = asyncio.Semaphore(0)
    for node, body in told:
        numbers = ACK.findall(body)
        lines[node].on_reply = lambda _status, _body: left.release()
        path = f"/api/v1/interrupts/{numbers[-1].decode()}/ack"
        lines[node].send(messages.post(path, node, b"{}"))
    for _ in told:
        await left.acquire()


async def _connect(url: str, count: int) -> list[Connection]:
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    lines = [Connection(address) for _ in range(count)]
    for first in range(0, count, CONNECTING_AT_ONCE):
        await asyncio.gather(*(line.open() for line in lines[first : first + CONNECTING_AT_ONCE]))
    return lines


def _hang_up(lines: list[Connection]) -> None:
    for line in lines:
        line.close()


WAYS: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    each.__name__: each for each in (closed, fleet, waiting, interrupt)
}


async def _main() -> None:
    asked = json.load(sys.stdin)
    async with asyncio.timeout(LONGEST_S):
        result = await WAYS[asked.pop("do")](**asked)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())

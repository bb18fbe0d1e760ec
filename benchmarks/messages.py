"""What the simulated nodes of the benchmarks send: whole HTTP/1.1 requests, as bytes."""

import gzip
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator

MEASUREMENT = {
    "airmass": 1.234,
    "bjd": "BJD",
    "comparison_stars": 12,
    "filter": "CV",
    "fits_file": "FILE",
    "fwhm": 3.21,
    "magnitude": 12.345,
    "node_id": "NODE",
    "notes": "x" * 560,  # about 1 KB in all, as measurements in the field are
    "quality_flag": "good",
    "snr": 98.7,
    "target_name": "TARGET",
    "uncertainty": 0.012,
    "zero_point": 22.345,
    "zp_scatter": 0.034,
}
TARGETS = 250
NODES_PER_TARGET = 4
POINTS_IN_A_ROW = 100
BATCH_ITEMS = 500
FIRST_BJD = 2461000.5
CADENCE_D = 30 / 86_400
BEAT = json.dumps(
    {
        "conditions": {
            "sky_temperature_c": -18.5,
            "humidity_percent": 61.0,
            "wind_m_s": 2.3,
            "roof": "open",
            "state": "observing",
            "utc_offset_hours": 1.0,
        }
    }
).encode()

Requests = Iterator[bytes]


def node_id(number: int) -> str:
    """Return the name of a simulated node."""
    return f"bench-{number:06d}"


def api_key(number: int) -> str:
    """Return its key: as long as a real one, and the same in every process of a run."""
    return f"node_{hashlib.sha256(b'bench %d' % number).hexdigest()[:43]}"


def head(method: str, path: str, node: int, more: str = "") -> bytes:
    """Return a node's request line and headers, but for the length and the empty line."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n"
        f"X-Node-Id: {node_id(node)}\r\nX-Api-Key: {api_key(node)}\r\n{more}"
    ).encode()


def get(path: str, node: int) -> bytes:
    """Return a node's GET."""
    return head("GET", path, node) + b"\r\n"


def post(path: str, node: int, body: bytes, more: str = "") -> bytes:
    """Return a node's POST of JSON."""
    start = head("POST", path, node, f"Content-Type: application/json\r\n{more}")
    return b"%sContent-Length: %d\r\n\r\n%s" % (start, len(body), body)


def beats(first: int, count: int) -> Requests:
    """Yield heartbeats of nodes in turn, without end."""
    return itertools.cycle(
        [post("/api/v1/nodes/heartbeat", node, BEAT) for node in range(first, first + count)]
    )


def nothing(first: int, count: int) -> Requests:
    """Yield the requests of the empty handler, the same in size as heartbeats."""
    return itertools.cycle(
        [post("/api/v1/nothing", node, BEAT) for node in range(first, first + count)]
    )


def curves(first: int, count: int) -> Requests:
    """Yield requests for the light curves of targets, far from each other in turn."""
    targets = range(first, first + count)
    return itertools.cycle(
        [get(f"/api/v1/lightcurves/Star%20{target * 7_919 % count}", 0) for target in targets]
    )


def payloads(node: int, start: int) -> Iterator[bytes]:
    """Yield a node's canonical payloads: one every 30 s, on a star that three others watch too."""
    text = json.dumps({"conditions": {}, "measurement": MEASUREMENT}, separators=(",", ":"))
    text = text.replace("%", "%%").replace('"BJD"', "%r").replace("FILE", f"{node}_%07d.fits")
    text = text.replace("NODE", node_id(node)).replace("TARGET", "Star %d")
    form = text.encode()
    first = FIRST_BJD + node % 25 * 1e-5
    for number in itertools.count(start):
        target = (node // NODES_PER_TARGET + number // POINTS_IN_A_ROW) % TARGETS
        yield form % (round(first + number * CADENCE_D, 6), number, target)


def measurements(first: int, count: int, start: int) -> Requests:
    """Yield measurements, one a request, of nodes in turn."""
    return _in_turn(first, count, lambda node: _measurements_of(node, start))


def batches(first: int, count: int, start: int) -> Requests:
    """Yield batches of 500 measurements, packed, of nodes in turn."""
    return _in_turn(first, count, lambda node: _batches_of(node, start))


def _in_turn(first: int, count: int, of_node: Callable[[int], Requests]) -> Requests:
    yield from itertools.chain.from_iterable(
        zip(*(of_node(node) for node in range(first, first + count)), strict=True)
    )


def _measurements_of(node: int, start: int) -> Requests:
    base = head("POST", "/api/v1/measurements", node, "Content-Type: application/json\r\n")
    for body in payloads(node, start):
        key = hashlib.sha256(body).hexdigest().encode()
        length = len(body)
        yield b"%sIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (base, key, length, body)


def _batches_of(node: int, start: int) -> Requests:
    source = payloads(node, start)
    while True:
        items = b",".join(itertools.islice(source, BATCH_ITEMS))
        body = gzip.compress(b'{"items":[%s]}' % items, 1)
        yield post("/api/v1/measurements/batch", node, body, "Content-Encoding: gzip\r\n")

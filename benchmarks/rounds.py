"""Two servers under the same load in turn, so that the machine's drift meets both."""

import statistics
from dataclasses import dataclass, field
from typing import Any

from benchmarks import servers

CONNECTIONS = 32
NODES = 250


@dataclass(frozen=True)
class Size:
    """How long and how large a run is."""

    rounds: int = 3
    warm_s: float = 2.0
    measure_s: float = 6.0
    fleet: int = 100_000
    fleet_connections: int = 10_000
    fleet_windows_s: list[float] = field(default_factory=lambda: [60.0, 60.0])
    waiting: int = 10_000
    waiting_s: float = 30.0
    told: int = 1_000
    interrupts: int = 10
    points: int = 10_000_000


QUICK = Size(1, 1.0, 3.0, 2_000, 200, [3.0, 3.0], 200, 3.0, 100, 2, 100_000)


@dataclass(frozen=True)
class Side:
    """One server over its rounds: medians."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    memory_mb: float

    def __str__(self) -> str:
        return (
            f"{self.per_s:,.0f}/s; p50 {self.p50_ms:.1f}, p99 {self.p99_ms:.1f} ms; "
            f"{self.cpu_ms:.2f} ms CPU each"
        )


@dataclass(frozen=True)
class Versus:
    """Two servers, and the median of their throughputs' ratios with smallest and largest."""

    ours: Side
    other: Side
    ratio: float
    low: float
    high: float

    def row(self, what: str, aim: str) -> str:
        """Return the row of the table."""
        ratio = f"{self.ratio:.2f} ({self.low:.2f}–{self.high:.2f})"
        return row(what, str(self.ours), str(self.other), ratio, aim)


def row(what: str, ours: str, other: str = "", ratio: str = "", aim: str = "") -> str:
    """Return a row of a table."""
    return f"| {what} | {ours} | {other} | {ratio} | {aim} |"


def in_turn(
    ours: servers.Server, other: servers.Server, size: Size, kind: str, other_kind: str = ""
) -> Versus:
    """Load two servers, A B B A …, over connections that are always busy."""
    sides = [(ours, kind), (other, other_kind or kind)]
    taken: list[list[dict[str, float]]] = [[], []]
    for number in range(size.rounds):
        for index in (0, 1) if number % 2 else (1, 0):
            server, what = sides[index]
            taken[index].append(_closed(server, what, size, number))
    ratios = sorted(a["per_s"] / b["per_s"] for a, b in zip(*taken, strict=True))
    return Versus(
        _side(taken[0]), _side(taken[1]), statistics.median(ratios), ratios[0], ratios[-1]
    )


def alone(
    server: servers.Server,
    size: Size,
    kind: str,
    connections: int = CONNECTIONS,
    nodes: int = NODES,
) -> Side:
    """Load one server in as many rounds."""
    busy = (connections, nodes)
    return _side([_closed(server, kind, size, number, *busy) for number in range(size.rounds)])


def _closed(
    server: servers.Server,
    kind: str,
    size: Size,
    number: int,
    connections: int = CONNECTIONS,
    nodes: int = NODES,
) -> dict[str, float]:
    used = server.cpu_s()
    result = servers.load(
        "closed",
        server.url,
        kind=kind,
        connections=connections,
        nodes=nodes,
        warm_s=size.warm_s,
        measure_s=size.measure_s,
        start=number * 2_000,
    )
    require_success(result)
    used = server.cpu_s() - used
    whole = result["answers"] * (size.warm_s + size.measure_s) / size.measure_s
    return result | {"cpu_ms": used / whole * 1e3, "memory_mb": server.memory_mb()}


def require_success(result: dict[str, Any]) -> None:
    """End the run where anything but 200 came back: its figures would mean nothing."""
    if set(result["statuses"]) != {"200"} or result["lost_connections"]:
        raise SystemExit(f"not all answers were 200: {result}")


def _side(taken: list[dict[str, float]]) -> Side:
    names = ("per_s", "p50_ms", "p99_ms", "cpu_ms", "memory_mb")
    return Side(*(statistics.median(each[name] for each in taken) for name in names))

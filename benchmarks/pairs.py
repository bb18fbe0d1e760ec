"""Two ways of doing a thing, timed in turn, so that the machine's drift meets both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Medians of two ways (seconds a call) and the median of their ratios, round by round."""

    ours_s: float
    other_s: float
    ratio: float
    low: float
    high: float


def timed(action: Callable[[], object], calls: int) -> float:
    """Return the mean seconds of one call."""
    begin = time.perf_counter()
    for _ in range(calls):
        action()
    return (time.perf_counter() - begin) / calls


def compare(
    ours: Callable[[], object],
    other: Callable[[], object],
    *,
    rounds: int = 21,
    calls: int = 50,
    before: Callable[[], object] = lambda: None,
) -> Pair:
    """Time two ways in turn, A B B A …; ``before`` runs untimed ahead of each round of ours."""
    pairs = []
    for number in range(rounds + 2):
        if number % 2:
            other_s = timed(other, calls)
            before()
            ours_s = timed(ours, calls)
        else:
            before()
            ours_s = timed(ours, calls)
            other_s = timed(other, calls)
        if number >= 2:  # the first two warm caches and connections
            pairs.append((ours_s, other_s))
    ratios = sorted(a / b for a, b in pairs)
    return Pair(
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(ratios),
        ratios[len(ratios) // 10],
        ratios[-1 - len(ratios) // 10],
    )

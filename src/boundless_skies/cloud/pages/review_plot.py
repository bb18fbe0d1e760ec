"""A disputed point among the points around it, as a small picture that needs no script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from boundless_skies.cloud.domain.times import counted
from boundless_skies.cloud.domain.validation import Observation, Review
from boundless_skies.cloud.services.reviews import Case

WIDTH, HEIGHT = 420.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 12.0, 12.0, 32.0
MINUTES_PER_DAY = 1_440.0
MARGIN = 0.12
"""Of the span of magnitudes, kept free above and below."""
SPAN_MIN_MAG = 0.1
STEPS_MAG = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
TICKS_MAX = 5
SAME_MAG = 0.0005
STYLES = 6
"""How many nodes are told from each other by colour and shape."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A point: where it stands, how far its error bar reaches, and how it looks (px)."""

    x: float
    y: float
    bar_top: float
    bar_bottom: float
    style: int
    title: str
    disputed: bool
    rejected: bool


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A line of the grid with its label (px)."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class ReviewPlot:
    """All that the template draws; the window is where points are compared with this one."""

    marks: list[Mark]
    magnitudes: list[Tick]
    minutes: list[Tick]
    window_left: float
    window_right: float
    nodes: list[tuple[str, int]]
    sentence: str


def draw(case: Case) -> ReviewPlot:
    """Return a case as a picture: brighter up, the time in minutes from the disputed point."""
    point = _observation(case)
    shown = [*sorted(case.around, key=lambda other: other.bjd), point]
    nodes = sorted({other.node_id for other in shown})
    styles = {node_id: index % STYLES for index, node_id in enumerate(nodes)}
    low, high = _span(shown)
    reach_d = 2 * case.window_d

    def x(bjd: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (bjd - point.bjd + reach_d) / (2 * reach_d)

    def y(magnitude: float) -> float:
        inside = min(max(magnitude, low), high)
        return TOP + (HEIGHT - TOP - BOTTOM) * (inside - low) / (high - low)

    return ReviewPlot(
        marks=[
            Mark(
                x=x(other.bjd),
                y=y(other.magnitude),
                bar_top=y(other.magnitude - other.uncertainty),
                bar_bottom=y(other.magnitude + other.uncertainty),
                style=styles[other.node_id],
                title=_title(other, point),
                disputed=other is point,
                rejected=other.review == Review.REJECTED,
            )
            for other in shown
        ],
        magnitudes=[Tick(at=y(value), label=label) for value, label in _ticks(low, high)],
        minutes=[
            Tick(at=x(point.bjd + part * reach_d), label=_minutes(part * reach_d))
            for part in (-1.0, -0.5, 0.0, 0.5, 1.0)
        ],
        window_left=x(point.bjd - case.window_d),
        window_right=x(point.bjd + case.window_d),
        nodes=[(node_id, styles[node_id]) for node_id in nodes],
        sentence=describe(case),
    )


def describe(case: Case) -> str:
    """Return what is in dispute, in a sentence."""
    point = case.point
    taken = [
        other
        for other in case.around
        if other.node_id != point.node_id
        and other.review != Review.REJECTED
        and abs(other.bjd - point.bjd) <= case.window_d
    ]
    if not taken:
        return "No other node has a point near it in time."
    nodes = counted(len({other.node_id for other in taken}), "other node")
    middle = median(other.magnitude for other in taken)
    difference = point.magnitude - middle
    if abs(difference) < SAME_MAG:
        where = "At the median"
    else:
        side = "fainter than" if difference > 0 else "brighter than"
        where = f"{abs(difference):.3f} mag {side} the median"
    window = f"within {case.window_d * MINUTES_PER_DAY:.0f} minutes"
    return f"{where} of {counted(len(taken), 'point')} by {nodes} {window}, {middle:.3f}."


def _observation(case: Case) -> Observation:
    point = case.point
    return Observation(
        id=point.id,
        node_id=point.node_id,
        bjd=point.bjd,
        magnitude=point.magnitude,
        uncertainty=point.uncertainty,
        review=point.review,
    )


def _span(points: Sequence[Observation]) -> tuple[float, float]:
    low = min(point.magnitude - point.uncertainty for point in points)
    high = max(point.magnitude + point.uncertainty for point in points)
    missing = max(SPAN_MIN_MAG - (high - low), 0.0)
    margin = MARGIN * (high - low + missing) + missing / 2
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    step = next((step for step in STEPS_MAG if (high - low) / step <= TICKS_MAX), STEPS_MAG[-1])
    decimals = 2 if step < STEPS_MAG[3] else 1
    first, last = math.ceil(low / step), math.floor(high / step)
    return [(number * step, f"{number * step:.{decimals}f}") for number in range(first, last + 1)]


def _minutes(days: float) -> str:
    minutes = round(days * MINUTES_PER_DAY, 1)
    if minutes == 0:
        return "0 min"
    return f"{'+' if minutes > 0 else '−'}{abs(minutes):g}"


def _title(other: Observation, point: Observation) -> str:
    rejected = ", rejected" if other.review == Review.REJECTED else ""
    offset = _minutes(other.bjd - point.bjd)
    return f"{other.node_id}: {other.magnitude:.3f} ± {other.uncertainty:.3f} at {offset}{rejected}"

"""Whether the nodes of the network agree about a target at a time.

For each point of one target in one band, the other nodes' points near it in time are
its witnesses. Each node is one witness, however many points it has, and none is its
own. What a point gets:

``single``
    No other node looked at the time.
``consistent``
    It is within the errors of what the others saw.
``outlier``
    It is not, and an astronomer should look at it. With one witness only, both are
    marked: two that disagree cannot say which of them is wrong, and calling either
    of them consistent would vouch for a point that nobody confirmed. From two
    witnesses on, the one off the median is marked and the others are not; where no
    two agree, or the network falls into two equal camps, all are.

A status is a pure function of the set of points: it does not depend on the order in
which they came, and a new point changes it only within `affected_span`. Faint limits
are no measurements and do not belong in here.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from statistics import median

MINUTE_D = 1 / 1_440
DEFAULT_WINDOW_D = 15 * MINUTE_D
"""How far apart (days) two points may be and still see the same brightness.

In 15 minutes an Algol star in eclipse changes by some 0.1 mag, and almost all else
by less; networks of home telescopes take a point within minutes. Faster stars get a
shorter one from `window_for`.
"""
ZERO_POINT_FLOOR_MAG = 0.03
"""What two home telescopes differ by, beyond the uncertainties that they state.

The zero point of a frame rests on about a dozen comparison stars that scatter by
0.1 mag, as colours and catalogue errors are not taken out: 0.1 / √12.
"""
TOLERANCE_SIGMA = 3.0
"""Disagreement begins here: with honest errors, 1 point in 370 exceeds it by chance."""
WITNESS_UNCERTAINTY_MAX_MAG = 0.3
"""A point less certain than this agrees with nearly anything, and so confirms nothing."""
WITNESS_POINTS = 3
"""So many points of a witness, those nearest in time, speak for it by their median.

One wrong point of a node that has others beside it then convicts nobody else, while
the star's own changes stay out, as they would not with all points of the window.
"""

_PERIODS_PER_WINDOW = 100
_ROUNDING_D = 1e-9
# The variance of a median over that of a mean, for Gaussian errors and many values.
_MEDIAN_VARIANCE = math.pi / 2


class Status(StrEnum):
    """What the other nodes say of a point."""

    SINGLE = "single"
    CONSISTENT = "consistent"
    OUTLIER = "outlier"


class Review(StrEnum):
    """What an astronomer decided about a point."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(kw_only=True, slots=True)  # made by the hundred for each point that comes
class Observation:
    """A point as the comparison needs it: BJD_TDB in days, the rest in mag.

    ``review`` None is a point that nobody has looked at.
    """

    id: int
    node_id: str
    bjd: float
    magnitude: float
    uncertainty: float
    review: str | None = None


@dataclass(frozen=True)
class _Witness:
    magnitude: float
    variance: float


_Series = list[Observation]
Spans = list[tuple[float, float]]
"""First and last BJD_TDB (days) of times that are in order."""


def window_for(period_d: float | None) -> float:
    """Return the window that fits a star.

    Parameters
    ----------
    period_d : float or None
        Its period, days, if it has one.

    Returns
    -------
    float
        Days: the default, or a hundredth of a short period, in which the steepest
        rise (of an RR Lyrae star, 1 mag in a seventh of its period) is 0.07 mag; at
        least a minute.
    """
    if period_d is None:
        return DEFAULT_WINDOW_D
    return max(MINUTE_D, min(DEFAULT_WINDOW_D, period_d / _PERIODS_PER_WINDOW))


def affected_span(bjd: float, window_d: float = DEFAULT_WINDOW_D) -> tuple[float, float]:
    """Return the times whose points may change their status with a point at a time.

    To judge those again, read the points of ``affected_span(bjd, 2 * window_d)``:
    the witnesses of the outermost are up to another window away.

    Parameters
    ----------
    bjd : float
        Of the point that came, went or was reviewed: BJD_TDB, days.
    window_d : float
        The target's window, days.

    Returns
    -------
    tuple of float
        First and last BJD_TDB, days, both included.
    """
    return bjd - window_d - _ROUNDING_D, bjd + window_d + _ROUNDING_D


def spans_of_new(
    new: Iterable[tuple[str, float]], points: Iterable[Observation], window_d: float
) -> Spans:
    """Return the times whose points may change their status with points that came.

    Shorter than `affected_span` where a node takes many: only the points nearest in
    time speak for it, so that one that came says nothing where enough others of its
    node are nearer.

    Parameters
    ----------
    new : iterable of tuple of str and float
        Node and BJD_TDB (days) of each point that came.
    points : iterable of Observation
        All points around them, those that came among them.
    window_d : float
        The target's window, days.

    Returns
    -------
    list of tuple of float
        First and last BJD_TDB, days, both included; in order, none overlapping.
    """
    nodes = _by_node(_taking_part(points))
    spans = sorted(
        (bjd - _reach_d(bjd, before, window_d), bjd + _reach_d(bjd, after, window_d))
        for node_id, bjd in new
        for before, after in (_neighbours(nodes.get(node_id, []), bjd),)
    )
    merged: Spans = []
    for low, high in spans:
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _neighbours(series: _Series, bjd: float) -> tuple[float | None, float | None]:
    """Return the times of the node's points so many before and after one as speak for it."""
    first = bisect_left(series, bjd, key=attrgetter("bjd"))
    behind = bisect_right(series, bjd, key=attrgetter("bjd"))
    before, after = first - WITNESS_POINTS, behind + WITNESS_POINTS - 1
    return (
        series[before].bjd if before >= 0 else None,
        series[after].bjd if after < len(series) else None,
    )


def _reach_d(bjd: float, neighbour_bjd: float | None, window_d: float) -> float:
    """Return how far (days) to one side a point speaks: half the way to such a neighbour."""
    half_d = math.inf if neighbour_bjd is None else abs(neighbour_bjd - bjd) / 2
    return min(window_d, half_d) + _ROUNDING_D


def validate(
    points: Iterable[Observation],
    window_d: float = DEFAULT_WINDOW_D,
    spans: Spans | None = None,
) -> dict[int, Status]:
    """Compare the points of one target in one band with each other.

    A point is consistent if it is within 3 σ of the network, σ² being the sum of its
    own variance and the network's, each with the zero point floor. The network is
    the one witness there is; with more, the median of all with the point among them,
    of which the point must agree with one other, too, as a median may be itself.

    Parameters
    ----------
    points : iterable of Observation
        In any order, the newest revision of each.
    window_d : float
        How far apart in time points are compared, days.
    spans : list of tuple of float, optional
        Between which times (BJD_TDB, days) points are judged; in order, none overlapping.
        All, where it is None.

    Returns
    -------
    dict of int to Status
        The status of each point by its id. Rejected points take no part and have none.
    """
    taking_part = _taking_part(points)
    nodes = _by_node(taking_part)
    return {
        point.id: _judge(point, list(_witnesses(point, nodes, window_d)))
        for point in taking_part
        if spans is None or _is_within(spans, point.bjd)
    }


def _taking_part(points: Iterable[Observation]) -> list[Observation]:
    return sorted(
        (point for point in points if point.review != Review.REJECTED),
        key=attrgetter("bjd", "magnitude", "uncertainty", "id"),
    )


def _is_within(spans: Spans, bjd: float) -> bool:
    place = bisect_right(spans, (bjd, math.inf)) - 1
    return place >= 0 and bjd <= spans[place][1]


def _by_node(points: list[Observation]) -> dict[str, _Series]:
    nodes: dict[str, _Series] = defaultdict(list)
    for point in points:
        if point.uncertainty <= WITNESS_UNCERTAINTY_MAX_MAG:
            nodes[point.node_id].append(point)
    return nodes


def _witnesses(
    point: Observation, nodes: dict[str, _Series], window_d: float
) -> Iterator[_Witness]:
    for node_id, series in nodes.items():
        if node_id == point.node_id:
            continue
        if near := _nearest(series, point.bjd, window_d):
            yield _speak(near)


def _nearest(series: _Series, bjd: float, window_d: float) -> _Series:
    middle = bisect_left(series, bjd, key=attrgetter("bjd"))
    around = series[max(0, middle - WITNESS_POINTS) : middle + WITNESS_POINTS]
    within = [point for point in around if abs(point.bjd - bjd) <= window_d]
    return sorted(within, key=lambda point: abs(point.bjd - bjd))[:WITNESS_POINTS]


def _speak(near: _Series) -> _Witness:
    """Return the median of a witness' points, as uncertain as the worst of those it is made of."""
    by_magnitude = sorted(near, key=attrgetter("magnitude"))
    middle = by_magnitude[(len(near) - 1) // 2 : len(near) // 2 + 1]
    return _Witness(
        magnitude=median(point.magnitude for point in middle),
        variance=max(_variance(point) for point in middle),
    )


def _variance(point: Observation) -> float:
    return point.uncertainty**2 + ZERO_POINT_FLOOR_MAG**2


def _judge(point: Observation, witnesses: list[_Witness]) -> Status:
    if not witnesses:
        return Status.SINGLE
    agrees_with_one = any(_agree(point, other.magnitude, other.variance) for other in witnesses)
    agrees = agrees_with_one and (len(witnesses) == 1 or _agrees_with_all(point, witnesses))
    return Status.CONSISTENT if agrees else Status.OUTLIER


def _agrees_with_all(point: Observation, witnesses: list[_Witness]) -> bool:
    consensus = median([point.magnitude, *(other.magnitude for other in witnesses)])
    count = len(witnesses)
    variance = _MEDIAN_VARIANCE * math.fsum(other.variance for other in witnesses) / count**2
    return _agree(point, consensus, variance)


def _agree(point: Observation, magnitude: float, variance: float) -> bool:
    tolerance_mag = TOLERANCE_SIGMA * math.sqrt(_variance(point) + variance)
    return abs(point.magnitude - magnitude) <= tolerance_mag

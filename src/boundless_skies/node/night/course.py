"""How a light curve goes, told with no more than its errors allow.

Four courses are held against the points: constant, a straight line, a box (the star is
fainter or brighter for a while, or from some time on), and a box on a line. Each is told
in place of a simpler one only where the evidence for it is very strong: a Bayesian
information criterion (G. Schwarz, Ann. Statist. 6, 461 (1978)) that is lower by 10 (R. E.
Kass and A. E. Raftery, JASA 90, 773 (1995)).
"""

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from boundless_skies.node.night.result import scatter

FloatArray = npt.NDArray[np.float64]

SMOOTHED_POINTS = 5

_VERY_STRONG = 10.0
_LEAST_POINTS_LINE, _LEAST_POINTS_BOX = 5, 8
_LEAST_IN_BOX = 3
# So many places are tried for each edge of a box: more would take long and tell no more.
_MOST_EDGES = 400
# Above this, no course of the four is what the star did (chi squared for each point).
_POOR_FIT = 3.0
_SMALLEST_ERROR_MAG = 1e-5
_CLIP_SIGMA = 4.0


@dataclass(frozen=True, kw_only=True)
class Box:
    """A time for which the star was fainter, or brighter.

    Attributes
    ----------
    begins_h : float
        From when on.
    ends_h : float or None
        Until when; None where it lasts to the last point.
    dimming_mag, error_mag : float
        How much fainter (negative: brighter), with its standard deviation.
    """

    begins_h: float
    ends_h: float | None
    dimming_mag: float
    error_mag: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a light curve does.

    Attributes
    ----------
    fading_mag, fading_error_mag : float
        How much fainter it gets from the first to the last point along a straight line,
        with its standard deviation; both 0 where there is no such line.
    box : Box or None
        Fainter or brighter for a while.
    varies : bool
        It changes in a way that neither of the two describes.
    """

    fading_mag: float = 0.0
    fading_error_mag: float = 0.0
    box: Box | None = None
    varies: bool = False


@dataclass(frozen=True)
class _Fit:
    """A course held against the points: how badly it fits, and how many numbers it took."""

    chi_squared: float
    numbers: int
    course: Course

    def if_better(self, simple: "_Fit", points: int) -> "_Fit":
        """Return this fit where the evidence for it is very strong, else the simpler one."""
        won = self.criterion(points) + _VERY_STRONG < simple.criterion(points)
        return self if won else simple

    def criterion(self, points: int) -> float:
        return self.chi_squared + self.numbers * math.log(points)


def find_course(hours: FloatArray, magnitudes: FloatArray, errors: FloatArray) -> Course:
    """Find what a light curve does.

    Parameters
    ----------
    hours : ndarray, shape (n,)
        Times, ascending.
    magnitudes, errors : ndarray, shape (n,)
        With their stated standard deviations, which are widened to what the points
        scatter from one to the next.

    Returns
    -------
    Course
        The simplest that the points allow.
    """
    points = len(hours)
    if points < _LEAST_POINTS_LINE or np.ptp(hours) <= 0:
        return Course()
    level = np.ones((points, 1))
    weights = _weights(errors, _seen_mag(magnitudes))
    if points >= _LEAST_POINTS_BOX:
        weights = _weights(errors, _seen_beside_box_mag(level, magnitudes, weights))
    line = np.column_stack([level, (hours - hours.mean()) / np.ptp(hours)])
    fits = [_on(base, magnitudes, weights) for base in (level, line)]
    if points >= _LEAST_POINTS_BOX:
        fits += [_with_box(base, hours, magnitudes, weights) for base in (level, line)]
    best = functools.reduce(lambda simple, fit: fit.if_better(simple, points), fits)
    if best.chi_squared > _POOR_FIT * points:
        return Course(varies=True)
    return best.course


def smoothed(values: FloatArray) -> FloatArray:
    """Return the running median over five points, which is shorter by four."""
    windows = np.lib.stride_tricks.sliding_window_view(values, SMOOTHED_POINTS)
    medians: FloatArray = np.median(windows, axis=1)
    return medians


def values_of(points: Sequence[dict[str, Any]], key: str) -> FloatArray:
    """Return one number of each measurement."""
    return np.array([point[key] for point in points], np.float64)


def _weights(errors: FloatArray, seen_mag: float) -> FloatArray:
    stated = np.maximum(errors, _SMALLEST_ERROR_MAG)
    widened = max(1.0, seen_mag / float(np.median(stated)))
    weights: FloatArray = (stated * widened) ** -2
    return weights


def _seen_mag(magnitudes: FloatArray) -> float:
    """Return the standard deviation from each point to the next, rather too large than too small.

    The median of the steps is robust but uncertain; their mean square is the reverse.
    """
    robust = scatter(magnitudes.tolist()) or 0.0
    steps = np.diff(magnitudes) / 2**0.5
    steps = steps[np.abs(steps) <= _CLIP_SIGMA * robust]
    return max(robust, float(np.sqrt(np.mean(steps**2))) if len(steps) else 0.0)


def _seen_beside_box_mag(level: FloatArray, magnitudes: FloatArray, weights: FloatArray) -> float:
    """Return the same without the best box, whose edges are large steps among few points.

    The box has fitted some of the noise: five numbers of it are given back.
    """
    points = len(magnitudes)
    inside = _inside(level, magnitudes, weights)
    base = np.column_stack([level, inside])
    terms, _ = _solve(base, magnitudes, weights)
    beside_mag = _seen_mag(magnitudes - base @ terms) * math.sqrt(points / (points - 5))
    return min(_seen_mag(magnitudes), beside_mag)


def _on(base: FloatArray, magnitudes: FloatArray, weights: FloatArray) -> _Fit:
    """Fit a level, or a line."""
    terms, covariance = _solve(base, magnitudes, weights)
    chi_squared = float((weights * (magnitudes - base @ terms) ** 2).sum())
    return _Fit(chi_squared, base.shape[1], _course(terms, covariance))


def _course(terms: FloatArray, covariance: FloatArray, box: Box | None = None) -> Course:
    if len(terms) == 1:
        return Course(box=box)
    error_mag = math.sqrt(float(covariance[1, 1]))
    return Course(fading_mag=float(terms[1]), fading_error_mag=error_mag, box=box)


def _solve(
    base: FloatArray, magnitudes: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    covariance: FloatArray = np.linalg.inv((base.T * weights) @ base).astype(np.float64)
    return covariance @ ((base.T * weights) @ magnitudes), covariance


def _with_box(
    base: FloatArray, hours: FloatArray, magnitudes: FloatArray, weights: FloatArray
) -> _Fit:
    """Fit the best box on a level or a line."""
    inside = _inside(base, magnitudes, weights)
    terms, covariance = _solve(np.column_stack([base, inside]), magnitudes, weights)
    residual = magnitudes - base @ terms[:-1] - inside * terms[-1]
    box = _box(hours, inside, float(terms[-1]), math.sqrt(covariance[-1, -1]))
    chi_squared = float((weights * residual**2).sum())
    # Level (and slope), depth, and the two edges.
    return _Fit(chi_squared, base.shape[1] + 3, _course(terms[:-1], covariance, box))


def _box(hours: FloatArray, inside: FloatArray, dimming_mag: float, error_mag: float) -> Box:
    """Return a box by its parts of points; one that begins with the first is told by the rest."""
    if inside[0]:
        inside, dimming_mag = 1.0 - inside, -dimming_mag
    first, last = np.flatnonzero(inside)[[0, -1]]
    borders = (hours[:-1] + hours[1:]) / 2
    # A point that is half inside has the edge in its middle.
    begins = borders[first - 1] + (1.0 - inside[first]) * 2 * (hours[first] - borders[first - 1])
    over = last < len(hours) - 1
    ends = (
        borders[last] - (1.0 - inside[last]) * 2 * (borders[last] - hours[last]) if over else None
    )
    return Box(
        begins_h=float(begins),
        ends_h=None if ends is None else float(ends),
        dimming_mag=dimming_mag,
        error_mag=error_mag,
    )


def _inside(base: FloatArray, magnitudes: FloatArray, weights: FloatArray) -> FloatArray:
    """Return which part of each point lies in the best box: 0 or 1, but for its edges.

    A long exposure, and a stack the more, may begin before the star dims and end after it:
    so each edge may run through the point inside of it, or through that outside.
    """
    first, last = _best_box(base, magnitudes, weights)
    points = len(magnitudes)
    whole = np.zeros(points)
    whole[first:last] = 1.0
    # Where the curve itself begins or ends within the box, there is no edge.
    begins = [[at] for at in (first - 1, first) if at > 0] if first else [[]]
    ends = [[at] for at in (last - 1, last) if at < points - 1] if last < points else [[]]
    tried = [
        _with_edges(base, magnitudes, weights, whole, begin + end)
        for begin, end in itertools.product(begins, ends)
    ]
    return min(tried, key=operator.itemgetter(0))[1]


def _with_edges(
    base: FloatArray,
    magnitudes: FloatArray,
    weights: FloatArray,
    whole: FloatArray,
    edges: list[int],
) -> tuple[float, FloatArray]:
    """Return chi squared, and a box whose edges run through the points given."""
    inside = whole.copy()
    free = np.ones(len(whole), dtype=bool)
    free[edges] = False
    terms, _ = _solve(np.column_stack([base, whole])[free], magnitudes[free], weights[free])
    beside = magnitudes - base @ terms[:-1]
    if terms[-1]:
        inside[edges] = np.clip(beside[edges] / terms[-1], 0.0, 1.0)
    return float((weights * (beside - inside * terms[-1]) ** 2).sum()), inside


def _best_box(base: FloatArray, magnitudes: FloatArray, weights: FloatArray) -> tuple[int, int]:
    """Return the first point of the box that takes most from chi squared, and that behind it.

    What a box takes is its overlap with what the base leaves, squared, over its own length
    at right angles to the base; running sums give both for all boxes at once.
    """
    terms, covariance = _solve(base, magnitudes, weights)
    left = magnitudes - base @ terms
    edges = np.unique(np.linspace(0, len(left), min(len(left), _MOST_EDGES) + 1).astype(int))
    overlap = _sums(weights * left, edges)
    in_base = np.stack([_sums(weights * column, edges) for column in base.T], axis=-1)
    length = _sums(weights, edges) - np.einsum("abi,ij,abj->ab", in_base, covariance, in_base)
    points = edges[None, :] - edges[:, None]
    fair = (points >= _LEAST_IN_BOX) & (len(left) - points >= _LEAST_IN_BOX)
    fair &= length > 1e-9 * weights.sum()
    gain = np.where(fair, overlap**2 / np.where(fair, length, 1.0), -1.0)
    first, last = np.unravel_index(int(np.argmax(gain)), gain.shape)
    return int(edges[first]), int(edges[last])


def _sums(values: FloatArray, edges: npt.NDArray[np.int_]) -> FloatArray:
    """Return the sums of values from each edge (rows) to each other (columns)."""
    running = np.concatenate([[0.0], np.cumsum(values)])[edges]
    sums: FloatArray = running[None, :] - running[:, None]
    return sums

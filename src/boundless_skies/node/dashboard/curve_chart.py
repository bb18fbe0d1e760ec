"""A light curve as a picture that needs no script: brighter up, with error bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from boundless_skies.node.dashboard.words import clock
from boundless_skies.node.night.result import LightCurve

_LEAST_SPAN_MAG = 0.05
_MARGIN = 0.12
_STEPS_MAG = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_TICKS_MAX = 6
_STEPS = tuple(
    timedelta(minutes=minutes) for minutes in (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
)
_LEAST_TICK_PX = 62.0
_LEAST_SPAN = timedelta(minutes=20)
# One bar far longer than the others must not press all points into a line.
_LONGEST_BAR = 4.0


@dataclass(frozen=True)
class Tick:
    """A line of the grid with its label (px)."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """A measurement: where it stands, how far its error bar reaches, and how it looks (px)."""

    x: float
    y: float
    bar_top: float
    bar_bottom: float
    look: str
    title: str


@dataclass(frozen=True, kw_only=True)
class CurveChart:
    """All that the template draws (px)."""

    width: float
    height: float
    left: float
    right: float
    top: float
    floor: float
    magnitudes: list[Tick]
    times: list[Tick]
    points: list[Point]
    looks: list[str]


def draw_curve(curve: LightCurve, width: float = 980.0, height: float = 360.0) -> CurveChart:
    """Return a light curve as a picture.

    Parameters
    ----------
    curve : LightCurve
        At least one point.
    width, height : float
        Of the picture (px).
    """
    left, right, top, floor = 58.0, width - 14.0, 12.0, height - 30.0
    bright, faint = _reach(curve.points)
    begins, ends = _times(curve.middles_utc)

    def x(instant: datetime) -> float:
        return left + (right - left) * ((instant - begins) / (ends - begins))

    def y(magnitude: float) -> float:
        inside = min(max(magnitude, bright), faint)
        return top + (floor - top) * (inside - bright) / (faint - bright)

    points = [
        Point(
            x=x(at),
            y=y(point["magnitude"]),
            bar_top=y(point["magnitude"] - point["uncertainty"]),
            bar_bottom=y(point["magnitude"] + point["uncertainty"]),
            look="limit" if point.get("is_limit") else str(point["quality_flag"]),
            title=_told(point, at),
        )
        for point, at in zip(curve.points, curve.middles_utc, strict=True)
    ]
    return CurveChart(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        floor=floor,
        magnitudes=[Tick(y(value), label) for value, label in _magnitude_ticks(bright, faint)],
        times=[Tick(x(at), clock(at)) for at in _time_ticks(begins, ends, right - left)],
        points=points,
        looks=sorted({point.look for point in points}, key=_rank),
    )


def _rank(look: str) -> int:
    order = ("good", "acceptable", "poor", "limit")
    return order.index(look) if look in order else len(order)


def _reach(points: Sequence[dict[str, float]]) -> tuple[float, float]:
    """Return the brightest and the faintest magnitude that is shown."""
    errors = sorted(point["uncertainty"] for point in points)
    longest = _LONGEST_BAR * errors[len(errors) // 2]
    bars = [min(point["uncertainty"], longest) for point in points]
    magnitudes = [point["magnitude"] for point in points]
    bright = min(value - bar for value, bar in zip(magnitudes, bars, strict=True))
    faint = max(value + bar for value, bar in zip(magnitudes, bars, strict=True))
    middle, half = (bright + faint) / 2, max(faint - bright, _LEAST_SPAN_MAG) / 2
    return middle - half * (1 + _MARGIN), middle + half * (1 + _MARGIN)


def _times(instants: Sequence[datetime]) -> tuple[datetime, datetime]:
    length = max(instants[-1] - instants[0], _LEAST_SPAN)
    middle = instants[0] + (instants[-1] - instants[0]) / 2
    return middle - length * 0.52, middle + length * 0.52


def _magnitude_ticks(bright: float, faint: float) -> list[tuple[float, str]]:
    step = next((step for step in _STEPS_MAG if (faint - bright) / step <= _TICKS_MAX), 10.0)
    digits = max(0, -math.floor(math.log10(step)))
    first = math.ceil(bright / step)
    return [
        (number * step, f"{number * step:.{digits}f}")
        for number in range(first, math.floor(faint / step) + 1)
    ]


def _time_ticks(begins: datetime, ends: datetime, width_px: float) -> list[datetime]:
    fits = max(1.0, width_px / _LEAST_TICK_PX)
    step = next((step for step in _STEPS if (ends - begins) / step <= fits), _STEPS[-1])
    midnight = begins.replace(hour=0, minute=0, second=0, microsecond=0)
    first = math.ceil((begins - midnight) / step)
    last = math.floor((ends - midnight) / step)
    return [midnight + number * step for number in range(first, last + 1)]


def _told(point: dict[str, float], at: datetime) -> str:
    sign = "fainter than " if point.get("is_limit") else ""
    return (
        f"{clock(at)} UTC: {sign}{point['magnitude']:.3f} ± {point['uncertainty']:.3f} mag, "
        f"{point['quality_flag']}"
    )

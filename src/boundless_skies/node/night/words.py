"""A light curve in words, for those who do not see its picture."""

import datetime as dt
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from boundless_skies.node.night.course import (
    SMOOTHED_POINTS,
    Box,
    Course,
    find_course,
    smoothed,
    values_of,
)
from boundless_skies.node.night.result import CurveSummary, LightCurve, summarise

_LONG = dt.timedelta(days=1.5)
_HOURS_TOLD_IN_DAYS = 48.0
_EXTREMES_POINTS = 2 * SMOOTHED_POINTS

When = Callable[[float], str]


def describe_curve(curve: LightCurve, *, check_is_drawn: bool = True) -> str:
    """Tell a light curve in words.

    Parameters
    ----------
    curve : LightCurve
        At least one point.
    check_is_drawn : bool
        Whether the picture shows the check star below.

    Returns
    -------
    str
        Whose it is, from when to when, how the brightness goes as far as the errors allow
        to say it, and how good the points are.
    """
    summary = summarise(curve.points)
    whose = f"Light curve of {summary.target} {_nights(curve)}"
    sentences = (
        f"{whose}: {_extent(summary)}; {_told_course(curve, summary)}.",
        _trust(summary),
        _check_told(summary, drawn=check_is_drawn),
        _method_told(curve.points),
    )
    return " ".join(filter(None, sentences))


def nights(curve: LightCurve) -> str:
    """Return the calendar date (UTC) of a light curve, or its first and last one."""
    first, last = curve.middles_utc[0], curve.middles_utc[-1]
    if first.date() == last.date():
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which gets an s where there is not one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def mmag(magnitudes: float) -> str:
    """Return a difference of magnitudes in thousandths."""
    return f"{1000 * magnitudes:.1f} mmag"


def span(hours: float) -> str:
    """Return a length of time in hours, or in minutes or days where it is short or long."""
    if hours < 1.0:
        return counted(max(round(60 * hours), 1), "minute")
    return f"{hours / 24:.1f} days" if hours > _HOURS_TOLD_IN_DAYS else f"{hours:.1f} hours"


def _nights(curve: LightCurve) -> str:
    days = nights(curve)
    return f"from {days}" if " to " in days else f"on {days}"


def _extent(summary: CurveSummary) -> str:
    over = f" over {span(summary.hours)}" if summary.points > 1 else ""
    return f"{counted(summary.points, 'point')} in {summary.filter}{over}"


def _told_course(curve: LightCurve, summary: CurveSummary) -> str:
    real = [
        (point, middle)
        for point, middle in zip(curve.points, curve.middles_utc, strict=True)
        if not point.get("is_limit")
    ]
    limits = (
        f"in {summary.limits} of them it was not seen, and they are limits"
        if summary.limits
        else ""
    )
    if not real:
        return limits
    points, middles = zip(*real, strict=True)
    return "; ".join(filter(None, (_course_words(points, middles), limits)))


def _course_words(points: Sequence[dict[str, Any]], middles: Sequence[dt.datetime]) -> str:
    magnitudes = values_of(points, "magnitude")
    if len(points) == 1:
        return f"it is of magnitude {magnitudes[0]:.3f} at {middles[0]:%H:%M} UTC"
    begin = middles[0]
    hours = np.array([(middle - begin) / dt.timedelta(hours=1) for middle in middles])
    when = _clock(begin, middles[-1])
    course = find_course(hours, magnitudes, values_of(points, "uncertainty"))
    if course.varies:
        return _extremes(magnitudes.tolist(), hours.tolist(), when)
    around = f"around magnitude {statistics.median(magnitudes.tolist()):.3f}"
    told = list(_changes(course, when))
    return f"{around}, {' while '.join(told)}" if told else f"{around}, {_steady(len(points))}"


def _steady(points: int) -> str:
    if points < SMOOTHED_POINTS:
        return "too few points to say whether it changes"
    return "it shows no change beyond its errors"


def _clock(first: dt.datetime, last: dt.datetime) -> When:
    form = "%H:%M UTC" if last - first < _LONG else "%Y-%m-%d %H:%M UTC"
    return lambda hours: (first + dt.timedelta(hours=hours)).strftime(form)


def _changes(course: Course, when: When) -> Iterator[str]:
    if course.box is not None:
        yield _box_words(course.box, when)
    if course.fading_mag:
        verb = "fades" if course.fading_mag > 0 else "brightens"
        how = f"{abs(course.fading_mag):.3f} ± {course.fading_error_mag:.3f} mag"
        yield f"it {verb} slowly by {how} from the first point to the last"


def _box_words(box: Box, when: When) -> str:
    verb = "dims" if box.dimming_mag > 0 else "brightens"
    how = f"it {verb} by {abs(box.dimming_mag):.3f} ± {box.error_mag:.3f} mag"
    if box.ends_h is None:
        return f"{how} at about {when(box.begins_h)}, and stays so to the end"
    middle = when((box.begins_h + box.ends_h) / 2)
    return f"{how} around {middle}, for about {span(box.ends_h - box.begins_h)}"


def _extremes(magnitudes: list[float], hours: list[float], when: When) -> str:
    """Tell the extremes of the points, or of their running median where there are many."""
    smooth = ""
    if len(magnitudes) >= _EXTREMES_POINTS:
        half = SMOOTHED_POINTS // 2
        magnitudes = smoothed(np.array(magnitudes)).tolist()
        hours, smooth = hours[half:-half], f", smoothed over {SMOOTHED_POINTS} points"
    bright, faint = min(magnitudes), max(magnitudes)
    return (
        f"it varies: brightest at magnitude {bright:.3f} around "
        f"{when(hours[magnitudes.index(bright)])}, faintest at {faint:.3f} around "
        f"{when(hours[magnitudes.index(faint)])}{smooth}"
    )


def quality_words(summary: CurveSummary) -> str:
    """Return how many points are of which quality, and why some are less than good."""
    flags = ", ".join(f"{count} {flag}" for flag, count in sorted(summary.quality.items()))
    reasons = ", ".join(f"{name} {count}" for name, count in summary.reasons.items())
    return f"{flags} ({reasons})" if reasons else flags


def _trust(summary: CurveSummary) -> str:
    quality = quality_words(summary)
    if summary.scatter_mag is None:
        return f"Quality: {quality}; stated uncertainty {mmag(summary.stated_mag)}."
    return (
        f"The points scatter by {mmag(summary.scatter_mag)} from one to the next, and their "
        f"stated uncertainty is {mmag(summary.stated_mag)}. Quality: {quality}."
    )


def _method_told(points: Sequence[dict[str, Any]]) -> str:
    parted = sum(1 for point in points if point.get("fitted_neighbours"))
    if not parted:
        return ""
    return f"The light of neighbouring stars, fitted, is taken off in {counted(parted, 'point')}."


def _check_told(summary: CurveSummary, *, drawn: bool) -> str:
    if not summary.check_star or summary.check_scatter_mag is None:
        return ""
    return (
        f"The check star {summary.check_star}{', drawn below,' if drawn else ''} scatters by "
        f"{mmag(summary.check_scatter_mag)}."
    )

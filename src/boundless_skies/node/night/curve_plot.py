"""A light curve as a picture."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoMinorLocator, FixedLocator, FuncFormatter, MaxNLocator

from boundless_skies.node.night.course import values_of
from boundless_skies.node.night.drawing import (
    BLUE,
    GREY,
    ORANGE,
    PALE,
    PAPER,
    RED,
    new_figure,
    plain,
    save_png,
)
from boundless_skies.node.night.result import (
    CurveSummary,
    LightCurve,
    check_name,
    seen,
    summarise,
)
from boundless_skies.node.night.words import counted, describe_curve, mmag, nights

FloatArray = npt.NDArray[np.float64]

# Marker, size, colour, filled: shape and filling tell the quality too, not the colour alone.
_LOOKS = {
    "good": ("o", 8.5, BLUE, True),
    "acceptable": ("D", 7.5, ORANGE, True),
    "poor": ("o", 8.5, RED, False),
}
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.085, 0.978, 0.815, 0.11
_TITLE_CHARS = 55
_LEAST_SPAN_MAG, _LEAST_CHECK_SPAN_MMAG = 0.03, 30.0
_LEAST_SPAN_D = 0.02
_MARGIN = 0.06
_UTC_STEPS_H = (0.25, 0.5, 1.0, 2.0, 3.0, 6.0)
_MOST_UTC_TICKS = 9
_LONGEST_UTC_D = 2.0


def draw_curve(curve: LightCurve, path: Path) -> str:
    """Draw a light curve as a PNG of 1600 × 900 px.

    Parameters
    ----------
    curve : LightCurve
        At least one point.
    path : Path
        Where to.

    Returns
    -------
    str
        What the picture shows; the same text stands in it as its Description.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = describe_curve(curve)
    with new_figure() as figure:
        _draw(figure, curve, summarise(curve.points))
        save_png(figure, path, f"Light curve of {curve.target.name}", text)
    return text


def _draw(figure: Figure, curve: LightCurve, summary: CurveSummary) -> None:
    check = [point for point in curve.points if point.get("check_star_mag") is not None]
    heights = [3.2, 1.0] if check else [1.0]
    place = {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM, "hspace": 0.17}
    rows = figure.subplots(
        len(heights), 1, sharex=True, height_ratios=heights, squeeze=False, gridspec_kw=place
    )
    upper, lower = rows[0, 0], rows[-1, 0]
    start_d = float(np.floor(curve.points[0]["bjd"]))
    _draw_points(upper, curve.points, start_d)
    _name_y(upper, f"{plain(summary.filter)} magnitude", 17)
    if check:
        _draw_check(lower, check, start_d)
        upper.tick_params(axis="x", length=0)
    lower.set_xlabel(f"BJD (TDB) − {start_d:.0f}  [days]", fontsize=17, labelpad=12, loc="left")
    lower.xaxis.set_major_locator(MaxNLocator(9))
    days = values_of(curve.points, "bjd") - start_d
    lower.set_xlim(*_around(float(days.min()), float(days.max()), _LEAST_SPAN_D, 0.025))
    _mark_utc(upper, curve, start_d)
    _explain(figure, upper)
    _write_title(figure, curve, summary)


def _name_y(axes: Axes, text: str, size: float) -> None:
    """Name a vertical axis, as far from it in each picture, however long its numbers are."""
    axes.set_ylabel(text, fontsize=size, va="center")
    axes.yaxis.set_label_coords(-0.079, 0.5)


def _explain(figure: Figure, axes: Axes) -> None:
    """Say in the last line what the marks mean, from the best quality to limits."""
    handles, labels = axes.get_legend_handles_labels()
    ranks = [_rank(label) for label in labels]
    rows = sorted(zip(ranks, handles, labels, strict=True), key=lambda row: row[0])
    figure.legend(
        [handle for _, handle, _ in rows],
        [label for _, _, label in rows],
        loc="lower right",
        bbox_to_anchor=(_RIGHT + 0.004, 0.008),
        ncols=4,
        fontsize=14.5,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.3,
        borderpad=0.0,
    )


def _rank(label: str) -> int:
    flags = list(_LOOKS)
    return next((flags.index(flag) for flag in flags if label.startswith(flag)), len(flags))


def _write_title(figure: Figure, curve: LightCurve, summary: CurveSummary) -> None:
    size = min(29.0, 29.0 * _TITLE_CHARS / max(len(summary.target), 1))
    figure.text(_LEFT, 0.938, plain(summary.target), fontsize=size, fontweight="bold", va="center")
    parts = [
        f"{nights(curve)} UTC",
        f"filter {plain(summary.filter)}",
        counted(summary.points, "point"),
    ]
    if summary.scatter_mag is not None:
        parts.append(f"scatter {mmag(summary.scatter_mag)}")
    parts.append(f"median error {mmag(summary.stated_mag)}")
    figure.text(_LEFT, 0.889, "   ·   ".join(parts), fontsize=15.5, color=GREY, va="center")


def _draw_points(axes: Axes, points: list[dict[str, Any]], start_d: float) -> None:
    real = seen(points)
    for flag in _LOOKS:
        chosen = [point for point in real if str(point["quality_flag"]) == flag]
        if chosen:
            _mark(axes, chosen, start_d, flag)
    limits = [point for point in points if point.get("is_limit")]
    if limits:
        axes.plot(
            values_of(limits, "bjd") - start_d,
            values_of(limits, "magnitude"),
            linestyle="none",
            marker="v",
            markersize=10,
            markerfacecolor=PAPER,
            markeredgewidth=1.8,
            color=GREY,
            label=f"not seen, fainter than this ({len(limits)})",
        )
    _dress(axes)
    brightest, faintest = _reach(points)
    bright, faint = _around(brightest, faintest, _LEAST_SPAN_MAG, _MARGIN)
    axes.set_ylim(faint, bright)


def _reach(points: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the magnitudes between which points and error bars lie.

    A bar far longer than the others would press all points into a line: it is cut.
    """
    magnitudes, errors = values_of(points, "magnitude"), values_of(points, "uncertainty")
    errors = np.minimum(errors, 3.0 * float(np.median(errors)))
    return float((magnitudes - errors).min()), float((magnitudes + errors).max())


def _mark(axes: Axes, points: list[dict[str, Any]], start_d: float, flag: str) -> None:
    marker, size, colour, filled = _LOOKS[flag]
    axes.errorbar(
        values_of(points, "bjd") - start_d,
        values_of(points, "magnitude"),
        yerr=values_of(points, "uncertainty"),
        fmt=marker,
        markersize=size,
        color=colour,
        markerfacecolor=colour if filled else PAPER,
        markeredgecolor=PAPER if filled else colour,
        markeredgewidth=0.9 if filled else 1.9,
        ecolor=f"{colour}66",
        elinewidth=1.7,
        capsize=0,
        label=f"{flag} ({len(points)})",
        zorder=3,
    )


def _draw_check(axes: Axes, check: list[dict[str, Any]], start_d: float) -> None:
    magnitudes = values_of(check, "check_star_mag")
    middle = float(np.median(magnitudes))
    steps = 1000 * (magnitudes - middle)
    axes.axhline(0.0, color="#9AA3AD", linewidth=1.0, zorder=1)
    axes.plot(values_of(check, "bjd") - start_d, steps, "s", ms=5.5, color=GREY, zorder=3)
    _dress(axes)
    low, high = _around(float(steps.min()), float(steps.max()), _LEAST_CHECK_SPAN_MMAG, _MARGIN)
    axes.set_ylim(high, low)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    _name_y(axes, "mmag", 15)
    told = f"check star {plain(check_name(check[0]))}, around {middle:.3f} mag"
    axes.annotate(told, (0, 1), (0, 5), "axes fraction", "offset points", color=GREY, fontsize=13.5)


def _dress(axes: Axes) -> None:
    axes.grid(True, color=PALE, linewidth=1.0)
    axes.set_axisbelow(True)
    axes.yaxis.set_minor_locator(AutoMinorLocator())
    axes.ticklabel_format(useOffset=False)
    axes.tick_params(which="major", length=6, labelsize=14.5, pad=6)
    axes.tick_params(which="minor", length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _mark_utc(axes: Axes, curve: LightCurve, start_d: float) -> None:
    """Mark full hours of UTC along the top, where the points lie within a night or two."""
    days, clock_d = values_of(curve.points, "bjd") - start_d, _clock_days(curve.middles_utc)
    if float(np.ptp(days)) > _LONGEST_UTC_D:
        return
    # Within a night the light's way to the barycentre changes by a second or two.
    shift_d = float(np.median(days - clock_d))
    low, high = (limit - shift_d for limit in axes.get_xlim())
    step_d = _utc_step_d(high - low)
    ticks = np.arange(np.ceil(low / step_d), np.floor(high / step_d) + 1) * step_d
    upper = axes.secondary_xaxis("top")
    upper.xaxis.set_major_locator(FixedLocator((ticks + shift_d).tolist()))
    upper.xaxis.set_major_formatter(FuncFormatter(lambda day, _: _clock_text(day - shift_d)))
    upper.tick_params(length=5, labelsize=13, pad=3, labelcolor=GREY)
    upper.spines["top"].set_visible(False)


def _utc_step_d(span_d: float) -> float:
    fitting = (step for step in _UTC_STEPS_H if 24 * span_d / step <= _MOST_UTC_TICKS)
    return next(fitting, _UTC_STEPS_H[-1] * 2) / 24.0


def _clock_days(middles: Sequence[dt.datetime]) -> FloatArray:
    """Return times in days since the first one's midnight."""
    midnight = middles[0].replace(hour=0, minute=0, second=0, microsecond=0)
    return np.array([(middle - midnight) / dt.timedelta(days=1) for middle in middles])


def _clock_text(day: float) -> str:
    hours, minutes = divmod(round(day * 1440) % 1440, 60)
    return f"{hours:02d}:{minutes:02d} UTC"


def _around(low: float, high: float, least: float, margin: float) -> tuple[float, float]:
    """Return limits with a margin, so wide at least that a constant star looks constant."""
    middle, half = (low + high) / 2, max(high - low, least) * (0.5 + margin)
    return middle - half, middle + half

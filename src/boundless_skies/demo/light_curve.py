"""The light curve as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # a picture in a file needs no screen
import matplotlib.pyplot as plt
import numpy as np

_INK = "#1c2541"
_POINT = "#2a6fdb"
_TREND = "#e07a1f"
_GRID = "#d9dee8"
_STYLE = {
    "font.size": 11,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LEAST_FOR_TREND = 12
_HOURS_A_DAY = 24.0


def draw_light_curve(
    points: Sequence[dict[str, Any]],
    target: str,
    path: Path,
    *,
    beneath: str,
    truth: tuple[Sequence[float], Sequence[float]] | None = None,
) -> None:
    """Draw a light curve into a PNG file.

    Parameters
    ----------
    points : sequence of dict
        Points with ``bjd`` (days), ``magnitude``, ``uncertainty`` and ``filter``; at least one.
    target : str
        For the title.
    path : Path
        The file.
    beneath : str
        One line below the title.
    truth : tuple of (bjd, magnitude), optional
        The curve behind the points, where it is known; else a smooth trend is drawn through many
        points.
    """
    first_bjd = min(point["bjd"] for point in points)
    hours = np.array([(point["bjd"] - first_bjd) * _HOURS_A_DAY for point in points])
    magnitudes = np.array([point["magnitude"] for point in points])
    errors = np.array([point["uncertainty"] for point in points])
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(9.6, 5.4), dpi=150, layout="constrained")
        if truth is not None:
            _draw_line(axes, truth[0], truth[1], first_bjd, "the star as it was rendered")
        elif len(points) >= _LEAST_FOR_TREND:
            axes.plot(*_trend(hours, magnitudes, errors), color=_TREND, lw=2.2, label="trend")
        axes.errorbar(
            hours,
            magnitudes,
            yerr=errors,
            fmt="o",
            ms=5,
            color=_POINT,
            mec="white",
            mew=0.6,
            ecolor="#9dbcf0",
            elinewidth=1.3,
            capsize=0,
            label="measured by the node, held by the cloud",
        )
        axes.invert_yaxis()
        axes.grid(color=_GRID, lw=0.7)
        axes.set_axisbelow(True)
        bands = ", ".join(sorted({str(point["filter"]) for point in points}))
        axes.set_ylabel(f"magnitude ({bands})")
        axes.set_xlabel(f"hours since BJD {first_bjd:.4f} (TDB)")
        axes.legend(frameon=False, fontsize=9.5, loc="best")
        axes.set_title(beneath, loc="left", fontsize=10.5, color="#5b6785", pad=10)
        axes.text(
            0.0, 1.09, target, transform=axes.transAxes, fontsize=17, fontweight="bold", va="bottom"
        )
        figure.savefig(path)
        plt.close(figure)


def _draw_line(
    axes: Any, bjd: Sequence[float], magnitudes: Sequence[float], first_bjd: float, label: str
) -> None:
    hours = (np.asarray(bjd) - first_bjd) * _HOURS_A_DAY
    axes.plot(hours, magnitudes, color=_TREND, lw=2.2, alpha=0.85, label=label)


def _trend(hours: Any, magnitudes: Any, errors: Any) -> tuple[Any, Any]:
    """Smooth points with a Gaussian kernel an eighth of the smaller of night and 4 h wide."""
    width_h = min(float(np.ptp(hours)), 4.0) / 12.0
    grid = np.linspace(hours.min(), hours.max(), 200)
    weights = np.exp(-0.5 * ((grid[:, None] - hours[None, :]) / max(width_h, 1e-6)) ** 2)
    weights /= np.maximum(errors, 1e-4)[None, :] ** 2
    return grid, (weights * magnitudes).sum(axis=1) / weights.sum(axis=1)

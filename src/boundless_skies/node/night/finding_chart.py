"""A finding chart: a frame with the target and the stars that it was compared with."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon
from matplotlib.transforms import Affine2D

from boundless_skies.node.night.chart_aside import write_aside
from boundless_skies.node.night.chart_subject import ChartSubject, Image, subject_of
from boundless_skies.node.night.chart_words import describe_chart
from boundless_skies.node.night.drawing import (
    BLUE,
    GREEN,
    HEIGHT_PX,
    INK,
    RED,
    WIDTH_PX,
    new_figure,
    plain,
    save_png,
)
from boundless_skies.node.night.run import MeasuredFrame

Box = tuple[float, float, float, float]

_SHEET_PX = 860.0
_MARGIN_PX = 20.0
_ASIDE_PX = _SHEET_PX + 2 * _MARGIN_PX + 30
_INSET_PX = 250.0
_TABLE_TOP_PX = HEIGHT_PX - _MARGIN_PX - _INSET_PX - 42.0
_FAINT_SIGMA, _BRIGHT_SIGMA = 1.0, 150.0
_LEAST_FIELD_ARCMIN = 12.0
_FIELD_MARGIN = 1.14
_INSET_RINGS = 1.5
_ROUND_ARCMIN = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_BAR_SHARE = 0.2
_LEAST_RING_PX = 8.0
_LEAST_STAR_SIGMA_PX = 1.9
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_LABEL_PX, _LABEL_CHAR_PX = 17.0, 10.5
_BACKGROUND = "#F3F5F7"
_HALO = [patheffects.withStroke(linewidth=3.0, foreground="white")]


def chart_of(frame: MeasuredFrame) -> Callable[[Path], str]:
    """Return what draws the finding chart of a measured frame.

    Parameters
    ----------
    frame : MeasuredFrame
        The frame.

    Returns
    -------
    callable
        Takes the path of a PNG file, and returns what the picture shows.
    """
    return lambda path: draw_chart(subject_of(frame), path)


def draw_chart(subject: ChartSubject, path: Path) -> str:
    """Draw a finding chart as a PNG of 1600 × 900 px.

    Parameters
    ----------
    subject : ChartSubject
        What it shows.
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
    sheet = _sheet(subject)
    text = describe_chart(subject, sheet.side)
    with new_figure() as figure:
        axes = _square(figure, _MARGIN_PX, _MARGIN_PX, _SHEET_PX)
        _show(axes, subject, sheet)
        _draw_marks(axes, subject, sheet)
        _draw_compass(axes, sheet)
        _draw_bar(axes, sheet)
        _draw_inset(figure, subject)
        write_aside(figure, subject, _small_print(subject, sheet), _ASIDE_PX, _TABLE_TOP_PX)
        save_png(figure, path, f"Finding chart of {subject.name}", text)
    return text


@dataclass(frozen=True)
class _Sheet:
    """A square piece of the plane, and how large it is drawn.

    Attributes
    ----------
    east, north : float
        Its middle, arcminutes from the target.
    side : float
        Arcminutes.
    side_px : float
        Pixels of the picture.
    """

    east: float
    north: float
    side: float
    side_px: float

    @property
    def px(self) -> float:
        """Pixels of the picture in an arcminute."""
        return self.side_px / self.side

    def place(self, east: float, north: float) -> tuple[float, float]:
        """Return a place in pixels of the picture from the sheet's lower left corner."""
        return (
            self.side_px / 2 - (east - self.east) * self.px,
            self.side_px / 2 + (north - self.north) * self.px,
        )

    def shows(self, x: float, y: float) -> bool:
        """Say whether a place in pixels lies on the sheet."""
        return 0 <= x <= self.side_px and 0 <= y <= self.side_px


def _sheet(subject: ChartSubject) -> _Sheet:
    """Return the smallest square that holds target and stars, within the frame if it can be."""
    height, width = subject.image.shape
    places = np.array([(0.0, 0.0), *(subject.place_of(star) for star in subject.stars)])
    corners = subject.plane.corners(width, height)
    side = max(float(np.ptp(places, axis=0).max()) * _FIELD_MARGIN, _LEAST_FIELD_ARCMIN)
    side = min(side, float(np.ptp(corners, axis=0).max()))
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    low, high = corners.min(axis=0) + side / 2, corners.max(axis=0) - side / 2
    # Where the frame is narrower than the sheet, its middle is the sheet's.
    middle = np.where(low <= high, np.clip(middle, low, high), (low + high) / 2)
    return _Sheet(float(middle[0]), float(middle[1]), side, _SHEET_PX)


def _square(figure: Figure, left_px: float, bottom_px: float, side_px: float) -> Axes:
    """Return axes that count in pixels of the picture."""
    place = (
        left_px / WIDTH_PX,
        bottom_px / HEIGHT_PX,
        side_px / WIDTH_PX,
        side_px / HEIGHT_PX,
    )
    axes = figure.add_axes(place)
    axes.set_facecolor(_BACKGROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def _show(axes: Axes, subject: ChartSubject, sheet: _Sheet) -> None:
    """Show dark stars on white, as on paper; faint ones are lifted (asinh)."""
    height, width = subject.image.shape
    image = _softened(subject, sheet)
    middle = float(np.median(image))
    sigma = 1.4826 * float(np.median(np.abs(image - middle))) or 1.0
    to_px = np.array(
        [
            [-sheet.px, 0.0, sheet.side_px / 2 + sheet.east * sheet.px],
            [0.0, sheet.px, sheet.side_px / 2 - sheet.north * sheet.px],
            [0.0, 0.0, 1.0],
        ]
    )
    laid = Affine2D(to_px @ subject.plane.matrix) + axes.transData
    axes.imshow(
        np.arcsinh((image - middle) / sigma),
        cmap="Greys",
        origin="lower",
        extent=(-0.5, width - 0.5, -0.5, height - 0.5),
        vmin=float(np.arcsinh(_FAINT_SIGMA)),
        vmax=float(np.arcsinh(_BRIGHT_SIGMA)),
        interpolation="bilinear",
        transform=laid,
        aspect="auto",
    )
    outline = [sheet.place(*corner) for corner in subject.plane.corners(width, height).tolist()]
    axes.add_patch(Polygon(outline, fill=False, edgecolor="#C3CAD1", linewidth=1.0))
    axes.set_xlim(0, sheet.side_px)
    axes.set_ylim(0, sheet.side_px)


def _softened(subject: ChartSubject, sheet: _Sheet) -> Image:
    """Widen stars that would be drawn as single pixels (Gaussian, along columns and rows)."""
    own_px = subject.fwhm_px / _FWHM_PER_SIGMA
    wished_px = _LEAST_STAR_SIGMA_PX / (sheet.px * subject.plane.arcmin_px)
    if wished_px <= own_px:
        return subject.image
    sigma_px = math.sqrt(wished_px**2 - own_px**2)
    steps = np.arange(-math.ceil(3 * sigma_px), math.ceil(3 * sigma_px) + 1)
    weights = np.exp(-((steps / sigma_px) ** 2) / 2)
    weights /= weights.sum()
    image = np.asarray(subject.image, np.float64)
    for axis in (0, 1):
        image = np.apply_along_axis(np.convolve, axis, image, weights, "same")
    return image.astype(np.float32)


def _draw_marks(axes: Axes, subject: ChartSubject, sheet: _Sheet) -> None:
    """Draw the target and the stars; a label stands where it hides the least."""
    radius_px = _ring_px(subject, sheet)
    target = sheet.place(*subject.plane.from_pixels(*subject.target_xy))
    stars = [(star, sheet.place(*subject.place_of(star))) for star in subject.stars]
    taken = [_around(place, radius_px) for _, place in stars]
    taken += [_around(target, 3.4 * radius_px)]
    for star, place in stars:
        colour = GREEN if star.is_check else BLUE
        axes.add_patch(Circle(place, radius_px, fill=False, color=colour, linewidth=1.9))
        if sheet.shows(*place):
            label = f"check {star.label}" if star.is_check else star.label
            _label(axes, place, label, colour, radius_px, taken)
    _draw_target(axes, target, radius_px)
    taken.pop(len(stars))
    _label(axes, target, plain(subject.name), RED, 3.0 * radius_px, taken)


def _ring_px(subject: ChartSubject, sheet: _Sheet) -> float:
    """Return the aperture's radius in the picture, or what can be seen of it."""
    return max(_true_ring_px(subject, sheet), _LEAST_RING_PX)


def _true_ring_px(subject: ChartSubject, sheet: _Sheet) -> float:
    return subject.aperture.radius_px * subject.plane.arcmin_px * sheet.px


def _draw_target(axes: Axes, place: tuple[float, float], radius_px: float) -> None:
    axes.add_patch(Circle(place, radius_px, fill=False, color=RED, linewidth=2.2))
    near, far = 1.5 * radius_px, 3.2 * radius_px
    # Two lines that lead to the star and leave it free.
    for x, y in ((1, 0), (0, 1)):
        ends = (
            [place[0] + near * x, place[0] + far * x],
            [place[1] + near * y, place[1] + far * y],
        )
        axes.plot(*ends, color=RED, linewidth=2.2, solid_capstyle="butt")


def _label(
    axes: Axes,
    place: tuple[float, float],
    text: str,
    colour: str,
    radius_px: float,
    taken: list[Box],
) -> None:
    """Write beside a place, on the side that hides least of what is there."""
    width, height = _LABEL_CHAR_PX * len(text), _LABEL_PX
    x, y, away = *place, radius_px + 7
    sides: tuple[tuple[str, Box], ...] = (
        ("left", (x + away, y - height / 2, x + away + width, y + height / 2)),
        ("right", (x - away - width, y - height / 2, x - away, y + height / 2)),
        ("center", (x - width / 2, y + away, x + width / 2, y + away + height)),
        ("center", (x - width / 2, y - away - height, x + width / 2, y - away)),
    )
    aligned, best = min(sides, key=lambda side: _hidden(side[1], taken))
    taken.append(best)
    axes.text(
        {"left": best[0], "right": best[2], "center": x}[aligned],
        (best[1] + best[3]) / 2,
        text,
        color=colour,
        fontsize=12.5,
        fontweight="bold",
        ha=aligned,
        va="center_baseline",
        path_effects=_HALO,
        clip_on=True,
    )


def _hidden(box: Box, taken: Sequence[Box]) -> float:
    """Return how much a label would hide, and how much of it would be cut by the edge."""
    return sum(_overlap(box, other) for other in taken) + _off(box)


def _around(place: tuple[float, float], half_px: float) -> Box:
    return (place[0] - half_px, place[1] - half_px, place[0] + half_px, place[1] + half_px)


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _off(box: Box) -> float:
    """Return how much of a box lies off the sheet, where it would be cut."""
    sheet = (0.0, 0.0, _SHEET_PX, _SHEET_PX)
    return 10.0 * ((box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, sheet))


def _draw_compass(axes: Axes, sheet: _Sheet) -> None:
    foot, length = (sheet.side_px - 42.0, 34.0), 62.0
    style = {"arrowstyle": "-|>", "color": INK, "lw": 2.2, "shrinkA": 0, "shrinkB": 0}
    for name, x, y in (("N", 0.0, 1.0), ("E", -1.0, 0.0)):
        tip = (foot[0] + length * x, foot[1] + length * y)
        arrow = style | {"mutation_scale": 17, "path_effects": _HALO}
        axes.annotate("", tip, foot, arrowprops=arrow)
        axes.text(
            foot[0] + (length + 14) * x,
            foot[1] + (length + 14) * y,
            name,
            ha="center",
            va="center",
            fontsize=16,
            fontweight="bold",
            path_effects=_HALO,
        )


def _draw_bar(axes: Axes, sheet: _Sheet) -> None:
    length, left, height = _round_length(sheet.side), 28.0, 28.0
    right = left + length * sheet.px
    style: dict[str, Any] = {
        "color": INK,
        "lw": 3.5,
        "solid_capstyle": "butt",
        "path_effects": _HALO,
    }
    axes.plot([left, right], [height, height], **style)
    middle = (left + right) / 2
    words: dict[str, Any] = {"ha": "center", "fontsize": 15, "fontweight": "bold"}
    axes.text(middle, height + 9, _arcmin(length), path_effects=_HALO, **words)


def _round_length(side: float) -> float:
    fitting = (step for step in _ROUND_ARCMIN if step <= _BAR_SHARE * side)
    return max(fitting, default=_ROUND_ARCMIN[0])


def _arcmin(length: float) -> str:
    return f"{length:g}′" if length >= 1 else f"{60 * length:.0f}″"


def _draw_inset(figure: Figure, subject: ChartSubject) -> None:
    """Draw the target large, with its circle and the ring of sky, as they were measured."""
    east, north = subject.plane.from_pixels(*subject.target_xy)
    outer = subject.aperture.outer_px * subject.plane.arcmin_px
    sheet = _Sheet(east, north, 2 * _INSET_RINGS * outer, _INSET_PX)
    left, bottom = WIDTH_PX - _MARGIN_PX - _INSET_PX, HEIGHT_PX - _MARGIN_PX - _INSET_PX
    axes = _square(figure, left, bottom, _INSET_PX)
    _show(axes, subject, sheet)
    per_px = subject.plane.arcmin_px * sheet.px
    middle, aperture = (_INSET_PX / 2, _INSET_PX / 2), subject.aperture
    axes.add_patch(Circle(middle, aperture.radius_px * per_px, fill=False, color=RED, lw=2.4))
    for radius_px in (aperture.inner_px, aperture.outer_px):
        ring = Circle(middle, radius_px * per_px, fill=False, color=BLUE, lw=1.8, ls=(0, (5, 3)))
        axes.add_patch(ring)
    _draw_bar(axes, sheet)


def _small_print(subject: ChartSubject, sheet: _Sheet) -> list[str]:
    lines = ["A label is the magnitude in tenths: 113 is 11.3."] if subject.stars else []
    if _true_ring_px(subject, sheet) < _LEAST_RING_PX:
        lines.append("Circles on the left are drawn larger than the aperture.")
    return [*lines, f"Frame: {plain(subject.source)}"]

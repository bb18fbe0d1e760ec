"""What is written beside a finding chart: the target, the comparison stars, the small print."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from boundless_skies.node.night.chart_subject import ChartStar, ChartSubject
from boundless_skies.node.night.drawing import (
    BLUE,
    GREEN,
    GREY,
    HEIGHT_PX,
    INK,
    RED,
    WIDTH_PX,
    plain,
)
from boundless_skies.node.night.sky_plane import direction

_TOP_PX = HEIGHT_PX - 52.0
_ROWS = 12
_NAME_CHARS = 23


def write_aside(
    figure: Figure,
    subject: ChartSubject,
    small_print: Sequence[str],
    left_px: float,
    table_top_px: float,
) -> None:
    """Write what is beside the pictures: the target, the colours, the stars, the small print.

    Parameters
    ----------
    figure : Figure
        The whole picture.
    subject : ChartSubject
        What it shows.
    small_print : sequence of str
        The last lines.
    left_px : float
        Where the lines begin.
    table_top_px : float
        Where the table of stars begins, from below.
    """
    column = _Column(figure, left_px, _TOP_PX)
    size = min(27.0, 27.0 * 20 / max(len(subject.name), 1))
    column.write(plain(subject.name), size=size, weight="bold", step=42)
    for fact in subject.facts:
        column.write(plain(fact), size=13.5, color=GREY, step=27)
    column.skip(10)
    column.write("Circle: aperture", size=13, color=RED, step=23)
    column.write("Dashed ring: its sky", size=13, color=BLUE, step=23)
    column.top = table_top_px
    if subject.stars:
        _write_table(column, subject)
    column.skip(8)
    for line in small_print:
        column.write(line, size=11.5, color=GREY, step=20)


@dataclass
class _Column:
    """Lines of text, one below the other."""

    figure: Figure
    left: float
    top: float

    def write(
        self,
        text: str,
        *,
        size: float,
        step: float,
        color: str = INK,
        weight: str = "normal",
        shift: float = 0.0,
    ) -> None:
        """Write a line, and go down by a step."""
        place = ((self.left + shift) / WIDTH_PX, self.top / HEIGHT_PX)
        self.figure.text(*place, text, fontsize=size, color=color, fontweight=weight, va="center")
        self.top -= step

    def skip(self, step: float) -> None:
        """Leave room."""
        self.top -= step


def _write_table(column: _Column, subject: ChartSubject) -> None:
    checks = [star for star in subject.stars if star.is_check]
    others = [star for star in subject.stars if not star.is_check]
    bands = "/".join(dict.fromkeys(star.band for star in subject.stars))
    _write_row(column, ("label", plain(bands), "from the target", ""), GREY, "normal")
    shown = sorted(others, key=subject.distance_arcmin)
    for star in (*checks, *shown[: _ROWS - len(checks)]):
        colour = GREEN if star.is_check else BLUE
        name = f"check {star.name}".strip() if star.is_check else star.name
        cells = (star.label, f"{star.magnitude:.2f}", _where(subject, star), name[:_NAME_CHARS])
        _write_row(column, tuple(map(plain, cells)), colour, "bold")
    hidden = len(subject.stars) - _ROWS
    if hidden > 0:
        column.write(f"and {hidden} more, farther away", size=13, color=GREY, step=30)


def _write_row(column: _Column, cells: tuple[str, ...], colour: str, weight: str) -> None:
    for shift, cell in zip((0.0, 80.0, 170.0, 385.0), cells, strict=True):
        first = shift == 0.0
        column.write(
            cell,
            size=14,
            step=0,
            shift=shift,
            color=colour if first or weight == "normal" else INK,
            weight=weight if first else "normal",
        )
    column.skip(30)


def _where(subject: ChartSubject, star: ChartStar) -> str:
    return f"{subject.distance_arcmin(star):.1f}′ {direction(*subject.place_of(star))}"

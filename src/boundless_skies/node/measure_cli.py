"""Measuring alone: a night of files in; a table, and whatever else is asked for, out."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from boundless_skies.node.errors import NodeError
from boundless_skies.node.night.frames import frames_in
from boundless_skies.node.night.outputs import (
    NotWritten,
    Wishes,
    Written,
    overwritten,
    problem_with,
    unfit_name,
    write_files,
)
from boundless_skies.node.night.result import (
    CurveSummary,
    NightResult,
    reason_names,
    summarise,
)
from boundless_skies.node.night.run import MeasuredFrame, Night, SkippedFrame
from boundless_skies.node.night.skipped import SkippedGroup, grouped
from boundless_skies.node.night.stacking import StackPlan
from boundless_skies.node.night.table import CsvTable
from boundless_skies.node.night.words import counted, mmag, quality_words, span
from boundless_skies.node.services.measuring import refusal_line

_BAR_AFTER_S = 2.0
_NAME_CHARS = 20
_PIPE_COLUMNS = 160
_WIDE_COLUMNS = 110
_ROWS_SHOWN = 100
_TOLD_AT_ONCE = 3
_EXIT_SOME_FAILED = 1
_EXIT_NOTHING = 2
_EXIT_INTERRUPTED = 130
# Names and paths are no markup, and a line that was copied from a terminal shall be whole.
_AS_IT_STANDS: dict[str, Any] = {"soft_wrap": True, "highlight": False, "markup": False}


def measure_files(
    places: Sequence[Path],
    config: dict[str, Any],
    wishes: Wishes,
    workers: int | None = None,
    plan: StackPlan | None = None,
) -> int:
    """Measure the frames of a night, and show what came out.

    Parameters
    ----------
    places : sequence of Path
        FITS files, and folders of them.
    config : dict
        The whole config.
    wishes : Wishes
        What to write.
    workers : int, optional
        How many frames are read and solved at a time; by default as many as there are
        processors.
    plan : StackPlan, optional
        Whether, and how many, frames make a point together.

    Returns
    -------
    int
        The exit code: 0 all measured and written, 1 some not, 2 nothing to do,
        130 interrupted.
    """
    if problem := problem_with(wishes):
        return _failed(problem)
    frames = frames_in(places, config["image_watcher"]["patterns"])
    if not frames:
        named = ", ".join(str(path) for path in places)
        return _failed(f"there are no FITS files in {named}.")
    if problem := overwritten(wishes, frames) or unfit_name(wishes, config, frames[0]):
        return _failed(problem)
    result = NightResult()
    try:
        interrupted = _measure_all(frames, config, result, wishes.csv_path, workers, plan)
    except (NodeError, OSError) as error:
        unwritten = f"{wishes.csv_path} cannot be written: {getattr(error, 'strerror', '')}."
        return _failed(unwritten if isinstance(error, OSError) else str(error))
    made = list(write_files(result, wishes))
    _show(result, len(frames), wishes, made)
    if interrupted:
        return _EXIT_INTERRUPTED
    failed = any(isinstance(file, NotWritten) for file in made)
    return _EXIT_SOME_FAILED if result.skipped or failed else 0


def _failed(problem: str) -> int:
    click.echo(f"Error: {problem}", err=True)
    return _EXIT_NOTHING


class _Bar:
    """A progress bar that shows itself only where the work takes longer than a moment."""

    def __init__(self, total: int) -> None:
        self.console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("Measuring"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task("", total=total)
        self._since_s = time.monotonic()
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._progress.stop()

    def advance(self, frames: int) -> None:
        """Note so many more frames as done."""
        self._progress.advance(self._task, frames)
        if not self._shown and time.monotonic() - self._since_s > _BAR_AFTER_S:
            self._shown = True
            self._progress.start()


def _measure_all(
    frames: Sequence[Path],
    config: dict[str, Any],
    result: NightResult,
    csv_path: Path | None,
    workers: int | None,
    plan: StackPlan | None,
) -> bool:
    """Measure all frames into ``result``; True where Ctrl-C ended it."""
    side_by_side = min(workers or len(os.sched_getaffinity(0)), len(frames))
    try:
        with (
            _csv_table(csv_path) as take,
            _Bar(len(frames)) as bar,
            Night(config, side_by_side, plan=plan) as night,
        ):
            for frame in night.measure(frames):
                result.add(frame)
                if isinstance(frame, MeasuredFrame):
                    take(result.taken[-1].values)
                else:
                    _tell(frame, result, bar.console)
                bar.advance(frame.frames)
    except KeyboardInterrupt:
        return True
    return False


def _tell(frame: SkippedFrame, result: NightResult, console: Console) -> None:
    """Tell the first frames of a fault at once; the summary counts all of them."""
    if sum(other.fault == frame.fault for other in result.skipped) <= _TOLD_AT_ONCE:
        line = Text(refusal_line(frame.path.name, frame.reason), "yellow")
        console.print(line, soft_wrap=True)


@contextmanager
def _csv_table(path: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    if path is None:
        yield lambda _point: None
        return
    table = CsvTable(path)
    try:
        yield table.add
    finally:
        table.close()


def _show(
    result: NightResult, frames: int, wishes: Wishes, made: Sequence[Written | NotWritten]
) -> None:
    for file in made:
        if isinstance(file, NotWritten):
            click.echo(f"Error: {file.path} was not written: {file.reason}", err=True)
    written = [file for file in made if isinstance(file, Written)]
    if wishes.as_json:
        click.echo(json.dumps(_as_json(result, written), indent=2, ensure_ascii=False))
    else:
        _print(result, frames, written)


def _print(result: NightResult, frames: int, written: Sequence[Written]) -> None:
    console = Console()
    if not console.is_terminal:  # a pipe has no edge to fold at
        console.width = _PIPE_COLUMNS
    if result.taken:
        shown = result.points[:_ROWS_SHOWN]
        console.print(_table(shown, wide=console.width >= _WIDE_COLUMNS))
    if len(result.taken) > _ROWS_SHOWN:
        console.print(f"… and {len(result.taken) - _ROWS_SHOWN} more (--csv writes all).")
    for curve in result.curves():
        console.print(*_summary(summarise(curve.points)), sep="\n", **_AS_IT_STANDS)
    for group in grouped(result.skipped):
        console.print(*_group(group), sep="\n", **_AS_IT_STANDS)
    console.print(_count(result, frames, written), **_AS_IT_STANDS)
    for file in written:
        if file.kind != "csv":
            console.print(f"\n{file.path}: {file.description}", **_AS_IT_STANDS)


def _as_json(result: NightResult, written: Sequence[Written]) -> dict[str, Any]:
    """Return all that came out; the first picture, chart and sound by their names too."""
    files = [
        {"kind": file.kind, "file": str(file.path), "description": file.description}
        for file in written
    ]
    first = {file["kind"]: file for file in reversed(files)}
    return {
        "measurements": result.points,
        "light_curves": [_without_nan(summarise(curve.points)) for curve in result.curves()],
        "skipped": [
            {"fault": group.fault, "file": str(frame.path), "reason": frame.reason}
            for group in grouped(result.skipped)
            for frame in group.frames
        ],
        "files": files,
        **first,
    }


def _without_nan(summary: CurveSummary) -> dict[str, Any]:
    """Return a summary as JSON has it, which knows no NaN."""
    entries = asdict(summary).items()
    return {name: None if value != value else value for name, value in entries}  # noqa: PLR0124


def _count(result: NightResult, frames: int, written: Sequence[Written]) -> str:
    named = ", ".join(str(file.path) for file in written)
    where = f"; written to {named}" if named else ""
    left = frames - result.frames
    ended = f", {left} not reached" if left else ""
    skipped = sum(frame.frames for frame in result.skipped)
    stacked = result.frames - skipped
    of_frames = f" from {stacked} frames" if stacked > len(result.taken) else ""
    return f"{len(result.taken)} measured{of_frames}, {skipped} skipped{ended}{where}."


def _group(group: SkippedGroup) -> Iterator[str]:
    first = group.frames[0]
    yield f"{counted(len(group.frames), 'frame')} skipped, {group.fault}"
    yield f"  such as {first.path.name}: {first.reason.removeprefix(f'{first.path.name} ')}"
    yield f"  To do: {group.advice}"


def _summary(curve: CurveSummary) -> Iterator[str]:
    limits = f", {curve.limits} of them limits" if curve.limits else ""
    yield f"{curve.target} in {curve.filter}: {counted(curve.points, 'point')}{limits}" + (
        f" over {span(curve.hours)}, {curve.brightest:.3f} to {curve.faintest:.3f} mag"
        if curve.points > curve.limits
        else ""
    )
    if curve.scatter_mag is not None:
        yield (
            f"  scatter {mmag(curve.scatter_mag)} from point to point, "
            f"stated uncertainty {mmag(curve.stated_mag)}"
        )
    fewest, most = curve.comparison_stars
    several = f"{fewest} to {most}" if fewest != most else f"{most}"
    yield f"  {several} comparison stars{_check(curve)}"
    yield f"  {quality_words(curve)}"


def _check(curve: CurveSummary) -> str:
    if curve.check_star is None:
        return ""
    if curve.check_scatter_mag is None:
        return f"; check star {curve.check_star}"
    return f"; check star {curve.check_star} scatters by {mmag(curve.check_scatter_mag)}"


def _table(measured: list[dict[str, Any]], *, wide: bool) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = _COLUMNS if wide else {name: _COLUMNS[name] for name in _NARROW}
    for name in columns:
        justify: Literal["left", "right"] = "left" if name in _WORDS else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    table.add_column("Quality")
    for entry in measured:
        row = (Text(told(entry)) for told in columns.values())
        table.add_row(*row, _quality(entry, with_reasons=wide))
    return table


def _quality(entry: dict[str, Any], *, with_reasons: bool) -> Text:
    colours = {"good": "green", "acceptable": "yellow", "poor": "red"}
    quality = Text(entry["quality_flag"], colours.get(entry["quality_flag"], ""))
    reasons = reason_names(entry) if with_reasons else []
    return quality.append(f": {', '.join(reasons)}") if reasons else quality


def _tail(name: str) -> str:
    """Cut a long file name at its front: a night's names differ at their ends."""
    return name if len(name) <= _NAME_CHARS else f"…{name[1 - _NAME_CHARS :]}"


def _rounded(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "File": lambda entry: _tail(Path(entry["fits_file"]).name),
    "Target": lambda entry: str(entry["target_name"]),
    "BJD (TDB)": lambda entry: f"{entry['bjd']:.5f}",
    "mag": lambda entry: (
        f"{'<' if entry.get('is_limit') else ''}{entry['magnitude']:.3f} {entry['filter']}"
    ),
    "±": lambda entry: f"{entry['uncertainty']:.3f}",
    "SNR": lambda entry: _rounded(entry["snr"], 0),
    "Airmass": lambda entry: _rounded(entry["airmass"], 2),
    "Comp. stars": lambda entry: str(entry["comparison_stars"]),
}
_WORDS = ("File", "Target")
_NARROW = ("File", "Target", "BJD (TDB)", "mag", "±")

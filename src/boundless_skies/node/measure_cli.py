"""Measuring alone: a list of files in, a table out."""

import contextlib
import csv
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, Literal, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from boundless_skies.node.frame_names import is_frame_name
from boundless_skies.node.services.measuring import Measured, measure_frame, refusal_line
from boundless_skies.wire import Measurement

CSV_COLUMNS = [field.name for field in fields(Measurement)]

_BAR_AFTER_S = 2.0
_NAME_CHARS = 20
_PIPE_COLUMNS = 160
_WIDE_COLUMNS = 110
_EXIT_SOME_FAILED = 1
_EXIT_NOTHING = 2
_EXIT_INTERRUPTED = 130


def measure_files(
    files: Sequence[Path], config: dict[str, Any], *, csv_path: Path | None, as_json: bool
) -> int:
    """Measure files one after the other, and show what came out.

    Parameters
    ----------
    files : sequence of Path
        FITS files, and folders of them.
    config : dict
        The whole config.
    csv_path : Path or None
        Where to write a table with the measurements' keys as columns.
    as_json : bool
        Print the measurements as a JSON array instead of a table.

    Returns
    -------
    int
        The exit code: 0 all measured, 1 some not, 2 nothing to do, 130 interrupted.
    """
    frames = list(_frames_in(files, config["image_watcher"]["patterns"]))
    if not frames:
        places = ", ".join(str(path) for path in files)
        click.echo(f"Error: there are no FITS files in {places}.", err=True)
        return _EXIT_NOTHING
    measured: list[dict[str, Any]] = []
    try:
        with _csv_writer(csv_path) as writer, _Bar(len(frames)) as bar:
            interrupted = _measure_all(frames, config, measured, writer, bar)
    except OSError as error:
        click.echo(f"Error: {csv_path} cannot be written: {error.strerror}.", err=True)
        return _EXIT_NOTHING
    _show(measured, len(frames), csv_path, as_json=as_json)
    if interrupted:
        return _EXIT_INTERRUPTED
    return 0 if len(measured) == len(frames) else _EXIT_SOME_FAILED


def _frames_in(files: Sequence[Path], patterns: list[str]) -> Iterator[Path]:
    for path in files:
        if path.is_dir():
            yield from sorted(
                inner
                for inner in path.rglob("*")
                if inner.is_file() and is_frame_name(inner.name, patterns)
            )
        else:
            yield path


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

    def advance(self) -> None:
        """Note one more frame as done."""
        self._progress.advance(self._task)
        if not self._shown and time.monotonic() - self._since_s > _BAR_AFTER_S:
            self._shown = True
            self._progress.start()


def _measure_all(
    frames: Sequence[Path],
    config: dict[str, Any],
    measured: list[dict[str, Any]],
    writer: "csv.DictWriter[str] | None",
    bar: _Bar,
) -> bool:
    """Measure all frames into ``measured``; True where Ctrl-C ended it."""
    try:
        for path in frames:
            outcome = measure_frame(str(path), config)
            if isinstance(outcome, Measured):
                measured.append(outcome.measurement)
                if writer is not None:
                    writer.writerow(outcome.measurement)
            else:
                line = Text(refusal_line(path.name, outcome.reason), "yellow")
                bar.console.print(line, soft_wrap=True)
            bar.advance()
    except KeyboardInterrupt:
        return True
    return False


@contextlib.contextmanager
def _csv_writer(path: Path | None) -> Iterator["csv.DictWriter[str] | None"]:
    if path is None:
        yield None
        return
    stream: IO[str]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, CSV_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        yield writer


def _show(
    measured: list[dict[str, Any]], frames: int, csv_path: Path | None, *, as_json: bool
) -> None:
    if as_json:
        click.echo(json.dumps(measured, indent=2))
        return
    console = Console()
    if not console.is_terminal:  # a pipe has no edge to fold at
        console.width = _PIPE_COLUMNS
    if measured:
        console.print(_table(measured, wide=console.width >= _WIDE_COLUMNS))
    where = f"; written to {csv_path}" if csv_path is not None else ""
    skipped = frames - len(measured)
    console.print(f"{len(measured)} measured, {skipped} skipped{where}.", soft_wrap=True)


def _table(measured: list[dict[str, Any]], *, wide: bool) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = _COLUMNS if wide else {name: _COLUMNS[name] for name in _NARROW}
    for name in columns:
        justify: Literal["left", "right"] = "left" if name in _WORDS else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    table.add_column("Quality")
    for entry in measured:
        table.add_row(*(Text(told(entry)) for told in columns.values()), _quality(entry))
    return table


def _quality(entry: dict[str, Any]) -> Text:
    colours = {"good": "green", "acceptable": "yellow", "poor": "red"}
    return Text(entry["quality_flag"], colours.get(entry["quality_flag"], ""))


def _tail(name: str) -> str:
    """Cut a long file name at its front: a night's names differ at their ends."""
    return name if len(name) <= _NAME_CHARS else f"…{name[1 - _NAME_CHARS :]}"


def _rounded(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "File": lambda entry: _tail(Path(entry["fits_file"]).name),
    "Target": lambda entry: str(entry["target_name"]),
    "BJD (TDB)": lambda entry: f"{entry['bjd']:.5f}",
    "mag": lambda entry: f"{entry['magnitude']:.3f} {entry['filter']}",
    "±": lambda entry: f"{entry['uncertainty']:.3f}",
    "SNR": lambda entry: _rounded(entry["snr"], 0),
    "Airmass": lambda entry: _rounded(entry["airmass"], 2),
    "Comp. stars": lambda entry: str(entry["comparison_stars"]),
}
_WORDS = ("File", "Target")
_NARROW = ("File", "Target", "BJD (TDB)", "mag", "±")

"""The files of a night: what is wished for, whether it can be written, and the writing."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boundless_skies.node.errors import FrameError
from boundless_skies.node.night.files import numbered
from boundless_skies.node.night.result import LightCurve, NightResult, seen
from boundless_skies.reports.aavso import AavsoError, read_observer_code, read_star_name
from boundless_skies.sky.targets import find_target


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What shall come out, besides the table on the screen.

    Attributes
    ----------
    csv_path : Path or None
        A table with the measurements' keys as columns.
    plot_path : Path or None
        The light curve as PNG.
    chart_path : Path or None
        A finding chart as PNG.
    sound_path : Path or None
        The light curve to listen to, as WAV.
    aavso_path : Path or None
        A report in the AAVSO's Extended File Format.
    observer_code : str
        The AAVSO's code of the observer, for the report.
    as_json : bool
        Everything as a JSON object instead of the table on the screen.
    """

    csv_path: Path | None = None
    plot_path: Path | None = None
    chart_path: Path | None = None
    sound_path: Path | None = None
    aavso_path: Path | None = None
    observer_code: str = ""
    as_json: bool = False

    @property
    def files(self) -> dict[str, Path]:
        """The files that will be written, by what they are."""
        named = {
            "csv": self.csv_path,
            "plot": self.plot_path,
            "chart": self.chart_path,
            "sound": self.sound_path,
            "aavso": self.aavso_path,
        }
        return {kind: path for kind, path in named.items() if path is not None}


@dataclass(frozen=True, kw_only=True)
class Written:
    """A file that was written.

    Attributes
    ----------
    kind : str
        "csv", "plot", "chart", "sound" or "aavso".
    path : Path
        Where it is.
    description : str
        What it shows, for those who do not see or hear it.
    """

    kind: str
    path: Path
    description: str


@dataclass(frozen=True, kw_only=True)
class NotWritten:
    """A file that was wished for and could not be written.

    Attributes
    ----------
    path : Path
        Where it would be.
    reason : str
        Why, and what to do.
    """

    path: Path
    reason: str


_ENDINGS = {"plot": ".png", "chart": ".png", "sound": ".wav"}


def problem_with(wishes: Wishes) -> str:
    """Say what is wrong with the files to be written, before an hour of work goes by.

    Parameters
    ----------
    wishes : Wishes
        What shall be written.

    Returns
    -------
    str
        One sentence; empty where all is well.
    """
    found = (_problem_of_one(kind, path) for kind, path in wishes.files.items())
    return next(filter(None, (*found, _problem_of_report(wishes), _doubled(wishes))), "")


def overwritten(wishes: Wishes, frames: Sequence[Path]) -> str:
    """Say which file to be written is one of the frames; empty where none is."""
    inputs = {path.resolve() for path in frames}
    for path in wishes.files.values():
        if path.resolve() in inputs:
            return f"{path} is one of the frames, and would be overwritten: name another file."
    return ""


def unfit_name(wishes: Wishes, config: Mapping[str, Any], first: Path) -> str:
    """Say whether the target's name fits into a report that is wished for.

    Parameters
    ----------
    wishes : Wishes
        What shall be written.
    config : mapping
        The whole config, whose name of the target counts.
    first : Path
        The first frame, which names the target otherwise.

    Returns
    -------
    str
        One sentence; empty where there is no report, or its name fits.
    """
    if wishes.aavso_path is None:
        return ""
    name = config["photometry"]["target"]["name"] or _named_in(first)
    if not name:  # it will be called by its position
        return ""
    listed = find_target(name)
    try:
        read_star_name(listed.name if listed else name)
    except AavsoError as error:
        return str(error)
    return ""


def _named_in(frame: Path) -> str:
    """Return what a frame's header calls its target; empty where it cannot be read."""
    # Loaded here, as is everything below: who wishes for no file shall not wait for it.
    from boundless_skies.node.fits.frame import read_image  # noqa: PLC0415
    from boundless_skies.node.fits.headers import read_facts  # noqa: PLC0415

    try:
        return read_facts(read_image(frame)[1]).object_name
    except FrameError:
        return ""


def _problem_of_one(kind: str, path: Path) -> str:
    ending = _ENDINGS.get(kind)
    if ending and path.suffix.lower() != ending:
        return (
            f"--{kind} writes {ending[1:].upper()}: name a file that ends in {ending}, not {path}."
        )
    if not path.parent.is_dir():
        return f"{path} cannot be written: there is no folder {path.parent}."
    # A table is written in place, row by row; the others are moved there once they are whole.
    held = path if kind == "csv" and path.exists() else path.parent
    if not os.access(held, os.W_OK):
        return f"{path} cannot be written: this user may not write to {held}."
    return ""


def _problem_of_report(wishes: Wishes) -> str:
    if wishes.aavso_path is None:
        return ""
    try:
        read_observer_code(wishes.observer_code)
    except AavsoError as error:
        return f"--obscode: {error}"
    return ""


def _doubled(wishes: Wishes) -> str:
    paths = [path.resolve() for path in wishes.files.values()]
    double = next((path for path in paths if paths.count(path) > 1), None)
    return f"two different files would be written to {double}: name another one." if double else ""


def write_files(result: NightResult, wishes: Wishes) -> Iterator[Written | NotWritten]:
    """Write all files but the table, which has grown with the measuring.

    Parameters
    ----------
    result : NightResult
        What was measured.
    wishes : Wishes
        What to write.

    Yields
    ------
    Written or NotWritten
        One or more for each wish: with several light curves there are several pictures.
    """
    for kind, path in wishes.files.items():
        if kind == "csv":
            yield Written(kind=kind, path=path, description=_table_told(result))
        elif not result.taken:
            yield NotWritten(path=path, reason="there is no point to show.")
        elif kind == "aavso":
            yield _report(result, wishes.observer_code, path)
        else:
            yield from _each(kind, _WRITERS[kind](result), path)


def _table_told(result: NightResult) -> str:
    rows = len(result.taken)
    return f"Table with {rows} {'row' if rows == 1 else 'rows'}, a measurement each."


def _each(
    kind: str, writers: Sequence[Callable[[Path], str]], path: Path
) -> Iterator[Written | NotWritten]:
    if not writers:
        yield NotWritten(path=path, reason="the star was seen in no frame.")
    for index, write in enumerate(writers):
        place = numbered(path, index)
        try:
            yield Written(kind=kind, path=place, description=write(place))
        except OSError as error:
            yield NotWritten(path=place, reason=f"it cannot be written: {error.strerror}.")


def _report(result: NightResult, observer_code: str, path: Path) -> Written | NotWritten:
    from boundless_skies.node.night.aavso_report import write_report  # noqa: PLC0415

    curves = result.curves()
    try:
        count = write_report(curves, observer_code, path)
    except AavsoError as error:
        return NotWritten(path=path, reason=str(error))
    except OSError as error:
        return NotWritten(path=path, reason=f"it cannot be written: {error.strerror}.")
    if not count.reported:
        return NotWritten(path=path, reason="all points are of poor quality.")
    names = ", ".join(dict.fromkeys(curve.target.name for curve in curves))
    told = f"AAVSO report: {count.reported} of {len(result.taken)} points of {names}"
    left_out = f"; {count.left_out} of poor quality left out" if count.left_out else ""
    return Written(kind="aavso", path=path, description=f"{told}{left_out}.")


def _plots(result: NightResult) -> list[Callable[[Path], str]]:
    from boundless_skies.node.night.curve_plot import draw_curve  # noqa: PLC0415

    return [_bound(draw_curve, curve) for curve in result.curves()]


def _sounds(result: NightResult) -> list[Callable[[Path], str]]:
    from boundless_skies.node.night.sound import write_sound  # noqa: PLC0415

    return [_bound(write_sound, curve) for curve in result.curves() if seen(curve.points)]


def _bound(write: Callable[[LightCurve, Path], str], curve: LightCurve) -> Callable[[Path], str]:
    return lambda path: write(curve, path)


def _charts(result: NightResult) -> list[Callable[[Path], str]]:
    from boundless_skies.node.night.finding_chart import chart_of  # noqa: PLC0415

    names = dict.fromkeys(curve.target.name for curve in result.curves())
    return [chart_of(result.best[name]) for name in names]


_WRITERS: dict[str, Callable[[NightResult], list[Callable[[Path], str]]]] = {
    "plot": _plots,
    "sound": _sounds,
    "chart": _charts,
}

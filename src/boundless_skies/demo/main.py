"""``boundless demo``: see everything at work on this machine, in a fresh folder."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from boundless_skies.demo.narration import DemoFailure, Narrator

if TYPE_CHECKING:
    from boundless_skies.demo.play import Play

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


@click.command()
@click.option(
    "--frames",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Your own frames, instead of a rendered night.",
)
@click.option("--target", help="Name of the star in your frames; else the frames' own.")
@click.option("--ra", "ra_deg", type=click.FloatRange(0, 360), help="Its right ascension, degrees.")
@click.option("--dec", "dec_deg", type=click.FloatRange(-90, 90), help="Its declination, degrees.")
@click.option(
    "--count",
    type=click.IntRange(6, 500),
    default=24,
    show_default=True,
    help="How many frames to render.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="A folder that is not there yet.  [default: demo-DATE-TIME here]",
)
@click.option("--stay", is_flag=True, help="Keep the page up at the end, until Ctrl-C.")
def demo(
    frames: Path | None,
    target: str | None,
    ra_deg: float | None,
    dec_deg: float | None,
    count: int,
    folder: Path | None,
    stay: bool,
) -> None:
    r"""Start a cloud and a node here, and let them go through a night.

    The cloud is killed in the middle and comes back; an operator sends a plan and an interrupt. At
    the end the books of both sides are compared, and the light curve is drawn.

    \b
    Exit code 0   the books balance: nothing lost, nothing duplicated
              1   they don't, or a step failed
    """
    if (ra_deg is None) != (dec_deg is None):
        raise click.UsageError("--ra and --dec go together: give both, in degrees (J2000).")
    if frames is None and (target or ra_deg is not None):
        raise click.UsageError("--target, --ra and --dec are about your own --frames.")
    chosen = {"name": target, "ra_deg": ra_deg, "dec_deg": dec_deg}
    folder = (folder or Path(f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}")).absolute()
    _end_in_order()
    given = {key: value for key, value in chosen.items() if value is not None}
    sys.exit(_run(Narrator(Console()), folder, frames, given, count, stay=stay))


def _end_in_order() -> None:
    """Let SIGTERM, and a terminal that is closed, end our children too; nohup stays nohup."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda *_: sys.exit(EXIT_INTERRUPTED))


def _run(
    narrator: Narrator,
    folder: Path,
    frames: Path | None,
    target: Mapping[str, object],
    count: int,
    *,
    stay: bool,
) -> int:
    narrator.title("Boundless Skies: the demo", f"in {folder}")
    if folder.exists():
        there = DemoFailure(f"{folder} is there already; name a folder that is not, with --folder.")
        narrator.failure(there)
        return EXIT_FAILED
    # Imported here: matplotlib and astropy take a second, and the help needs neither.
    from boundless_skies.demo.nights import night_from_folder, rendered_night  # noqa: PLC0415
    from boundless_skies.demo.play import Play  # noqa: PLC0415

    try:
        night = rendered_night(count) if frames is None else night_from_folder(frames, target)
        _make_fresh(folder)
        with Play(folder, night, narrator) as play:
            books = play.play()
            _tell_end(narrator, play, stay=stay)
            if stay:
                with contextlib.suppress(KeyboardInterrupt):
                    play.stay()
    except KeyboardInterrupt:
        narrator.say("Stopped; cloud and node are ended.", "dim")
        return EXIT_INTERRUPTED
    except DemoFailure as failure:
        narrator.failure(failure, folder)
        return EXIT_FAILED
    return 0 if books.balance else EXIT_FAILED


def _make_fresh(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DemoFailure(f"{folder} cannot be made: {error.strerror}.") from None


def _tell_end(narrator: Narrator, play: "Play", *, stay: bool) -> None:
    narrator.say(f"Light curve   {play.picture}")
    if stay:
        narrator.say(f"Page          {play.page}   (up until Ctrl-C)")
        return
    port = play.url.rpartition(":")[2]
    narrator.say(f"Page          {play.page}")
    again = f"{_boundless()} cloud --data {play.folder}/cloud --port {port}"
    narrator.say(f"              up again with: {again}")


def _boundless() -> str:
    """Name the command as it can be typed here: a venv need not be on the PATH."""
    beside = Path(sys.executable).with_name("boundless")
    return "boundless" if shutil.which("boundless") or not beside.exists() else str(beside)

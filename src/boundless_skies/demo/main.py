"""``boundless demo``: see everything at work on this machine, in a fresh folder."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from rich.console import Console

from boundless_skies.demo.narration import DemoFailure, Narrator

if TYPE_CHECKING:
    from boundless_skies.demo.play import Play
    from boundless_skies.demo.telescope_play import TelescopePlay

    AnyPlay = Play | TelescopePlay

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
@click.option("--telescope", is_flag=True, help="A night at a simulated ASCOM Alpaca telescope.")
@click.option("--stay", is_flag=True, help="Keep the pages up at the end, until Ctrl-C.")
@click.pass_context
def demo(
    context: click.Context,
    frames: Path | None,
    target: str | None,
    ra_deg: float | None,
    dec_deg: float | None,
    count: int,
    folder: Path | None,
    telescope: bool,
    stay: bool,
) -> None:
    """Start a cloud and a node here, and let them go through a night.

    The cloud is killed in the middle and comes back; an operator sends a plan and an interrupt. At
    the end the books of both sides are compared, and the light curve is drawn.

    With --telescope the node carries a plan out by itself, on simulated devices that speak ASCOM
    Alpaca: it points, centres, exposes, measures, gives way to an interrupt, is killed in the
    middle, and parks. It takes a minute and a half.

    \b
    Exit code 0   the books balance: nothing lost, nothing duplicated
              1   they don't, or a step failed
    """  # noqa: D301 - click wants the backspace itself
    if telescope and _given(context, "frames", "target", "ra_deg", "dec_deg", "count"):
        raise click.UsageError(
            "--telescope takes its own frames: only --folder and --stay go with it."
        )
    if (ra_deg is None) != (dec_deg is None):
        raise click.UsageError("--ra and --dec go together: give both, in degrees (J2000).")
    if frames is None and (target or ra_deg is not None):
        raise click.UsageError("--target, --ra and --dec are about your own --frames.")
    chosen = {"name": target, "ra_deg": ra_deg, "dec_deg": dec_deg}
    folder = (folder or Path(f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}")).absolute()
    _end_in_order()
    given = {key: value for key, value in chosen.items() if value is not None}
    narrator = Narrator(Console())

    def make_play() -> "AnyPlay":
        if telescope:
            return _at_telescope(folder, narrator)
        return _with_frames(folder, narrator, frames, given, count)

    sys.exit(_run(narrator, folder, make_play, stay=stay))


def _given(context: click.Context, *names: str) -> bool:
    return any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in names)


# What is imported in these two takes a second, and the help needs none of it.


def _at_telescope(folder: Path, narrator: Narrator) -> "TelescopePlay":
    from boundless_skies.demo.simulators import check_installed  # noqa: PLC0415
    from boundless_skies.demo.telescope_play import TelescopePlay  # noqa: PLC0415

    check_installed()
    return TelescopePlay(folder, narrator)


def _with_frames(
    folder: Path,
    narrator: Narrator,
    frames: Path | None,
    target: Mapping[str, object],
    count: int,
) -> "Play":
    from boundless_skies.demo.nights import night_from_folder, rendered_night  # noqa: PLC0415
    from boundless_skies.demo.play import Play  # noqa: PLC0415

    night = rendered_night(count) if frames is None else night_from_folder(frames, target)
    return Play(folder, night, narrator)


def _end_in_order() -> None:
    """Let SIGTERM, and a terminal that is closed, end our children too; nohup stays nohup."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda *_: sys.exit(EXIT_INTERRUPTED))


def _run(
    narrator: Narrator, folder: Path, make_play: "Callable[[], AnyPlay]", *, stay: bool
) -> int:
    narrator.title("Boundless Skies: the demo", f"in {folder}")
    if folder.exists():
        there = DemoFailure(f"{folder} is there already; name a folder that is not, with --folder.")
        narrator.failure(there)
        return EXIT_FAILED
    try:
        play = make_play()
        _make_fresh(folder)
        with play:
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


def _tell_end(narrator: Narrator, play: "AnyPlay", *, stay: bool) -> None:
    for name, what in (*play.keepsakes, *play.pages):
        narrator.say(f"{name:<14}{what}")
    if stay:
        narrator.say("All pages are up until Ctrl-C.", "dim")
        return
    port = play.url.rpartition(":")[2]
    again = f"{_boundless()} cloud --data {play.folder}/cloud --port {port}"
    narrator.say(
        "The pages went down with the demo; with --stay (make: STAY=1) they stay up.", "dim"
    )
    narrator.say(f"The cloud's are up again with: {again}", "dim")


def _boundless() -> str:
    """Name the command as it can be typed here: a venv need not be on the PATH."""
    beside = Path(sys.executable).with_name("boundless")
    return "boundless" if shutil.which("boundless") or not beside.exists() else str(beside)

"""``boundless node``: make a config, check and run a node, see how it does, measure frames."""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from boundless_skies.node.catalogue_names import NAMES
from boundless_skies.node.config import DEFAULT_PATH, ConfigFileError, defaults, load_config
from boundless_skies.node.config_text import annotated_yaml
from boundless_skies.node.errors import NodeError
from boundless_skies.node.optional_names import OptionalNames
from boundless_skies.node.photometry.settings import Method
from boundless_skies.node.plan_cli import plan as plan_commands
from boundless_skies.node.storage.data_folder import FolderLock, make_data_folder, node_runs
from boundless_skies.node.storage.status_file import read_status
from boundless_skies.node.telescope_cli import telescope
from cloud_communicator import LinkError

EXIT_TROUBLE = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3

STALE_S = 60.0
"""A running node's status is rewritten far more often than this (s)."""

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_PATH,
    show_default=True,
    help="The node's config file.",
)


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """Turn what an owner can set right into one line each and exit code 2."""
    try:
        yield
    except ConfigFileError as error:
        for problem in error.problems:
            click.echo(f"Error: {problem}", err=True)
    except (NodeError, LinkError) as error:
        click.echo(f"Error: {error}", err=True)
    else:
        return
    sys.exit(EXIT_USAGE)


@click.group()
def node() -> None:
    """Run a telescope's node, or measure frames.

    \b
    Start with:   boundless node init
    then:         boundless node run
    """  # noqa: D301 - click wants the backspace itself


node.add_command(plan_commands)
node.add_command(telescope)


@node.command()
@config_option
@click.option("--force", is_flag=True, help="Replace a file that is there (kept as *.old).")
def init(config_path: Path, force: bool) -> None:
    """Write a config file with every setting explained.

    On a terminal it asks for your name, place and folder; elsewhere it writes the defaults.
    """
    if config_path.exists() and not force:
        click.echo(
            f"Error: {config_path} is there already and stays as it is. "
            "To write a new one (the old is kept beside it), add --force.",
            err=True,
        )
        sys.exit(EXIT_USAGE)
    answers = _ask() if sys.stdin.isatty() and sys.stdout.isatty() else {}
    try:
        _write_private(config_path, annotated_yaml(answers))
    except OSError as error:
        click.echo(f"Error: {config_path} cannot be written: {error.strerror}.", err=True)
        sys.exit(EXIT_USAGE)
    option = "" if config_path == DEFAULT_PATH else f" --config {config_path}"
    click.echo(f"Wrote {config_path}. Look through it, then: boundless node run{option}")


def _ask() -> dict[str, Any]:
    """Ask what no default can know; return answers by the keys' paths."""
    click.echo("A few questions; Enter takes what stands in brackets. All can be changed later.\n")
    degrees: Callable[[float], click.FloatRange] = lambda most: click.FloatRange(-most, most)  # noqa: E731
    answers: dict[str, Any] = {
        "observatory.observer": click.prompt("Your name", default="", show_default=False),
        "photometry.node_id": click.prompt("A short name for this telescope", _host_name()),
        "observatory.telescope": click.prompt("Make and model", "ZWO Seestar S50"),
        "observatory.latitude": click.prompt(
            "Latitude in degrees, north positive (Berlin: 52.52)", type=degrees(90)
        ),
        "observatory.longitude": click.prompt(
            "Longitude in degrees, east positive (Berlin: 13.40)", type=degrees(180)
        ),
        "observatory.elevation": click.prompt("Height above the sea in metres", 0.0),
        "image_watcher.watch_path": click.prompt("Folder with the telescope's frames", "frames"),
        "telescope.enabled": click.confirm(
            "Shall the node move the telescope, by ASCOM Alpaca? It asks before each plan",
            default=False,
        ),
        "cloud.url": click.prompt(
            "Address of the network's cloud (empty: none yet)", default="", show_default=False
        ),
    }
    return answers | {"cloud.enabled": bool(answers["cloud.url"])}


def _host_name() -> str:
    name = socket.gethostname().partition(".")[0]
    kept = "".join(char for char in name if char.isascii() and (char.isalnum() or char in "-_"))
    return kept[:64] or "node_001"


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads; one that is there moves to ``*.old``."""
    if path.exists():
        path.replace(path.with_name(path.name + ".old"))
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(text)


@node.command()
@config_option
def run(config_path: Path) -> None:
    """Watch the folder, measure each finished frame, and hand it to the network.

    Ends at once with Ctrl-C or SIGTERM; nothing is lost. Exit code 2 where the config or the data
    folder must be set right first.
    """
    # Imported here: the other commands should not wait for it.
    from boundless_skies.node.factory import build_program, check_ready  # noqa: PLC0415
    from boundless_skies.node.terminal import shown_on  # noqa: PLC0415

    with _told_plainly():
        config = load_config(config_path)
        check_ready(config, config_path)
        folder = make_data_folder(Path(config["cloud"]["data_dir"]))
        stop = _stop_at_signals()
        with FolderLock(folder):
            program = build_program(config, folder, config_path)
            with shown_on(Console(stderr=True)) as on_tick:
                program.run(stop, on_tick)


def _stop_at_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set; a second one ends the program at once."""
    stop = threading.Event()

    def take(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    signal.signal(signal.SIGINT, take)
    signal.signal(signal.SIGTERM, take)
    return stop


@node.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the whole status as JSON.")
def status(config_path: Path, as_json: bool) -> None:
    """Show how the running node does.

    \b
    Exit code 0   it runs, and the cloud answers (or is switched off)
              1   it runs, but something is wrong
              2   the config must be set right first
              3   it does not run
    """  # noqa: D301 - click wants the backspace itself
    with _told_plainly():
        config = load_config(config_path)
    folder = Path(config["cloud"]["data_dir"]).expanduser().absolute()
    told, runs = read_status(folder), node_runs(folder)
    age_s = _age_s(told)
    if as_json:
        click.echo(json.dumps((told or {}) | {"running": runs, "age_s": age_s}, indent=2))
    else:
        _show_status(told, folder, runs=runs, age_s=age_s)
    sys.exit(_exit_code(told, runs=runs, age_s=age_s))


def _age_s(told: dict[str, Any] | None) -> float | None:
    try:
        written = datetime.fromisoformat(str((told or {})["written_at"]))
    except (KeyError, ValueError):
        return None
    return (datetime.now(UTC) - written).total_seconds()


def _show_status(
    told: dict[str, Any] | None, folder: Path, *, runs: bool, age_s: float | None
) -> None:
    from boundless_skies.node.terminal import status_table  # noqa: PLC0415 - brings rich's Live

    console = Console()
    if told is not None:
        console.print(status_table(told, runs=runs, age_s=age_s))
    if not runs:
        never = "" if told is not None else f" None has ever run with the data folder {folder}."
        console.print(f"No node runs.{never} Start it with: boundless node run", soft_wrap=True)
    elif told is None or _stale(age_s):
        console.print(
            f"A node runs, but it has not told its status for {age_s or 0:.0f} s. If that lasts, "
            "stop it and start it again; nothing is lost by it.",
            soft_wrap=True,
        )


def _stale(age_s: float | None) -> bool:
    return age_s is None or age_s > STALE_S


def _exit_code(told: dict[str, Any] | None, *, runs: bool, age_s: float | None) -> int:
    if not runs:
        return EXIT_NOT_RUNNING
    link = (told or {}).get("link") or {}
    bad = _stale(age_s) or link.get("error") or link.get("last_heartbeat_ok") is False
    return EXIT_TROUBLE if bad else 0


@node.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON array.")
def doctor(config_path: Path, as_json: bool) -> None:
    """Check this computer and the way to the cloud; say what is wrong and what to do.

    Each line is ok, a warning, or failed. The exit code is 1 where something failed, else 0.
    """
    from boundless_skies.node.doctor import run_doctor  # noqa: PLC0415 - loads the libraries

    sys.exit(run_doctor(config_path, as_json=as_json))


def _file_option(
    name: str, told: str, default: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return an option that names a file to be written; with a default it needs no name."""
    optional: dict[str, Any] = {"is_flag": False, "flag_value": default} if default else {}
    return click.option(
        name,
        f"{name.removeprefix('--')}_path",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="[FILE]" if default else "FILE",
        help=f"{told} Without a name: {default}." if default else told,
        **optional,
    )


def _master_option(kind: str, told: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return an option that names a dark, flat or bias in place of the config's."""
    return click.option(
        f"--{kind}",
        type=click.Path(exists=True, path_type=Path),
        metavar="PATH",
        help=f"{told}: a FITS file, or a folder of exposures to be combined.",
    )


@node.command(cls=OptionalNames)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILES…"
)
@click.option("--target", default=None, help="Name of the star; else the config's or the frame's.")
@click.option("--ra", "ra_deg", type=click.FloatRange(0, 360), help="Its right ascension, degrees.")
@click.option("--dec", "dec_deg", type=click.FloatRange(-90, 90), help="Its declination, degrees.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help=f"The node's config file; {DEFAULT_PATH} where there is one.",
)
@_file_option("--csv", "A table, a row for each measurement.")
@_file_option("--plot", "The light curve as a picture (PNG).", default="light_curve.png")
@_file_option("--chart", "A finding chart (PNG).", default="finding_chart.png")
@_file_option("--sound", "The light curve to listen to (WAV).", default="light_curve.wav")
@_file_option("--aavso", "A report in the AAVSO's Extended File Format; needs --obscode.")
@click.option("--obscode", metavar="CODE", help="Your observer code, as the AAVSO gave it to you.")
@click.option(
    "--catalogue",
    "catalogues",
    multiple=True,
    type=click.Choice(NAMES),
    help="Where comparison stars come from, instead of the config's; repeat it in the order of "
    "your wishes. All but bundled are asked over the network.",
)
@click.option(
    "--method",
    type=click.Choice([method.value for method in Method]),
    help="How the light is measured: in a circle (aperture), in a circle from which fitted "
    "neighbours are taken off (psf), or that where there is a neighbour (auto).",
)
@click.option(
    "--stack",
    "stack_frames",
    type=click.IntRange(2, 1000),
    metavar="N",
    help="One point of N frames at a time, for a star that is too faint for each of them.",
)
@click.option(
    "--until-snr",
    type=click.FloatRange(3, 10_000),
    metavar="S",
    help="One point of as many frames as it takes to a signal to noise of S.",
)
@_master_option("dark", "A dark (lid on, exposed like the frames)")
@_master_option("flat", "A flat (an evenly lit surface)")
@_master_option("bias", "A bias (lid on, the shortest exposure)")
@click.option("--json", "as_json", is_flag=True, help="Print everything as a JSON object.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="How many frames at a time; as many as there are processors.",
)
def measure(
    files: tuple[Path, ...],
    target: str | None,
    ra_deg: float | None,
    dec_deg: float | None,
    config_path: Path | None,
    csv_path: Path | None,
    plot_path: Path | None,
    chart_path: Path | None,
    sound_path: Path | None,
    aavso_path: Path | None,
    obscode: str | None,
    catalogues: tuple[str, ...],
    method: str | None,
    stack_frames: int | None,
    until_snr: float | None,
    dark: Path | None,
    flat: Path | None,
    bias: Path | None,
    as_json: bool,
    workers: int | None,
) -> None:
    """Measure frames here and now, without a cloud.

    FILES are FITS files, or folders of them. Ctrl-C ends it and keeps what was done.

    \b
    Exit code 0   all were measured, and everything was written
              1   some were not, or a file could not be written; it says why
              2   nothing could be tried
            130   ended by Ctrl-C
    """  # noqa: D301 - click wants the backspace itself
    # Imported here: heavy libraries stand behind it.
    from boundless_skies.node.measure_cli import measure_files  # noqa: PLC0415
    from boundless_skies.node.night.outputs import Wishes  # noqa: PLC0415
    from boundless_skies.node.night.stacking import StackPlan  # noqa: PLC0415

    if (ra_deg is None) != (dec_deg is None):
        raise click.UsageError("--ra and --dec go together: give both, in degrees (J2000).")
    if (aavso_path is None) != (obscode is None):
        raise click.UsageError("--aavso and --obscode go together: the report names its observer.")
    with _told_plainly():
        config = _config_or_defaults(config_path)
    chosen = {"name": target, "ra_deg": ra_deg, "dec_deg": dec_deg}
    if ra_deg is not None:  # a position of one star must not keep the config's name of another
        config["photometry"]["target"]["name"] = ""
    config["photometry"]["target"] |= {
        name: value for name, value in chosen.items() if value is not None
    }
    if catalogues:
        config["photometry"]["catalogues"] = list(catalogues)
    if method is not None:
        config["photometry"]["method"] = method
    masters = {"dark": dark, "flat": flat, "bias": bias}
    config["photometry"]["calibration"] |= {
        kind: str(path) for kind, path in masters.items() if path is not None
    }
    wishes = Wishes(
        csv_path=csv_path,
        plot_path=plot_path,
        chart_path=chart_path,
        sound_path=sound_path,
        aavso_path=aavso_path,
        observer_code=obscode or "",
        as_json=as_json,
    )
    plan = StackPlan(stack_frames, until_snr)
    sys.exit(measure_files(files, config, wishes, workers, plan))


def _config_or_defaults(path: Path | None) -> dict[str, Any]:
    if path is None and not DEFAULT_PATH.exists():
        return defaults()
    return load_config(path or DEFAULT_PATH)

"""``boundless simulate``: a network of simulated telescopes, night after night, in minutes."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from boundless_skies.demo.narration import DemoFailure

if TYPE_CHECKING:
    from boundless_skies.simulation.accounts import Account
    from boundless_skies.simulation.world import Outcome, Standing, World, WorldSettings

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

_HEADINGS = (
    "planned",
    "exposed",
    "cut\noff",
    "not\nbegun",
    "meas-\nured",
    "refused",
    "deliv-\nered",
    "lost",
    "twice",
    "untold",
)
"""Of the fields of an account, in their order, so narrow that a terminal of 80 takes them."""

_MUST_BE_ZERO = ("lost", "duplicated", "untold")


@click.command()
@click.option("--nodes", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--nights", type=click.IntRange(1, 30), default=3, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of it all.")
@click.option(
    "--speed",
    type=click.FloatRange(1.0),
    help="At most so many seconds of a night pass in one.  [default: as many as it takes]",
)
@click.option(
    "--exposures",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="Of each of a night's three stars.",
)
@click.option(
    "--node-kills", type=click.IntRange(0), help="How often a node is killed.  [default: once each]"
)
@click.option("--cloud-kills", type=click.IntRange(0), default=2, show_default=True)
@click.option("--interrupts", type=click.IntRange(0), default=2, show_default=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="A folder that is not there yet.  [default: simulation-DATE-TIME here]",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
def simulate(
    nodes: int,
    nights: int,
    seed: int,
    speed: float | None,
    exposures: int,
    node_kills: int | None,
    cloud_kills: int,
    interrupts: int,
    folder: Path | None,
    as_json: bool,
) -> None:
    r"""Run a network of simulated telescopes under a clock that leaps through the nights.

    A real cloud and real nodes, each a process of its own; the telescopes, the weather and
    their faults are simulated. Nodes and the cloud are killed on the way. At the end each
    node's records are held against the cloud's.

    \b
    Exit code 0   each exposure is accounted for, once, and the cloud knows it
              1   something is lost, duplicated or untold, or a step failed
    """
    folder = (folder or Path(f"simulation-{datetime.now().astimezone():%Y%m%d-%H%M%S}")).absolute()
    _end_in_order()
    # Imported here: astropy takes a second, and the help does not need it.
    from boundless_skies.simulation.planner import PlannerSettings  # noqa: PLC0415
    from boundless_skies.simulation.world import WorldSettings  # noqa: PLC0415

    settings = WorldSettings(
        nodes=nodes,
        nights=nights,
        seed=seed,
        speed=speed or float("inf"),
        node_kills=nodes if node_kills is None else node_kills,
        cloud_kills=cloud_kills,
        interrupts=interrupts,
        planner=PlannerSettings(exposures=exposures),
    )
    sys.exit(_run(folder, settings, Console(stderr=as_json), as_json=as_json))


def _end_in_order() -> None:
    """Let SIGTERM, and a terminal that is closed, end our children too; nohup stays nohup."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda *_: sys.exit(EXIT_INTERRUPTED))


def _run(folder: Path, settings: "WorldSettings", console: Console, *, as_json: bool) -> int:
    try:
        _make_fresh(folder)
        began_s = time.monotonic()
        with _progress(console, folder, settings) as world:
            outcome = world.run()
        took_s = time.monotonic() - began_s
    except KeyboardInterrupt:
        console.print("Stopped; the cloud and all nodes are ended.")
        return EXIT_INTERRUPTED
    except DemoFailure as failure:
        console.print(f"The simulation failed: {failure}", style="bold red", highlight=False)
        console.print(failure.log, style="dim", highlight=False, markup=False)
        return EXIT_FAILED
    if as_json:
        click.echo(json.dumps(_told(outcome, world, settings, took_s), indent=2))
    else:
        _show(console, outcome, world, took_s)
    return 0 if outcome.balance else EXIT_FAILED


def _make_fresh(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise DemoFailure(f"{folder} is there already; name another with --folder.") from None
    except OSError as error:
        raise DemoFailure(f"{folder} cannot be made: {error.strerror}.") from None


@contextlib.contextmanager
def _progress(console: Console, folder: Path, settings: "WorldSettings") -> Iterator["World"]:
    from boundless_skies.simulation.world import World  # noqa: PLC0415 - as above

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        nights = bar.add_task("nights", total=settings.nodes * settings.nights)
        frames = bar.add_task("frames", total=None)

        def show(standing: "Standing") -> None:
            bar.update(nights, completed=standing.nights_done)
            # Interrupts bring more than was planned.
            most = max(standing.planned, standing.frames)
            bar.update(frames, completed=standing.frames, total=most)

        def tell(sentence: str) -> None:
            console.print(sentence, style="dim", highlight=False)

        console.print(
            f"{settings.nodes} telescopes, {settings.nights} nights, in {folder}", highlight=False
        )
        with World(folder, settings, tell=tell, show=show) as world:
            yield world


def _told(
    outcome: "Outcome", world: "World", settings: "WorldSettings", took_s: float
) -> dict[str, Any]:
    standing = world.standing
    return {
        "ok": outcome.balance,
        "nodes": settings.nodes,
        "nights": settings.nights,
        "seed": settings.seed,
        "took_s": round(took_s, 1),
        "node_kills": standing.node_kills,
        "cloud_kills": standing.cloud_kills,
        "interrupts": standing.interrupts,
        **outcome.total.to_dict(),
        "truth": outcome.truth.to_dict(),
        "stations": {name: account.to_dict() for name, account in outcome.accounts.items()},
    }


def _show(console: Console, outcome: "Outcome", world: "World", took_s: float) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("station", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for name, account in outcome.accounts.items():
        table.add_row(name, *_cells(account))
    whole = outcome.total
    table.add_section()
    table.add_row("all", *_cells(whole), style="bold")
    console.print()
    console.print(table)
    standing = world.standing
    console.print(
        f"\n{standing.node_kills} times a node and {standing.cloud_kills} times the cloud was "
        f"killed (kill -9), {standing.interrupts} interrupts were sent; it took {took_s:.0f} s.",
        highlight=False,
    )
    truth = outcome.truth
    if truth.points:
        console.print(
            f"{truth.points} good points lie {1000.0 * truth.rms_mag:.1f} mmag (rms) from the "
            f"stars as they were rendered, {100.0 * truth.within_3_sigma:.1f} % of them within "
            "three of their stated uncertainties.",
            highlight=False,
        )
    words = "  ".join(f"{name} {getattr(whole, name)}" for name in _MUST_BE_ZERO)
    style = "bold green" if outcome.balance else "bold red"
    console.print(words, style=style, highlight=False)


def _cells(account: "Account") -> Iterator[str]:
    for name, value in account.to_dict().items():
        wrong = name in _MUST_BE_ZERO and value
        yield f"[bold red]{value}[/]" if wrong else str(value)

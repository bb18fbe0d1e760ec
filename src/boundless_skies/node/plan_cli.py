"""``boundless node plan``: see a night's plan and say a word to it, also while no node runs."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from boundless_skies.node.config import DEFAULT_PATH, ConfigFileError, load_config
from boundless_skies.node.errors import NodeError
from boundless_skies.node.schedule.states import FINAL, RUNNING, Command, PlanState, Step
from boundless_skies.node.schedule.work import PlanRecord, Work
from boundless_skies.node.storage.data_folder import node_runs
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore

EXIT_TROUBLE, EXIT_USAGE, EXIT_NOT_RUNNING = 1, 2, 3

_NO_TELESCOPE = (
    "This node moves no telescope. To let it, set telescope.enabled to true in its config, then "
    "start it again."
)
_NO_NODE = "No node runs. Start it with: boundless node run"


@dataclass(frozen=True)
class Place:
    """The data folder that a command speaks of."""

    folder: Path
    as_json: bool
    runs: bool
    moves_telescope: bool

    @property
    def steered(self) -> bool:
        """Whether a node is at the schedule that carries commands out."""
        return self.runs and self.moves_telescope

    @contextlib.contextmanager
    def store(self) -> Iterator[ScheduleStore]:
        """Open the schedule; it is closed at the end."""
        if not (self.folder / FILE_NAME).exists():
            raise NodeError(
                f"There is no schedule in {self.folder}: no plan has ever come. Run this where "
                "the node runs, or name its config with --config."
            )
        opened = ScheduleStore(self.folder / FILE_NAME, mends=False)
        try:
            yield opened
        finally:
            opened.close()


def _common(command: Any) -> Any:
    """Add the options that stand before or behind a subcommand's name."""
    config_path = click.option(
        "--config",
        "config_path",
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"The node's config file.  [default: {DEFAULT_PATH}]",
    )
    return config_path(
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(command)
    )


@click.group(invoke_without_command=True)
@_common
@click.pass_context
def plan(context: click.Context, config_path: Path | None, as_json: bool) -> None:
    """See the night's plan, and say what shall become of it.

    \b
      boundless node plan                    what is planned, and how far it is
      boundless node plan accept             let the waiting plan be observed
      boundless node plan edit 3 1 2         … with these targets only, in this order
      boundless node plan reject --reason …  nothing of it
      boundless node plan run 4              number 4 now, before the others
      boundless node plan skip 2             leave number 2 out
      boundless node plan abort              stop what runs
      boundless node plan park               to the resting place
      boundless node plan resume             go on after an unsafe stop

    \b
    Exit code 0   it is done, or asked of the running node
              1   it could not be done, or the telescope is stopped as unsafe
              2   the config, or what you typed, must be set right first
              3   no node runs: what can be settled without one is settled
    """  # noqa: D301 - click wants the backspace itself
    context.obj = (config_path, as_json)
    if context.invoked_subcommand is None:
        context.invoke(show)


def _place(config_path: Path, *, as_json: bool) -> Place:
    config = load_config(config_path)
    folder = Path(config["cloud"]["data_dir"]).expanduser().absolute()
    return Place(folder, as_json, node_runs(folder), bool(config["telescope"]["enabled"]))


def _subcommand(*arguments: Callable[[Any], Any]) -> Callable[[Callable[..., int]], click.Command]:
    """Make a subcommand whose answer is the exit code."""

    def made(work: Callable[..., int]) -> click.Command:
        @click.pass_obj
        def run(
            before: tuple[Path | None, bool],
            /,
            *,
            config_path: Path | None = None,
            as_json: bool = False,
            **values: Any,
        ) -> None:
            with _told_plainly():
                config_path = config_path or before[0] or DEFAULT_PATH
                place = _place(config_path, as_json=as_json or before[1])
                with place.store() as store:
                    code = work(place, store, **values)
            sys.exit(code)

        command: Any = run
        for argument in reversed(arguments):
            command = argument(command)
        return plan.command(work.__name__.strip("_"), help=work.__doc__)(_common(command))

    return made


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """Turn what an owner can set right into one line each and exit code 2."""
    try:
        yield
    except ConfigFileError as error:
        for problem in error.problems:
            click.echo(f"Error: {problem}", err=True)
        sys.exit(EXIT_USAGE)
    except NodeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_USAGE)


_number = click.argument("number", type=click.IntRange(min=1))


@_subcommand()
def show(place: Place, store: ScheduleStore) -> int:
    """Show the plan, how far each target is, and what waits for your word."""
    shown, latch = _shown_plans(store), store.unsafe_reason()
    if place.as_json:
        click.echo(json.dumps(_told(place, store, shown), indent=2, default=str))
    else:
        _print_all(store, shown, latch)
        if not place.runs:
            click.echo(_NO_NODE)
    if not place.runs:
        return EXIT_NOT_RUNNING
    return EXIT_TROUBLE if latch else 0


@_subcommand()
def accept(place: Place, store: ScheduleStore) -> int:
    """Let the waiting plan be observed as it is."""
    waiting = store.waiting_plan()
    if waiting is None or not store.decide(waiting.plan_id, PlanState.ACCEPTED):
        return _nothing_waits(place)
    return _answer(place, f"Plan {waiting.plan_id} is accepted: {_count(waiting)}.")


@_subcommand(click.argument("numbers", nargs=-1, required=True, type=click.IntRange(min=1)))
def edit(place: Place, store: ScheduleStore, numbers: tuple[int, ...]) -> int:
    """Accept the waiting plan with these NUMBERS of its targets only, in this order."""
    waiting = store.waiting_plan()
    if waiting is None:
        return _nothing_waits(place)
    if max(numbers) > len(waiting.items) or len(set(numbers)) != len(numbers):
        raise click.UsageError(
            f"The waiting plan has the numbers 1 to {len(waiting.items)}; name each at most once."
        )
    keep = [waiting.items[number - 1].item_id for number in numbers]
    if not store.decide(waiting.plan_id, PlanState.ACCEPTED, "", keep):
        return _nothing_waits(place)
    names = ", ".join(waiting.items[number - 1].target for number in numbers)
    return _answer(place, f"Plan {waiting.plan_id} is accepted with: {names}.")


@_subcommand(
    click.option("--reason", default="rejected by the owner", help="Why, for the network.")
)
def reject(place: Place, store: ScheduleStore, reason: str) -> int:
    """Let nothing of the waiting plan be observed."""
    waiting = store.waiting_plan()
    if waiting is None or not store.decide(waiting.plan_id, PlanState.REJECTED, reason):
        return _nothing_waits(place)
    return _answer(place, f"Plan {waiting.plan_id} is rejected.")


@_subcommand(_number)
def run(place: Place, store: ScheduleStore, number: int) -> int:
    """Observe the target of this NUMBER now, before the others."""
    work = _work(store, number)
    if work.step in FINAL | RUNNING:
        return _answer(place, f"{work.target} cannot be run: it is {work.step}.", EXIT_TROUBLE)
    return _ask(place, store, Command.RUN, work)


@_subcommand(_number)
def skip(place: Place, store: ScheduleStore, number: int) -> int:
    """Leave the target of this NUMBER out."""
    work = _work(store, number)
    if work.step in FINAL:
        return _answer(place, f"{work.target} is {work.step} already.", EXIT_TROUBLE)
    if place.steered:
        return _ask(place, store, Command.SKIP, work)
    # Nobody else is at it: the schedule itself can be told.
    if not store.advance(work.id, work.step, Step.SKIPPED, "taken out by the owner"):
        return _answer(place, f"{work.target} has gone on meanwhile; look again.", EXIT_TROUBLE)
    return _answer(place, f"{work.target} is left out.")


@_subcommand()
def abort(place: Place, store: ScheduleStore) -> int:
    """Stop what runs; the telescope stays where it is."""
    return _ask(place, store, Command.ABORT)


@_subcommand()
def park(place: Place, store: ScheduleStore) -> int:
    """Leave what runs, and bring the telescope to its resting place."""
    return _ask(place, store, Command.PARK)


@_subcommand()
def resume(place: Place, store: ScheduleStore) -> int:
    """Let the telescope move again after an unsafe stop."""
    reason = store.unsafe_reason()
    if reason is None:
        return _answer(place, "The telescope is not stopped as unsafe.", EXIT_TROUBLE)
    if place.steered:
        return _ask(place, store, Command.RESUME_AFTER_UNSAFE)
    store.clear_unsafe()
    return _answer(place, f"It may move again. It had been stopped: {reason}")


def _ask(place: Place, store: ScheduleStore, command: Command, work: Work | None = None) -> int:
    """Put a command down for the running node; none for a later one, whom it would surprise."""
    if not place.runs:
        return _answer(place, f"Nothing was done. {_NO_NODE}", EXIT_NOT_RUNNING)
    if not place.moves_telescope:
        return _answer(place, f"Nothing was done. {_NO_TELESCOPE}", EXIT_TROUBLE)
    store.ask(command, work.id if work else None)
    about = f" for {work.target}" if work else ""
    return _answer(place, f"Asked{about}: {command}. See what comes of it: boundless node plan")


def _answer(place: Place, sentence: str, code: int = 0) -> int:
    done = code == 0
    if place.as_json:
        click.echo(json.dumps({"done": done, "told": sentence, "running": place.runs}))
    else:
        click.echo(sentence)
        if done and not place.runs:
            click.echo(_NO_NODE)
    return EXIT_NOT_RUNNING if not code and not place.runs else code


def _nothing_waits(place: Place) -> int:
    return _answer(place, "No plan waits for your word.", EXIT_TROUBLE)


def _work(store: ScheduleStore, number: int) -> Work:
    """Return the target of a number, as the accepted plan and the interrupts are listed."""
    works = _listed(store, _current(store))
    if number > len(works):
        raise click.UsageError(
            f"There is no number {number}: {len(works)} targets are listed by boundless node plan."
        )
    return works[number - 1]


def _current(store: ScheduleStore) -> PlanRecord | None:
    newest = store.newest_plan()
    settled = newest if newest and newest.state is not PlanState.WAITING else None
    return store.accepted_plan() or settled or store.previous_plan()


def _listed(store: ScheduleStore, current: PlanRecord | None) -> list[Work]:
    interrupts = [work for work in reversed(store.interrupts()) if work.step not in FINAL]
    return [*(current.items if current else ()), *interrupts]


def _shown_plans(store: ScheduleStore) -> dict[str, list[Work]]:
    waiting = store.waiting_plan()
    return {
        "targets": _listed(store, _current(store)),
        "waiting": list(waiting.items) if waiting else [],
    }


def _told(place: Place, store: ScheduleStore, shown: dict[str, list[Work]]) -> dict[str, Any]:
    waiting, current = store.waiting_plan(), _current(store)
    return {
        "running": place.runs,
        "unsafe": store.unsafe_reason(),
        "plan": _plan_told(current, shown["targets"]),
        "waiting": _plan_told(waiting, shown["waiting"]),
        "asked": [asdict(one) for one in store.asked_commands()],
    }


def _plan_told(record: PlanRecord | None, works: list[Work]) -> dict[str, Any] | None:
    if record is None and not works:
        return None
    head = {
        "plan_id": record.plan_id if record else None,
        "night": record.night if record else None,
        "state": record.state if record else None,
        "expires_at": _iso(record.expires_at) if record else None,
        "refused": [asdict(one) for one in record.refused] if record else [],
    }
    return head | {"targets": [_work_told(n, work) for n, work in enumerate(works, 1)]}


def _work_told(number: int, work: Work) -> dict[str, Any]:
    facts = {
        name: getattr(work, name)
        for name in (
            *("kind", "item_id", "target", "ra_deg", "dec_deg", "exposure_s", "count", "taken"),
            *("binning", "filter", "notes", "remark", "step", "reason"),
        )
    }
    times = {"start_utc": _iso(work.start_utc), "end_utc": _iso(work.end_utc)}
    return {"number": number} | facts | times


def _print_all(store: ScheduleStore, shown: dict[str, list[Work]], latch: str | None) -> None:
    console = Console()
    if latch:
        console.print(f"Stopped as unsafe: {latch}", style="bold red", markup=False)
        click.echo("When it is safe again: boundless node plan resume\n")
    waiting, current = store.waiting_plan(), _current(store)
    if waiting:
        until = f", until {waiting.expires_at:%H:%M} UTC" if waiting.expires_at else ""
        console.print(
            _table(f"Plan {waiting.plan_id} waits for your word{until}", shown["waiting"])
        )
        click.echo("To let it be observed: boundless node plan accept (or: reject, edit)\n")
    if shown["targets"]:
        title = f"Plan {current.plan_id}, {current.state}" if current else "Interrupts"
        console.print(_table(title, shown["targets"]))
    elif not waiting:
        click.echo("Nothing is planned.")
    for one in store.asked_commands():
        click.echo(f"Asked at {one.at:%H:%M} UTC, not yet carried out: {one.command}")


def _table(title: str, works: list[Work]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("", "Target", "UTC", "Exposures", "State"):
        table.add_column(name, justify="right" if not name else "left")
    for number, work in enumerate(works, 1):
        times = f"{_clock(work.start_utc)} – {_clock(work.end_utc)}"
        taken = f"{work.taken} of " if work.taken else ""
        why = f": {work.reason}" if work.reason else ""
        table.add_row(
            str(number),
            _plain(work.target),
            times,
            f"{taken}{work.count} × {work.exposure_s:g} s",
            _plain(f"{work.step}{why}"),
        )
    return table


def _plain(text: str) -> str:
    """Return a name from outside without what a terminal would obey."""
    return escape("".join(char if char.isprintable() else "?" for char in text))


def _clock(instant: datetime | None) -> str:
    return f"{instant.astimezone(UTC):%H:%M}" if instant else "any"


def _iso(instant: datetime | None) -> str | None:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if instant else None


def _count(record: PlanRecord) -> str:
    return f"{len(record.items)} target{'' if len(record.items) == 1 else 's'}"

"""``boundless queue``: look at what waits for the cloud, and bring back what left the queue.

Measurements, events of plans and interrupts, and images each have a queue of their own.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from errno import EROFS
from pathlib import Path
from typing import Any

import click

from boundless_skies.wire import idempotency_key
from cloud_communicator import events, images
from cloud_communicator.arrayfile import ANY_NAME, Reading, canonical_or_near
from cloud_communicator.disk import Ledger, file_lock
from cloud_communicator.retryqueue import CAP, MEASUREMENT_FILES, QueueFiles, RetryQueue

LEDGERS = ("evicted", "rejected", "dropped")
BOOKS = ("queued", *LEDGERS)
KEY_CHARS = 10
SHOWN_ROWS = 20

TROUBLE = 1
"""Exit code where something is damaged or could not be done."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One of the things that wait for the cloud; what leaves its queue is let go.

    Attributes
    ----------
    name : str
        As the command calls it.
    title : str
        As a sentence calls it.
    queue : str
        The queue's file.
    hallmark : str
        A key that each of its entries has.
    """

    name: str
    title: str
    queue: str
    hallmark: str

    @property
    def ledgers(self) -> dict[str, str]:
        """The files into which entries leave the queue, by book."""
        return {}


@dataclass(frozen=True, kw_only=True)
class BookedKind(Kind):
    """One whose entries leave the queue only by delivery or into a ledger.

    Attributes
    ----------
    files : QueueFiles
        Queue and ledgers.
    cap : int
        Most entries in the queue.
    """

    files: QueueFiles
    cap: int

    @property
    def ledgers(self) -> dict[str, str]:
        """The files into which entries leave the queue, by book."""
        return {name: str(getattr(self.files, name)) for name in LEDGERS}

    def open(self, folder: Path) -> RetryQueue:
        """Return queue and ledgers in a data folder, to be changed."""
        return RetryQueue(folder, self.cap, files=self.files)


def _booked(name: str, title: str, files: QueueFiles, cap: int) -> BookedKind:
    return BookedKind(
        name=name, title=title, queue=files.queue, hallmark=files.hallmark, files=files, cap=cap
    )


MEASUREMENTS = _booked("measurements", "Measurements", MEASUREMENT_FILES, CAP)
EVENTS = _booked("events", "Events of plans and interrupts", events.FILES, events.CAP)
IMAGES = Kind(name="images", title="Images", queue=images.QUEUE_NAME, hallmark="path")
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (MEASUREMENTS, EVENTS, IMAGES)}


@dataclass
class Books:
    """What lies in a data folder of one kind, read without changing anything.

    Attributes
    ----------
    records : dict
        For each of queued, evicted, rejected, dropped its records, oldest first,
        each with its ``payload``.
    damaged : int
        Pieces of the queue's file that cannot be read now.
    put_aside : list of Path
        Files that hold pieces found damaged before.
    torn : int
        Lines of the other files that cannot be read.
    """

    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    damaged: int = 0
    put_aside: list[Path] = field(default_factory=list)
    torn: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many entries each of the books has."""
        return {name: len(records) for name, records in self.records.items()}

    @property
    def sound(self) -> bool:
        """Whether everything can be read, and always could."""
        return not (self.damaged or self.torn or self.put_aside)


def read_books(folder: Path, kind: Kind = MEASUREMENTS) -> Books:
    """Read a link's data folder, in step with a node that may run beside."""
    path = folder / kind.queue
    with _in_step(path) if path.exists() else nullcontext():
        reading = Reading(path.read_bytes() if path.exists() else b"", kind.hallmark)
        ledgers = {name: Ledger(folder / file).records() for name, file in kind.ledgers.items()}
        lines = sum(_count_lines(folder / file) for file in kind.ledgers.values())
    queued: list[dict[str, Any]] = [{"payload": entry.payload()} for entry in reading.entries]
    return Books(
        records={"queued": queued, **ledgers},
        damaged=len(reading.damaged),
        put_aside=sorted(folder.glob(f"{kind.queue}.damaged-{ANY_NAME}")),
        torn=lines - sum(len(records) for records in ledgers.values()),
    )


@contextmanager
def _in_step(path: Path) -> Iterator[None]:
    """Keep others from changing the books; on a card that went read-only nobody can."""
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(path.with_suffix(".lock")))
        except OSError as error:
            if error.errno != EROFS:
                raise
        yield


def _count_lines(path: Path) -> int:
    return sum(1 for line in path.read_bytes().splitlines() if line.strip()) if path.exists() else 0


def short_key(record: dict[str, Any]) -> str:
    """Return the beginning of a record's idempotency key, by which people name it."""
    return idempotency_key(canonical_or_near(record.get("payload")))[:KEY_CHARS]


# -- the command ----------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data-dir",
    envvar="BOUNDLESS_DATA_DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The link's data folder [default: cloud.data_dir of ./config.yaml, else ./data].",
)
@click.pass_context
def queue(context: click.Context, data_dir: Path | None) -> None:
    """Look after what the cloud does not have yet.

    A measurement that cannot be delivered waits in the queue. It leaves it only by
    delivery, or into one of three files that keep it: evicted (the queue was full),
    rejected (the cloud refused it three times), dropped (by hand). The same holds for
    events: what became of plans and interrupts. All commands work beside a running node.

    \b
      boundless queue list                  what waits, and what left
      boundless queue list --of events      what became of plans and interrupts
      boundless queue replay --evicted      bring evicted measurements back
    """  # noqa: D301 - click wants the backspace itself
    context.obj = data_dir or _configured_folder()


def _configured_folder() -> Path:
    config = Path("config.yaml")
    if config.exists():
        try:
            import yaml  # noqa: PLC0415 - only the node's extra brings it

            found = yaml.safe_load(config.read_text(encoding="utf-8"))
            return Path((found.get("cloud") or {}).get("data_dir") or "data").expanduser()
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the node says it better
            click.echo("config.yaml cannot be read; looking in ./data.", err=True)
    return Path("data")


def _books(folder: Path, kind: Kind) -> Books:
    if not folder.is_dir():
        raise click.ClickException(
            f"There is no data folder {folder}. Run this where the node runs, or name it: "
            "boundless queue --data-dir FOLDER …"
        )
    try:
        return read_books(folder, kind)
    except OSError as error:
        raise click.ClickException(_disk_trouble(folder, error)) from None


def _disk_trouble(folder: Path, error: OSError) -> str:
    return f"The data folder {folder} cannot be used: {error.strerror or error}."


def _which(names: Iterable[str]) -> Callable[[Any], Any]:
    """Add a flag for each of the books."""

    def add(command: Any) -> Any:
        for name in reversed(tuple(names)):
            command = click.option(f"--{name}", "books", flag_value=name, help=f"The {name} ones.")(
                command
            )
        return command

    return add


def _take_kind(_context: click.Context, _option: click.Parameter, name: str) -> Kind:
    return KINDS[name]


def _of(*kinds: Kind) -> Callable[[Any], Any]:
    """Add the option that says of which kind."""
    return click.option(
        "--of",
        "kind",
        type=click.Choice([kind.name for kind in kinds]),
        default=MEASUREMENTS.name,
        show_default=True,
        callback=_take_kind,
        help="Of which kind.",
    )


@queue.command("list")
@_of(*KINDS.values())
@_which(BOOKS)
@click.option("--all", "everything", is_flag=True, help=f"All rows, not only {SHOWN_ROWS}.")
@click.option("--json", "as_json", is_flag=True, help="For scripts: all records as JSON.")
@click.pass_obj
def list_(folder: Path, kind: Kind, books: str | None, everything: bool, as_json: bool) -> None:
    """Show what waits, and how much left for where.

    Without --of, measurements, and how many events and images there are; --json has
    them all.
    """
    found = _books(folder, kind)
    others = [] if _is_said("kind") else [EVENTS, IMAGES]
    if as_json:
        told = _json_books(found, books)
        told |= {other.name: _json_books(_books(folder, other), books) for other in others}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"{folder}: {_told(found)}, {len(found.put_aside)} damaged pieces put aside.")
    for other in others:
        click.echo(f"{other.title}: {_told(_books(folder, other))} (--of {other.name}).")
    _table(kind, found.records.get(books or "queued", []), everything=everything)


def _is_said(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def _told(found: Books) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.counts.items())


def _json_books(found: Books, books: str | None) -> dict[str, Any]:
    chosen = [name for name in found.records if books in {None, name}]
    rows = {n: [{"key": short_key(r), **r} for r in found.records[n]] for n in chosen}
    return {**rows, "damaged_pieces": len(found.put_aside)}


def _table(kind: Kind, records: list[dict[str, Any]], *, everything: bool) -> None:
    if not records:
        return
    head, row = _FORMS[kind.name]
    click.echo(f"\n{'key':<{KEY_CHARS}}  {head}")
    shown = records if everything else records[:SHOWN_ROWS]
    for record in shown:
        why = " ".join(str(record[k]) for k in ("why", "status", "reply") if k in record)
        click.echo(f"{short_key(record)}  {row(record.get('payload'))}  {_cell(why)[:60]}".rstrip())
    if len(shown) < len(records):
        click.echo(f"… and {len(records) - len(shown)} more (--all shows them).")


def _measurement_row(payload: Any) -> str:
    value = _inner(payload, "measurement")
    return (
        f"{_cell(value.get('target_name')):<20} "
        f"{_cell(value.get('bjd'), '.5f'):>14} {_cell(value.get('magnitude'), '.3f'):>8}  "
        f"{_cell(value.get('filter')):<6}"
    )


def _event_row(payload: Any) -> str:
    value = _inner(payload, "event")
    named = payload if isinstance(payload, dict) else {}
    about = next((f"{key} {named[key]}" for key in _SUBJECTS if key in named), None)
    return (
        f"{_cell(about)[:36]:<36} {_cell(value.get('item_id'))[:24]:<24} "
        f"{_cell(value.get('state')):<9} {_cell(value.get('at'))[:19]:<19}"
    )


def _image_row(payload: Any) -> str:
    return _cell(payload.get("path") if isinstance(payload, dict) else None)


def _inner(payload: Any, name: str) -> dict[str, Any]:
    found = payload.get(name, payload) if isinstance(payload, dict) else None
    return found if isinstance(found, dict) else {}


_SUBJECTS = (events.PLAN, events.INTERRUPT)
_FORMS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    MEASUREMENTS.name: (
        f"{'target':<20} {'BJD':>14} {'mag':>8}  filter  why",
        _measurement_row,
    ),
    EVENTS.name: (f"{'of':<36} {'item':<24} {'state':<9} {'at (UTC)':<19}  why", _event_row),
    IMAGES.name: ("path", _image_row),
}


def _cell(value: Any, form: str = "") -> str:
    if form and isinstance(value, int | float):
        return format(value, form)
    text = "-" if value is None else str(value)
    return "".join(ch if ch.isprintable() else "?" for ch in text)


@queue.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_obj
def verify(folder: Path, as_json: bool) -> None:
    """Check the files and change nothing; exit code 1 if something is damaged."""
    found = {kind: _books(folder, kind) for kind in KINDS.values()}
    sound = all(books.sound for books in found.values())
    if as_json:
        report = found[MEASUREMENTS].counts | {
            "events": found[EVENTS].counts,
            "images": found[IMAGES].counts,
            "damaged_now": sum(books.damaged for books in found.values()),
            "torn_lines": sum(books.torn for books in found.values()),
            "put_aside": [str(path) for books in found.values() for path in books.put_aside],
        }
        click.echo(json.dumps({"sound": sound, **report}, indent=2))
    else:
        _say(found, folder, sound=sound)
    sys.exit(0 if sound else TROUBLE)


def _say(found: Mapping[Kind, Books], folder: Path, *, sound: bool) -> None:
    whole = sum(sum(books.counts.values()) for books in found.values())
    if sound:
        click.echo(f"{folder}: sound, {whole} entries.")
        return
    click.echo(f"{folder}: {whole} entries are whole.")
    for kind, books in found.items():
        if books.damaged:
            click.echo(
                f"{books.damaged} pieces of {kind.queue} cannot be read; the link puts them aside."
            )
        if books.torn:
            names = ", ".join(kind.ledgers.values())
            click.echo(f"{books.torn} torn lines in {names}.")
        for path in books.put_aside:
            click.echo(f"Put aside: {path} ({path.stat().st_size} bytes)")


@queue.command()
@_of(*KINDS.values())
@_which(BOOKS)
@click.option("-o", "--output", type=click.File("w"), default="-", help="File [default: terminal].")
@click.pass_obj
def export(folder: Path, kind: Kind, books: str | None, output: Any) -> None:
    """Write the payloads as a JSON array, the queue's own form."""
    records = _books(folder, kind).records.get(books or "queued", [])
    json.dump([record.get("payload") for record in records], output, indent=2)
    output.write("\n")


@queue.command()
@_of(MEASUREMENTS, EVENTS)
@_which(LEDGERS)
@click.argument("keys", nargs=-1)
@click.pass_obj
def replay(folder: Path, kind: BookedKind, books: str | None, keys: tuple[str, ...]) -> None:
    """Bring entries back into the queue: all of one kind, or those with these KEYS.

    The node tries them again after its next heartbeat. As many come back as the
    queue has room for.
    """
    if books is None:
        raise click.UsageError("Say which: --evicted, --rejected or --dropped.")
    chosen = _chooser(_books(folder, kind).records[books], keys)
    books_of = kind.open(folder)
    ledger: Ledger = getattr(books_of, books)
    wanted = sum(chosen(record) for record in ledger.records())
    back = _on_disk(folder, lambda: books_of.replay(ledger, chosen))
    click.echo(f"{back} of {wanted} {books} entries are back in the queue.")
    if back < wanted:
        click.echo("The queue is full; run this again after the node has delivered some.")
        sys.exit(TROUBLE)


@queue.command()
@_of(MEASUREMENTS, EVENTS)
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that wait.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(
    folder: Path, kind: BookedKind, keys: tuple[str, ...], everything: bool, yes: bool
) -> None:
    """Take entries with these KEYS out of the queue; they are kept among the dropped."""
    if bool(keys) == everything:
        raise click.UsageError("Name the keys (see `boundless queue list`), or --all.")
    chosen = _chooser(_books(folder, kind).records["queued"], keys)
    books_of = kind.open(folder)
    _on_disk(folder, books_of.load)
    entries = [e for e in books_of.entries() if chosen({"payload": e.payload()})]
    if not yes:
        click.confirm(f"Drop {len(entries)} {kind.name} that the cloud does not have?", abort=True)
    dropped = _on_disk(folder, lambda: sum(books_of.drop(entry) for entry in entries))
    of = "" if kind is MEASUREMENTS else f" --of {kind.name}"
    click.echo(f"{dropped} dropped. To bring them back: boundless queue replay{of} --dropped")


def _chooser(
    records: list[dict[str, Any]], keys: tuple[str, ...]
) -> Callable[[dict[str, Any]], bool]:
    """Return a test for the records that are meant; a key that names none is an error."""
    known = {short_key(record) for record in records}
    for key in keys:
        if not any(k.startswith(key[:KEY_CHARS].lower()) for k in known):
            raise click.UsageError(f"No entry has the key {key!r}; see `boundless queue list`.")
    prefixes = tuple(key[:KEY_CHARS].lower() for key in keys)
    return lambda record: not prefixes or short_key(record).startswith(prefixes)


def _on_disk(folder: Path, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except OSError as error:
        raise click.ClickException(_disk_trouble(folder, error)) from None

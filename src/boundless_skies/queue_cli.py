"""``boundless queue``: look at the measurements that wait, and bring back those that left."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from errno import EROFS
from pathlib import Path
from typing import Any

import click

from boundless_skies.wire import idempotency_key
from cloud_communicator.arrayfile import ANY_NAME, Reading, canonical_or_near
from cloud_communicator.disk import Ledger, file_lock
from cloud_communicator.retryqueue import (
    DROPPED_NAME,
    EVICTED_NAME,
    QUEUE_NAME,
    REJECTED_NAME,
    RetryQueue,
)

LEDGERS = {"evicted": EVICTED_NAME, "rejected": REJECTED_NAME, "dropped": DROPPED_NAME}
BOOKS = ("queued", *LEDGERS)
KEY_CHARS = 10
SHOWN_ROWS = 20

TROUBLE = 1
"""Exit code where something is damaged or could not be done."""


@dataclass
class Books:
    """What lies in a data folder, read without changing anything.

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


def read_books(folder: Path) -> Books:
    """Read a link's data folder, in step with a node that may run beside."""
    path = folder / QUEUE_NAME
    with _in_step(path) if path.exists() else nullcontext():
        reading = Reading(path.read_bytes() if path.exists() else b"", "measurement")
        ledgers = {name: Ledger(folder / file).records() for name, file in LEDGERS.items()}
        lines = sum(_count_lines(folder / file) for file in LEDGERS.values())
    queued: list[dict[str, Any]] = [{"payload": entry.payload()} for entry in reading.entries]
    return Books(
        records={"queued": queued, **ledgers},
        damaged=len(reading.damaged),
        put_aside=sorted(folder.glob(f"{QUEUE_NAME}.damaged-{ANY_NAME}")),
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
    """Look after the measurements that the cloud does not have yet.

    A measurement that cannot be delivered waits in the queue. It leaves it only by
    delivery, or into one of three files that keep it: evicted (the queue was full),
    rejected (the cloud refused it three times), dropped (by hand). All commands work
    beside a running node.

    \b
      boundless queue list                  what waits, and what left
      boundless queue replay --evicted      bring evicted ones back
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


def _books(folder: Path) -> Books:
    if not folder.is_dir():
        raise click.ClickException(
            f"There is no data folder {folder}. Run this where the node runs, or name it: "
            "boundless queue --data-dir FOLDER …"
        )
    try:
        return read_books(folder)
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


@queue.command("list")
@_which(BOOKS)
@click.option("--all", "everything", is_flag=True, help=f"All rows, not only {SHOWN_ROWS}.")
@click.option("--json", "as_json", is_flag=True, help="For scripts: all records as JSON.")
@click.pass_obj
def list_(folder: Path, books: str | None, everything: bool, as_json: bool) -> None:
    """Show what waits, and how much left for where."""
    found = _books(folder)
    if as_json:
        chosen = [books] if books else BOOKS
        rows = {n: [{"key": short_key(r), **r} for r in found.records[n]] for n in chosen}
        click.echo(json.dumps({**rows, "damaged_pieces": len(found.put_aside)}, indent=2))
        return
    counts = ", ".join(f"{len(found.records[name])} {name}" for name in BOOKS)
    click.echo(f"{folder}: {counts}, {len(found.put_aside)} damaged pieces put aside.")
    _table(found.records[books or "queued"], everything=everything)


def _table(records: list[dict[str, Any]], *, everything: bool) -> None:
    if not records:
        return
    click.echo(f"\n{'key':<{KEY_CHARS}}  {'target':<20} {'BJD':>14} {'mag':>8}  filter  why")
    shown = records if everything else records[:SHOWN_ROWS]
    for record in shown:
        click.echo(_row(record))
    if len(shown) < len(records):
        click.echo(f"… and {len(records) - len(shown)} more (--all shows them).")


def _row(record: dict[str, Any]) -> str:
    payload = record.get("payload")
    found = payload.get("measurement", payload) if isinstance(payload, dict) else None
    value = found if isinstance(found, dict) else {}
    why = " ".join(str(record[k]) for k in ("why", "status", "reply") if k in record)
    return (
        f"{short_key(record)}  {_cell(value.get('target_name')):<20} "
        f"{_cell(value.get('bjd'), '.5f'):>14} {_cell(value.get('magnitude'), '.3f'):>8}  "
        f"{_cell(value.get('filter')):<6}  {_cell(why)[:60]}"
    ).rstrip()


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
    found = _books(folder)
    report: dict[str, Any] = {name: len(found.records[name]) for name in BOOKS}
    report |= {
        "damaged_now": found.damaged,
        "torn_lines": found.torn,
        "put_aside": [str(path) for path in found.put_aside],
    }
    sound = not (found.damaged or found.torn or found.put_aside)
    if as_json:
        click.echo(json.dumps({"sound": sound, **report}, indent=2))
    else:
        _say(found, folder, sound=sound)
    sys.exit(0 if sound else TROUBLE)


def _say(found: Books, folder: Path, *, sound: bool) -> None:
    whole = sum(len(records) for records in found.records.values())
    if sound:
        click.echo(f"{folder}: sound, {whole} entries.")
        return
    click.echo(f"{folder}: {whole} entries are whole.")
    if found.damaged:
        click.echo(
            f"{found.damaged} pieces of {QUEUE_NAME} cannot be read; the link puts them aside."
        )
    if found.torn:
        click.echo(f"{found.torn} torn lines in the evicted, rejected or dropped file.")
    for path in found.put_aside:
        click.echo(f"Put aside: {path} ({path.stat().st_size} bytes)")


@queue.command()
@_which(BOOKS)
@click.option("-o", "--output", type=click.File("w"), default="-", help="File [default: terminal].")
@click.pass_obj
def export(folder: Path, books: str | None, output: Any) -> None:
    """Write the payloads as a JSON array, the queue's own form."""
    records = _books(folder).records[books or "queued"]
    json.dump([record.get("payload") for record in records], output, indent=2)
    output.write("\n")


@queue.command()
@_which(LEDGERS)
@click.argument("keys", nargs=-1)
@click.pass_obj
def replay(folder: Path, books: str | None, keys: tuple[str, ...]) -> None:
    """Bring entries back into the queue: all of one kind, or those with these KEYS.

    The node tries them again after its next heartbeat. As many come back as the
    queue has room for.
    """
    if books is None:
        raise click.UsageError("Say which: --evicted, --rejected or --dropped.")
    chosen = _chooser(_books(folder).records[books], keys)
    books_of = RetryQueue(folder)
    ledger: Ledger = getattr(books_of, books)
    wanted = sum(chosen(record) for record in ledger.records())
    back = _on_disk(folder, lambda: books_of.replay(ledger, chosen))
    click.echo(f"{back} of {wanted} {books} entries are back in the queue.")
    if back < wanted:
        click.echo("The queue is full; run this again after the node has delivered some.")
        sys.exit(TROUBLE)


@queue.command()
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that wait.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(folder: Path, keys: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Take entries with these KEYS out of the queue; they are kept among the dropped."""
    if bool(keys) == everything:
        raise click.UsageError("Name the keys (see `boundless queue list`), or --all.")
    chosen = _chooser(_books(folder).records["queued"], keys)
    books_of = RetryQueue(folder)
    _on_disk(folder, books_of.load)
    entries = [e for e in books_of.entries() if chosen({"payload": e.payload()})]
    if not yes:
        click.confirm(f"Drop {len(entries)} measurements that the cloud does not have?", abort=True)
    dropped = _on_disk(folder, lambda: sum(books_of.drop(entry) for entry in entries))
    click.echo(f"{dropped} dropped. To bring them back: boundless queue replay --dropped")


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

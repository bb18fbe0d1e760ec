"""How the node shows itself: a log, and on a terminal one calm line below it."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from boundless_skies.node.services.measuring import refusal_line
from boundless_skies.node.services.node_program import (
    interrupt_line,
    measurement_line,
    plan_line,
)
from boundless_skies.node.storage.disk_room import lasting

_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "bold red"}
_SHOWN_ITEMS = 5


class _ConsoleHandler(logging.Handler):
    """Writes a log to a rich console, above its live line."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        moment = datetime.fromtimestamp(record.created).astimezone()
        line = Text.assemble(
            (f"{moment:%H:%M:%S}  ", "dim"),
            (self.format(record), _STYLES.get(record.levelno, "")),
        )
        self._console.print(line, soft_wrap=True)


@contextlib.contextmanager
def shown_on(console: Console) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Show log and status on a console for as long as the context is open.

    Parameters
    ----------
    console : rich.console.Console
        A terminal gets colours and a live line; anything else plain lines.

    Yields
    ------
    callable or None
        Takes the node's status and shows it in the live line; None where there is none.
    """
    handler: logging.Handler
    if not console.is_terminal:
        handler = logging.StreamHandler(console.file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        with _logging_to(handler):
            yield None
        return
    spinner = Spinner("dots", text="starting")
    with (
        _logging_to(_ConsoleHandler(console)),
        Live(spinner, console=console, transient=True, refresh_per_second=4),
    ):
        yield lambda status: spinner.update(text=live_line(status))


@contextlib.contextmanager
def _logging_to(handler: logging.Handler) -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # The link tells of each call's failure itself.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # When it is stopped amid an event, it calls that an error.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def live_line(status: dict[str, Any]) -> Text:
    """Tell the node's status in one line.

    Parameters
    ----------
    status : dict
        As the node writes it.

    Returns
    -------
    rich.text.Text
        Cloud, counts, and what is being measured.
    """
    frames, link = status["frames"], status["link"]
    parts = [cloud_state(status)]
    parts.append(Text(f"{frames.get('handed', 0) + frames.get('measured', 0)} measured"))
    if link["queued_uploads"]:
        parts.append(Text(f"{link['queued_uploads']} waiting to be sent", "yellow"))
    if frames.get("refused"):
        parts.append(Text(f"{frames['refused']} skipped", "dim"))
    busy = status["measuring"]
    parts.append(Text(f"measuring {busy}" if busy else _idle(status), "dim"))
    return Text("  ·  ", "dim").join(parts)


def _idle(status: dict[str, Any]) -> str:
    if status["watching"] is None:
        return "watching no folder"
    if status["folder_missing"]:
        return f"{status['watching']} is not there"
    return "waiting for frames"


def cloud_state(status: dict[str, Any]) -> Text:
    """Tell how the node stands with the cloud, in a word or two."""
    link = status["link"]
    if not status["cloud"]["enabled"]:
        return Text("cloud off", "dim")
    if link["last_heartbeat_ok"]:
        return Text("connected", "green")
    if link["last_heartbeat_ok"] is None:
        return Text("connecting", "yellow")
    return Text("cloud not answering", "red")


def status_table(status: dict[str, Any], *, runs: bool, age_s: float | None) -> Table:
    """Show the node's status as a table.

    Parameters
    ----------
    status : dict
        As the node wrote it.
    runs : bool
        Whether the node runs.
    age_s : float or None
        How old the status is (s).

    Returns
    -------
    rich.table.Table
        Two columns, in the owner's words.
    """
    link, frames = status.get("link") or {}, status.get("frames") or {}
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Node", _node_state(status, runs=runs, age_s=age_s))
    table.add_row("Cloud", _cloud_row(status, runs=runs))
    if (status.get("cloud") or {}).get("enabled"):
        table.add_row("Signed up as", str(link.get("node_id") or "not signed up yet"))
    table.add_row("Waiting to be sent", _waiting_row(link, frames))
    table.add_row("Frames", _frames_row(status))
    if status.get("last_measurement"):
        table.add_row("Last measurement", Text(measurement_line(status["last_measurement"])))
    if status.get("last_refusal"):
        refusal = status["last_refusal"]
        line = refusal_line(Path(refusal["file"]).name, refusal["reason"])
        table.add_row("Trouble with a frame", Text(line))
    table.add_row("Folder", Text(_folder_row(status)))
    if status.get("disk"):
        table.add_row("Disk", _disk_row(status["disk"]))
    table.add_row("Plan", Text(_plan_row(status.get("plan") or [])))
    for interrupt in (status.get("interrupts") or [])[:_SHOWN_ITEMS]:
        table.add_row("Interrupt", Text(interrupt_line(interrupt)))
    if link.get("error"):
        table.add_row("Trouble", Text(str(link["error"]), "red"))
    return table


def _node_state(status: dict[str, Any], *, runs: bool, age_s: float | None) -> Text:
    if not runs:
        return Text(f"not running; last seen {_ago(age_s)}", "yellow")
    since = str(status.get("started_at", ""))[:19].replace("T", " ")
    return Text(f"running since {since} UTC (process {status.get('pid')})", "green")


def _ago(age_s: float | None) -> str:
    if age_s is None:
        return "never"
    for size_s, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if age_s >= 2 * size_s:
            return f"{age_s / size_s:.0f} {unit} ago"
    return f"{max(age_s, 0):.0f} seconds ago"


def _cloud_row(status: dict[str, Any], *, runs: bool) -> Text:
    cloud = status.get("cloud") or {}
    url = cloud.get("url")
    state = cloud_state(status)
    if cloud.get("enabled") and not runs:
        state = Text("not connected", "dim")
    return Text.assemble(state, f"  {url}") if url else state


def _waiting_row(link: dict[str, Any], frames: dict[str, Any]) -> Text:
    queued, kept = link.get("queued_uploads", 0), frames.get("measured", 0)
    text = f"{queued} in the queue"
    if kept:
        text += f", {kept} kept until there is room in it or the cloud is switched on"
    for name in ("evicted", "rejected"):
        if link.get(name):
            text += f", {link[name]} {name} (see: boundless queue list)"
    return Text(text, "yellow" if queued or kept else "")


def _frames_row(status: dict[str, Any]) -> str:
    frames = status.get("frames") or {}
    done = frames.get("handed", 0) + frames.get("measured", 0)
    return (
        f"{done} measured, {frames.get('refused', 0)} skipped, {status.get('settling', 0)} coming"
    )


def _folder_row(status: dict[str, Any]) -> str:
    if status.get("watching") is None:
        return "none watched"
    return f"{status['watching']}{' (not there)' if status.get('folder_missing') else ''}"


def _disk_row(disk: dict[str, Any]) -> Text:
    """Tell how much is free, and for how many nights."""
    free = f"{disk['free_gb']:.1f} GB free"
    if disk["is_short"]:
        return Text(f"{free}: no room for frames", "red")
    if disk["nights"] is None:
        return Text(free)
    return Text(f"{free}, {lasting(disk['nights'], disk['keep_days'])}")


def _plan_row(items: list[dict[str, Any]]) -> str:
    if not items:
        return "none"
    lines = [plan_line(item) for item in items[:_SHOWN_ITEMS]]
    if len(items) > _SHOWN_ITEMS:
        lines.append(f"and {len(items) - _SHOWN_ITEMS} more")
    return "\n".join(lines)

"""The demo's voice: one line for each step, with a mark for how it went."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.text import Text


class DemoFailure(Exception):  # noqa: N818 - the name says it
    """A step of the demo did not go as it must.

    Parameters
    ----------
    message : str
        What failed, in one sentence.
    log : str
        The end of a child's log, where there is one.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Step:
    """One step: a spinner while it lasts (on a terminal), a marked line once it is over.

    Parameters
    ----------
    console : rich.console.Console
        Where to tell it.
    title : str
        What is done.

    Attributes
    ----------
    outcome : str
        What came of it; shown beside the title.
    """

    def __init__(self, console: Console, title: str) -> None:
        self.outcome = ""
        self._console = console
        self._title = title
        self._status = Status(self._text("", ""), console=console, spinner="dots")
        self._began_s = time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell how it went."""
        self._status.stop()
        took_s = time.monotonic() - self._began_s
        mark, style = ("✓", "bold green") if error is None else ("✗", "bold red")
        line = Text.assemble((f"  {mark} ", style), self._text(self.outcome, f"{took_s:.1f} s"))
        self._console.print(line, soft_wrap=True)

    def progress(self, text: str) -> None:
        """Tell how far it is (on a terminal only)."""
        self._status.update(self._text(text, ""))

    def _text(self, outcome: str, time_taken: str) -> Text:
        line = Text(self._title)
        if outcome:
            line.append(f"  {outcome}", "cyan")
        if time_taken:
            line.append(f"  {time_taken}", "dim")
        return line


class Narrator:
    """Tells the demo.

    Parameters
    ----------
    console : rich.console.Console
        Where to tell it; colours and movement only where it is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str, beneath: str) -> None:
        """Open the demo."""
        if self._console.is_terminal:
            words = Text.assemble((text, "bold"), "\n", (beneath, "dim"))
            self._console.print(Panel.fit(words, border_style="blue", padding=(0, 2)))
        else:
            self._console.print(f"{text}\n{beneath}", highlight=False, markup=False)

    def act(self, text: str) -> None:
        """Open a part of the demo."""
        self._console.print()
        self._console.print(Text(text, "bold"))

    def step(self, title: str) -> Step:
        """Begin a step, as a context."""
        return Step(self._console, title)

    def say(self, text: str, style: str = "") -> None:
        """Tell something beside the steps."""
        self._console.print(Text(f"    {text}", style), soft_wrap=True)

    def books(self, text: str, *, balance: bool) -> None:
        """Tell the books, so that nobody misses them."""
        style = "bold green" if balance else "bold red"
        self._console.print()
        self._console.print(Text(f"  {text}", style), soft_wrap=True)

    def failure(self, failure: DemoFailure, where: Path | None = None) -> None:
        """Tell what went wrong, and where to look."""
        self._console.print(Text(f"\nThe demo failed: {failure}", "bold red"), soft_wrap=True)
        for line in failure.log.splitlines():
            self.say(line, "dim")
        if where is not None and any(where.glob("*.log")):
            self._console.print(f"All logs are in {where}", highlight=False, soft_wrap=True)

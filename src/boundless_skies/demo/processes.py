"""The programs that the demo runs: real processes, with a log each, ended in any case."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from boundless_skies.demo.narration import DemoFailure

BOUNDLESS = (sys.executable, "-m", "boundless_skies.cli")

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LOOK_S = 0.05
_STOP_LIMIT_S = 10.0
_SHOWN_LINES = 8
# An identity of the owner's real node must not get into the demo.
_LEFT_OUT = ("BOUNDLESS_NODE_ID", "BOUNDLESS_API_KEY", "BOUNDLESS_DATABASE_URL")


def environment(**more: str) -> dict[str, str]:
    """Return the environment for a child: ours, without a real node's identity or a proxy."""
    ours = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    return ours | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | more


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Put what ends the demo off until the block is done.

    A child that was started, but is not yet known to whoever must end it, would outlive us; and
    so would one that is being ended when Ctrl-C comes a second time.
    """
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, note) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in caught:
            signal.raise_signal(late)


class Child:
    """A process of ours: ``boundless …``, or another program.

    Parameters
    ----------
    name : str
        What to call it when it fails.
    words : sequence of str
        The words after the program.
    log : Path
        Gets what it says; continued where it is there.
    folder : Path
        Its working folder.
    program : sequence of str, optional
        What is run; ``boundless`` where nothing else is said.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        *,
        log: Path,
        folder: Path,
        program: Sequence[str] = BOUNDLESS,
    ) -> None:
        self.name = name
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*program, *words],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment(PYTHONUNBUFFERED="1", NO_COLOR="1"),
                # Ctrl-C is for the demo, which then ends its children in order.
                start_new_session=True,
            )

    def said(self) -> str:
        """Return what it has said since it was started."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait_for_line(self, pattern: str, limit_s: float) -> re.Match[str]:
        """Wait until it has said something.

        Parameters
        ----------
        pattern : str
            Regular expression.
        limit_s : float
            Longest wait (s).

        Returns
        -------
        re.Match
            Where it was found.

        Raises
        ------
        DemoFailure
            If it ends before, or does not say it in time.
        """
        self.wait_until(lambda: re.search(pattern, self.said()), limit_s, "did not come up")
        found = re.search(pattern, self.said())
        if found is None:
            raise self.failure("did not come up")
        return found

    def wait_until(self, holds: Callable[[], object], limit_s: float, else_it: str) -> None:
        """Wait until something holds, for as long as this process lives.

        Parameters
        ----------
        holds : callable
            What is to come to hold.
        limit_s : float
            Longest wait (s).
        else_it : str
            What to say of the process where it does not.

        Raises
        ------
        DemoFailure
            If the process ends, or the time is over.
        """
        ends_s = time.monotonic() + limit_s
        while not holds():
            code = self._process.poll()
            if code is not None:
                raise self.failure(f"ended unexpectedly (exit code {code})")
            if time.monotonic() > ends_s:
                raise self.failure(f"{else_it} within {limit_s:.0f} s")
            time.sleep(_LOOK_S)

    def wait_for_end(self, limit_s: float) -> None:
        """Wait for a while; raise DemoFailure where it ends meanwhile."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(limit_s)
            raise self.failure(f"ended unexpectedly (exit code {code})")

    def failure(self, what: str) -> DemoFailure:
        """Make a failure that shows the end of this process's log."""
        lines = self.said().splitlines()[-_SHOWN_LINES:]
        return DemoFailure(f"the {self.name} {what}.", "\n".join(lines))

    def kill(self) -> None:
        """End it without warning, as a power cut would (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def stop(self, limit_s: float = _STOP_LIMIT_S) -> None:
        """End it in order (SIGTERM); at once where it does not obey within some seconds."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()


def call(words: Sequence[str], what: str, folder: Path | None = None) -> str:
    """Run a ``boundless …`` command to its end.

    Parameters
    ----------
    words : sequence of str
        The words after ``boundless``.
    what : str
        What it does, for the message where it fails.
    folder : Path, optional
        Its working folder; ours where none is given.

    Returns
    -------
    str
        What it said.

    Raises
    ------
    DemoFailure
        If it exits with another code than 0.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [*BOUNDLESS, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(NO_COLOR="1"),
    )
    if done.returncode:
        raise DemoFailure(f"{what} ended with exit code {done.returncode}.", done.stderr)
    return done.stdout

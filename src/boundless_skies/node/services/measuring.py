"""The process that measures: apart from the link's threads, and expendable.

A frame that makes a library crash or hang costs that frame, never the node; and
measuring, which takes all it gets of the processor, holds up no heartbeat.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from boundless_skies.node.errors import FrameError, TruncatedFrame

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

FRAME_LIMIT_S = 300.0
"""Longest time that one frame may take (s)."""

_LOOK_S = 0.1


@dataclass(frozen=True)
class Measured:
    """A frame was measured.

    Attributes
    ----------
    measurement : dict
        As it goes over the wire.
    """

    measurement: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """A frame cannot be measured.

    Attributes
    ----------
    reason : str
        One sentence.
    incomplete : bool
        Whether the file's end is missing, so that it may yet come.
    """

    reason: str
    incomplete: bool = False


Outcome = Measured | Refused
Done = TypeVar("Done")


def refusal_line(name: str, reason: str) -> str:
    """Tell in one line that a frame was skipped, and why.

    Parameters
    ----------
    name : str
        The file's name.
    reason : str
        A sentence, which may begin with that name.

    Returns
    -------
    str
        The name stands in it once.
    """
    return f"{name} skipped: {reason.removeprefix(f'{name} ')}"


class FrameProcess(Generic[Done]):
    """Works on frames in a process of its own, one at a time.

    Parameters
    ----------
    config : dict
        The whole config.
    work : callable
        What to do with a path and the config; importable, as the process finds it by its name.
    limit_s : float
        Longest time that one frame may take (s).
    """

    def __init__(
        self,
        config: dict[str, Any],
        work: Callable[[str, dict[str, Any]], Done | Refused],
        limit_s: float = FRAME_LIMIT_S,
    ) -> None:
        self._config = config
        self._limit_s = limit_s
        self._work = work
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def measure(self, path: str, stop: threading.Event) -> Done | Refused | None:
        """Work on one frame.

        Parameters
        ----------
        path : str
            A FITS file.
        stop : threading.Event
            Ends the work early.

        Returns
        -------
        Done, Refused or None
            None where it was ended early.
        """
        pipe = self._started()
        ends_s = time.monotonic() + self._limit_s
        try:
            pipe.send(path)
            while not pipe.poll(_LOOK_S):
                if stop.is_set():
                    self.close()
                    return None
                if time.monotonic() > ends_s:
                    self.close()
                    return Refused(f"measuring it took longer than {self._limit_s:.0f} s.")
            outcome: Done | Refused = pipe.recv()
        except (EOFError, OSError):
            return None if stop.is_set() else self._died()
        return outcome

    def close(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    def _started(self) -> Connection:
        if self._pipe is not None and self._process is not None and self._process.is_alive():
            return self._pipe
        self.close()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(theirs, self._work, self._config),
            name="boundless-measuring",
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._pipe = ours
        return ours

    def _died(self) -> Refused:
        code = None
        if self._process is not None:
            self._process.join(1.0)
            code = self._process.exitcode
        self.close()
        return Refused(f"the measuring process ended over it (exit code {code}).")


class MeasuringProcess(FrameProcess[Measured]):
    """Measures frames in a process of its own, one at a time.

    Parameters
    ----------
    config : dict
        The whole config.
    limit_s : float
        Longest time that one frame may take (s).
    work : callable, optional
        In place of :func:`measure_frame`.
    """

    def __init__(
        self,
        config: dict[str, Any],
        limit_s: float = FRAME_LIMIT_S,
        work: Callable[[str, dict[str, Any]], Outcome] | None = None,
    ) -> None:
        super().__init__(config, work or measure_frame, limit_s)


def _serve(
    pipe: Connection, work: Callable[[str, dict[str, Any]], Any], config: dict[str, Any]
) -> None:
    """Answer for one path after the other until the node is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)
    try:
        while True:
            pipe.send(work(pipe.recv(), config))
    except (EOFError, OSError):
        return


def measure_frame(path: str, config: dict[str, Any]) -> Outcome:
    """Measure one frame in this process.

    Parameters
    ----------
    path : str
        A FITS file.
    config : dict
        The whole config.

    Returns
    -------
    Measured or Refused
        Whatever happens, one of the two.
    """
    # The node's own process stays light: only the measuring one loads the libraries.
    from boundless_skies.node import photometry  # noqa: PLC0415

    try:
        found = photometry.measure_frame(path, config)
    except TruncatedFrame as error:
        return Refused(str(error), incomplete=True)
    except FrameError as error:
        return Refused(str(error))
    except Exception as error:  # noqa: BLE001 - one frame must not end a night
        return Refused(f"unexpected {type(error).__name__} while measuring it: {error}")
    # A cloud that does not look at `is_limit` would take a limit for a measurement.
    return Refused(found.limit_sentence) if found.is_limit else Measured(found.to_dict())

"""A parent and its workers: one that dies is replaced, all end together."""

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead

from boundless_skies.cloud.serving.worker import GRACE_S, STOP_SIGNALS, Duty, work

if TYPE_CHECKING:
    from collections.abc import Iterator

PAUSE_S, PAUSE_MAX_S = 0.5, 30.0
STEADY_S = 60.0
"""A worker that lived so long is replaced without a longer pause."""
KILL_AFTER_S = GRACE_S + 5.0

logger = logging.getLogger(__name__)


class Slot:
    """The place of one worker.

    Parameters
    ----------
    number : int
        From 1 on.
    start : callable
        Starts a process.
    clock : callable
        Seconds that only go up.
    """

    def __init__(
        self, number: int, start: Callable[[], SpawnProcess], clock: Callable[[], float]
    ) -> None:
        self.number = number
        self.process: SpawnProcess | None = None
        self._start = start
        self._clock = clock
        self._started_s = 0.0
        self._pause_s = PAUSE_S
        self.due_s = clock()

    def start_if_due(self) -> None:
        """Start a worker where there is none and its time has come."""
        if self.process is None and self._clock() >= self.due_s:
            self._started_s = self._clock()
            self.process = self._start()

    def look(self) -> SpawnProcess | None:
        """Return the worker that has ended since the last look, and plan its successor."""
        process = self.process
        if process is None or process.is_alive():
            return None
        self.process = None
        if self._clock() - self._started_s >= STEADY_S:
            self._pause_s = PAUSE_S
        self.due_s = self._clock() + self._pause_s
        logger.error(
            "Worker %d (process %s) %s; another one starts in %g s.",
            self.number,
            process.pid,
            _how_it_ended(process.exitcode),
            self._pause_s,
        )
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
        return process


class Crew:
    """Runs workers until it is told to stop.

    Parameters
    ----------
    duty : Duty
        What each worker does.
    size : int
        How many there are.
    """

    def __init__(self, duty: Duty, size: int) -> None:
        self._duty = duty
        self._slots = [Slot(n, self._start, time.monotonic) for n in range(1, size + 1)]
        self._stopping = False

    def run(self) -> None:
        """Keep the workers running until SIGTERM or SIGINT, then end them all."""
        with self._hearing_signals() as told:
            while not self._stopping:
                for slot in self._slots:
                    slot.start_if_due()
                wait([told, *self._sentinels()], timeout=self._until_due_s())
                for slot in self._slots:
                    ended = slot.look()
                    if ended is not None:
                        mark_process_dead(ended.pid)  # type: ignore[no-untyped-call]
            self._end_all()

    def _start(self) -> SpawnProcess:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=work, args=(self._duty,), name="cloud-worker")
        # Held back until the worker can hear them: it would die of them, or print a traceback.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return process

    def _sentinels(self) -> list[int]:
        return [slot.process.sentinel for slot in self._slots if slot.process is not None]

    def _until_due_s(self) -> float | None:
        due = [slot.due_s for slot in self._slots if slot.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    @contextmanager
    def _hearing_signals(self) -> "Iterator[socket.socket]":
        told, tell = socket.socketpair()
        tell.setblocking(False)
        before = {number: signal.signal(number, self._note_stop) for number in STOP_SIGNALS}
        descriptor = signal.set_wakeup_fd(tell.fileno())
        try:
            yield told
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
            told.close()
            tell.close()

    def _note_stop(self, *_: object) -> None:
        self._stopping = True

    def _end_all(self) -> None:
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + KILL_AFTER_S
        for process in running:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                logger.error("Worker process %s does not stop; it is killed.", process.pid)
                process.kill()
                process.join()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"

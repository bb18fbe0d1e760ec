"""A clock under which a night passes as fast as the work in it is done."""

import bisect
import datetime as dt
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread

log = logging.getLogger(__name__)

_LOOK_S = 0.02
"""How often, in real seconds, a sleeper looks at what cannot wake it: its stop event, a thread
that died, a pace that allows the next leap."""

_PATIENCE_S = 30.0
"""After so many real seconds without a leap it is told who holds the time up."""


@dataclass(order=True)
class _Sleeper:
    due_s: float
    turn: int
    stop: Event = field(compare=False)
    thread: Thread = field(compare=False)
    wakes: threading.Condition = field(compare=False)
    awake: bool = field(default=False, compare=False)


class FastClock:
    """A clock that leaps to the next instant at which anybody wants to wake.

    It stands still while a thread that takes part works, and leaps once all of them sleep on
    it. At each leap one sleeper wakes, in the order of their instants, then of their calls: what
    happens is the same each time, however fast the machine is; only what threads do before their
    first sleep they do side by side. A sleeper whose ``stop`` is set goes before any leap, at the
    instant that it is.

    A thread takes part from its first sleep on until it ends; the thread that made the clock
    does so only inside :meth:`taking_part`, as it mostly waits for the others. A thread that
    waits for anything but this clock (another thread, a network, a queue) must do so inside
    :meth:`outside`, or time waits for it. A thread that another one starts is best made with
    :meth:`thread`: then no leap comes between its start and its first sleep.

    Parameters
    ----------
    start : datetime
        What it shows at first, aware.
    speed : float, optional
        At most so many seconds pass in a real one; without it, as many as the work allows.
    on_leap : callable, optional
        Told the new time after each leap, seconds since `start`; it must be quick, and must not
        use the clock.
    """

    def __init__(
        self,
        start: dt.datetime,
        *,
        speed: float = math.inf,
        on_leap: Callable[[float], None] | None = None,
    ) -> None:
        if not speed > 0.0:
            raise ValueError(f"speed is {speed}; it must be above 0.")
        self._start = start.astimezone(dt.UTC)
        self._speed = speed
        self._on_leap = on_leap or (lambda _: None)
        self._elapsed_s = 0.0
        self._leapt_at_s = time.monotonic()
        self._told_standstill = False
        self._lock = threading.Lock()
        self._sleepers: list[_Sleeper] = []
        self._turns = count()
        self._spectators = {threading.current_thread()}
        self._working: set[Thread] = set()

    def now(self) -> dt.datetime:
        """Return the present instant, aware, in UTC."""
        return self._start + dt.timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Return seconds since the clock's first instant."""
        return self._elapsed_s

    def sleep(self, seconds: float, stop: Event) -> None:
        """Wait so many seconds, or until ``stop`` is set; 0 lets the others have their turn."""
        me = threading.current_thread()
        with self._lock:
            if stop.is_set():
                return
            sleeper = _Sleeper(
                self._elapsed_s + max(0.0, seconds),
                next(self._turns),
                stop,
                me,
                threading.Condition(self._lock),
            )
            bisect.insort(self._sleepers, sleeper)
            self._working.discard(me)
            try:
                self._await_turn(sleeper)
            finally:
                self._rise(sleeper)

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Let time wait for what this thread does in the block."""
        was_spectator = self._look_on(on=False)
        try:
            yield
        finally:
            self._look_on(on=was_spectator)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Let time go on while this thread waits, in the block, for something else."""
        was_spectator = self._look_on(on=True)
        try:
            yield
        finally:
            self._look_on(on=was_spectator)

    def thread(self, target: Callable[[], object], *, name: str) -> Thread:
        """Make a thread for which time waits from now on; it must be started.

        Parameters
        ----------
        target : callable
            What it does.
        name : str
            Its name.

        Returns
        -------
        Thread
            A daemon, not yet started.
        """

        def work() -> None:
            try:
                target()
            finally:
                self._leave(made)

        made = Thread(target=work, name=name, daemon=True)
        with self._lock:
            self._working.add(made)
        return made

    def _look_on(self, *, on: bool) -> bool:
        """Make this thread a spectator, or one that takes part; return what it was before."""
        me = threading.current_thread()
        with self._lock:
            was_spectator = me in self._spectators
            if on:
                self._spectators.add(me)
                self._working.discard(me)
                self._wake_next()
            else:
                self._spectators.discard(me)
                self._working.add(me)
            return was_spectator

    def _leave(self, thread: Thread) -> None:
        with self._lock:
            self._working.discard(thread)
            self._wake_next()

    # -- all below is called with the lock held -------------------------------------------

    def _await_turn(self, sleeper: _Sleeper) -> None:
        self._wake_next()
        while not sleeper.awake and not sleeper.stop.is_set():
            sleeper.wakes.wait(self._look_s())
            if not sleeper.awake:
                self._wake_next()

    def _rise(self, sleeper: _Sleeper) -> None:
        self._forget(sleeper)
        if sleeper.thread in self._spectators:
            self._working.discard(sleeper.thread)
            self._wake_next()
        else:
            self._working.add(sleeper.thread)

    def _wake_next(self) -> None:
        """Let one sleeper wake, where nobody works."""
        if not self._sleepers or self._someone_works():
            return
        stopped = [sleeper for sleeper in self._sleepers if sleeper.stop.is_set()]
        if stopped:
            self._wake(min(stopped, key=lambda sleeper: sleeper.turn))
        elif self._pace_left_s() <= 0.0:
            self._leap(self._sleepers[0].due_s)
            self._wake(self._sleepers[0])

    def _someone_works(self) -> bool:
        # A thread that was killed by an error leaves nothing behind but its name here.
        ended = {thread for thread in self._working if thread.ident and not thread.is_alive()}
        self._working -= ended
        self._tell_standstill()
        return bool(self._working)

    def _look_s(self) -> float:
        left_s = self._pace_left_s()
        return min(left_s, _LOOK_S) if left_s > 0.0 and not self._working else _LOOK_S

    def _pace_left_s(self) -> float:
        """Return how many real seconds the pace still asks for before the next leap."""
        due_s = self._sleepers[0].due_s if self._sleepers else math.inf
        if math.isinf(due_s):
            return math.inf  # who sleeps for ever is woken by a stop alone
        wait_s = (due_s - self._elapsed_s) / self._speed
        return self._leapt_at_s + wait_s - time.monotonic()

    def _leap(self, to_s: float) -> None:
        self._leapt_at_s = time.monotonic()
        self._told_standstill = False
        if to_s > self._elapsed_s:
            self._elapsed_s = to_s
            self._on_leap(to_s)

    def _wake(self, sleeper: _Sleeper) -> None:
        self._forget(sleeper)
        sleeper.awake = True
        # It counts as working before it runs, or a second one would be woken meanwhile.
        self._working.add(sleeper.thread)
        sleeper.wakes.notify()

    def _forget(self, sleeper: _Sleeper) -> None:
        with suppress(ValueError):
            self._sleepers.remove(sleeper)

    def _tell_standstill(self) -> None:
        held_s = time.monotonic() - self._leapt_at_s
        if not self._working or self._told_standstill or held_s < _PATIENCE_S:
            return
        self._told_standstill = True
        names = ", ".join(sorted(thread.name for thread in self._working))
        log.warning(
            "The fast clock stands at %s for %.0f s: it waits for %s.", self.now(), held_s, names
        )

"""Between two polls of the plan: waiting for interrupts, where the cloud holds the call."""

import logging
import time
from collections.abc import Callable
from random import Random
from threading import Event

from boundless_skies.wire.features import INTERRUPTS_WAIT
from boundless_skies.wire.limits import INTERRUPTS_WAIT_S
from cloud_communicator.board import StatusBoard
from cloud_communicator.errors import (
    ConnectionBroken,
    LinkError,
    LinkFailure,
    NoConnection,
    TimedOut,
    WaitCutOff,
)
from cloud_communicator.poller import InterruptPoller, Round

log = logging.getLogger("cloud_communicator")

KIND = "interrupts"
_BREATH_S = 0.5
_HELD_S = 5.0
_WHOLE = 0.9
_PASSING = (NoConnection, TimedOut, ConnectionBroken, WaitCutOff)


class InterruptWatch:
    """Waits for interrupts; where waiting leads to nothing, they come at the plan's pace.

    Parameters
    ----------
    poller : InterruptPoller
        Makes the calls and hands over.
    board : StatusBoard
        Knows whether the cloud holds calls.
    tell : callable
        Takes the kind of call and its failure.
    retry_s : float
        About how long after a failure waiting is tried again.
    rng : Random
        Spreads the calls of a fleet whose cloud has just restarted.
    monotonic : callable
        Gives monotonic seconds.
    """

    def __init__(
        self,
        poller: InterruptPoller,
        board: StatusBoard,
        tell: Callable[[str, LinkError], None],
        retry_s: float,
        rng: Random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._poller = poller
        self._board = board
        self._tell = tell
        self._retry_s = retry_s
        self._rng = rng
        self._monotonic = monotonic
        self._worthwhile = True
        self._again_at = 0.0

    def poll(self, stop: Event) -> None:
        """Look once without waiting; raises LinkFailure."""
        try:
            self._worthwhile = not self._poller.poll(stop).left
        except LinkFailure as failure:
            self._put_off(failure)
            raise

    def until(self, due: float, stop: Event, wake: Event) -> None:
        """Watch until a time, or until woken.

        Parameters
        ----------
        due : float
            Monotonic time of the next poll of the plan.
        stop : threading.Event
            Ends a call.
        wake : threading.Event
            Ends the watch.
        """
        while not wake.is_set() and (left_s := due - self._monotonic()) > 0:
            wait_s = min(INTERRUPTS_WAIT_S, int(left_s))
            rest_s = self._again_at - self._monotonic()
            if not (wait_s and self._worthwhile and self._board.can(INTERRUPTS_WAIT)):
                wake.wait(left_s)
            elif rest_s > 0:
                wake.wait(min(rest_s, left_s))
            else:
                self._wait(wait_s, stop)

    def _wait(self, wait_s: int, stop: Event) -> None:
        begun = self._monotonic()
        try:
            found = self._poller.poll(stop, wait_s)
        except WaitCutOff as failure:
            log.debug("Interrupts are polled for a while: %s", failure)
            self._put_off(failure)
        except LinkFailure as failure:
            self._tell(KIND, failure)
            self._put_off(failure)
        else:
            self._board.cleared(KIND)
            self._go_on(found, wait_s, self._monotonic() - begun)

    def _go_on(self, found: Round, wait_s: int, took_s: float) -> None:
        """Wait again soon, if that is not what a cloud answers at once with nothing new."""
        self._worthwhile = not found.left
        if found.settled or took_s >= _WHOLE * wait_s:
            self._rest(self._rng.uniform(0, _BREATH_S))
        elif took_s >= _HELD_S:  # a proxy's or cloud's own limit, or its restart: then all at once
            self._rest(self._rng.uniform(0, took_s))
        else:
            self._worthwhile = False

    def _put_off(self, failure: LinkFailure) -> None:
        """Wait no more until a plain poll went well, or for a while where the way was barred."""
        if isinstance(failure, _PASSING):
            self._rest(self._retry_s * self._rng.uniform(0.5, 1.5))
        else:
            self._worthwhile = False

    def _rest(self, seconds: float) -> None:
        self._again_at = self._monotonic() + seconds

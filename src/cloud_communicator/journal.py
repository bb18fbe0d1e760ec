"""What became of each interrupt, on disk before anybody acts on it."""

import logging
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from cloud_communicator.disk import Ledger

log = logging.getLogger("cloud_communicator")

JOURNAL_NAME = "cloud_interrupts.jsonl"
_COMPACT_BYTES = 1_000_000
_KEPT_DONE = 5_000


class State(StrEnum):
    """Where an interrupt is on its way through the link."""

    RECEIVED = "received"
    STARTED = "started"
    RAISED = "raised"
    DONE = "done"
    ACKED = "acked"


# From each state (None: never seen) the states that may follow.
NEXT: dict[State | None, frozenset[State]] = {
    None: frozenset({State.RECEIVED}),
    State.RECEIVED: frozenset({State.STARTED}),
    State.STARTED: frozenset({State.STARTED, State.RAISED, State.DONE}),
    State.RAISED: frozenset({State.STARTED}),
    State.DONE: frozenset({State.ACKED}),
    State.ACKED: frozenset({State.ACKED}),
}


class InterruptJournal:
    """The state of every interrupt that this node was sent, durable at each step.

    Where the disk refuses, the step is kept in memory and the error raised
    after it: an interrupt is worth more than its journal.

    Parameters
    ----------
    folder : Path
        The link's data folder.
    """

    def __init__(self, folder: Path) -> None:
        self._ledger = Ledger(folder / JOURNAL_NAME)
        self._states: dict[tuple[str, str], State] = {}
        self._cut_down: set[tuple[str, str]] = set()
        self._unsaved: list[dict[str, str]] = []

    def load(self) -> None:
        """Read what an earlier run left; those cut down in their callback are remembered."""
        for record in self._records():
            with suppress(KeyError, ValueError):
                key = (str(record["scope"]), str(record["id"]))
                self._states[key] = State(record["state"])
        self._cut_down = {key for key, state in self._states.items() if state is State.STARTED}
        self._compact()

    def _records(self) -> list[dict[str, Any]]:
        try:
            return self._ledger.records()
        except OSError as error:
            log.error(  # noqa: TRY400 - the traceback tells an owner nothing
                "%s cannot be read (%s): interrupts that were done may be offered again.",
                self._ledger.path,
                error.strerror or error,
            )
            return []

    def _compact(self) -> None:
        with suppress(OSError):
            if self._ledger.path.stat().st_size < _COMPACT_BYTES:
                return
            settled = [k for k, s in self._states.items() if s is State.ACKED][:-_KEPT_DONE]
            for key in settled:
                del self._states[key]
            self._ledger.keep_only(
                [{"scope": s, "id": i, "state": state} for (s, i), state in self._states.items()]
            )

    def state(self, scope: str, interrupt_id: str) -> State | None:
        """Return where an interrupt is; None if it was never seen."""
        return self._states.get((scope, interrupt_id))

    def was_cut_down(self, scope: str, interrupt_id: str) -> bool:
        """Tell whether an earlier run ended in the middle of this one's callback."""
        return (scope, interrupt_id) in self._cut_down

    def unacked(self, scope: str) -> list[str]:
        """Return the ids that are done and whose acknowledgement has not landed."""
        return [i for (s, i), state in self._states.items() if s == scope and state is State.DONE]

    def step(self, scope: str, interrupt_id: str, state: State) -> None:
        """Take one step, durably.

        Parameters
        ----------
        scope : str
            Cloud and node that the id belongs to.
        interrupt_id : str
            The cloud's id.
        state : State
            The new state.

        Raises
        ------
        ValueError
            If that state cannot follow the present one.
        OSError
            If the disk refuses; the step then holds in memory, until `save` succeeds.
        """
        key = (scope, interrupt_id)
        if state not in NEXT[self._states.get(key)]:
            raise ValueError(f"interrupt {interrupt_id}: {state} after {self._states.get(key)}")
        self._states[key] = state
        if state in (State.RAISED, State.DONE):
            self._cut_down.discard(key)
        self._unsaved.append({"scope": scope, "id": interrupt_id, "state": str(state)})
        self.save()

    def save(self) -> None:
        """Write the steps that the disk refused; raises OSError if it still does."""
        while self._unsaved:
            self._ledger.append(self._unsaved[0])
            del self._unsaved[0]

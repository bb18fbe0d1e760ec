"""The states of plans and of their items, and the one table of what may follow what."""

from collections.abc import Mapping
from enum import StrEnum

from boundless_skies.wire import ItemState


class PlanState(StrEnum):
    """What has become of a plan as a whole."""

    WAITING = "waiting"
    """For the owner's word."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """The owner said nothing in time."""
    SUPERSEDED = "superseded"
    """A newer plan came."""
    FINISHED = "finished"
    """None of its items is open any more."""


class Step(StrEnum):
    """Where an item or an interrupt stands."""

    PENDING = "pending"
    SLEWING = "slewing"
    CENTRING = "centring"
    FOCUSING = "focusing"
    EXPOSING = "exposing"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    PREEMPTED = "preempted"
    """Left for an interrupt; goes back to PENDING when the plan resumes."""


class Command(StrEnum):
    """What the owner can ask of the running node."""

    ABORT = "abort"
    PARK = "park"
    SKIP = "skip"
    RUN = "run"
    RESUME_AFTER_UNSAFE = "resume_after_unsafe"


class WorkKind(StrEnum):
    """Where a piece of work comes from."""

    ITEM = "item"
    INTERRUPT = "interrupt"


RUNNING: frozenset[Step] = frozenset({Step.SLEWING, Step.CENTRING, Step.FOCUSING, Step.EXPOSING})
"""The steps in which the telescope is at it; one piece of work at most stands in them."""

FINAL: frozenset[Step] = frozenset({Step.DONE, Step.SKIPPED, Step.FAILED})
"""The steps that nothing follows."""

_ENDS = frozenset({Step.SKIPPED, Step.FAILED})
_LEAVING = _ENDS | {Step.PREEMPTED}

ALLOWED: Mapping[Step, frozenset[Step]] = {
    Step.PENDING: _ENDS | {Step.SLEWING},
    Step.SLEWING: _LEAVING | {Step.CENTRING, Step.FOCUSING, Step.EXPOSING},
    # Back to SLEWING: a new attempt, the other side of the pier, the start after a crash.
    Step.CENTRING: _LEAVING | {Step.SLEWING, Step.FOCUSING, Step.EXPOSING},
    Step.FOCUSING: _LEAVING | {Step.SLEWING, Step.CENTRING, Step.EXPOSING},
    Step.EXPOSING: _LEAVING | {Step.SLEWING, Step.CENTRING, Step.FOCUSING, Step.DONE},
    Step.PREEMPTED: _ENDS | {Step.PENDING},
    Step.DONE: frozenset(),
    Step.SKIPPED: frozenset(),
    Step.FAILED: frozenset(),
}
"""Which step may follow which."""

DECISIONS: frozenset[PlanState] = frozenset(
    {PlanState.ACCEPTED, PlanState.REJECTED, PlanState.EXPIRED}
)
"""What a plan that waits for the owner can become by a word, or by silence."""

_WIRE_STATES = dict.fromkeys(RUNNING, ItemState.RUNNING) | {
    Step.DONE: ItemState.DONE,
    Step.SKIPPED: ItemState.SKIPPED,
    Step.FAILED: ItemState.FAILED,
    Step.PREEMPTED: ItemState.PREEMPTED,
}


def wire_state(step: Step) -> ItemState | None:
    """Return what the cloud calls a step; None for PENDING, of which it is not told."""
    return _WIRE_STATES.get(step)

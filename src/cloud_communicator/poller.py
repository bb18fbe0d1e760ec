"""What comes down: the night's plan and the interrupts, each handed over as promised."""

import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from threading import Event
from typing import Any, NamedTuple

from boundless_skies.wire.paths import INTERRUPTS, PLAN, interrupt_ack, interrupts_wait
from cloud_communicator.board import StatusBoard
from cloud_communicator.client import CloudClient
from cloud_communicator.errors import (
    BadReply,
    CloudRefused,
    ConnectionBroken,
    LinkFailure,
    TimedOut,
    WaitCutOff,
)
from cloud_communicator.journal import InterruptJournal, State

log = logging.getLogger("cloud_communicator")

_ACK = "interrupt ack"
_NIGHT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# What proxies, and clouds that hold no call, answer to one that should be held.
_NOT_HELD = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


def call_back(name: str, callback: Callable[..., Any], *args: Any) -> tuple[bool, Any]:
    """Call the program around the link; nothing that it raises ends a thread of ours.

    Parameters
    ----------
    name : str
        The callback's name, for the log.
    callback : callable
        What to call.
    *args : Any
        Its arguments.

    Returns
    -------
    tuple of bool and Any
        Whether it returned, and what.
    """
    try:
        return True, callback(*args)
    except BaseException:  # SystemExit out of a callback must not end the link either
        log.exception("The callback %s failed.", name)
        return False, None


class PlanPoller:
    """Fetches the plan and hands each new one over, until the callback has returned.

    Parameters
    ----------
    client : CloudClient
        Makes the calls.
    board : StatusBoard
        Shows the plan's id and length, and errors.
    on_plan : callable or None
        Takes the plan's items.
    """

    def __init__(
        self, client: CloudClient, board: StatusBoard, on_plan: Callable[[list[Any]], Any] | None
    ) -> None:
        self._client = client
        self._board = board
        self._on_plan = on_plan
        self._seen: str | None = None
        self._version: str | None = None

    def poll(self, stop: Event) -> None:
        """Fetch the plan once, if it is another than the one last seen; raises LinkFailure."""
        news = self._client.get_news(PLAN, "plan", self._version, stop)
        if news is not None:
            reply, version = news
            self._version = None
            self._take(reply)
            self._version = version

    def _take(self, reply: Any) -> None:
        plan = reply.get("plan") if isinstance(reply, dict) else _bad("plan", reply)
        if plan is None:
            return
        plan_id, items = self._read(plan)
        if plan_id == self._seen:
            return
        whole = [item for item in items if isinstance(item, dict)]
        # Before the callback: it gets the items alone, and reads the rest from the status.
        self._board.put(
            last_plan_id=plan_id, last_plan_night=_night_of(plan), plan_items=len(whole)
        )
        returned = self._on_plan is None or call_back("on_plan", self._on_plan, whole)[0]
        if returned:
            self._seen = plan_id
        if len(whole) < len(items):
            raise BadReply(f"plan {plan_id}: {len(items) - len(whole)} items are no objects.")
        if not returned:
            raise LinkFailure(
                f"on_plan failed for plan {plan_id}; it is offered again (see the log)."
            )

    @staticmethod
    def _read(plan: Any) -> tuple[str, list[Any]]:
        if not isinstance(plan, dict):
            _bad("plan", plan)
        plan_id, items = plan.get("plan_id"), plan.get("items")
        if isinstance(plan_id, bool) or not isinstance(plan_id, str | int) or plan_id == "":
            raise BadReply(
                f"The plan_id of the cloud's plan is a {type(plan_id).__name__} or empty."
            )
        if not isinstance(items, list):
            raise BadReply(f"The items of plan {plan_id!r:.40} are no list.")
        return str(plan_id), items


class Round(NamedTuple):
    """What came of one look for interrupts: newly settled ones, and listed ones left unsettled."""

    settled: int
    left: int


class InterruptPoller:
    """Fetches interrupts; each is done once, and acknowledged until the cloud knows.

    Parameters
    ----------
    client : CloudClient
        Makes the calls.
    board : StatusBoard
        Shows what is not acknowledged, and errors.
    journal : InterruptJournal
        Remembers each step.
    on_interrupt : callable or None
        Takes the interrupt; without it none is acknowledged.
    scope : callable
        Names the cloud and node that ids belong to.
    """

    def __init__(
        self,
        client: CloudClient,
        board: StatusBoard,
        journal: InterruptJournal,
        on_interrupt: Callable[[dict[str, Any]], Any] | None,
        scope: Callable[[], str],
    ) -> None:
        self._client = client
        self._board = board
        self._journal = journal
        self._on_interrupt = on_interrupt
        self._scope = scope

    def poll(self, stop: Event, wait_s: int = 0) -> Round:
        """Acknowledge what is due, fetch the list once, hand over.

        Parameters
        ----------
        stop : threading.Event
            Ends the poll.
        wait_s : int
            How long the cloud may hold the call until there is an interrupt.

        Returns
        -------
        Round
            What came of it.

        Raises
        ------
        WaitCutOff
            If the call that the cloud was to hold ended as one that may not be held.
        LinkFailure
            If any other call failed.
        """
        scope = self._scope()
        self._on_disk(self._journal.save, "The last interrupts")
        late = set(self._journal.unacked(scope))
        failure = self._ack_all(late, scope, stop)
        listed = {str(found["id"]): found for found in self._fetch(stop, wait_s)}
        known = {key for key in listed if self._is_settled(scope, key) and key not in late}
        for key, interrupt in listed.items():
            if stop.is_set():
                return Round(0, 0)
            if self._take(interrupt, key, scope) and key not in late:
                failure = self._ack_all([key], scope, stop) or failure
        self._board.put(interrupts_unacked=len(self._journal.unacked(scope)))
        if failure is not None:
            raise failure
        return self._round(listed, known | late, scope)

    def _round(self, listed: dict[str, Any], known: set[str], scope: str) -> Round:
        due = [key for key, found in listed.items() if not found.get("acked")]
        settled = [key for key in due if self._is_settled(scope, key)]
        return Round(len(set(settled) - known), len(due) - len(settled))

    def _is_settled(self, scope: str, key: str) -> bool:
        return self._journal.state(scope, key) is State.ACKED

    def _fetch(self, stop: Event, wait_s: int) -> list[dict[str, Any]]:
        path = interrupts_wait(wait_s) if wait_s else INTERRUPTS
        try:
            reply = self._client.get(path, "interrupts", stop, wait_s or None)
        except LinkFailure as failure:
            if wait_s and _may_come_of_waiting(failure):
                raise WaitCutOff(str(failure)) from failure
            raise
        found = reply.get("interrupts") if isinstance(reply, dict) else None
        if not isinstance(found, list):
            _bad("interrupts", reply)
        usable = [item for item in found or [] if _has_id(item)]
        if len(usable) < len(found or []):
            self._board.failed("interrupt ids", "Some of the cloud's interrupts have no id.")
        else:
            self._board.cleared("interrupt ids")
        return usable

    def _take(self, interrupt: dict[str, Any], key: str, scope: str) -> bool:
        """Hand one interrupt over if that is due; tells whether an ack is due."""
        state = self._journal.state(scope, key)
        if state in (State.DONE, State.ACKED):
            return not interrupt.get("acked")
        if interrupt.get("acked") or self._on_interrupt is None:
            return False
        if self._journal.was_cut_down(scope, key):
            interrupt = {**interrupt, "redelivered": True}
        if state is None:
            self._step(scope, key, State.RECEIVED)
        self._step(scope, key, State.STARTED)
        returned, _ = call_back("on_interrupt", self._on_interrupt, interrupt)
        self._step(scope, key, State.DONE if returned else State.RAISED)
        if returned:
            self._board.cleared("on_interrupt")
        else:
            self._board.failed(
                "on_interrupt", f"on_interrupt failed for {key}; it is offered again (see the log)."
            )
        return returned

    def _ack_all(self, keys: Iterable[str], scope: str, stop: Event) -> LinkFailure | None:
        """Acknowledge each; one that fails is due again at the next poll."""
        failure = None
        for key in keys:
            if self._client.rests(_ACK):
                break
            try:
                self._client.post(interrupt_ack(key), _ACK, b"{}", cancel=stop)
            except CloudRefused as refusal:
                if refusal.status != HTTPStatus.NOT_FOUND:
                    failure = refusal
                    continue
            except LinkFailure as error:
                return error
            self._step(scope, key, State.ACKED)
        return failure

    def _step(self, scope: str, key: str, state: State) -> None:
        self._on_disk(lambda: self._journal.step(scope, key, state), f"Interrupt {key} ({state})")

    def _on_disk(self, action: Callable[[], None], what: str) -> None:
        try:
            action()
        except OSError as error:
            self._board.failed(
                "journal",
                f"{what} could not be journalled ({error.strerror or error}); after a restart "
                "it may be offered again. Free space or mend the disk.",
            )
        else:
            self._board.cleared("journal")


def _night_of(plan: dict[str, Any]) -> str | None:
    night = plan.get("night")
    return night if isinstance(night, str) and _NIGHT.fullmatch(night) else None


def _has_id(item: Any) -> bool:
    found = item.get("id") if isinstance(item, dict) else None
    usable = isinstance(found, int | str) and not isinstance(found, bool)
    return usable and str(found).replace("-", "").replace("_", "").isalnum()


def _bad(what: str, reply: Any) -> Any:
    raise BadReply(
        f"The cloud's answer about the {what} is a {type(reply).__name__}, not its form."
    )


def _may_come_of_waiting(failure: LinkFailure) -> bool:
    if isinstance(failure, CloudRefused):
        return failure.status in _NOT_HELD
    return isinstance(failure, TimedOut | ConnectionBroken)

"""Where the cloud's plans and interrupts come in, and what became of them goes out."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any, Protocol

from boundless_skies.node.schedule.items import read_interrupt, read_items
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import PlanState
from boundless_skies.node.schedule.work import PlannedItem, ScheduleEvent
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.wire import canonical_json, idempotency_key

log = logging.getLogger(__name__)

EVENTS_AT_ONCE = 100


class EventLink(Protocol):
    """What a desk needs of the link."""

    status: dict[str, Any]

    def report_events(self, plan_id: str, events: Sequence[dict[str, Any]]) -> bool:
        """Keep events of a plan for the cloud; False where they are not on disk."""

    def report_interrupt_events(
        self, interrupt_id: int | str, events: Sequence[dict[str, Any]]
    ) -> bool:
        """Keep events of an interrupt for the cloud; False where they are not on disk."""


class PlanDesk:
    """Puts what the cloud asks for into the schedule, and tells the cloud what became of it.

    Parameters
    ----------
    store : ScheduleStore
        The schedule.
    settings : NightSettings
        Whether plans wait for the owner, and what an interrupt gets.
    zone : tzinfo
        The observatory's time zone, in which a plan's ``startTime`` is.
    now : callable
        Gives the time as an aware datetime.
    """

    def __init__(
        self,
        store: ScheduleStore,
        settings: NightSettings,
        zone: tzinfo,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._settings = settings
        self._zone = zone
        self._now = now

    def take_plan(
        self, items: Sequence[Any], *, plan_id: str | None = None, night: str | None = None
    ) -> bool:
        """Put a plan into the schedule.

        Parameters
        ----------
        items : sequence
            As the cloud sent them.
        plan_id : str, optional
            The cloud's name for it; one made from its content where the cloud has none.
        night : str, optional
            The date of its evening, YYYY-MM-DD.

        Returns
        -------
        bool
            False where it has come before.
        """
        now = self._now()
        planned, refused = read_items(items, night=night, received_at=now, zone=self._zone)
        state = PlanState.ACCEPTED if self._settings.auto_run else PlanState.WAITING
        is_new = self._store.put_plan(
            plan_id or f"plan-{idempotency_key(canonical_json(list(items)))[:12]}",
            planned,
            refused,
            state=state,
            night=night or "",
            expires_at=_expiry(now, planned, self._settings.confirm_within_s),
        )
        if is_new:
            log.info("A new plan has come: %s.", _told(planned, len(refused), state))
            for refusal in refused:
                log.warning("Not taken from the plan: %s", refusal.reason)
        return is_new

    def take_interrupt(self, interrupt: dict[str, Any]) -> bool:
        """Put an interrupt into the schedule; False where it has come before."""
        read = read_interrupt(
            interrupt,
            exposure_s=self._settings.interrupt_exposure_s,
            count=self._settings.interrupt_count,
        )
        if isinstance(read, PlannedItem):
            return self._store.put_interrupt(read)
        log.warning("Interrupt declined: %s", read.reason)
        return self._store.refuse_interrupt(read)

    def tell(self, link: EventLink) -> int:
        """Hand the link what the cloud has not been told; return how many events it took."""
        told = 0
        while events := self._store.unsent_events(EVENTS_AT_ONCE):
            for _, group in groupby(events, key=_subject):
                of_one = list(group)
                if not _report(link, of_one):
                    return told
                self._store.mark_sent(event.event_id for event in of_one)
                told += len(of_one)
        return told


def _subject(event: ScheduleEvent) -> tuple[str | None, str | None]:
    return event.plan_id, event.interrupt_id


def _report(link: EventLink, events: Sequence[ScheduleEvent]) -> bool:
    first = events[0]
    told = [
        {
            "event_id": event.event_id,
            "item_id": event.item_id,
            "state": str(event.state),
            "reason": event.reason,
            "at": event.at.isoformat(),
        }
        for event in events
    ]
    if first.plan_id is not None:
        return link.report_events(first.plan_id, told)
    for event in told:
        del event["item_id"]
    return link.report_interrupt_events(str(first.interrupt_id), told)


def _expiry(now: datetime, planned: Sequence[PlannedItem], within_s: float) -> datetime:
    """Return when a plan ceases to wait: its last item's end, and not after some time."""
    latest = now + timedelta(seconds=within_s)
    ends = [item.end_utc for item in planned]
    known = [end for end in ends if end is not None]
    return min(latest, max(known)) if known and len(known) == len(ends) else latest


def _told(planned: Sequence[PlannedItem], refused: int, state: PlanState) -> str:
    count = f"{len(planned)} item{'' if len(planned) == 1 else 's'}"
    unread = f", {refused} more cannot be meant" if refused else ""
    waits = "" if state is PlanState.ACCEPTED else "; it waits for your word"
    return f"{count}{unread}{waits}"

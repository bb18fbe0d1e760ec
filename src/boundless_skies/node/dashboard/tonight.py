"""The night's page: what runs, what comes, what was left out and why, what waits for a word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.dashboard.night_chart import (
    LOOKS,
    NightChart,
    Span,
    Window,
    describe_night,
    draw_night,
    night_window,
    span_hidden,
    spans,
    state_class,
)
from boundless_skies.node.dashboard.words import clock, counted, span
from boundless_skies.node.schedule.changes import ChangeKind, plan_changes
from boundless_skies.node.schedule.states import FINAL, RUNNING, Command, PlanState, Step
from boundless_skies.node.schedule.work import AskedCommand, Latch, PlanRecord, Work
from boundless_skies.node.storage.disk_room import lasting
from boundless_skies.node.storage.schedule import ScheduleStore

WIDE_PX, NARROW_PX = (980.0, 400.0), (340.0, 320.0)
INTERRUPTS_SHOWN = timedelta(hours=18)
"""An interrupt is shown for so long after it came to its end."""

_DOING = {
    Step.SLEWING: "Moving to",
    Step.CENTRING: "Centring",
    Step.FOCUSING: "Focusing for",
    Step.EXPOSING: "Exposing",
}
COMMAND_WORDS = {
    Command.ABORT: "Abort what runs",
    Command.PARK: "Park the telescope",
    Command.SKIP: "Skip",
    Command.RUN: "Run now",
    Command.RESUME_AFTER_UNSAFE: "Go on after the unsafe stop",
}


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A night drawn for a wide and for a narrow screen, and told in words."""

    wide: NightChart
    narrow: NightChart
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A piece of work as the table shows it."""

    span: Span
    work: Work
    look: int
    state: str
    hidden: str
    may_run: bool
    may_skip: bool


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A command that is not yet carried out."""

    words: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Tonight:
    """All that the page shows."""

    now: datetime
    headline: str
    running: Work | None
    following: Span | None
    plan: PlanRecord | None
    rows: list[Row]
    tally: str
    pictures: Pictures
    waiting: PlanRecord | None
    waiting_rows: list[Row]
    waiting_pictures: Pictures | None
    changes: list[str]
    latch: Latch | None
    asked: list[Asked]
    moves_telescope: bool
    site_known: bool
    disk: str
    disk_short: bool


def tonight(desk: Desk) -> Tonight:
    """Return what the page of the night shows."""
    now, store = desk.now(), desk.store
    waiting, plan = store.waiting_plan(), plan_of_tonight(store, now)
    work = (*(plan.items if plan else ()), *_interrupts(store, now))
    shown = spans(work, now)
    running = next((one for one in work if one.step in RUNNING), None)
    following = next((one for one in shown if one.work.step not in FINAL | RUNNING), None)
    latch = store.latch()
    disk = desk.status().get("disk") or {}
    return Tonight(
        now=now,
        headline=headline(running, following, plan, waiting, latch, now),
        running=running,
        following=following,
        plan=plan,
        rows=[_row(one, desk) for one in shown],
        tally=tally(work),
        pictures=_pictures(desk, shown, now),
        waiting=waiting,
        waiting_rows=[_row(one, desk) for one in spans(waiting.items, now)] if waiting else [],
        waiting_pictures=_pictures(desk, spans(waiting.items, now), now) if waiting else None,
        changes=_changes(plan, waiting),
        latch=latch,
        asked=[_asked(one, store) for one in store.asked_commands()],
        moves_telescope=desk.moves_telescope,
        site_known=desk.site is not None,
        disk=disk_words(disk),
        disk_short=bool(disk.get("is_short")),
    )


def disk_words(disk: Mapping[str, Any]) -> str:
    """Return how much room there is for frames, and for how many nights.

    Parameters
    ----------
    disk : Mapping
        What the node's status says of it; empty where it says nothing.
    """
    if not disk:
        return ""
    free = f"{disk['free_gb']:.1f} GB are free for frames"
    if disk["is_short"]:
        return (
            f"{free}, and {disk['reserve_gb']:g} GB of the disk stay free: targets wait until "
            f"there is room in {disk['folder']}."
        )
    if disk["nights"] is None:
        return f"{free}."
    return f"{free}, {lasting(disk['nights'], disk['keep_days'])}."


def plan_of_tonight(store: ScheduleStore, now: datetime) -> PlanRecord | None:
    """Return the plan that is carried out; without one, the last that was, if it is of today."""
    accepted = store.accepted_plan()
    if accepted:
        return accepted
    for plan in (store.newest_plan(), store.previous_plan()):
        fresh = plan and now - plan.received_at < INTERRUPTS_SHOWN
        if plan and fresh and plan.state is not PlanState.WAITING:
            return plan
    return None


def headline(
    running: Work | None,
    following: Span | None,
    plan: PlanRecord | None,
    waiting: PlanRecord | None,
    latch: Latch | None,
    now: datetime,
) -> str:
    """Return in a sentence what the node is at."""
    if latch:
        return f"Stopped as unsafe: {latch.reason}"
    if running:
        return f"{doing(running)}."
    if waiting:
        end = f" It waits until {clock(waiting.expires_at)} UTC." if waiting.expires_at else ""
        return f"A plan of {counted(len(waiting.items), 'target')} waits for your word.{end}"
    if following:
        ahead = (following.begins - now).total_seconds()
        when = f"in {span(ahead)}, at {clock(following.begins)} UTC" if ahead > 0 else "now"
        return f"{following.work.target} is next, {when}."
    if plan:
        return "Everything that was planned has come to its end."
    return "Nothing is planned. A plan comes from the network when there is something to observe."


def doing(work: Work) -> str:
    """Return what is being done for a piece of work."""
    told = f"{_DOING[work.step]} {work.target}"
    if work.step is Step.EXPOSING:
        return f"{told}, {max(work.taken, 1)} of {work.count}"
    return told


def tally(work: Sequence[Work]) -> str:
    """Return how many pieces of work stand where."""
    steps = ["running" if one.step in RUNNING else str(one.step) for one in work]
    order = (
        "running",
        *map(str, (Step.PENDING, Step.PREEMPTED, Step.DONE, Step.SKIPPED, Step.FAILED)),
    )
    return ", ".join(f"{steps.count(name)} {name}" for name in order if name in steps)


def _changes(before: PlanRecord | None, after: PlanRecord | None) -> list[str]:
    """Return in sentences what a plan that waits changes against the one before it."""
    if before is None or after is None:
        return []
    changes = plan_changes(before.items, after.items)
    return [change.sentence for change in changes if change.kind is not ChangeKind.SAME]


def _interrupts(store: ScheduleStore, now: datetime) -> list[Work]:
    return [
        work
        for work in reversed(store.interrupts())
        if work.step not in FINAL or now - work.changed_at < INTERRUPTS_SHOWN
    ]


def _row(one: Span, desk: Desk) -> Row:
    open_ = one.work.step not in FINAL
    return Row(
        span=one,
        work=one.work,
        look=(one.number - 1) % LOOKS,
        state=state_class(one.work.step),
        hidden=_hidden(one, desk),
        may_run=desk.moves_telescope and open_ and one.work.step not in RUNNING,
        may_skip=desk.moves_telescope and open_,
    )


def _hidden(one: Span, desk: Desk) -> str:
    """Return when and by what a target of this night is hidden, the beginning of a sentence."""
    told = span_hidden(one, night_window(desk.now(), desk.site), desk.site, desk.horizon)
    return told[:1].upper() + told[1:]


def _pictures(desk: Desk, shown: Sequence[Span], now: datetime) -> Pictures:
    window: Window = night_window(now, desk.site)
    # Only what lies in this night: an old plan must not crowd at the picture's edge.
    seen = [one for one in shown if one.ends >= window.begins and one.begins <= window.ends]
    wide, narrow = (
        draw_night(
            seen,
            window,
            now,
            desk.site,
            horizon=desk.horizon,
            width=width,
            height=height,
        )
        for width, height in (WIDE_PX, NARROW_PX)
    )
    return Pictures(
        wide=wide,
        narrow=narrow,
        sentence=describe_night(seen, window, desk.site, desk.horizon),
    )


def _asked(command: AskedCommand, store: ScheduleStore) -> Asked:
    work = store.work(command.work_id) if command.work_id is not None else None
    about = f": {work.target}" if work else ""
    return Asked(words=f"{COMMAND_WORDS[command.command]}{about}", at=command.at)

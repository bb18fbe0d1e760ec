"""The night: runs what the schedule holds, when the sky and the owner allow it, and safely."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import Telescope
from boundless_skies.node.devices.errors import (
    DeviceRefused,
    DeviceUnreachable,
    Stopped,
)
from boundless_skies.node.errors import NodeError
from boundless_skies.node.schedule.rules import Clear, Limits, Refusal, Rule, check
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import FINAL, RUNNING, Command, PlanState, Step, WorkKind
from boundless_skies.node.schedule.work import AskedCommand, Work
from boundless_skies.node.services.centring import Centring
from boundless_skies.node.services.focusing import Focusing
from boundless_skies.node.services.guard import Cause, Guard, Halt
from boundless_skies.node.services.observing import Left, Observing
from boundless_skies.node.storage.schedule import ScheduleError, ScheduleStore
from boundless_skies.sky import Night, Site, night_around
from cloud_communicator.disk import sync_folder

log = logging.getLogger(__name__)

MARK_NAME = "telescope.moved"
RETRY_S = 30.0
"""Rest before a device that did not answer is asked for work again (s)."""

IDLE_PARK_S = 300.0
"""How long the telescope stands still, waiting for its next target, before it is parked (s)."""

PARK_LIMIT_S = 300.0
"""How long parking is tried again when the node stops (s)."""

TROUBLE_REST_S = 300.0
"""Rest before work is begun again after trouble of the schedule itself, as a full disk (s)."""

_NIGHT_KEPT = timedelta(minutes=10)
_FROM_MORNING_TO_EVENING = timedelta(hours=13)
_WAITS: frozenset[Rule] = frozenset({Rule.LATCH, Rule.WEATHER, Rule.ROOM})


class MovedMark:
    """Whether this node has moved the telescope since it was last parked.

    A telescope that its owner moves by another program is left alone.

    Parameters
    ----------
    path : Path or None
        The file that keeps it; None to keep it in memory only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._is_set = path is not None and path.exists()

    def is_set(self) -> bool:
        """Return whether it has."""
        return self._is_set

    def set(self) -> None:
        """Keep that the telescope is about to be moved; on disk when it returns."""
        if not self._is_set and self._path is not None:
            try:
                self._path.touch()
                sync_folder(self._path.parent)
            except OSError as error:
                raise NodeError(
                    f"{self._path} cannot be written ({error.strerror}). The telescope is not "
                    "moved: see whether the disk is full or read-only."
                ) from error
        self._is_set = True

    def clear(self) -> None:
        """Keep that the telescope is parked; where the disk fails, a start parks it again."""
        self._is_set = False
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


class ScheduleRunner:
    """Runs the schedule at a telescope until it is told to stop.

    Parameters
    ----------
    store : ScheduleStore
        The schedule.
    telescope : Telescope
        What it is run with.
    clock : Clock
        The time, and waiting.
    site : Site
        Where the telescope stands.
    limits : Limits
        What the owner allows.
    settings : NightSettings
        How a night is run.
    frames : Path
        The folder for frames.
    centring : Centring or None
        None where targets are not centred.
    focusing : Focusing or None
        None where there is no autofocus.
    on_tick : callable
        Called about once a second, by whoever watches over the telescope.
    mark : Path or None
        A file that is there while this node has moved the telescope and not yet parked it, so
        that a start after a power cut parks it; None for a telescope without power of its own.
    lacks_room : callable
        Returns why so many frames more do not fit on the disk; None where they do.
    """

    def __init__(
        self,
        *,
        store: ScheduleStore,
        telescope: Telescope,
        clock: Clock,
        site: Site,
        limits: Limits,
        settings: NightSettings,
        frames: Path,
        centring: Centring | None = None,
        focusing: Focusing | None = None,
        on_tick: Callable[[], None] = lambda: None,
        mark: Path | None = None,
        lacks_room: Callable[[int], str | None] = lambda _frames: None,
    ) -> None:
        self._lacks_room = lacks_room
        self._store = store
        self._telescope = telescope
        self._clock = clock
        self._site = site
        self._limits = limits
        self._settings = settings
        self._halt = Halt()
        self._work: Work | None = None
        self._doing = "The telescope is being looked after."
        self._waits: dict[int, Refusal] = {}
        self._overruled: dict[int, int] = {}
        self._moved = MovedMark(mark)
        self._idle_since_s: float | None = None
        self._retry_at_s = clock.monotonic()
        self._night: tuple[datetime, Night | None] | None = None
        self._guard = Guard(
            telescope=telescope,
            store=store,
            halt=self._halt,
            clock=clock,
            limits=limits,
            settings=settings,
            current=lambda: None if self._work is None else self._work.id,
            moved=self._moved.is_set,
            on_tick=on_tick,
        )
        self._observing = Observing(
            store=store,
            telescope=telescope,
            clock=clock,
            halt=self._halt,
            frames=frames,
            site=site,
            centring=centring,
            focusing=focusing,
            focus_every_s=settings.focus_every_s,
            may_go_on=self._may_go_on,
        )

    def run(self, stop: threading.Event) -> None:
        """Run the schedule until ``stop`` is set, then park.

        What a cut left half done is settled first. Nothing that happens here ends it but
        ``stop``: trouble is logged, and the telescope parked.
        """
        guard = self._clock.thread(lambda: self._guard.watch(stop), name="node-guard")
        self._start()
        guard.start()
        try:
            while not stop.is_set():
                self._turn_safely(stop)
        finally:
            self._doing = "The node stops; the telescope is parked."
            self._halt.call(Cause.STOP)
            self._park_for_good()

    def facts(self) -> dict[str, Any]:
        """Return what the telescope does, for the heartbeat and the dashboard.

        Returns
        -------
        dict
            ``state`` (observing, waiting, unsafe), ``doing`` (a sentence), ``target`` (a name
            or None), ``weather`` (what is measured), ``mount_silent_since`` (ISO 8601 or None)
            and ``waiting`` (why each open item does not run, by its number in the schedule).
        """
        work, weather = self._work, self._guard.weather
        silent = self._guard.mount_silent_since
        return {
            "state": self._state(),
            "doing": self._doing,
            "target": None if work is None else work.target,
            "weather": {}
            if weather is None
            else {name: value for name, value in asdict(weather).items() if value is not None},
            "mount_silent_since": None if silent is None else silent.isoformat(),
            "waiting": {number: refusal.sentence for number, refusal in dict(self._waits).items()},
        }

    def _state(self) -> str:
        if self._unsafe_reason() is not None:
            return "unsafe"
        return "waiting" if self._work is None else "observing"

    def _unsafe_reason(self) -> str | None:
        try:
            return self._store.unsafe_reason()
        except ScheduleError as error:
            return str(error)

    # Turns

    def _start(self) -> None:
        try:
            self._observing.clear_away()
            # After a cut in the midst of work, or an unsafe stop, nobody else is at it.
            running = [work for work in self._store.open_work() if work.step in RUNNING]
            if running or self._store.latch() is not None:
                self._moved.set()
            self._guard.look()
        except NodeError as error:
            log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback

    def _turn_safely(self, stop: threading.Event) -> None:
        try:
            self._turn(stop)
        except Stopped:
            return
        except DeviceUnreachable as error:
            self._retry_at_s = self._clock.monotonic() + RETRY_S
            self._doing = f"{error} Trying again."
            log.warning("%s Trying again.", error)
            self._clock.sleep(self._settings.turn_s, stop)
        except NodeError as error:
            self._doing = str(error)
            log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
            self._rest_after_trouble(stop)
        except Exception:
            log.exception("Unexpected trouble in the schedule; the telescope is parked.")
            self._latch("The schedule met unexpected trouble; the log tells it.")
            self._rest_after_trouble(stop)

    def _rest_after_trouble(self, stop: threading.Event) -> None:
        """Park without the schedule: it may be what cannot be read or written."""
        self._retry_at_s = self._clock.monotonic() + TROUBLE_REST_S
        try:
            self._rest(self._doing, stop)
        except NodeError as error:
            log.warning("The telescope is not parked yet: %s", error)
            self._clock.sleep(self._settings.turn_s, stop)
        except Exception:
            log.exception("The telescope is not parked yet.")
            self._clock.sleep(self._settings.turn_s, stop)

    def _latch(self, reason: str) -> None:
        try:
            self._store.unsafe(reason)
        except ScheduleError as error:
            log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback

    def _turn(self, stop: threading.Event) -> None:
        self._halt.settle()
        self._observing.settle_open()
        self._obey()
        self._keep_times()
        reason = self._store.unsafe_reason()
        if reason is not None or self._guard.danger is not None:
            self._step_back(reason or str(self._guard.danger))
            self._rest(f"Stopped as unsafe: {reason}" if reason else str(self._guard.danger), stop)
            return
        now = self._clock.now()
        work = self._choose(now) if self._clock.monotonic() >= self._retry_at_s else None
        if work is not None:
            self._observe(work)
        else:
            self._wait(now, stop)

    def _step_back(self, reason: str) -> None:
        """Let what a cut left running wait like the rest."""
        for work in self._store.open_work():
            if work.step in RUNNING:
                self._leave(work, Step.PREEMPTED, reason)

    def _wait(self, now: datetime, stop: threading.Event) -> None:
        open_work = self._store.open_work()
        if not open_work:
            self._rest("Nothing is planned.", stop)
        elif self._is_day(now):
            self._rest("It is day.", stop)
        else:
            refusal = next((self._waits[w.id] for w in open_work if w.id in self._waits), None)
            self._doing = refusal.sentence if refusal else f"Waiting for {open_work[0].target}."
            self._stand_still(stop)
            self._clock.sleep(self._settings.turn_s, stop)

    def _stand_still(self, stop: threading.Event) -> None:
        """Follow no star while nothing runs: it might lead below the horizon's limit."""
        if not self._moved.is_set():
            return
        now_s = self._clock.monotonic()
        if self._idle_since_s is None:
            try:
                self._telescope.mount.set_tracking(False)
            except DeviceRefused:
                self._park(stop)
            self._idle_since_s = now_s
        elif now_s - self._idle_since_s >= IDLE_PARK_S:
            self._park(stop)

    def _rest(self, doing: str, stop: threading.Event) -> None:
        """Park what this node has moved, and leave it so for a while."""
        self._doing = doing
        if self._moved.is_set():
            self._park(stop)
        self._clock.sleep(self._settings.turn_s, stop)

    def _is_day(self, now: datetime) -> bool:
        night = self._night_at(now)
        return night is None or not night.begins <= now < night.ends

    def _night_at(self, now: datetime) -> Night | None:
        """Return the night around an instant; by day, the last one for some minutes more."""
        if self._night is not None:
            found_at, night = self._night
            lasts_until = night.ends if night else found_at
            if found_at <= now < max(lasts_until, found_at + _NIGHT_KEPT):
                return night
        self._night = now, night_around(now, self._site, self._limits.sun_altitude_deg)
        return self._night[1]

    def _park(self, stop: threading.Event) -> None:
        if not self._telescope.mount.is_parked():
            log.info("Parking the telescope: %s", self._doing)
            with suppress(DeviceRefused):  # some say no where nothing moves
                self._telescope.mount.abort()
            self._telescope.mount.park(stop)
        self._moved.clear()

    def _park_for_good(self) -> None:
        """Park what this node has moved; a mount that does not answer is tried for a while."""
        if not self._moved.is_set():
            return
        never = threading.Event()
        ends_s = self._clock.monotonic() + PARK_LIMIT_S
        while True:
            try:
                self._park(never)
            except DeviceRefused as error:
                log.error("The telescope is not parked: %s", error)  # noqa: TRY400
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                log.warning("The telescope is not parked yet: %s", str(error) or repr(error))
                if self._clock.monotonic() >= ends_s:
                    return
                self._clock.sleep(self._settings.turn_s, never)
            else:
                return

    def _keep_times(self) -> None:
        """End what waits beyond its time: a plan for the owner, an item for its turn."""
        self._expire_plan()
        self._skip_what_is_over(self._clock.now())

    def _expire_plan(self) -> None:
        plan = self._store.waiting_plan()
        if plan is None or plan.expires_at is None or plan.expires_at > self._clock.now():
            return
        if self._store.decide(plan.plan_id, PlanState.EXPIRED, "The owner did not answer in time."):
            log.warning("The plan %s was not answered in time, and is not run.", plan.plan_id)

    # The owner's commands

    def _obey(self) -> None:
        for asked in self._store.take_commands():
            log.info("The owner asked: %s.", asked.command.replace("_", " "))
            if self._carry_out(asked):
                self._store.finish_command(asked.id)
        open_ids = {work.id for work in self._store.open_work()} if self._overruled else set()
        for work_id in self._overruled.keys() - open_ids:
            self._store.finish_command(self._overruled.pop(work_id))

    def _carry_out(self, asked: AskedCommand) -> bool:
        """Do what is asked; tell whether that is all of it."""
        match asked.command:
            case Command.ABORT | Command.SKIP:
                self._give_up(asked)
            case Command.PARK:
                self._store.unsafe("The owner parked the telescope.")
                self._moved.set()  # the owner's word holds for what others have moved too
            case Command.RESUME_AFTER_UNSAFE:
                self._store.clear_unsafe()
            case Command.RUN if asked.work_id is not None:
                return not self._overrule(asked.work_id, asked.id)
        return True

    def _overrule(self, work_id: int, command_id: int) -> bool:
        """Let work go first, whatever the plan's times; tell whether it is open at all."""
        if work_id not in {work.id for work in self._store.open_work()}:
            return False
        self._overruled[work_id] = command_id
        self._waits.pop(work_id, None)
        return True

    def _give_up(self, asked: AskedCommand) -> None:
        words = "skipped" if asked.command is Command.SKIP else "aborted"
        for work in self._store.open_work():
            if work.id == asked.work_id or (asked.work_id is None and work.step in RUNNING):
                self._store.advance(work.id, work.step, Step.SKIPPED, f"{words} by the owner")

    # Which work

    def _choose(self, now: datetime) -> Work | None:
        """Return what can be observed now; what no longer can is skipped, with the reason."""
        for work in self._candidates(now):
            known = self._waits.get(work.id)
            if known is not None and known.when_possible and now < known.when_possible:
                continue
            verdict = self._verdict(work, now)
            if isinstance(verdict, Clear):
                self._waits.pop(work.id, None)
                return self._pending(work)
            self._put_off(work, verdict, now)
        return None

    def _candidates(self, now: datetime) -> list[Work]:
        due = self._store.due_works(now)
        wanted = [work for work in self._store.open_work() if work.id in self._overruled]
        running = [work for work in due if work.step in RUNNING]
        known = {work.id for work in (*running, *wanted)}
        return [*running, *wanted, *(work for work in due if work.id not in known)]

    def _pending(self, work: Work) -> Work | None:
        """Return the work ready to be begun, or gone on with; None where that may not be."""
        if work.step is not Step.PREEMPTED:
            return work
        self._store.advance(work.id, Step.PREEMPTED, Step.PENDING)
        return self._store.work(work.id)

    def _verdict(self, work: Work, now: datetime) -> Clear | Refusal:
        return check(
            work,
            now,
            site=self._site,
            limits=self._limits,
            weather=self._guard.weather,
            unsafe_reason=self._store.unsafe_reason(),
            # What runs is not broken off because its last frames may not fit.
            room_reason=self._lacks_room(1 if work.step in RUNNING else work.count - work.taken),
            overrule=work.id in self._overruled,
        )

    def _put_off(self, work: Work, refusal: Refusal, now: datetime) -> None:
        if self._is_lost(work, refusal, now):
            self._waits.pop(work.id, None)
            self._leave(work, Step.SKIPPED, refusal.sentence)
            return
        before = self._waits.get(work.id)
        if before is None or before.rule is not refusal.rule:
            log.info("%s", refusal.sentence)
        self._waits[work.id] = refusal
        if work.step in RUNNING:
            self._leave(work, Step.PREEMPTED, refusal.sentence)

    def _skip_what_is_over(self, now: datetime) -> None:
        """Skip what cannot begin any more, also while weather or the latch keeps all waiting."""
        for work in self._store.open_work():
            last = self._last_instant(work, now)
            if work.step in RUNNING or last is None or now + _length(work) <= last:
                continue
            verdict = self._verdict(work, now)
            reason = verdict.sentence if isinstance(verdict, Refusal) else self._guard.danger or ""
            over = f"Its time was over at {last:%Y-%m-%dT%H:%MZ}."
            self._waits.pop(work.id, None)
            self._leave(work, Step.SKIPPED, f"{reason} {over}".strip())

    def _last_instant(self, work: Work, now: datetime) -> datetime | None:
        """Return when work must have ended: at its own end, or with its night."""
        if work.id in self._overruled:
            return _end_of_night(now, self._site, self._limits.sun_altitude_deg)
        since = work.start_utc or work.changed_at
        return work.end_utc or _end_of_night(since, self._site, self._limits.sun_altitude_deg)

    def _is_lost(self, work: Work, refusal: Refusal, now: datetime) -> bool:
        """Tell whether the work cannot be done any more in its night."""
        if refusal.rule in _WAITS:
            return False
        if refusal.rule is Rule.TOO_LATE or refusal.when_possible is None:
            return True
        last = self._last_instant(work, now)
        return last is not None and refusal.when_possible >= last

    # One work

    def _observe(self, work: Work) -> None:
        self._moved.set()
        self._work, self._doing = work, f"Observing {work.target}."
        self._idle_since_s = None
        log.info("%s: %d × %g s.", work.target, work.count - work.taken, work.exposure_s)
        try:
            self._observing.observe(work)
        except Left as left:
            self._leave(work, left.step, left.reason)
        except Stopped:
            self._let_go(work)
        except DeviceRefused as error:
            self._leave(work, Step.FAILED, str(error))
        except DeviceUnreachable as error:
            self._leave(work, Step.PREEMPTED, str(error))
            raise
        finally:
            self._work = None

    def _let_go(self, work: Work) -> None:
        """Settle work whose telescope was made to let go; the node's stop leaves it as it is."""
        if self._halt.cause is Cause.UNSAFE:
            reason = self._store.unsafe_reason() or "The telescope was stopped as unsafe."
            self._leave(work, Step.PREEMPTED, reason)
        elif self._halt.cause is Cause.OWNER:
            self._obey()
            self._leave(work, Step.PREEMPTED, "stopped by the owner")

    def _leave(self, work: Work, step: Step, reason: str) -> None:
        """Bring work from wherever it stands to a step; final steps stay."""
        now = self._store.work(work.id)
        if now is None or now.step is step or now.step in FINAL:
            return
        if step is Step.PREEMPTED and now.step not in RUNNING:
            return
        if self._store.advance(work.id, now.step, step, reason) and reason:
            log.info("%s is %s: %s", work.target, step, reason)

    def _may_go_on(self, work: Work) -> None:
        """Ask everything anew before an exposure."""
        self._obey()
        self._keep_times()
        now = self._clock.now()
        verdict = self._verdict(work, now)
        if isinstance(verdict, Refusal):
            if self._is_lost(work, verdict, now):
                taken = f"{work.taken} of {work.count} exposures were taken. "
                raise Left(Step.SKIPPED, f"{taken if work.taken else ''}{verdict.sentence}")
            self._waits[work.id] = verdict
            raise Left(Step.PREEMPTED, verdict.sentence)
        self._give_way(work, now)

    def _give_way(self, work: Work, now: datetime) -> None:
        """Leave work for what goes before it, if that can be observed now."""
        if work.id in self._overruled:
            return
        for other in self._candidates(now):
            asked = other.id in self._overruled
            urgent = other.kind is WorkKind.INTERRUPT and work.kind is WorkKind.ITEM
            if other.id == work.id or not (asked or urgent):
                continue
            verdict = self._verdict(other, now)
            if isinstance(verdict, Clear):
                why = "the owner asked for it" if asked else "it was sent as an interrupt"
                raise Left(Step.PREEMPTED, f"{other.target} goes first: {why}.")
            self._put_off(other, verdict, now)


def _length(work: Work) -> timedelta:
    return timedelta(seconds=work.exposure_s)


@lru_cache(maxsize=256)
def _end_of_night(since: datetime, site: Site, sun_altitude_deg: float) -> datetime | None:
    """Return when the night ends that is on at an instant, or comes next."""
    night = night_around(since, site, sun_altitude_deg)
    if night is not None and night.ends <= since:
        night = night_around(since + _FROM_MORNING_TO_EVENING, site, sun_altitude_deg)
    return None if night is None else night.ends

"""The node at work: frames in, measurements to the link, plans to the telescope and its owner."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from boundless_skies import __version__
from boundless_skies.node.errors import NodeError
from boundless_skies.node.services.folder_watch import FolderWatch
from boundless_skies.node.services.measuring import Measured, Outcome, Refused, refusal_line
from boundless_skies.node.services.plan_desk import PlanDesk
from boundless_skies.node.storage.ledger import FrameFile, Ledger
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.node.storage.status_file import write_status
from boundless_skies.wire.limits import BATCH_MAX_ITEMS
from cloud_communicator import CloudCommunicator, InvalidMeasurement

log = logging.getLogger(__name__)

QUEUE_ROOM = BATCH_MAX_ITEMS - 50
"""From so many queued measurements on, further ones wait in the ledger: the queue drops its oldest
at its cap, the ledger has none."""

STATUS_PERIOD_S = 15.0
"""The status file is at most this old while the node runs (s)."""

_TICK_S = 0.5
_PAUSE_AFTER_FAULT_S = 5.0
_LEDGER_PAUSE_S = 30.0
_STOP_LIMIT_S = 3.0


class Measuring(Protocol):
    """Something that measures frames."""

    def measure(self, path: str, stop: threading.Event) -> Outcome | None:
        """Measure one frame; None where ``stop`` ended it early."""

    def close(self) -> None:
        """Give up what it holds."""


class Night(Protocol):
    """What runs the schedule on a telescope."""

    stop_limit_s: float
    """How long its end may take, parking included (s)."""

    def run(self, stop: threading.Event) -> None:
        """Run the schedule until ``stop`` is set; the telescope is then parked."""

    def facts(self) -> dict[str, Any]:
        """Return what the telescope does."""


class Chores(Protocol):
    """What keeps the disk from filling up."""

    def run(self, stop: threading.Event) -> None:
        """Remove what is old, now and then, until ``stop`` is set."""


class Page(Protocol):
    """The owner's dashboard."""

    def start(self) -> bool:
        """Begin to serve; False where it is not to be, or cannot be."""

    def stop(self) -> None:
        """End it."""


class Inbox:
    """What the cloud asks of the node: shown, kept, and put into the schedule.

    Parameters
    ----------
    ledger : Ledger
        Where plans and interrupts are kept as they came.
    desk : PlanDesk
        Puts them into the schedule.
    plan_facts : callable
        Returns the id and the night of the plan that has just come.
    """

    def __init__(
        self,
        ledger: Ledger,
        desk: PlanDesk,
        plan_facts: Callable[[], tuple[str | None, str | None]],
    ) -> None:
        self._ledger = ledger
        self._desk = desk
        self._plan_facts = plan_facts

    def take_plan(self, items: list[dict[str, Any]]) -> None:
        """Keep and show a plan (the link's ``on_plan``)."""
        plan_id, night = self._plan_facts()
        if not self._desk.take_plan(items, plan_id=plan_id, night=night):
            return
        self._ledger.keep_plan(items)
        for item in items:
            log.info("   %s", plan_line(item))

    def take_interrupt(self, interrupt: dict[str, Any]) -> None:
        """Keep and show an interrupt (the link's ``on_interrupt``)."""
        self._ledger.keep_interrupt(interrupt)
        self._desk.take_interrupt(interrupt)
        log.warning("Interrupt: %s", interrupt_line(interrupt))


def plan_line(item: dict[str, Any]) -> str:
    """Tell one item of a plan in one line.

    Parameters
    ----------
    item : dict
        In the node-schedule-runner format; any key may be missing.

    Returns
    -------
    str
        Such as ``21:30  SS Cyg  60 × 10 s``.
    """
    when = item.get("startTime") or item.get("start_utc") or "any time"
    name = item.get("target") or "unnamed target"
    return f"{when}  {name}  {item.get('expCount', 1)} × {item.get('expDur', '?')} s"


def interrupt_line(interrupt: dict[str, Any]) -> str:
    """Tell an interrupt in one line.

    Parameters
    ----------
    interrupt : dict
        As the cloud sent it; any key may be missing.

    Returns
    -------
    str
        Name, position in degrees, reason.
    """
    ra_deg, dec_deg = interrupt.get("ra_deg"), interrupt.get("dec_deg")
    numbers = isinstance(ra_deg, int | float) and isinstance(dec_deg, int | float)
    where = f" at {ra_deg:.4f}° {dec_deg:+.4f}°" if numbers else ""
    reason = interrupt.get("reason") or "no reason given"
    again = " (told before)" if interrupt.get("redelivered") else ""
    return f"{interrupt.get('name') or 'unnamed'}{where}: {reason}{again}"


class NodeProgram:
    """Runs a node until it is told to stop.

    Parameters
    ----------
    config : dict
        The whole config.
    folder : Path
        The data folder.
    link : CloudCommunicator
        The link, not yet started.
    ledger : Ledger
        The node's record; closed at the end.
    watch : FolderWatch or None
        Where frames come from; None where none are wanted.
    measuring : Measuring
        What measures them; closed at the end.
    store : ScheduleStore
        The schedule; closed at the end.
    desk : PlanDesk
        Tells the cloud what became of plans.
    night : Night or None
        Runs the schedule; None without a telescope.
    page : Page or None
        The dashboard.
    chores : Chores or None
        Removes what is old; None for a node that keeps all.
    disk : callable or None
        Tells what room there is for frames; None for a node that takes none.
    now : callable
        Gives the time as an aware datetime.
    """

    def __init__(
        self,
        *,
        config: dict[str, Any],
        folder: Path,
        link: CloudCommunicator,
        ledger: Ledger,
        watch: FolderWatch | None,
        measuring: Measuring,
        store: ScheduleStore,
        desk: PlanDesk,
        night: Night | None = None,
        page: Page | None = None,
        chores: Chores | None = None,
        disk: Callable[[], dict[str, Any] | None] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._folder = folder
        self._link = link
        self._ledger = ledger
        self._watch = watch
        self._measuring = measuring
        self._store = store
        self._desk = desk
        self._night = night
        self._page = page
        self._chores = chores
        self._disk = disk
        self._now = now
        self._started_at = now()
        self._cloud_on = bool(config["cloud"]["enabled"])
        self._incomplete_s = float(config["image_watcher"]["incomplete_timeout"])
        self._incomplete: set[FrameFile] = set()
        self._last_measurement: dict[str, Any] | None = None
        self._last_refusal: dict[str, Any] | None = None
        self._busy_with: str | None = None
        self._records: dict[str, Any] = {"frames": {}, "plan": [], "interrupts": [], "disk": None}
        self._told: dict[str, Any] = {}
        self._told_at_s = -STATUS_PERIOD_S

    def run(
        self, stop: threading.Event, on_tick: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        """Work until ``stop`` is set.

        Parameters
        ----------
        stop : threading.Event
            Ends the run; whatever is under way is finished or picked up at the next start.
        on_tick : callable, optional
            Called with the status about twice a second.

        Raises
        ------
        cloud_communicator.LinkError
            If the link cannot start.
        """
        if self._ledger.set_aside is not None:
            log.warning(
                "The node's list of frames was damaged. It now lies in %s; the frames that are "
                "still in the folder are measured again, and count once all the same.",
                self._ledger.set_aside,
            )
        if self._store.set_aside is not None:
            log.warning(
                "The schedule was damaged. It now lies in %s; nothing moves until you have looked "
                "after the telescope and let it go on.",
                self._store.set_aside,
            )
        self._link.start()
        worker = threading.Thread(target=self._work, args=(stop,), name="node-frames", daemon=True)
        worker.start()
        observer = self._start_night(stop)
        tidying = self._start_chores(stop)
        if self._page is not None:
            self._page.start()
        try:
            while not stop.wait(_TICK_S):
                self._tell_cloud()
                status = self._tell("running")
                if on_tick is not None:
                    on_tick(status)
        finally:
            self._end(stop, worker, observer, tidying)

    def _start_chores(self, stop: threading.Event) -> threading.Thread | None:
        if self._chores is None:
            return None
        tidying = threading.Thread(
            target=self._chores.run, args=(stop,), name="node-chores", daemon=True
        )
        tidying.start()
        return tidying

    def _start_night(self, stop: threading.Event) -> threading.Thread | None:
        if self._night is None:
            return None
        observer = threading.Thread(
            target=self._night.run, args=(stop,), name="node-schedule", daemon=True
        )
        observer.start()
        return observer

    def _tell_cloud(self) -> None:
        """Hand the link what became of plans; without a telescope nothing becomes of them."""
        if self._night is None or not self._cloud_on:
            return
        try:
            self._desk.tell(self._link)
        except NodeError as error:
            log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback

    def _end(
        self,
        stop: threading.Event,
        worker: threading.Thread,
        observer: threading.Thread | None,
        tidying: threading.Thread | None,
    ) -> None:
        stop.set()
        if observer is not None and self._night is not None:
            observer.join(self._night.stop_limit_s)
        self._tell_cloud()
        if self._page is not None:
            self._page.stop()
        if self._watch is not None:
            self._watch.stop()
        self._link.stop()
        worker.join(_STOP_LIMIT_S)
        if tidying is not None:
            tidying.join(_STOP_LIMIT_S)
        self._measuring.close()
        self._tell("stopped")
        if not _any_alive(worker, tidying):
            self._ledger.close()
        if not _any_alive(observer, tidying):
            self._store.close()

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._round(stop)
            except NodeError as error:
                log.error("%s Trying again.", error)  # noqa: TRY400 - a sentence, no traceback
                stop.wait(_PAUSE_AFTER_FAULT_S)
            except Exception:
                log.exception("Unexpected trouble; the node goes on.")
                stop.wait(_PAUSE_AFTER_FAULT_S)

    def _round(self, stop: threading.Event) -> None:
        self._hand_over_waiting(stop)
        if self._watch is None:
            stop.wait(_PAUSE_AFTER_FAULT_S)
            return
        for frame in self._watch.due():
            if stop.is_set():
                return
            self._take(frame, stop)
            self._hand_over_waiting(stop)
        self._watch.wait()

    def _take(self, frame: FrameFile, stop: threading.Event) -> None:
        if self._watch is None:
            return
        self._busy_with = frame.name
        outcome = self._measuring.measure(frame.path, stop)
        self._busy_with = None
        if outcome is None:
            return
        if isinstance(outcome, Refused) and outcome.incomplete and self._may_yet_come(frame):
            self._watch.hold(frame, self._incomplete_s)
            log.info("%s is not complete yet; waiting for the rest of it.", frame.name)
            return
        self._keep(frame, outcome)
        self._watch.done(frame)

    def _may_yet_come(self, frame: FrameFile) -> bool:
        """Tell whether an incomplete frame gets its (one) time to be completed."""
        if frame in self._incomplete or self._incomplete_s <= 0:
            self._incomplete.discard(frame)
            return False
        self._incomplete.add(frame)
        return True

    def _keep(self, frame: FrameFile, outcome: Outcome) -> None:
        try:
            if isinstance(outcome, Measured):
                self._ledger.keep_measured(frame, outcome.measurement)
                self._last_measurement = outcome.measurement
            else:
                self._refuse(frame, outcome.reason)
        except ValueError:
            self._refuse(frame, "its measurement holds a value that is no number.")
        except NodeError:
            if self._watch is not None:
                self._watch.hold(frame, _LEDGER_PAUSE_S)
            raise
        if isinstance(outcome, Measured) and not self._cloud_on:
            log.info("%s  kept here, the cloud is off", measurement_line(outcome.measurement))

    def _refuse(self, frame: FrameFile, reason: str) -> None:
        self._ledger.keep_refused(frame, reason)
        self._last_refusal = {"file": frame.path, "reason": reason, "at": self._now()}
        log.warning("%s", refusal_line(frame.name, reason))

    def _hand_over_waiting(self, stop: threading.Event) -> None:
        while self._cloud_on and not stop.is_set():
            room = QUEUE_ROOM - int(self._link.status["queued_uploads"])
            waiting = self._ledger.waiting(limit=min(room, 50)) if room > 0 else []
            for frame, measurement in waiting:
                if stop.is_set():
                    return
                self._hand_over(frame, measurement)
            if not waiting:
                return

    def _hand_over(self, frame: FrameFile, measurement: dict[str, Any]) -> None:
        try:
            delivered = self._link.submit_measurement(measurement, fits_path=frame.path)
        except InvalidMeasurement as error:
            self._refuse(frame, str(error))
            return
        self._ledger.mark_handed(frame)
        fate = "delivered" if delivered else "queued, goes out when the cloud answers"
        log.info("%s  %s", measurement_line(measurement), fate)

    def _tell(self, state: str) -> dict[str, Any]:
        status = self._status(state)
        now_s = time.monotonic()
        changed = status != self._told
        if changed or now_s - self._told_at_s >= STATUS_PERIOD_S:
            self._told, self._told_at_s = status, now_s
            try:
                write_status(self._folder, status | {"written_at": self._now().isoformat()})
            except OSError as error:
                log.warning("The status file cannot be written: %s.", error.strerror)
        return status

    def status(self) -> dict[str, Any]:
        """Return what the running node says of itself, with JSON values only."""
        return self._status("running")

    def _status(self, state: str) -> dict[str, Any]:
        watch = self._watch
        return {
            "version": __version__,
            "state": state,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "watching": None if watch is None else str(watch.folder),
            "folder_missing": watch is not None and watch.missing,
            "settling": 0 if watch is None else watch.settling,
            "measuring": self._busy_with,
            "last_measurement": self._last_measurement,
            "last_refusal": self._last_refusal,
            "cloud": {"enabled": self._cloud_on, "url": self._config["cloud"]["url"]},
            "telescope": None if self._night is None else self._night.facts(),
            "link": dict(self._link.status),
            **self._newest_records(),
        }

    def _newest_records(self) -> dict[str, Any]:
        """Read ledger and disk; where they cannot be read, take what they last held."""
        with contextlib.suppress(NodeError):
            self._records = {
                "frames": self._ledger.counts(),
                "plan": self._ledger.plan(),
                "interrupts": self._ledger.interrupts(),
                "disk": None if self._disk is None else self._disk(),
            }
        return self._records


def _any_alive(*threads: threading.Thread | None) -> bool:
    return any(thread is not None and thread.is_alive() for thread in threads)


def measurement_line(measurement: dict[str, Any]) -> str:
    """Tell a measurement in one line.

    Parameters
    ----------
    measurement : dict
        With the keys of the wire.

    Returns
    -------
    str
        Target, magnitude with uncertainty, filter, quality and file.
    """
    return (
        f"{measurement['target_name']}  {measurement['magnitude']:.3f} ± "
        f"{measurement['uncertainty']:.3f} mag {measurement['filter']}  "
        f"{measurement['quality_flag']}  ({Path(measurement['fits_file']).name})"
    )

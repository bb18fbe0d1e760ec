"""`CloudCommunicator`: the face of the link, and its two threads."""

import fcntl
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from random import Random
from typing import Any

from boundless_skies import __version__
from boundless_skies.wire import canonical_json
from boundless_skies.wire.features import HEARTBEAT_QUEUE, INTERRUPTS_WAIT
from boundless_skies.wire.paths import HEARTBEAT, REGISTER
from cloud_communicator.board import StatusBoard
from cloud_communicator.client import REGISTRATION, CloudClient
from cloud_communicator.config import read_config
from cloud_communicator.disk import PRIVATE, make_folder
from cloud_communicator.errors import (
    Cancelled,
    InvalidMeasurement,
    LinkAlreadyRunning,
    LinkError,
    LinkFailure,
)
from cloud_communicator.events import INTERRUPT, PLAN, EventCourier, event_lines
from cloud_communicator.identity import Identity, registration_payload, utc_offset_hours
from cloud_communicator.images import ImageCourier
from cloud_communicator.journal import InterruptJournal
from cloud_communicator.payload import measurement_payload, plain_json
from cloud_communicator.poller import InterruptPoller, PlanPoller, call_back
from cloud_communicator.retryqueue import RetryQueue, utc_now
from cloud_communicator.rhythm import Pauses, jittered
from cloud_communicator.rotation import KeyRotation
from cloud_communicator.uplink import Uplink
from cloud_communicator.watch import InterruptWatch

log = logging.getLogger("cloud_communicator")

LOCK_NAME = "cloud_link.lock"
SUBMIT_S = 14.0
_JOIN_S = 2.0


class CloudCommunicator:
    """Keeps one node in touch with the cloud: nothing that it accepts is lost.

    With ``cloud.enabled`` false or absent nothing starts, and nothing is touched.

    Parameters
    ----------
    config : dict
        The whole application's config. The block ``cloud`` holds the link's
        settings; ``observatory`` and ``photometry`` say who registers.
    get_conditions : callable, optional
        Returns a dict of local observing conditions, for each heartbeat.
    on_plan : callable, optional
        Takes the list of items of each new plan.
    on_interrupt : callable, optional
        Takes each interrupt, once; after it returned the interrupt is acknowledged.

    Attributes
    ----------
    status : dict
        Updated in place; may be read from any thread. See ``docs/link.md``.

    Raises
    ------
    ConfigError
        If a block or value of the config has a wrong type; the message names it.
    """

    def __init__(
        self,
        config: dict[str, Any],
        get_conditions: Callable[[], dict[str, Any]] | None = None,
        on_plan: Callable[[list[dict[str, Any]]], None] | None = None,
        on_interrupt: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._settings = settings = read_config(config)
        self._get_conditions = get_conditions
        self._board = StatusBoard()
        self.status = self._board.status
        self._rng = Random()  # noqa: S311 - spreads beats over time, guards nothing
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._beat_wake, self._plan_wake = threading.Event(), threading.Event()
        self._wakes: list[threading.Event] = []
        self._running = 0
        self._guard = threading.Lock()
        self._lock_descriptor = -1
        if not settings.enabled:
            return
        from cloud_communicator.transport import Transport  # noqa: PLC0415 - see below

        # A disabled link, and whoever only imports it, loads no HTTP client.
        self._registration = registration_payload(config, settings)
        self._identity = Identity(settings)
        self._pauses = Pauses()
        self._transport = Transport(
            settings.url,
            settings.connect_timeout,
            allow_http=settings.allow_http,
            user_agent=f"boundless-skies/{__version__} (link; Python {platform.python_version()})",
        )
        client = CloudClient(
            self._transport, self._identity, self._board, self._pauses, settings.timeout
        )
        folder = settings.data_path
        self._client = client
        self._uplink = Uplink(client, RetryQueue(folder), self._board, self._pauses)
        self._images = ImageCourier(client, folder, self._board, self._pauses)
        self._events = EventCourier(client, folder, self._board, self._pauses)
        self._journal = InterruptJournal(folder)
        self._plans = PlanPoller(client, self._board, on_plan)
        self._interrupts = InterruptPoller(
            client, self._board, self._journal, on_interrupt, self._scope
        )
        self._watch = InterruptWatch(
            self._interrupts, self._board, self._tell, settings.heartbeat_interval, self._rng
        )
        self._rotation = KeyRotation(client, self._identity, self._board)
        self._load_state()

    def __repr__(self) -> str:
        """Say where the link goes, never its key."""
        return f"CloudCommunicator(url={self._settings.url!r}, node_id={self.status['node_id']!r})"

    def _scope(self) -> str:
        return f"{self._settings.url} {self._identity.node_id}"

    def _load_state(self) -> None:
        """Read what an earlier run left: credentials, queues, interrupts."""
        self._identity.load()
        if self._identity.trouble and not self._identity.complete:
            self._board.failed("state file", self._identity.trouble)
        self._show_identity()
        self._uplink.load()
        self._images.load()
        self._events.load()
        self._journal.load()

    def _show_identity(self) -> None:
        node_id = self._identity.node_id or None
        self._board.put(registered=self._identity.complete, node_id=node_id)

    # -- lifecycle ----------------------------------------------------------------------

    def start(self) -> None:
        """Start the threads ``cloud-heartbeat`` and ``cloud-plan``.

        Raises
        ------
        LinkAlreadyRunning
            If a link runs in this data folder, in this or another process.
        """
        if not self._settings.enabled:
            log.info("The cloud is disabled (cloud.enabled); this node works offline.")
            return
        if not self._settings.url:
            message = "cloud.url is empty; set it to the cloud's address. The link does not start."
            log.error(message)
            self._board.failed("config", message)
            return
        with self._guard:
            self._take_folder()
            self._stop = threading.Event()
            self._beat_wake, self._plan_wake = threading.Event(), threading.Event()
            self._wakes = [self._beat_wake, self._plan_wake]
            self._threads = [
                threading.Thread(
                    target=self._run, args=(tick, rest, self._stop, wake), name=name, daemon=True
                )
                for name, tick, rest, wake in (
                    ("cloud-heartbeat", self._heartbeat_tick, self._tell_events, self._beat_wake),
                    ("cloud-plan", self._plan_tick, self._watch_interrupts, self._plan_wake),
                )
            ]
            self._running = len(self._threads)
            for thread in self._threads:
                thread.start()

    def stop(self) -> None:
        """End both threads; a call that hangs is cut off. Returns after at most two seconds."""
        self._stop.set()
        for wake in self._wakes:
            wake.set()
        threads = list(self._threads)
        if threads:
            self._transport.abort({thread.ident for thread in threads if thread.ident})
        give_up = time.monotonic() + _JOIN_S
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, give_up - time.monotonic()))
        if threads:
            self._save_unsaved()

    def _take_folder(self) -> None:
        folder = self._settings.data_path
        if self._running:
            raise LinkAlreadyRunning(f"This link is already running in {folder}; stop() it first.")
        try:
            make_folder(folder)
            descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, PRIVATE)
        except OSError as error:
            self._board.failed(
                "disk",
                f"The data folder {folder} cannot be written ({error.strerror}). The link runs, "
                "but what cannot be delivered is kept in memory only.",
            )
            log.error(self.status["error"])  # noqa: TRY400 - the traceback tells an owner nothing
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise LinkAlreadyRunning(
                f"Another link is running in {folder}. Stop it, or set cloud.data_dir to a folder "
                "of this one's own."
            ) from None
        except OSError as error:  # as on some network file systems
            log.warning("%s cannot be locked (%s); run one link in it only.", folder, error)
        self._lock_descriptor = descriptor
        os.register_at_fork(after_in_child=self._let_go_of_folder)

    def _let_go_of_folder(self) -> None:
        descriptor, self._lock_descriptor = self._lock_descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    # -- the two threads ----------------------------------------------------------------

    def _run(
        self,
        tick: Callable[[threading.Event], float],
        rest: Callable[[float, threading.Event, threading.Event], None],
        stop: threading.Event,
        wake: threading.Event,
    ) -> None:
        """Do one thread's work until the stop; no error ends it."""
        try:
            while not stop.is_set():
                try:
                    rest(tick(stop), stop, wake)
                except Exception as error:
                    log.exception("%s failed; it goes on.", threading.current_thread().name)
                    self._board.failed(threading.current_thread().name, repr(error))
                    wake.wait(jittered(self._settings.heartbeat_interval, self._rng))
                wake.clear()
        finally:
            with self._guard:
                self._running -= 1
                if not self._running:
                    self._let_go_of_folder()

    def _tell_events(self, wait_s: float, stop: threading.Event, wake: threading.Event) -> None:
        """Wait for the next beat; events that come meanwhile are told at once."""
        due = time.monotonic() + wait_s
        while (left_s := due - time.monotonic()) > 0 and wake.wait(left_s):
            wake.clear()  # before the look: what comes after it wakes again
            if stop.is_set():
                return
            if self.status["last_heartbeat_ok"]:
                self._events.tell_new(due, self._grace_s, stop)

    def _heartbeat_tick(self, stop: threading.Event) -> float:
        """Beat once, drain if that went well; returns the seconds until the next beat."""
        interval_s = jittered(self._settings.heartbeat_interval, self._rng)
        due = time.monotonic() + interval_s
        self._save_unsaved()
        if self._ensure_registered(stop) and self._beat(stop):
            self._flush_queue(due, stop)
        rest_s = max(self._pauses.left_s("heartbeat"), self._pauses.left_s(REGISTRATION))
        if rest_s:  # where all were given the same moment, they do not come in the same second
            rest_s += abs(interval_s - self._settings.heartbeat_interval)
        return max(due - time.monotonic(), rest_s, 0.0)

    def _ensure_registered(self, stop: threading.Event) -> bool:
        """Register if there is no node_id or no api_key; tells whether there are both."""
        if self._identity.complete:
            self._save_identity()
            return True
        if self._client.rests(REGISTRATION):
            return False
        body = canonical_json({**self._registration, "utc_offset_hours": utc_offset_hours()})
        try:
            reply = self._client.post(REGISTER, REGISTRATION, body, anonymous=True, cancel=stop)
            self._identity.take(reply)
        except LinkFailure as failure:
            self._tell(REGISTRATION, failure)
            return False
        except OSError:
            self._save_identity()
        self._board.cleared(REGISTRATION)
        self._show_identity()
        self._note_features(reply)
        log.info("Registered with the cloud as %s.", self._identity.node_id)
        self._plan_wake.set()
        return self._identity.complete

    def _save_unsaved(self) -> None:
        """Write what a bad disk left in memory, whether or not the cloud can be reached."""
        self._uplink.save()
        self._images.save()
        self._events.save()

    def _save_identity(self) -> None:
        try:
            self._identity.save()
        except OSError as error:
            message = f"The credentials cannot be saved ({error.strerror}); mend the data folder."
            self._board.failed("identity", message)
        else:
            self._board.cleared("identity")

    def _beat(self, stop: threading.Event) -> bool:
        news: dict[str, Any] = {"conditions": self._conditions()}
        if self._board.can(HEARTBEAT_QUEUE):
            news["queue"] = self._uplink.waiting()
        body = canonical_json(news)
        try:
            reply = self._client.post(HEARTBEAT, "heartbeat", body, cancel=stop)
        except Cancelled:
            return False
        except LinkFailure as failure:
            self._board.put(last_heartbeat_ok=False)
            self._tell("heartbeat", failure)
            return False
        self._board.put(last_heartbeat_ok=True, last_heartbeat_at=utc_now())
        self._board.cleared("heartbeat")
        self._note_features(reply)
        self._rotation.follow(reply, stop)
        return True

    def _conditions(self) -> dict[str, Any]:
        """Merge what the callback says, less what has no JSON form."""
        found: Any = None
        if self._get_conditions is not None:
            _, found = call_back("get_conditions", self._get_conditions)
        merged: dict[str, Any] = {"utc_offset_hours": utc_offset_hours()}
        for key, value in found.items() if isinstance(found, dict) else ():
            try:
                merged |= plain_json({key: value})
            except InvalidMeasurement as error:
                log.debug("Left out of the heartbeat: %s", error)
        return merged

    def _note_features(self, reply: Any) -> None:
        """Take over what the cloud says it can; what it does not say, it cannot."""
        found = reply.get("features") if isinstance(reply, dict) else None
        features = found if isinstance(found, list) else []
        could_wait = self._board.can(INTERRUPTS_WAIT)
        self._board.put(features=[self._identity.hide(n) for n in features if isinstance(n, str)])
        if self._board.can(INTERRUPTS_WAIT) and not could_wait:
            self._plan_wake.set()

    def _flush_queue(self, due: float, stop: threading.Event) -> None:
        """Drain what is queued until the next beat is due: measurements, events, images."""
        self._uplink.drain(due, self._grace_s, stop)
        self._events.drain(due, self._grace_s, stop)
        if self._settings.upload_images:
            self._images.drain(due, self._grace_s, stop)

    @property
    def _grace_s(self) -> float:
        return self._settings.heartbeat_interval * 0.8

    def _plan_tick(self, stop: threading.Event) -> float:
        """Poll the plan and the interrupts; returns the seconds until the next poll."""
        wait_s = jittered(self._settings.plan_poll_interval, self._rng)
        if not self._identity.complete:
            return wait_s  # the registration wakes this thread
        for kind, poll in (("plan", self._plans.poll), ("interrupts", self._watch.poll)):
            if stop.is_set() or self._pauses.left_s(kind):
                continue
            try:
                poll(stop)
            except LinkFailure as failure:
                self._tell(kind, failure)
            else:
                self._board.cleared(kind)
        return wait_s

    def _watch_interrupts(
        self, wait_s: float, stop: threading.Event, wake: threading.Event
    ) -> None:
        self._watch.until(time.monotonic() + wait_s, stop, wake)

    def _tell(self, source: str, failure: LinkError) -> None:
        if not isinstance(failure, Cancelled):
            news = self._board.failed(source, failure)
            log.log(logging.WARNING if news else logging.DEBUG, "%s", failure)

    # -- measurements -------------------------------------------------------------------

    def submit_measurement(
        self,
        measurement: dict[str, Any],
        conditions: dict[str, Any] | None = None,
        fits_path: str | os.PathLike[str] | None = None,
    ) -> bool:
        """Deliver one measurement, or have it on disk before this returns.

        Parameters
        ----------
        measurement : dict
            A photometry result; numpy scalars and datetimes are welcome.
        conditions : dict, optional
            Ambient conditions that go along; None means none.
        fits_path : path, optional
            The frame, uploaded too where ``cloud.upload_images`` is true.

        Returns
        -------
        bool
            True if the cloud has it, False if it waits in the retry queue (or the
            cloud is disabled). Within 15 s, and the image's 120 s where one goes along.

        Raises
        ------
        InvalidMeasurement
            If something in it has no JSON form, NaN included; nothing is queued then.
        """
        if not self._settings.enabled:
            return False
        line = measurement_payload(measurement, conditions)
        image = self._image_path(fits_path)
        delivered = self._deliver(line)
        if not delivered:
            self._uplink.enqueue(line)
        self._board.add("accepted")
        if image is not None:
            (self._images.send if delivered else self._images.remember)(image)
        return delivered

    def _deliver(self, line: bytes) -> bool:
        if not (self._settings.url and self._identity.complete):
            return False
        whole_s = self._settings.connect_timeout + self._settings.timeout
        return self._uplink.deliver(line, min(whole_s, SUBMIT_S))

    def _image_path(self, fits_path: str | os.PathLike[str] | None) -> str | None:
        if fits_path is None or not self._settings.upload_images:
            return None
        try:
            return os.path.abspath(os.fsdecode(fits_path))  # noqa: PTH100 - as bytes may be given
        except TypeError:
            raise InvalidMeasurement(
                f"fits_path must be a path, not {type(fits_path).__name__}."
            ) from None

    # -- what became of plans and interrupts ----------------------------------------------

    def report_events(self, plan_id: str, events: Iterable[Mapping[str, Any]]) -> bool:
        """Tell the cloud what became of a plan and its items: now, or when it can be told.

        Each event is on disk before this returns, is told once the cloud has said
        that it takes events, and counts there once, by its ``event_id``. No call is
        made here, so this returns as soon as the disk has them.

        Parameters
        ----------
        plan_id : str
            The plan; ``status["last_plan_id"]`` while ``on_plan`` runs.
        events : iterable of mapping
            Each with ``event_id`` (text, of the caller's own making) and ``state``
            (`boundless_skies.wire.ItemState`); and ``item_id`` (None or absent for the
            whole plan), ``reason`` (a sentence) and ``at`` (ISO 8601 text or a
            datetime; now, where it is absent).

        Returns
        -------
        bool
            True once all are on disk. False where the disk refuses, and they wait in
            memory (hand them over again later, none is kept twice); or where the
            cloud is disabled, and nothing is kept.

        Raises
        ------
        InvalidEvent
            If one is not in that form; none of them is kept then.
        """
        return self._keep_events(PLAN, plan_id, events)

    def report_interrupt_events(
        self, interrupt_id: int | str, events: Iterable[Mapping[str, Any]]
    ) -> bool:
        """Tell the cloud what became of an interrupt; else as `report_events`.

        Parameters
        ----------
        interrupt_id : int or str
            The interrupt's ``id``.
        events : iterable of mapping
            As for a plan, without an ``item_id``.

        Returns
        -------
        bool
            As for a plan.

        Raises
        ------
        InvalidEvent
            If one is not in that form; none of them is kept then.
        """
        return self._keep_events(INTERRUPT, interrupt_id, events)

    def _keep_events(self, kind: str, subject: object, events: Iterable[Mapping[str, Any]]) -> bool:
        if not self._settings.enabled:
            return False
        kept = self._events.keep(event_lines(kind, subject, events))
        self._beat_wake.set()
        return kept

"""One piece of work at the telescope, from the slew to its last frame.

Each step is on disk before it is taken, and each exposure's number is used up before the
shutter opens: after a cut at any point nothing is exposed twice, and nothing is forgotten.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import Exposure, Telescope
from boundless_skies.node.devices.errors import DeviceRefused, DeviceUnreachable, Stopped
from boundless_skies.node.fits.writing import (
    FrameFacts,
    FrameNotWritten,
    frame_file_name,
    remove_unfinished,
    write_frame,
)
from boundless_skies.node.schedule.states import Step, WorkKind
from boundless_skies.node.schedule.work import Work
from boundless_skies.node.services.centring import Centring
from boundless_skies.node.services.focusing import Focusing
from boundless_skies.node.services.guard import Halt
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.sky import Site

log = logging.getLogger(__name__)

FAILED_IN_A_ROW_MAX = 3
PAUSE_AFTER_FAILURE_S = 10.0
"""Rest before the next exposure, as a camera may need a while to come round (s)."""


class Left(Exception):  # noqa: N818 - no fault: the work goes to another step
    """The work is left where it is, for a step that the sentence explains."""

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step = step
        self.reason = reason


class Observing:
    """Carries out one piece of work at a time.

    Parameters
    ----------
    store : ScheduleStore
        Where each step is kept.
    telescope : Telescope
        What it is done with.
    clock : Clock
        The time.
    halt : Halt
        Ends what the telescope does.
    frames : Path
        The folder for frames.
    site : Site
        Where the telescope stands, for the frames' headers.
    centring : Centring or None
        None where targets are not centred.
    focusing : Focusing or None
        None where there is no autofocus.
    focus_every_s : float
        Time between two runs of the autofocus, seconds.
    may_go_on : callable
        Asked before each exposure; raises `Left` where the work must not go on.
    """

    def __init__(
        self,
        *,
        store: ScheduleStore,
        telescope: Telescope,
        clock: Clock,
        halt: Halt,
        frames: Path,
        site: Site,
        centring: Centring | None,
        focusing: Focusing | None,
        focus_every_s: float,
        may_go_on: Callable[[Work], None],
    ) -> None:
        self._store = store
        self._telescope = telescope
        self._clock = clock
        self._halt = halt
        self._frames = frames
        self._site = site
        self._centring = centring
        self._focusing = focusing
        self._focus_every_s = focus_every_s
        self._may_go_on = may_go_on
        self._focused_at_s: float | None = None
        self._where: tuple[float, float] | None = None
        self._lacks_filter = False

    def observe(self, work: Work) -> None:
        """Point, centre, focus and expose, and end the work in its last step.

        Raises
        ------
        Left
            If it is to be left before its end.
        Stopped
            If the telescope was made to let go.
        DeviceRefused
            If the telescope says no.
        DeviceUnreachable
            If it does not answer.
        """
        if work.step is not Step.PENDING:
            # A node that was killed has left the camera exposing.
            self._telescope.camera.abort_exposure()
        self._point(work)
        self._centre(self._fresh(work))
        self._focus_if_due(self._fresh(work))
        self._expose_all(self._to(self._fresh(work), Step.EXPOSING))

    def clear_away(self) -> None:
        """Remove what writes that a cut ended have left in the folder; for a start only."""
        remove_unfinished(self._frames)

    def settle_open(self) -> None:
        """Settle the exposures that a cut left open: saved where the file is there, else lost."""
        for record in self._store.open_exposures():
            if Path(record.path).exists():
                self._store.save_exposure(record.work_id, record.number)
            else:
                self._store.lose_exposure(record.work_id, record.number)
                log.warning(
                    "Exposure %d was under way when the node ended; its light is lost, and it is "
                    "not taken again.",
                    record.number,
                )

    def _to(self, work: Work, step: Step) -> Work:
        """Bring the work to a step on disk; what someone else has changed meanwhile stands."""
        if work.step is not step and not self._store.advance(work.id, work.step, step):
            raise Left(work.step, "")
        return self._store.work(work.id) or work

    def _point(self, work: Work) -> None:
        mount = self._telescope.mount
        self._to(work, Step.SLEWING)
        if mount.is_parked():
            mount.unpark()
        mount.slew(work.ra_deg, work.dec_deg, self._halt.event)
        self._set_filter(work)

    def _set_filter(self, work: Work) -> None:
        wheel, self._lacks_filter = self._telescope.filters, False
        if work.filter is None or wheel is None:
            return
        if work.filter.lower() not in {name.lower() for name in wheel.filter_names()}:
            self._lacks_filter = True
            log.warning("%s is taken without its filter: no %s here.", work.target, work.filter)
        else:
            wheel.move_filter(work.filter, self._halt.event)

    def _centre(self, work: Work) -> None:
        where = None
        if self._centring is not None:
            self._may_go_on(work)
            where = self._centring.centre(self._to(work, Step.CENTRING), self._halt.event)
        # Asked here and not for each frame: a mount that is silent then shall cost no frame.
        self._where = where or self._telescope.mount.position()

    def _focus_if_due(self, work: Work) -> None:
        if self._focusing is None or not self._focus_every_s:
            return
        now_s = self._clock.monotonic()
        if self._focused_at_s is not None and now_s - self._focused_at_s < self._focus_every_s:
            return
        self._may_go_on(work)
        self._to(work, Step.FOCUSING)
        self._focusing.focus(self._halt.event)
        self._focused_at_s = now_s

    def _expose_all(self, work: Work) -> None:
        failed = 0
        while work.taken < work.count:
            self._may_go_on(work)
            try:
                self._expose_next(work)
                failed = 0
            except (DeviceRefused, FrameNotWritten) as error:
                failed += 1
                log.warning("%s, exposure %d: %s", work.target, work.taken + 1, error)
                if failed == FAILED_IN_A_ROW_MAX:
                    raise Left(
                        Step.FAILED, f"{failed} exposures in a row failed: {error}"
                    ) from None
                self._clock.sleep(PAUSE_AFTER_FAILURE_S, self._halt.event)
            work = self._fresh(work)
        self._end(work)

    def _end(self, work: Work) -> None:
        saved = sum(record.state == "saved" for record in self._store.exposures(work.id))
        if not saved:
            raise Left(Step.FAILED, f"None of its {work.count} exposures came to a frame.")
        self._store.advance(work.id, Step.EXPOSING, Step.DONE, self._remark(work, saved))
        log.info("%s is done: %d of %d frames.", work.target, saved, work.count)

    def _remark(self, work: Work, saved: int) -> str:
        """Return what the planner should know of work that is done; mostly nothing."""
        lost = work.count - saved
        remarks = [f"{lost} of {work.count} exposures were lost."] if lost else []
        if self._lacks_filter:
            remarks.append(f"The telescope has no filter {work.filter}.")
        return " ".join(remarks)

    def _expose_next(self, work: Work) -> None:
        number = work.taken + 1
        # An interrupt's number may be an item's name in some plan.
        plan_id = work.plan_id or str(WorkKind.INTERRUPT)
        path = self._frames / frame_file_name(work.target, plan_id, work.item_id, number)
        if not self._store.begin_exposure(work.id, number, path):
            raise Left(Step.PREEMPTED, self._store.unsafe_reason() or "")
        try:
            exposure = self._telescope.camera.expose(
                work.exposure_s, binning=work.binning, stop=self._halt.event
            )
            write_frame(path, exposure, self._facts(work, number, exposure))
        except (DeviceRefused, DeviceUnreachable, FrameNotWritten, Stopped):
            self._store.lose_exposure(work.id, number)
            raise
        self._store.save_exposure(work.id, number)

    def _facts(self, work: Work, number: int, exposure: Exposure) -> FrameFacts:
        ra_deg, dec_deg = self._where or (work.ra_deg, work.dec_deg)
        return FrameFacts(
            object_name=work.target,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            target_ra_deg=work.ra_deg,
            target_dec_deg=work.dec_deg,
            site=self._site,
            telescope=self._telescope.name,
            filter_name="" if exposure.filter_name else work.filter or "",
            focal_length_mm=self._telescope.focal_length_mm,
            plan_id=work.plan_id,
            item_id=work.item_id,
            number=number,
        )

    def _fresh(self, work: Work) -> Work:
        return self._store.work(work.id) or work

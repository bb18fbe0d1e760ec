"""The schedule on disk, at which the runner, the dashboard and other commands meet.

None of them calls another: each reads this file and applies conditional changes to it, which
hold when the method returns and tell whether they applied. So a cut at any point loses nothing,
and two programs that want the same at once cannot both get it.
"""

import fcntl
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boundless_skies.node.errors import NodeError
from boundless_skies.node.schedule.states import (
    ALLOWED,
    DECISIONS,
    FINAL,
    RUNNING,
    Command,
    PlanState,
    Step,
    WorkKind,
    wire_state,
)
from boundless_skies.node.schedule.work import (
    AskedCommand,
    ExposureRecord,
    ExposureState,
    Latch,
    PlannedItem,
    PlanRecord,
    RefusedItem,
    ScheduleEvent,
    Work,
)
from boundless_skies.wire import ItemState

__all__ = [
    "FILE_NAME",
    "AskedCommand",
    "ExposureRecord",
    "Latch",
    "PlanRecord",
    "ScheduleError",
    "ScheduleEvent",
    "ScheduleStore",
    "Work",
]

FILE_NAME = "schedule.sqlite"
_FORM = 1
_BUSY_MS = 10_000


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


_RUNNING = _listed(RUNNING)
_FINAL = _listed(FINAL)

_SCHEMA = f"""
CREATE TABLE meta (version INTEGER NOT NULL);
INSERT INTO meta VALUES (0);
CREATE TABLE plan (
    place INTEGER PRIMARY KEY,
    plan_id TEXT NOT NULL UNIQUE,
    night TEXT NOT NULL,
    received_at TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ({_listed(PlanState)})),
    reason TEXT NOT NULL,
    expires_at TEXT
);
CREATE TABLE work (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ({_listed(WorkKind)})),
    plan_id TEXT NOT NULL,
    item_id TEXT NOT NULL CHECK (item_id != ''),
    target TEXT NOT NULL,
    ra_deg REAL NOT NULL,
    dec_deg REAL NOT NULL,
    exposure_s REAL NOT NULL,
    count INTEGER NOT NULL,
    binning INTEGER NOT NULL,
    filter TEXT,
    start_utc TEXT,
    end_utc TEXT,
    notes TEXT NOT NULL,
    remark TEXT NOT NULL,
    step TEXT NOT NULL CHECK (step IN ({_listed(Step)})),
    reason TEXT NOT NULL,
    taken INTEGER NOT NULL CHECK (taken BETWEEN 0 AND count),
    position INTEGER NOT NULL,
    changed_at TEXT NOT NULL,
    raw TEXT NOT NULL,
    UNIQUE (kind, plan_id, item_id)
);
CREATE INDEX work_step ON work (step);
CREATE UNIQUE INDEX one_at_a_time ON work ((1)) WHERE step IN ({_RUNNING});
CREATE TABLE refused (
    plan_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX refused_plan ON refused (plan_id, position);
CREATE TABLE exposure (
    work_id INTEGER NOT NULL REFERENCES work (id),
    number INTEGER NOT NULL,
    path TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ({_listed(ExposureState)})),
    at TEXT NOT NULL,
    PRIMARY KEY (work_id, number)
) WITHOUT ROWID;
CREATE INDEX exposure_state ON exposure (state) WHERE state = 'begun';
CREATE TABLE command (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL,
    work_id INTEGER,
    at TEXT NOT NULL,
    taken_by TEXT NOT NULL DEFAULT ''
);
CREATE TABLE latch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reason TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE TABLE event (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    plan_id TEXT,
    item_id TEXT,
    interrupt_id TEXT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX event_unsent ON event (place) WHERE NOT sent;
"""  # noqa: S608 - the texts are our own enums

# Kept for each connection, not in the file: the program's table is the one that holds.
_TABLE_OF_STEPS = """
CREATE TEMP TABLE allowed (before TEXT, after TEXT, PRIMARY KEY (before, after));
"""

_WORK_COLUMNS = (
    "id, kind, plan_id, item_id, target, ra_deg, dec_deg, exposure_s, count, binning, filter,"
    " start_utc, end_utc, notes, remark, step, reason, taken, position, changed_at, raw"
)
_PLAN_COLUMNS = "plan_id, night, received_at, state, reason, expires_at"

# Nothing starts to move while the latch is set, beside other work that moves already,
# or for a plan that the owner has not accepted.
_ADVANCE = f"""
UPDATE work SET step = :after, reason = :reason, changed_at = :at
WHERE id = :id AND step = :before
  AND EXISTS (SELECT 1 FROM temp.allowed WHERE before = :before AND after = :after)
  AND (:after NOT IN ({_RUNNING}) OR (
       NOT EXISTS (SELECT 1 FROM latch)
       AND NOT EXISTS (SELECT 1 FROM work AS other
                       WHERE other.id != :id AND other.step IN ({_RUNNING}))
       AND (kind = 'interrupt' OR plan_id IN
            (SELECT plan_id FROM plan WHERE state IN ('accepted', 'superseded')))))
"""  # noqa: S608 - the texts are our own enums

_BEGIN_EXPOSURE = """
INSERT INTO exposure (work_id, number, path, state, at)
SELECT id, :number, :path, 'begun', :at FROM work
WHERE id = :id AND step = 'exposing' AND taken + 1 = :number AND :number <= count
  AND NOT EXISTS (SELECT 1 FROM latch)
  AND NOT EXISTS (SELECT 1 FROM exposure WHERE state = 'begun')
"""

_OPEN_WORK = f"""
SELECT {_WORK_COLUMNS} FROM work
WHERE step NOT IN ({_FINAL})
  AND (kind = 'interrupt' OR plan_id IN
       (SELECT plan_id FROM plan WHERE state IN ('accepted', 'superseded')))
ORDER BY step NOT IN ({_RUNNING}), kind = 'item',
  (SELECT place FROM plan WHERE plan.plan_id = work.plan_id), position, id
"""  # noqa: S608 - the texts are our own enums

_FINISH_PLANS = f"""
UPDATE plan SET state = 'finished' WHERE state = 'accepted' AND NOT EXISTS
  (SELECT 1 FROM work WHERE work.plan_id = plan.plan_id AND step NOT IN ({_FINAL}))
"""  # noqa: S608 - the texts are our own enums

_OLD_PLANS = f"""
SELECT plan_id FROM plan
WHERE state NOT IN ('waiting', 'accepted') AND received_at < :before
  AND place NOT IN (SELECT place FROM plan ORDER BY place DESC LIMIT 2)
  AND NOT EXISTS (SELECT 1 FROM work WHERE work.plan_id = plan.plan_id
                  AND (step NOT IN ({_FINAL}) OR changed_at >= :before))
  AND NOT EXISTS (SELECT 1 FROM event WHERE NOT sent AND event.plan_id = plan.plan_id)
"""  # noqa: S608 - the texts are our own enums

_OLD_INTERRUPTS = f"""
SELECT id FROM work
WHERE kind = 'interrupt' AND step IN ({_FINAL}) AND changed_at < :before
  AND NOT EXISTS (SELECT 1 FROM event WHERE NOT sent AND event.interrupt_id = work.item_id)
"""  # noqa: S608 - the texts are our own enums

# When it was refused stands with what the cloud was told of it, in the same transaction.
_FORGET_REFUSED = """
DELETE FROM refused WHERE plan_id = '' AND EXISTS
  (SELECT 1 FROM event WHERE event.interrupt_id = refused.item_id AND sent AND at < :before)
"""


class ScheduleError(NodeError):
    """The schedule cannot be read or written."""


class ScheduleStore:
    """The schedule's SQLite file; every change is on disk when its method returns.

    It may be used from several threads, and beside other processes. Every method raises
    :class:`ScheduleError` where the file cannot be used, as on a full disk; then nothing of
    what it was to do has been done.

    Parameters
    ----------
    path : Path
        The file, made where it is missing (0600).
    now : callable
        Gives the time as an aware datetime.
    mends : bool
        Whether a damaged file is set aside and a new one begun, with the safety latch set,
        as nobody knows whether it was. Only for the node itself, alone in its data folder;
        anybody else gets a :class:`ScheduleError`.

    Attributes
    ----------
    set_aside : Path or None
        Where a damaged file has been put.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        mends: bool = True,
    ) -> None:
        self._path = path
        self._now = now
        self._mends = mends
        self._lock = threading.Lock()
        self._token = uuid.uuid4().hex
        self.set_aside: Path | None = None
        try:
            with self._alone():
                self._base = self._open_or_mend()
        except (OSError, sqlite3.Error) as error:
            raise ScheduleError(f"{path} cannot be opened ({error}).") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # Two programs that start at once must neither both make the file nor both set it aside.
        guard = os.open(
            self._path.with_name(f"{self._path.name}.lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            0o600,
        )
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)

    def _open_or_mend(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            if not self._mends:
                raise ScheduleError(
                    f"{self._path} is damaged ({error}). The node sets it aside at its next start."
                ) from None
            self.set_aside = self._move_away()
            return self._open()

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        base = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            base.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = FULL")
            base.execute("PRAGMA foreign_keys = ON")
            self._prepare(base)
            _check(base)
        except BaseException:
            base.close()
            raise
        return base

    def _prepare(self, base: sqlite3.Connection) -> None:
        form = base.execute("PRAGMA user_version").fetchone()[0]
        if form > _FORM:
            raise ScheduleError(
                f"{self._path} was written by a newer version of this program (form {form}, this "
                f"one reads {_FORM}). Use that version again."
            )
        if not form:
            self._make(base)
        base.executescript(_TABLE_OF_STEPS)
        pairs = [(before, after) for before, afters in ALLOWED.items() for after in afters]
        base.executemany("INSERT INTO temp.allowed VALUES (?, ?)", pairs)

    def _make(self, base: sqlite3.Connection) -> None:
        latch = ""
        if damaged := sorted(self._path.parent.glob(f"{self._path.name}.damaged-*")):
            # In the same step as the tables, so that no cut leaves a schedule without it.
            reason = (
                f"The schedule was damaged and has been set aside as {damaged[-1].name}, so that "
                "nobody knows whether the telescope had been stopped as unsafe. Look after it, "
                "then let it go on."
            ).replace("'", "''")
            latch = f"INSERT INTO latch VALUES (1, '{reason}', '{_text(self._now())}');"  # noqa: S608 - quoted
        base.executescript(f"BEGIN; {_SCHEMA} {latch} PRAGMA user_version = {_FORM}; COMMIT;")

    def _move_away(self) -> Path:
        stamp = self._now().strftime("%Y%m%dT%H%M%S")
        aside = self._path.with_name(f"{self._path.name}.damaged-{stamp}")
        for tail in ("-wal", "-shm", ""):  # the file last: while it is there, it is found damaged
            part = self._path.with_name(self._path.name + tail)
            if part.exists():
                part.replace(aside.with_name(aside.name + tail))
        return aside

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    # Plans

    def put_plan(
        self,
        plan_id: str,
        items: Sequence[PlannedItem],
        refused: Sequence[RefusedItem] = (),
        *,
        state: PlanState = PlanState.WAITING,
        night: str = "",
        expires_at: datetime | None = None,
    ) -> bool:
        """Keep a plan that has come.

        It supersedes an earlier plan that still waits for the owner. An accepted one goes on
        until the new one is accepted: an owner who sleeps shall not lose the night.

        Parameters
        ----------
        plan_id : str
            The cloud's name for it.
        items : sequence of PlannedItem
            In the order in which they are to be observed; no ``item_id`` twice.
        refused : sequence of RefusedItem
            What could not be read.
        state : PlanState
            WAITING for the owner, or ACCEPTED.
        night : str
            The date of its evening, YYYY-MM-DD.
        expires_at : datetime, optional
            When it ceases to wait for the owner, aware.

        Returns
        -------
        bool
            False where that plan has come before; then nothing changes.

        Raises
        ------
        ValueError
            If ``state`` is neither WAITING nor ACCEPTED.
        """
        if state not in {PlanState.WAITING, PlanState.ACCEPTED}:
            raise ValueError(f"a plan that comes cannot be {state}")
        with self._change() as base:
            added = base.execute(
                f"INSERT OR IGNORE INTO plan ({_PLAN_COLUMNS})"  # noqa: S608 - our own columns
                " VALUES (?, ?, ?, ?, '', ?)",
                (plan_id, night, self._stamp(), PlanState.WAITING, _maybe_text(expires_at)),
            )
            if not added.rowcount:
                return False
            for position, item in enumerate(items):
                self._add_work(WorkKind.ITEM, plan_id, position, item)
            self._add_refused(plan_id, refused)
            self._supersede(plan_id, PlanState.WAITING)
            if state is not PlanState.WAITING:
                self._settle(plan_id, state, "")
        return True

    def plan(self, plan_id: str) -> PlanRecord | None:
        """Return a plan; None where none of that name has come."""
        return self._plan_where("plan_id = ?", plan_id)

    def newest_plan(self) -> PlanRecord | None:
        """Return the plan that came last, whatever became of it."""
        return self._plan_where("1")

    def previous_plan(self) -> PlanRecord | None:
        """Return the plan that came before the newest one."""
        return self._plan_where("place < (SELECT max(place) FROM plan)")

    def waiting_plan(self) -> PlanRecord | None:
        """Return the plan that waits for the owner."""
        return self._plan_where("state = ?", PlanState.WAITING)

    def accepted_plan(self) -> PlanRecord | None:
        """Return the plan that is being carried out."""
        return self._plan_where("state = ?", PlanState.ACCEPTED)

    def decide(
        self, plan_id: str, state: PlanState, reason: str = "", keep: Sequence[str] | None = None
    ) -> bool:
        """Settle what becomes of a plan that waits for the owner.

        Parameters
        ----------
        plan_id : str
            The plan.
        state : PlanState
            ACCEPTED, REJECTED or EXPIRED.
        reason : str
            Why, a sentence; may be empty.
        keep : sequence of str, optional
            The item ids that are to be observed, in this order; the others are left out. All
            of them, in the plan's order, where None.

        Returns
        -------
        bool
            False where the plan does not wait (any more); then nothing changes.

        Raises
        ------
        ScheduleError
            If ``keep`` names an item twice or one that is not in the plan.
        ValueError
            If ``state`` is no decision.
        """
        if state not in DECISIONS:
            raise ValueError(f"nobody can decide that a plan is {state}")
        with self._change() as base:
            if not self._settle(plan_id, state, reason):
                return False
            if keep is not None and state is PlanState.ACCEPTED:
                self._keep_only(plan_id, keep)
                base.execute(_FINISH_PLANS)
        return True

    def _settle(self, plan_id: str, state: PlanState, reason: str) -> bool:
        changed = self._base.execute(
            "UPDATE plan SET state = :after, reason = :reason"
            " WHERE plan_id = :plan_id AND state = 'waiting'",
            {"after": state, "reason": reason, "plan_id": plan_id},
        )
        if not changed.rowcount:
            return False
        self._tell(ItemState(state.value), reason, plan_id=plan_id)
        if state is PlanState.ACCEPTED:
            self._supersede(plan_id, PlanState.ACCEPTED)
            self._tell_refused(plan_id)
            self._base.execute(_FINISH_PLANS)
        else:
            # The cloud has been told of the plan as a whole.
            self._skip_open(plan_id, reason or f"The plan was {state}.", told=False)
        return True

    def _supersede(self, plan_id: str, state: PlanState) -> None:
        """End the other plans that are in this state: a newer one takes their place."""
        reason = f"replaced by plan {plan_id}"
        older = self._base.execute(
            "UPDATE plan SET state = 'superseded', reason = ? WHERE plan_id != ? AND state = ?"
            " RETURNING plan_id",
            (reason, plan_id, state),
        ).fetchall()
        for (old_id,) in older:
            if state is PlanState.WAITING:
                self._tell(ItemState.EXPIRED, reason, plan_id=old_id)
            self._skip_open(old_id, reason, told=state is PlanState.ACCEPTED)

    def _skip_open(self, plan_id: str, reason: str, *, told: bool) -> None:
        """Skip what does not run yet; what runs ends first."""
        skipped = self._base.execute(
            "UPDATE work SET step = 'skipped', reason = ?, changed_at = ?"
            " WHERE plan_id = ? AND kind = 'item' AND step IN ('pending', 'preempted')"
            " RETURNING item_id, position",
            (reason, self._stamp(), plan_id),
        ).fetchall()
        for item_id, _ in sorted(skipped, key=lambda row: row[1]) if told else ():
            self._tell(ItemState.SKIPPED, reason, plan_id=plan_id, item_id=item_id)

    def _keep_only(self, plan_id: str, keep: Sequence[str]) -> None:
        known = [work.item_id for work in self._works_of(plan_id)]
        if len(set(keep)) != len(keep) or not set(keep) <= set(known):
            raise ScheduleError(
                f"The choice of items does not fit to plan {plan_id}: each must be one of "
                f"{', '.join(known)}, and stand once. Nothing was changed; choose again."
            )
        left_out = [item_id for item_id in known if item_id not in set(keep)]
        for position, item_id in enumerate([*keep, *left_out]):
            self._base.execute(
                "UPDATE work SET position = ? WHERE plan_id = ? AND kind = 'item' AND item_id = ?",
                (position, plan_id, item_id),
            )
        for item_id in left_out:
            self._leave_out(plan_id, item_id)

    def _leave_out(self, plan_id: str, item_id: str) -> None:
        reason = "taken out by the owner"
        self._base.execute(
            "UPDATE work SET step = 'skipped', reason = ?, changed_at = ?"
            " WHERE plan_id = ? AND kind = 'item' AND item_id = ? AND step = 'pending'",
            (reason, self._stamp(), plan_id, item_id),
        )
        self._tell(ItemState.SKIPPED, reason, plan_id=plan_id, item_id=item_id)

    # Interrupts

    def put_interrupt(self, interrupt: PlannedItem) -> bool:
        """Keep an interrupt, which goes before all items of plans.

        Parameters
        ----------
        interrupt : PlannedItem
            Its ``item_id`` is the cloud's id of the interrupt.

        Returns
        -------
        bool
            False where it has come before; then nothing changes.
        """
        with self._change():
            if self._knows_interrupt(interrupt.item_id):
                return False
            self._add_work(WorkKind.INTERRUPT, "", 0, interrupt)
        return True

    def refuse_interrupt(self, interrupt: RefusedItem) -> bool:
        """Keep that an interrupt cannot be meant, and tell the cloud that it is skipped.

        Parameters
        ----------
        interrupt : RefusedItem
            Its ``item_id`` is the cloud's id of the interrupt.

        Returns
        -------
        bool
            False where it has come before; then nothing changes.
        """
        with self._change():
            if self._knows_interrupt(interrupt.item_id):
                return False
            self._add_refused("", (interrupt,))
            self._tell(ItemState.SKIPPED, interrupt.reason, interrupt_id=interrupt.item_id)
        return True

    def interrupts(self, limit: int = 20) -> tuple[Work, ...]:
        """Return the newest interrupts, newest first."""
        return self._works("kind = 'interrupt' ORDER BY id DESC LIMIT ?", limit)

    def _knows_interrupt(self, interrupt_id: str) -> bool:
        return bool(
            self._base.execute(
                "SELECT 1 FROM work WHERE kind = 'interrupt' AND item_id = :id"
                " UNION SELECT 1 FROM refused WHERE plan_id = '' AND item_id = :id",
                {"id": interrupt_id},
            ).fetchall()
        )

    # Work

    def open_work(self) -> tuple[Work, ...]:
        """Return all that is still to be done, in the order in which it is to be done.

        What runs comes first (after a crash, it is to be gone on with), then interrupts,
        then the items of accepted plans in their order.
        """
        return tuple(map(_work, self._read(_OPEN_WORK)))

    def next_work(self) -> Work | None:
        """Return what is to be done next, whether its time has come or not."""
        return next(iter(self.open_work()), None)

    def due_work(self, now: datetime) -> Work | None:
        """Return the first piece of work whose time has come; None where there is none."""
        return next(iter(self.due_works(now)), None)

    def due_works(self, now: datetime) -> tuple[Work, ...]:
        """Return the open work whose time has come, in the order in which it is to be done.

        An item without a time of its own waits for the time of the open item before it that
        has one.

        Parameters
        ----------
        now : datetime
            The present instant, aware.

        Returns
        -------
        tuple of Work
            Also what is already past its end, as somebody has to skip it.
        """
        due = []
        floor: datetime | None = None
        for work in self.open_work():
            if work.kind is WorkKind.ITEM and work.step not in RUNNING:
                floor = work.start_utc or floor
            if work.kind is WorkKind.INTERRUPT or work.step in RUNNING or not floor or floor <= now:
                due.append(work)
        return tuple(due)

    def work(self, work_id: int) -> Work | None:
        """Return a piece of work; None where the store has none of that number."""
        return next(iter(self._works("id = ?", work_id)), None)

    def all_work(self, plan_id: str) -> tuple[Work, ...]:
        """Return the items of a plan, in their order."""
        return self._works("kind = 'item' AND plan_id = ? ORDER BY position", plan_id)

    def advance(self, work_id: int, from_step: Step, to_step: Step, reason: str = "") -> bool:
        """Bring a piece of work from one step to another, and note it for the cloud.

        Parameters
        ----------
        work_id : int
            The work.
        from_step, to_step : Step
            Where it stands, and where it is to stand.
        reason : str
            Why, a sentence; may be empty.

        Returns
        -------
        bool
            False where it does not stand there (any more), where the table of steps does not
            allow it, or where the telescope was to move while the safety latch is set, while
            other work runs, or for a plan that is not accepted; then nothing changes.
        """
        values = {"id": work_id, "before": from_step, "after": to_step, "reason": reason}
        with self._change() as base:
            if not base.execute(_ADVANCE, values | {"at": self._stamp()}).rowcount:
                return False
            self._tell_step(work_id, from_step, to_step, reason)
            if to_step in FINAL:
                base.execute(_FINISH_PLANS)
        return True

    def _tell_step(self, work_id: int, before: Step, after: Step, reason: str) -> None:
        state = wire_state(after)
        if state is None or state is wire_state(before):
            return
        kind, plan_id, item_id = self._base.execute(
            "SELECT kind, plan_id, item_id FROM work WHERE id = ?", (work_id,)
        ).fetchone()
        if kind == WorkKind.INTERRUPT:
            self._tell(state, reason, interrupt_id=item_id)
        else:
            self._tell(state, reason, plan_id=plan_id, item_id=item_id)

    # Exposures

    def begin_exposure(self, work_id: int, number: int, path: str | Path) -> bool:
        """Use up an exposure's number, before the shutter opens.

        Parameters
        ----------
        work_id : int
            The work, which must be EXPOSING.
        number : int
            One more than the numbers used so far (``Work.taken``).
        path : str or Path
            Where the file is to stand.

        Returns
        -------
        bool
            False where it is not that number's turn, another exposure is open, or the safety
            latch is set; then the shutter must stay closed.
        """
        values = {"id": work_id, "number": number, "path": str(path), "at": self._stamp()}
        with self._change() as base:
            if not base.execute(_BEGIN_EXPOSURE, values).rowcount:
                return False
            base.execute("UPDATE work SET taken = ? WHERE id = ?", (number, work_id))
        return True

    def save_exposure(self, work_id: int, number: int) -> bool:
        """Keep that an exposure's file is complete on disk; False where it was not open."""
        return self._end_exposure(work_id, number, ExposureState.SAVED)

    def lose_exposure(self, work_id: int, number: int) -> bool:
        """Keep that an exposure came to no file; False where it was not open."""
        return self._end_exposure(work_id, number, ExposureState.LOST)

    def open_exposures(self) -> tuple[ExposureRecord, ...]:
        """Return the exposures that were begun and neither saved nor lost."""
        return self._exposures("state = 'begun'")

    def exposures(self, work_id: int) -> tuple[ExposureRecord, ...]:
        """Return all exposures of a piece of work, by number."""
        return self._exposures("work_id = ?", work_id)

    def newest_frames(self, limit: int) -> tuple[ExposureRecord, ...]:
        """Return the saved exposures of the newest work, newest first; at most ``limit``."""
        return self._exposures("state = 'saved'", newest=limit)

    def frames_until(self, instant: datetime) -> tuple[ExposureRecord, ...]:
        """Return the exposures whose frames were saved before an instant, by work and number."""
        return self._exposures("state = 'saved' AND at < ?", _text(instant))

    def frames_by_night(self, noon_utc_h: float, limit: int = 10) -> dict[str, int]:
        """Count the saved frames of the newest nights.

        Parameters
        ----------
        noon_utc_h : float
            When it is noon where the telescope stands, in hours UTC: there a night's date
            changes.
        limit : int
            Most nights that are counted.

        Returns
        -------
        dict
            Frames by the date of the evening, YYYY-MM-DD, newest first.
        """
        rows = self._read(
            "SELECT date(at, ?) AS night, count(*) FROM exposure WHERE state = 'saved'"
            " GROUP BY night ORDER BY night DESC LIMIT ?",
            (f"-{noon_utc_h:.3f} hours", limit),
        )
        return dict(rows)

    def _end_exposure(self, work_id: int, number: int, state: ExposureState) -> bool:
        with self._change() as base:
            changed = base.execute(
                "UPDATE exposure SET state = ?, at = ?"
                " WHERE work_id = ? AND number = ? AND state = 'begun'",
                (state, self._stamp(), work_id, number),
            )
            return bool(changed.rowcount)

    def _exposures(
        self, condition: str, *values: Any, newest: int | None = None
    ) -> tuple[ExposureRecord, ...]:
        order = "work_id, number" if newest is None else "work_id DESC, number DESC LIMIT ?"
        rows = self._read(
            "SELECT work_id, number, path, state, at FROM exposure"  # noqa: S608 - ours
            f" WHERE {condition} ORDER BY {order}",
            values if newest is None else (*values, newest),
        )
        return tuple(
            ExposureRecord(
                work_id=row[0],
                number=row[1],
                path=row[2],
                state=ExposureState(row[3]),
                at=datetime.fromisoformat(row[4]),
            )
            for row in rows
        )

    # The owner's commands

    def ask(self, command: Command, work_id: int | None = None) -> int:
        """Put down a command for the running node.

        Parameters
        ----------
        command : Command
            What is asked.
        work_id : int, optional
            Which work it is about.

        Returns
        -------
        int
            The command's number.
        """
        with self._change() as base:
            added = base.execute(
                "INSERT INTO command (command, work_id, at) VALUES (?, ?, ?)",
                (Command(command), work_id, self._stamp()),
            )
            return int(added.lastrowid or 0)

    def take_commands(self) -> tuple[AskedCommand, ...]:
        """Return the commands not yet given to this store, oldest first.

        Each comes once, and once more after a restart if `finish_command` was not called:
        a command whose taker was killed is not lost.
        """
        if not self._read("SELECT 1 FROM command WHERE taken_by != ? LIMIT 1", (self._token,)):
            return ()  # asked several times a second: no write, no fsync
        with self._change() as base:
            rows = base.execute(
                "UPDATE command SET taken_by = :me WHERE taken_by != :me"
                " RETURNING id, command, work_id, at",
                {"me": self._token},
            ).fetchall()
        return tuple(map(_command, sorted(rows)))

    def finish_command(self, command_id: int) -> bool:
        """Strike a command that has been carried out; False where it was struck before."""
        with self._change() as base:
            return bool(
                base.execute("DELETE FROM command WHERE id = ?", (command_id,)).rowcount,
            )

    def asked_commands(self) -> tuple[AskedCommand, ...]:
        """Return the commands that are not yet carried out, oldest first."""
        rows = self._read("SELECT id, command, work_id, at FROM command ORDER BY id")
        return tuple(map(_command, rows))

    # The safety latch

    def unsafe(self, reason: str) -> bool:
        """Set the safety latch: nothing moves until the owner clears it.

        Parameters
        ----------
        reason : str
            Why, a sentence.

        Returns
        -------
        bool
            False where it was set before; its first reason stays.
        """
        with self._change() as base:
            added = base.execute(
                "INSERT OR IGNORE INTO latch VALUES (1, ?, ?)", (reason, self._stamp())
            )
            return bool(added.rowcount)

    def latch(self) -> Latch | None:
        """Return the safety latch where it is set."""
        rows = self._read("SELECT reason, at FROM latch")
        return Latch(reason=rows[0][0], at=datetime.fromisoformat(rows[0][1])) if rows else None

    def unsafe_reason(self) -> str | None:
        """Return why the safety latch is set; None where it is not."""
        latch = self.latch()
        return latch.reason if latch else None

    def clear_unsafe(self) -> bool:
        """Clear the safety latch, on the owner's word only; False where it was not set."""
        with self._change() as base:
            return bool(base.execute("DELETE FROM latch").rowcount)

    # What the cloud is to be told

    def unsent_events(self, limit: int = 100) -> tuple[ScheduleEvent, ...]:
        """Return what the cloud has not yet been told, oldest first."""
        rows = self._read(
            "SELECT event_id, plan_id, item_id, interrupt_id, state, reason, at FROM event"
            " WHERE NOT sent ORDER BY place LIMIT ?",
            (limit,),
        )
        return tuple(map(_event, rows))

    def mark_sent(self, event_ids: Iterable[str]) -> None:
        """Keep that the cloud, or the link's queue on disk, has these events."""
        with self._change() as base:
            base.executemany(
                "UPDATE event SET sent = 1 WHERE event_id = ? AND NOT sent",
                [(event_id,) for event_id in event_ids],
            )

    # What may be forgotten

    def forget(self, before: datetime, is_there: Callable[[str], bool]) -> int:
        """Take out the plans and interrupts that are over, told, and without a frame on disk.

        The newest two plans stay, as does all that the cloud has yet to be told of. What is
        taken out one at a time keeps nobody waiting for long.

        Parameters
        ----------
        before : datetime
            Only what came to its end before this instant, aware.
        is_there : callable
            Tells whether the file of a path is still there.

        Returns
        -------
        int
            How many plans and interrupts were taken out.
        """
        cutoff = {"before": _text(before)}
        plans = [
            (plan_id, [work.id for work in self.all_work(plan_id)])
            for (plan_id,) in self._read(_OLD_PLANS, cutoff)
        ]
        interrupts = [(None, [work_id]) for (work_id,) in self._read(_OLD_INTERRUPTS, cutoff)]
        gone = 0
        for plan_id, work_ids in (*plans, *interrupts):
            saved = (one for number in work_ids for one in self.exposures(number))
            if not any(one.state is ExposureState.SAVED and is_there(one.path) for one in saved):
                self._forget(plan_id, work_ids)
                gone += 1
        self._forget_told(cutoff)
        return gone

    def _forget(self, plan_id: str | None, work_ids: Sequence[int]) -> None:
        numbers = [(number,) for number in work_ids]
        with self._change() as base:
            base.executemany("DELETE FROM exposure WHERE work_id = ?", numbers)
            base.executemany("DELETE FROM work WHERE id = ?", numbers)
            if plan_id is not None:
                base.execute("DELETE FROM refused WHERE plan_id = ?", (plan_id,))
                base.execute("DELETE FROM plan WHERE plan_id = ?", (plan_id,))

    def _forget_told(self, cutoff: dict[str, str]) -> None:
        """Take out what the cloud was told long ago, and the refused interrupts among it."""
        with self._change() as base:
            base.execute(_FORGET_REFUSED, cutoff)
            base.execute("DELETE FROM event WHERE sent AND at < :before", cutoff)

    def version(self) -> int:
        """Return a number that grows with every change, whoever made it."""
        return int(self._read("SELECT version FROM meta")[0][0])

    def _tell(
        self,
        state: ItemState,
        reason: str,
        *,
        plan_id: str | None = None,
        item_id: str | None = None,
        interrupt_id: str | None = None,
    ) -> None:
        self._base.execute(
            "INSERT INTO event (event_id, plan_id, item_id, interrupt_id, state, reason, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (str(uuid.uuid4()), plan_id, item_id, interrupt_id, state, reason, self._stamp()),
        )

    def _tell_refused(self, plan_id: str) -> None:
        for refused in self._refused_of(plan_id):
            self._tell(ItemState.SKIPPED, refused.reason, plan_id=plan_id, item_id=refused.item_id)

    # Rows

    def _add_work(self, kind: WorkKind, plan_id: str, position: int, item: PlannedItem) -> None:
        self._base.execute(
            "INSERT INTO work (kind, plan_id, item_id, target, ra_deg, dec_deg, exposure_s, count,"
            " binning, filter, start_utc, end_utc, notes, remark, step, reason, taken, position,"
            " changed_at, raw)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', '', 0, ?, ?, ?)",
            (
                *(kind, plan_id, item.item_id, item.target, item.ra_deg, item.dec_deg),
                *(item.exposure_s, item.count, item.binning, item.filter),
                *(_maybe_text(item.start_utc), _maybe_text(item.end_utc)),
                *(item.notes, item.remark, position, self._stamp()),
                json.dumps(dict(item.raw), default=str),
            ),
        )

    def _add_refused(self, plan_id: str, refused: Sequence[RefusedItem]) -> None:
        self._base.executemany(
            "INSERT INTO refused (plan_id, position, item_id, target, reason)"
            " VALUES (?, ?, ?, ?, ?)",
            [
                (plan_id, position, item.item_id, item.target, item.reason)
                for position, item in enumerate(refused)
            ],
        )

    def _plan_where(self, condition: str, *values: Any) -> PlanRecord | None:
        with self._told(), self._lock:
            row = self._base.execute(
                f"SELECT {_PLAN_COLUMNS} FROM plan WHERE {condition}"  # noqa: S608 - ours
                " ORDER BY place DESC LIMIT 1",
                values,
            ).fetchone()
            if row is None:
                return None
            return PlanRecord(
                plan_id=row[0],
                night=row[1],
                received_at=datetime.fromisoformat(row[2]),
                state=PlanState(row[3]),
                reason=row[4],
                expires_at=_maybe_instant(row[5]),
                items=self._works_of(row[0]),
                refused=self._refused_of(row[0]),
            )

    def _works_of(self, plan_id: str) -> tuple[Work, ...]:
        rows = self._base.execute(
            f"SELECT {_WORK_COLUMNS} FROM work"  # noqa: S608 - our own columns
            " WHERE kind = 'item' AND plan_id = ? ORDER BY position",
            (plan_id,),
        )
        return tuple(map(_work, rows))

    def _refused_of(self, plan_id: str) -> tuple[RefusedItem, ...]:
        rows = self._base.execute(
            "SELECT item_id, target, reason FROM refused WHERE plan_id = ? ORDER BY position",
            (plan_id,),
        )
        return tuple(RefusedItem(item_id=row[0], target=row[1], reason=row[2]) for row in rows)

    def _works(self, condition: str, *values: Any) -> tuple[Work, ...]:
        statement = f"SELECT {_WORK_COLUMNS} FROM work WHERE {condition}"  # noqa: S608 - ours
        return tuple(map(_work, self._read(statement, values)))

    def _stamp(self) -> str:
        return _text(self._now())

    def _read(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> list[Any]:
        with self._told(), self._lock:
            return self._base.execute(statement, values).fetchall()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Make one transaction of the block; it counts as a change where it changed a row."""
        with self._told(), self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            rows_before = self._base.total_changes
            try:
                yield self._base
                if self._base.total_changes != rows_before:
                    self._base.execute("UPDATE meta SET version = version + 1")
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:  # a full disk may have ended it already
                    self._base.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ScheduleError(
                f"{self._path} cannot be used ({error}). See whether its disk is full or read-only."
            ) from None


def _check(base: sqlite3.Connection) -> None:
    if base.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("the quick check failed")


def _work(row: Sequence[Any]) -> Work:
    return Work(
        id=row[0],
        kind=WorkKind(row[1]),
        plan_id=row[2],
        item_id=row[3],
        target=row[4],
        ra_deg=row[5],
        dec_deg=row[6],
        exposure_s=row[7],
        count=row[8],
        binning=row[9],
        filter=row[10],
        start_utc=_maybe_instant(row[11]),
        end_utc=_maybe_instant(row[12]),
        notes=row[13],
        remark=row[14],
        step=Step(row[15]),
        reason=row[16],
        taken=row[17],
        position=row[18],
        changed_at=datetime.fromisoformat(row[19]),
        raw=json.loads(row[20]),
    )


def _command(row: Sequence[Any]) -> AskedCommand:
    return AskedCommand(
        id=row[0], command=Command(row[1]), work_id=row[2], at=datetime.fromisoformat(row[3])
    )


def _event(row: Sequence[Any]) -> ScheduleEvent:
    return ScheduleEvent(
        event_id=row[0],
        plan_id=row[1],
        item_id=row[2],
        interrupt_id=row[3],
        state=ItemState(row[4]),
        reason=row[5],
        at=datetime.fromisoformat(row[6]),
    )


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def _maybe_text(instant: datetime | None) -> str | None:
    return None if instant is None else _text(instant)


def _maybe_instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

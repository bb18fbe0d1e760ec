"""The node's durable record: which frames are done, what was measured, what the cloud asked for.

A frame's row goes ``measured`` → ``handed``, or is ``refused``. It is ``measured`` before the
measurement is handed to the link, and ``handed`` once the link has answered for it; so after a cut
at any point the same bytes are handed over again, and their idempotency key makes the cloud count
them once.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boundless_skies.node.errors import NodeError

FILE_NAME = "node.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS frame (
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('measured', 'handed', 'refused')),
    measurement TEXT,
    reason TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (path, size, mtime_ns)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS frame_state ON frame (state, at);
CREATE TABLE IF NOT EXISTS plan (
    received_at TEXT NOT NULL,
    items TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS interrupt (
    id TEXT PRIMARY KEY,
    received_at TEXT NOT NULL,
    interrupt TEXT NOT NULL
);
"""


class LedgerError(NodeError):
    """The ledger cannot be read or written."""


@dataclass(frozen=True, order=True)
class FrameFile:
    """One state of one file: a file that changes is another frame.

    Attributes
    ----------
    mtime_ns : int
        Time of the last change (ns since 1970).
    path : str
        Absolute path.
    size : int
        Bytes.
    """

    mtime_ns: int
    path: str
    size: int

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return Path(self.path).name


class Ledger:
    """The node's SQLite file; every change is on disk when its method returns.

    Parameters
    ----------
    path : Path
        The file, made where it is missing (0600). A damaged one is set aside.
    now : callable
        Gives the time as an aware datetime.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self.set_aside: Path | None = None
        try:
            self._base = self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise LedgerError(f"{path} cannot be opened ({error}).") from None
        except sqlite3.DatabaseError:
            self.set_aside = self._move_away()
            self._base = self._open()

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        base = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.execute("PRAGMA busy_timeout = 5000")
        base.executescript(_SCHEMA)
        if base.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            base.close()
            raise sqlite3.DatabaseError("the quick check failed")
        return base

    def _move_away(self) -> Path:
        stamp = self._now().strftime("%Y%m%dT%H%M%S")
        aside = self._path.with_name(f"{self._path.name}.damaged-{stamp}")
        self._path.replace(aside)
        for tail in ("-wal", "-shm"):
            self._path.with_name(self._path.name + tail).unlink(missing_ok=True)
        return aside

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def knows(self, frame: FrameFile) -> bool:
        """Tell whether this frame has been measured or refused."""
        found = self._run(
            "SELECT 1 FROM frame WHERE path = ? AND size = ? AND mtime_ns = ?", _key(frame)
        )
        return bool(found)

    def state(self, frame: FrameFile) -> str | None:
        """Return ``measured``, ``handed`` or ``refused``; None for a frame that is not known."""
        rows = self._run(
            "SELECT state FROM frame WHERE path = ? AND size = ? AND mtime_ns = ?", _key(frame)
        )
        return str(rows[0][0]) if rows else None

    def keep_measured(self, frame: FrameFile, measurement: dict[str, Any]) -> None:
        """Keep a frame's measurement, before it is handed to the link.

        Parameters
        ----------
        frame : FrameFile
            The frame.
        measurement : dict
            JSON values only.

        Raises
        ------
        LedgerError
            If it cannot be written.
        ValueError
            If the measurement holds NaN or an infinity.
        """
        text = json.dumps(measurement, allow_nan=False)
        self._keep(frame, "measured", text, None)

    def keep_refused(self, frame: FrameFile, reason: str) -> None:
        """Keep that a frame cannot be measured, and why."""
        self._keep(frame, "refused", None, reason)

    def _keep(self, frame: FrameFile, state: str, text: str | None, reason: str | None) -> None:
        self._run(
            "INSERT OR REPLACE INTO frame (path, size, mtime_ns, state, measurement, reason, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*_key(frame), state, text, reason, self._stamp()),
        )

    def waiting(self, limit: int = 100) -> list[tuple[FrameFile, dict[str, Any]]]:
        """Return measurements that the link has not yet answered for, oldest first."""
        rows = self._run(
            "SELECT mtime_ns, path, size, measurement FROM frame WHERE state = 'measured'"
            " ORDER BY mtime_ns, path LIMIT ?",
            (limit,),
        )
        return [(FrameFile(*row[:3]), json.loads(row[3])) for row in rows]

    def mark_handed(self, frame: FrameFile) -> None:
        """Keep that the link has delivered a frame's measurement or has it on disk."""
        self._run(
            "UPDATE frame SET state = 'handed', at = ? WHERE state = 'measured'"
            " AND path = ? AND size = ? AND mtime_ns = ?",
            (self._stamp(), *_key(frame)),
        )

    def handed(self) -> list[dict[str, Any]]:
        """Return all measurements that the link has answered for."""
        rows = self._run(
            "SELECT measurement FROM frame WHERE state = 'handed' ORDER BY mtime_ns, path"
        )
        return [json.loads(row[0]) for row in rows]

    def newest(self, limit: int = 100) -> list[tuple[FrameFile, dict[str, Any]]]:
        """Return the measurements kept last, handed over or not, newest first."""
        of_state = (
            "SELECT * FROM (SELECT mtime_ns, path, size, measurement, at FROM frame"
            " WHERE state = '{}' ORDER BY at DESC LIMIT :limit)"
        )
        rows = self._run(
            f"{of_state.format('measured')} UNION ALL {of_state.format('handed')}"
            " ORDER BY at DESC, mtime_ns DESC LIMIT :limit",
            {"limit": limit},
        )
        return [(FrameFile(*row[:3]), json.loads(row[3])) for row in rows]

    def refused(self) -> list[tuple[FrameFile, str]]:
        """Return the frames that could not be measured, each with the reason."""
        rows = self._run(
            "SELECT mtime_ns, path, size, reason FROM frame WHERE state = 'refused'"
            " ORDER BY at, path"
        )
        return [(FrameFile(*row[:3]), row[3]) for row in rows]

    def newest_refused(self) -> tuple[FrameFile, str] | None:
        """Return the frame that was refused last, with the reason."""
        rows = self._run(
            "SELECT mtime_ns, path, size, reason FROM frame WHERE state = 'refused'"
            " ORDER BY at DESC, mtime_ns DESC LIMIT 1"
        )
        return (FrameFile(*rows[0][:3]), rows[0][3]) if rows else None

    def counts(self) -> dict[str, int]:
        """Return how many frames are in each state."""
        rows = self._run("SELECT state, count(*) FROM frame GROUP BY state")
        return {"measured": 0, "handed": 0, "refused": 0} | dict(rows)

    def keep_plan(self, items: list[Any]) -> None:
        """Keep a plan as it came."""
        self._run(
            "INSERT INTO plan (received_at, items) VALUES (?, ?)",
            (self._stamp(), json.dumps(items)),
        )

    def keep_interrupt(self, interrupt: dict[str, Any]) -> None:
        """Keep an interrupt as it came; one that comes again replaces itself."""
        self._run(
            "INSERT OR REPLACE INTO interrupt (id, received_at, interrupt) VALUES (?, ?, ?)",
            (str(interrupt.get("id")), self._stamp(), json.dumps(interrupt)),
        )

    def plan(self) -> list[Any]:
        """Return the items of the newest plan; empty where none has come."""
        rows = self._run("SELECT items FROM plan ORDER BY rowid DESC LIMIT 1")
        items: list[Any] = json.loads(rows[0][0]) if rows else []
        return items

    def interrupts(self, limit: int = 10) -> list[dict[str, Any]]:
        """Return the newest interrupts, newest first."""
        rows = self._run(
            "SELECT interrupt FROM interrupt ORDER BY received_at DESC LIMIT ?", (limit,)
        )
        return [json.loads(row[0]) for row in rows]

    def forget(self, before: datetime) -> None:
        """Take out the plans and interrupts that came before an instant; the newest plan stays."""
        stamp = before.astimezone(UTC).isoformat(timespec="milliseconds")
        self._run(
            "DELETE FROM plan WHERE received_at < ? AND rowid != (SELECT max(rowid) FROM plan)",
            (stamp,),
        )
        self._run("DELETE FROM interrupt WHERE received_at < ?", (stamp,))

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="milliseconds")

    def _run(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(
                f"{self._path} cannot be used ({error}). See whether its disk is full or read-only."
            ) from None


def _key(frame: FrameFile) -> tuple[str, int, int]:
    return frame.path, frame.size, frame.mtime_ns

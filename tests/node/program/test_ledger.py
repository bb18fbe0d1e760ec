"""The node's durable record."""

import sqlite3
import stat
from pathlib import Path

import pytest

from boundless_skies.node.storage.ledger import FrameFile, Ledger, LedgerError

FRAME = FrameFile(1_000, "/frames/a.fits", 100)
LATER = FrameFile(2_000, "/frames/b.fits", 100)


def test_frame_goes_from_measured_to_handed(tmp_path: Path) -> None:
    """A measurement waits until the link has answered for it, then is told as handed."""
    ledger = Ledger(tmp_path / "node.sqlite")
    ledger.keep_measured(FRAME, {"magnitude": 1.5})
    assert ledger.waiting() == [(FRAME, {"magnitude": 1.5})]
    assert ledger.handed() == []
    ledger.mark_handed(FRAME)
    assert ledger.waiting() == []
    assert ledger.handed() == [{"magnitude": 1.5}]
    assert ledger.counts() == {"measured": 0, "handed": 1, "refused": 0}


def test_everything_survives_a_new_start(tmp_path: Path) -> None:
    """A second opening finds frames, plan and interrupts as they were left."""
    ledger = Ledger(tmp_path / "node.sqlite")
    ledger.keep_measured(FRAME, {"magnitude": 1.5})
    ledger.keep_refused(LATER, "no stars")
    ledger.keep_plan([{"target": "SS Cyg"}])
    ledger.keep_interrupt({"id": 7, "name": "nova"})
    again = Ledger(tmp_path / "node.sqlite")
    assert again.knows(FRAME)
    assert again.knows(LATER)
    assert again.waiting() == [(FRAME, {"magnitude": 1.5})]
    assert again.plan() == [{"target": "SS Cyg"}]
    assert again.interrupts() == [{"id": 7, "name": "nova"}]


def test_file_that_changed_is_another_frame(tmp_path: Path) -> None:
    """The same path with another size or time has not been measured yet."""
    ledger = Ledger(tmp_path / "node.sqlite")
    ledger.keep_refused(FRAME, "its end is missing")
    assert not ledger.knows(FrameFile(FRAME.mtime_ns, FRAME.path, 101))
    assert not ledger.knows(FrameFile(1_001, FRAME.path, FRAME.size))


def test_waiting_measurements_come_oldest_first(tmp_path: Path) -> None:
    """The order of the night is kept, and no more come than were asked for."""
    ledger = Ledger(tmp_path / "node.sqlite")
    ledger.keep_measured(LATER, {"n": 2})
    ledger.keep_measured(FRAME, {"n": 1})
    assert [entry["n"] for _, entry in ledger.waiting()] == [1, 2]
    assert len(ledger.waiting(limit=1)) == 1


def test_handing_over_a_refused_frame_changes_nothing(tmp_path: Path) -> None:
    """Only a measured frame can become a handed one."""
    ledger = Ledger(tmp_path / "node.sqlite")
    ledger.keep_refused(FRAME, "no stars")
    ledger.mark_handed(FRAME)
    assert ledger.counts()["handed"] == 0


def test_newest_plan_counts_and_an_interrupt_replaces_itself(tmp_path: Path) -> None:
    """A plan replaces the one before it; an interrupt told twice stands once."""
    ledger = Ledger(tmp_path / "node.sqlite")
    assert ledger.plan() == []
    ledger.keep_plan([{"target": "A"}])
    ledger.keep_plan([{"target": "B"}])
    ledger.keep_interrupt({"id": 1, "reason": "first"})
    ledger.keep_interrupt({"id": 1, "reason": "again"})
    assert ledger.plan() == [{"target": "B"}]
    assert ledger.interrupts() == [{"id": 1, "reason": "again"}]


def test_nan_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A measurement that JSON has no form for raises, and leaves no row."""
    ledger = Ledger(tmp_path / "node.sqlite")
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger.keep_measured(FRAME, {"magnitude": float("nan")})
    assert not ledger.knows(FRAME)


def test_file_is_the_owner_s_alone(tmp_path: Path) -> None:
    """The record is readable by its owner only."""
    Ledger(tmp_path / "node.sqlite").keep_refused(FRAME, "no stars")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damage", [b"no database at all" * 100, b"SQLite format 3\x00" + b"x" * 900]
)
def test_damaged_file_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    """A file that is no database is kept beside a new one, and told."""
    path = tmp_path / "node.sqlite"
    path.write_bytes(damage)
    ledger = Ledger(path)
    ledger.keep_refused(FRAME, "no stars")
    assert ledger.set_aside is not None
    assert ledger.set_aside.read_bytes() == damage


def test_trouble_with_the_disk_is_one_clear_error(tmp_path: Path) -> None:
    """What SQLite raises arrives as a LedgerError that names the file."""
    ledger = Ledger(tmp_path / "node.sqlite")
    ledger.close()
    with pytest.raises(LedgerError, match=r"node\.sqlite cannot be used"):
        ledger.counts()
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path)


def test_locked_file_is_one_clear_error(tmp_path: Path) -> None:
    """Another program that holds the file is told as a LedgerError, after a wait."""
    path = tmp_path / "node.sqlite"
    ledger = Ledger(path)
    ledger._base.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="locked"):
        ledger.keep_refused(FRAME, "no stars")
    other.close()

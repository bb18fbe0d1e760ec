"""The folder watch: which file is finished, and when."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.program.fakes import until

from boundless_skies.node.services.folder_watch import FolderWatch
from boundless_skies.node.storage.ledger import FrameFile


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time (s)."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Give a clock at zero."""
    return Clock()


@pytest.fixture
def known() -> set[FrameFile]:
    """Give the set of frames that are done."""
    return set()


@pytest.fixture
def watch(tmp_path: Path, clock: Clock, known: set[FrameFile]) -> Iterator[FolderWatch]:
    """Watch ``tmp_path/in`` with two seconds of settling."""
    (tmp_path / "in").mkdir()
    watch = FolderWatch(
        tmp_path / "in",
        patterns=["*.fits", "*.fits.fz"],
        recursive=True,
        settle_s=2.0,
        poll_s=1.0,
        knows=known.__contains__,
        clock=clock,
    )
    yield watch
    watch.stop()


def _names(watch: FolderWatch) -> list[str]:
    return [frame.name for frame in watch.due()]


def test_file_is_due_once_it_has_settled(tmp_path: Path, clock: Clock, watch: FolderWatch) -> None:
    """A file that grows is let be; one that has kept still for long enough is due."""
    frame = tmp_path / "in" / "a.fits"
    frame.write_bytes(b"one")
    assert _names(watch) == []
    clock.now_s = 1.5
    frame.write_bytes(b"one two")
    assert _names(watch) == []
    clock.now_s = 3.0
    assert _names(watch) == []
    clock.now_s = 3.6
    assert _names(watch) == ["a.fits"]


def test_frames_come_in_the_order_of_their_times(
    tmp_path: Path, clock: Clock, watch: FolderWatch
) -> None:
    """The oldest file first, whatever the names say."""
    for name, mtime in (("b.fits", 1_000), ("a.fits", 3_000), ("c.fits", 2_000)):
        path = tmp_path / "in" / name
        path.write_bytes(b"x")
        os.utime(path, (mtime, mtime))
    watch.due()
    clock.now_s = 2.0
    assert _names(watch) == ["b.fits", "c.fits", "a.fits"]


@pytest.mark.parametrize("name", ["a.txt", ".a.fits", "a.fits.part", "a.fits.tmp"])
def test_other_files_are_let_be(
    tmp_path: Path, clock: Clock, watch: FolderWatch, name: str
) -> None:
    """Drafts, hidden files and other kinds are no frames."""
    (tmp_path / "in" / name).write_bytes(b"x")
    watch.due()
    clock.now_s = 10.0
    assert _names(watch) == []


def test_folders_inside_and_capitals_count(
    tmp_path: Path, clock: Clock, watch: FolderWatch
) -> None:
    """A Seestar sorts its frames into folders; some cameras write .FITS."""
    (tmp_path / "in" / "M 94_sub").mkdir()
    (tmp_path / "in" / "M 94_sub" / "A.FITS").write_bytes(b"x")
    watch.due()
    clock.now_s = 2.0
    assert _names(watch) == ["A.FITS"]


def test_done_frames_are_never_due_again_until_they_change(
    tmp_path: Path, clock: Clock, watch: FolderWatch, known: set[FrameFile]
) -> None:
    """A frame that is known is skipped; a new content under its name is a new frame."""
    path = tmp_path / "in" / "a.fits"
    path.write_bytes(b"x")
    watch.due()
    clock.now_s = 2.0
    (frame,) = watch.due()
    known.add(frame)
    watch.done(frame)
    clock.now_s = 10.0
    assert _names(watch) == []
    path.write_bytes(b"longer")
    watch.due()
    clock.now_s = 20.0
    watch.due()
    clock.now_s = 30.0
    assert _names(watch) == ["a.fits"]


def test_held_frame_comes_back_after_its_pause_or_when_it_changes(
    tmp_path: Path, clock: Clock, watch: FolderWatch
) -> None:
    """An incomplete file gets its time, and at once another chance when more of it arrives."""
    path = tmp_path / "in" / "a.fits"
    path.write_bytes(b"x")
    watch.due()
    clock.now_s = 2.0
    (frame,) = watch.due()
    watch.hold(frame, 60.0)
    clock.now_s = 50.0
    assert _names(watch) == []
    clock.now_s = 62.0
    assert _names(watch) == ["a.fits"]
    watch.hold(frame, 60.0)
    path.write_bytes(b"the rest")
    watch.due()
    clock.now_s = 64.0
    assert _names(watch) == ["a.fits"]


def test_file_that_vanishes_is_forgotten(tmp_path: Path, clock: Clock, watch: FolderWatch) -> None:
    """A file that is taken away before it settled leaves nothing behind."""
    path = tmp_path / "in" / "a.fits"
    path.write_bytes(b"x")
    watch.due()
    assert watch.settling == 1
    path.unlink()
    clock.now_s = 5.0
    assert _names(watch) == []
    assert watch.settling == 0


def test_missing_folder_is_told_and_found_when_it_comes(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A share that is mounted later is watched from then on."""
    watch = FolderWatch(
        tmp_path / "share",
        patterns=["*.fits"],
        recursive=True,
        settle_s=0.0,
        poll_s=1.0,
        knows=lambda _: False,
        clock=clock,
    )
    with caplog.at_level("INFO"):
        assert watch.due() == []
        assert watch.missing
        (tmp_path / "share").mkdir()
        (tmp_path / "share" / "a.fits").write_bytes(b"x")
        clock.now_s = 1.0
        assert _names(watch) == ["a.fits"]
    watch.stop()
    assert not watch.missing
    told = [record.message for record in caplog.records if "watchdog" not in record.name]
    assert len(told) == 2
    assert "is not there (yet)" in told[0]


def test_file_event_wakes_the_watch(tmp_path: Path) -> None:
    """With an hour between looks, a finished file is noticed by the system's event alone."""
    watch = FolderWatch(
        tmp_path,
        patterns=["*.fits"],
        recursive=True,
        settle_s=0.0,
        poll_s=3600.0,
        knows=lambda _: False,
    )
    assert watch.due() == []
    draft = tmp_path / "a.fits.part"
    draft.write_bytes(b"x")
    draft.rename(tmp_path / "a.fits")
    watch.wait()
    until(lambda: _names(watch) == ["a.fits"])
    watch.stop()

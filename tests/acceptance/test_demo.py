"""The demo as a newcomer runs it: one command, real processes, books that balance."""

import os
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tests.node.program.fakes import until

from boundless_skies.demo.books import Books, take_books
from boundless_skies.demo.light_curve import draw_light_curve
from boundless_skies.demo.narration import DemoFailure, Narrator
from boundless_skies.demo.nights import night_from_folder, rendered_night, take_shot
from boundless_skies.demo.play import Play
from boundless_skies.demo.processes import held_signals
from boundless_skies.node.storage.ledger import FILE_NAME, Ledger

pytestmark = pytest.mark.timeout(900)  # real processes, on a machine that may be busy

COMMAND = [sys.executable, "-m", "boundless_skies.cli", "demo"]
PNG = b"\x89PNG\r\n\x1a\n"
HAT_P_32 = Path(__file__).parents[3] / "shared" / "frames" / "hat-p-32"
MID_TRANSIT_BJD = 2_458_107.711


def demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in ``folder/night``."""
    return subprocess.run(
        [*COMMAND, "--folder", str(folder / "night"), *words],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )


def running_in(folder: Path) -> list[str]:
    """Return the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
        except OSError:
            continue
    return found


def accepted(folder: Path) -> list[dict]:
    """Return what the demo's node accepted."""
    ledger = Ledger(folder / "night" / "node" / FILE_NAME)
    handed = ledger.handed()
    ledger.close()
    return handed


def test_demo_ends_with_books_that_balance_and_a_picture(tmp_path: Path) -> None:
    """A real frame and a short rendered night, the cloud killed in the middle: nothing lost."""
    done = demo(tmp_path, "--count", "6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "delivered 7, lost 0, duplicated 0" in done.stdout
    assert "2 in the queue" in done.stdout
    assert (tmp_path / "night" / "light-curve.png").read_bytes().startswith(PNG)
    assert running_in(tmp_path) == []
    assert {entry["target_name"] for entry in accepted(tmp_path)} == {"T Sex", "SW Lac"}


@pytest.mark.soak  # the same night is measured in tests/node/photometry/test_night.py
@pytest.mark.frames
@pytest.mark.skipif(not HAT_P_32.is_dir(), reason="the real frames are not beside the project")
def test_demo_draws_the_transit_of_real_frames(tmp_path: Path) -> None:
    """Every fourth frame of the HAT-P-32 night shows the star fainter while its planet passes."""
    (tmp_path / "frames").mkdir()
    for path in sorted(HAT_P_32.glob("*.fz"))[::4]:
        shutil.copy(path, tmp_path / "frames")
    place = ["--target", "HAT-P-32", "--ra", "31.04275", "--dec", "46.68783"]
    done = demo(tmp_path, "--frames", str(tmp_path / "frames"), *place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "delivered 12, lost 0, duplicated 0" in done.stdout
    away_d = {entry["bjd"]: abs(entry["bjd"] - MID_TRANSIT_BJD) for entry in accepted(tmp_path)}
    points = accepted(tmp_path)
    inside = [entry["magnitude"] for entry in points if away_d[entry["bjd"]] < 0.045]
    outside = [entry["magnitude"] for entry in points if away_d[entry["bjd"]] > 0.08]
    assert 0.012 < statistics.mean(inside) - statistics.mean(outside) < 0.040


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.soak)]
)
def test_demo_that_is_stopped_leaves_no_process_behind(tmp_path: Path, number: int) -> None:
    """Ctrl-C in the middle, or the window closed, ends cloud and node."""
    process = subprocess.Popen(
        [*COMMAND, "--folder", str(tmp_path / "night"), "--count", "6"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        until((tmp_path / "night" / "node.log").exists, deadline_s=300.0)
        process.send_signal(number)
        told, _ = process.communicate(timeout=300)
    finally:
        process.terminate()
        process.communicate()
    assert process.returncode == 130
    assert ("Stopped; cloud and node are ended." in told) == (number == signal.SIGINT)
    assert running_in(tmp_path) == []


class InterruptedChild:
    """A child during whose start or end Ctrl-C is pressed."""

    stopped = False

    def stop(self) -> None:
        """Do what takes its time, the Ctrl-C in the middle of it."""
        signal.raise_signal(signal.SIGINT)
        self.stopped = True


def test_ctrl_c_while_a_child_starts_waits_until_the_child_is_known() -> None:
    """The signal comes through, after the block that it fell into."""
    child = InterruptedChild()
    with pytest.raises(KeyboardInterrupt), held_signals():
        child.stop()
    assert child.stopped
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_pressed_again_waits_until_all_children_are_ended(tmp_path: Path) -> None:
    """The impatient second Ctrl-C leaves nothing running either."""
    play = Play(tmp_path, rendered_night(6), Narrator(Console(quiet=True)))
    children = play._node, play._cloud = InterruptedChild(), InterruptedChild()
    with pytest.raises(KeyboardInterrupt), play:
        pass
    assert all(child.stopped for child in children)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--ra", "10"], 2, "--ra and --dec go together"),
        (["--target", "SS Cyg"], 2, "are about your own --frames"),
        (["--frames", "{folder}"], 1, "there are 0 FITS files in"),
        (["--folder", "{folder}"], 1, "is there already; name a folder that is not"),
    ],
)
def test_what_cannot_be_played_is_one_clear_line(
    tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    """Bad input is told before anything is started."""
    done = demo(tmp_path, *(word.format(folder=tmp_path) for word in words))
    assert done.returncode == code
    assert told in done.stdout + done.stderr


def _point(bjd: float, magnitude: float) -> dict:
    return {"bjd": bjd, "filter": "CV", "magnitude": magnitude, "uncertainty": 0.01}


def test_books_find_what_is_lost_changed_or_there_twice() -> None:
    """A missing point, a changed one, and a row too many each unbalance the books."""
    taken = [{"target_name": "A", **_point(1.0, 9.0)}, {"target_name": "A", **_point(2.0, 9.1)}]
    both = [_point(1.0, 9.0), _point(2.0, 9.1)]
    assert take_books(taken, {"A": both}, 2) == Books(2, 0, 0)
    assert take_books(taken, {"A": both}, 2).balance
    assert take_books(taken, {"A": both}, 3) == Books(2, 0, 1)
    assert take_books(taken, {"A": both[:1]}, 1) == Books(1, 1, 0)
    assert take_books(taken, {"A": [both[0], _point(2.0, 9.2)]}, 2) == Books(1, 1, 1)
    assert not take_books([], {}, 0).balance


def test_rendered_night_is_the_same_every_time(tmp_path: Path) -> None:
    """Two renderings of one frame are equal byte for byte."""
    frames = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        take_shot(rendered_night(6).shots[2], folder)
        frames += [path.read_bytes() for path in folder.iterdir()]
    assert len(frames) == 2
    assert frames[0] == frames[1]


def test_folder_of_frames_needs_a_frame_for_each_part(tmp_path: Path) -> None:
    """Two frames are too few; three are played in the order of their names."""
    for name in ("b.fits", "a.FIT"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DemoFailure, match="there are 2 FITS files"):
        night_from_folder(tmp_path, {})
    (tmp_path / "c.fits.fz").write_bytes(b"x")
    names = [shot.name for shot in night_from_folder(tmp_path, {}).shots]
    assert names == ["a.FIT", "b.fits", "c.fits.fz"]


@pytest.mark.parametrize("count", [1, 3, 40])
def test_light_curve_of_any_length_is_drawn(tmp_path: Path, count: int) -> None:
    """One point or many: there is a picture, and no warning."""
    points = [_point(2_460_000.0 + number / 100, 9.0 + number % 3) for number in range(count)]
    draw_light_curve(points, "SS Cyg", tmp_path / "curve.png", beneath="a test")
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)

"""The measuring process: expendable, and never in the node's way."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.program.fakes import fake_work, measurement_of

from boundless_skies.node.services.measuring import Measured, MeasuringProcess, Refused


@pytest.fixture
def measuring() -> Iterator[MeasuringProcess]:
    """Give a measuring process that takes a frame's first word for its fate."""
    process = MeasuringProcess({}, work=fake_work)
    yield process
    process.close()


def _frame(folder: Path, text: str) -> str:
    path = folder / f"{text}.fits"
    path.write_text(text)
    return str(path)


def test_deadly_frame_costs_that_frame_alone(tmp_path: Path, measuring: MeasuringProcess) -> None:
    """A frame over which the process dies is refused; the next one is measured."""
    stop = threading.Event()
    good = _frame(tmp_path, "good")
    assert measuring.measure(good, stop) == Measured(measurement_of(good))
    died = measuring.measure(_frame(tmp_path, "die"), stop)
    assert died == Refused("the measuring process ended over it (exit code -9).")
    assert measuring.measure(good, stop) == Measured(measurement_of(good))


def test_frame_that_hangs_is_given_up(tmp_path: Path, measuring: MeasuringProcess) -> None:
    """A frame that takes too long is refused, and the process with it is ended."""
    stop = threading.Event()
    patience_s, measuring._limit_s = measuring._limit_s, 1.0
    hung = measuring.measure(_frame(tmp_path, "hang"), stop)
    assert hung == Refused("measuring it took longer than 1 s.")
    measuring._limit_s = patience_s
    good = _frame(tmp_path, "good")
    assert measuring.measure(good, stop) == Measured(measurement_of(good))


def test_stop_ends_a_measuring_at_once(tmp_path: Path) -> None:
    """A node that is told to stop waits for no frame."""
    measuring = MeasuringProcess({}, work=fake_work)
    stop = threading.Event()
    stop.set()
    assert measuring.measure(_frame(tmp_path, "hang"), stop) is None


def test_refusal_says_whether_the_rest_may_come(
    tmp_path: Path, measuring: MeasuringProcess
) -> None:
    """A file whose end is missing is told apart from one that will never do."""
    stop = threading.Event()
    assert measuring.measure(_frame(tmp_path, "cut"), stop) == Refused(
        "its end is missing.", incomplete=True
    )
    assert measuring.measure(_frame(tmp_path, "bad"), stop) == Refused("it shows no stars.")

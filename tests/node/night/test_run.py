"""Frames measured side by side."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.node.night.conftest import MAGNITUDES
from tests.node.night.fakes import work_that_may_die

from boundless_skies.node.config import defaults
from boundless_skies.node.errors import TruncatedFrame
from boundless_skies.node.night.frames import frames_in
from boundless_skies.node.night.result import NightResult
from boundless_skies.node.night.run import MeasuredFrame, Night, SkippedFrame
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings

PATTERNS = defaults()["image_watcher"]["patterns"]


def test_side_by_side_gives_what_one_after_the_other_gives(night_folder: Path) -> None:
    """The first frame ties the ensemble, whichever process is done first."""
    frames = frames_in([night_folder], PATTERNS)
    photometer = Photometer(PhotometrySettings())
    alone = [photometer.measure(path).measurement for path in frames]
    with Night(defaults(), workers=2) as night:
        together = [frame for frame in night.measure(frames) if isinstance(frame, MeasuredFrame)]
    assert [frame.path for frame in together] == frames
    for one, other in zip(alone, together, strict=True):
        assert other.found.measurement.magnitude == pytest.approx(one.magnitude, abs=1e-4)
    measured = np.array([frame.found.measurement.magnitude for frame in together])
    assert np.ptp(measured - MAGNITUDES) < 0.05


def test_best_frame_is_one_that_shows_the_target(night_folder: Path) -> None:
    """However small a limit's uncertainty is, its frame makes no finding chart."""
    photometer, frames = Photometer(PhotometrySettings()), frames_in([night_folder], PATTERNS)[:2]
    shown, limit = (
        MeasuredFrame(path=path, exposure=exposure, found=photometer.measure_exposure(exposure))
        for path, exposure in ((path, photometer.expose(path)) for path in frames)
    )
    certain = replace(limit.found.measurement, uncertainty=0.0)
    limit = replace(limit, found=replace(limit.found, measurement=certain, is_limit=True))
    result = NightResult()
    result.add(limit)
    result.add(shown)
    assert [frame.path for frame in result.best.values()] == [shown.path]
    result.add(limit)
    assert [frame.path for frame in result.best.values()] == [shown.path]


def test_a_bad_frame_costs_that_frame_alone(night_folder: Path, tmp_path: Path) -> None:
    """One that kills its process and one that is no FITS are told; the others are measured."""
    good, *_ = night_folder.iterdir()
    for name in ("a.fits", "deadly.fits", "z.fits"):
        shutil.copy(good, tmp_path / name)
    (tmp_path / "torn.fits").write_bytes(good.read_bytes()[:5_000])
    names = ("a.fits", "deadly.fits", "torn.fits", "z.fits")
    with Night(defaults(), workers=1, work=work_that_may_die) as night:
        first, dead, torn, last = night.measure([tmp_path / name for name in names])
    assert isinstance(first, MeasuredFrame)
    assert isinstance(last, MeasuredFrame)
    assert isinstance(dead, SkippedFrame)
    assert "ended over it" in dead.reason
    assert dead.fault is None
    assert isinstance(torn, SkippedFrame)
    assert "torn.fits" in torn.reason
    assert torn.fault is TruncatedFrame


def test_frames_come_in_the_order_of_time(night_folder: Path, tmp_path: Path) -> None:
    """Not of their names; each once; what cannot be read comes last; other files not at all."""
    (tmp_path / "a.fits").write_bytes(b"no FITS")
    (tmp_path / "notes.txt").write_text("clear")
    by_time = sorted(night_folder.iterdir(), reverse=True)
    found = frames_in([tmp_path, night_folder, by_time[0]], PATTERNS)
    assert [path.name for path in found] == [*(path.name for path in by_time), "a.fits"]

"""A night with a transit: HAT-P-32 b on 2017-12-20, through a 15 cm telescope."""

import numpy as np
import pytest
from tests.support.scenes import MORE_FRAMES

from boundless_skies.node.photometry import Target
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings
from boundless_skies.wire import Measurement

FOLDER = MORE_FRAMES / "hat-p-32"
TARGET = Target("HAT-P-32", 31.04275, 46.68783)
# T0 + 1715 P (P = 2.15000825 d, T0 = BJD_TDB 2454420.44712), and the transit's length.
MID_TRANSIT_BJD = 2_458_107.711
HALF_LENGTH_D = 1.55 / 24
INGRESS_D = 0.45 / 24

pytestmark = [
    pytest.mark.frames,
    pytest.mark.skipif(not FOLDER.exists(), reason="the frames beside the project are absent"),
]


@pytest.fixture(scope="module")
def night() -> list[Measurement]:
    """Every third frame, in the order of the night."""
    photometer = Photometer(PhotometrySettings())
    paths = sorted(FOLDER.glob("*.fits.fz"))[::3]
    return [photometer.measure(path, target=TARGET).measurement for path in paths]


def shape(bjd: np.ndarray) -> np.ndarray:
    """Return the share of the transit's depth at each time: a trapezium."""
    away_d = np.abs(bjd - MID_TRANSIT_BJD)
    return np.clip((HALF_LENGTH_D - away_d) / INGRESS_D, 0.0, 1.0)


def test_the_transit_is_seen(night: list[Measurement]) -> None:
    """Its depth is 24 mmag; the points scatter by no more than 8."""
    bjd = np.array([point.bjd for point in night])
    magnitude = np.array([point.magnitude for point in night])
    terms = np.column_stack([shape(bjd), np.ones(len(bjd)), bjd - MID_TRANSIT_BJD])
    fit, *_ = np.linalg.lstsq(terms, magnitude, rcond=None)
    scatter = np.std(magnitude - terms @ fit)
    assert fit[0] == pytest.approx(0.024, abs=0.007)
    assert scatter < 0.008


def test_every_frame_is_measured_and_honest(night: list[Measurement]) -> None:
    """The uncertainty is about the scatter; airmass and stars are those of the night."""
    assert len(night) == 16
    assert np.median([point.uncertainty for point in night]) == pytest.approx(0.006, abs=0.002)
    assert all(point.comparison_stars >= 5 for point in night)
    assert all(point.quality_flag != "poor" for point in night)
    assert all(1.0 < (point.airmass or 0.0) < 1.9 for point in night)
    assert all(point.filter == "CV" for point in night)


def test_the_headers_name_wins_over_the_mounts_belief(night: list[Measurement]) -> None:
    """The header's RA and DEC lie 13′ away; its OBJECT, HATP-32, is known by name."""
    path = min(FOLDER.glob("*.fits.fz"))
    found = Photometer(PhotometrySettings()).measure(path).measurement
    assert found.target_name == "HAT-P-32"
    assert found.magnitude == pytest.approx(night[0].magnitude, abs=0.002)

"""A night with a transit: HAT-P-32 b on 2017-12-20, through a 15 cm telescope."""

import math

import numpy as np
import pytest
from tests.support.scenes import MORE_FRAMES

from boundless_skies.node.photometry import Target
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings
from boundless_skies.wire import Measurement

FOLDER = MORE_FRAMES / "hat-p-32"
TARGET = Target("HAT-P-32", 31.04275, 46.68783)
# J. D. Hartman et al., ApJ 742, 59 (2011): T0 + 1715 P with P = 2.15000825 d and
# T0 = BJD_TDB 2454420.44712; Rp/R* = 0.149, a/R* = 6.05, i = 88.9 deg.
MID_TRANSIT_BJD = 2_458_107.711
PERIOD_D, RADIUS, DISTANCE, INCLINATION = 2.15000825, 0.149, 6.05, math.radians(88.9)
DEPTH_MAG = 0.024
# Quadratic limb darkening, assumed: about that of a star of 6200 K near R. The depth hangs on it.
DARKENING = 0.34, 0.30
HOUR_D = 1 / 24

pytestmark = [
    pytest.mark.frames,
    pytest.mark.skipif(not FOLDER.exists(), reason="the frames beside the project are absent"),
]


class Night:
    """The points of the night as columns."""

    def __init__(self, points: list[Measurement]) -> None:
        self.points = points
        self.bjd = np.array([point.bjd for point in points])
        self.magnitude = np.array([point.magnitude for point in points])
        self.uncertainty = np.array([point.uncertainty for point in points])

    def fit(self, mid_bjd: float, *, slope: bool = False) -> tuple[np.ndarray, float]:
        """Fit depth, level and slope a day; return them and chi squared."""
        terms = [transit(self.bjd, mid_bjd), np.ones(len(self.bjd)), self.bjd - MID_TRANSIT_BJD]
        design = np.column_stack(terms if slope else terms[:2]) / self.uncertainty[:, None]
        found, *_ = np.linalg.lstsq(design, self.magnitude / self.uncertainty, rcond=None)
        residual = self.magnitude / self.uncertainty - design @ found
        return found, float((residual**2).sum())

    @property
    def outside(self) -> np.ndarray:
        """Which points lie before or after the transit."""
        return transit(self.bjd, MID_TRANSIT_BJD) == 0.0


def transit(bjd: np.ndarray, mid_bjd: float) -> np.ndarray:
    """Return the dimming in units of (Rp/R*)²: the planet's disc summed over the star's."""
    phase = 2 * np.pi * (bjd - mid_bjd) / PERIOD_D
    apart = DISTANCE * np.hypot(np.sin(phase), math.cos(INCLINATION) * np.cos(phase))
    steps = np.linspace(-RADIUS, RADIUS, 61)
    disc_x, disc_y = (grid.ravel() for grid in np.meshgrid(steps, steps))
    disc = np.hypot(disc_x, disc_y) <= RADIUS
    squared = (apart[:, None] + disc_x[disc]) ** 2 + disc_y[disc] ** 2
    edge = 1.0 - np.sqrt(np.clip(1.0 - squared, 0.0, 1.0))
    light = 1.0 - DARKENING[0] * edge - DARKENING[1] * edge**2
    whole = 1.0 - DARKENING[0] / 3 - DARKENING[1] / 6
    return np.where(squared < 1.0, light / whole, 0.0).mean(axis=1)


@pytest.fixture(scope="module")
def night() -> Night:
    """All frames, in the order of the night, as they come out of the telescope."""
    photometer = Photometer(PhotometrySettings(telescope_aperture_mm=152.0))
    paths = sorted(FOLDER.glob("*.fits.fz"))
    return Night([photometer.measure(path, target=TARGET).measurement for path in paths])


def test_the_transit_has_its_published_depth(night: Night) -> None:
    """24 mmag, to 3 mmag, without a trend taken off."""
    (depth, _), _ = night.fit(MID_TRANSIT_BJD)
    assert depth == pytest.approx(DEPTH_MAG, abs=0.003)


def test_the_transit_comes_on_time(night: Night) -> None:
    """To 6 minutes."""
    minutes = np.arange(-30.0, 30.5)
    chi_squared = [night.fit(MID_TRANSIT_BJD + step / 1440)[1] for step in minutes]
    assert abs(minutes[np.argmin(chi_squared)]) < 6.0


def test_the_points_scatter_as_stated(night: Night) -> None:
    """Below 6 mmag around the model of the whole night; outside 6.5, as the uncertainty says."""
    (depth, level), _ = night.fit(MID_TRANSIT_BJD)
    residual = night.magnitude - level - depth * transit(night.bjd, MID_TRANSIT_BJD)
    assert residual.std(ddof=2) < 0.006
    outside = residual[night.outside].std(ddof=1)
    assert outside < 0.0065
    assert 0.8 < outside / np.median(night.uncertainty[night.outside]) < 1.15


def test_the_night_neither_drifts_nor_steps(night: Night) -> None:
    """By at most 3 mmag an hour; from before to after by 5, of which 2 are the means' error."""
    (_, _, slope), _ = night.fit(MID_TRANSIT_BJD, slope=True)
    assert abs(slope * HOUR_D) < 0.003
    before = night.outside & (night.bjd < MID_TRANSIT_BJD)
    after = night.outside & (night.bjd > MID_TRANSIT_BJD)
    assert abs(night.magnitude[after].mean() - night.magnitude[before].mean()) < 0.005


def test_every_frame_is_measured(night: Night) -> None:
    """Airmass and stars are those of the night."""
    assert len(night.points) == 48
    assert all(point.comparison_stars >= 5 for point in night.points)
    assert all(point.quality_flag != "poor" for point in night.points)
    air = np.array([point.airmass for point in night.points])
    assert 1.03 < air.min() < 1.04
    assert 1.85 < air.max() < 1.95
    assert (np.diff(air[20:]) > 0).all()


def test_the_headers_name_wins_over_the_mounts_belief(night: Night) -> None:
    """The header's RA and DEC lie 13′ away; its OBJECT, HATP-32, is known by name."""
    path = min(FOLDER.glob("*.fits.fz"))
    found = Photometer(PhotometrySettings()).measure(path).measurement
    assert found.target_name == "HAT-P-32"
    assert found.magnitude == pytest.approx(night.points[0].magnitude, abs=0.002)

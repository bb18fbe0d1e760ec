"""Rendered stars with analytic answers: the flux, the magnitude and the stated error are right."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.support.starfields import Gaussian, Moffat, Observation, StarField, catalogue_of

from boundless_skies.node.photometry.aperture import (
    Aperture,
    Fluxes,
    measure_fluxes,
    recentre,
)
from boundless_skies.node.photometry.noise import scintillation_mag
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings
from boundless_skies.wire import Measurement

PHASES = 10
FLUX_ADU = 60_000.0
PROFILES = [Gaussian(2.0), Gaussian(3.0), Gaussian(4.5), Moffat(3.0), Moffat(3.5, 2.5)]


class Grid:
    """A hundred equal stars, each at another phase within its pixel."""

    def __init__(self, seen_as: Observation, flux_adu: float = FLUX_ADU) -> None:
        self.seen_as = replace(seen_as, shape=(640, 640))
        phase = np.arange(PHASES) / PHASES - 0.5
        middle = 60.0 * np.arange(PHASES) + 50.0
        self.x, self.y = (grid.ravel() for grid in np.meshgrid(middle + phase, middle + phase))
        # Neighbouring stars must not share the row's phase along both axes.
        self.x = self.x + np.repeat(np.roll(phase, 3), PHASES) / PHASES
        self.flux_adu = flux_adu
        self.clean = self.seen_as.clean(self.x, self.y, np.full(len(self.x), flux_adu))
        fwhm_px = seen_as.profile.fwhm_px
        self.aperture = Aperture.around(1.5 * fwhm_px, fwhm_px)

    def exposed(self, seed: int) -> np.ndarray:
        """Return the field with noise."""
        return self.seen_as.expose(self.clean, np.random.default_rng(seed))

    def measured(self, image: np.ndarray) -> Fluxes:
        """Measure all stars where they are."""
        image = np.ascontiguousarray(image, np.float32)
        gain = self.seen_as.gain_e_per_adu
        return measure_fluxes(image, image, self.x, self.y, self.aperture, gain)

    @property
    def analytic(self) -> float:
        """The light within the circle, less that which the star's own wings put into the ring."""
        profile, aperture = self.seen_as.profile, self.aperture
        wings = profile.within(aperture.outer_px) - profile.within(aperture.inner_px)
        area = aperture.radius_px**2 / (aperture.outer_px**2 - aperture.inner_px**2)
        return self.flux_adu * (profile.within(aperture.radius_px) - wings * area)


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_the_flux_is_the_analytic_one(profile: Gaussian | Moffat) -> None:
    """At SNR 300: the mean of 100 within 0.1 %, three times its error; their scatter as stated."""
    grid = Grid(Observation(profile=profile))
    found = grid.measured(grid.exposed(seed=1))
    ratio = found.flux / grid.analytic
    assert np.median(found.snr) == pytest.approx(300.0, rel=0.12)
    assert abs(ratio.mean() - 1.0) < 3.0 * np.mean(found.error) / grid.analytic / PHASES < 0.003
    # The standard deviation of 100 is known to 7 %.
    assert (found.flux.std(ddof=1) / found.error.mean()) == pytest.approx(1.0, abs=0.21)


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_the_place_within_a_pixel_makes_no_difference(profile: Gaussian | Moffat) -> None:
    """Without noise, all phases within 0.1 %, down to stars two pixels wide."""
    grid = Grid(Observation(profile=profile))
    flux = grid.measured(grid.clean).flux
    assert np.ptp(flux) < 1e-3 * grid.analytic


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_centroids_know_no_phase(profile: Gaussian | Moffat) -> None:
    """Their mean miss within three times its error, and none off by 0.05 px."""
    grid = Grid(Observation(profile=profile))
    image = (grid.exposed(seed=2) - grid.seen_as.sky_adu).astype(np.float32)
    found = recentre(image, np.rint(grid.x), np.rint(grid.y), profile.fwhm_px)
    for miss in (found[0] - grid.x, found[1] - grid.y):
        assert abs(miss.mean()) < 3.0 * miss.std(ddof=1) / PHASES
        assert np.abs(miss).max() < 0.05


@pytest.mark.parametrize("slope", [(2.0, 0.0), (-1.0, 1.5)])
def test_a_sky_that_slopes_moves_no_flux(slope: tuple[float, float]) -> None:
    """Also where the star lies off the middle of its pixel: as much light as under an even sky."""
    even = Grid(Observation(sky_adu=2000.0))
    sloping = Grid(Observation(sky_adu=2000.0, sky_slope_adu=slope))
    # A mean over the ring would miss by half a pixel of slope over the circle: 60 units.
    assert sloping.measured(sloping.clean).flux == pytest.approx(
        even.measured(even.clean).flux, abs=3.0
    )


class Series:
    """Frames of a field with a dozen targets, each measured on its own comparison stars."""

    APERTURE_MM = 100.0

    def __init__(
        self, seed: int, frames: int, seen_as: Observation | None = None, *,
        faintest_mag: float = 14.5, turn_deg: float = 0.0, scintillates: bool = False,
    ) -> None:  # fmt: skip
        self._rng = np.random.default_rng(seed)
        self.true_mag = np.linspace(9.5, faintest_mag, 12)
        self._field = StarField.spread(self._rng, self._rng.uniform(9.5, 12.5, 30), self.true_mag)
        diameter_mm = self.APERTURE_MM if scintillates else None
        self._photometer = Photometer(
            PhotometrySettings(telescope_aperture_mm=diameter_mm), catalogue_of(self._field.stars)
        )
        self._sigma_mag = scintillation_mag(self.APERTURE_MM, 60.0, 1.0, 0.0) * scintillates
        seen_as = seen_as or Observation()
        points = [
            self._measure(replace(seen_as, rotation_deg=frame * turn_deg), frame)
            for frame in range(frames)
        ]
        self.points = np.array(points, dtype=object)
        self.miss = self._column("magnitude") - self.true_mag
        self.uncertainty = self._column("uncertainty")
        self.snr = self._column("snr")

    def _measure(self, seen_as: Observation, frame: int) -> list[Measurement]:
        rng, field = self._rng, self._field
        shift_px = tuple(rng.uniform(-3.0, 3.0, 2))
        twinkling = rng.normal(0.0, self._sigma_mag, len(field.stars) + len(field.targets))
        exposure = field.expose(
            replace(seen_as, shift_px=shift_px), rng, minutes=frame,
            changes_mag=twinkling,
        )  # fmt: skip
        return [
            self._photometer.measure_exposure(
                replace(exposure, target=field.target(index))
            ).measurement
            for index in range(len(field.targets))
        ]

    def _column(self, name: str) -> np.ndarray:
        values = [[getattr(point, name) for point in frame] for frame in self.points]
        return np.array(values, np.float64)

    @property
    def pulls(self) -> np.ndarray:
        """Misses from each target's mean, in units of what was stated."""
        frames = len(self.miss)
        around = self.miss - self.miss.mean(axis=0)
        return around / self.uncertainty * math.sqrt(frames / (frames - 1))


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"seen_as": Observation(sky_slope_adu=(0.5, -0.4))},
        {"turn_deg": 7.0},
        # A bright star's wings reach the rings of stars 5 mag fainter: those stand not alone.
        {"seen_as": Observation(profile=Moffat(3.2)), "faintest_mag": 12.5},
    ],
    ids=["even", "sloping sky", "turning field", "stars with wings"],
)
def test_the_magnitude_is_the_true_one(case: dict[str, Any]) -> None:
    """Over 5 magnitudes: no target's mean of 16 is off by more than its error allows.

    The first frame ties all of them to the catalogue, with an error common to all points.
    """
    series = Series(seed=5, frames=16, **case)
    error = np.hypot(series.uncertainty.mean(axis=0) / math.sqrt(16), TIE_ERROR_MAG)
    bias = series.miss.mean(axis=0)
    # The standard deviation of 12 pulls is known to 21 %.
    assert (bias / error).std() < 1.6
    assert np.abs(bias / error).max() < 3.3
    # Above a signal to noise of 300, within 0.3 % of the light.
    assert np.abs(bias[series.snr.mean(axis=0) > 300.0]).max() < 0.003
    slope, slope_error = _slope(series.true_mag, bias, error)
    assert abs(slope) < 3.0 * slope_error


TIE_ERROR_MAG = 0.001


def _slope(x: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    weight = error**-2
    away = x - np.average(x, weights=weight)
    spread = float((weight * away**2).sum())
    return float((weight * away * y).sum()) / spread, spread**-0.5


@pytest.mark.parametrize("scintillates", [False, True], ids=["steady air", "scintillation"])
def test_of_all_points_68_percent_lie_within_their_uncertainty(*, scintillates: bool) -> None:
    """To 4 points, from SNR 400 to 14: photons, sky, read-out, scintillation and zero point."""
    seeds = (3, 4) if scintillates else (1, 2)
    night = [Series(seed=seed, frames=24, scintillates=scintillates) for seed in seeds]
    pulls = np.concatenate([series.pulls for series in night])
    assert pulls.size == 576
    within = np.abs(pulls) < 1.0
    assert within.mean() == pytest.approx(0.683, abs=0.04)
    # The standard deviation of 576 is known to 3 %.
    assert pulls.std() == pytest.approx(1.0, abs=0.09)
    # Bright, middling and faint alike, to 2.5 times what chance allows for 192 points.
    for group in np.split(within, 3, axis=1):
        assert group.mean() == pytest.approx(0.683, abs=0.084)

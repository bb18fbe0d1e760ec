"""Aperture photometry on scenes whose answer is known."""

import math

import numpy as np
import pytest

from boundless_skies.node.photometry.aperture import (
    Aperture,
    good_radius_px,
    measure_fluxes,
    recentre,
)
from boundless_skies.node.photometry.noise import scintillation_mag

FWHM_PX = 3.0
SIGMA_PX = FWHM_PX / 2.3548
APERTURE = Aperture.around(4.0, FWHM_PX)


def scene(flux: float, x: float = 30.3, y: float = 29.6, sky: float = 0.0) -> np.ndarray:
    """Draw one round Gaussian star on an even sky, integrated over the pixels."""
    edges = np.arange(62) - 0.5
    erf = np.vectorize(math.erf)
    across = np.diff(erf((edges - x) / (SIGMA_PX * math.sqrt(2)))) / 2
    along = np.diff(erf((edges - y) / (SIGMA_PX * math.sqrt(2)))) / 2
    return (sky + flux * np.outer(along, across)).astype(np.float32)


def measure(image: np.ndarray, gain: float = 2.0, x: float = 30.3, y: float = 29.6) -> tuple:
    """Measure the scene's star: flux, error and peak."""
    found = measure_fluxes(image, image, np.array([x]), np.array([y]), APERTURE, gain)
    return float(found.flux[0]), float(found.error[0]), float(found.peak[0])


@pytest.mark.parametrize("sky", [0.0, 100.0, -20.0])
def test_the_light_within_the_circle_is_counted(sky: float) -> None:
    """The analytic share of a Gaussian, whatever the level of the sky."""
    # Seen through pixels, once when they collect and once when the circle cuts them.
    variance = SIGMA_PX**2 + 2 / 12
    share = 1.0 - math.exp(-(APERTURE.radius_px**2) / (2 * variance))
    assert measure(scene(10_000.0, sky=sky))[0] == pytest.approx(10_000.0 * share, rel=1e-3)


def test_a_sloping_sky_does_no_harm() -> None:
    """The ring's mean is the sky at its centre."""
    slope = np.linspace(0.0, 60.0, 61, dtype=np.float32)
    even, sloping = scene(10_000.0), scene(10_000.0) + slope[None, :]
    assert measure(sloping)[0] == pytest.approx(measure(even)[0], abs=40.0)


def test_a_neighbour_in_the_ring_is_clipped() -> None:
    """Its light is not taken for sky."""
    crowd = scene(10_000.0) + scene(30_000.0, x=41.0, y=29.6)
    rng = np.random.default_rng(3)
    crowd += rng.normal(0.0, 5.0, crowd.shape).astype(np.float32)
    assert measure(crowd)[0] == pytest.approx(measure(scene(10_000.0))[0], rel=0.03)


def test_the_error_is_the_scatter_of_many_exposures() -> None:
    """Photons of star and sky and read-out, from 300 exposures."""
    rng = np.random.default_rng(11)
    gain, read_noise_e, sky = 2.0, 6.0, 50.0
    clean = scene(3000.0, sky=sky) * gain
    fluxes, errors = [], []
    for _ in range(300):
        electrons = rng.poisson(clean) + rng.normal(0.0, read_noise_e, clean.shape)
        flux, error, _ = measure((electrons / gain).astype(np.float32), gain)
        fluxes.append(flux)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(fluxes), rel=0.1)


def test_the_peak_is_the_highest_value_near_the_star() -> None:
    """Not that of a neighbour outside of the circle."""
    crowd = scene(1000.0) + scene(90_000.0, x=50.0, y=29.6)
    assert measure(crowd)[2] == pytest.approx(scene(1000.0).max(), rel=1e-3)


def test_a_star_is_found_from_a_pixel_away() -> None:
    """To a twentieth of a pixel, without noise."""
    x, y = recentre(scene(5000.0), np.array([31.3]), np.array([28.8]), FWHM_PX)
    assert (x[0], y[0]) == pytest.approx((30.3, 29.6), abs=0.05)


def test_nowhere_to_measure_is_no_error() -> None:
    """Empty in, empty out."""
    none = np.empty(0)
    assert len(measure_fluxes(scene(1.0), scene(1.0), none, none, APERTURE, 1.0).flux) == 0
    assert len(recentre(scene(1.0), none, none, FWHM_PX)[0]) == 0


def test_the_radius_is_the_middle_of_those_that_cost_nothing() -> None:
    """Not the best one of a flat top, which is chance; one odd star does not move it."""
    radii_px = np.array([3.0, 4.0, 5.0, 6.0, 7.0])
    flat = np.array([90.0, 99.5, 100.0, 99.2, 95.0])
    snr = np.column_stack([flat, 0.3 * flat, flat[::-1] ** 3])
    assert good_radius_px(snr, radii_px) == 5.0
    falling = np.array([100.0, 99.5, 97.0, 90.0, 80.0])
    assert good_radius_px(falling[:, None], radii_px) == 3.5


def test_scintillation_of_a_known_case() -> None:
    """A 5 cm telescope, 10 s, at the zenith at the sea: 12.5 mmag (the formula by hand)."""
    assert scintillation_mag(50.0, 10.0, 1.0, 0.0) == pytest.approx(0.01248, abs=2e-5)
    assert scintillation_mag(50.0, 10.0, 1.0, 0.0, 1.0) == pytest.approx(0.0080, abs=2e-5)


@pytest.mark.parametrize(
    ("case", "factor"),
    [
        ((400.0, 10.0, 1.0, 0.0), 8.0 ** (-2 / 3)),
        ((50.0, 40.0, 1.0, 0.0), 0.5),
        ((50.0, 10.0, 2.0, 0.0), 2.0**1.5),
        ((50.0, 10.0, 1.0, 8000.0), math.exp(-1.0)),
    ],
    ids=["aperture", "exposure", "airmass", "elevation"],
)
def test_scintillation_falls_as_the_formula_says(
    case: tuple[float, float, float, float], factor: float
) -> None:
    """With aperture, time and height; and grows with the airmass."""
    usual = scintillation_mag(50.0, 10.0, 1.0, 0.0)
    assert scintillation_mag(*case) == pytest.approx(usual * factor, rel=1e-9)

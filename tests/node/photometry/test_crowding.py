"""A target among neighbours: their light is taken off, and the error that is left is told."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.scenes import MIDDLE, MORE_FRAMES, write_scene
from tests.support.starfields import Gaussian, Moffat, Observation, StarField, catalogue_of

from boundless_skies.demo.rendering import Camera
from boundless_skies.node.catalogue import Stars
from boundless_skies.node.errors import FrameError
from boundless_skies.node.night.result import LightCurve
from boundless_skies.node.night.words import describe_curve
from boundless_skies.node.photometry import Target
from boundless_skies.node.photometry.aperture import Aperture, measure_fluxes
from boundless_skies.node.photometry.ensemble import Ensemble
from boundless_skies.node.photometry.exposure import Exposure, TargetLight
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.psf import Psf, Samples
from boundless_skies.node.photometry.psf_fit import psf_light
from boundless_skies.node.photometry.settings import Method, PhotometrySettings

FWHM_PX = 3.0
PAIRS = 12
TARGET_MAG = 11.5


class Crowd:
    """A frame with a dozen targets of one brightness, each with a neighbour at its side.

    The neighbours stand in no catalogue; each lies in another direction.
    """

    def __init__(
        self, seed: int, apart_fwhm: float, fainter_mag: float, profile: Gaussian | Moffat
    ) -> None:
        rng = np.random.default_rng(seed)
        self.profile = profile
        self.seen_as = Observation(profile=profile, shift_px=tuple(rng.uniform(-0.5, 0.5, 2)))
        self.field = StarField.spread(
            rng, rng.uniform(9.5, 12.0, 30), np.full(PAIRS, TARGET_MAG)
        )  # fmt: skip
        self.everything = self._with_neighbours(rng, apart_fwhm, fainter_mag)
        self.exposure = self.everything.expose(self.seen_as, rng)
        fwhm_px = self.exposure.detection.fwhm_px
        self.aperture = Aperture.around(1.5 * fwhm_px, fwhm_px)
        self.ensemble = Ensemble(self.field.stars, self.aperture, gain_known=True)

    def _with_neighbours(
        self, rng: np.random.Generator, apart_fwhm: float, fainter_mag: float
    ) -> StarField:
        targets, turn = self.field.targets, rng.uniform(0.0, 2.0 * math.pi, PAIRS)
        apart_deg = apart_fwhm * self.profile.fwhm_px * self.seen_as.scale_arcsec_px / 3600.0
        squeeze = np.cos(np.radians(targets.dec_deg))
        neighbours = Stars(
            targets.ra_deg + apart_deg * np.cos(turn) / squeeze,
            targets.dec_deg + apart_deg * np.sin(turn),
            targets.mag + fainter_mag,
        )
        return StarField(self.field.stars, targets + neighbours)

    @property
    def true_adu(self) -> float:
        """A target's own light within the circle."""
        light = 10.0 ** (-0.4 * (TARGET_MAG - self.seen_as.zero_point))
        return light * self.profile.within(self.aperture.radius_px)

    def exposures(self) -> list[Exposure]:
        """Return the frame, with one target after the other in its sights."""
        return [
            replace(self.exposure, target=self.field.target(index)) for index in range(PAIRS)
        ]  # fmt: skip

    def fitted(self) -> list[TargetLight]:
        """Measure all targets without their neighbours."""
        found = [psf_light(exposure, self.ensemble) for exposure in self.exposures()]
        return [light for light in found if light is not None]

    def by_aperture(self) -> np.ndarray:
        """Measure all targets in a circle; NaN where that refuses."""

        def light(exposure: Exposure) -> float:
            try:
                return float(exposure.target_light(self.aperture).fluxes.flux[0])
            except FrameError:
                return math.nan

        return np.array([light(exposure) for exposure in self.exposures()])


CROWDS = [
    pytest.param(1.5, 3.0, Gaussian(FWHM_PX), id="a faint one within the circle"),
    pytest.param(1.5, 0.0, Gaussian(FWHM_PX), id="an equal one at the circle's edge"),
    pytest.param(
        2.0, 0.0, Moffat(FWHM_PX), id="an equal one beside the circle", marks=pytest.mark.soak
    ),
    pytest.param(
        1.5, -3.0, Gaussian(FWHM_PX), id="a bright one at the circle's edge", marks=pytest.mark.soak
    ),
    pytest.param(2.0, -3.0, Moffat(FWHM_PX), id="a bright one beside the circle"),
]


@pytest.mark.parametrize(("apart_fwhm", "fainter_mag", "profile"), CROWDS)
def test_a_neighbour_moves_the_circle_but_not_the_fit(
    apart_fwhm: float, fainter_mag: float, profile: Gaussian | Moffat
) -> None:
    """The circle is off by more than 2 %, or finds only the neighbour; the fit by its error."""
    crowd = Crowd(21, apart_fwhm, fainter_mag, profile)
    off = crowd.by_aperture() / crowd.true_adu - 1.0
    assert not (np.abs(off) < 0.005).any()
    known = off[np.isfinite(off)]
    assert not len(known) or abs(np.median(known)) > 0.02
    found = crowd.fitted()
    flux = np.array([float(light.fluxes.flux[0]) for light in found])
    error = np.array([float(light.fluxes.error[0]) for light in found])
    pulls = (flux - crowd.true_adu) / error
    # Twelve pulls: their mean is known to 0.29, their standard deviation to 21 %.
    assert abs(pulls.mean()) < 1.0
    assert 0.5 < pulls.std(ddof=1) < 1.6
    assert np.abs(pulls).max() < 3.5
    assert all((light.neighbours or 0) >= 1 for light in found)


def test_the_stated_error_is_the_scatter() -> None:
    """Over 36 blends, two of three within their error."""
    crowds = [Crowd(seed, 1.5 + seed / 10, 1.0, Gaussian(FWHM_PX)) for seed in range(3)]
    pulls = np.concatenate(
        [
            [
                float((light.fluxes.flux[0] - crowd.true_adu) / light.fluxes.error[0])
                for light in crowd.fitted()
            ]
            for crowd in crowds
        ]
    )
    assert pulls.size == 3 * PAIRS
    # Known to 12 % and to 8 points.
    assert pulls.std() == pytest.approx(1.0, abs=0.3)
    assert (np.abs(pulls) < 1.0).mean() == pytest.approx(0.683, abs=0.2)


def photometer(crowd: Crowd, method: Method) -> Photometer:
    """Make a photometer that knows the comparison stars alone."""
    return Photometer(PhotometrySettings(method=method), catalogue_of(crowd.field.stars))


def test_stars_that_stand_alone_are_measured_as_ever() -> None:
    """To the last digit; the measurement says that there was nothing to take off."""
    alone = Crowd(4, 8.0, 0.0, Gaussian(FWHM_PX))
    exposure = alone.exposures()[0]
    circle, fit, chosen = (photometer(alone, m).measure_exposure(exposure) for m in Method)
    assert fit.measurement == circle.measurement == chosen.measurement
    assert [found.to_dict()["method"] for found in (circle, fit, chosen)] == [
        "aperture", "psf", "aperture",
    ]  # fmt: skip
    assert [found.to_dict()["fitted_neighbours"] for found in (circle, fit, chosen)] == [
        None, 0, None,
    ]  # fmt: skip


def test_a_blend_is_parted_where_wished() -> None:
    """The magnitude is the true one, by psf and by auto; and is no longer called blended."""
    crowd = Crowd(5, 1.5, 0.0, Gaussian(FWHM_PX))
    exposure = crowd.exposures()[0]
    found = {method: photometer(crowd, method).measure_exposure(exposure) for method in Method}
    assert found[Method.APERTURE].measurement.magnitude < TARGET_MAG - 0.1
    assert any("blended" in reason for reason in found[Method.APERTURE].reasons)
    for method in (Method.PSF, Method.AUTO):
        point = found[method].measurement
        assert abs(point.magnitude - TARGET_MAG) < 3.0 * point.uncertainty < 0.1
        assert found[method].to_dict()["method"] == "psf"
        assert found[method].to_dict()["fitted_neighbours"] == 1
        assert found[method].reasons == ()


def test_a_light_curve_in_words_says_that_neighbours_were_taken_off() -> None:
    """With the number of points; a curve measured by the circle says nothing of it."""
    crowd = Crowd(5, 1.5, 0.0, Gaussian(FWHM_PX))
    exposure = crowd.exposures()[0]
    told = {}
    for method in (Method.APERTURE, Method.PSF):
        found = photometer(crowd, method).measure_exposure(exposure)
        told[method] = describe_curve(
            LightCurve(
                target=found.target, filter="CV", points=[found.to_dict()], middles_utc=[MIDDLE]
            )
        )
    assert "The light of neighbouring stars, fitted, is taken off in 1 point." in told[Method.PSF]
    assert "neighbouring" not in told[Method.APERTURE]


def test_a_frame_that_shows_no_star_well_is_measured_by_the_circle() -> None:
    """Two comparison stars tell no image of a star."""
    crowd = Crowd(6, 1.5, 0.0, Gaussian(FWHM_PX))
    two = Ensemble(crowd.field.stars[:2], crowd.aperture, gain_known=True)
    assert psf_light(crowd.exposures()[0], two) is None


def test_a_target_below_its_neighbours_noise_gets_a_limit() -> None:
    """A star 6 mag fainter than the frame shows, beside a bright one: fainter than, not as."""
    crowd = Crowd(7, 2.0, -3.0, Gaussian(FWHM_PX))
    spot = crowd.field.targets
    apart_deg = 2.0 * FWHM_PX * crowd.seen_as.scale_arcsec_px / 3600.0
    empty = Target("Empty", float(spot.ra_deg[0]) + 4.0 * apart_deg, float(spot.dec_deg[0]))
    light = psf_light(replace(crowd.exposure, target=empty), crowd.ensemble)
    assert light is not None
    assert light.is_limit
    assert light.fluxes.flux[0] < 0.2 * crowd.true_adu


@pytest.mark.parametrize(
    "profile", [Gaussian(2.2), Gaussian(4.0), Moffat(3.0), Moffat(3.5, 2.5)], ids=str
)
def test_the_image_of_a_star_is_learnt_from_stars(profile: Gaussian | Moffat) -> None:
    """To 1 % of the peak everywhere, and to 0.5 % in all its light in the circle."""
    seen_as, rng = Observation(profile=profile), np.random.default_rng(2)
    place = np.arange(40.0, 290.0, 50.0)
    x, y = (grid.ravel() + rng.uniform(-0.5, 0.5, 25) for grid in np.meshgrid(place, place))
    image = seen_as.expose(seen_as.clean(x, y, np.full(25, 1e5)), rng)
    fwhm_px = profile.fwhm_px
    aperture = Aperture.around(1.5 * fwhm_px, fwhm_px)
    stars = measure_fluxes(image, image, x, y, aperture, seen_as.gain_e_per_adu)
    samples = Samples.around(image, stars, aperture, fwhm_px, seen_as.gain_e_per_adu)
    psf = Psf.learn(samples, fwhm_px)
    assert psf is not None
    reach = math.ceil(2.0 * fwhm_px)
    truth = profile.light(0.3, -0.2, reach) / profile.within(aperture.radius_px)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    learnt = psf.values(columns.ravel() - 0.3, rows.ravel() + 0.2).reshape(truth.shape)
    assert np.abs(learnt - truth).max() < 0.01 * truth.max()
    within = np.hypot(columns - 0.3, rows + 0.2) < aperture.radius_px
    assert learnt[within].sum() == pytest.approx(truth[within].sum(), rel=0.005)


def test_trailed_stars_are_no_hindrance(tmp_path: Path) -> None:
    """The image is learnt as it is; the target keeps its magnitude."""
    trailed = Camera(height_px=400, width_px=400, elongation=1.8, fwhm_px=3.5)
    path = write_scene(tmp_path / "a.fits", camera=trailed)
    point = Photometer(PhotometrySettings(method=Method.PSF)).measure(path).measurement
    assert point.magnitude == pytest.approx(10.5, abs=0.04)


@pytest.mark.frames
@pytest.mark.skipif(not MORE_FRAMES.exists(), reason="the frames beside the project are absent")
def test_on_trailed_stars_of_a_real_night_both_ways_agree() -> None:
    """The faint neighbours of HAT-P-32 and what the image does not fit move no point by 2 σ."""
    paths = sorted((MORE_FRAMES / "hat-p-32").glob("*.fits.fz"))[:20:4]
    target = Target("HAT-P-32", 31.04275, 46.68783)
    circle, fit = (
        [by.measure(path, target=target) for path in paths]
        for by in (Photometer(PhotometrySettings(method=m)) for m in (Method.APERTURE, Method.PSF))
    )
    assert any(found.to_dict()["fitted_neighbours"] for found in fit)
    for one, other in zip(circle, fit, strict=True):
        moved = abs(one.measurement.magnitude - other.measurement.magnitude)
        assert moved < 2.0 * one.measurement.uncertainty < 0.03
        assert other.measurement.uncertainty < 1.2 * one.measurement.uncertainty

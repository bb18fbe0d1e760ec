"""A target that is not seen: how faint it must be, told as a limit and never as a measurement."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.scenes import DEC_DEG, RA_DEG, write_scene
from tests.support.starfields import Observation, StarField, catalogue_of

from boundless_skies.node import photometry
from boundless_skies.node.errors import TargetNotDetected
from boundless_skies.node.photometry import Target, measure_frame, run_pipeline
from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings
from boundless_skies.node.services import measuring

NOVA = {"name": "Nova", "ra_deg": RA_DEG, "dec_deg": DEC_DEG}
CONFIG = {"photometry": {"target": NOVA}}


@pytest.fixture(autouse=True)
def _nothing_learnt() -> None:
    photometry._shared_photometer.cache_clear()


@pytest.fixture(scope="module")
def empty_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render a frame whose target is far too faint."""
    return write_scene(tmp_path_factory.mktemp("limits") / "f.fits", target_magnitude=25.0)


def test_a_known_place_without_a_star_gives_a_limit(empty_place: Path) -> None:
    """Marked, poor, and with the uncertainty that three sigma have."""
    found = measure_frame(empty_place, CONFIG)
    point = found.measurement
    assert found.is_limit
    assert found.to_dict()["is_limit"] is True
    assert 13.5 < point.magnitude < 16.0
    assert point.snr is not None
    assert point.snr < 3.0
    assert point.quality_flag == "poor"
    assert 0.2 < point.uncertainty < 0.45
    assert found.limit_sentence.endswith(f"it is fainter than {point.magnitude:.2f} mag CV.")


def test_a_limit_goes_to_no_cloud(empty_place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither of the doors that lead there takes it for a measurement; both say how faint."""
    assert run_pipeline(empty_place, CONFIG) is None
    assert "Nova is not seen" in caplog.text
    assert "fainter than" in caplog.text
    outcome = measuring.measure_frame(str(empty_place), CONFIG)
    assert isinstance(outcome, measuring.Refused)
    assert "fainter than" in outcome.reason


def test_the_headers_own_place_gives_no_limit(empty_place: Path) -> None:
    """It may be where the mount pointed; an empty place there says nothing of the target."""
    with pytest.raises(TargetNotDetected, match="signal to noise"):
        measure_frame(empty_place, {})


def test_another_star_at_the_place_gives_no_limit(empty_place: Path) -> None:
    """A bright star one width and a half away shines into the circle."""
    frame = photometry.photometer_for(CONFIG).expose(empty_place)
    brightest = frame.detection.field
    x = brightest.x[0] + 1.3 * frame.detection.fwhm_px
    ra_deg, dec_deg = frame.solution.wcs.all_pix2world(x, brightest.y[0], 0)
    beside = Target("Beside", float(ra_deg), float(dec_deg))
    with pytest.raises(TargetNotDetected, match="no star is seen within"):
        measure_frame(empty_place, CONFIG, target=beside)


class Fading:
    """A dozen targets of one brightness, in many frames."""

    COUNT = 10

    def __init__(self, magnitude: float, frames: int = 12) -> None:
        rng = np.random.default_rng(21)
        field = StarField.spread(rng, rng.uniform(9.5, 12.0, 25), np.full(self.COUNT, magnitude))
        photometer = Photometer(PhotometrySettings(), catalogue_of(field.stars))
        self.found: list[FrameMeasurement] = []
        for frame in range(frames):
            exposure = field.expose(Observation(), rng, minutes=frame)
            for index in range(self.COUNT):
                aimed = replace(exposure, target=field.target(index))
                self.found.append(photometer.measure_exposure(aimed))

    @property
    def limits_mag(self) -> np.ndarray:
        """The limits among the points."""
        return np.array([f.measurement.magnitude for f in self.found if f.is_limit])


def test_stars_that_are_not_there_give_the_depth_of_the_frame() -> None:
    """The limits are those of the sky's noise in the circle, by the formula."""
    nothing = Fading(30.0)
    seen_as, radius_px = Observation(), nothing.found[0].aperture_px
    variance = seen_as.sky_adu / 2.0 + (seen_as.read_noise_e / 2.0) ** 2 + 1.0 / 12.0
    # The ring holds six times the pixels of the circle: its mean is uncertain, too.
    sigma_adu = math.sqrt(math.pi * radius_px**2 * variance * (1.0 + 1.0 / 6.0))
    three_sigma_mag = seen_as.zero_point - 2.5 * math.log10(3.0 * sigma_adu)
    # Noise reaches 3 sigma once in 740, and half of all circles hold a bit more than nothing.
    assert len(nothing.limits_mag) >= 117
    assert np.quantile(nothing.limits_mag, 0.75) == pytest.approx(three_sigma_mag, abs=0.06)
    assert np.median(nothing.limits_mag) <= three_sigma_mag + 0.03


def test_a_star_is_seldom_brighter_than_its_limit() -> None:
    """Stars of 3.7 sigma: those that are missed are fainter than the limit told."""
    faint = Fading(15.9)
    assert 20 <= len(faint.limits_mag) <= 60
    assert (faint.limits_mag < 15.9).mean() > 0.97


def test_weak_light_is_measured_where_it_should_be() -> None:
    """Between 3 and 5 sigma noise would pull the centroid; the mean flux stays true."""
    weak = Fading(15.0)
    seen = [f.measurement.magnitude for f in weak.found if not f.is_limit]
    assert len(seen) > 100
    light = 10.0 ** (-0.4 * (np.array(seen) - 15.0))
    assert light.mean() == pytest.approx(1.0, abs=3.0 * light.std() / math.sqrt(len(seen)))

"""Frames in, measurements out: what comes of a frame, and what is told when nothing does."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.scenes import (
    DEC_DEG,
    MIDDLE,
    MORE_FRAMES,
    RA_DEG,
    REAL_FRAME,
    SMALL_CAMERA,
    write_fits,
    write_scene,
)
from tests.support.starfields import Observation, StarField, catalogue_of

from boundless_skies.demo.rendering import Camera, camera_wcs, render_frame
from boundless_skies.node import photometry
from boundless_skies.node.catalogue import Catalogue, Stars
from boundless_skies.node.errors import (
    FrameError,
    NoComparisonStars,
    NoTarget,
    NotSolved,
    TargetNotDetected,
    TargetOutsideFrame,
    TruncatedFrame,
    UnreadableFrame,
    WrongSetting,
)
from boundless_skies.node.photometry import Target, measure_frame, photometer_for, run_pipeline
from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings
from boundless_skies.sky import Site, airmass, altitude_azimuth_deg, bjd_tdb
from boundless_skies.wire import Measurement, limits

SITE = Site(50.0, 10.0, 350.0)


@pytest.fixture(autouse=True)
def _nothing_learnt() -> None:
    photometry._shared_photometer.cache_clear()


def fresh(**block: Any) -> Photometer:
    """Make a photometer that has seen nothing yet."""
    return Photometer(PhotometrySettings.from_config({"photometry": block}))


def measured(path: Path, **block: Any) -> FrameMeasurement:
    """Measure a frame with a photometer that has seen nothing yet."""
    return fresh(**block).measure(path)


class TestRenderedFrames:
    """On frames whose truth is known."""

    @pytest.mark.parametrize(("magnitude", "within"), [(9.0, 0.01), (10.5, 0.02), (12.0, 0.08)])
    def test_a_star_gets_its_magnitude(
        self, tmp_path: Path, magnitude: float, within: float
    ) -> None:
        """From bright to faint, without knowing where the telescope points exactly."""
        path = write_scene(
            tmp_path / "a.fits", target_magnitude=magnitude, pointing_offset_arcsec=(200.0, -90.0)
        )
        point = measured(path).measurement
        assert point.magnitude == pytest.approx(magnitude, abs=within)
        assert point.uncertainty < within
        assert point.snr >= 1.0857 / point.uncertainty

    def test_every_field_of_the_wire_is_filled(self, tmp_path: Path) -> None:
        """With the truth of the scene."""
        camera = Camera(height_px=400, width_px=400, fwhm_px=3.2)
        path = write_scene(tmp_path / "b.fits", camera=camera, target_name="V1", site=SITE)
        point = measured(path, node_id="node-7").measurement
        altitude_deg, _ = altitude_azimuth_deg(MIDDLE, RA_DEG, DEC_DEG, SITE)
        assert point.target_name == "V1"
        assert point.node_id == "node-7"
        assert point.fits_file == "b.fits"
        assert point.filter == "CV"
        assert point.quality_flag == "good"
        assert point.bjd == pytest.approx(bjd_tdb(MIDDLE, RA_DEG, DEC_DEG, SITE), abs=1e-9)
        assert point.airmass == pytest.approx(airmass(altitude_deg), rel=1e-9)
        assert point.fwhm == pytest.approx(3.2, abs=0.25)
        assert point.zero_point == pytest.approx(camera.zero_point, abs=0.06)
        assert point.zp_scatter < 0.03
        assert point.comparison_stars >= 10

    def test_the_measurement_goes_over_the_wire(self, tmp_path: Path) -> None:
        """Plain JSON, the wire's keys, within the wire's limits."""
        found = run_pipeline(write_scene(tmp_path / "c.fits"), {})
        assert found is not None
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert list(found)[: len(Measurement.__dataclass_fields__)] == list(
            Measurement.__dataclass_fields__
        )
        assert found["is_limit"] is False
        assert limits.BJD_MIN_D < found["bjd"] < limits.BJD_MAX_D
        assert 0 <= found["uncertainty"] < limits.UNCERTAINTY_MAX_MAG
        assert found["airmass"] is None

    def test_the_stated_uncertainty_is_the_scatter(self, tmp_path: Path) -> None:
        """Of 40 frames that drift: about 68 % within one sigma, no bias beyond the zero point's."""
        photometer, rng = fresh(), np.random.default_rng(8)
        points = []
        for seed in range(40):
            offset = tuple(rng.normal(0.0, 40.0, 2))
            path = write_scene(
                tmp_path / "d.fits", seed=seed, target_magnitude=11.0, pointing_offset_arcsec=offset
            )
            points.append(photometer.measure(path).measurement)
        miss = np.array([point.magnitude - 11.0 for point in points])
        pulls = (miss - miss.mean()) / np.array([point.uncertainty for point in points])
        assert abs(miss.mean()) < 0.01
        assert 0.7 < pulls.std() < 1.25
        assert 0.55 <= (np.abs(pulls) < 1).mean() <= 0.85

    def test_the_same_frame_gives_the_same_measurement(self, tmp_path: Path) -> None:
        """Whoever measures it first."""
        path = write_scene(tmp_path / "e.fits")
        assert measured(path).measurement == measured(path).measurement

    def test_a_solution_in_the_header_gives_the_same(self, tmp_path: Path) -> None:
        """The header's WCS only saves the search."""
        without = measured(write_scene(tmp_path / "f.fits")).measurement
        within = measured(write_scene(tmp_path / "f.fits", with_wcs=True)).measurement
        assert within.magnitude == pytest.approx(without.magnitude, abs=0.002)

    def test_the_place_in_the_file_is_told(self, tmp_path: Path) -> None:
        """In the file's own pixels."""
        offset = (150.0, 80.0)
        found = measured(write_scene(tmp_path / "g.fits", pointing_offset_arcsec=offset))
        wcs = camera_wcs(SMALL_CAMERA, RA_DEG, DEC_DEG, offset)
        x, y = wcs.all_world2pix(RA_DEG, DEC_DEG, 0)
        assert (found.x_px, found.y_px) == pytest.approx((float(x), float(y)), abs=0.15)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render one frame for many tests."""
    return write_scene(tmp_path_factory.mktemp("frames") / "frame.fits", site=SITE)


@pytest.fixture(scope="module")
def other() -> Target:
    """Choose another star of that frame."""
    return Target("Other", *_star_near(RA_DEG, DEC_DEG, 0.2, 9.0, 11.0)[:2])


class TestWhatIsMeasured:
    """Target, filter and site: the caller wins over the config, the config over the header."""

    def test_the_target_comes_from_caller_config_or_header(self, path: Path, other: Target) -> None:
        """In this order."""
        block = {"name": "Other", "ra_deg": other.ra_deg, "dec_deg": other.dec_deg}
        assert measure_frame(path, {}).target.name == "Target"
        assert measure_frame(path, {"photometry": {"target": block}}).target == other
        caller = Target("Mine", RA_DEG, DEC_DEG)
        assert (
            measure_frame(path, {"photometry": {"target": block}}, target=caller).target == caller
        )

    def test_a_name_alone_renames_the_headers_target(self, path: Path) -> None:
        """The position stays the header's."""
        found = measure_frame(
            path, {"photometry": {"target": {"name": "V1 Nowhere", "ra_deg": None}}}
        )
        assert found.target == Target("V1 Nowhere", RA_DEG, DEC_DEG)

    def test_a_target_without_a_name_is_called_by_its_position(self) -> None:
        """Two of them are not mixed up."""
        assert Target.at(300.0, -5.5).name == "J300.0000-5.5000"

    def test_catalogue_stars_are_measured_too(self, path: Path, other: Target) -> None:
        """One is not compared with itself."""
        star = Catalogue.load().cone(other.ra_deg, other.dec_deg, 1 / 3600)
        found = measure_frame(path, {}, target=other).measurement
        assert found.magnitude == pytest.approx(star.mag[0], abs=0.03)

    def test_the_config_wins_over_the_header(self, path: Path) -> None:
        """Filter and site; 0/0 is an unset config."""
        config = {
            "photometry": {"filter_name": "V"},
            "observatory": {"latitude": 0, "longitude": 0},
        }
        point = measure_frame(path, config).measurement
        assert point.filter == "V"
        assert point.airmass == measure_frame(path, {}).measurement.airmass
        config["observatory"] = {"latitude": 60.0, "longitude": 10.0}
        assert measure_frame(path, config).measurement.airmass != point.airmass

    def test_equal_configs_share_a_photometer(self) -> None:
        """So that run_pipeline keeps a night's ensemble."""
        first = photometer_for({"photometry": {"node_id": "a"}, "cloud": {"url": "x"}})
        assert photometer_for({"photometry": {"node_id": "a"}, "cloud": {"url": "y"}}) is first
        assert photometer_for({"photometry": {"node_id": "b"}}) is not first

    def test_two_filters_of_one_band_do_not_share_comparison_stars(self, tmp_path: Path) -> None:
        """What one has taught of a star's colour is not true behind the other."""
        clear, dual = (
            write_scene(tmp_path / f"{name}.fits", seed=seed, changes={"FILTER": name})
            for seed, name in enumerate(("L", "IRCUT"))
        )
        photometer = fresh()
        photometer.measure(clear)
        second, third = photometer.measure(dual), photometer.measure(clear)
        assert second.measurement.filter == third.measurement.filter == "CV"
        assert second.provenance["check_star"]["frames"] == 1
        assert third.provenance["check_star"]["frames"] == 2
        assert second.measurement.magnitude == pytest.approx(
            measured(dual).measurement.magnitude, abs=1e-6
        )

    def test_a_first_frame_without_a_gain_says_that_its_noise_is_a_guess(
        self, tmp_path: Path
    ) -> None:
        """The second one rests on the comparison stars; where the gain is told, on that."""
        without = [
            write_scene(tmp_path / f"{seed}.fits", seed=seed, changes={"EGAIN": None})
            for seed in range(2)
        ]
        photometer = fresh()
        told = [photometer.measure(path).to_dict()["noise_from"] for path in without]
        assert told == ["guess", "comparison stars"]
        assert measured(without[0], gain_e_per_adu=0.8).to_dict()["noise_from"] == "gain"

    @pytest.mark.parametrize(
        ("config", "key", "wanted"),
        [
            ({"photometry": {"channel": "violet"}}, "photometry.channel", "one of luminance"),
            ({"photometry": {"method": "eye"}}, "photometry.method", "aperture, psf, auto"),
            ({"photometry": {"gain_e_per_adu": "high"}}, "photometry.gain_e_per_adu", "a number"),
            ({"photometry": {"catalogues": ["usno"]}}, "photometry.catalogues", "bundled"),
            ({"observatory": {"latitude": "N", "longitude": 1}}, "observatory.latitude", "number"),
        ],
    )
    def test_a_config_that_makes_no_sense_is_told_by_the_nodes_own_error(
        self, config: dict[str, Any], key: str, wanted: str
    ) -> None:
        """Before any frame is read: it is wrong for all of them."""
        with pytest.raises(WrongSetting) as caught:
            run_pipeline("no-such-frame.fits", config)
        assert caught.value.key == key
        assert str(caught.value).startswith(f"{key} is ")
        assert wanted in str(caught.value)

    @pytest.mark.parametrize("config", [{}, {"photometry": None, "observatory": None}])
    def test_everything_has_a_default(self, config: dict[str, Any]) -> None:
        """An empty config measures."""
        assert PhotometrySettings.from_config(config) == PhotometrySettings()


class TestRefusals:
    """A frame that cannot be measured is told in one clear line."""

    def refusal(self, path: Path, kind: type[FrameError], caplog: Any, **block: Any) -> str:
        """Measure in vain; return the line, which both doors tell."""
        with pytest.raises(kind) as caught:
            measured(path, **block)
        line = str(caught.value)
        assert "\n" not in line
        assert type(caught.value) is kind
        with caplog.at_level(logging.INFO, logger="boundless_skies"):
            assert run_pipeline(path, {"photometry": block}) is None
        (record,) = caplog.records
        assert record.name == "boundless_skies.node.photometry"
        assert record.getMessage() == f"{path}: {line}"
        return line

    def test_a_target_outside(self, tmp_path: Path, caplog: Any) -> None:
        """With the distance, and where the frame points."""
        path = write_scene(tmp_path / "a.fits", pointing_offset_arcsec=(0.0, 2000.0))
        line = self.refusal(path, TargetOutsideFrame, caplog)
        assert "lies 0.56° from the frame's centre" in line
        assert "outside of its 0.53° × 0.53°" in line

    def test_a_target_that_is_not_there(self, tmp_path: Path, caplog: Any) -> None:
        """As where the header's position is only the mount's belief."""
        path = write_scene(tmp_path / "b.fits", target_magnitude=25.0)
        line = self.refusal(path, TargetNotDetected, caplog)
        assert "Target (RA 300.0000°, Dec +35.0000°) is not detected" in line
        assert "--ra and --dec" in line

    def test_no_comparison_stars(self, tmp_path: Path, caplog: Any) -> None:
        """All saturated, all too faint, or none catalogued."""
        path = write_scene(tmp_path / "c.fits", changes={"SATURATE": 1200.0})
        line = self.refusal(path, NoComparisonStars, caplog)
        assert line.startswith("0 comparison stars")
        assert "3 are needed" in line

    def test_comparison_stars_that_disagree(self) -> None:
        """Enough are seen: the line does not ask for more of them."""
        rng = np.random.default_rng(3)
        field = StarField.spread(rng, rng.uniform(9.5, 11.5, 12), np.array([10.5]))
        changes_mag = np.append(np.linspace(-1.5, 1.5, 12), 0.0)
        photometer = Photometer(PhotometrySettings(), catalogue_of(field.stars))
        photometer.measure_exposure(field.expose(Observation(), rng))
        with pytest.raises(NoComparisonStars) as caught:
            photometer.measure_exposure(
                field.expose(Observation(), rng, changes_mag=changes_mag, minutes=1.0)
            )
        assert caught.value.values["usable"] >= caught.value.values["needed"] == 3
        assert "fewer than 3 agree with each other" in str(caught.value)
        assert "are needed" not in str(caught.value)

    def test_a_sky_without_stars(self, tmp_path: Path, caplog: Any) -> None:
        """Clouds."""
        clouds = Camera(height_px=400, width_px=400, zero_point=12.0)
        path = write_scene(tmp_path / "d.fits", camera=clouds)
        assert "look for clouds" in self.refusal(path, NotSolved, caplog)

    def test_a_wrong_pointing(self, tmp_path: Path, caplog: Any) -> None:
        """Told with the place and scale that were tried."""
        path = write_scene(
            tmp_path / "e.fits", changes={"RA": 120.0, "DEC": 0.0},
            camera=Camera(height_px=300, width_px=300),
        )  # fmt: skip
        line = self.refusal(path, NotSolved, caplog)
        assert "near RA 120.000°, Dec +0.000° at 4.78″/px" in line

    def test_no_target(self, tmp_path: Path, caplog: Any) -> None:
        """Neither config nor header names one."""
        path = write_scene(tmp_path / "f.fits", changes={"RA": None, "DEC": None})
        assert "--target, --ra and --dec" in self.refusal(path, NoTarget, caplog)

    def test_a_truncated_file(self, tmp_path: Path, caplog: Any) -> None:
        """Before anything is measured."""
        path = write_scene(tmp_path / "g.fits")
        path.write_bytes(path.read_bytes()[:100_000])
        assert "the end is missing" in self.refusal(path, TruncatedFrame, caplog)

    def test_no_fits(self, tmp_path: Path, caplog: Any) -> None:
        """A picture under a wrong name."""
        path = tmp_path / "h.fits"
        path.write_bytes(b"\x89PNG" + bytes(5000))
        assert "no FITS file" in self.refusal(path, UnreadableFrame, caplog)

    @pytest.mark.parametrize(
        "pixels",
        [np.zeros((100, 100), np.uint16), np.full((100, 100), 65_535, np.uint16),
         np.full((100, 100), np.nan, np.float32)],
        ids=["black", "white", "no numbers"],
    )  # fmt: skip
    def test_an_even_image(self, tmp_path: Path, caplog: Any, pixels: np.ndarray) -> None:
        """Cap on, in daylight, or broken."""
        path = write_fits(tmp_path / "i.fits", pixels, RA=RA_DEG, DEC=DEC_DEG)
        assert "0 stars are seen" in self.refusal(path, NotSolved, caplog)


class TestQuality:
    """What the frame shows becomes a flag."""

    def test_a_saturated_target_is_poor(self, tmp_path: Path) -> None:
        """Its magnitude is a lower bound."""
        found = measured(write_scene(tmp_path / "a.fits", target_magnitude=6.0))
        assert found.measurement.quality_flag == "poor"
        assert "saturated" in found.reasons

    def test_trailed_stars_are_told(self, tmp_path: Path) -> None:
        """And still measured."""
        trailed = Camera(height_px=400, width_px=400, elongation=2.2, fwhm_px=3.5)
        found = measured(write_scene(tmp_path / "b.fits", camera=trailed))
        assert found.measurement.quality_flag == "acceptable"
        assert found.reasons == ("trailed",)
        assert found.measurement.magnitude == pytest.approx(10.5, abs=0.04)

    def test_a_faint_target_is_poor(self, tmp_path: Path) -> None:
        """Signal to noise below 10."""
        found = measured(write_scene(tmp_path / "c.fits", target_magnitude=13.9))
        assert 5.0 <= (found.measurement.snr or 0.0) < 12.0
        assert found.reasons in {("very low SNR",), ("low SNR",)}


class TestRealFrames:
    """On frames that a telescope took."""

    def test_the_committed_frame_is_solved_and_calibrated(self) -> None:
        """T Sex lies between V 9.8 and 10.3; the catalogue ties it to 0.11 mag a star."""
        found = measure_frame(REAL_FRAME, {})
        point = found.measurement
        assert point.target_name == "T Sex"
        assert 9.7 < point.magnitude < 10.4
        assert point.comparison_stars >= 25
        assert point.zp_scatter < 0.13
        assert point.uncertainty < 0.04
        assert point.quality_flag == "good"
        assert (found.x_px, found.y_px) == pytest.approx((285.7, 350.0), abs=0.7)

    @pytest.mark.frames
    @pytest.mark.skipif(not MORE_FRAMES.exists(), reason="the frames beside the project are absent")
    def test_a_raw_seestar_frame_is_measured(self) -> None:
        """A star of known brightness near M 94, on the Bayer image."""
        path = MORE_FRAMES / "seestar" / "Light_M_94_10.0s_IRCUT_20250326-212046.fit.fz"
        star = _star_near(192.72, 41.1, 0.4, 9.0, 10.5)
        found = measure_frame(path, {}, target=Target.at(*star[:2], "star"))
        assert found.measurement.magnitude == pytest.approx(star[2], abs=0.35)
        assert found.measurement.fwhm == pytest.approx(3.8, abs=1.5)
        assert found.measurement.comparison_stars >= 5


def _star_near(
    ra_deg: float, dec_deg: float, radius_deg: float, brightest: float, faintest: float
) -> tuple[float, float, float]:
    stars: Stars = Catalogue.load().cone(ra_deg, dec_deg, radius_deg, mag_limit=faintest)
    stars = stars[stars.mag > brightest]
    return float(stars.ra_deg[0]), float(stars.dec_deg[0]), float(stars.mag[0])


def test_rendering_is_deterministic() -> None:
    """Equal seeds, equal frames."""
    frames = [
        render_frame(
            Catalogue.load(), RA_DEG, DEC_DEG, rng=np.random.default_rng(5),
            mid_exposure_utc=MIDDLE, camera=SMALL_CAMERA,
        )
        for _ in range(2)
    ]  # fmt: skip
    assert (frames[0][0] == frames[1][0]).all()
    assert frames[0][1].tostring() == frames[1][1].tostring()

"""Flags on rendered frames: one that has the fault, and one that only nearly has it."""

import math
from pathlib import Path

import numpy as np
import pytest
import sep
from tests.support.blemishes import Blemished, add_star, disc, spot, trail, write_blemished
from tests.support.scenes import MORE_FRAMES, REAL_FRAME

from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.photometry.blending import share_within
from boundless_skies.node.photometry.detection import detect
from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings, Target
from boundless_skies.wire.quality_reasons import reasons_of

CLEAR = Blemished()
MIDDLE_PX = 199.5


def series(folder: Path, *frames: Blemished) -> FrameMeasurement:
    """Measure frames one after the other; return what came of the last one."""
    photometer = Photometer(PhotometrySettings())
    found = [
        photometer.measure(write_blemished(folder / f"{i}.fits", frame, seed=i, minutes=float(i)))
        for i, frame in enumerate(frames)
    ]
    last = found[-1]
    assert last.flags == sum(reason.mask for reason in reasons_of(last.flags))
    assert tuple(reason.name for reason in reasons_of(last.flags)) == last.reasons
    return last


def dimmed(magnitudes: float, *, from_x: float = -1e9) -> Blemished:
    """Draw clouds over the frame, or over its part beyond a column."""
    return Blemished(dimming_mag=lambda x, _y: np.where(x > from_x, magnitudes, 0.0))


def light_within(found: FrameMeasurement, away_x: float, away_y: float) -> float:
    """Return the share of a star's light in the aperture as it was laid, by drawing the star."""
    image = np.zeros((401, 401))
    add_star(image, spot(2.6), MIDDLE_PX + away_x, MIDDLE_PX + away_y, 1.0)
    share, _, _ = sep.sum_circle(image, [found.x_px], [found.y_px], found.aperture_px, subpix=0)
    return float(share[0])


class TestClouds:
    """Light that does not come through."""

    @pytest.mark.parametrize(
        ("magnitudes", "reasons"),
        [(0.2, ()), (0.45, ("clouds",)), (0.9, ("clouds",)), (1.2, ("thick clouds",))],
    )
    def test_clouds_over_all_of_the_frame_show_against_the_clear_frames(
        self, tmp_path: Path, magnitudes: float, reasons: tuple[str, ...]
    ) -> None:
        """And still the star keeps its magnitude."""
        found = series(tmp_path, CLEAR, CLEAR, CLEAR, dimmed(magnitudes))
        assert found.reasons == reasons
        assert found.measurement.magnitude == pytest.approx(10.5, abs=0.03)

    def test_clouds_in_the_first_frames_show_in_the_later_ones(self, tmp_path: Path) -> None:
        """Clear is what the clear frames are like, in whatever order they come."""
        found = series(tmp_path, dimmed(0.8), CLEAR, CLEAR, CLEAR, dimmed(0.8))
        assert found.reasons == ("clouds",)

    @pytest.mark.parametrize(("magnitudes", "reasons"), [(0.3, ()), (1.3, ("patchy clouds",))])
    def test_a_cloud_over_a_part_of_the_frame_shows_in_a_single_one(
        self, tmp_path: Path, magnitudes: float, reasons: tuple[str, ...]
    ) -> None:
        """Its stars are too faint for the zero point of the others."""
        found = series(tmp_path, dimmed(magnitudes, from_x=240.0))
        assert set(found.reasons) - {"scattered zero point"} == set(reasons)

    @pytest.mark.parametrize(
        ("site", "reasons"),
        [({"latitude": 35.0, "longitude": 50.0}, ()), ({}, ("clouds",))],
        ids=["site known", "site unknown"],
    )
    def test_the_airs_own_extinction_is_no_cloud(
        self, tmp_path: Path, site: dict[str, float], reasons: tuple[str, ...]
    ) -> None:
        """From the zenith to airmass 2.4 the air alone takes 0.28 mag of these 0.45."""
        photometer = Photometer(PhotometrySettings.from_config({"observatory": site}))
        nights = [(0.0, CLEAR), (1.0, CLEAR), (2.0, CLEAR), (330.0, dimmed(0.45))]
        for minutes, frame in nights:
            path = write_blemished(tmp_path / "a.fits", frame, minutes=minutes)
            found = photometer.measure(path)
        assert found.measurement.airmass == (pytest.approx(2.4, abs=0.1) if site else None)
        assert found.reasons == reasons

    @pytest.mark.parametrize(
        ("changes", "reasons"),
        [({"EGAIN": 1.6}, ()), ({"FILTER": "LP"}, ()), ({}, ("clouds",))],
        ids=["gain", "filter", "nothing"],
    )
    def test_another_setting_of_the_camera_is_no_cloud(
        self, tmp_path: Path, changes: dict[str, object], reasons: tuple[str, ...]
    ) -> None:
        """Half of the numbers for the same light."""
        photometer = Photometer(PhotometrySettings())
        for seed in range(3):
            photometer.measure(write_blemished(tmp_path / "a.fits", CLEAR, seed=seed))
        path = write_blemished(tmp_path / "a.fits", CLEAR, zero_point=21.5, changes=changes)
        assert photometer.measure(path).reasons == reasons


class TestFocus:
    """Stars that are too wide."""

    @pytest.mark.parametrize(
        ("fwhm_px", "reasons"),
        [(3.5, ()), (4.6, ("out of focus",)), (7.5, ("badly out of focus",))],
    )
    def test_stars_wider_than_in_the_sharp_frames(
        self, tmp_path: Path, fwhm_px: float, reasons: tuple[str, ...]
    ) -> None:
        """1.3, 1.8 and 2.9 times; what falls beside the aperture counts as no cloud."""
        found = series(tmp_path, CLEAR, CLEAR, CLEAR, Blemished(star=spot(fwhm_px)))
        assert found.reasons == reasons

    def test_a_telescope_that_is_focused_later_makes_its_first_frame_no_measure(
        self, tmp_path: Path
    ) -> None:
        """Sharp is what the sharp frames are like, in whatever order they come."""
        wide = Blemished(star=spot(4.6))
        assert series(tmp_path, wide).reasons == ()
        assert series(tmp_path, wide, CLEAR, CLEAR, CLEAR, wide).reasons == ("out of focus",)

    @pytest.mark.parametrize(
        ("star", "reasons"),
        [
            (spot(4.6), ()),
            (spot(6.0), ("out of focus",)),
            (disc(3.0, 0.0, 2.0), ("out of focus",)),
            (disc(4.0, 1.6, 2.0), ("out of focus",)),
            (disc(8.0, 3.2, 2.0), ("out of focus",)),
        ],
        ids=["22 arcsec", "29 arcsec", "disc", "ring", "ring in pieces"],
    )
    def test_a_single_frame_tells_by_its_stars_shape_and_size(
        self, tmp_path: Path, star: np.ndarray, reasons: tuple[str, ...]
    ) -> None:
        """Discs and rings are no stars; a ring that falls apart is put together again."""
        found = series(tmp_path, Blemished(star=star, target_magnitude=9.0))
        assert found.reasons == reasons
        assert found.measurement.magnitude == pytest.approx(9.0, abs=0.03)

    @pytest.mark.parametrize(
        ("star", "low", "high"),
        [
            (spot(4.6), 1.8, 2.2),
            (trail(2.6, 8.0), 1.8, 4.0),
            (disc(5.0, 0.0, 2.0), 0.9, 1.3),
            (disc(5.0, 2.0, 2.0), 0.0, 0.5),
            (disc(12.0, 5.0, 2.0), 0.0, 0.3),
        ],
        ids=["star", "trail", "disc", "ring", "large ring"],
    )
    def test_the_concentration_tells_stars_from_discs_and_rings(
        self, tmp_path: Path, star: np.ndarray, low: float, high: float
    ) -> None:
        """2 for a Gaussian, 1 for a disc; a trail is none."""
        detection = detect(read_frame(write_blemished(tmp_path / "a.fits", Blemished(star=star))))
        assert detection.concentration is not None
        assert low < detection.concentration < high

    def test_small_stars_have_no_shape(self, tmp_path: Path) -> None:
        """2.6 pixels are too few to tell."""
        assert detect(read_frame(write_blemished(tmp_path / "a.fits", CLEAR))).concentration is None


class TestTrails:
    """Stars that are too long."""

    @pytest.mark.parametrize(
        ("length_px", "reasons"),
        [(4.0, ()), (7.0, ("trailed",)), (13.0, ("badly trailed",))],
    )
    def test_a_mount_that_does_not_follow(
        self, tmp_path: Path, length_px: float, reasons: tuple[str, ...]
    ) -> None:
        """All stars are long in the same way."""
        found = series(tmp_path, Blemished(star=trail(2.6, length_px), target_magnitude=9.5))
        assert [name for name in found.reasons if "trailed" in name] == list(reasons)
        assert found.measurement.magnitude == pytest.approx(9.5, abs=0.03)

    def test_one_long_galaxy_is_no_trail(self, tmp_path: Path) -> None:
        """It is the stars that tell."""
        assert series(tmp_path, Blemished(galaxy=spot(4.0, 16.0))).reasons == ()


class TestBlends:
    """Light of a neighbour in the aperture."""

    @pytest.mark.parametrize(
        ("away_px", "magnitude", "reason"),
        [
            (5.0, 10.5, "blended"),
            (4.2, 10.5, "badly blended"),
            (5.0, 13.5, None),
            (12.0, 8.5, None),
        ],
    )
    def test_a_star_that_no_catalogue_knows_is_seen_in_the_frame(
        self, tmp_path: Path, away_px: float, magnitude: float, reason: str | None
    ) -> None:
        """And how much of the light in the aperture is its own, to 40 %."""
        beside = (away_px * 0.8, away_px * 0.6, magnitude)
        found = series(tmp_path, Blemished(neighbours=[beside]))
        own, foreign = (
            light_within(found, *place) * 10.0 ** (-0.4 * mag)
            for *place, mag in [(0.0, 0.0, 10.5), beside]
        )
        truth = foreign / (own + foreign)
        assert [name for name in found.reasons if "blended" in name] == ([reason] if reason else [])
        if reason is not None:
            (remark,) = (line for line in found.verdict.remarks if "blended" in line)
            told = float(remark.partition("about ")[2].partition("%")[0]) / 100.0
            assert told == pytest.approx(truth, rel=0.4)
            assert found.measurement.magnitude < 10.5 + 2.5 * math.log10(1.0 - truth) + 0.03

    @pytest.mark.parametrize(
        ("away_px", "radius_px", "share"),
        [(0.0, 2.0, 1 - 2.0 ** -((2.0 / 1.5) ** 2)), (0.0, 30.0, 1.0), (20.0, 4.0, 0.0)],
    )
    def test_the_share_of_a_gaussians_light_in_a_circle(
        self, away_px: float, radius_px: float, share: float
    ) -> None:
        """As the formula has it in the middle, and all or nothing far from the rim."""
        assert share_within(away_px, radius_px, 3.0) == pytest.approx(share, abs=0.01)

    def test_half_of_a_sharp_stars_light_falls_into_a_circle_through_it(self) -> None:
        """Where the rim is nearly straight."""
        assert share_within(40.0, 40.0, 10.0) == pytest.approx(0.5, abs=0.03)


def test_saturated_stars_are_not_compared_with(tmp_path: Path) -> None:
    """Ten times the light: the bright stars are full, and the zero point does not feel it."""
    faint = Photometer(PhotometrySettings()).measure(
        write_blemished(tmp_path / "a.fits", Blemished(target_magnitude=11.5))
    )
    bright = Photometer(PhotometrySettings()).measure(
        write_blemished(tmp_path / "b.fits", Blemished(target_magnitude=11.5), zero_point=24.8)
    )
    assert bright.measurement.comparison_stars < faint.measurement.comparison_stars
    assert bright.measurement.zero_point == pytest.approx(24.8, abs=0.05)
    assert bright.measurement.magnitude == pytest.approx(11.5, abs=0.03)


@pytest.mark.frames
@pytest.mark.skipif(not MORE_FRAMES.exists(), reason="the frames beside the project are absent")
class TestRealFrames:
    """A fault that is not there is not told."""

    def test_a_clear_night_is_flagged_nowhere(self) -> None:
        """From the meridian to airmass 1.8, with stars from 2.0 to 2.9 pixels wide."""
        photometer = Photometer(PhotometrySettings())
        target = Target("HAT-P-32", 31.04275, 46.68783)
        paths = sorted((MORE_FRAMES / "hat-p-32").glob("*.fits.fz"))[::6]
        assert [photometer.measure(path, target=target).verdict.remarks for path in paths] == (
            [()] * len(paths)
        )
        assert len(paths) == 8

    def test_frames_of_other_cameras_are_sharp(self) -> None:
        """Raw Seestar frames, and the committed one."""
        seestars = sorted((MORE_FRAMES / "seestar").glob("*M_94*.fz"))
        for path in (*seestars, REAL_FRAME):
            photometer = Photometer(PhotometrySettings())
            exposure = photometer.expose(path, target=Target("M 94", 192.72, 41.12))
            assert exposure.detection.fwhm_px * exposure.scale_arcsec_px < 15.0
            assert exposure.detection.concentration is None
        assert len(seestars) == 2

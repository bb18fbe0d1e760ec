"""Many frames for one point: a star too faint for each of them comes out right."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tests.support.scenes import DEC_DEG, MIDDLE, RA_DEG, write_scene
from tests.support.starfields import Gaussian, Observation, StarField, catalogue_of

from boundless_skies.node.config import defaults
from boundless_skies.node.errors import TargetNotDetected
from boundless_skies.node.main import node
from boundless_skies.node.night.run import MeasuredFrame, Night
from boundless_skies.node.night.stacking import FullStack, StackPlan, Stacks
from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings, Target
from boundless_skies.node.photometry.stacking import Reading, stack, stacked_light

FAINT_MAG = 16.5
TARGETS = 8
FRAMES = 16


class Series:
    """Frames of some comparison stars and of faint targets; they drift, turn and lose focus."""

    def __init__(
        self, target_mag: float, frames: int, clouds_mag: float = 0.0, seed: int = 7
    ) -> None:
        rng = np.random.default_rng(seed)
        self.field = StarField.spread(
            rng, np.linspace(9.5, 11.5, 14), np.full(TARGETS, target_mag), apart_deg=0.02
        )
        self.mag = target_mag
        everything = len(self.field.stars) + TARGETS
        self.exposures = [
            self.field.expose(
                Observation(
                    shift_px=(0.37 * n, -0.23 * n),
                    rotation_deg=0.4 * n,
                    gain_e_per_adu=1.0,
                    profile=Gaussian(3.0 + 0.03 * n),
                ),
                rng,
                minutes=2.0 * n,
                changes_mag=np.full(everything, clouds_mag * (n % 2)),
            )
            for n in range(frames)
        ]

    def photometer(self, index: int) -> Photometer:
        """Return one that knows a target's place, and takes the same circle for all."""
        settings = PhotometrySettings(target=self.field.target(index), aperture_radius_px=4.0)
        return Photometer(settings, catalogue_of(self.field.stars))

    def of_target(self, index: int) -> list[Exposure]:
        """Return the exposures with a target in their sights."""
        return [replace(one, target=self.field.target(index)) for one in self.exposures]

    def readings(self, index: int) -> list[Reading]:
        """Return what they tell of a target."""
        photometer = self.photometer(index)
        return [photometer.read(exposure) for exposure in self.of_target(index)]


@pytest.fixture(scope="module")
def faint() -> list[list[Reading]]:
    """Read 16 frames for each of 8 targets that none of them shows."""
    series = Series(FAINT_MAG, FRAMES)
    return [series.readings(index) for index in range(TARGETS)]


def test_a_star_that_no_frame_shows_comes_out_of_sixteen(faint: list[list[Reading]]) -> None:
    """Each frame gives a limit; together they measure it, with the right magnitude."""
    series = Series(FAINT_MAG, 2)
    singles = [
        series.photometer(index).measure_exposure(series.of_target(index)[0])
        for index in range(TARGETS)
    ]
    assert sum(single.is_limit for single in singles) >= TARGETS - 1
    points = [stack(readings).found for readings in faint]
    seen = [point for point in points if not point.is_limit]
    assert len(seen) >= TARGETS - 1
    off = [
        (point.measurement.magnitude - FAINT_MAG) / point.measurement.uncertainty for point in seen
    ]
    assert max(map(abs, off)) < 3.5
    assert abs(np.mean(off)) < 3.0 / math.sqrt(len(off))
    assert points[0].measurement.snr == pytest.approx(stacked_light(faint[0]).snr)
    assert points[0].provenance["stacked_frames"] == FRAMES
    assert points[0].provenance["exposure_s"] == 60.0 * FRAMES


def test_stacked_light_is_unbiased_and_scatters_as_stated(faint: list[list[Reading]]) -> None:
    """Over eight targets, with those that noise made fainter than nothing."""
    truth = 10.0 ** (-0.4 * FAINT_MAG)
    lights = [stacked_light(readings) for readings in faint]
    off = np.array([(light.flux - truth) / light.error for light in lights])
    assert abs(off.mean()) < 3.0 / math.sqrt(TARGETS)
    assert 0.4 < off.std(ddof=1) < 1.8
    single = np.array([[_off(reading, truth) for reading in readings] for readings in faint])
    assert abs(single.mean()) < 3.0 / math.sqrt(single.size)
    assert single.std() == pytest.approx(1.0, abs=0.2)


def _off(reading: Reading, truth: float) -> float:
    light = stacked_light([reading])
    return (light.flux - truth) / light.error


def test_signal_to_noise_grows_with_the_root_of_the_frames(faint: list[list[Reading]]) -> None:
    """Four times the frames halve the error."""
    for few in (1, 4):
        ratios = [
            stacked_light(readings[:few]).error / stacked_light(readings[: 4 * few]).error
            for readings in faint
        ]
        assert np.mean(ratios) == pytest.approx(2.0, abs=0.06)
    snr = [np.mean([stacked_light(readings[:n]).snr for readings in faint]) for n in (4, 16)]
    assert snr[1] / snr[0] == pytest.approx(2.0, abs=0.7)


def test_an_empty_place_gives_a_deeper_limit() -> None:
    """Sixteen frames reach 1.5 mag deeper than one."""
    series = Series(30.0, FRAMES)
    depths = []
    for index in range(TARGETS):
        readings = series.readings(index)
        one, all_of_them = stack(readings[:1]).found, stack(readings).found
        assert one.is_limit
        if all_of_them.is_limit:
            depths.append(all_of_them.measurement.magnitude - one.measurement.magnitude)
    assert len(depths) >= TARGETS - 1
    assert np.median(depths) == pytest.approx(1.5, abs=0.3)


def test_clouds_weigh_less_and_move_nothing() -> None:
    """Every other frame gets 1 mag less light: each is tied by its own zero point."""
    series = Series(13.0, 8, clouds_mag=1.0)
    readings = series.readings(0)
    light, point = stacked_light(readings), stack(readings).found.measurement
    assert light.shares[1] < 0.6 * light.shares[0]
    assert light.shares.sum() == pytest.approx(1.0)
    assert point.magnitude == pytest.approx(13.0, abs=3.0 * point.uncertainty)
    assert point.uncertainty < 0.03


def test_a_bright_star_s_stack_is_the_mean_of_its_frames() -> None:
    """The same as from the single points, at the middle of their times, with less error."""
    series = Series(11.0, 4)
    photometer = series.photometer(0)
    singles = [photometer.measure_exposure(one).measurement for one in series.of_target(0)]
    stacked = stack(series.readings(0))
    point = stacked.found.measurement
    mean = np.mean([single.magnitude for single in singles])
    assert point.magnitude == pytest.approx(mean, abs=0.002)
    assert point.bjd == pytest.approx(np.mean([s.bjd for s in singles]), abs=6e-5)
    away_s = (stacked.middle_utc - series.exposures[0].frame.facts.mid_exposure_utc).total_seconds()
    assert away_s == pytest.approx(180.0, abs=5.0)
    snr = [single.snr or 0.0 for single in singles]
    assert point.snr == pytest.approx(2.0 * np.mean(snr), rel=0.03)
    assert point.uncertainty < 0.8 * np.mean([single.uncertainty for single in singles])
    assert point.fits_file == singles[0].fits_file


def test_a_noise_factor_below_one_counts() -> None:
    """Where the gain was a guess that was too small, the series has taught that noise is less."""
    readings = Series(12.0, 4).readings(0)
    plain, less = (
        stacked_light([replace(reading, noise_factor=factor) for reading in readings])
        for factor in (1.0, 0.5)
    )
    assert less.error == plain.error
    tied = plain.whole_error**2 - plain.error**2
    assert less.whole_error**2 == pytest.approx(tied + plain.error**2 / 4.0)


def test_one_frame_s_stack_states_what_the_frame_states() -> None:
    """Magnitude, uncertainty and signal to noise of a single point, also with scintillation."""
    series = Series(12.0, 1)
    settings = PhotometrySettings(
        target=series.field.target(0), aperture_radius_px=4.0, telescope_aperture_mm=50.0
    )
    catalogue = catalogue_of(series.field.stars)
    (exposure,) = series.of_target(0)
    single = Photometer(settings, catalogue).measure_exposure(exposure).measurement
    point = stack([Photometer(settings, catalogue).read(exposure)]).found.measurement
    assert point.magnitude == pytest.approx(single.magnitude, abs=1e-9)
    assert point.uncertainty == pytest.approx(single.uncertainty, rel=1e-6)
    assert point.snr == pytest.approx(single.snr, rel=1e-6)
    assert point.bjd == single.bjd
    assert (point.fwhm, point.zero_point) == pytest.approx((single.fwhm, single.zero_point))


def test_a_neighbour_s_light_is_no_target() -> None:
    """A star two widths away shines into the circle; the stack sees that it lies elsewhere."""
    series = Series(14.6, 12)
    star = series.field.target(0)
    beside = Target("Beside", star.ra_deg, star.dec_deg + 5.0 * 3.0 / 3600.0)
    photometer = Photometer(
        PhotometrySettings(target=beside, aperture_radius_px=4.0), catalogue_of(series.field.stars)
    )
    readings = [photometer.read(replace(one, target=beside)) for one in series.exposures]
    with pytest.raises(TargetNotDetected, match="is another star's"):
        stack(readings)


def test_a_place_from_the_header_alone_gives_no_limit() -> None:
    """As with single frames: it may be only where the mount pointed."""
    series = Series(30.0, 4)
    place = series.field.target(0)
    told = Target("Header", place.ra_deg, place.dec_deg, from_header=True)
    readings = [
        replace(reading, found=replace(reading.found, target=told))
        for reading in series.readings(0)
    ]
    with pytest.raises(TargetNotDetected, match="only the header's"):
        stack(readings)


def _stacks(series: Series, plan: StackPlan, exposures: Sequence[Exposure]) -> list[FullStack]:
    stacks = Stacks(plan, series.photometer(0).read)
    full = [
        done for n, exposure in enumerate(exposures) for done in stacks.add(Path(f"{n}"), exposure)
    ]
    return [*full, *stacks.finish()]


def test_stacks_are_filled_in_turn() -> None:
    """By their number, by their signal to noise, and never over a gap or two series."""
    series = Series(14.0, 6)
    exposures = series.of_target(0)
    by_four = _stacks(series, StackPlan(frames=4), exposures)
    assert [len(full.paths) for full in by_four] == [4, 2]
    assert by_four[0].paths[0] == Path("0")
    wanted = 1.3 * stacked_light(by_four[0].readings[:1]).snr
    by_snr = _stacks(series, StackPlan(until_snr=wanted), exposures)
    assert [len(full.paths) for full in by_snr][:2] == [2, 2]
    assert all(stacked_light(full.readings).snr >= wanted for full in by_snr[:-1])
    longer = [_shifted(exposure, exposure_s=30.0) for exposure in exposures[3:]]
    two = _stacks(series, StackPlan(frames=10), [*exposures[:3], *longer])
    assert [len(full.paths) for full in two] == [3, 3]
    later = [_shifted(exposure, hours=2.0) for exposure in exposures[4:]]
    gap = _stacks(series, StackPlan(frames=10), [*exposures[:4], *later])
    assert [len(full.paths) for full in gap] == [4, 2]


def _shifted(exposure: Exposure, hours: float = 0.0, exposure_s: float = 60.0) -> Exposure:
    facts = exposure.frame.facts
    middle = facts.mid_exposure_utc
    assert middle is not None
    moved = replace(
        facts,
        mid_exposure_utc=middle + hours * (MIDDLE.replace(hour=1) - MIDDLE.replace(hour=0)),
        exposure_s=exposure_s,
    )
    return replace(exposure, frame=replace(exposure.frame, facts=moved))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render five frames of a target, and a file that is none."""
    folder = tmp_path_factory.mktemp("stacked")
    for n in range(5):
        middle = MIDDLE.replace(minute=n)
        write_scene(folder / f"{n}.fits", seed=n, mid_exposure_utc=middle, target_magnitude=12.5)
    (folder / "torn.fits").write_bytes((folder / "0.fits").read_bytes()[:5000])
    return folder


def test_a_night_is_stacked(rendered: Path) -> None:
    """A frame that fails costs that frame alone; the rest makes a point too."""
    config: dict[str, Any] = defaults()
    config["photometry"]["target"] |= {"ra_deg": RA_DEG, "dec_deg": DEC_DEG, "name": "Nova"}
    with Night(config, workers=1, plan=StackPlan(frames=2)) as night:
        done = list(night.measure(sorted(rendered.glob("*.fits"))))
    assert [one.frames for one in done] == [2, 2, 1, 1]
    points = [one for one in done if isinstance(one, MeasuredFrame)]
    assert [one.found.provenance["stacked_frames"] for one in points] == [2, 2, 1]
    assert points[0].middle_utc.minute == 0
    assert points[0].middle_utc.second == pytest.approx(30, abs=2)


def test_measure_stacks_on_the_command_line(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells how many frames the points are made of, and draws its files from them."""
    monkeypatch.chdir(tmp_path)
    place = ["--ra", str(RA_DEG), "--dec", str(DEC_DEG), "--workers", "1"]
    told = CliRunner().invoke(
        node, ["measure", str(rendered), *place, "--stack", "5", "--chart", "--csv", "a.csv"]
    )
    assert "1 measured from 5 frames, 1 skipped; written to" in told.output, told.output
    assert told.exit_code == 1
    assert (tmp_path / "finding_chart.png").exists()
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2

"""Darks, flats and biases: what they take off a frame, and when they are refused."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits
from click.testing import CliRunner
from tests.support.scenes import write_fits, write_scene
from tests.support.starfields import Gaussian, Observation, StarField, catalogue_of

from boundless_skies.node.calibration.combining import combine
from boundless_skies.node.calibration.correcting import Calibration, filled_in
from boundless_skies.node.calibration.paths import CalibrationPaths
from boundless_skies.node.config import ConfigFileError, defaults
from boundless_skies.node.errors import FrameNotCalibrated
from boundless_skies.node.factory import check_ready
from boundless_skies.node.fits.frame import Frame, read_frame
from boundless_skies.node.main import node
from boundless_skies.node.photometry import measure_frame, run_pipeline
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.photometry.photometer import Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings

SHAPE = (300, 300)
EXPOSURE_S = 60.0
GAIN = 2.0


@dataclass
class MarkedCamera:
    """A camera with bias, dark current, hot pixels and a vignetting lens."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))
    vignetting: float = 0.0
    hot: int = 0
    bias_adu: float = 300.0
    read_noise_e: float = 5.0

    def __post_init__(self) -> None:
        height, width = SHAPE
        y, x = np.mgrid[:height, :width]
        away = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width**2 / 2)
        self.lens = 1.0 - self.vignetting * away
        self.current_adu_s = np.full(SHAPE, 0.5)
        places = self.rng.choice(height * width, self.hot, replace=False)
        self.current_adu_s.flat[places] += self.rng.uniform(20.0, 200.0, self.hot)

    def expose(self, light_adu: Any, exposure_s: float = EXPOSURE_S) -> npt.NDArray[np.uint16]:
        """Return what the file holds."""
        electrons = self.rng.poisson(
            (light_adu * self.lens + self.current_adu_s * exposure_s) * GAIN
        )
        noise_e = self.rng.normal(0.0, self.read_noise_e, SHAPE)
        adu = (electrons + noise_e) / GAIN + self.bias_adu
        return np.clip(np.rint(adu), 0, 65_535).astype(np.uint16)

    def masters(self, folder: Path, count: int = 9) -> CalibrationPaths:
        """Write folders of darks, flats and biases."""
        for name, light, seconds in (
            ("dark", 0.0, EXPOSURE_S), ("flat", 30_000.0, 1.0), ("bias", 0.0, 0.0),
        ):  # fmt: skip
            (folder / name).mkdir(parents=True)
            for number in range(count):
                path = folder / name / f"{number}.fits"
                write_fits(path, self.expose(light, seconds), EXPTIME=seconds)
        return CalibrationPaths(*(str(folder / name) for name in ("dark", "flat", "bias")))


def _field(rng: np.random.Generator, magnitudes: Any) -> StarField:
    return StarField.spread(rng, magnitudes, np.array([11.5]), apart_deg=0.014)


def _light(stars: StarField, seen_as: Observation) -> tuple[Any, Any]:
    everything = stars.stars + stars.targets
    x, y = seen_as.wcs(stars.ra_deg, stars.dec_deg).all_world2pix(
        everything.ra_deg, everything.dec_deg, 0
    )
    flux = 10.0 ** (-0.4 * (everything.mag - seen_as.zero_point))
    return seen_as.clean(x, y, flux), flux


def _write(path: Path, pixels: Any, stars: StarField, seen_as: Observation) -> Path:
    header = seen_as.wcs(stars.ra_deg, stars.dec_deg).to_header()
    cards = dict(header) | {"EXPTIME": EXPOSURE_S, "EGAIN": GAIN, "SATURATE": 65_535.0}
    return write_fits(path, pixels, **cards)


def _exposed(path: Path, stars: StarField, paths: CalibrationPaths | None) -> Exposure:
    settings = PhotometrySettings(target=stars.target(0), calibration=paths or CalibrationPaths())
    return Photometer(settings, catalogue_of(stars.stars)).expose(path)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_flat_takes_the_vignetting_off(tmp_path: Path) -> None:
    """Corners that get 40 % less light cost 0.4 mag there; with the flat 1 % at most."""
    rng = np.random.default_rng(3)
    stars, seen_as = _field(rng, np.linspace(9.5, 11.0, 40)), Observation(shape=SHAPE)
    camera = MarkedCamera(vignetting=0.4)
    light, flux = _light(stars, seen_as)
    path = _write(tmp_path / "a.fits", camera.expose(light), stars, seen_as)
    aperture = Aperture.around(6.0, 3.0)
    slopes = {}
    for name, paths in {"raw": None, "corrected": camera.masters(tmp_path / "m")}.items():
        exposure = _exposed(path, stars, paths)
        x, y = exposure.places(stars.stars)
        off_mag = exposure.fluxes(x, y, aperture).instrumental_mag + 2.5 * np.log10(flux[:-1])
        away = ((x - SHAPE[1] / 2) ** 2 + (y - SHAPE[0] / 2) ** 2) / (SHAPE[1] ** 2 / 2)
        slopes[name] = np.polyfit(away, off_mag, 1)[0]
    assert slopes["raw"] > 0.35
    assert abs(slopes["corrected"]) < 0.01


def test_a_dark_takes_hot_pixels_away(tmp_path: Path) -> None:
    """No star is seen where none is, and a star on a hot pixel has its light."""
    rng = np.random.default_rng(4)
    stars, seen_as = _field(rng, np.linspace(9.5, 11.0, 30)), Observation(shape=SHAPE)
    camera = MarkedCamera(hot=400)
    light, flux = _light(stars, seen_as)
    path = _write(tmp_path / "a.fits", camera.expose(light), stars, seen_as)
    paths = camera.masters(tmp_path / "m")
    aperture = Aperture.around(6.0, 3.0)
    misses, seen = {}, {}
    for name, chosen in {"raw": None, "corrected": CalibrationPaths(dark=paths.dark)}.items():
        exposure = _exposed(path, stars, chosen)
        found = exposure.fluxes(*exposure.places(stars.stars), aperture)
        share = found.flux / flux[:-1] / seen_as.profile.within(6.0) - 1.0
        misses[name], seen[name] = np.abs(share).max(), len(exposure.detection.field.x)
    assert seen["raw"] > 100
    assert seen["corrected"] <= len(stars.stars) + 2
    assert misses["raw"] > 0.05
    assert misses["corrected"] < 0.02


def test_stated_errors_are_those_of_the_photons_under_a_flat(tmp_path: Path) -> None:
    """In corners with half of the light a unit stands for half of the electrons."""
    rng = np.random.default_rng(5)
    seen_as = Observation(shape=SHAPE, sky_adu=20.0)
    camera = MarkedCamera(vignetting=0.6, read_noise_e=3.0)
    stars = _field(rng, np.full(24, 10.2))
    light, _ = _light(stars, seen_as)
    calibration = Calibration.load(camera.masters(tmp_path / "m", 30))
    aperture = Aperture.around(6.0, 3.0)
    fluxes, errors = [], []
    path = _write(tmp_path / "a.fits", camera.expose(light), stars, seen_as)
    first = _exposed(path, stars, None)
    for _ in range(40):
        path = _write(tmp_path / "a.fits", camera.expose(light), stars, seen_as)
        frame = read_frame(path, correct=calibration.correct)
        exposure = Exposure(
            frame=frame, detection=first.detection, solution=first.solution,
            target=first.target, gain_e_per_adu=GAIN,
        )  # fmt: skip
        found = exposure.fluxes(*first.places(stars.stars), aperture)
        fluxes.append(found.flux)
        errors.append(found.error)
    scatter = np.std(fluxes, axis=0, ddof=1) / np.mean(errors, axis=0)
    assert np.sqrt(np.mean(scatter**2)) == pytest.approx(1.0, abs=0.08)
    x, y = first.places(stars.stars)
    corner = camera.lens[np.rint(y).astype(int), np.rint(x).astype(int)] < 0.82
    assert corner.sum() >= 5
    assert np.sqrt(np.mean(scatter[corner] ** 2)) == pytest.approx(1.0, abs=0.12)


def test_a_dark_of_another_time_is_scaled_with_a_bias(tmp_path: Path) -> None:
    """A dark of 60 s serves a frame of 20 s; without a bias it is refused."""
    camera = MarkedCamera(hot=50)
    paths = camera.masters(tmp_path / "m")
    path = write_fits(tmp_path / "a.fits", camera.expose(100.0, 20.0), EXPTIME=20.0)
    scaled = CalibrationPaths(dark=paths.dark, bias=paths.bias)
    frame = read_frame(path, correct=Calibration.load(scaled).correct)
    assert np.mean(frame.data) == pytest.approx(100.0, abs=0.3)
    alone = Calibration.load(CalibrationPaths(dark=paths.dark))
    with pytest.raises(FrameNotCalibrated, match=r"exposed for 20 s, the dark .* for 60 s: give a"):
        read_frame(path, correct=alone.correct)


def _read(folder: Path, frame: dict[str, Any], **masters: dict[str, Any]) -> Frame:
    data = np.full((64, 64), 1000.0, np.float32)
    data[::2, ::2] += 1.0
    paths = {}
    for kind, cards in masters.items():
        size = cards.pop("size", (64, 64))
        paths[kind] = str(write_fits(folder / f"{kind}.fits", np.ones(size, np.float32), **cards))
    calibration = Calibration.load(CalibrationPaths(**paths))
    return read_frame(write_fits(folder / "a.fits", data, **frame), correct=calibration.correct)


@pytest.mark.parametrize(
    ("frame", "masters", "told"),
    [
        ({}, {"dark": {"size": (32, 64)}}, r"dark has 64 × 32 pixels, the frame 64 × 64\. Take"),
        ({"GAIN": 80}, {"dark": {"GAIN": 100}}, r"dark was taken with gain 100, the frame with 80"),
        ({"GAIN": 80}, {"bias": {"GAIN": 0}}, r"bias was taken with gain 0"),
        ({"FILTER": "B"}, {"flat": {"FILTER": "V"}}, r"with filter V, the frame with B\. Give"),
        (
            {"BAYERPAT": "RGGB"}, {"dark": {"BAYERPAT": "GRBG"}},
            r"Bayer pattern GRBG, the frame RGGB",
        ),
    ],
)  # fmt: skip
def test_a_master_that_does_not_fit_is_refused(
    tmp_path: Path, frame: dict[str, Any], masters: dict[str, dict[str, Any]], told: str
) -> None:
    """In one line that says what to do."""
    masters = {kind: dict(cards) for kind, cards in masters.items()}
    with pytest.raises(FrameNotCalibrated, match=told) as caught:
        _read(tmp_path, frame, **masters)
    assert "\n" not in str(caught.value)


def test_a_warm_dark_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is used all the same: most cameras without cooling have no better one."""
    dark = write_fits(tmp_path / "dark.fits", np.ones((64, 64), np.float32), **{"CCD-TEMP": 25.0})
    calibration = Calibration.load(CalibrationPaths(dark=str(dark)))
    for celsius in (24.0, 5.0, 4.0):
        data = np.full((64, 64), 10.0, np.float32)
        path = write_fits(tmp_path / "a.fits", data, **{"CCD-TEMP": celsius})
        assert read_frame(path, correct=calibration.correct).data[0, 0] == 9.0
    assert len(caplog.records) == 1
    assert "was taken at 25 °C, frames such as a.fits at 5 °C" in caplog.text


def test_saturation_is_judged_before_the_dark_is_taken_off(tmp_path: Path) -> None:
    """A full pixel stays full, though its value is lower then."""
    data = np.full((64, 64), 1000, np.uint16)
    data[20, 20] = 65_535
    dark = write_fits(tmp_path / "dark.fits", np.full((64, 64), 900, np.uint16))
    calibration = Calibration.load(CalibrationPaths(dark=str(dark)))
    frame = read_frame(write_fits(tmp_path / "a.fits", data), correct=calibration.correct)
    assert frame.data[20, 20] == 64_635.0
    assert frame.peak[20, 20] == frame.saturation_adu == 65_535.0


def test_a_mosaic_is_corrected_before_its_cells_are_summed(tmp_path: Path) -> None:
    """A hot red pixel is filled in from red ones; a flat's colour leaves the sums alone."""
    colours = np.tile([[100.0, 200.0], [200.0, 50.0]], (32, 32))
    data, dark, flat = colours.copy(), np.zeros((64, 64)), 20_000.0 * colours / 200.0
    dark += np.random.default_rng(1).normal(0.0, 0.2, dark.shape)
    data[20, 20], dark[20, 20] = 9000.0, 5000.0
    flat[:, 40:] *= 0.5
    data[:, 40:] *= 0.5
    bayer = {"BAYERPAT": "RGGB"}
    names = {"dark": dark, "flat": flat, "bias": np.zeros((64, 64))}
    paths = {
        name: str(write_fits(tmp_path / f"{name}.fits", values.astype(np.float32), **bayer))
        for name, values in names.items()
    }
    calibration = Calibration.load(CalibrationPaths(**paths))
    path = write_fits(tmp_path / "a.fits", data.astype(np.float32), **bayer)
    frame = read_frame(path, correct=calibration.correct)
    assert frame.shape == (32, 32)
    assert np.abs(frame.data / 550.0 - 1.0).max() < 0.03
    assert frame.sensitivity is not None
    assert frame.sensitivity[5, 30] == pytest.approx(0.5 * frame.sensitivity[5, 5])
    red = read_frame(path, "red", calibration.correct)
    assert abs(red.data[10, 10] - 100.0) < 8.0


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.4), (1.0, 0.5)])
def test_a_filled_in_pixel_of_a_star_loses_little_light(shift: tuple[float, float]) -> None:
    """Of a star 3 pixels wide at most 1.5 %, also at its very middle."""
    star = Gaussian(3.0).light(*shift, 12).astype(np.float32)
    bad = np.zeros(star.shape, np.bool_)
    bad[12, 12] = True
    assert filled_in(star, bad, 1).sum() == pytest.approx(star.sum(), rel=0.015)
    smooth = np.fromfunction(lambda y, x: 5.0 + x + y**2, (25, 25)).astype(np.float32)
    assert filled_in(smooth, bad, 1)[12, 12] == pytest.approx(smooth[12, 12], rel=1e-5)


def test_what_one_exposure_alone_shows_is_left_out() -> None:
    """A cosmic ray; the rest has the noise of a mean."""
    rng = np.random.default_rng(2)
    exposures = [rng.normal(100.0, 3.0, (80, 80)).astype(np.float32) for _ in range(16)]
    exposures[3][10, 10] = 5000.0
    exposures[5][20, 20] = np.nan
    combined = combine(exposures)
    assert abs(combined[10, 10] - 100.0) < 4.0
    assert abs(combined[20, 20] - 100.0) < 4.0
    assert combined.std() == pytest.approx(3.0 / 4.0, rel=0.12)
    assert np.isnan(combine([np.full((2, 2), np.nan, np.float32)])).all()
    digits = [np.full((4, 4), value, np.uint16) for value in (5, 5, 5, 6)]
    assert combine(digits)[0, 0] == 5.25


def test_a_combined_master_is_kept_until_its_exposures_change(tmp_path: Path) -> None:
    """A second program reads it; a new exposure makes a new one; damage makes it again."""
    folder, cache = tmp_path / "darks", tmp_path / "kept"
    folder.mkdir()
    for number in range(3):
        write_fits(folder / f"{number}.fits", np.full((40, 40), number, np.float32), GAIN=7)
    paths = CalibrationPaths(dark=str(folder))

    def level() -> float:
        calibration = Calibration.load(paths, cache)
        assert calibration._dark is not None
        assert calibration._dark.camera.gain_setting == 7.0
        assert calibration._dark.camera.exposure_s == 10.0
        return float(calibration._dark.values[0, 0])

    assert level() == 1.0
    (kept,) = cache.iterdir()
    with fits.open(kept, mode="update") as hdus:
        hdus[0].data[:] = 42.0
    assert level() == 42.0
    kept.write_bytes(kept.read_bytes()[:3000])
    assert level() == 1.0
    write_fits(folder / "3.fits", np.full((40, 40), 1.0, np.float32), GAIN=7)
    write_fits(folder / "4.fits", np.full((40, 40), 1.0, np.float32), GAIN=7)
    assert level() == 1.0
    assert len(list(cache.iterdir())) == 2
    for number in range(5, 20):
        write_fits(folder / f"{number}.fits", np.full((40, 40), 1.0, np.float32), GAIN=7)
        assert level() == 1.0
    assert len(list(cache.iterdir())) == 12


def test_a_flat_without_its_bias_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A flat that is normalised already needs none."""
    for name, values in {"raw": 20_000.0, "done": 1.0}.items():
        path = write_fits(tmp_path / f"{name}.fits", np.full((40, 40), values, np.float32))
        with caplog.at_level(logging.WARNING):
            Calibration.load(CalibrationPaths(flat=str(path)))
    assert len(caplog.records) == 1
    assert "with its bias in it" in caplog.text


def test_a_dark_taken_for_a_flat_is_refused(tmp_path: Path) -> None:
    """Its level less the bias is nothing."""
    bias = write_fits(tmp_path / "bias.fits", np.full((40, 40), 300.0, np.float32))
    with pytest.raises(FrameNotCalibrated, match="is dark: its median less the bias is 0"):
        Calibration.load(CalibrationPaths(flat=str(bias), bias=str(bias)))


def test_a_missing_master_costs_no_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each frame is refused with what to do; measuring alone ends at once."""
    frame = write_scene(tmp_path / "a.fits")
    config = {"photometry": {"calibration": {"dark": str(tmp_path / "missing")}}}
    with pytest.raises(FrameNotCalibrated, match="There is no dark at"):
        measure_frame(frame, config)
    assert run_pipeline(frame, config) is None
    assert "name a FITS file, or a folder of darks" in caplog.text
    (tmp_path / "empty").mkdir()
    told = CliRunner().invoke(node, ["measure", str(frame), "--dark", str(tmp_path / "empty")])
    assert told.exit_code == 2
    assert "There are no FITS files in" in told.output


def test_a_node_does_not_start_with_a_missing_master(tmp_path: Path) -> None:
    """It would refuse every frame of the night; the line names the key."""
    config = defaults()
    check_ready(config, Path("config.yaml"))
    config["photometry"]["calibration"]["flat"] = str(tmp_path)
    check_ready(config, Path("config.yaml"))
    config["photometry"]["calibration"]["dark"] = str(tmp_path / "missing")
    with pytest.raises(ConfigFileError, match=r"photometry\.calibration\.dark names .*missing"):
        check_ready(config, Path("config.yaml"))


def test_a_point_tells_what_was_taken_off(tmp_path: Path) -> None:
    """Who looks at it later knows."""
    frame = write_scene(tmp_path / "a.fits")
    bias = write_fits(tmp_path / "bias.fits", np.full((400, 400), 300, np.uint16))
    for block, told in (({}, []), ({"bias": str(bias)}, ["bias"])):
        found = measure_frame(frame, {"photometry": {"calibration": block}})
        assert found.provenance["calibration"] == told


def test_measure_takes_a_dark_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rendered frame less its bias gives the same magnitude; one of another size none."""
    frame = write_scene(tmp_path / "a.fits")
    fitting = write_fits(tmp_path / "dark.fits", np.full((400, 400), 300, np.uint16))
    other = write_fits(tmp_path / "other.fits", np.full((40, 400), 300, np.uint16))
    monkeypatch.chdir(tmp_path)
    plain, good, bad = (
        CliRunner().invoke(node, ["measure", str(frame), "--workers", "1", *more])
        for more in ([], ["--dark", str(fitting)], ["--dark", str(other)])
    )
    assert plain.exit_code == good.exit_code == 0, good.output
    assert good.output.splitlines()[1].split()[3] == plain.output.splitlines()[1].split()[3]
    assert bad.exit_code == 1
    assert "the dark has 400 × 40 pixels" in bad.output

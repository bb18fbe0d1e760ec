"""Colour frames from file to point: which channel, in which band, and what saturates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.support.scenes import DEC_DEG, MORE_FRAMES, RA_DEG, write_fits, write_scene

from boundless_skies.demo.rendering import Camera
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.photometry import Target
from boundless_skies.node.photometry.photometer import FrameMeasurement, Photometer
from boundless_skies.node.photometry.settings import PhotometrySettings

# Twice as fine as a folded frame, so that folding gives stars of 2.6 pixels again.
CAMERA = Camera(height_px=800, width_px=800, scale_arcsec_px=2.39, fwhm_px=5.2)
SENSITIVITY = {"R": 0.6, "G": 1.0, "B": 0.4}


def measured(path: Path, **block: Any) -> FrameMeasurement:
    """Measure a frame with a photometer that has seen nothing yet."""
    return Photometer(PhotometrySettings.from_config({"photometry": block})).measure(path)


def shades(pattern: str, height: int, width: int) -> np.ndarray:
    """Return how much of the light each pixel of a mosaic lets through."""
    cell = np.array([SENSITIVITY[letter] for letter in pattern]).reshape(2, 2)
    return np.tile(cell, (height // 2, width // 2))


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, fits.Header]:
    """Render what falls onto the camera, and its header."""
    path = write_scene(tmp_path_factory.mktemp("light") / "light.fits", camera=CAMERA)
    return fits.getdata(path).astype(np.float64), fits.getheader(path)


def write(path: Path, data: np.ndarray, header: fits.Header, **cards: Any) -> Path:
    """Write an image with the header of the scene, and cards of its own."""
    told = {key: value for key, value in header.items() if key.isalpha() or "-" in key}
    keep = {"DATE-OBS", "EXPTIME", "RA", "DEC", "OBJECT", "FOCALLEN", "XPIXSZ", "EGAIN"}
    return write_fits(path, data, **{key: told[key] for key in keep}, **cards)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, light: tuple[np.ndarray, fits.Header]) -> Path:
    """Write a raw frame of a colour camera; FILTER says the wrong thing of a single channel."""
    data, header = light
    mosaic = np.rint(data * shades("GBRG", *data.shape)).astype(np.uint16)
    folder = tmp_path_factory.mktemp("raw")
    return write(folder / "raw.fits", mosaic, header, BAYERPAT="GBRG", FILTER="IRCUT")


@pytest.mark.parametrize(
    ("channel", "band"),
    [("luminance", "CV"), ("green", "TG"), ("red", "TR"), ("blue", "TB"), (None, "CV")],
)
def test_a_raw_frame_is_measured_in_the_channels_band(
    raw: Path, channel: str | None, band: str
) -> None:
    """The rendered star is grey: every channel gives its magnitude, at the same place."""
    found = measured(raw, channel=channel)
    assert found.measurement.filter == band
    assert found.measurement.magnitude == pytest.approx(10.5, abs=0.05)
    assert (found.x_px, found.y_px) == pytest.approx((399.5, 399.5), abs=0.3)
    assert found.measurement.fwhm == pytest.approx(5.2, abs=0.6)


def test_a_configured_filter_wins_over_the_channels_band(raw: Path) -> None:
    """The owner knows what is in front of the camera."""
    assert measured(raw, channel="green", filter_name="V").measurement.filter == "V"


@pytest.mark.parametrize(
    ("stated", "channel", "band"),
    [("V", "luminance", "V"), ("TG", "luminance", "CV"), ("CV", "green", "TG")],
)
def test_a_headers_filter_counts_for_all_colours_together(
    tmp_path: Path,
    light: tuple[np.ndarray, fits.Header],
    stated: str,
    channel: str,
    band: str,
) -> None:
    """The whole mosaic behind a V filter is V; the sum of three colours is no TG."""
    data, header = light
    mosaic = np.rint(data * shades("RGGB", *data.shape)).astype(np.uint16)
    path = write(tmp_path / "a.fits", mosaic, header, BAYERPAT="RGGB", FILTER=stated)
    assert measured(path, channel=channel).measurement.filter == band


def test_a_colour_image_is_measured_by_its_planes(
    tmp_path: Path, light: tuple[np.ndarray, fits.Header]
) -> None:
    """The green plane as TG, the sum as CV; never the first plane."""
    data, header = light
    planes = np.stack([data * SENSITIVITY[letter] for letter in "RGB"]).astype(np.uint16)
    planes[0, 380:420, 380:420] = np.median(planes[0])  # the target gives no red light at all
    path = write(tmp_path / "a.fits", planes, header)
    green, whole = measured(path, channel="green"), measured(path)
    assert green.measurement.filter == "TG"
    assert green.measurement.magnitude == pytest.approx(10.5, abs=0.03)
    assert whole.measurement.filter == "CV"
    lost = -2.5 * np.log10((SENSITIVITY["G"] + SENSITIVITY["B"]) / sum(SENSITIVITY.values()))
    assert whole.measurement.magnitude == pytest.approx(10.5 + lost, abs=0.04)


@pytest.mark.parametrize(
    ("full_at", "reasons"), [(0.97, ("saturated",)), (1.2, ("near saturation",)), (1.6, ())]
)
def test_green_pixels_saturate_a_target_before_its_sum_does(
    tmp_path: Path, full_at: float, reasons: tuple[str, ...]
) -> None:
    """The sum of a cell counts 2.5 green pixels at most: its own limit would never be met."""
    bright = write_scene(tmp_path / "light.fits", camera=CAMERA, target_magnitude=8.0)
    data, header = fits.getdata(bright).astype(np.float64), fits.getheader(bright)
    mosaic = np.rint(data * shades("RGGB", *data.shape)).astype(np.uint16)
    limit = float(mosaic[395:405, 395:405].max() * full_at)
    path = write(tmp_path / "a.fits", mosaic, header, BAYERPAT="RGGB", SATURATE=limit)
    for channel in ("luminance", "green"):
        assert measured(path, channel=channel).reasons == reasons
    assert measured(path, channel="blue").reasons == ()


@pytest.mark.frames
@pytest.mark.skipif(not MORE_FRAMES.exists(), reason="the frames beside the project are absent")
@pytest.mark.parametrize(("channel", "band"), [("luminance", "CV"), ("green", "TG")])
def test_a_seestars_frame_gives_a_catalogue_stars_magnitude(channel: str, band: str) -> None:
    """In either channel, as well as the catalogue and the colours allow."""
    path = MORE_FRAMES / "seestar" / "Light_M_94_10.0s_IRCUT_20250326-212046.fit.fz"
    stars = Catalogue.load().cone(192.72, 41.1, 0.4, mag_limit=10.5)
    star = stars[stars.mag > 9.0]
    photometer = Photometer(PhotometrySettings.from_config({"photometry": {"channel": channel}}))
    target = Target.at(float(star.ra_deg[0]), float(star.dec_deg[0]), "star")
    found = photometer.measure(path, target=target).measurement
    assert found.filter == band
    assert found.magnitude == pytest.approx(star.mag[0], abs=0.35)
    assert found.comparison_stars >= 5


def test_the_scene_lies_where_the_tests_think() -> None:
    """The target stands in the middle of the camera."""
    assert (RA_DEG, DEC_DEG) == (300.0, 35.0)

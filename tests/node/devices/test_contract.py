"""What every telescope does, real or simulated."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from threading import Event, Timer

import numpy as np
import pytest
from tests.node.devices.conftest import Bench

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.devices.capabilities import Weather
from boundless_skies.node.devices.errors import DeviceRefused, Stopped
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.fits.writing import FrameFacts, write_frame
from boundless_skies.node.photometry.detection import detect
from boundless_skies.node.solving.pointing import solve_field
from boundless_skies.node.solving.seiza_solver import SeizaSolver
from boundless_skies.node.solving.verification import centre_deg

CATALOGUE = Catalogue.load()
NEVER = Event()
FAR_DEG = 90.0


def test_parked_mount_refuses_to_slew(bench: Bench) -> None:
    """A parked mount stays where it is until it is unparked."""
    mount = bench.telescope.mount
    assert mount.is_parked()
    with pytest.raises(DeviceRefused, match="parked"):
        mount.slew(bench.ra_deg, bench.dec_deg, NEVER)
    mount.unpark()
    mount.unpark()
    assert not mount.is_parked()


def test_slew_ends_at_its_goal_and_tracks(bench: Bench) -> None:
    """After a slew the mount believes itself there, and follows the sky."""
    mount = bench.telescope.mount
    mount.unpark()
    mount.slew(bench.ra_deg, bench.dec_deg, NEVER)
    assert mount.position() == pytest.approx((bench.ra_deg, bench.dec_deg), abs=0.01)
    assert mount.is_tracking()
    mount.set_tracking(False)
    assert not mount.is_tracking()


def test_sync_moves_the_mounts_belief(bench: Bench) -> None:
    """After a sync the mount counts from the place it was told."""
    mount = bench.telescope.mount
    mount.unpark()
    mount.slew(bench.ra_deg, bench.dec_deg, NEVER)
    mount.sync(bench.ra_deg + 0.2, bench.dec_deg - 0.1)
    expected = (bench.ra_deg + 0.2, bench.dec_deg - 0.1)
    assert mount.position() == pytest.approx(expected, abs=0.01)


def test_stopped_slew_ends_on_its_way(bench: Bench) -> None:
    """A slew that is stopped ends where it is, at rest, far from its goal."""
    mount = bench.telescope.mount
    mount.unpark()
    mount.slew(bench.ra_deg, bench.dec_deg, NEVER)
    with pytest.raises(Stopped):
        stopped_soon(lambda stop: mount.slew(bench.ra_deg + FAR_DEG, bench.dec_deg, stop))
    rested = mount.position()
    assert abs(rested[0] - bench.ra_deg - FAR_DEG) > 1.0
    bench.clock.sleep(0.5, NEVER)
    assert mount.position() == pytest.approx(rested, abs=0.05)


def test_abort_is_safe_at_any_time(bench: Bench) -> None:
    """Parked or at rest, there is nothing to stop, and no error."""
    mount, camera = bench.telescope.mount, bench.telescope.camera
    mount.abort()
    mount.unpark()
    mount.abort()
    camera.abort_exposure()


def test_park_brings_the_mount_to_rest(bench: Bench) -> None:
    """A parked mount follows nothing; parking it again does nothing."""
    mount = bench.telescope.mount
    mount.unpark()
    mount.slew(bench.ra_deg, bench.dec_deg, NEVER)
    mount.park(NEVER)
    mount.park(NEVER)
    assert mount.is_parked()
    assert not mount.is_tracking()


def test_exposure_lies_between_its_call_and_its_return(bench: Bench) -> None:
    """Start, middle and length fit to each other and to the clock."""
    began = bench.clock.now()
    exposure = bench.telescope.camera.expose(0.5, stop=NEVER)
    ended = bench.clock.now()
    assert began <= exposure.start_utc <= exposure.mid_utc <= ended
    assert exposure.exposure_s == pytest.approx(0.5, abs=0.05)
    middle_s = (exposure.mid_utc - exposure.start_utc).total_seconds()
    assert middle_s == pytest.approx(exposure.exposure_s / 2.0, abs=1e-6)
    assert exposure.start_utc.utcoffset() is not None
    assert (exposure.pixels.dtype, exposure.pixels.ndim) == (np.uint16, 2)


def test_binning_halves_the_sides(bench: Bench) -> None:
    """A binned frame shows the whole sensor, and the next one is unbinned again."""
    camera = bench.telescope.camera
    binned = camera.expose(0.1, binning=2, stop=NEVER)
    whole = camera.expose(0.1, stop=NEVER)
    assert (binned.binning, whole.binning) == (2, 1)
    height, width = whole.pixels.shape
    assert binned.pixels.shape == (height // 2, width // 2)
    assert binned.pixel_size_um == whole.pixel_size_um


def test_exposure_that_no_camera_does_is_refused(bench: Bench) -> None:
    """A length or a binning beyond the camera's is refused before the shutter opens."""
    camera = bench.telescope.camera
    with pytest.raises(DeviceRefused, match="exposes for"):
        camera.expose(1e6, stop=NEVER)
    with pytest.raises(DeviceRefused, match="bins"):
        camera.expose(0.1, binning=99, stop=NEVER)


def test_camera_works_after_a_stopped_exposure(bench: Bench) -> None:
    """A stopped exposure is aborted, and the next one does not find the camera busy."""
    camera = bench.telescope.camera
    with pytest.raises(Stopped):
        stopped_soon(lambda stop: camera.expose(30.0, stop=stop))
    assert camera.expose(0.1, stop=NEVER).exposure_s == pytest.approx(0.1, abs=0.05)


def test_focuser_reaches_its_positions(bench: Bench) -> None:
    """Both ways, and nowhere beyond its range."""
    focuser = bench.telescope.focuser
    assert focuser is not None
    start, (lowest, highest) = focuser.focus_position(), focuser.focus_range()
    assert lowest <= start <= highest
    for goal in (start + 40, start - 40, start):
        focuser.move_focus(goal, NEVER)
        assert focuser.focus_position() == goal
    with pytest.raises(DeviceRefused, match="moves between"):
        focuser.move_focus(highest + 1, NEVER)


def test_weather_is_within_its_units(bench: Bench) -> None:
    """What is measured is a number that can be meant."""
    weather = bench.telescope.weather
    assert weather is not None
    sensed = weather.sense()
    assert isinstance(sensed, Weather)
    assert sensed.is_safe is True
    numbers = [getattr(sensed, field.name) for field in fields(sensed) if field.name != "is_safe"]
    assert all(value is None or isinstance(value, float) for value in numbers)
    assert sensed.humidity_pct is None or 0.0 <= sensed.humidity_pct <= 100.0


def test_frame_shows_the_sky_that_the_mount_points_to(bench: Bench, frame_path: Path) -> None:
    """A frame that is written and read again is solved where the telescope was sent."""
    telescope = bench.telescope
    telescope.mount.unpark()
    telescope.mount.slew(bench.ra_deg, bench.dec_deg, NEVER)
    exposure = telescope.camera.expose(2.0, stop=NEVER)
    write_frame(
        frame_path,
        exposure,
        FrameFacts(
            object_name="Somewhere",
            ra_deg=bench.ra_deg,
            dec_deg=bench.dec_deg,
            focal_length_mm=telescope.focal_length_mm,
        ),
    )
    frame = read_frame(frame_path)
    assert frame.facts.mid_exposure_utc == exposure.mid_utc
    solution = solve_field(
        detect(frame).field,
        CATALOGUE,
        SeizaSolver(CATALOGUE, 60.0),
        positions_deg=[(bench.ra_deg, bench.dec_deg)],
        scales_arcsec_px=[scale * frame.cell_px for scale in frame.facts.scales_arcsec_px],
    )
    width, height = frame.shape[1], frame.shape[0]
    ra_deg, dec_deg = centre_deg(solution.wcs, width, height)
    assert (ra_deg, dec_deg) == pytest.approx((bench.ra_deg, bench.dec_deg), abs=0.02)


def stopped_soon(work: Callable[[Event], object]) -> None:
    """Do something, and ask for its end a moment later."""
    stop = Event()
    timer = Timer(0.4, stop.set)
    timer.start()
    try:
        work(stop)
    finally:
        timer.join()

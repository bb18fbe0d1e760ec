"""The simulated telescope, beside what every telescope does."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event

import numpy as np
import numpy.typing as npt
import pytest

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.devices.errors import DeviceRefused, DeviceUnreachable, Stopped
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.fits.writing import FrameFacts, write_frame
from boundless_skies.node.photometry.detection import detect
from boundless_skies.simulation.clock import FastClock
from boundless_skies.simulation.focuser import FocuserTraits
from boundless_skies.simulation.mount import MountTraits
from boundless_skies.simulation.script import Cue, Script, Trouble
from boundless_skies.simulation.telescope import (
    SimulatedTelescope,
    Traits,
    simulated_telescope,
)
from boundless_skies.sky import Site, altitude_azimuth_deg, separation_deg

CATALOGUE = Catalogue.load()
DUSK = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
SITE = Site(50.0, 10.0, 300.0)
RA_DEG, DEC_DEG = 100.0, 60.0
NEVER = Event()


@dataclass
class Star:
    """A star whose brightness a test says."""

    magnitude: float
    ra_deg: float = RA_DEG
    dec_deg: float = DEC_DEG

    def magnitude_at(self, instant: datetime) -> float:
        """Return the brightness."""
        assert instant.utcoffset() is not None
        return self.magnitude


def telescope(
    *cues: Cue,
    stars: tuple[Star, ...] = (),
    traits: Traits | None = None,
    seed: int = 1,
    pointed: bool = True,
) -> tuple[SimulatedTelescope, FastClock]:
    """Return a telescope, and the clock it waits with."""
    clock = FastClock(DUSK)
    made = simulated_telescope(
        clock,
        SITE,
        seed=seed,
        catalogue=CATALOGUE,
        stars=stars,
        script=Script(cues),
        traits=traits or Traits(mount=MountTraits(alignment_error_arcsec=0.0)),
    )
    made.mount.unpark()
    if pointed:
        made.mount.slew(RA_DEG, DEC_DEG, NEVER)
    return made, clock


def cue(
    trouble: Trouble, *, after_s: float = 0.0, lasts_s: float = 1e6, strength: float = 0.0
) -> Cue:
    """Return a cue so many seconds after dusk."""
    begins = DUSK + timedelta(seconds=after_s)
    return Cue(trouble=trouble, begins=begins, lasts_s=lasts_s, strength=strength)


def light_adu(scope: SimulatedTelescope, exposure_s: float = 10.0) -> float:
    """Return the light of the star in the middle of a frame."""
    return float(near_middle(scope, exposure_s).sum())


def near_middle(scope: SimulatedTelescope, exposure_s: float = 10.0) -> npt.NDArray[np.float64]:
    """Return the middle of a frame, above the sky."""
    pixels = scope.camera.expose(exposure_s, stop=NEVER).pixels.astype(float)
    row, column = (side // 2 for side in pixels.shape)
    near: npt.NDArray[np.float64] = pixels[row - 6 : row + 6, column - 6 : column + 6]
    return near - np.median(pixels)


# The mount


def test_slew_takes_as_long_as_the_way_is() -> None:
    """Twice as fast a mount is there in half the time, but for its settling."""
    lasted = []
    for speed in (2.0, 4.0):
        traits = Traits(mount=MountTraits(slew_deg_s=speed, settle_s=0.0))
        scope, clock = telescope(traits=traits, pointed=False)
        began_s, way_deg = (
            clock.monotonic(),
            separation_deg(*scope.mount.position(), RA_DEG, DEC_DEG),
        )
        scope.mount.slew(RA_DEG, DEC_DEG, NEVER)
        lasted.append(clock.monotonic() - began_s)
        assert lasted[-1] == pytest.approx(way_deg / speed, abs=1.0)
    assert lasted[0] > 1.5 * lasted[1]


def test_mount_errs_until_it_is_told_where_it_points() -> None:
    """It believes itself at its goal, points beside it, and after a sync errs little."""
    traits = Traits(mount=MountTraits(alignment_error_arcsec=900.0, slew_error_arcsec=10.0))
    scope, _ = telescope(traits=traits, seed=4)
    assert scope.mount.position() == pytest.approx((RA_DEG, DEC_DEG))
    before_deg = separation_deg(*scope.mount.true_position(), RA_DEG, DEC_DEG)
    assert before_deg > 0.1
    scope.mount.sync(*scope.mount.true_position())
    scope.mount.slew(RA_DEG, DEC_DEG, NEVER)
    assert separation_deg(*scope.mount.true_position(), RA_DEG, DEC_DEG) < 50.0 / 3600.0


def test_sync_leaves_the_tube_where_it_is() -> None:
    """What the mount is told changes its belief alone."""
    scope, _ = telescope(traits=Traits(mount=MountTraits(alignment_error_arcsec=900.0)))
    before = scope.mount.true_position()
    scope.mount.sync(RA_DEG + 0.3, DEC_DEG - 0.2)
    assert separation_deg(*scope.mount.true_position(), *before) < 1e-3


def test_tube_that_stands_still_keeps_its_altitude() -> None:
    """Without tracking the stars pass; with it the place is kept."""
    scope, clock = telescope()
    altitude_deg, _ = altitude_azimuth_deg(clock.now(), *scope.mount.position(), SITE)
    scope.mount.set_tracking(False)
    clock.sleep(3600.0, NEVER)
    stood = scope.mount.position()
    assert separation_deg(*stood, RA_DEG, DEC_DEG) > 5.0
    assert altitude_azimuth_deg(clock.now(), *stood, SITE)[0] == pytest.approx(
        altitude_deg, abs=0.1
    )
    scope.mount.set_tracking(True)
    clock.sleep(3600.0, NEVER)
    assert scope.mount.position() == pytest.approx(stood)


def test_mount_goes_nowhere_below_its_limit() -> None:
    """A place below the horizon is refused with its altitude, and nothing moves."""
    scope, clock = telescope()
    with pytest.raises(DeviceRefused, match=r"altitude -\d+\.\d°, below its limit of 0\.0°"):
        scope.mount.slew(RA_DEG, -80.0, NEVER)
    assert scope.mount.position() == pytest.approx((RA_DEG, DEC_DEG))
    assert scope.mount.is_tracking()
    del clock


def test_abort_from_another_thread_ends_a_slew() -> None:
    """The slew does not report an arrival; the mount rests on its way."""
    scope, clock = telescope()

    def aborts() -> None:
        clock.sleep(3.0, NEVER)
        scope.mount.abort()

    other = clock.thread(aborts, name="guard")
    with clock.taking_part():
        other.start()
        with pytest.raises(DeviceRefused, match="came to rest"):
            scope.mount.slew(RA_DEG - 90.0, DEC_DEG, NEVER)
    other.join(10.0)
    rested = scope.mount.position()
    assert 1.0 < separation_deg(*rested, RA_DEG, DEC_DEG) < 12.0


def test_silent_mount_ends_its_slew_all_the_same() -> None:
    """The call fails while the mount is silent; what it was told to do it has done."""
    scope, clock = telescope(cue(Trouble.MOUNT_SILENT, after_s=100.0, lasts_s=60.0))
    clock.sleep(95.0 - clock.monotonic(), NEVER)
    with pytest.raises(DeviceUnreachable, match="mount does not answer"):
        scope.mount.slew(RA_DEG - 60.0, DEC_DEG, NEVER)
    for call in (scope.mount.position, scope.mount.abort, scope.mount.is_parked):
        with pytest.raises(DeviceUnreachable):
            call()
    clock.sleep(60.0, NEVER)
    assert scope.mount.position() == pytest.approx((RA_DEG - 60.0, DEC_DEG))


def test_silent_mount_can_still_be_given_up_on() -> None:
    """A stop during silence ends the call as a stop, not as another error."""
    scope, clock = telescope(cue(Trouble.MOUNT_SILENT, after_s=105.0, lasts_s=60.0))
    clock.sleep(100.5 - clock.monotonic(), NEVER)
    stop = Event()

    def stops() -> None:
        clock.sleep(4.7, NEVER)  # 105.2: between two looks of the slew
        stop.set()

    other = clock.thread(stops, name="stops")
    with clock.taking_part():
        other.start()
        with pytest.raises(Stopped):
            scope.mount.slew(RA_DEG - 90.0, DEC_DEG, stop)
    other.join(10.0)


# The camera


def test_frame_holds_the_light_of_the_star() -> None:
    """A magnitude brighter is 2.512 times the light; so is 2.512 times the exposure."""
    faint, _ = telescope(stars=(Star(8.5),))
    bright, _ = telescope(stars=(Star(7.5),))
    ratio = 10.0**0.4
    light = light_adu(faint)
    assert light_adu(bright) / light == pytest.approx(ratio, rel=0.03)
    assert light_adu(faint, 10.0 * ratio) / light == pytest.approx(ratio, rel=0.03)


def test_clouds_take_light() -> None:
    """A magnitude of clouds leaves 40 percent, for as long as they are there."""
    scope, clock = telescope(
        cue(Trouble.CLOUDS, after_s=1000.0, lasts_s=100.0, strength=1.0), stars=(Star(7.5),)
    )
    clear = light_adu(scope)
    clock.sleep(1010.0 - clock.monotonic(), NEVER)
    assert light_adu(scope) / clear == pytest.approx(10.0**-0.4, rel=0.03)
    clock.sleep(100.0, NEVER)
    assert light_adu(scope) / clear == pytest.approx(1.0, rel=0.03)


def test_frame_is_the_same_for_the_same_seed() -> None:
    """Noise and errors are drawn from the seed alone."""
    frames = [telescope(seed=seed)[0].camera.expose(5.0, stop=NEVER).pixels for seed in (7, 7, 8)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


def test_dark_shows_no_star() -> None:
    """With the shutter closed there is bias and its noise."""
    scope, _ = telescope(stars=(Star(4.0),))
    dark = scope.camera.expose(10.0, light=False, stop=NEVER).pixels
    assert dark.mean() == pytest.approx(300.0, abs=1.0)
    assert dark.max() < 330


def test_camera_fails_on_cue(
    calls: tuple[Trouble, type[Exception], str],
) -> None:
    """An error of the camera and its silence are two things; both pass."""
    trouble, kind, words = calls
    scope, clock = telescope(cue(trouble, after_s=200.0, lasts_s=30.0))
    clock.sleep(205.0 - clock.monotonic(), NEVER)
    with pytest.raises(kind, match=words):
        scope.camera.expose(10.0, stop=NEVER)
    clock.sleep(60.0, NEVER)
    assert scope.camera.expose(10.0, stop=NEVER).exposure_s == 10.0


@pytest.fixture(
    params=[
        (Trouble.CAMERA_FAULT, DeviceRefused, "the exposure failed"),
        (Trouble.CAMERA_SILENT, DeviceUnreachable, "does not answer"),
    ],
    ids=["fault", "silence"],
)
def calls(request: pytest.FixtureRequest) -> tuple[Trouble, type[Exception], str]:
    """Give each way in which a camera fails."""
    given: tuple[Trouble, type[Exception], str] = request.param
    return given


def test_abort_from_another_thread_ends_an_exposure() -> None:
    """No image comes, and the camera says why."""
    scope, clock = telescope()

    def aborts() -> None:
        clock.sleep(8.0, NEVER)
        scope.camera.abort_exposure()

    other = clock.thread(aborts, name="guard")
    with clock.taking_part():
        other.start()
        with pytest.raises(DeviceRefused, match="told to abort"):
            scope.camera.expose(60.0, stop=NEVER)
    other.join(10.0)


def test_star_trails_without_tracking() -> None:
    """The same light covers more pixels, along one direction."""
    scope, _ = telescope(stars=(Star(7.5),))
    sharp = near_middle(scope).max()
    scope.mount.set_tracking(False)
    assert near_middle(scope).max() < 0.5 * sharp


# The focuser


def test_width_of_stars_follows_a_v_curve() -> None:
    """Sharpest in the best focus, straight arms on both sides, the same on either."""
    traits = FocuserTraits(sharpest_px=2.5, blur_px_per_step=0.02)
    assert traits.fwhm_px(0.0) == 2.5
    assert traits.fwhm_px(300.0) == traits.fwhm_px(-300.0)
    far = [traits.fwhm_px(steps) for steps in (2000.0, 2100.0)]
    assert far[1] - far[0] == pytest.approx(100.0 * 0.02, rel=0.01)


def test_measured_width_grows_with_the_drift_of_the_focus(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A frame out of focus shows wider stars; moving the focuser after the drift mends it."""
    scope, clock = telescope(cue(Trouble.FOCUS_DRIFT, after_s=500.0, lasts_s=600.0, strength=150.0))
    folder = tmp_path_factory.mktemp("frames")

    def width_px() -> float:
        write_frame(folder / "frame.fits", scope.camera.expose(10.0, stop=NEVER), FrameFacts())
        return float(detect(read_frame(folder / "frame.fits")).fwhm_px)

    sharp = width_px()
    clock.sleep(1200.0 - clock.monotonic(), NEVER)
    blurred = width_px()
    assert blurred / sharp == pytest.approx(math.hypot(2.6, 3.0) / 2.6, rel=0.12)
    scope.focuser.move_focus(5_150, NEVER)
    assert width_px() == pytest.approx(sharp, rel=0.05)


def test_stopped_focuser_rests_on_its_way() -> None:
    """A stop leaves it between start and goal."""
    scope, clock = telescope()
    stop = Event()

    def stops() -> None:
        clock.sleep(2.1, NEVER)
        stop.set()

    other = clock.thread(stops, name="stops")
    with clock.taking_part():
        other.start()
        with pytest.raises(Stopped):
            scope.focuser.move_focus(9_000, stop)
    other.join(10.0)
    assert 5_000 < scope.focuser.focus_position() < 9_000


# The weather


@pytest.mark.parametrize(
    ("cues", "safe"),
    [
        ((), True),
        ((cue(Trouble.RAIN, strength=2.0),), False),
        ((cue(Trouble.WIND, strength=20.0),), False),
        ((cue(Trouble.CLOUDS, strength=1.0),), True),
    ],
    ids=["clear", "rain", "storm", "clouds"],
)
def test_safety_monitor_judges_rain_and_storm(cues: tuple[Cue, ...], *, safe: bool) -> None:
    """Clouds spoil frames and harm nothing."""
    scope, _ = telescope(*cues)
    assert scope.weather.sense().is_safe is safe


def test_station_measures_what_the_script_brings() -> None:
    """Rain, wind and clouds come and go with their cues, and the dew point stays below the air."""
    scope, clock = telescope(
        cue(Trouble.RAIN, after_s=1000.0, lasts_s=100.0, strength=3.0),
        cue(Trouble.CLOUDS, after_s=2000.0, lasts_s=100.0, strength=2.5),
        cue(Trouble.WEATHER_SILENT, after_s=3000.0, lasts_s=100.0),
    )
    seen = []
    for at_s in (900.0, 1050.0, 1150.0, 2050.0):
        clock.sleep(at_s - clock.monotonic(), NEVER)
        seen.append(scope.weather.sense())
    assert [weather.rain_rate_mm_h for weather in seen] == [0.0, 3.0, 0.0, 0.0]
    assert [round(weather.cloud_cover_pct or 0.0) for weather in seen] == [0, 100, 0, 90]
    for weather in seen:
        assert weather.temperature_c is not None
        assert weather.dew_point_c is not None
        assert weather.dew_point_c < weather.temperature_c
    clock.sleep(3050.0 - clock.monotonic(), NEVER)
    with pytest.raises(DeviceUnreachable, match="weather station"):
        scope.weather.sense()


# The wheel and the whole


def test_wheel_turns_to_a_filter_by_its_name() -> None:
    """The camera says which filter was in; one that is not there is refused."""
    scope, _ = telescope(traits=Traits(filters=("V", "B")))
    assert scope.filters is not None
    assert scope.camera.expose(1.0, stop=NEVER).filter_name == "V"
    scope.filters.move_filter("b", NEVER)
    assert scope.camera.expose(1.0, stop=NEVER).filter_name == "B"
    with pytest.raises(DeviceRefused, match="no filter 'R'; it has V, B"):
        scope.filters.move_filter("R", NEVER)


def test_cues_survive_their_way_through_json() -> None:
    """What is written for another process is read again as it was."""
    given = cue(Trouble.CLOUDS, after_s=3.0, lasts_s=4.0, strength=0.5)
    assert Cue.from_dict(given.to_dict()) == given


@pytest.mark.parametrize(
    ("at_s", "expected"), [(-1.0, 0.0), (0.0, 0.0), (50.0, 10.0), (100.0, 20.0), (1e5, 20.0)]
)
def test_drift_grows_evenly_and_stays(at_s: float, expected: float) -> None:
    """Half the drift at half the time, all of it ever after."""
    script = Script([cue(Trouble.FOCUS_DRIFT, lasts_s=100.0, strength=20.0)])
    assert script.grown(Trouble.FOCUS_DRIFT, DUSK + timedelta(seconds=at_s)) == expected


def test_cue_ends_before_its_last_instant() -> None:
    """A cue holds from its beginning on, and no longer at its end."""
    script = Script([cue(Trouble.RAIN, lasts_s=10.0, strength=1.0)])

    def strength(at_s: float) -> float:
        return script.strength(Trouble.RAIN, DUSK + timedelta(seconds=at_s))

    assert [strength(at_s) for at_s in (-0.1, 0.0, 9.9, 10.0)] == [0.0, 1.0, 1.0, 0.0]

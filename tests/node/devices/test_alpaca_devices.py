"""What an Alpaca device can and cannot do reaches the caller in J2000, in rows, in a sentence."""

import datetime as dt
from collections.abc import Iterator
from threading import Event

import erfa
import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.node.devices.fakes import FakeAlpaca, error, fake_alpaca, image_bytes
from tests.support.capture_server import Answer

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.alpaca import TelescopeSettings, connect_telescope
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.camera import AlpacaCamera
from boundless_skies.node.devices.alpaca.discovery import discover, list_devices, list_found
from boundless_skies.node.devices.alpaca.frames import EquatorialSystem, from_mount, to_mount
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.devices.capabilities import Telescope, Weather
from boundless_skies.node.devices.errors import DeviceRefused, DeviceUnreachable

NIGHT = dt.datetime(2026, 3, 1, 2, tzinfo=dt.UTC)


@pytest.fixture
def fake() -> Iterator[FakeAlpaca]:
    """Run a server."""
    with fake_alpaca() as running:
        yield running


def mount(fake: FakeAlpaca, motion_s: float = 5.0) -> AlpacaMount:
    """Return the fake's mount."""
    return AlpacaMount(Server(fake.address, 2.0), 0, SystemClock(), motion_s)


def camera(fake: FakeAlpaca) -> AlpacaCamera:
    """Return the fake's camera."""
    return AlpacaCamera(Server(fake.address, 2.0), 0, SystemClock(), 2.0)


def telescope(fake: FakeAlpaca, **settings_: int) -> Telescope:
    """Connect the fake's devices."""
    return connect_telescope(TelescopeSettings(address=fake.address, **settings_), SystemClock())


# -- where a mount points ---------------------------------------------------------------


@settings(max_examples=40)
@given(
    ra=st.floats(0, 360, exclude_max=True),
    dec=st.floats(-89.9, 89.9),
    system=st.sampled_from(EquatorialSystem),
)
def test_mounts_coordinates_come_back(ra: float, dec: float, system: EquatorialSystem) -> None:
    """What is sent to a mount in its own coordinates is read back as the same J2000 place."""
    back = from_mount(*to_mount(ra, dec, system, NIGHT), system, NIGHT)
    apart = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(*back, unit="deg"))
    assert apart.arcsec < 0.01


def test_coordinates_agree_with_astropy() -> None:
    """B1950 and J2050 are the places that another implementation computes."""
    place = SkyCoord(83.8, 22.0, unit="deg", frame="icrs")
    for system, frame in (
        (EquatorialSystem.B1950, FK4(equinox="B1950")),
        (EquatorialSystem.J2050, FK5(equinox="J2050")),
    ):
        expected = place.transform_to(frame)
        ra, dec = to_mount(83.8, 22.0, system, NIGHT)
        apart = expected.separation(SkyCoord(ra, dec, unit="deg", frame=frame))
        assert apart.arcsec < 0.2


def test_place_of_date_is_apparent() -> None:
    """A star's apparent place is the one of an almanac: the equinox has moved since 2000."""
    ra, dec = to_mount(0.0, 0.0, EquatorialSystem.TOPOCENTRIC, NIGHT)
    # Precession in right ascension m = 46.12″ and in declination n = 20.04″ a year (IAU 2006),
    # with nutation and aberration of some 30″ at most about it.
    years = 26.16
    assert ra * 3600.0 == pytest.approx(46.12 * years, abs=32.0)
    assert dec * 3600.0 == pytest.approx(20.04 * years, abs=32.0)


@pytest.mark.parametrize("stated", [0, 1, 99, error(0x400, "no")])
def test_slew_goes_in_the_mounts_own_coordinates(fake: FakeAlpaca, stated: int | Answer) -> None:
    """A mount that counts from the equinox of date is sent there, and understood again."""
    fake.values["telescope/equatorialsystem"] = stated
    pointing = mount(fake)
    pointing.slew(83.8, 22.0, Event())
    sent = fake.ordered("telescope/slewtocoordinatesasync")[0]
    assert float(sent["RightAscension"]) * 15.0 - 83.8 == pytest.approx(0.4, abs=0.05)
    assert pointing.position() == pytest.approx((83.8, 22.0), abs=1e-4)


def test_slew_starts_the_tracking_first(fake: FakeAlpaca) -> None:
    """Drivers refuse to go to a star while the mount stands still."""
    mount(fake).slew(10.0, 20.0, Event())
    assert [name for name, _ in fake.orders] == [
        "telescope/tracking",
        "telescope/slewtocoordinatesasync",
    ]


def test_mount_that_was_switched_off_and_on_is_connected_again(fake: FakeAlpaca) -> None:
    """Its server has forgotten the connection by then; the night goes on all the same."""
    mount_ = mount(fake)
    mount_.device.connect(1.0)
    fake.orders.clear()
    asked: list[None] = []

    def once_not_connected() -> object:
        asked.append(None)
        return error(0x407, "Not connected") if len(asked) == 1 else False

    fake.changing["telescope/atpark"] = once_not_connected
    assert mount_.is_parked() is False
    assert [name for name, _ in fake.orders] == ["telescope/connected"]


def test_slew_that_ends_elsewhere_is_a_refusal(fake: FakeAlpaca) -> None:
    """A hand box that broke the slew off is noticed by where the mount came to rest."""
    fake.values["PUT telescope/slewtocoordinatesasync"] = Answer(body={"ErrorNumber": 0})
    with pytest.raises(DeviceRefused, match=r"came to rest 22\.3° from where it was sent"):
        mount(fake).slew(10.0, 20.0, Event())


def test_slew_that_never_ends_is_aborted(fake: FakeAlpaca) -> None:
    """A mount that slews on and on is stopped at its limit of time, and told."""
    fake.values["telescope/slewing"] = True
    with pytest.raises(DeviceRefused, match="not ended its slew within 0 s"):
        mount(fake, motion_s=0.1).slew(10.0, 20.0, Event())
    assert fake.ordered("telescope/abortslew")


def test_one_lost_answer_does_not_end_a_slew(fake: FakeAlpaca) -> None:
    """A hiccup of the network while a mount moves is waited out."""
    broken = [Answer(raw=b""), Answer(status=500)]
    fake.changing["telescope/slewing"] = lambda: broken.pop() if broken else False
    mount(fake).slew(10.0, 20.0, Event())
    assert not broken


@pytest.mark.parametrize(
    ("capability", "act"),
    [
        ("canslewasync", lambda m: m.slew(1.0, 2.0, Event())),
        ("cansync", lambda m: m.sync(1.0, 2.0)),
        ("canpark", lambda m: m.park(Event())),
        ("cansettracking", lambda m: m.set_tracking(True)),
    ],
)
def test_what_a_mount_cannot_do_is_told(fake: FakeAlpaca, capability: str, act: object) -> None:
    """One sentence, before the mount is asked for what it cannot do."""
    fake.values[f"telescope/{capability}"] = False
    assert callable(act)
    with pytest.raises(DeviceRefused, match=rf"\(its driver says {capability} false\)\.$"):
        act(mount(fake))
    assert all(name == "telescope/tracking" for name, _ in fake.orders)


def test_parked_mount_cannot_be_unparked_by_everyone(fake: FakeAlpaca) -> None:
    """A mount that only a hand unparks says so."""
    fake.values |= {"telescope/atpark": True, "telescope/canunpark": False}
    with pytest.raises(DeviceRefused, match="by hand only"):
        mount(fake).unpark()


# -- what a camera gives ----------------------------------------------------------------

ELEMENTS = {1: "<i2", 2: "<i4", 3: "<f8", 4: "<f4", 5: "<u8", 6: "u1", 7: "<i8", 8: "<u2", 9: "<u4"}
VALUES = np.arange(24).reshape(4, 6)


@pytest.mark.parametrize("element", ELEMENTS)
def test_pixels_of_each_type_lie_in_rows(fake: FakeAlpaca, element: int) -> None:
    """Alpaca sends columns; a frame has the picture's top row first, whatever the numbers."""
    fake.image = Answer(
        body=image_bytes(VALUES.astype(ELEMENTS[element]), element, start=64),
        headers={"Content-Type": "application/imagebytes; charset=utf-8"},
    )
    pixels = camera(fake).expose(0.0, stop=Event()).pixels
    assert pixels.dtype == np.uint16
    assert pixels.tolist() == VALUES.tolist()


def test_image_without_imagebytes_is_read_too(fake: FakeAlpaca) -> None:
    """Servers that know only JSON give the same frame."""
    fake.image = Answer(
        body={"Type": 2, "Rank": 2, "Value": VALUES.T.tolist(), "ErrorNumber": 0},
        headers={"Content-Type": "application/json"},
    )
    assert camera(fake).expose(0.0, stop=Event()).pixels.tolist() == VALUES.tolist()


@pytest.mark.parametrize(
    ("columns", "rows", "pattern"), [(0, 0, "RGGB"), (1, 0, "GRBG"), (0, 1, "GBRG"), (1, 1, "BGGR")]
)
def test_bayer_offsets_turn_the_pattern(
    fake: FakeAlpaca, columns: int, rows: int, pattern: str
) -> None:
    """The pattern is the one of the frame's first two rows."""
    fake.values |= {"camera/sensortype": 2}
    fake.values |= {"camera/bayeroffsetx": columns, "camera/bayeroffsety": rows}
    assert camera(fake).expose(0.0, stop=Event()).bayer_pattern == pattern


def test_binned_colours_are_mono(fake: FakeAlpaca) -> None:
    """Binning adds the colours up, so that no mosaic is left."""
    fake.values |= {"camera/sensortype": 2}
    exposure = camera(fake).expose(0.0, binning=2, stop=Event())
    assert (exposure.bayer_pattern, exposure.binning) == (None, 2)
    assert [fake.values[f"camera/{name}"] for name in ("binx", "biny", "numx", "numy")] == [
        2, 2, 3, 2,
    ]  # fmt: skip


def test_part_of_the_sensor_chosen_by_another_program_is_undone(fake: FakeAlpaca) -> None:
    """The whole sensor is read, however the camera was left."""
    fake.values |= {"camera/startx": 2, "camera/starty": 1, "camera/numx": 3, "camera/numy": 2}
    camera(fake).expose(0.0, stop=Event())
    names = ("startx", "starty", "numx", "numy")
    assert [fake.values[f"camera/{name}"] for name in names] == [0, 0, 6, 4]


def test_camera_that_knows_little_gives_a_frame(fake: FakeAlpaca) -> None:
    """What a driver does not know is None, and stops nothing."""
    exposure = camera(fake).expose(0.0, stop=Event())
    unknown = (exposure.gain_e_per_adu, exposure.gain_setting, exposure.temperature_c)
    assert unknown == (None, None, None)
    assert exposure.camera == "Fake camera"


@pytest.mark.parametrize(
    ("full_e", "gain", "adu"), [(50_000, 1.0, 50_000), (50_000, 0.5, 65_535), (None, 1.0, 65_535)]
)
def test_pixels_that_are_full_before_the_converter_ends_are_saturated(
    fake: FakeAlpaca, full_e: float | None, gain: float, adu: int
) -> None:
    """Their light is lost; a star in them would seem too faint, and good."""
    fake.values["camera/electronsperadu"] = gain
    if full_e is not None:
        fake.values["camera/fullwellcapacity"] = full_e
    assert camera(fake).expose(0.0, stop=Event()).saturation_adu == adu


@pytest.mark.parametrize(("gains", "setting"), [(None, 1), (["80", "120"], 120), (["L", "H"], 1)])
def test_gain_is_the_cameras_own_number(
    fake: FakeAlpaca, gains: list[str] | None, setting: int
) -> None:
    """A gain that a driver gives as a place in a list is the number that stands there."""
    fake.values["camera/gain"] = 1
    if gains is not None:
        fake.values["camera/gains"] = gains
    assert camera(fake).expose(0.0, stop=Event()).gain_setting == setting


@pytest.mark.parametrize(("ahead_s", "trusted"), [(0.2, True), (3600.0, False), (-5.0, False)])
def test_start_is_the_cameras_only_where_its_clock_is_right(
    fake: FakeAlpaca, ahead_s: float, trusted: bool
) -> None:
    """A camera that is an hour ahead does not put a measurement an hour ahead."""
    now = dt.datetime.now(dt.UTC)
    stated = now + dt.timedelta(seconds=ahead_s)
    fake.values["camera/lastexposurestarttime"] = stated.strftime("%Y-%m-%dT%H:%M:%S.%f")
    exposure = camera(fake).expose(0.0, stop=Event())
    assert (exposure.start_utc == stated) is trusted
    assert abs((exposure.start_utc - now).total_seconds()) < 2.0


def test_middle_is_half_of_what_was_exposed(fake: FakeAlpaca) -> None:
    """The camera's own length counts, where it is near the one that was asked for."""
    fake.values["camera/lastexposureduration"] = 0.4
    exposure = camera(fake).expose(0.3, stop=Event())
    assert exposure.exposure_s == 0.4
    assert exposure.mid_utc - exposure.start_utc == dt.timedelta(seconds=0.2)


@pytest.mark.parametrize(
    ("changes", "asked", "words"),
    [
        ({}, {"exposure_s": 61.0}, "exposes for 0 s to 60 s, not for 61 s"),
        ({}, {"exposure_s": float("nan")}, "not for nan s"),
        ({}, {"exposure_s": 1.0, "binning": 3}, "bins 1 to 2 pixels on a side, not 3"),
        ({"camera/sensortype": 3}, {"exposure_s": 1.0}, "of the kind CMYG"),
        ({"camera/imageready": False, "camera/camerastate": 5}, {"exposure_s": 0.0}, "failed"),
        ({"camera/imageready": False}, {"exposure_s": 0.0}, "not ended its exposure within 2 s"),
    ],
)
def test_what_a_camera_cannot_do_is_told(
    fake: FakeAlpaca, changes: dict[str, object], asked: dict[str, float], words: str
) -> None:
    """One sentence with the value against the limit."""
    fake.values |= changes
    with pytest.raises(DeviceRefused) as caught:
        camera(fake).expose(**asked, stop=Event())  # type: ignore[arg-type]
    assert words in str(caught.value)


# -- the other devices ------------------------------------------------------------------


def test_focuser_goes_in_steps_that_it_can(fake: FakeAlpaca) -> None:
    """A focuser with a largest step reaches a far goal in several."""
    focuser = telescope(fake).focuser
    assert focuser is not None
    focuser.move_focus(950, Event())
    assert [int(form["Position"]) for form in fake.ordered("focuser/move")] == [700, 900, 950]
    assert (focuser.focus_position(), focuser.focus_range()) == (950, (0, 1_000))


def test_focuser_that_does_not_move_is_told(fake: FakeAlpaca) -> None:
    """A slipping clutch does not keep the node moving it for ever."""
    fake.values["PUT focuser/move"] = Answer(body={"ErrorNumber": 0})
    focuser = telescope(fake).focuser
    assert focuser is not None
    with pytest.raises(DeviceRefused, match="stays at 500 steps though it was sent to 700"):
        focuser.move_focus(900, Event())


def test_relative_focuser_is_left_out_and_told(
    fake: FakeAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    """A focuser that knows no positions cannot be focused by; the owner reads why."""
    fake.values["focuser/absolute"] = False
    assert telescope(fake).focuser is None
    assert "knows no positions" in caplog.text


def test_filters_are_found_by_name(fake: FakeAlpaca) -> None:
    """Capitals make no difference; an unknown filter is told with those that there are."""
    filters = telescope(fake).filters
    assert filters is not None
    filters.move_filter("v", Event())
    assert filters.filter_name() == "V"
    with pytest.raises(DeviceRefused, match="has no filter 'R'; it has B, V"):
        filters.move_filter("R", Event())


def test_weather_without_sensors_is_unknown(fake: FakeAlpaca) -> None:
    """A sensor that was never built is asked once; one that fails now is None."""
    fake.values |= {
        "observingconditions/name": "Station",
        "observingconditions/humidity": 61.5,
        "observingconditions/rainrate": error(0x402, "no value yet"),
    }
    weather = telescope(fake).weather
    assert weather is not None
    assert weather.sense() == weather.sense() == Weather(is_safe=True, humidity_pct=61.5)
    paths = [request.path.partition("?")[0] for request in fake.server.requests]
    assert paths.count("/api/v1/observingconditions/0/windspeed") == 1
    assert paths.count("/api/v1/observingconditions/0/rainrate") == 2


def test_weather_that_does_not_answer_is_no_good_weather(fake: FakeAlpaca) -> None:
    """Silence of the safety monitor, and its errors, are never taken for safe."""
    weather = telescope(fake).weather
    assert weather is not None
    fake.values["safetymonitor/issafe"] = Answer(status=500)
    with pytest.raises(DeviceUnreachable):
        weather.sense()
    fake.values["safetymonitor/issafe"] = error(0x407, "not connected")
    with pytest.raises(DeviceRefused):
        weather.sense()


# -- finding them -----------------------------------------------------------------------


def test_devices_that_are_not_there_are_left_out(fake: FakeAlpaca) -> None:
    """A telescope of mount and camera is one; what is missing is None."""
    for name in [name for name in fake.values if name.startswith(("foc", "filt", "safe"))]:
        del fake.values[name]
    found = telescope(fake)
    assert (found.focuser, found.filters, found.weather) == (None, None, None)
    assert found.name == "Fake mount"


def test_owner_can_leave_a_device_out(fake: FakeAlpaca) -> None:
    """A focuser on the server need not be used."""
    found = telescope(fake, focuser=-1, filter_wheel=-1)
    assert (found.focuser, found.filters) == (None, None)
    assert not fake.ordered("focuser/connected")


def test_server_without_a_camera_is_told(fake: FakeAlpaca) -> None:
    """What is missing is named, and where."""
    for name in [name for name in fake.values if name.startswith("camera")]:
        del fake.values[name]
    with pytest.raises(DeviceUnreachable, match=f"{fake.address} has no camera"):
        telescope(fake)


def test_two_ways_to_a_server_count_once(fake: FakeAlpaca) -> None:
    """A server that answers on two of its addresses is one telescope."""
    ways = (fake.address, fake.address.replace("127.0.0.1", "localhost"))
    assert [listing.address for listing in list_found(ways, 2.0)] == [fake.address]


def test_devices_are_listed_by_kind(fake: FakeAlpaca) -> None:
    """The management calls say what there is."""
    listing = list_devices(Server(fake.address, 2.0))
    assert [(device.kind, device.number) for device in listing.of("camera")] == [("camera", 0)]
    assert not listing.of("observingconditions")


def test_erfa_is_the_authority_on_leap_seconds() -> None:
    """The difference of clocks that places of date are computed with is the present one."""
    from boundless_skies.node.devices.alpaca import frames  # noqa: PLC0415 - one number of it

    clocks_apart_s = frames._TT_MINUS_UTC_D * 86_400.0
    assert clocks_apart_s == pytest.approx(erfa.dat(2026, 3, 1, 0.0) + 32.184)


def test_nobody_answers_is_no_error() -> None:
    """A network without a telescope gives an empty list."""
    assert discover(0.05, [("127.0.0.1", 9)]) == ()

"""Whatever an Alpaca server does, a call ends in time, and as one of two errors."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.node.devices.fakes import FakeAlpaca, error, fake_alpaca, image_bytes, ok
from tests.support.capture_server import Answer
from tests.support.hostile import ENDLESS_HEADERS, SILENT, SLOW, black_hole, deaf_resolver

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.alpaca import TelescopeSettings, connect_telescope
from boundless_skies.node.devices.alpaca.calls import Answer as Answered
from boundless_skies.node.devices.alpaca.calls import Server, host_and_port
from boundless_skies.node.devices.alpaca.camera import AlpacaCamera
from boundless_skies.node.devices.alpaca.device import AlpacaDevice
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.devices.alpaca.pixels import read_pixels
from boundless_skies.node.devices.alpaca.weather import AlpacaWeather
from boundless_skies.node.devices.errors import DeviceRefused, DeviceUnreachable, Stopped

LIMIT_S = 0.4


@pytest.fixture
def fake() -> Iterator[FakeAlpaca]:
    """Run a server."""
    with fake_alpaca() as running:
        yield running


def mount(address: str) -> AlpacaMount:
    """Return a mount whose calls may take no more than a moment."""
    return AlpacaMount(Server(address, LIMIT_S), 0, SystemClock(), 5.0)


def camera(address: str) -> AlpacaCamera:
    """Return a camera whose calls may take no more than a moment."""
    return AlpacaCamera(Server(address, LIMIT_S), 0, SystemClock(), LIMIT_S)


NO_ANSWERS = {
    **SLOW,
    "endless headers": ENDLESS_HEADERS,
    "HTTP 400": Answer(status=400, body=b"Bad request: no such device"),
    "HTTP 500": Answer(status=500, body=b"driver crashed"),
    "HTTP 302": Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}),
    "no HTTP": Answer(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
    "closed at once": Answer(raw=b""),
    "torn": Answer(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"Value"'),
    "not JSON": Answer(body=b"<html>Router login</html>"),
    "a list": Answer(body=[1, 2]),
    "deep JSON": Answer(body=b"[" * 100_000),
    "no error number": Answer(body={"Value": True}),
    "error number a text": Answer(body={"Value": True, "ErrorNumber": "one"}),
    "no value": Answer(body={"ErrorNumber": 0}),
    "a text": ok("yes"),
    "null": ok(),
    "not UTF-8": Answer(body=b'{"Value": "\xff", "ErrorNumber": 0}'),
    "too much": Answer(body=b" " * 2_100_000),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_no_answer_is_unreachable(fake: FakeAlpaca, name: str) -> None:
    """Silence, drips, torn and endless answers, errors of HTTP and nonsense: one error."""
    fake.values["telescope/tracking"] = NO_ANSWERS[name]
    with pytest.raises(DeviceUnreachable) as caught:
        mount(fake.address).is_tracking()
    assert caught.value.device == "mount"
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("The mount ")


VALUES_ONLY = {"no value", "a text", "null"}


@pytest.mark.parametrize("name", sorted(set(NO_ANSWERS) - VALUES_ONLY))
def test_order_without_an_answer_is_given_once(fake: FakeAlpaca, name: str) -> None:
    """An order whose answer is lost may have been obeyed, so it is not given again."""
    fake.values["PUT telescope/abortslew"] = NO_ANSWERS[name]
    with pytest.raises(DeviceUnreachable):
        mount(fake.address).abort()
    assert len(fake.ordered("telescope/abortslew")) == 1


def test_refused_connection_is_unreachable() -> None:
    """A server that is switched off is told as that."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DeviceUnreachable, match="nothing listens there"):
            mount(address).is_parked()


def test_connection_that_never_stands_is_unreachable() -> None:
    """A computer that swallows packets costs the call's time and no more."""
    with black_hole() as port, pytest.raises(DeviceUnreachable, match=f"within {LIMIT_S} s"):
        mount(f"127.0.0.1:{port}").is_parked()


def test_unknown_name_is_unreachable() -> None:
    """A host that nobody knows is told by its name."""
    with pytest.raises(DeviceUnreachable, match=r"telescope\.invalid"):
        mount("telescope.invalid:11111").is_parked()


def test_hanging_resolver_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that never answers, which no socket's timeout reaches, is left behind."""
    with deaf_resolver() as getaddrinfo:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(DeviceUnreachable, match="no whole answer"):
            mount("telescope.example").is_parked()


@pytest.mark.parametrize("address", ["", "a b", "host:port", "host:70000", "host/path", "["])
def test_what_is_no_address_is_told(address: str) -> None:
    """A slip in the config is told before anything is called."""
    with pytest.raises(DeviceUnreachable, match="is no address"):
        host_and_port(address)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("scope.local", ("scope.local", 11111)),
        (" 10.0.0.2:32323 ", ("10.0.0.2", 32323)),
        ("http://10.0.0.2:32323/", ("10.0.0.2", 32323)),
        ("[fe80::1]:11111", ("fe80::1", 11111)),
    ],
)
def test_addresses_are_read(address: str, parts: tuple[str, int]) -> None:
    """An address may be written as people write it."""
    assert host_and_port(address) == parts


@pytest.mark.parametrize("number", [0x400, 0x401, 0x407, 0x408, 0x40B, 0x4FF, 0x500, 0xFFF, 7])
def test_driver_errors_are_refusals_in_its_own_words(fake: FakeAlpaca, number: int) -> None:
    """Each error number, also those that nobody gave, comes with the driver's words."""
    fake.values["telescope/tracking"] = error(number, "The clutch\r\nslips.")
    with pytest.raises(DeviceRefused) as caught:
        mount(fake.address).is_tracking()
    assert caught.value.number == number
    assert str(caught.value) == (
        f"The mount refused tracking: The clutch slips (Alpaca error 0x{number:X})."
    )


def test_silent_device_does_not_hold_up_another() -> None:
    """While a weather station is silent, the mount of the same server can be stopped."""
    with fake_alpaca() as fake:
        fake.values["observingconditions/humidity"] = SILENT
        server = Server(fake.address, 5.0)
        failed = Event()

        def watch() -> None:
            try:
                AlpacaWeather(server, 0, None).sense()
            except DeviceUnreachable:
                failed.set()

        thread = threading.Thread(target=watch)
        thread.start()
        AlpacaMount(server, 0, SystemClock(), 5.0).abort()
        assert not failed.is_set()
        fake.server.close()
        thread.join(10)
        assert failed.is_set()


def test_kept_connection_that_the_server_closed_is_made_anew(fake: FakeAlpaca) -> None:
    """A server that closes idle connections costs no call."""
    fake.values["telescope/tracking"] = Answer(body=ok(True).body, close=True)
    pointing = mount(fake.address)
    assert [pointing.is_tracking() for _ in range(3)] == [True] * 3


def test_calls_share_a_connection(fake: FakeAlpaca) -> None:
    """One after another they use the same connection: polling opens none."""
    pointing = mount(fake.address)
    for _ in range(5):
        pointing.is_parked()
    assert len({request.connection for request in fake.server.requests}) == 1


@dataclass(frozen=True)
class BadImage:
    """An answer in place of an image, and what is told of it."""

    body: bytes
    words: str
    error: type[Exception] = DeviceUnreachable
    content_type: str = "application/imagebytes"


WHOLE = image_bytes(np.zeros((4, 6), np.uint16))
BAD_IMAGES = {
    "empty": BadImage(b"", "0 bytes"),
    "torn": BadImage(WHOLE[:-1], "47 of 48 bytes"),
    "too long": BadImage(WHOLE + b"x", "49 of 48 bytes"),
    "torn header": BadImage(WHOLE[:43], "43 bytes"),
    "other version": BadImage(struct.pack("<i", 2) + WHOLE[4:], "makes no sense"),
    "unknown type": BadImage(image_bytes(np.zeros((4, 6), np.uint16), element=77), "no sense"),
    "negative side": BadImage(WHOLE[:32] + struct.pack("<i", -6) + WHOLE[36:], "no sense"),
    "huge sides": BadImage(
        WHOLE[:32] + struct.pack("<2i", 2**31 - 1, 2**31 - 1) + WHOLE[40:], "of 9,2"
    ),
    "start before the header ends": BadImage(
        WHOLE[:16] + struct.pack("<i", 0) + WHOLE[20:], "did not arrive whole"
    ),
    "not JSON": BadImage(b"<html>", "neither", content_type="text/html"),
    "JSON of texts": BadImage(
        b'{"Value": [["a"]], "ErrorNumber": 0}', "no numbers", content_type="application/json"
    ),
    "ragged JSON": BadImage(
        b'{"Value": [[1], [1, 2]], "ErrorNumber": 0}', "neither", content_type="application/json"
    ),
    "driver's error": BadImage(
        image_bytes(np.frombuffer(b"No image", np.uint8)[None], 6, error_number=0x40B),
        "No image",
        DeviceRefused,
    ),
    "colours": BadImage(
        image_bytes(np.zeros((4, 6, 3), np.uint16)), "finished colour images", DeviceRefused
    ),
    "more than 16 bits": BadImage(
        image_bytes(np.full((4, 6), 65_536, np.int32), 2), "65536", DeviceRefused
    ),
    "negative": BadImage(image_bytes(np.full((4, 6), -1, np.int32), 2), "-1", DeviceRefused),
    "no number": BadImage(image_bytes(np.full((4, 6), np.nan), 3), "nan", DeviceRefused),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_image_that_is_none_is_told(fake: FakeAlpaca, name: str) -> None:
    """A torn image is a lost call, asked for once more; one that does not fit is a refusal."""
    bad = BAD_IMAGES[name]
    fake.image = Answer(body=bad.body, headers={"Content-Type": bad.content_type})
    with pytest.raises(bad.error) as caught:
        camera(fake.address).expose(0.0, stop=Event())
    assert bad.words in str(caught.value)
    asked = [request for request in fake.server.requests if "/imagearray" in request.path]
    assert len(asked) == (2 if bad.error is DeviceUnreachable else 1)


@pytest.mark.parametrize("name", SLOW)
def test_image_that_never_ends_is_unreachable(fake: FakeAlpaca, name: str) -> None:
    """Neither silence nor an endless image holds the night up."""
    fake.image = SLOW[name]
    with pytest.raises(DeviceUnreachable):
        camera(fake.address).expose(0.0, stop=Event())


def test_image_that_breaks_off_once_is_fetched_again(fake: FakeAlpaca) -> None:
    """The camera has the image still, so a hiccup of the network does not lose it."""
    whole, answers = fake.image, [Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 92\r\n\r\nab")]

    class Once:
        def __call__(self) -> Answer:
            return answers.pop() if answers else whole

    fake.image_now = Once()
    pixels = camera(fake.address).expose(0.0, stop=Event()).pixels
    assert pixels.tolist() == np.arange(24).reshape(4, 6).tolist()


def _slew(fake: FakeAlpaca, stop: Event) -> None:
    fake.values["telescope/slewing"] = True
    mount(fake.address).slew(10.0, 20.0, stop)


def _park(fake: FakeAlpaca, stop: Event) -> None:
    fake.values["PUT telescope/park"] = SILENT
    mount(fake.address).park(stop)


def _expose(fake: FakeAlpaca, stop: Event) -> None:
    camera(fake.address).expose(60.0, stop=stop)


@pytest.mark.parametrize(
    ("work", "order"),
    [
        (_slew, "telescope/abortslew"),
        (_park, "telescope/abortslew"),
        (_expose, "camera/abortexposure"),
    ],
)
def test_stop_lets_the_device_go(
    fake: FakeAlpaca, work: Callable[[FakeAlpaca, Event], None], order: str
) -> None:
    """Asked to stop, a call tells the device so and ends, also within a call that hangs."""
    stop = Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    with pytest.raises(Stopped):
        work(fake, stop)
    timer.join()
    assert len(fake.ordered(order)) == 1


def test_connecting_to_what_is_no_alpaca_server_is_told(fake: FakeAlpaca) -> None:
    """A web server that answers everything is told from an Alpaca server."""
    fake.everything = Answer(body=b"<html>Welcome</html>")
    with pytest.raises(DeviceUnreachable, match="not as an Alpaca server does"):
        connect_telescope(TelescopeSettings(address=fake.address, timeout_s=2.0), SystemClock())


@pytest.mark.parametrize(("hours", "degrees"), [(25.0, 0.0), (-1.0, 0.0), (3.0, 91.0), (1e300, 1)])
def test_mount_that_points_nowhere_is_not_believed(
    fake: FakeAlpaca, hours: float, degrees: float
) -> None:
    """Numbers that are no place of the sky are told, and go into no computation."""
    fake.values |= {"telescope/rightascension": hours, "telescope/declination": degrees}
    with pytest.raises(DeviceUnreachable, match="no place of the sky"):
        mount(fake.address).position()


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=200) | st.binary(max_size=100).map(b"HTTP/1.1 200 OK\r\n".__add__))
def test_any_bytes_end_as_a_device_error(raw: bytes) -> None:
    """Whatever comes back in place of an answer, no other error escapes."""
    with fake_alpaca() as server:
        server.everything = Answer(raw=raw)
        with pytest.raises(DeviceUnreachable):
            mount(server.address).is_tracking()


@settings(max_examples=300)
@given(
    where=st.integers(0, len(WHOLE) - 1),
    piece=st.binary(min_size=1, max_size=8),
    length=st.integers(0, len(WHOLE) + 8),
)
def test_any_damage_to_an_image_is_told_or_harmless(where: int, piece: bytes, length: int) -> None:
    """A damaged image is an image of the stated shape, or one of the two errors."""
    damaged = (WHOLE[:where] + piece + WHOLE[where + len(piece) :])[:length]
    device = AlpacaDevice(Server("127.0.0.1"), "camera", 0, "camera")
    try:
        pixels = read_pixels(Answered("application/imagebytes", damaged), device)
    except (DeviceRefused, DeviceUnreachable):
        return
    assert (pixels.dtype, pixels.ndim) == (np.uint16, 2)
    assert pixels.nbytes <= len(damaged) * 2

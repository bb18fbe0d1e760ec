"""What each device of an Alpaca server can do, in an owner's words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.camera import AlpacaCamera
from boundless_skies.node.devices.alpaca.device import AlpacaDevice
from boundless_skies.node.devices.alpaca.discovery import KINDS, Device, Listing
from boundless_skies.node.devices.alpaca.focuser import AlpacaFocuser
from boundless_skies.node.devices.alpaca.frames import EquatorialSystem
from boundless_skies.node.devices.alpaca.weather import AlpacaWeather
from boundless_skies.node.devices.errors import DeviceError

NEEDED = ("telescope", "camera")
"""Without these no frame can be taken."""

_CONNECT_S = 30.0
_MOUNT_ABILITIES = {
    "canslewasync": "goes to places",
    "cansettracking": "follows the sky",
    "cansync": "can be told where it points",
    "canpark": "parks",
    "canunpark": "unparks",
}
_SYSTEMS = {
    EquatorialSystem.TOPOCENTRIC: "counts from the equinox of date",
    EquatorialSystem.J2000: "counts in J2000",
    EquatorialSystem.J2050: "counts in J2050",
    EquatorialSystem.B1950: "counts in B1950",
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a device can do.

    Attributes
    ----------
    kind : str
        Its type, as Alpaca spells it.
    words : str
        What an owner calls it.
    number : int
        Its number on the server.
    name : str
        What its driver calls it.
    abilities, lacks : tuple of str
        What it can do, and what the node would use but it cannot do.
    trouble : str
        Why nothing could be learnt; empty where it answers.
    """

    kind: str
    words: str
    number: int
    name: str
    abilities: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    trouble: str = ""


def survey(listing: Listing, timeout_s: float) -> tuple[Report, ...]:
    """Ask each device of a server what it can do; nothing is moved.

    Parameters
    ----------
    listing : Listing
        The server and its devices.
    timeout_s : float
        How long each call may take, seconds.

    Returns
    -------
    tuple of Report
        In the order of :data:`KINDS`. A device that its driver was not connected to before is
        let go again.
    """
    server = Server(listing.address, timeout_s)
    devices = [device for kind in KINDS for device in listing.of(kind)]
    return tuple(_report(server, device) for device in devices)


def _report(server: Server, device: Device) -> Report:
    asked = AlpacaDevice(server, device.kind, device.number, KINDS[device.kind])
    report = Report(
        kind=device.kind, words=KINDS[device.kind], number=device.number, name=device.name
    )
    try:
        abilities, lacks = _connected(asked, lambda: _ABILITIES[device.kind](server, asked, device))
    except DeviceError as error:
        return replace(report, trouble=str(error))
    return replace(report, abilities=abilities, lacks=lacks)


Abilities = tuple[tuple[str, ...], tuple[str, ...]]


def _connected(device: AlpacaDevice, ask: Callable[[], Abilities]) -> Abilities:
    was_connected = device.flag("connected")
    if not was_connected:
        device.connect(_CONNECT_S)
    try:
        return ask()
    finally:
        if not was_connected:
            device.order("connected", {"Connected": False}, limit_s=_CONNECT_S)


def _mount(_server: Server, mount: AlpacaDevice, _device: Device) -> Abilities:
    can = {words: mount.can(name) for name, words in _MOUNT_ABILITIES.items()}
    return (
        tuple([words for words, able in can.items() if able] + list(_mount_facts(mount))),
        tuple(words for words, able in can.items() if not able),
    )


def _mount_facts(mount: AlpacaDevice) -> Iterator[str]:
    system = mount.where_known(mount.whole, "equatorialsystem")
    if system in set(_SYSTEMS):
        yield _SYSTEMS[EquatorialSystem(system)]
    if metres := mount.where_known(mount.number, "focallength"):
        yield f"focal length {metres * 1000.0:g} mm"


def _camera(server: Server, device: AlpacaDevice, listed: Device) -> Abilities:
    camera = AlpacaCamera(server, listed.number, SystemClock(), _CONNECT_S)
    sensor = camera.sensor()
    size = f"{sensor.width_px} × {sensor.height_px} pixels"
    if sensor.pixel_size_um is not None:
        size += f" of {sensor.pixel_size_um:g} µm"
    abilities = [
        size,
        f"colour ({sensor.pattern})" if sensor.pattern else "mono",
        f"exposes {sensor.shortest_s:g} to {sensor.longest_s:g} s",
        f"bins up to {sensor.max_binning} × {sensor.max_binning}",
    ]
    aborts = device.can("canabortexposure") or device.can("canstopexposure")
    words = "breaks an exposure off"
    return tuple(abilities + [words] * aborts), () if aborts else (words,)


def _focuser(server: Server, _device: AlpacaDevice, listed: Device) -> Abilities:
    focuser = AlpacaFocuser(server, listed.number, SystemClock(), _CONNECT_S)
    if not focuser.is_absolute():
        return (), ("knows its position (it only moves relative to where it stands)",)
    lowest, highest = focuser.focus_range()
    return (f"positions {lowest} to {highest}, now {focuser.focus_position()}",), ()


def _filter_wheel(_server: Server, device: AlpacaDevice, _listed: Device) -> Abilities:
    return (f"filters {', '.join(device.texts('names'))}",), ()


def _station(server: Server, _device: AlpacaDevice, listed: Device) -> Abilities:
    sensed = AlpacaWeather(server, listed.number, None).sense()
    shown = {
        "clouds": (sensed.cloud_cover_pct, "%"),
        "rain": (sensed.rain_rate_mm_h, "mm/h"),
        "humidity": (sensed.humidity_pct, "%"),
        "wind": (sensed.wind_speed_m_s, "m/s"),
        "air": (sensed.temperature_c, "°C"),
    }
    return (
        tuple(
            f"{name} {value:g} {unit}" for name, (value, unit) in shown.items() if value is not None
        ),
        tuple(f"measures {name}" for name, (value, _) in shown.items() if value is None),
    )


def _monitor(_server: Server, device: AlpacaDevice, _listed: Device) -> Abilities:
    return ("says that it is safe now" if device.flag("issafe") else "says UNSAFE now",), ()


_ABILITIES: dict[str, Callable[[Server, AlpacaDevice, Device], Abilities]] = {
    "telescope": _mount,
    "camera": _camera,
    "focuser": _focuser,
    "filterwheel": _filter_wheel,
    "observingconditions": _station,
    "safetymonitor": _monitor,
}

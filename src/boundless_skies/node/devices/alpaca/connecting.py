"""From the owner's settings to a telescope that is connected."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.camera import AlpacaCamera
from boundless_skies.node.devices.alpaca.discovery import (
    KINDS,
    Listing,
    discover,
    list_devices,
    list_found,
)
from boundless_skies.node.devices.alpaca.filter_wheel import AlpacaFilterWheel
from boundless_skies.node.devices.alpaca.focuser import AlpacaFocuser
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.devices.alpaca.weather import AlpacaWeather
from boundless_skies.node.devices.capabilities import Telescope
from boundless_skies.node.devices.errors import DeviceUnreachable

log = logging.getLogger(__name__)

UNUSED = -1
"""The number of a device that the owner does not want to be used."""


@dataclass(frozen=True, kw_only=True)
class TelescopeSettings:
    """Which devices to use, and how long they may take.

    Attributes
    ----------
    address : str
        ``host:port`` of the Alpaca server; empty to look for it in the network.
    mount, camera, focuser, filter_wheel, weather_station, safety_monitor : int or None
        Numbers of the devices on the server; None for the first, :data:`UNUSED` for none.
    timeout_s : float
        How long an ordinary call may take in all.
    motion_timeout_s : float
        How long a slew, parking, a move of the focuser or the connecting may take.
    image_timeout_s : float
        How long reading the sensor out, and fetching the image, may take, each.
    """

    address: str = ""
    mount: int | None = None
    camera: int | None = None
    focuser: int | None = None
    filter_wheel: int | None = None
    weather_station: int | None = None
    safety_monitor: int | None = None
    timeout_s: float = 10.0
    motion_timeout_s: float = 180.0
    image_timeout_s: float = 120.0

    @classmethod
    def from_config(cls, block: Mapping[str, Any]) -> Self:
        """Return the settings that the config's block ``telescope`` says."""
        numbers = ("mount", "camera", "focuser", "filter_wheel", "weather_station")
        return cls(
            address=block["address"].strip(),
            **{name: block[name] for name in (*numbers, "safety_monitor")},
            timeout_s=block["timeout"],
            motion_timeout_s=block["motion_timeout"],
            image_timeout_s=block["image_timeout"],
        )


def connect_telescope(settings: TelescopeSettings, clock: Clock, name: str = "") -> Telescope:
    """Connect the devices of a telescope.

    Parameters
    ----------
    settings : TelescopeSettings
        Which, and how long they may take.
    clock : Clock
        To wait with, and to take times by.
    name : str, optional
        What its owner calls it; else the mount's driver names it.

    Returns
    -------
    Telescope
        A focuser that knows no positions is left out, and told in the log.

    Raises
    ------
    DeviceUnreachable
        If no server, or no mount or camera on it, is found, or one does not answer.
    DeviceRefused
        If a driver does not connect to its hardware.
    """
    listing = find_server(settings.address, settings.timeout_s)
    server = Server(listing.address, settings.timeout_s)
    motion_s = settings.motion_timeout_s
    mount = AlpacaMount(server, _needed(settings.mount, listing, "telescope"), clock, motion_s)
    wheel_number = _wanted(settings.filter_wheel, listing, "filterwheel")
    wheel = (
        None if wheel_number is None else AlpacaFilterWheel(server, wheel_number, clock, motion_s)
    )
    camera = AlpacaCamera(
        server,
        _needed(settings.camera, listing, "camera"),
        clock,
        settings.image_timeout_s,
        (lambda: None) if wheel is None else wheel.filter_name,
    )
    mount.device.connect(motion_s)
    camera.device.connect(motion_s)
    if wheel is not None:
        wheel.device.connect(motion_s)
    return Telescope(
        name=name or mount.device.where_known(mount.device.text, "name") or listing.address,
        mount=mount,
        camera=camera,
        focuser=_focuser(settings, listing, server, clock),
        weather=_weather(settings, listing, server),
        filters=wheel,
        focal_length_mm=mount.focal_length_mm(),
    )


def find_server(address: str, timeout_s: float) -> Listing:
    """Return the server that the owner named, or the only one in the network with a mount.

    Parameters
    ----------
    address : str
        ``host:port``; empty to look for it.
    timeout_s : float
        How long each call may take, seconds.

    Returns
    -------
    Listing
        Where it is, and its devices.

    Raises
    ------
    DeviceUnreachable
        If it does not answer; or if none, or several, were found.
    """
    if address:
        return list_devices(Server(address, timeout_s))
    found = [listing for listing in list_found(discover(), timeout_s) if listing.of("telescope")]
    if not found:
        raise DeviceUnreachable(
            "No telescope answers in this network. Switch it and its Alpaca server on; if it is "
            "in another network, write its address into telescope.address (192.168.1.20:11111)."
        )
    if len(found) > 1:
        addresses = ", ".join(listing.address for listing in found)
        raise DeviceUnreachable(
            f"{len(found)} telescopes answer in this network: {addresses}. Write the one to use "
            "into telescope.address."
        )
    return found[0]


def _wanted(number: int | None, listing: Listing, kind: str) -> int | None:
    if number == UNUSED:
        return None
    if number is not None:
        return number
    return next((device.number for device in listing.of(kind)), None)


def _needed(number: int | None, listing: Listing, kind: str) -> int:
    chosen = _wanted(number, listing, kind)
    if chosen is None:
        words = KINDS[kind]
        raise DeviceUnreachable(
            f"The Alpaca server {listing.address} has no {words}. Add it there, or name another "
            "server in telescope.address.",
            device=words,
        )
    return chosen


def _focuser(
    settings: TelescopeSettings, listing: Listing, server: Server, clock: Clock
) -> AlpacaFocuser | None:
    number = _wanted(settings.focuser, listing, "focuser")
    if number is None:
        return None
    focuser = AlpacaFocuser(server, number, clock, settings.motion_timeout_s)
    focuser.device.connect(settings.motion_timeout_s)
    if focuser.is_absolute():
        return focuser
    log.warning(
        "The focuser moves relative to where it stands and knows no positions; frames are taken "
        "at the focus that you set by hand."
    )
    return None


def _weather(settings: TelescopeSettings, listing: Listing, server: Server) -> AlpacaWeather | None:
    station = _wanted(settings.weather_station, listing, "observingconditions")
    monitor = _wanted(settings.safety_monitor, listing, "safetymonitor")
    if station is None and monitor is None:
        return None
    weather = AlpacaWeather(server, station, monitor)
    for device in weather.devices:
        device.connect(settings.motion_timeout_s)
    return weather

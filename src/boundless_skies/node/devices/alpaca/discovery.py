"""Which Alpaca servers are in the network, and which devices they have."""

import fcntl
import json
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.device import CLIENT_ERRORS, AlpacaDevice
from boundless_skies.node.devices.errors import DeviceError, DeviceRefused, DeviceUnreachable

# ASCOM Alpaca API Reference, version 10, section 4.
DISCOVERY_PORT = 32_227
_QUESTION = b"alpacadiscovery1"
_ANSWER_MAX_BYTES = 1_024
_MOST_SERVERS = 64
_PORTS = range(1, 65_536)
# linux/sockios.h, netdevice(7): an interface's broadcast address, at byte 20 of struct ifreq.
_SIOCGIFBRDADDR = 0x8919
_ADDRESS_IN_IFREQ = slice(20, 24)

KINDS = {
    "telescope": "mount",
    "camera": "camera",
    "focuser": "focuser",
    "filterwheel": "filter wheel",
    "observingconditions": "weather station",
    "safetymonitor": "safety monitor",
}
"""The types of devices that a telescope is made of, as Alpaca spells them, and an owner's words."""


@dataclass(frozen=True)
class Device:
    """A device that a server says it has.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    number : int
        Its number among those of its kind.
    name : str
        What its driver calls it.
    unique_id : str
        Never the same for two devices; empty where the server has none.
    """

    kind: str
    number: int
    name: str
    unique_id: str = ""


@dataclass(frozen=True)
class Listing:
    """A server and its devices.

    Attributes
    ----------
    address : str
        ``host:port``.
    devices : tuple of Device
        Those of the kinds that a telescope is made of.
    """

    address: str
    devices: tuple[Device, ...]

    def of(self, kind: str) -> tuple[Device, ...]:
        """Return the devices of a kind, by number."""
        chosen = (device for device in self.devices if device.kind == kind)
        return tuple(sorted(chosen, key=lambda device: device.number))


def discover(
    wait_s: float = 2.0, places: Sequence[tuple[str, int]] | None = None
) -> tuple[str, ...]:
    """Ask the local network for Alpaca servers.

    Parameters
    ----------
    wait_s : float, optional
        How long to listen for answers, seconds.
    places : sequence of tuple of str and int, optional
        Hosts and UDP ports to ask, in place of this computer and all networks it is in.

    Returns
    -------
    tuple of str
        Addresses ``host:port``, each once, in the order of their answers; empty where none
        answers.
    """
    found: dict[str, None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for place in places if places is not None else _places(sock):
            with suppress(OSError):  # a network that is down has no servers
                sock.sendto(_QUESTION, place)
        for address in _answers(sock, time.monotonic() + wait_s):
            found[address] = None
            if len(found) >= _MOST_SERVERS:
                break
    return tuple(found)


def list_devices(server: Server) -> Listing:
    """Ask a server which devices it has.

    Parameters
    ----------
    server : Server
        Where.

    Returns
    -------
    Listing
        A server without the management calls is asked for the first device of each kind.

    Raises
    ------
    DeviceUnreachable
        If it does not answer, or is no Alpaca server.
    """
    try:
        answer = server.get("/management/v1/configureddevices")
    except DeviceUnreachable as error:
        if error.status not in CLIENT_ERRORS:
            raise
        return Listing(server.address, tuple(_first_devices(server)))
    try:
        listed = [_device(entry) for entry in json.loads(answer.body)["Value"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DeviceUnreachable(
            f"{server.address} answers, but not as an Alpaca server does."
        ) from error
    return Listing(server.address, tuple(device for device in listed if device.kind in KINDS))


def list_found(addresses: Iterable[str], timeout_s: float) -> tuple[Listing, ...]:
    """List the devices of servers that answered; one that two networks lead to counts once.

    Parameters
    ----------
    addresses : iterable of str
        As :func:`discover` gave them.
    timeout_s : float
        How long each may take, seconds.

    Returns
    -------
    tuple of Listing
        Without servers that do not answer any more.
    """
    listings: dict[object, Listing] = {}
    for address in addresses:
        with suppress(DeviceError):
            listing = list_devices(Server(address, timeout_s))
            identities = frozenset(device.unique_id for device in listing.devices) - {""}
            listings.setdefault(identities or address, listing)
    return tuple(listings.values())


def _places(sock: socket.socket) -> Iterator[tuple[str, int]]:
    yield "127.0.0.1", DISCOVERY_PORT
    for _, name in socket.if_nameindex():
        request = struct.pack("256s", name.encode()[:15])
        with suppress(OSError):  # an interface without IPv4
            reply = fcntl.ioctl(sock.fileno(), _SIOCGIFBRDADDR, request)
            yield socket.inet_ntoa(reply[_ADDRESS_IN_IFREQ]), DISCOVERY_PORT


def _answers(sock: socket.socket, until_s: float) -> Iterator[str]:
    while (left_s := until_s - time.monotonic()) > 0.0:
        sock.settimeout(left_s)
        try:
            content, (host, _) = sock.recvfrom(_ANSWER_MAX_BYTES)
            port = json.loads(content)["AlpacaPort"]
        except TimeoutError:
            return
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue
        if isinstance(port, int) and port in _PORTS:
            yield f"{host}:{port}"


def _device(entry: Any) -> Device:
    return Device(
        kind=str(entry["DeviceType"]).lower(),
        number=int(entry["DeviceNumber"]),
        name=str(entry.get("DeviceName", "")),
        unique_id=str(entry.get("UniqueID", "")),
    )


def _first_devices(server: Server) -> Iterator[Device]:
    for kind, words in KINDS.items():
        device = AlpacaDevice(server, kind, 0, words)
        try:
            yield Device(kind, 0, device.text("name"))
        except DeviceRefused:
            continue
        except DeviceUnreachable as error:
            if error.status is None:
                raise

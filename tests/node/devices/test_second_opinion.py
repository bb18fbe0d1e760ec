"""ASCOM's own library for Alpaca reads the same from the same devices."""

from threading import Event

import numpy as np
from alpaca.camera import Camera
from alpaca.management import configureddevices
from tests.node.devices.fakes import fake_alpaca

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.camera import AlpacaCamera
from boundless_skies.node.devices.alpaca.discovery import list_devices


def test_pixels_are_those_that_alpyca_reads() -> None:
    """Rows, columns and numbers are the same; alpyca counts columns first, as Alpaca does."""
    with fake_alpaca() as fake:
        ours = AlpacaCamera(Server(fake.address), 0, SystemClock(), 5.0)
        pixels = ours.expose(0.0, stop=Event()).pixels
        theirs = np.array(Camera(fake.address, 0).ImageArray)
    assert pixels.any()
    assert np.array_equal(theirs.T, pixels)


def test_devices_are_those_that_alpyca_lists() -> None:
    """Kinds and numbers are the same."""
    with fake_alpaca() as fake:
        theirs = configureddevices(fake.address)
        ours = list_devices(Server(fake.address)).devices
    assert {(device.kind, device.number) for device in ours} == {
        (device["DeviceType"].lower(), device["DeviceNumber"]) for device in theirs
    }

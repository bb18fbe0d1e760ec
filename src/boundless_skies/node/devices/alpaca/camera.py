"""A camera that speaks Alpaca."""

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event

import numpy as np
import numpy.typing as npt

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.device import AlpacaDevice
from boundless_skies.node.devices.alpaca.pixels import most_bytes, read_pixels
from boundless_skies.node.devices.capabilities import Exposure
from boundless_skies.node.devices.errors import DeviceError, DeviceUnreachable
from boundless_skies.node.fits.channel import pattern_in_file
from boundless_skies.node.fits.dates import parse_utc

_RGGB = 2
_SENSORS_UNREAD = {1: "finished colour", 3: "CMYG", 4: "CMYG2", 5: "LRGB"}
_FAILED = 5
_CLOCKS_APART_S = 1.0
"""How far the camera's own start of an exposure may lie from the node's before it is taken for
a camera clock that is wrong."""


@dataclass(frozen=True, kw_only=True)
class _Sensor:
    """What does not change about a camera."""

    name: str
    width_px: int
    height_px: int
    pattern: str | None
    pixel_size_um: float | None
    highest_adu: int | None
    shortest_s: float
    longest_s: float
    max_binning: int
    gains: tuple[str, ...]
    offsets: tuple[str, ...]


class AlpacaCamera:
    """A camera on an Alpaca server; see :class:`~..capabilities.CanExpose`.

    Parameters
    ----------
    server : Server
        Where it is.
    number : int
        Its number among the server's cameras.
    clock : Clock
        To wait with, and to take the time of an exposure by.
    image_timeout_s : float
        How long reading the sensor out, and fetching the image, may take, seconds each.
    filter_name : callable, optional
        Tells which filter is in the light.
    """

    def __init__(
        self,
        server: Server,
        number: int,
        clock: Clock,
        image_timeout_s: float,
        filter_name: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.device = AlpacaDevice(server, "camera", number, "camera")
        self._clock = clock
        self._image_timeout_s = image_timeout_s
        self._filter_name = filter_name
        self._known: _Sensor | None = None

    def expose(
        self, exposure_s: float, *, binning: int = 1, light: bool = True, stop: Event
    ) -> Exposure:
        """Expose the whole sensor, and return once the image is here."""
        sensor = self.sensor()
        self._require(exposure_s, binning, sensor)
        self._frame(binning, sensor)
        filter_name = self._filter_name()
        before = self._clock.now()
        self.device.order("startexposure", {"Duration": exposure_s, "Light": light})
        after = self._clock.now()
        self._await_image(exposure_s, stop)
        pixels = self._fetch(sensor, stop)
        start, taken_s = self._times(before, after, exposure_s)
        return Exposure(
            pixels=pixels,
            start_utc=start,
            mid_utc=start + dt.timedelta(seconds=taken_s / 2.0),
            exposure_s=taken_s,
            binning=binning,
            gain_e_per_adu=self._positive("electronsperadu"),
            gain_setting=self._setting("gain", sensor.gains),
            offset=self._setting("offset", sensor.offsets),
            temperature_c=self.device.where_known(self.device.number, "ccdtemperature"),
            pixel_size_um=sensor.pixel_size_um,
            # Binning adds the colours of a mosaic up.
            bayer_pattern=sensor.pattern if binning == 1 else None,
            saturation_adu=self._saturation_adu(sensor),
            camera=sensor.name,
            filter_name=filter_name,
        )

    def abort_exposure(self) -> None:
        """End a running exposure without an image; safe to call when none runs."""
        if self.device.can("canabortexposure"):
            self.device.order("abortexposure")
        elif self.device.can("canstopexposure"):
            self.device.order("stopexposure")

    def sensor(self) -> _Sensor:
        """Return what does not change about the camera."""
        if self._known is None:
            self._known = self._read_sensor()
        return self._known

    def _saturation_adu(self, sensor: _Sensor) -> int | None:
        """Return where the converter ends, or the pixels are full before it."""
        full_e, gain = self._positive("fullwellcapacity"), self._positive("electronsperadu")
        full_adu = None if full_e is None or gain is None else round(full_e / gain)
        known = [each for each in (sensor.highest_adu, full_adu) if each is not None]
        return min(known, default=None)

    def _read_sensor(self) -> _Sensor:
        device = self.device
        highest = self._positive("maxadu")
        return _Sensor(
            name=device.where_known(device.text, "name") or "",
            width_px=device.whole("cameraxsize"),
            height_px=device.whole("cameraysize"),
            pattern=self._pattern(),
            pixel_size_um=self._positive("pixelsizex"),
            highest_adu=None if highest is None else round(highest),
            shortest_s=device.where_known(device.number, "exposuremin") or 0.0,
            longest_s=self._positive("exposuremax") or float("inf"),
            max_binning=round(self._positive("maxbinx") or 1.0),
            gains=device.where_known(device.texts, "gains") or (),
            offsets=device.where_known(device.texts, "offsets") or (),
        )

    def _pattern(self) -> str | None:
        """Return the mosaic as the first two rows hold it."""
        kind = self.device.where_known(self.device.whole, "sensortype") or 0
        if kind in _SENSORS_UNREAD:
            raise self.device.refusal(
                f"has a sensor of the kind {_SENSORS_UNREAD[kind]}; mono and RGGB can be measured"
            )
        if kind != _RGGB:
            return None
        columns, rows = (
            self.device.where_known(self.device.whole, name) or 0
            for name in ("bayeroffsetx", "bayeroffsety")
        )
        return pattern_in_file("RGGB", moved_columns=columns, moved_rows=rows)

    def _require(self, exposure_s: float, binning: int, sensor: _Sensor) -> None:
        if not sensor.shortest_s <= exposure_s <= sensor.longest_s:
            raise self.device.refusal(
                f"exposes for {sensor.shortest_s:g} s to {sensor.longest_s:g} s, "
                f"not for {exposure_s:g} s"
            )
        if not 1 <= binning <= sensor.max_binning:
            raise self.device.refusal(
                f"bins 1 to {sensor.max_binning} pixels on a side, not {binning}"
            )

    def _frame(self, binning: int, sensor: _Sensor) -> None:
        """Choose the whole sensor: another program may have left a part of it chosen."""
        wanted = {
            "BinX": binning,
            "BinY": binning,
            "StartX": 0,
            "StartY": 0,
            "NumX": sensor.width_px // binning,
            "NumY": sensor.height_px // binning,
        }
        for name, value in wanted.items():
            if self.device.whole(name.lower()) != value:
                self.device.order(name.lower(), {name: value})

    def _await_image(self, exposure_s: float, stop: Event) -> None:
        self._clock.sleep(exposure_s, stop)
        self.device.await_done(
            self._is_ready,
            limit_s=self._image_timeout_s,
            clock=self._clock,
            stop=stop,
            give_up=self._let_go,
            doing="exposure",
        )

    def _is_ready(self) -> bool:
        if self.device.flag("imageready"):
            return True
        if self.device.where_known(self.device.whole, "camerastate") == _FAILED:
            raise self.device.refusal("reports that the exposure failed")
        return False

    def _let_go(self) -> None:
        """Abort; a camera that does not answer to that must not hide why it was aborted."""
        with suppress(DeviceError):
            self.abort_exposure()

    def _fetch(self, sensor: _Sensor, stop: Event) -> npt.NDArray[np.uint16]:
        """Fetch the image; once more where it breaks off, for the camera still has it."""
        try:
            return self._fetch_once(sensor, stop)
        except DeviceUnreachable:
            return self._fetch_once(sensor, stop)

    def _fetch_once(self, sensor: _Sensor, stop: Event) -> npt.NDArray[np.uint16]:
        limit_bytes = most_bytes(sensor.width_px, sensor.height_px)
        answer = self.device.image(most_bytes=limit_bytes, limit_s=self._image_timeout_s, stop=stop)
        return read_pixels(answer, self.device)

    def _times(
        self, before: dt.datetime, after: dt.datetime, asked_s: float
    ) -> tuple[dt.datetime, float]:
        """Return the start and the length of the last exposure.

        The node's clock says when the order went out and when it was taken; the camera's word
        is finer where both agree.
        """
        stated = parse_utc(self.device.where_known(self.device.text, "lastexposurestarttime") or "")
        margin = dt.timedelta(seconds=_CLOCKS_APART_S)
        trusted = stated is not None and before - margin <= stated <= after + margin
        start = stated if stated is not None and trusted else before + (after - before) / 2
        lasted_s = self._positive("lastexposureduration")
        near = lasted_s is not None and abs(lasted_s - asked_s) <= max(_CLOCKS_APART_S, asked_s / 2)
        return start, lasted_s if lasted_s is not None and near else asked_s

    def _positive(self, name: str) -> float | None:
        value = self.device.where_known(self.device.number, name)
        return value if value is not None and value > 0.0 else None

    def _setting(self, name: str, choices: tuple[str, ...]) -> int | None:
        """Return a setting's number; a driver with a list of names says the place in it."""
        value = self.device.where_known(self.device.whole, name)
        if value is None or not 0 <= value < len(choices):
            return value
        try:
            return round(float(choices[value]))
        except ValueError:
            return value

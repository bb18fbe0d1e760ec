"""What the devices of a telescope can do, each as a small protocol.

Positions are ICRS (J2000) in degrees everywhere here: a device turns them into what its
driver counts in. A call that waits for a motion or an exposure takes ``stop``; once that is
set the device is told to let go, and the call ends with :class:`~.errors.Stopped`.

Every method raises :class:`~.errors.DeviceRefused` where the device says no and
:class:`~.errors.DeviceUnreachable` where the call did not arrive, and nothing else.
"""

import datetime as dt
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np
import numpy.typing as npt


class CanPoint(Protocol):
    """A mount."""

    def slew(self, ra_deg: float, dec_deg: float, stop: Event) -> None:
        """Point to a place of the sky, follow it, and return once there.

        Parameters
        ----------
        ra_deg, dec_deg : float
            The place, J2000, degrees.
        stop : Event
            Ends the slew where it is.

        Raises
        ------
        DeviceRefused
            If the mount does not go there (parked, below its horizon), or does not arrive.
        DeviceUnreachable
            If the mount does not answer.
        Stopped
            If `stop` was set; the slew was aborted.
        """

    def position(self) -> tuple[float, float]:
        """Return where the mount believes it points: right ascension, declination, J2000."""

    def sync(self, ra_deg: float, dec_deg: float) -> None:
        """Tell the mount where it really points, J2000, degrees."""

    def abort(self) -> None:
        """Stop every motion at once; safe to call when nothing moves."""

    def is_tracking(self) -> bool:
        """Return whether the mount follows the sky."""

    def set_tracking(self, on: bool) -> None:
        """Let the mount follow the sky, or stand still."""


class CanPark(Protocol):
    """A mount that has a place to rest in."""

    def park(self, stop: Event) -> None:
        """Go to the resting place, and return once there; nothing to do for a parked mount."""

    def unpark(self) -> None:
        """Make the mount ready to move; nothing to do for one that is not parked."""

    def is_parked(self) -> bool:
        """Return whether the mount rests."""


class CanPointAndPark(CanPoint, CanPark, Protocol):
    """A mount as a telescope needs it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Exposure:
    """One exposure, as it came out of the camera.

    Attributes
    ----------
    pixels : ndarray of uint16, shape (height, width)
        Row 0 is the first row of a FITS file, which capture programs fill with the top row
        of the picture.
    start_utc, mid_utc : datetime
        When the exposure began, and its middle; aware, in UTC.
    exposure_s : float
        How long it really was.
    binning : int
        Pixels of the sensor on a side of a pixel here.
    gain_e_per_adu : float or None
        Electrons per unit of `pixels`.
    gain_setting, offset : int or None
        What the camera's gain and offset were set to, in the camera's own numbers.
    temperature_c : float or None
        Of the sensor, degrees Celsius.
    pixel_size_um : float or None
        Side of a pixel of the sensor (not of a binned one), micrometres.
    bayer_pattern : str or None
        Colours of the first two rows of `pixels`, such as ``RGGB``; None for a mono image.
    saturation_adu : int or None
        The highest value that the camera gives.
    camera : str
        Make and model.
    filter_name : str or None
        What stood in front of the sensor; None where no filter wheel says so.
    """

    pixels: npt.NDArray[np.uint16]
    start_utc: dt.datetime
    mid_utc: dt.datetime
    exposure_s: float
    binning: int = 1
    gain_e_per_adu: float | None = None
    gain_setting: int | None = None
    offset: int | None = None
    temperature_c: float | None = None
    pixel_size_um: float | None = None
    bayer_pattern: str | None = None
    saturation_adu: int | None = None
    camera: str = ""
    filter_name: str | None = None


class CanExpose(Protocol):
    """A camera."""

    def expose(
        self, exposure_s: float, *, binning: int = 1, light: bool = True, stop: Event
    ) -> Exposure:
        """Expose, and return once the image is here.

        Parameters
        ----------
        exposure_s : float
            How long, seconds.
        binning : int, optional
            Pixels of the sensor on a side of a pixel of the image.
        light : bool, optional
            Whether the shutter opens, where the camera has one.
        stop : Event
            Ends the exposure; its light is lost.

        Returns
        -------
        Exposure
            The whole sensor.

        Raises
        ------
        DeviceRefused
            If the camera does not do that, or the exposure failed in it.
        DeviceUnreachable
            If the camera does not answer, or its image does not arrive whole.
        Stopped
            If `stop` was set; the exposure was aborted.
        """

    def abort_exposure(self) -> None:
        """End a running exposure without an image; safe to call when none runs."""


class CanFocus(Protocol):
    """A focuser with absolute positions."""

    def focus_position(self) -> int:
        """Return where the focuser stands, steps."""

    def focus_range(self) -> tuple[int, int]:
        """Return the lowest and highest position that the focuser can be sent to, steps."""

    def move_focus(self, position: int, stop: Event) -> None:
        """Move to a position in steps, and return once there; `stop` halts the focuser."""


class CanFilter(Protocol):
    """A filter wheel."""

    def filter_names(self) -> tuple[str, ...]:
        """Return the filters in the wheel, as its driver names them, in their order."""

    def filter_name(self) -> str | None:
        """Return the filter in the light; None while the wheel turns."""

    def move_filter(self, name: str, stop: Event) -> None:
        """Bring a filter into the light, and return once it is there."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What the weather station and the safety monitor say; None where nothing measures it.

    Attributes
    ----------
    is_safe : bool or None
        The word of the safety monitor.
    cloud_cover_pct : float or None
        Of the sky, 0 to 100.
    rain_rate_mm_h : float or None
        Millimetres per hour; 0 is dry.
    humidity_pct : float or None
        Relative, 0 to 100.
    wind_speed_m_s, wind_gust_m_s : float or None
        Metres per second; the gust is the strongest of the last two minutes.
    temperature_c, dew_point_c : float or None
        Of the air, degrees Celsius.
    sky_temperature_c : float or None
        As an infrared sensor sees the sky, degrees Celsius: much below the air's where it is
        clear.
    sky_brightness_mag_arcsec2 : float or None
        Magnitudes per square arcsecond.
    """

    is_safe: bool | None = None
    cloud_cover_pct: float | None = None
    rain_rate_mm_h: float | None = None
    humidity_pct: float | None = None
    wind_speed_m_s: float | None = None
    wind_gust_m_s: float | None = None
    temperature_c: float | None = None
    dew_point_c: float | None = None
    sky_temperature_c: float | None = None
    sky_brightness_mag_arcsec2: float | None = None


class CanSense(Protocol):
    """A weather station, a safety monitor, or both."""

    def sense(self) -> Weather:
        """Return what is measured now.

        Returns
        -------
        Weather
            A field is None where no device measures it.

        Raises
        ------
        DeviceUnreachable
            If a device that measures does not answer: not knowing is no good weather.
        DeviceRefused
            If the safety monitor's driver fails.
        """


@dataclass(frozen=True, kw_only=True)
class Telescope:
    """All devices of one telescope.

    Attributes
    ----------
    name : str
        What its owner, or else its driver, calls it.
    mount : CanPointAndPark
        Points it.
    camera : CanExpose
        Takes the frames.
    focuser : CanFocus or None
        None where there is none, or none that knows its position.
    weather : CanSense or None
        None where nothing watches the weather.
    filters : CanFilter or None
        None where there is no filter wheel.
    focal_length_mm : float or None
        Where the mount's driver says so, millimetres.
    """

    name: str
    mount: CanPointAndPark
    camera: CanExpose
    focuser: CanFocus | None = None
    weather: CanSense | None = None
    filters: CanFilter | None = None
    focal_length_mm: float | None = None

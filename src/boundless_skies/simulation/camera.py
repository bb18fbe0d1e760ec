"""A simulated camera: it sees the catalogue's sky where the mount really points."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Protocol

import numpy as np
import numpy.typing as npt

from boundless_skies.demo.rendering import Camera, render_frame
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import Exposure
from boundless_skies.node.devices.errors import DeviceRefused, DeviceUnreachable, Stopped
from boundless_skies.simulation.focuser import SimulatedFocuser
from boundless_skies.simulation.mount import SimulatedMount
from boundless_skies.simulation.script import Script, Trouble
from boundless_skies.sky import Site, airmass, altitude_azimuth_deg, separation_deg

_DEVICE = "camera"
_LOOK_S = 5.0
_REFERENCE_S = 10.0
_EXTINCTION_MAG = 0.2
_MAG_PER_FACTOR_10 = 2.5
_ARCSEC_PER_RADIAN = 206_264.806
_ARCSEC_PER_DEG = 3600.0
_SKY_TURNS_ARCSEC_S = 15.041


class VariableStar(Protocol):
    """A star that does not shine as the catalogue says."""

    @property
    def ra_deg(self) -> float:
        """Right ascension, J2000, degrees."""

    @property
    def dec_deg(self) -> float:
        """Declination, J2000, degrees."""

    def magnitude_at(self, instant: dt.datetime) -> float:
        """Return its magnitude at an instant."""


def _small_camera() -> Camera:
    """Return one whose frames are rendered and measured in a moment, at a small telescope."""
    return Camera(height_px=480, width_px=360, scale_arcsec_px=7.0, zero_point=20.3, sky_adu=200.0)


@dataclass(frozen=True, kw_only=True)
class CameraTraits:
    """What a camera is like.

    Attributes
    ----------
    optics : Camera
        Format, scale and noise; its zero point and sky hold for 10 s at the zenith.
    readout_s : float
        From the end of the exposure until the image is there, seconds.
    shortest_s, longest_s : float
        Bounds of an exposure, seconds.
    max_binning : int
        Pixels of the sensor on a side of a pixel of the image, at most.
    """

    optics: Camera = field(default_factory=_small_camera)
    readout_s: float = 1.0
    shortest_s: float = 0.0
    longest_s: float = 600.0
    max_binning: int = 2


class SimulatedCamera:
    """A camera; see :class:`~boundless_skies.node.devices.capabilities.CanExpose`.

    Parameters
    ----------
    clock : Clock
        To wait with.
    site : Site
        Where it stands: the air takes its part of the light.
    rng : Generator
        Draws the noise.
    mount : SimulatedMount
        What it rides on.
    focuser : SimulatedFocuser
        How sharp it sees.
    catalogue : Catalogue
        The sky.
    stars : sequence of VariableStar, optional
        What varies in it; of several in one field the one nearest to its middle.
    traits : CameraTraits, optional
        What it is like.
    script : Script, optional
        What befalls it.
    filter_name : callable, optional
        Tells which filter is in the light.
    """

    def __init__(
        self,
        clock: Clock,
        site: Site,
        rng: np.random.Generator,
        *,
        mount: SimulatedMount,
        focuser: SimulatedFocuser,
        catalogue: Catalogue,
        stars: Sequence[VariableStar] = (),
        traits: CameraTraits | None = None,
        script: Script | None = None,
        filter_name: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._site = site
        self._rng = rng
        self._mount = mount
        self._focuser = focuser
        self._catalogue = catalogue
        self._stars = tuple(stars)
        self._traits = traits or CameraTraits()
        self._script = script or Script()
        self._filter_name = filter_name
        self._aborts = 0

    def expose(
        self, exposure_s: float, *, binning: int = 1, light: bool = True, stop: Event
    ) -> Exposure:
        """Expose the whole sensor, and return once the image is here."""
        self._answer()
        self._require(exposure_s, binning)
        start, aborts_before = self._clock.now(), self._aborts
        self._wait(exposure_s / 2.0, aborts_before, stop)
        pixels = self._render(exposure_s, binning) if light else self._dark(binning)
        self._wait(exposure_s / 2.0 + self._traits.readout_s, aborts_before, stop)
        self._answer()
        optics = self._traits.optics
        return Exposure(
            pixels=pixels,
            start_utc=start,
            mid_utc=start + dt.timedelta(seconds=exposure_s / 2.0),
            exposure_s=exposure_s,
            binning=binning,
            gain_e_per_adu=optics.gain_e_per_adu,
            pixel_size_um=optics.scale_arcsec_px
            * optics.focal_length_mm
            / _ARCSEC_PER_RADIAN
            * 1000.0,
            saturation_adu=optics.saturation_adu,
            camera="Simulated camera",
            filter_name=self._filter_name(),
        )

    def abort_exposure(self) -> None:
        """End a running exposure without an image; safe to call when none runs."""
        self._answer()
        self._aborts += 1

    # -- what it does -------------------------------------------------------------------

    def _answer(self) -> None:
        now = self._clock.now()
        if self._script.on(Trouble.CAMERA_SILENT, now):
            raise DeviceUnreachable("The camera does not answer.", device=_DEVICE)

    def _require(self, exposure_s: float, binning: int) -> None:
        traits = self._traits
        if not traits.shortest_s <= exposure_s <= traits.longest_s:
            raise _refused(
                f"exposes for {traits.shortest_s:g} s to {traits.longest_s:g} s, "
                f"not for {exposure_s:g} s"
            )
        if not 1 <= binning <= traits.max_binning:
            raise _refused(f"bins 1 to {traits.max_binning} pixels on a side, not {binning}")

    def _wait(self, seconds: float, aborts_before: int, stop: Event) -> None:
        ends_s = self._clock.monotonic() + seconds
        while (left_s := ends_s - self._clock.monotonic()) > 0.0:
            self._clock.sleep(min(left_s, _LOOK_S), stop)
            if stop.is_set():
                raise Stopped("The exposure was ended: stop was asked for.")
            if self._aborts != aborts_before:
                raise _refused("ended the exposure: it was told to abort it")
        if stop.is_set():
            raise Stopped("The exposure was ended: stop was asked for.")
        if self._script.on(Trouble.CAMERA_FAULT, self._clock.now()):
            raise _refused("reports that the exposure failed")

    # -- what it sees -------------------------------------------------------------------

    def _render(self, exposure_s: float, binning: int) -> npt.NDArray[np.uint16]:
        now = self._clock.now()
        ra_deg, dec_deg = self._mount.true_position()
        star = self._star_near(ra_deg, dec_deg)
        centre = (ra_deg, dec_deg) if star is None else (star.ra_deg, star.dec_deg)
        pixels, _ = render_frame(
            self._catalogue,
            *centre,
            rng=self._rng,
            mid_exposure_utc=now,
            exposure_s=exposure_s,
            target_magnitude=None if star is None else star.magnitude_at(now),
            camera=self._optics(ra_deg, dec_deg, exposure_s, binning),
            pointing_offset_arcsec=_offset_arcsec(centre, (ra_deg, dec_deg)),
        )
        return pixels

    def _star_near(self, ra_deg: float, dec_deg: float) -> VariableStar | None:
        optics = self._traits.optics
        reach_deg = (
            max(optics.height_px, optics.width_px) * optics.scale_arcsec_px / _ARCSEC_PER_DEG
        )
        near = [
            (separation_deg(star.ra_deg, star.dec_deg, ra_deg, dec_deg), place)
            for place, star in enumerate(self._stars)
        ]
        apart_deg, place = min(near, default=(reach_deg, -1))
        return self._stars[place] if apart_deg < reach_deg else None

    def _optics(self, ra_deg: float, dec_deg: float, exposure_s: float, binning: int) -> Camera:
        """Return the camera as the sky, the focus and the exposure make it."""
        optics, light = self._traits.optics, max(exposure_s, 1e-6) / _REFERENCE_S
        fwhm_px = self._focuser.fwhm_px() / binning
        drawn_out = 1.0 + self._trail_px(exposure_s) / binning / fwhm_px
        return replace(
            optics,
            height_px=optics.height_px // binning,
            width_px=optics.width_px // binning,
            scale_arcsec_px=optics.scale_arcsec_px * binning,
            # The elongation keeps the area of a star; a trail keeps its width.
            fwhm_px=fwhm_px * drawn_out**0.5,
            elongation=drawn_out,
            zero_point=optics.zero_point
            + _MAG_PER_FACTOR_10 * float(np.log10(light))
            - self._extinction_mag(ra_deg, dec_deg),
            sky_adu=optics.sky_adu * light * binning**2,
        )

    def _extinction_mag(self, ra_deg: float, dec_deg: float) -> float:
        """Return what air and clouds take, beyond what the air takes at the zenith."""
        now = self._clock.now()
        altitude_deg, _ = altitude_azimuth_deg(now, ra_deg, dec_deg, self._site)
        layers = airmass(max(altitude_deg, 0.0)) or 1.0
        clouds_mag = self._script.strength(Trouble.CLOUDS, now)
        return _EXTINCTION_MAG * (layers - 1.0) + clouds_mag

    def _trail_px(self, exposure_s: float) -> float:
        if self._mount.follows:
            return 0.0
        return _SKY_TURNS_ARCSEC_S * exposure_s / self._traits.optics.scale_arcsec_px

    def _dark(self, binning: int) -> npt.NDArray[np.uint16]:
        optics = self._traits.optics
        shape = (optics.height_px // binning, optics.width_px // binning)
        noise = self._rng.normal(0.0, optics.read_noise_e / optics.gain_e_per_adu, shape)
        values = np.rint(optics.bias_adu + noise)
        return np.clip(values, 0, optics.saturation_adu).astype(np.uint16)


def _offset_arcsec(
    centre: tuple[float, float], pointing: tuple[float, float]
) -> tuple[float, float]:
    east_deg = (pointing[0] - centre[0] + 180.0) % 360.0 - 180.0
    shrunk = float(np.cos(np.radians(centre[1])))
    north_deg = pointing[1] - centre[1]
    return east_deg * shrunk * _ARCSEC_PER_DEG, north_deg * _ARCSEC_PER_DEG


def _refused(words: str) -> DeviceRefused:
    return DeviceRefused(f"The camera {words}.", device=_DEVICE)

"""A mount that speaks Alpaca."""

import math
from contextlib import suppress
from threading import Event

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.device import NOT_IMPLEMENTED, PARKED, AlpacaDevice
from boundless_skies.node.devices.alpaca.frames import EquatorialSystem, from_mount, to_mount
from boundless_skies.node.devices.errors import (
    DeviceError,
    DeviceRefused,
    DeviceUnreachable,
    Stopped,
)
from boundless_skies.sky import Site

_DEG_PER_HOUR = 15.0
_CIRCLE_DEG = 360.0
_RIGHT_ANGLE_DEG = 90.0
_MM_PER_M = 1000.0
_ARRIVED_DEG = 1.0
"""How far from its goal a mount may believe itself once it has come to rest. A slew that its
driver or a hand box broke off ends much farther away."""


class AlpacaMount:
    """A mount on an Alpaca server; see :class:`~..capabilities.CanPointAndPark`.

    Parameters
    ----------
    server : Server
        Where it is.
    number : int
        Its number among the server's telescopes.
    clock : Clock
        To wait with.
    motion_timeout_s : float
        How long a slew or parking may take, seconds.
    """

    def __init__(self, server: Server, number: int, clock: Clock, motion_timeout_s: float) -> None:
        self.device = AlpacaDevice(server, "telescope", number, "mount")
        self._clock = clock
        self._motion_timeout_s = motion_timeout_s
        self._counts_in: EquatorialSystem | None = None

    # -- pointing -----------------------------------------------------------------------

    def slew(self, ra_deg: float, dec_deg: float, stop: Event) -> None:
        """Point to a place of the sky (J2000, degrees), follow it, and return once there."""
        if self.is_parked():
            raise DeviceRefused(
                "The mount is parked, and moves only once it is unparked.",
                device="mount",
                number=PARKED,
            )
        self._require("canslewasync", "cannot go to a place by itself without blocking its driver")
        self._follow()
        ra, dec = to_mount(ra_deg, dec_deg, self._system(), self._clock.now())
        self.device.order(
            "slewtocoordinatesasync", {"RightAscension": ra / _DEG_PER_HOUR, "Declination": dec}
        )
        self._await_rest("slew", stop)
        self._require_arrival(ra_deg, dec_deg)

    def position(self) -> tuple[float, float]:
        """Return where the mount believes it points: right ascension, declination, J2000."""
        ra_deg = self.device.number("rightascension") * _DEG_PER_HOUR
        dec_deg = self.device.number("declination")
        if not (0.0 <= ra_deg <= _CIRCLE_DEG and abs(dec_deg) <= _RIGHT_ANGLE_DEG):
            raise DeviceUnreachable(
                f"The mount says that it points to {ra_deg:g}°, {dec_deg:g}°, which is no place of "
                "the sky.",
                device="mount",
            )
        return from_mount(ra_deg, dec_deg, self._system(), self._clock.now())

    def sync(self, ra_deg: float, dec_deg: float) -> None:
        """Tell the mount where it really points, J2000, degrees."""
        self._require("cansync", "cannot be told where it points")
        ra, dec = to_mount(ra_deg, dec_deg, self._system(), self._clock.now())
        self.device.order(
            "synctocoordinates", {"RightAscension": ra / _DEG_PER_HOUR, "Declination": dec}
        )

    def abort(self) -> None:
        """Stop every motion at once; safe to call when nothing moves."""
        try:
            self.device.order("abortslew")
        except DeviceRefused as error:
            if error.number != PARKED:  # what is parked does not move
                raise

    def is_tracking(self) -> bool:
        """Return whether the mount follows the sky."""
        return self.device.flag("tracking")

    def set_tracking(self, on: bool) -> None:
        """Let the mount follow the sky, or stand still."""
        if self.is_tracking() == on:
            return
        self._require("cansettracking", "cannot be told to follow the sky or to stand still")
        self.device.order("tracking", {"Tracking": on})

    # -- parking ------------------------------------------------------------------------

    def park(self, stop: Event) -> None:
        """Go to the resting place, and return once there; nothing to do for a parked mount."""
        if self.is_parked():
            return
        self._require("canpark", "has no place to park in")
        try:
            # Older drivers answer only once they are there.
            self.device.order("park", limit_s=self._motion_timeout_s, stop=stop)
        except Stopped:
            self.abort()
            raise
        self.device.await_done(
            self.is_parked,
            limit_s=self._motion_timeout_s,
            clock=self._clock,
            stop=stop,
            give_up=self.abort,
            doing="way to its park position",
        )

    def unpark(self) -> None:
        """Make the mount ready to move; nothing to do for one that is not parked."""
        if not self.is_parked():
            return
        self._require("canunpark", "can be unparked by hand only")
        self.device.order("unpark", limit_s=self._motion_timeout_s)

    def is_parked(self) -> bool:
        """Return whether the mount rests."""
        return self.device.flag("atpark")

    # -- what it knows ------------------------------------------------------------------

    def focal_length_mm(self) -> float | None:
        """Return the telescope's focal length, where the driver knows it."""
        metres = self.device.where_known(self.device.number, "focallength")
        return metres * _MM_PER_M if metres and metres > 0.0 else None

    def site(self) -> Site | None:
        """Return where the mount believes it stands; None where it does not say."""
        names = ("sitelatitude", "sitelongitude", "siteelevation")
        latitude, longitude, elevation = (
            self.device.where_known(self.device.number, name) for name in names
        )
        if latitude is None or longitude is None:
            return None
        return Site(latitude, longitude, elevation or 0.0)

    def _system(self) -> EquatorialSystem:
        if self._counts_in is None:
            stated = self.device.where_known(self.device.whole, "equatorialsystem")
            try:
                self._counts_in = EquatorialSystem(stated or 0)
            except ValueError:  # a number that ASCOM has not given
                self._counts_in = EquatorialSystem.OTHER
        return self._counts_in

    def _require(self, capability: str, otherwise: str) -> None:
        if not self.device.can(capability):
            raise DeviceRefused(
                f"The mount {otherwise} (its driver says {capability} false).",
                device="mount",
                number=NOT_IMPLEMENTED,
            )

    def _follow(self) -> None:
        """Switch the tracking on: drivers refuse to go to a star without."""
        if not self.is_tracking() and self.device.can("cansettracking"):
            self.device.order("tracking", {"Tracking": True})

    def _await_rest(self, doing: str, stop: Event) -> None:
        self.device.await_done(
            lambda: not self.device.flag("slewing"),
            limit_s=self._motion_timeout_s,
            clock=self._clock,
            stop=stop,
            give_up=self._let_go,
            doing=doing,
        )

    def _let_go(self) -> None:
        """Abort; a mount that does not answer to that must not hide why it was aborted."""
        with suppress(DeviceError):
            self.abort()

    def _require_arrival(self, ra_deg: float, dec_deg: float) -> None:
        apart_deg = _separation_deg(*self.position(), ra_deg, dec_deg)
        if apart_deg > _ARRIVED_DEG:
            raise self.device.refusal(
                f"came to rest {apart_deg:.1f}° from where it was sent, more than "
                f"{_ARRIVED_DEG:g}°; something ended its slew"
            )


def _separation_deg(ra_1: float, dec_1: float, ra_2: float, dec_2: float) -> float:
    """Return the angle between two places (haversine, which holds for small ones)."""
    d_1, d_2 = math.radians(dec_1), math.radians(dec_2)
    across = math.sin(math.radians(ra_1 - ra_2) / 2.0) ** 2 * math.cos(d_1) * math.cos(d_2)
    half = math.sqrt(min(1.0, math.sin((d_1 - d_2) / 2.0) ** 2 + across))
    return math.degrees(2.0 * math.asin(half))

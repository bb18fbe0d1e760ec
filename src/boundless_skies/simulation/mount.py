"""A simulated mount: it takes its time, errs a little, and believes its own word."""

import math
import threading
from dataclasses import dataclass
from threading import Event

import numpy as np

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.errors import DeviceRefused, DeviceUnreachable, Stopped
from boundless_skies.simulation.script import Script, Trouble
from boundless_skies.sky import Site, altitude_azimuth_deg, separation_deg

_DEVICE = "mount"
_LOOK_S = 1.0
_SKY_TURNS_DEG_S = 360.0 / 86_164.0905
_ARCSEC_PER_DEG = 3600.0
_POLE_DEG = 90.0
_LEAST_COSINE = 1e-3

Place = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class MountTraits:
    """What a mount is like.

    Attributes
    ----------
    slew_deg_s : float
        How fast it slews, degrees per second.
    settle_s : float
        How long it takes to come to rest, seconds.
    alignment_error_arcsec : float
        How far it points beside its goal until it is told where it is, one standard deviation in
        each of both directions.
    slew_error_arcsec : float
        How much each slew adds to that.
    lowest_deg : float
        It goes nowhere below this altitude, degrees.
    """

    slew_deg_s: float = 3.0
    settle_s: float = 2.0
    alignment_error_arcsec: float = 600.0
    slew_error_arcsec: float = 20.0
    lowest_deg: float = 0.0


@dataclass(frozen=True)
class _Motion:
    """A way from one place to another, as the mount believes them."""

    begin: Place
    goal: Place
    began_s: float
    lasts_s: float
    parks: bool = False

    def place_at(self, at_s: float) -> Place:
        share = min(1.0, (at_s - self.began_s) / self.lasts_s) if self.lasts_s else 1.0
        turn_deg = (self.goal[0] - self.begin[0] + 180.0) % 360.0 - 180.0
        return (
            (self.begin[0] + share * turn_deg) % 360.0,
            self.begin[1] + share * (self.goal[1] - self.begin[1]),
        )


class SimulatedMount:
    """A mount; see :class:`~boundless_skies.node.devices.capabilities.CanPointAndPark`.

    Parameters
    ----------
    clock : Clock
        To wait with.
    site : Site
        Where it stands.
    rng : Generator
        Draws its errors.
    traits : MountTraits, optional
        What it is like.
    script : Script, optional
        What befalls it.
    parked : bool, optional
        Whether it rests at first.
    """

    def __init__(
        self,
        clock: Clock,
        site: Site,
        rng: np.random.Generator,
        *,
        traits: MountTraits | None = None,
        script: Script | None = None,
        parked: bool = True,
    ) -> None:
        self._clock = clock
        self._site = site
        self._rng = rng
        self._traits = traits or MountTraits()
        self._script = script or Script()
        self._lock = threading.Lock()
        self._parked = parked
        self._tracking = False
        self._home: Place = (0.0, math.copysign(_POLE_DEG, site.latitude_deg))
        self._rest: Place = self._home
        self._rest_since_s = clock.monotonic()
        self._motion: _Motion | None = None
        self._error_arcsec = rng.normal(0.0, self._traits.alignment_error_arcsec, 2)

    # -- pointing -----------------------------------------------------------------------

    def slew(self, ra_deg: float, dec_deg: float, stop: Event) -> None:
        """Point to a place of the sky (J2000, degrees), follow it, and return once there."""
        self._answer()
        with self._lock:
            if self._parked:
                raise _refused("is parked, and moves only once it is unparked")
            self._require_above(ra_deg, dec_deg)
            self._tracking = True
            self._set_out((ra_deg % 360.0, dec_deg), parks=False)
            self._error_arcsec = self._error_arcsec + self._rng.normal(
                0.0, self._traits.slew_error_arcsec, 2
            )
        self._await_rest((ra_deg, dec_deg), stop)

    def position(self) -> Place:
        """Return where the mount believes it points: right ascension, declination, J2000."""
        self._answer()
        with self._lock:
            return self._believed()

    def true_position(self) -> Place:
        """Return where it really points, J2000, degrees; no driver can tell that."""
        with self._lock:
            ra_deg, dec_deg = self._believed()
            east_deg, north_deg = self._error_arcsec / _ARCSEC_PER_DEG
        return _moved(ra_deg, dec_deg, float(east_deg), float(north_deg))

    @property
    def follows(self) -> bool:
        """Whether it follows the sky, told without a driver in between."""
        return self._tracking

    def sync(self, ra_deg: float, dec_deg: float) -> None:
        """Tell the mount where it really points, J2000, degrees."""
        self._answer()
        true_ra, true_dec = self.true_position()
        with self._lock:
            if self._parked:
                raise _refused("is parked, and cannot be told where it points")
            self._motion = None
            self._rest, self._rest_since_s = (ra_deg % 360.0, dec_deg), self._clock.monotonic()
            east_deg = (true_ra - ra_deg + 180.0) % 360.0 - 180.0
            shrunk = max(math.cos(math.radians(dec_deg)), _LEAST_COSINE)
            self._error_arcsec = np.array([east_deg * shrunk, true_dec - dec_deg]) * _ARCSEC_PER_DEG

    def abort(self) -> None:
        """Stop every motion at once; safe to call when nothing moves."""
        self._answer()
        with self._lock:
            self._halt()

    def is_tracking(self) -> bool:
        """Return whether the mount follows the sky."""
        self._answer()
        with self._lock:
            return self._tracking

    def set_tracking(self, on: bool) -> None:
        """Let the mount follow the sky, or stand still."""
        self._answer()
        with self._lock:
            if on and self._parked:
                raise _refused("is parked, and follows the sky only once it is unparked")
            if self._motion is None:
                self._halt()
            self._tracking = on

    # -- parking ------------------------------------------------------------------------

    def park(self, stop: Event) -> None:
        """Go to the resting place, and return once there; nothing to do for a parked mount."""
        self._answer()
        with self._lock:
            if self._parked:
                return
            self._set_out(self._home, parks=True)
        self._await_rest(self._home, stop)

    def unpark(self) -> None:
        """Make the mount ready to move; nothing to do for one that is not parked."""
        self._answer()
        with self._lock:
            self._parked = False

    def is_parked(self) -> bool:
        """Return whether the mount rests."""
        self._answer()
        with self._lock:
            self._arrive()
            return self._parked

    # -- how it moves -------------------------------------------------------------------

    def _answer(self) -> None:
        if self._script.on(Trouble.MOUNT_SILENT, self._clock.now()):
            raise DeviceUnreachable("The mount does not answer.", device=_DEVICE)

    def _require_above(self, ra_deg: float, dec_deg: float) -> None:
        altitude_deg, _ = altitude_azimuth_deg(self._clock.now(), ra_deg, dec_deg, self._site)
        if not altitude_deg >= self._traits.lowest_deg:
            raise _refused(
                f"does not go to altitude {altitude_deg:.1f}°, below its limit of "
                f"{self._traits.lowest_deg:.1f}°, at {self._clock.now():%Y-%m-%dT%H:%MZ}"
            )

    def _set_out(self, goal: Place, *, parks: bool) -> None:
        begin = self._believed()
        lasts_s = separation_deg(*begin, *goal) / self._traits.slew_deg_s + self._traits.settle_s
        self._motion = _Motion(begin, goal, self._clock.monotonic(), lasts_s, parks)

    def _await_rest(self, goal: Place, stop: Event) -> None:
        while self._moves_to(goal):
            self._clock.sleep(_LOOK_S, stop)
            if stop.is_set():
                self._let_go()
                raise Stopped("The mount was told to stop on its way.")
            self._answer()

    def _moves_to(self, goal: Place) -> bool:
        """Tell whether the motion is under way; refuse where something ended it elsewhere."""
        with self._lock:
            self._arrive()
            if self._motion is not None:
                return True
            apart_deg = separation_deg(*self._rest, *goal)
        if apart_deg > 1.0 and not self._parked:
            raise _refused(f"came to rest {apart_deg:.1f}° from where it was sent")
        return False

    def _let_go(self) -> None:
        if not self._script.on(Trouble.MOUNT_SILENT, self._clock.now()):
            with self._lock:
                self._halt()

    def _halt(self) -> None:
        self._arrive()
        self._rest = self._believed()
        self._rest_since_s = self._clock.monotonic()
        self._motion = None

    def _arrive(self) -> None:
        motion, now_s = self._motion, self._clock.monotonic()
        if motion is None or now_s < motion.began_s + motion.lasts_s:
            return
        self._motion = None
        self._rest, self._rest_since_s = motion.goal, motion.began_s + motion.lasts_s
        if motion.parks:
            self._parked, self._tracking = True, False

    def _believed(self) -> Place:
        self._arrive()
        if self._motion is not None:
            return self._motion.place_at(self._clock.monotonic())
        if self._tracking:
            return self._rest
        # What stands still on the ground wanders to the east among the stars.
        stood_s = self._clock.monotonic() - self._rest_since_s
        return (self._rest[0] + stood_s * _SKY_TURNS_DEG_S) % 360.0, self._rest[1]


def _moved(ra_deg: float, dec_deg: float, east_deg: float, north_deg: float) -> Place:
    shrunk = max(math.cos(math.radians(dec_deg)), _LEAST_COSINE)
    north = max(-_POLE_DEG, min(_POLE_DEG, dec_deg + north_deg))
    return (ra_deg + east_deg / shrunk) % 360.0, north


def _refused(words: str) -> DeviceRefused:
    return DeviceRefused(f"The mount {words}.", device=_DEVICE)

"""A simulated focuser, and how sharp the stars are at each of its positions."""

import math
from dataclasses import dataclass
from threading import Event

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.errors import DeviceRefused, Stopped
from boundless_skies.simulation.script import Script, Trouble

_LOOK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class FocuserTraits:
    """What a focuser is like, and the light that falls through it.

    Attributes
    ----------
    lowest, highest : int
        Where it can be sent, steps.
    best : float
        The position of the best focus before any drift, steps.
    steps_s : float
        How fast it moves, steps per second.
    sharpest_px : float
        Full width at half maximum of the stars in the best focus, pixels of the sensor.
    blur_px_per_step : float
        How much wider they get with each step, far from it.
    """

    lowest: int = 0
    highest: int = 10_000
    best: float = 5_000.0
    steps_s: float = 500.0
    sharpest_px: float = 2.6
    blur_px_per_step: float = 0.02

    def fwhm_px(self, steps_off: float) -> float:
        """Return the width of the stars so many steps from the best focus.

        The air's blur and that of the defocused light add in squares, which makes the curve a
        hyperbola with straight arms: the "V curve".
        """
        return math.hypot(self.sharpest_px, self.blur_px_per_step * steps_off)


class SimulatedFocuser:
    """A focuser; see :class:`~boundless_skies.node.devices.capabilities.CanFocus`.

    Parameters
    ----------
    clock : Clock
        To wait with.
    traits : FocuserTraits, optional
        What it is like.
    script : Script, optional
        What befalls it.
    position : int, optional
        Where it stands at first, steps; in the best focus by default.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        traits: FocuserTraits | None = None,
        script: Script | None = None,
        position: int | None = None,
    ) -> None:
        self._clock = clock
        self._traits = traits or FocuserTraits()
        self._script = script or Script()
        self._position = round(self._traits.best) if position is None else position

    def focus_position(self) -> int:
        """Return where the focuser stands, steps."""
        return self._position

    def focus_range(self) -> tuple[int, int]:
        """Return the lowest and highest position that the focuser can be sent to, steps."""
        return self._traits.lowest, self._traits.highest

    def move_focus(self, position: int, stop: Event) -> None:
        """Move to a position in steps, and return once there; `stop` halts the focuser."""
        lowest, highest = self.focus_range()
        if not lowest <= position <= highest:
            raise DeviceRefused(
                f"The focuser moves between {lowest} and {highest} steps, not to {position}.",
                device="focuser",
            )
        reach = max(1, round(self._traits.steps_s * _LOOK_S))
        while self._position != position:
            if stop.is_set():
                raise Stopped("The focuser was told to stop on its way.")
            self._clock.sleep(_LOOK_S, stop)
            self._position += max(-reach, min(reach, position - self._position))

    def best_position(self) -> float:
        """Return where the best focus is now, steps; no driver can tell that."""
        return self._traits.best + self._script.grown(Trouble.FOCUS_DRIFT, self._clock.now())

    def fwhm_px(self) -> float:
        """Return how wide the stars are now, pixels of the sensor."""
        return self._traits.fwhm_px(self._position - self.best_position())

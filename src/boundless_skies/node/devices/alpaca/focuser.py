"""A focuser that speaks Alpaca."""

from contextlib import suppress
from threading import Event

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.device import AlpacaDevice
from boundless_skies.node.devices.errors import DeviceError


class AlpacaFocuser:
    """A focuser on an Alpaca server; see :class:`~..capabilities.CanFocus`.

    Parameters
    ----------
    server : Server
        Where it is.
    number : int
        Its number among the server's focusers.
    clock : Clock
        To wait with.
    motion_timeout_s : float
        How long a move may take, seconds.
    """

    def __init__(self, server: Server, number: int, clock: Clock, motion_timeout_s: float) -> None:
        self.device = AlpacaDevice(server, "focuser", number, "focuser")
        self._clock = clock
        self._motion_timeout_s = motion_timeout_s

    def is_absolute(self) -> bool:
        """Return whether it knows where it stands; one that does not cannot be focused by."""
        return self.device.can("absolute")

    def focus_position(self) -> int:
        """Return where the focuser stands, steps."""
        if not self.is_absolute():
            raise self.device.refusal("knows no positions: it moves relative to where it stands")
        return self.device.whole("position")

    def focus_range(self) -> tuple[int, int]:
        """Return the lowest and highest position that the focuser can be sent to, steps."""
        return 0, self.device.whole("maxstep")

    def move_focus(self, position: int, stop: Event) -> None:
        """Move to a position in steps, and return once there; `stop` halts the focuser."""
        lowest, highest = self.focus_range()
        if not lowest <= position <= highest:
            raise self.device.refusal(
                f"moves between {lowest} and {highest} steps, not to {position}"
            )
        largest = self.device.where_known(self.device.whole, "maxincrement") or highest
        while (now := self.focus_position()) != position:
            step = max(-largest, min(largest, position - now))
            self._move(now + step, stop)
            if (reached := self.focus_position()) == now:
                raise self.device.refusal(
                    f"stays at {reached} steps though it was sent to {now + step}"
                )

    def _move(self, position: int, stop: Event) -> None:
        self.device.order("move", {"Position": position}, limit_s=self._motion_timeout_s, stop=stop)
        self.device.await_done(
            lambda: not self.device.flag("ismoving"),
            limit_s=self._motion_timeout_s,
            clock=self._clock,
            stop=stop,
            give_up=self._halt,
            doing="move",
        )

    def _halt(self) -> None:
        """Halt; some focusers cannot, and that must not hide why they were told to."""
        with suppress(DeviceError):
            self.device.order("halt")

"""A filter wheel that speaks Alpaca."""

from threading import Event

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.device import AlpacaDevice


class AlpacaFilterWheel:
    """A filter wheel on an Alpaca server; see :class:`~..capabilities.CanFilter`.

    Parameters
    ----------
    server : Server
        Where it is.
    number : int
        Its number among the server's filter wheels.
    clock : Clock
        To wait with.
    motion_timeout_s : float
        How long a turn may take, seconds.
    """

    def __init__(self, server: Server, number: int, clock: Clock, motion_timeout_s: float) -> None:
        self.device = AlpacaDevice(server, "filterwheel", number, "filter wheel")
        self._clock = clock
        self._motion_timeout_s = motion_timeout_s

    def filter_names(self) -> tuple[str, ...]:
        """Return the filters in the wheel, as its driver names them, in their order."""
        return self.device.texts("names")

    def filter_name(self) -> str | None:
        """Return the filter in the light; None while the wheel turns."""
        position, names = self.device.whole("position"), self.filter_names()
        return names[position] if 0 <= position < len(names) else None

    def move_filter(self, name: str, stop: Event) -> None:
        """Bring a filter into the light, and return once it is there."""
        names = self.filter_names()
        wanted = next((i for i, known in enumerate(names) if known.lower() == name.lower()), None)
        if wanted is None:
            raise self.device.refusal(f"has no filter {name!r}; it has {', '.join(names)}")
        if self.device.whole("position") == wanted:
            return
        self.device.order(
            "position", {"Position": wanted}, limit_s=self._motion_timeout_s, stop=stop
        )
        self.device.await_done(
            lambda: self.device.whole("position") == wanted,
            limit_s=self._motion_timeout_s,
            clock=self._clock,
            stop=stop,
            give_up=lambda: None,
            doing="turn",
        )

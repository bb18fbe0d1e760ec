"""A device on an Alpaca server: its properties, its methods, its errors."""

import json
import math
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any, TypeVar

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.alpaca.calls import Answer, Server
from boundless_skies.node.devices.errors import (
    DeviceError,
    DeviceRefused,
    DeviceUnreachable,
    Stopped,
)

NOT_IMPLEMENTED = 0x400
NOT_CONNECTED = 0x407
PARKED = 0x408

_POLL_S = 0.2
_PATIENCE_S = 15.0
"""How long a device that is at work may be silent, as it happens in a weak Wi-Fi, before the
work is given up: an exposure of minutes is not lost to one lost packet."""
CLIENT_ERRORS = range(400, 500)
"""HTTP statuses by which a server says that it knows no such property."""

T = TypeVar("T")


class AlpacaDevice:
    """One device of a server.

    Parameters
    ----------
    server : Server
        Where it is.
    kind : str
        Its type as Alpaca spells it in paths (``telescope``, ``camera``).
    number : int
        Its number among the server's devices of that type.
    words : str
        What an owner calls it (``mount``).
    """

    def __init__(self, server: Server, kind: str, number: int, words: str) -> None:
        self.server = server
        self.device_number = number
        self.words = words
        self._path = f"/api/v1/{kind}/{number}"
        self._connect_limit_s: float | None = None

    # -- properties ---------------------------------------------------------------------

    def value(self, name: str) -> Any:
        """Return a property as its JSON says it."""
        content = self._connected(
            lambda: self._content(self.told(lambda: self.server.get(f"{self._path}/{name}")), name)
        )
        if "Value" not in content:
            raise self._unreadable(name, "without a value")
        return content["Value"]

    def number(self, name: str) -> float:
        """Return a property that is a finite number."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self._unreadable(name, f"with {_short(value)}, not a number")
        return float(value)

    def whole(self, name: str) -> int:
        """Return a property that is a whole number."""
        return round(self.number(name))

    def flag(self, name: str) -> bool:
        """Return a property that is true or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise self._unreadable(name, f"with {_short(value)}, not true or false")
        return value

    def text(self, name: str) -> str:
        """Return a property that is text."""
        value = self.value(name)
        if not isinstance(value, str):
            raise self._unreadable(name, f"with {_short(value)}, not a text")
        return value.strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a property that is a list of texts."""
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._unreadable(name, f"with {_short(value)}, not a list of texts")
        return tuple(item.strip() for item in value)

    def where_known(self, read: Callable[[str], T], name: str) -> T | None:
        """Return a property, or None where the driver has none of that name."""
        try:
            return read(name)
        except DeviceRefused:
            return None
        except DeviceUnreachable as error:
            if error.status in CLIENT_ERRORS:
                return None
            raise

    def can(self, name: str) -> bool:
        """Return whether the driver says that it can do something (``cansync``)."""
        return bool(self.where_known(self.flag, name))

    # -- methods ------------------------------------------------------------------------

    def order(
        self,
        name: str,
        values: Mapping[str, object] | None = None,
        *,
        limit_s: float | None = None,
        stop: Event | None = None,
    ) -> None:
        """Call a method or set a property; ``limit_s`` is for one that ends only when done."""
        self._connected(lambda: self._ordered(name, values, limit_s, stop))

    def _ordered(
        self,
        name: str,
        values: Mapping[str, object] | None,
        limit_s: float | None,
        stop: Event | None,
    ) -> None:
        form = {key: str(value) for key, value in (values or {}).items()}
        answer = self.told(
            lambda: self.server.put(f"{self._path}/{name}", form, limit_s=limit_s, stop=stop)
        )
        self._content(answer, name)

    def image(self, *, most_bytes: int, limit_s: float, stop: Event) -> Answer:
        """Fetch the last exposure, as ImageBytes where the server can."""
        return self.told(
            lambda: self.server.get(
                f"{self._path}/imagearray",
                limit_s=limit_s,
                accept="application/imagebytes, application/json;q=0.5",
                most_bytes=most_bytes,
                stop=stop,
            )
        )

    def connect(self, limit_s: float) -> None:
        """Let the server open its way to the hardware."""
        self._ordered("connected", {"Connected": True}, limit_s, None)
        self._connect_limit_s = limit_s

    def _connected(self, call: Callable[[], T]) -> T:
        """Make a call; a server that has lost its way to the hardware opens it again."""
        try:
            return call()
        except DeviceRefused as error:
            if error.number != NOT_CONNECTED or self._connect_limit_s is None:
                raise
        self.connect(self._connect_limit_s)
        return call()

    def await_done(
        self,
        done: Callable[[], bool],
        *,
        limit_s: float,
        clock: Clock,
        stop: Event,
        give_up: Callable[[], None],
        doing: str,
    ) -> None:
        """Ask until a motion or exposure is over.

        Parameters
        ----------
        done : callable
            Asks the device.
        limit_s : float
            When it should be over at the latest.
        clock : Clock
            To wait with.
        stop : Event
            Ends the waiting.
        give_up : callable
            Tells the device to let go.
        doing : str
            What it does, for the message (``slew``).

        Raises
        ------
        DeviceRefused
            If it is not over in time; the device was told to let go.
        DeviceUnreachable
            If the device is silent for longer than a hiccup of the network.
        Stopped
            If `stop` was set; the device was told to let go.
        """
        began_s = heard_s = clock.monotonic()
        while True:
            if stop.is_set():
                give_up()
                raise Stopped(f"The {doing} was ended: stop was asked for.")
            try:
                if done():
                    return
                heard_s = clock.monotonic()
            except DeviceUnreachable:
                if clock.monotonic() - heard_s > _PATIENCE_S:
                    raise
            if clock.monotonic() - began_s > limit_s:
                give_up()
                raise self.refusal(f"has not ended its {doing} within {limit_s:.0f} s")
            clock.sleep(_POLL_S, stop)

    # -- errors -------------------------------------------------------------------------

    def refusal(self, words: str) -> DeviceRefused:
        """Return an error that says what this device does not do."""
        return DeviceRefused(f"The {self.words} {words}.", device=self.words)

    def told(self, call: Callable[[], T]) -> T:
        """Name this device in an error of a call."""
        try:
            return call()
        except DeviceUnreachable as error:
            raise DeviceUnreachable(
                f"The {self.words} does not answer: {error}",
                device=self.words,
                status=error.status,
            ) from error

    def _content(self, answer: Answer, name: str) -> dict[str, Any]:
        """Return an answer's JSON; the driver's own error is raised."""
        try:
            content = json.loads(answer.body)
            number = content["ErrorNumber"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._unreadable(name, "with something that is no Alpaca answer") from error
        if number:
            raise self.driver_error(name, number, content.get("ErrorMessage"))
        checked: dict[str, Any] = content
        return checked

    def driver_error(self, name: str, number: object, message: object) -> DeviceError:
        """Return the driver's error in its own words."""
        if not isinstance(number, int):
            return self._unreadable(name, "with an error that has no number")
        said = " ".join(str(message or "").split()).rstrip(".") or "it does not say why"
        return DeviceRefused(
            f"The {self.words} refused {name}: {said} (Alpaca error 0x{number:X}).",
            device=self.words,
            number=number,
        )

    def _unreadable(self, name: str, words: str) -> DeviceUnreachable:
        return DeviceUnreachable(
            f"The {self.words} on {self.server.address} answers {name} {words}.", device=self.words
        )


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - fits into a sentence

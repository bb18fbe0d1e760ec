"""The clock of a computer that lost its power, and goes on."""

import datetime as dt
import mmap
import struct
from pathlib import Path

_DIAL = struct.Struct("d")


class Dial:
    """The computer's clock as it goes on without power: the simulated time, kept in a file.

    Parameters
    ----------
    path : Path
        The file, made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            if file.tell() < _DIAL.size:
                file.write(bytes(_DIAL.size - file.tell()))
                file.flush()
            # The kernel keeps what is written here when the process is killed.
            self._shown = mmap.mmap(file.fileno(), _DIAL.size)

    def read(self) -> dt.datetime | None:
        """Return the time that was shown last; None for a new dial."""
        (shown_s,) = _DIAL.unpack(self._shown)
        return dt.datetime.fromtimestamp(shown_s, dt.UTC) if shown_s else None

    def show(self, instant_s: float) -> None:
        """Show a time, seconds since 1970."""
        _DIAL.pack_into(self._shown, 0, instant_s)

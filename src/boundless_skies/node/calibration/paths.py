"""Where the master frames lie."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class CalibrationPaths:
    """Where the master frames lie; empty where there is none.

    Attributes
    ----------
    dark, flat, bias : str
        Each a FITS file, or a folder of exposures.
    """

    dark: str = ""
    flat: str = ""
    bias: str = ""

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.kinds)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What there is: dark, flat, bias."""
        return tuple(entry.name for entry in fields(self) if getattr(self, entry.name))

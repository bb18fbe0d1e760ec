"""What befalls a telescope, and when: clouds, rain, faults, each on its cue."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Trouble(StrEnum):
    """What can befall a telescope."""

    MOUNT_SILENT = "mount silent"
    """The mount does not answer; what it was told to do it goes on doing."""
    CAMERA_SILENT = "camera silent"
    CAMERA_FAULT = "camera fault"
    """The camera answers, but its exposures fail."""
    WEATHER_SILENT = "weather silent"
    CLOUDS = "clouds"
    """Strength: how many magnitudes they take."""
    RAIN = "rain"
    """Strength: millimetres per hour."""
    WIND = "wind"
    """Strength: metres per second."""
    FOCUS_DRIFT = "focus drift"
    """Strength: focuser steps by which the best focus has moved at its end; it stays there."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Something befalls the telescope.

    Attributes
    ----------
    trouble : Trouble
        What.
    begins : datetime
        When, aware.
    lasts_s : float
        For how long, seconds.
    strength : float
        How much of it, in the unit of the trouble; of no meaning where it has none.
    """

    trouble: Trouble
    begins: dt.datetime
    lasts_s: float
    strength: float = 0.0

    @property
    def ends(self) -> dt.datetime:
        """When it is over."""
        return self.begins + dt.timedelta(seconds=self.lasts_s)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "trouble": str(self.trouble),
            "begins": self.begins.isoformat(),
            "lasts_s": self.lasts_s,
            "strength": self.strength,
        }

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """Return what :meth:`to_dict` gave."""
        return cls(
            trouble=Trouble(given["trouble"]),
            begins=dt.datetime.fromisoformat(given["begins"]),
            lasts_s=given["lasts_s"],
            strength=given["strength"],
        )


class Script:
    """All that befalls one telescope.

    Parameters
    ----------
    cues : iterable of Cue
        In any order; those of one trouble may overlap.
    """

    def __init__(self, cues: Iterable[Cue] = ()) -> None:
        self.cues = tuple(sorted(cues, key=lambda cue: cue.begins))

    def on(self, trouble: Trouble, at: dt.datetime) -> bool:
        """Tell whether something befalls the telescope at an instant."""
        return any(cue.begins <= at < cue.ends for cue in self._of(trouble))

    def strength(self, trouble: Trouble, at: dt.datetime) -> float:
        """Return how much of it there is at an instant; 0 where it is not on."""
        return max(
            (cue.strength for cue in self._of(trouble) if cue.begins <= at < cue.ends),
            default=0.0,
        )

    def grown(self, trouble: Trouble, at: dt.datetime) -> float:
        """Return how far something has come that grows evenly, and stays."""
        return sum(
            (cue.strength * _share_gone(cue, at) for cue in self._of(trouble)),
            start=0.0,
        )

    def _of(self, trouble: Trouble) -> Iterable[Cue]:
        return (cue for cue in self.cues if cue.trouble is trouble)


def _share_gone(cue: Cue, at: dt.datetime) -> float:
    gone_s = (at - cue.begins).total_seconds()
    if gone_s <= 0.0:
        return 0.0
    return min(1.0, gone_s / cue.lasts_s) if cue.lasts_s > 0.0 else 1.0

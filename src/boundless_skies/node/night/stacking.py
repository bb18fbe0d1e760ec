"""Which frames of a night make one point together."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.photometry.stacking import Reading, stacked_light

LONGEST_GAP = dt.timedelta(hours=1)
"""Frames farther apart than this are never stacked."""


@dataclass(frozen=True)
class StackPlan:
    """When a stack is full.

    Attributes
    ----------
    frames : int or None
        After so many frames.
    until_snr : float or None
        Once its signal to noise is so high.
    """

    frames: int | None = None
    until_snr: float | None = None

    def __bool__(self) -> bool:
        """Return whether frames are to be stacked at all."""
        return self.frames is not None or self.until_snr is not None

    def is_full(self, readings: list[Reading]) -> bool:
        """Say whether a stack is complete."""
        if self.frames is not None and len(readings) >= self.frames:
            return True
        return self.until_snr is not None and stacked_light(readings).snr >= self.until_snr


@dataclass(frozen=True)
class FullStack:
    """Frames that make one point.

    Attributes
    ----------
    paths : tuple of Path
        Their files, in the order of time.
    readings : list of Reading
        What each tells.
    exposure : Exposure
        The last of them: of all the others the pixels are given up.
    """

    paths: tuple[Path, ...]
    readings: list[Reading]
    exposure: Exposure


class Stacks:
    """Gathers the frames of a night into stacks of consecutive frames of one series.

    Parameters
    ----------
    plan : StackPlan
        When a stack is full.
    read : callable
        What a frame tells of the target.
    """

    def __init__(self, plan: StackPlan, read: Callable[[Exposure], Reading]) -> None:
        self._plan, self._read = plan, read
        self._paths: list[Path] = []
        self._readings: list[Reading] = []
        self._last: Exposure | None = None

    def add(self, path: Path, exposure: Exposure) -> Iterator[FullStack]:
        """Take a frame in; raises what reading it raises, and then stays as it was.

        Parameters
        ----------
        path : Path
            The file.
        exposure : Exposure
            The next in the order of time.

        Yields
        ------
        FullStack
            What this frame completes, or does not belong to any more.
        """
        reading = self._read(exposure)
        if self._readings and not _belongs(reading, self._readings[-1]):
            yield from self.finish()
        self._paths.append(path)
        self._readings.append(reading)
        self._last = exposure
        if self._plan.is_full(self._readings):
            yield from self.finish()

    def finish(self) -> Iterator[FullStack]:
        """Give out what has been gathered, full or not.

        Yields
        ------
        FullStack
            One at most.
        """
        if self._last is not None:
            full = FullStack(tuple(self._paths), self._readings, self._last)
            self._paths, self._readings, self._last = [], [], None
            yield full


def _belongs(reading: Reading, before: Reading) -> bool:
    near = abs(reading.middle_utc - before.middle_utc) <= LONGEST_GAP
    return near and reading.series == before.series

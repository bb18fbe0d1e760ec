"""The room for frames: how much the disk has, what a frame takes, how many nights that lasts."""

import math
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any, Self

from boundless_skies.node.storage.schedule import ScheduleStore

GB = 1e9
NIGHTS_COUNTED = 10
"""A night's frames are the mean of so many nights before."""

_FRAMES_LOOKED_AT = 8
_KEPT_FOR = timedelta(minutes=1)
_NOON_H, _DEG_PER_HOUR, _DAY_H = 12.0, 15.0, 24.0


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a disk has room for.

    Attributes
    ----------
    folder : Path
        Where frames are written.
    free_bytes : int
        What a program without special rights can write there.
    reserve_bytes : float
        What frames leave free.
    frame_bytes : int or None
        What a frame takes: the largest of the newest ones. None before the first.
    nights : float or None
        For how many nights like the last ones there is room; None before the first.
    keep_days : int
        After how many days frames are removed; 0 for never.
    """

    folder: Path
    free_bytes: int
    reserve_bytes: float
    frame_bytes: int | None
    nights: float | None
    keep_days: int

    @property
    def is_short(self) -> bool:
        """Whether not one frame more fits beside what is to stay free."""
        return self.free_bytes - (self.frame_bytes or 0) < self.reserve_bytes

    @property
    def lasts_nights(self) -> float:
        """For how many nights there is room, infinite where that is for good or not known."""
        for_good = self.nights is None or 0 < self.keep_days <= self.nights
        return math.inf if self.nights is None or for_good else self.nights

    @property
    def sentence(self) -> str:
        """What an owner should know of it."""
        free = f"{_told(self.free_bytes)} free in {self.folder}"
        if self.is_short:
            return f"{free}: none for frames, {_remedy(self.reserve_bytes)}"
        if self.nights is None:
            return f"{free}."
        return f"{free}, {lasting(self.nights, self.keep_days)}."


def lasting(nights: float, keep_days: int) -> str:
    """Return in words for how many nights there is room.

    Parameters
    ----------
    nights : float
        Nights like the last ones.
    keep_days : int
        After how many days frames are removed; 0 for never.
    """
    if keep_days and nights >= keep_days:
        return f"enough for good, as frames are removed after {keep_days} days"
    whole = int(nights)
    if not whole:
        return "for less than one night like the last ones"
    return f"for about {whole:,} {'night' if whole == 1 else 'nights'} like the last ones"


def frames_folder(config: Mapping[str, Any]) -> Path:
    """Return the folder for frames, absolute: its paths outlast the folder of a start."""
    return Path(config["image_watcher"]["watch_path"]).expanduser().absolute()


def free_bytes(folder: Path) -> int:
    """Return what can be written into a folder, or into the one where it would be made.

    Raises
    ------
    OSError
        If the disk cannot be asked.
    """
    folder = folder.absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


class DiskRoom:
    """Tells whether there is room for frames.

    Parameters
    ----------
    folder : Path
        Where frames are written.
    store : ScheduleStore
        Knows the frames so far.
    reserve_gb : float
        What frames leave free, gigabytes.
    keep_days : int
        After how many days frames are removed; 0 for never.
    longitude_deg : float
        Where the telescope stands, east positive: its noon parts the nights.
    now : callable
        Gives the time as an aware datetime.
    free : callable
        Returns the bytes that are free in a folder.
    """

    def __init__(
        self,
        folder: Path,
        store: ScheduleStore,
        *,
        reserve_gb: float,
        keep_days: int = 0,
        longitude_deg: float = 0.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._folder = folder
        self._store = store
        self._reserve_bytes = reserve_gb * GB
        self._keep_days = keep_days
        self._noon_h = (_NOON_H - longitude_deg / _DEG_PER_HOUR) % _DAY_H
        self._now = now
        self._free = free
        self._lock = threading.Lock()
        self._seen: tuple[datetime, Room] | None = None

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], store: ScheduleStore, now: Callable[[], datetime]
    ) -> Self:
        """Read the folder, and what the owner wants to keep and to keep free."""
        return cls(
            frames_folder(config),
            store,
            reserve_gb=config["schedule"]["keep_free"],
            keep_days=config["schedule"]["keep_frames"],
            longitude_deg=config["observatory"]["longitude"] or 0.0,
            now=now,
        )

    def lacks(self, frames: int) -> str | None:
        """Return why so many frames do not fit, the end of a sentence; None where they do.

        Parameters
        ----------
        frames : int
            How many are to be taken.
        """
        try:
            free = self._free(self._folder)
        except OSError:
            return None  # the write itself says it better
        needed = frames * (self._frame_bytes() or 0)
        if free - needed >= self._reserve_bytes:
            return None
        what = f"{frames} {'frame' if frames == 1 else 'frames'} of its"
        takes = f"{what} take {_told(needed)}, " if needed else ""
        return f"{takes}{_told(free)} are free, {_remedy(self._reserve_bytes)}"

    def room(self) -> Room | None:
        """Return what there is room for, at most a minute old; None where nobody can tell.

        Raises
        ------
        ScheduleError
            If the schedule cannot be read.
        """
        with self._lock:
            now = self._now()
            if self._seen is None or not timedelta() <= now - self._seen[0] < _KEPT_FOR:
                try:
                    self._seen = now, self._look()
                except OSError:
                    self._seen = None
            return None if self._seen is None else self._seen[1]

    def facts(self) -> dict[str, Any] | None:
        """Return the same with JSON values, rounded so that not each look is news."""
        room = self.room()
        if room is None:
            return None
        return {
            "folder": str(room.folder),
            "free_gb": round(room.free_bytes / GB, 1),
            "reserve_gb": room.reserve_bytes / GB,
            "nights": None if room.nights is None else int(room.nights),
            "keep_days": room.keep_days,
            "is_short": room.is_short,
        }

    def _look(self) -> Room:
        free, sizes = self._free(self._folder), self._sizes()
        taken = self._frames_a_night()
        spare = max(free - self._reserve_bytes, 0.0)
        return Room(
            folder=self._folder,
            free_bytes=free,
            reserve_bytes=self._reserve_bytes,
            frame_bytes=max(sizes, default=None),
            nights=spare / (taken * fmean(sizes)) if taken and sizes else None,
            keep_days=self._keep_days,
        )

    def _frame_bytes(self) -> int | None:
        return max(self._sizes(), default=None)

    def _sizes(self) -> list[int]:
        paths = [Path(one.path) for one in self._store.newest_frames(_FRAMES_LOOKED_AT)]
        return [path.stat().st_size for path in paths if path.exists()]

    def _frames_a_night(self) -> float:
        """Return how many frames a night brings; the one that is on counts where it is alone."""
        nights = self._store.frames_by_night(self._noon_h, NIGHTS_COUNTED + 1)
        tonight = f"{self._now().astimezone(UTC) - timedelta(hours=self._noon_h):%Y-%m-%d}"
        over = [count for night, count in nights.items() if night != tonight]
        return fmean((over or list(nights.values()))[:NIGHTS_COUNTED]) if nights else 0.0


def _remedy(reserve_bytes: float) -> str:
    """Return why that is too little, and what to do."""
    kept = f"of which {_told(reserve_bytes)} stay free (schedule.keep_free); "
    remedy = "make room, or let old frames be removed (schedule.keep_frames)."
    return f"{kept}{remedy}" if reserve_bytes else remedy


def _told(size_bytes: float) -> str:
    return f"{size_bytes / GB:.1f} GB" if size_bytes >= GB / 10 else f"{size_bytes / 1e6:.1f} MB"

"""What the simulated world is made of: sites, nights, and what befalls each telescope."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from boundless_skies.simulation.script import Cue, Trouble
from boundless_skies.sky import Night, Site, night_around

SUN_ALTITUDE_DEG = -12.0
"""A night is as long as the Sun is lower than this."""

FILE_NAME = "station.json"
CONFIG_NAME = "config.yaml"
PROGRESS_NAME = "progress.json"
FRAMES_NAME = "frames"
DATA_NAME = "data"
DIAL_NAME = "dial"

_LATITUDES_DEG, _LONGITUDES_DEG, _HEIGHTS_M = (30.0, 52.0), (-12.0, 40.0), (0.0, 2000.0)

# Each: how long it lasts (s) and how strong it is, from and to.
_TROUBLES: tuple[tuple[Trouble, tuple[float, float], tuple[float, float]], ...] = (
    (Trouble.CLOUDS, (300.0, 1500.0), (0.3, 2.5)),
    (Trouble.MOUNT_SILENT, (10.0, 45.0), (0.0, 0.0)),
    (Trouble.RAIN, (300.0, 1200.0), (0.5, 5.0)),
    (Trouble.FOCUS_DRIFT, (600.0, 2400.0), (-150.0, 150.0)),
    (Trouble.CAMERA_FAULT, (20.0, 90.0), (0.0, 0.0)),
    (Trouble.MOUNT_SILENT, (120.0, 400.0), (0.0, 0.0)),
    (Trouble.CAMERA_SILENT, (20.0, 120.0), (0.0, 0.0)),
    (Trouble.WIND, (300.0, 900.0), (14.0, 25.0)),
    (Trouble.WEATHER_SILENT, (20.0, 200.0), (0.0, 0.0)),
)


@dataclass(frozen=True, kw_only=True)
class StationPlan:
    """One station of the simulated world.

    Attributes
    ----------
    name : str
        Of its node.
    seed : int
        Of its telescope.
    site : Site
        Where it stands.
    nights : tuple of Night
        In their order.
    cues : tuple of Cue
        What befalls it.
    speed : float
        At most so many seconds of it pass in a real one.
    """

    name: str
    seed: int
    site: Site
    nights: tuple[Night, ...]
    cues: tuple[Cue, ...]
    speed: float

    def write(self, folder: Path) -> None:
        """Write it for the station's process."""
        text = json.dumps(
            {
                "name": self.name,
                "seed": self.seed,
                "site": [
                    self.site.latitude_deg,
                    self.site.longitude_deg,
                    self.site.elevation_m,
                ],
                "nights": [[n.begins.isoformat(), n.ends.isoformat()] for n in self.nights],
                "cues": [cue.to_dict() for cue in self.cues],
                "speed": self.speed,
            },
            indent=1,
        )
        (folder / FILE_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what :meth:`write` wrote."""
        given: dict[str, Any] = json.loads((folder / FILE_NAME).read_text("utf-8"))
        return cls(
            name=given["name"],
            seed=given["seed"],
            site=Site(*given["site"]),
            nights=tuple(Night(*map(dt.datetime.fromisoformat, pair)) for pair in given["nights"]),
            cues=tuple(map(Cue.from_dict, given["cues"])),
            speed=given["speed"],
        )


def evening_of(night: Night, site: Site) -> str:
    """Return the date of a night's evening at a site, YYYY-MM-DD."""
    local = night.begins + dt.timedelta(hours=site.longitude_deg / 15.0)
    return local.date().isoformat()


def make_stations(
    count: int, nights: int, *, seed: int, today: dt.datetime, speed: float
) -> list[StationPlan]:
    """Make all stations of a world.

    Parameters
    ----------
    count : int
        How many.
    nights : int
        How many nights each has; the last of them is over before `today`.
    seed : int
        Of everything in the world.
    today : datetime
        The present instant, aware.
    speed : float
        At most so many seconds of a station pass in a real one.

    Returns
    -------
    list of StationPlan
        Equal for equal arguments.
    """
    return [
        _make_station(place, nights, np.random.default_rng((seed, place)), today, speed)
        for place in range(count)
    ]


def _make_station(
    place: int, nights: int, rng: np.random.Generator, today: dt.datetime, speed: float
) -> StationPlan:
    latitude, longitude, height = (
        round(float(rng.uniform(*bounds)), 4)
        for bounds in (_LATITUDES_DEG, _LONGITUDES_DEG, _HEIGHTS_M)
    )
    site = Site(latitude, longitude, height)
    known = tuple(_nights_before(today, site, nights))
    cues = tuple(
        cue for number, night in enumerate(known) for cue in _cues(place, number, night, rng)
    )
    return StationPlan(
        name=f"station-{place + 1:03d}",
        seed=int(rng.integers(2**31)),
        site=site,
        nights=known,
        cues=cues,
        speed=speed,
    )


def _nights_before(today: dt.datetime, site: Site, count: int) -> Sequence[Night]:
    last = night_around(today - dt.timedelta(days=1), site, SUN_ALTITUDE_DEG)
    days = range(count - 1, -1, -1)
    middle = today if last is None else last.begins + (last.ends - last.begins) / 2
    nights = (night_around(middle - dt.timedelta(days=day), site, SUN_ALTITUDE_DEG) for day in days)
    return [night for night in nights if night is not None]


def _cues(place: int, number: int, night: Night, rng: np.random.Generator) -> list[Cue]:
    """Deal troubles out in turn, so that each of them befalls somebody."""
    trouble, lasts_s, strength = _TROUBLES[(place + 4 * number) % len(_TROUBLES)]
    begins = night.begins + dt.timedelta(minutes=float(rng.uniform(20.0, 50.0)))
    return [
        Cue(
            trouble=trouble,
            begins=begins,
            lasts_s=float(rng.uniform(*lasts_s)),
            strength=float(rng.uniform(*strength)),
        )
    ]

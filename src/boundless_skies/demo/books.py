"""The books: what the node accepted, against what the cloud holds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3

from boundless_skies.demo.narration import DemoFailure
from boundless_skies.node.schedule.work import ExposureRecord, ExposureState, Work
from boundless_skies.wire import paths


@dataclass(frozen=True)
class Books:
    """What became of the measurements that the node accepted.

    Attributes
    ----------
    delivered : int
        Accepted, and on the cloud's light curves with the same values.
    lost : int
        Accepted, and not there.
    duplicated : int
        Rows that the cloud holds beyond one for each delivered measurement.
    """

    delivered: int
    lost: int
    duplicated: int

    @property
    def balance(self) -> bool:
        """Whether each measurement is there, and once."""
        return self.delivered > 0 and self.lost == 0 and self.duplicated == 0

    def __str__(self) -> str:
        """Tell the books in one line."""
        return f"delivered {self.delivered}, lost {self.lost}, duplicated {self.duplicated}"


def take_books(
    accepted: Iterable[dict[str, Any]], points: dict[str, list[dict[str, Any]]], rows: int
) -> Books:
    """Compare both sides.

    Parameters
    ----------
    accepted : iterable of dict
        Measurements from the node's durable record.
    points : dict
        The cloud's light curves by target.
    rows : int
        How many measurements the cloud holds in all, every revision counted.

    Returns
    -------
    Books
        The result.
    """
    wanted = Counter(_values(entry["target_name"], entry) for entry in accepted)
    held = Counter(_values(target, point) for target, curve in points.items() for point in curve)
    delivered = (wanted & held).total()
    return Books(delivered, wanted.total() - delivered, rows - delivered)


def _values(target: str, entry: dict[str, Any]) -> tuple[Any, ...]:
    return target, entry["bjd"], entry["filter"], entry["magnitude"], entry["uncertainty"]


@dataclass(frozen=True, kw_only=True)
class NightBooks:
    """What became of the exposures that a plan and its interrupts asked for.

    Attributes
    ----------
    planned : int
        Exposures that were asked for.
    exposed : int
        Those that came to a frame.
    cut_off : int
        Those that were under way when the node was killed: their light is gone, and they are
        not taken again.
    measured : int
        Frames that became a measurement.
    measurements : Books
        What became of those.
    parked : bool
        Whether the mount rests at the end.
    kills : int
        How often the node was killed: so many exposures may be cut off at most.
    """

    planned: int
    exposed: int
    cut_off: int
    measured: int
    measurements: Books
    parked: bool
    kills: int

    @property
    def balance(self) -> bool:
        """Whether each exposure is accounted for, and each frame measured and delivered once."""
        return (
            self.planned == self.exposed + self.cut_off
            and self.cut_off <= self.kills
            and self.exposed == self.measured == self.measurements.delivered
            and self.measurements.balance
            and self.parked
        )

    def __str__(self) -> str:
        """Tell the books in one line."""
        cut_off = f" (and {self.cut_off} cut off by the kill)" if self.cut_off else ""
        at_rest = "the mount is parked" if self.parked else "the mount is NOT parked"
        return (
            f"planned {self.planned}, exposed {self.exposed}{cut_off}, "
            f"measured {self.measured}, {self.measurements}; {at_rest}"
        )


def take_night_books(
    exposures: Iterable[tuple[Work, Sequence[ExposureRecord]]],
    measurements: Books,
    *,
    measured: int,
    parked: bool,
    kills: int,
) -> NightBooks:
    """Hold the schedule against the frames and the cloud.

    Parameters
    ----------
    exposures : iterable of (Work, sequence of ExposureRecord)
        Each item and interrupt, with what is recorded of its exposures.
    measurements : Books
        What became of the measurements.
    measured : int
        How many frames became one.
    parked : bool
        Whether the mount rests.
    kills : int
        How often the node was killed.

    Returns
    -------
    NightBooks
        A frame counts as exposed where its file is there.
    """
    works = list(exposures)
    states = Counter(_end_of(record) for _, records in works for record in records)
    return NightBooks(
        planned=sum(work.count for work, _ in works),
        exposed=states[ExposureState.SAVED],
        cut_off=states[ExposureState.LOST],
        measured=measured,
        measurements=measurements,
        parked=parked,
        kills=kills,
    )


def _end_of(record: ExposureRecord) -> ExposureState | None:
    """Return an exposure's state; None where it is said to be saved, and is not there."""
    if record.state is ExposureState.SAVED and not Path(record.path).exists():
        return None
    return record.state


class CloudReader:
    """Reads a cloud's public calls.

    Parameters
    ----------
    url : str
        The cloud's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def targets(self) -> list[str]:
        """Return the names of all targets, the newest first."""
        return [target["name"] for target in self._get(paths.TARGETS)["targets"]]

    def light_curve(self, target: str) -> list[dict[str, Any]]:
        """Return a target's points, the newest revision of each, by time."""
        name = quote(target, safe="")
        points: list[dict[str, Any]] = self._get(f"{paths.LIGHTCURVES}/{name}")["points"]
        return points

    def rows(self) -> int:
        """Return how many measurements are held in all, every revision counted."""
        return int(self._get(paths.NETWORK_STATUS)["counts"]["measurements"])

    def _get(self, path: str) -> dict[str, Any]:
        try:
            reply = urllib3.request("GET", self._url + path, timeout=10.0, retries=2)
            answer: dict[str, Any] = reply.json()
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise DemoFailure(f"the cloud did not answer {path}: {error}") from None
        if reply.status != 200:  # noqa: PLR2004 - HTTP's yes
            raise DemoFailure(f"the cloud answered {path} with {reply.status}: {answer}")
        return answer

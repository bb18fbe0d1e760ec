"""The books: what the node accepted, against what the cloud holds."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3

from boundless_skies.demo.narration import DemoFailure
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

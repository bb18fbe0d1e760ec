"""What a new plan changes against the one before it, in words for the owner."""

import datetime as dt
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from boundless_skies.node.schedule.rules import Observable
from boundless_skies.sky import separation_deg
from boundless_skies.sky.names import name_key

_SAME_PLACE_DEG = 1.0 / 60.0
"""One object is never given two positions further apart than this: a plan's RA has five digits,
and catalogues differ by seconds of arc."""


class ChangeKind(StrEnum):
    """What has become of an item between two plans."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    SAME = "same"


class Planned(Observable, Protocol):
    """An item of a plan, as planned or as kept."""

    @property
    def item_id(self) -> str:
        """The cloud's name for it."""

    @property
    def count(self) -> int:
        """How many exposures."""

    @property
    def binning(self) -> int:
        """Camera pixels to a side of a binned one."""

    @property
    def filter(self) -> str | None:
        """The filter's name."""


@dataclass(frozen=True, kw_only=True)
class ItemChange:
    """What has become of one item.

    Attributes
    ----------
    kind : ChangeKind
        What.
    before, after : Planned or None
        The item in the old plan and in the new one; None where it is not in it.
    sentence : str
        What has changed, in words; empty where nothing has.
    """

    kind: ChangeKind
    before: Planned | None
    after: Planned | None
    sentence: str


def plan_changes(before: Sequence[Planned], after: Sequence[Planned]) -> tuple[ItemChange, ...]:
    """Tell what a new plan changes against an old one.

    Items are one where they are of one object (by its name in any spelling, else within 1′);
    of several, those of one id, then in their order. An id alone does not make two items
    one, as some clouds number the items of each plan anew.

    Parameters
    ----------
    before, after : sequence of Planned
        The items of the old plan and of the new one, in their order.

    Returns
    -------
    tuple of ItemChange
        Those of the new plan in its order, then what was removed.
    """
    partners = _partners(before, after)
    kept = [partner for partner in partners if partner is not None]
    moved = set(kept) - _in_order(kept)
    changes = [
        _added(item) if partner is None else _kept(before[partner], item, moved=partner in moved)
        for item, partner in zip(after, partners, strict=True)
    ]
    gone = [item for place, item in enumerate(before) if place not in set(kept)]
    return (*changes, *map(_removed, gone))


def _partners(before: Sequence[Planned], after: Sequence[Planned]) -> list[int | None]:
    """Return for each item of the new plan the place of the same one in the old."""
    found: dict[int, int] = {}
    for key in (_id_and_name, _name):
        found |= _of_one_key(before, after, found, key)
    found |= _of_one_place(before, after, found)
    return [found.get(place) for place in range(len(after))]


def _id_and_name(item: Planned) -> Hashable:
    return item.item_id, name_key(item.target)


def _name(item: Planned) -> Hashable:
    return name_key(item.target)


def _of_one_key(
    before: Sequence[Planned],
    after: Sequence[Planned],
    found: Mapping[int, int],
    key: Callable[[Planned], Hashable],
) -> dict[int, int]:
    taken = set(found.values())
    left: dict[Hashable, deque[int]] = {}
    for place, item in enumerate(before):
        if place not in taken:
            left.setdefault(key(item), deque()).append(place)
    pairs = {}
    for place, item in enumerate(after):
        if place not in found and (olds := left.get(key(item))):
            pairs[place] = olds.popleft()
    return pairs


def _of_one_place(
    before: Sequence[Planned], after: Sequence[Planned], found: Mapping[int, int]
) -> dict[int, int]:
    ra_deg = np.array([item.ra_deg for item in before])
    dec_deg = np.array([item.dec_deg for item in before])
    free = ~np.isin(np.arange(len(before)), list(found.values()))
    pairs = {}
    for place, item in enumerate(after):
        if place not in found and free.any():
            apart_deg = separation_deg(item.ra_deg, item.dec_deg, ra_deg, dec_deg)
            near = free & (apart_deg < _SAME_PLACE_DEG)
            if near.any():
                pairs[place] = int(np.argmax(near))
                free[pairs[place]] = False
    return pairs


def _in_order(places: Sequence[int]) -> set[int]:
    """Return the most places that stand in rising order (longest increasing subsequence)."""
    ends: list[int] = []
    chains: list[tuple[int, ...]] = []
    for place in places:
        length = bisect_left(ends, place)
        chain = (*(chains[length - 1] if length else ()), place)
        ends[length : length + 1] = [place]
        chains[length : length + 1] = [chain]
    return set(chains[-1]) if chains else set()


def _added(item: Planned) -> ItemChange:
    sentence = f"{item.target} is new: starts {_start(item)}, {_exposures(item)}."
    return ItemChange(kind=ChangeKind.ADDED, before=None, after=item, sentence=sentence)


def _removed(item: Planned) -> ItemChange:
    sentence = f"{item.target} is no longer in the plan."
    return ItemChange(kind=ChangeKind.REMOVED, before=item, after=None, sentence=sentence)


def _kept(before: Planned, after: Planned, *, moved: bool) -> ItemChange:
    differences = list(_differences(before, after))
    if moved and not differences:
        differences = ["it stands at another place in the order"]
    sentence = f"{after.target}: {'; '.join(differences)}." if differences else ""
    kind = ChangeKind.CHANGED if differences else ChangeKind.SAME
    return ItemChange(kind=kind, before=before, after=after, sentence=sentence)


def _differences(before: Planned, after: Planned) -> Iterator[str]:
    for words, tell in _TOLD:
        old, new = tell(before), tell(after)
        if old != new:
            yield f"{words}{new} instead of {old}"


def _start(item: Planned) -> str:
    return f"at {_told(item.start_utc)}" if item.start_utc else "at any time"


def _end(item: Planned) -> str:
    return f"by {_told(item.end_utc)}" if item.end_utc else "at any time"


def _exposures(item: Planned) -> str:
    return f"{item.count} × {item.exposure_s:g} s"


def _binning(item: Planned) -> str:
    return str(item.binning)


def _filter(item: Planned) -> str:
    return f"filter {item.filter}" if item.filter else "no filter named"


def _place(item: Planned) -> str:
    return f"{item.ra_deg:.4f}° {item.dec_deg:+.4f}°"


_TOLD: tuple[tuple[str, Callable[[Planned], str]], ...] = (
    ("starts ", _start),
    ("ends ", _end),
    ("", _exposures),
    ("binning ", _binning),
    ("", _filter),
    ("at ", _place),
)


def _told(instant: dt.datetime) -> str:
    return f"{instant.astimezone(dt.UTC):%Y-%m-%dT%H:%MZ}"

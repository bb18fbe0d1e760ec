"""Finding targets, and what operators tell of them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.domain.measurements import (
    TARGET_NAME_MAX_CHARS,
    TargetSummary,
    read_target_name,
)
from boundless_skies.cloud.domain.names import parse_coordinates
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.phase import read_elements
from boundless_skies.cloud.domain.places import DEC_DEG, RA_DEG, Place
from boundless_skies.cloud.domain.reading import Range, optional_number, optional_text, shown
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.curves import describe_known
from boundless_skies.cloud.services.settling import ask_anew_if_changed, window_of
from boundless_skies.cloud.services.target_names import TargetNames
from boundless_skies.cloud.storage import audit, changes, measurements, targets
from boundless_skies.cloud.storage.changes import Topic
from boundless_skies.cloud.storage.database import Database, Job
from boundless_skies.cloud.storage.targets import Target
from boundless_skies.sky.names import loose_key
from boundless_skies.sky.targets import NamedStar, find_target, named_stars

T = TypeVar("T")

CANDIDATES_MAX = 50
RADIUS_ARCMIN = Range(0.0, 600.0, open_low=True)
DEFAULT_RADIUS_ARCMIN = 10.0
NAMES_COMPARED_MAX = 20_000
SUGGESTIONS_MAX = 8
LIKENESS = 0.6
"""How alike (0 to 1) a name must be to be suggested for one that nobody knows."""
KIND_MAX_CHARS = 32
ARCMIN_PER_DEG = 60.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A target that may be meant; ``summary`` None is one that nobody has measured."""

    target: Target
    names: list[str]
    summary: TargetSummary | None
    separation_arcmin: float | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search found; ``is_guess`` where only similar names were.

    ``place`` is what was looked around, where coordinates were given.
    """

    text: str
    candidates: list[Candidate]
    is_guess: bool = False
    place: Place | None = None
    radius_arcmin: float | None = None


class TargetService:
    """Finds targets by name and place; lets operators describe, name and merge them.

    Parameters
    ----------
    database : Database
        Where targets are kept.
    names : TargetNames
        What this process remembers of names.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, names: TargetNames, clock: Clock) -> None:
        self._database = database
        self._names = names
        self._clock = clock

    async def search(self, text: str, radius_arcmin: float = DEFAULT_RADIUS_ARCMIN) -> Found:
        """Find targets by a name, a part of one, or coordinates.

        Where nothing is found under a name, similar ones are returned as a guess.

        Parameters
        ----------
        text : str
            As somebody typed it.
        radius_arcmin : float
            How far around coordinates to look.

        Returns
        -------
        Found
            At most 50 candidates, the best first.

        Raises
        ------
        InvalidInput
            If the text is empty or too long, looks like coordinates and is out of range.
        """
        sought = _read_sought(text)
        coordinates = parse_coordinates(sought)
        if coordinates is not None:
            place = Place(*coordinates)
            job = partial(_find_around, place=place, radius_arcmin=radius_arcmin)
            found = await self._database.read(job)
            return Found(text=sought, candidates=found, place=place, radius_arcmin=radius_arcmin)
        candidates = await self._database.read(partial(_find_named, text=sought))
        if candidates:
            return Found(text=sought, candidates=candidates)
        return Found(text=sought, candidates=await self._guess(sought), is_guess=True)

    async def list_all(self) -> list[Candidate]:
        """Return every target that the cloud knows, measured or not, by name."""
        return await self._database.read(_list_all)

    async def find(self, name: str) -> Candidate:
        """Return a target by any of its names.

        Raises
        ------
        UnknownObject
            If there is none.
        """
        return await self._database.read(partial(_require_candidate, name=name))

    async def describe(self, operator: Operator, name: str, told: dict[str, Any]) -> Target:
        """Keep what an operator knows of a target; one that nobody has measured yet is added.

        Parameters
        ----------
        operator : Operator
            Who says so.
        name : str
            Any name of the target.
        told : dict
            Some of ra_deg, dec_deg, kind, period_d, epoch_bjd.

        Returns
        -------
        Target
            What is known now.

        Raises
        ------
        InvalidInput
            If a value is out of range, or there is none.
        """
        operator.require(Role.OPERATOR)
        known = _read_known(told)
        job = partial(self._describe, operator=operator, name=_read_name(name), known=known)
        return await self._change(job)

    async def add_alias(self, operator: Operator, name: str, alias: str) -> str:
        """Let a target be found by a further name; return the name that it is kept under.

        Raises
        ------
        UnknownObject
            If there is no such target.
        InvalidInput
            If the further name belongs to another target.
        """
        operator.require(Role.OPERATOR)
        job = partial(self._add_alias, operator=operator, name=name, alias=_read_name(alias))
        return await self._change(job)

    async def merge(self, operator: Operator, name: str, into: str) -> int:
        """Make one target of two; return how many measurements moved.

        Raises
        ------
        UnknownObject
            If there is no such target.
        InvalidInput
            If both are the same.
        """
        operator.require(Role.OPERATOR)
        return await self._change(partial(self._merge, operator=operator, name=name, into=into))

    async def adopt_nameless(self) -> None:
        """Make targets of names that only measurements know."""
        if await self._database.read(targets.list_nameless):
            await self._database.write(
                lambda connection: targets.adopt_nameless(connection, self._clock())
            )

    async def _change(self, job: Job[T]) -> T:
        done = await self._database.write(job)
        self._names.forget()
        self._database.look_now()
        return done

    async def _guess(self, text: str) -> list[Candidate]:
        names = await self._database.read(
            partial(targets.list_every_name, limit=NAMES_COMPARED_MAX)
        )
        # Comparing with every name takes a while, in which other calls go on.
        near = await asyncio.to_thread(_near_names, text, names)
        return await self._database.read(partial(_to_candidates, names=near))

    def _describe(
        self, connection: Connection, *, operator: Operator, name: str, known: dict[str, Any]
    ) -> Target:
        now = self._clock()
        kept = targets.resolve(connection, name)
        before_d = window_of(connection, kept or name)
        kept = kept or targets.ensure(connection, [name], now)[name]
        targets.describe(connection, kept, **known)
        ask_anew_if_changed(connection, kept, before_d)
        self._note(connection, operator, "target.describe", kept, known)
        return targets.find(connection, kept) or Target(name=kept)

    def _add_alias(
        self, connection: Connection, *, operator: Operator, name: str, alias: str
    ) -> str:
        kept = _require(connection, name)
        holder = targets.find_exactly(connection, alias)
        if holder not in (None, kept):
            raise InvalidInput(
                f"{alias} is a name of {holder} already. To make one target of both: "
                f"boundless cloud targets merge {shown(holder)} {shown(kept)}"
            )
        targets.add_name(connection, alias, kept)
        self._note(connection, operator, "target.alias", kept, {"alias": alias})
        return kept

    def _merge(self, connection: Connection, *, operator: Operator, name: str, into: str) -> int:
        before, after = _require(connection, name), _require(connection, into)
        if before == after:
            raise InvalidInput(f"{name} and {into} are one target already, {after}.")
        _fill_in(connection, before, after)
        moved = targets.merge(connection, before, after)
        detail = {"into": after, "measurements": moved}
        self._note(connection, operator, "target.merge", before, detail)
        return moved

    def _note(
        self,
        connection: Connection,
        operator: Operator,
        action: str,
        subject: str,
        detail: dict[str, Any],
    ) -> None:
        audit.add(connection, operator, action, subject, detail, self._clock())
        changes.announce(connection, Topic.TARGETS)


def describe_candidate(candidate: Candidate) -> dict[str, Any]:
    """Return a target that may be meant, as JSON has it."""
    summary = candidate.summary
    entry: dict[str, Any] = {"name": candidate.target.name, "names": candidate.names}
    if candidate.separation_arcmin is not None:
        entry["separation_arcmin"] = round(candidate.separation_arcmin, 3)
    return entry | {
        **describe_known(candidate.target),
        "points": summary.points if summary else 0,
        "nodes": summary.nodes if summary else 0,
        "filters": summary.filters if summary else [],
        "first_bjd": summary.first_bjd if summary else None,
        "last_bjd": summary.last_bjd if summary else None,
    }


def _read_sought(text: str) -> str:
    sought = optional_text({"q": text}, "q", max_chars=TARGET_NAME_MAX_CHARS)
    if not sought:
        raise InvalidInput("q is empty. Give a name such as SS Cyg, or coordinates.")
    return sought


def _read_name(name: str) -> str:
    read = optional_text({"name": name}, "name", max_chars=TARGET_NAME_MAX_CHARS)
    if not read:
        raise InvalidInput("The name is empty. Give one.")
    return read


def _read_known(told: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in told.items() if value is not None}
    if not given:
        raise InvalidInput("Nothing was told of the target. Give a place, a kind or a period.")
    if ("ra_deg" in given) != ("dec_deg" in given):
        raise InvalidInput("A place needs both: ra_deg and dec_deg, in degrees.")
    known: dict[str, Any] = {}
    for key, limits in (("ra_deg", RA_DEG), ("dec_deg", DEC_DEG)):
        if key in given:
            known[key] = optional_number(given, key, limits)
    if "kind" in given:
        known["kind"] = optional_text(given, "kind", max_chars=KIND_MAX_CHARS) or None
    return known | _read_period(given)


def _read_period(given: dict[str, Any]) -> dict[str, Any]:
    elements = read_elements(given.get("epoch_bjd"), given.get("period_d"))
    if elements is None:
        return {}
    epoch = {"epoch_bjd": elements.epoch_bjd} if "epoch_bjd" in given else {}
    return {"period_d": elements.period_d, **epoch}


def _find_named(connection: Connection, *, text: str) -> list[Candidate]:
    kept = targets.resolve(connection, text)
    like = targets.find_like(connection, text, CANDIDATES_MAX)
    names = [*filter(None, [kept]), *(name for name in like if name != kept)]
    held = _to_candidates(connection, names=names[:CANDIDATES_MAX])
    star = find_target(text)
    if kept is None and star is not None and not _holds(connection, star):
        return [_to_unmeasured(star), *held]
    return held


def _holds(connection: Connection, star: NamedStar) -> bool:
    names = (star.name, *star.aliases)
    return any(targets.find_exactly(connection, name) is not None for name in names)


def _find_around(connection: Connection, *, place: Place, radius_arcmin: float) -> list[Candidate]:
    radius_deg = radius_arcmin / ARCMIN_PER_DEG
    band = (place.dec_deg - radius_deg, place.dec_deg + radius_deg)
    apart = {
        target.name: _arcmin(target, place) for target in targets.list_between(connection, *band)
    }
    near = sorted((name for name in apart if apart[name] <= radius_arcmin), key=apart.__getitem__)
    return [
        replace(candidate, separation_arcmin=apart[candidate.target.name])
        for candidate in _to_candidates(connection, names=near[:CANDIDATES_MAX])
    ]


def _arcmin(target: Target, place: Place) -> float:
    if target.ra_deg is None or target.dec_deg is None:
        return float("inf")
    return ARCMIN_PER_DEG * place.separation_deg(Place(target.ra_deg, target.dec_deg))


def _near_names(text: str, names: Iterable[tuple[str, str]]) -> list[str]:
    """Return names of targets and of named stars that are spelled alike, the nearest first."""
    stars = [(loose_key(name), star.name) for star in named_stars() for name in _all_names(star)]
    kept = dict(stars) | dict(names)
    near = get_close_matches(loose_key(text), kept, SUGGESTIONS_MAX, LIKENESS)
    return list(dict.fromkeys(kept[key] for key in near))


def _all_names(star: NamedStar) -> tuple[str, ...]:
    return (star.name, *star.aliases)


def _to_candidates(connection: Connection, *, names: Sequence[str]) -> list[Candidate]:
    if not names:
        return []
    summaries = {one.name: one for one in measurements.summarise_targets(connection)}
    return [_to_candidate(connection, name, summaries.get(name)) for name in names]


def _to_candidate(connection: Connection, name: str, summary: TargetSummary | None) -> Candidate:
    held = targets.find(connection, name)
    star = find_target(name) if held is None else None
    if star is not None:
        return _to_unmeasured(star)
    return Candidate(
        target=held or Target(name=name),
        names=targets.list_names(connection, name),
        summary=summary,
    )


def _to_unmeasured(star: NamedStar) -> Candidate:
    return Candidate(
        target=targets.to_known(star.name, star), names=list(_all_names(star)), summary=None
    )


def _list_all(connection: Connection) -> list[Candidate]:
    summaries = {one.name: one for one in measurements.summarise_targets(connection)}
    names = targets.list_names_by_target(connection)
    return [
        Candidate(
            target=target, names=names.get(target.name, []), summary=summaries.get(target.name)
        )
        for target in targets.list_all(connection)
    ]


def _require_candidate(connection: Connection, *, name: str) -> Candidate:
    return _to_candidates(connection, names=[_require(connection, name)])[0]


def _require(connection: Connection, name: str) -> str:
    kept = targets.resolve(connection, read_target_name(name))
    if kept is None:
        raise UnknownObject(
            f"There is no target {shown(name)}. "
            "`boundless cloud targets list` lists those that there are."
        )
    return kept


def _fill_in(connection: Connection, before: str, after: str) -> None:
    """Hand on what is known of a target to the one that it becomes part of."""
    old, new = targets.find(connection, before), targets.find(connection, after)
    if old is None or new is None:
        return
    if old.ra_deg is not None and old.dec_deg is not None:
        targets.place(connection, after, old.ra_deg, old.dec_deg)
    if old.period_d is not None and new.period_d is None:
        targets.describe(connection, after, period_d=old.period_d, epoch_bjd=old.epoch_bjd)
    if old.kind is not None and new.kind is None:
        targets.describe(connection, after, kind=old.kind)

"""Which part of a light curve somebody wants, and in which form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PureWindowsPath

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.measurements import read_target_name
from boundless_skies.cloud.domain.phase import EPOCH_BJD, Elements, read_elements
from boundless_skies.cloud.domain.reading import Range, finite_number, shown

DAYS = Range(0.0, 1e6, open_low=True)
WORD_MAX_CHARS = 64
_OBSERVER_CODE = re.compile(r"[A-Za-z0-9]{0,5}")
YES, NO = ("1", "true"), ("", "0", "false")


class CurveForm(StrEnum):
    """The forms in which a light curve is given."""

    JSON = "json"
    CSV = "csv"
    VOTABLE = "votable"
    AAVSO = "aavso"

    @property
    def media_type(self) -> str:
        """How HTTP calls it."""
        return _MEDIA_TYPES[self]

    @property
    def ending(self) -> str:
        """The ending of its files."""
        return _ENDINGS[self]


_MEDIA_TYPES = {
    CurveForm.JSON: "application/json",
    CurveForm.CSV: "text/csv",
    CurveForm.VOTABLE: "application/x-votable+xml",
    CurveForm.AAVSO: "text/plain",
}
_ENDINGS = {
    CurveForm.JSON: ".json",
    CurveForm.CSV: ".csv",
    CurveForm.VOTABLE: ".vot",
    CurveForm.AAVSO: ".txt",
}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The points that are wanted: times in BJD_TDB (days); None is no limit.

    ``days`` counts back from now; ``with_rejected`` adds what an operator has rejected.
    """

    days: float | None = None
    from_bjd: float | None = None
    to_bjd: float | None = None
    band: str | None = None
    node_id: str | None = None
    with_rejected: bool = False


@dataclass(frozen=True, kw_only=True)
class Folding:
    """Whether to fold, and on which elements; None takes the target's own."""

    wanted: bool = False
    elements: Elements | None = None


def read_selection(query: Mapping[str, str]) -> Selection:
    """Read the limits of a web address: days, from, to, filter, node, rejected.

    Raises
    ------
    InvalidInput
        If one cannot be read or is out of range.
    """
    selection = Selection(
        days=_read_number(query, "days", DAYS),
        from_bjd=_read_number(query, "from", EPOCH_BJD),
        to_bjd=_read_number(query, "to", EPOCH_BJD),
        band=_read_word(query, "filter"),
        node_id=_read_word(query, "node"),
        with_rejected=read_flag(query, "rejected"),
    )
    if None not in (low := selection.from_bjd, high := selection.to_bjd) and low > high:  # type: ignore[operator]
        raise InvalidInput(f"from is {low:.15g}, after to, which is {high:.15g}. Exchange them.")
    return selection


def read_folding(query: Mapping[str, str]) -> Folding:
    """Read whether to fold: fold, period_d, epoch_bjd; a period alone folds, too.

    Raises
    ------
    InvalidInput
        If one cannot be read or is out of range.
    """
    elements = read_elements(query.get("epoch_bjd"), query.get("period_d"))
    return Folding(wanted=read_flag(query, "fold") or elements is not None, elements=elements)


def read_form(text: str) -> CurveForm:
    """Read the name of a form.

    Raises
    ------
    InvalidInput
        If there is none of that name.
    """
    if text not in set(CurveForm):
        raise InvalidInput(f"format must be one of {', '.join(CurveForm)}, not {shown(text)}.")
    return CurveForm(text)


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """Read a yes or no of a web address; absent is no.

    Raises
    ------
    InvalidInput
        If it is neither.
    """
    text = query.get(name, "")
    if text not in YES + NO:
        raise InvalidInput(f"{name} must be 1 or 0, not {shown(text)}.")
    return text in YES


def read_observer_code(text: str) -> str:
    """Read an observer's code at the AAVSO; empty where none is given.

    Raises
    ------
    InvalidInput
        If it cannot be one.
    """
    if not _OBSERVER_CODE.fullmatch(text):
        raise InvalidInput(f"obscode {shown(text)} must be 1 to 5 letters and digits.")
    return text


def base_name(path: str) -> str:
    """Return a file's name without its folders, which may hold the name of an owner."""
    return PureWindowsPath(path).name  # it knows both kinds of slashes


def _read_number(query: Mapping[str, str], name: str, limits: Range) -> float | None:
    text = query.get(name, "")
    if text == "":
        return None
    number = finite_number(text)
    if number is None:
        raise InvalidInput(f"{name} must be a number, not {shown(text)}.")
    if number not in limits:
        raise InvalidInput(f"{name} is {number:.15g}, outside of {limits.describe(name)}.")
    return number


def _read_word(query: Mapping[str, str], name: str) -> str | None:
    word = read_target_name(query.get(name, ""))
    if len(word) > WORD_MAX_CHARS:
        raise InvalidInput(f"{name} has {len(word)} characters; the limit is {WORD_MAX_CHARS}.")
    return word or None

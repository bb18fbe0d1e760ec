"""Reading single values out of a JSON object, with a clear sentence where one is wrong.

Peers in the field send numbers as strings and nulls for what they do not know;
both are taken where the meaning is plain.
"""

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput

SHOWN_CHARS = 60
"""How much of a wrong value an error repeats."""


@dataclass(frozen=True)
class Range:
    """A range of numbers, closed at both ends unless said otherwise."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def describe(self, name: str) -> str:
        """Return the range as a formula, such as ``0 ≤ uncertainty < 5``."""
        left = "<" if self.open_low else "≤"
        right = "<" if self.open_high else "≤"
        return f"{self.low:g} {left} {name} {right} {self.high:g}"


def shown(value: Any) -> str:
    """Return a value as an error may repeat it: JSON, cut to a bearable length."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def json_object(value: Any, name: str) -> dict[str, Any]:
    """Return a value that must be a JSON object.

    Raises
    ------
    InvalidInput
        If it is something else.
    """
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} must be a JSON object, not {shown(value)}.")
    return value


def finite_number(value: Any) -> float | None:
    """Return a number, or a string that holds one, as a finite float; else None."""
    if type(value) is not float:  # as nearly every one is
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return None
        try:
            value = float(value)
        except (ValueError, OverflowError):
            return None
    return value if math.isfinite(value) else None


def required_number(source: Mapping[str, Any], key: str, limits: Range, where: str = "") -> float:
    """Return the number under a key.

    Raises
    ------
    InvalidInput
        If it is missing, not a number, or outside of its limits.
    """
    raw = source.get(key)
    if type(raw) is float and limits.low < raw < limits.high:
        return raw
    if raw is None:
        raise InvalidInput(f"{where}{key} is missing. Give a number, {limits.describe(key)}.")
    number = finite_number(raw)
    if number is None:
        raise InvalidInput(f"{where}{key} must be a number, not {shown(raw)}.")
    if number not in limits:
        raise InvalidInput(
            f"{where}{key} is {number:.15g}, outside of {limits.describe(key)}.",
        )
    return number


def optional_number(
    source: Mapping[str, Any], key: str, limits: Range, default: float | None = None
) -> float | None:
    """Return the number under a key, or the default where it is absent, null or empty.

    Raises
    ------
    InvalidInput
        If it is there and not a number, or outside of its limits.
    """
    if source.get(key) in (None, ""):
        return default
    return required_number(source, key, limits)


def clean_text(text: str) -> str:
    """Return a text in Unicode's composed form, with single spaces and none at its ends."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


def _checked_text(raw: Any, name: str, max_chars: int) -> str:
    if not isinstance(raw, str):
        raise InvalidInput(f"{name} must be a text, not {shown(raw)}.")
    text = clean_text(raw)
    if len(text) > max_chars:
        raise InvalidInput(f"{name} has {len(text)} characters; the limit is {max_chars}.")
    # Nearly all texts are plain; of others, each character is looked at.
    if not text.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise InvalidInput(f"{name} holds control characters: {shown(text)}. Leave them out.")
    return text


def required_text(
    source: Mapping[str, Any], key: str, max_chars: int = 200, where: str = ""
) -> str:
    """Return the text under a key.

    Raises
    ------
    InvalidInput
        If it is missing, empty, no text, too long, or holds control characters.
    """
    if source.get(key) is None:
        raise InvalidInput(f"{where}{key} is missing. Give a text.")
    text = _checked_text(source[key], where + key, max_chars)
    if not text:
        raise InvalidInput(f"{where}{key} is empty. Give a text.")
    return text


def optional_text(
    source: Mapping[str, Any], key: str, default: str = "", max_chars: int = 200
) -> str:
    """Return the text under a key, or the default where it is absent, null or empty.

    Raises
    ------
    InvalidInput
        If it is no text, too long, or holds control characters.
    """
    if source.get(key) is None:
        return default
    return _checked_text(source[key], key, max_chars) or default

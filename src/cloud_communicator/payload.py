"""From a measurement, as a photometry pipeline gives it, to the bytes that travel."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

from boundless_skies.wire import canonical_json
from cloud_communicator.errors import InvalidMeasurement

MAX_DEPTH = 32
MAX_BYTES = 1_000_000
_DOUBLE_BYTES = 8
_INT_BITS = 14_000  # Python prints no more digits of an integer than these have


def measurement_payload(measurement: Any, conditions: Any) -> bytes:
    """Build the canonical bytes of ``{"measurement": …, "conditions": …}``.

    numpy scalars and arrays become numbers and lists, datetimes ISO 8601 text
    (aware ones in UTC with Z), enums their values, dataclasses dicts.

    Parameters
    ----------
    measurement : Any
        A mapping (or a dataclass) with text keys.
    conditions : Any
        A mapping, or None for an empty one.

    Returns
    -------
    bytes
        Canonical JSON; see `boundless_skies.wire.canonical_json`.

    Raises
    ------
    InvalidMeasurement
        If something in it is NaN, infinite, has no JSON form, is nested deeper
        than 32, or is larger than 1 MB; the message names the place.
    """
    conditions = {} if conditions is None else conditions
    data = _plain_already(measurement, conditions) or canonical_json(
        {
            "measurement": _block(measurement, "measurement"),
            "conditions": _block(conditions, "conditions"),
        }
    )
    if len(data) > MAX_BYTES:
        raise InvalidMeasurement(
            f"measurement is {len(data)} bytes as JSON; the limit is {MAX_BYTES}. "
            "Send images with fits_path, not inside the measurement."
        )
    return data


def _plain_already(measurement: Any, conditions: Any) -> bytes | None:
    """Serialise what is plain JSON as it stands, which is nearly always; None if it is not."""
    if not (isinstance(measurement, dict) and isinstance(conditions, dict)):
        return None
    try:
        data = canonical_json({"measurement": measurement, "conditions": conditions})
    except (TypeError, ValueError, RecursionError):
        return None
    return None if b"\\ud" in data else data  # a surrogate: of a pair, or alone and refused


def plain_json(value: Any, where: str = "conditions") -> Any:
    """Turn a value into plain JSON types, or say why that cannot be.

    Parameters
    ----------
    value : Any
        What a caller handed over.
    where : str
        Name of the place, for the error's text.

    Returns
    -------
    Any
        The same as dict, list, str, int, float, bool, None.

    Raises
    ------
    InvalidMeasurement
        If there is no JSON form for it.
    """
    return _plain(value, where, 0)


def _block(value: Any, where: str) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if not isinstance(value, Mapping):
        raise InvalidMeasurement(f"{where} must be a dict, not {type(value).__name__}.")
    return _plain(value, where, 0)


def _plain(value: Any, where: str, depth: int) -> Any:
    if simple := _SIMPLE.get(type(value)):
        return simple(value, where)
    if depth > MAX_DEPTH:
        raise InvalidMeasurement(f"{where} is nested deeper than {MAX_DEPTH}, or holds itself.")
    if isinstance(value, Mapping):
        return _object(value, where, depth)
    if isinstance(value, list | tuple):
        return [_plain(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    return _converted(value, where, depth + 1)


def _object(value: Mapping[Any, Any], where: str, depth: int) -> dict[str, Any]:
    plain = {_key(k, where): _plain(v, f"{where}.{k}", depth + 1) for k, v in value.items()}
    if len(plain) < len(value):
        raise InvalidMeasurement(f"{where} has keys that are the same as text, like 1 and '1'.")
    return plain


def _converted(value: Any, where: str, depth: int) -> Any:
    for kind, plain in _PLAIN_FORMS:
        if isinstance(value, kind):
            return _plain(plain(value), where, depth)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value), where, depth)
    return _from_numpy(value, where, depth)


def _from_numpy(value: Any, where: str, depth: int) -> Any:
    # numpy scalars and arrays both answer tolist(); the link does not load numpy to ask.
    if getattr(value, "dtype", None) is not None and hasattr(value, "tolist"):
        plain = _short(value) if _is_short(value.dtype) else value.tolist()
        if type(plain) is not type(value):
            return _plain(plain, where, depth)
    raise InvalidMeasurement(
        f"{where} is a {type(value).__name__}, which has no JSON form; "
        "give numbers, text, true/false, None, lists, dicts or datetimes."
    )


def _is_short(dtype: Any) -> bool:
    """Tell whether the text of such a number says what was meant, and not its tolist().

    That of a float32 is the double beside it, that of a datetime64 may be a count of ns.
    """
    return bool(dtype.kind == "M" or (dtype.kind == "f" and dtype.itemsize < _DOUBLE_BYTES))


def _short(value: Any) -> Any:
    if value.shape:
        return list(value)
    text = str(value)
    if text == "NaT":
        return math.nan
    return float(text) if value.dtype.kind == "f" else text


def _sized(value: int, where: str) -> int:
    if value.bit_length() > _INT_BITS:
        raise InvalidMeasurement(f"{where} is an integer of more than {_INT_BITS} bits.")
    return value


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise InvalidMeasurement(f"{where} is {value}; leave it out or give a finite number.")
    return value


def _text(value: str, where: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidMeasurement(f"{where} holds text that is no valid Unicode.") from None
    return value


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return _text(str(key), where)
    if key is None or isinstance(key, int | float):
        with suppress(ValueError):
            return json.dumps(key, allow_nan=False)  # as the plain way above has it
    raise InvalidMeasurement(f"{where} has the key {key!r:.40}; keys must be text.")


def _iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# The first that fits wins: a datetime is a date, an IntEnum is an int.
_PLAIN_FORMS: tuple[tuple[type[Any], Callable[[Any], Any]], ...] = (
    (Enum, lambda member: member.value),
    (datetime, _iso),
    (date, date.isoformat),
    (PurePath, str),
    (str, str),
    (int, int),
    (float, float),
    (Decimal, lambda number: float(number) if number.is_finite() else math.nan),
)

_SIMPLE: dict[type[Any], Callable[[Any, str], Any]] = {
    str: _text,
    float: _finite,
    int: _sized,
    bool: lambda value, _where: value,
    type(None): lambda value, _where: value,
}

"""JSON as it comes from outside: parsed strictly and only to a bearable depth."""

from typing import Any

import msgspec

from boundless_skies.cloud.domain.errors import InvalidInput

DEPTH_MAX = 64


def parse_json(raw: bytes) -> Any:
    """Parse JSON strictly: UTF-8, no NaN, no infinity, bounded depth.

    Raises
    ------
    InvalidInput
        If it is anything else.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(f"The body is not valid JSON: {error}.") from None
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise InvalidInput(f"The body is nested more than {DEPTH_MAX} levels deep.")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

"""Many measurements in one request: its body, and what the cloud says of each item."""

import gzip
import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from boundless_skies.wire.limits import BATCH_MAX_ITEMS
from cloud_communicator.arrayfile import Entry
from cloud_communicator.errors import BadReply, CloudRefused, LinkFailure

MAX_BYTES = 4_000_000
"""What a request stays under, before it is compressed."""
WORTH_BYTES = 1_000
"""Below this size compressing saves nothing on the way."""
NO_BATCH = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)
"""What a cloud answers that takes no batches, or not this one."""

_OPEN, _COMMA, _CLOSE = b'{"items":[', b",", b"]}"
_NOT_JSON = (b"NaN", b"Infinity")


def fitting(entries: Iterable[Entry]) -> list[Entry]:
    """Choose the first entries that go together into one request.

    Parameters
    ----------
    entries : iterable of Entry
        What waits, in order.

    Returns
    -------
    list of Entry
        At most 500, in order; left out is what must travel alone: what others wrote
        into the queue and would spoil the whole request.
    """
    chosen: list[Entry] = []
    room = MAX_BYTES - len(_OPEN) - len(_CLOSE)
    for entry in entries:
        if travels_alone(entry.line):
            continue
        room -= len(entry.line) + len(_COMMA)
        if room < 0 or len(chosen) == BATCH_MAX_ITEMS:
            break
        chosen.append(entry)
    return chosen


def travels_alone(line: bytes) -> bool:
    """Tell whether a payload is too large for company, or holds a NaN, which is no JSON."""
    return len(line) > MAX_BYTES // 2 or any(word in line for word in _NOT_JSON)


def body_of(entries: Iterable[Entry]) -> tuple[bytes, dict[str, str]]:
    """Put a request together from the bytes that are on disk.

    Parameters
    ----------
    entries : iterable of Entry
        The items, in order.

    Returns
    -------
    tuple of bytes and dict
        The body, compressed where that makes it smaller, and the headers that say so.
    """
    body = _OPEN + _COMMA.join(entry.line for entry in entries) + _CLOSE
    if len(body) >= WORTH_BYTES:
        packed = gzip.compress(body, compresslevel=5, mtime=0)
        if len(packed) < len(body):
            return packed, {"Content-Encoding": "gzip"}
    return body, {}


def results_of(reply: Any, count: int, shown: Callable[[bytes], str]) -> list[LinkFailure | None]:
    """Read what became of each item.

    Parameters
    ----------
    reply : Any
        The cloud's JSON.
    count : int
        How many items there were.
    shown : callable
        Makes of an answer's bytes one line without secrets.

    Returns
    -------
    list of LinkFailure or None
        For each item, in order: None where the cloud has it, CloudRefused where it
        refuses it for good, BadReply where its answer says neither.

    Raises
    ------
    BadReply
        If there is not one result for each item: then none is known to be delivered.
    """
    results = reply.get("results") if isinstance(reply, dict) else None
    if not isinstance(results, list) or len(results) != count:
        found = len(results) if isinstance(results, list) else "no list of"
        raise BadReply(f"The cloud gave {found} results for {count} measurements in one request.")
    return [_result(item, shown) for item in results]


def _result(item: Any, shown: Callable[[bytes], str]) -> LinkFailure | None:
    verdict = item.get("ok") if isinstance(item, dict) else None
    if verdict is True:
        return None
    said = shown(json.dumps(item).encode())
    if verdict is False:
        text = f"The cloud refused a measurement: {said}"
        return CloudRefused(text, HTTPStatus.UNPROCESSABLE_ENTITY, said, None)
    return BadReply(f"The cloud's answer about one of many measurements says nothing ({said}).")

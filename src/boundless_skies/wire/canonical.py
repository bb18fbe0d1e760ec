"""The one byte form of a payload, from which its idempotency key is taken."""

import hashlib
import json
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(payload: Any) -> bytes:
    """Serialise a JSON value to its canonical bytes.

    Keys sorted, no white space, ASCII only: equal values give equal bytes, on
    every machine and after every restart.

    Parameters
    ----------
    payload : Any
        A JSON value: dict with string keys, list, str, int, finite float, bool, None.

    Returns
    -------
    bytes
        ASCII JSON on one line.

    Raises
    ------
    ValueError
        If the value holds NaN or an infinity.
    TypeError
        If the value holds something that JSON has no form for.
    """
    return _ENCODER.encode(payload).encode("ascii")


def idempotency_key(canonical: bytes) -> str:
    """Return the ``Idempotency-Key`` of a payload: SHA-256 (hex) of its canonical bytes."""
    return hashlib.sha256(canonical).hexdigest()

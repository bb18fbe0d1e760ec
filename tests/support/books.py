"""Measurements that are told apart, and where in a link's folder each of them is."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from boundless_skies.wire import canonical_json
from cloud_communicator.retryqueue import DROPPED_NAME, EVICTED_NAME, QUEUE_NAME, REJECTED_NAME

LEDGERS = {"evicted": EVICTED_NAME, "rejected": REJECTED_NAME, "dropped": DROPPED_NAME}


def measurement(number: int) -> dict[str, Any]:
    """Return a whole measurement, as a pipeline gives it, with a number that tells it."""
    return {
        "target_name": "HAT-P-32",
        "bjd": 2460000.5 + number / 1440,
        "magnitude": 11.25,
        "uncertainty": 0.0125,
        "filter": "CV",
        "airmass": 1.234,
        "fwhm": 3.21,
        "snr": 87.5,
        "comparison_stars": 12,
        "quality_flag": "good",
        "node_id": "node-7",
        "zero_point": 22.125,
        "zp_scatter": 0.031,
        "fits_file": f"Light_HAT-P-32_10.0s_{number:06d}.fit",
        "number": number,
    }


def line(number: int) -> bytes:
    """Return the canonical bytes of a measurement's payload."""
    return canonical_json({"measurement": measurement(number), "conditions": {}})


def short_line(number: int) -> bytes:
    """Return a smaller payload, for sweeps over all of a file's bytes."""
    value = {"bjd": 2460000.5 + number, "number": number, "target_name": "SS Cyg"}
    return canonical_json({"measurement": value, "conditions": {"clouds": [0, 8]}})


def number_of(payload: dict[str, Any]) -> int:
    """Say which measurement a payload carries."""
    return int(payload["measurement"]["number"])


def queued(folder: Path) -> list[int]:
    """Return the numbers in the queue's file, which must be a JSON array for everybody."""
    path = folder / QUEUE_NAME
    if not path.exists():
        return []
    found = json.loads(path.read_bytes())
    assert isinstance(found, list)
    return [number_of(payload) for payload in found]


def in_ledgers(folder: Path) -> dict[str, list[int]]:
    """Return the numbers in each ledger; each of their lines must be whole."""
    found = {}
    for name, file in LEDGERS.items():
        path = folder / file
        lines = path.read_bytes().splitlines() if path.exists() else []
        found[name] = [number_of(json.loads(text)["payload"]) for text in lines]
    return found


def everywhere(folder: Path, delivered: Iterable[int] = ()) -> Counter[int]:
    """Count how often each number is delivered, queued, evicted, rejected or dropped."""
    books = Counter(delivered) + Counter(queued(folder))
    for numbers in in_ledgers(folder).values():
        books += Counter(numbers)
    return books

"""What a measurement costs one interpreter, stage by stage, with nobody else on the machine."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import messages, registered
from boundless_skies.cloud.domain.measurements import read_submission
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.services.measurements import MeasurementService
from boundless_skies.cloud.services.target_names import TargetNames
from boundless_skies.cloud.storage.opening import make_database

NODES = 30
BATCHES = 24
GROUPS = 150


def costs(database: str) -> list[tuple[str, str]]:
    """Return what each stage costs, as it is told; the database has its tables.

    Parameters
    ----------
    database : str
        A URL.
    """
    registered.in_ours(database.removeprefix("sqlite:///"), NODES)
    return asyncio.run(_costs(database))


async def _costs(url: str) -> list[tuple[str, str]]:
    database = make_database(url, Path())
    await database.open()
    try:
        service = MeasurementService(database, TargetNames(_now), _now)
        batches = [_batch(node, 0) for node in range(BATCHES)]
        decoded, decode_us = _timed(lambda: [msgspec.json.decode(batch) for batch in batches])
        _, read_us = _timed(lambda: [read_submission(m) for b in decoded for m in b["items"]])
        whole = await _whole_batches(service, decoded)
        group = await _small_groups(service)
    finally:
        await database.close()
    return [
        ("decode JSON", f"{decode_us:.0f} µs"),
        ("check, canonical JSON, SHA-256", f"{read_us:.0f} µs"),
        ("a batch of 500, check to commit, a measurement", whole),
        (f"a group of {NODES} on its own, the commit of all", group),
    ]


async def _whole_batches(service: MeasurementService, decoded: list[Any]) -> str:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for node, body in enumerate(decoded):
        reply = await service.submit_batch(_caller(node), body, None)
        assert all(result["ok"] for result in reply["results"])
    rows = len(decoded) * messages.BATCH_ITEMS
    wall_us = (time.perf_counter() - wall_s) / rows * 1e6
    return f"{wall_us:.0f} µs; {(time.process_time() - cpu_s) / rows * 1e6:.0f} µs CPU"


async def _small_groups(service: MeasurementService) -> str:
    sources = [messages.payloads(node, 100_000) for node in range(NODES)]
    took = []
    for _ in range(GROUPS):
        bodies = [msgspec.json.decode(next(source)) for source in sources]
        began_s = time.perf_counter()
        submitted = [
            service.submit(_caller(node), body, None, None) for node, body in enumerate(bodies)
        ]
        await asyncio.gather(*submitted)
        took.append(time.perf_counter() - began_s)
    return f"{statistics.median(took) * 1e3:.1f} ms"


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began_s = time.process_time()
    result = work()
    return result, (time.process_time() - began_s) / (BATCHES * messages.BATCH_ITEMS) * 1e6


def _batch(node: int, start: int) -> bytes:
    items = itertools.islice(messages.payloads(node, start), messages.BATCH_ITEMS)
    return b'{"items":[%s]}' % b",".join(items)


def _caller(node: int) -> Caller:
    return Caller(node_id=messages.node_id(node))


def _now() -> datetime:
    return datetime.now(UTC)

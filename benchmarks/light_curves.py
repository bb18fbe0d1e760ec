"""A light curve out of millions of measurements."""

import contextlib
import json
import sqlite3
import statistics
import time
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.dialects import postgresql, sqlite

from benchmarks import messages
from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.schema import partitions
from boundless_skies.cloud.storage.curves import POINTS_MAX, light_curve_query

POINTS_EACH = 1_000
FIRST_BJD = 2459000.5
SPAN_D = 5 * 365.25
NODES = 1_000
CURVES = 31
_PAYLOAD = json.dumps({"conditions": {}, "measurement": messages.MEASUREMENT | {"notes": ""}})
_ROWS = """
INSERT INTO measurements (
    id, node_id, target_name, bjd_tdb, magnitude, uncertainty, filter, airmass, fwhm_px, snr,
    comparison_stars, quality_flag, zero_point, zp_scatter, fits_file, revision, is_newest,
    payload, conditions, content_hash, received_at, validation)
SELECT i, 'bench-' || (i % {nodes}), 'Star ' || (i % {targets}), {first} + i * {step}, 12.3, 0.012,
    'CV', 1.23, 3.2, 98.7, 12, 'good', 22.3, 0.034, 'frame.fits', 1, {true},
    '{payload}', '{{}}', {content_hash}, '2026-01-01 00:00:00', 'single'
FROM {series}
"""


def fill(database: str, points: int) -> None:
    """Put measurements straight into the tables: 1,000 of each target, over five years.

    They lie in the order of time, as they come in, so that the points of one light curve lie
    far apart. The indexes are there already.
    """
    form: dict[str, Any] = {
        "nodes": NODES,
        "targets": points // POINTS_EACH,
        "first": FIRST_BJD,
        "step": SPAN_D / points,
        "payload": _PAYLOAD,
    }
    if database.startswith("postgresql://"):
        form |= {"true": "TRUE", "content_hash": "repeat(md5(i::text), 2)"}
        form["series"] = f"generate_series(1::bigint, {points}) AS i"
        with psycopg.connect(database, autocommit=True) as connection:
            _make_months(connection)
            connection.execute(_ROWS.format(**form))
            connection.execute("VACUUM ANALYZE measurements")
        return
    form |= {"true": "1", "content_hash": "hex(randomblob(32))"}
    form["series"] = (
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {points}) SELECT i FROM n)"
    )
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(_ROWS.format(**form))


def _make_months(connection: psycopg.Connection) -> None:
    day = FIRST_BJD
    while day < FIRST_BJD + SPAN_D + 31:
        month = partitions.month_of(day)
        assert month is not None
        connection.execute(partitions.create_statement(*month))
        day += 28


def time_in_database(database: str, targets: int) -> tuple[float, list[str]]:
    """Return the median time of a light curve (ms, the database's own) and its plan."""
    timed = _on_postgresql if database.startswith("postgresql://") else _on_sqlite
    times, plan = [], []
    for number in range(CURVES):
        took_ms, plan = timed(database, f"Star {number * 7_919 % targets}")
        times.append(took_ms)
    return statistics.median(times), plan


def _on_postgresql(database: str, target: str) -> tuple[float, list[str]]:
    sql = _sql(target, postgresql.dialect())
    with psycopg.connect(database, autocommit=True) as connection:
        rows = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}".replace("%", "%%")).fetchall()
    plan = [row[0] for row in rows]
    took = next(line for line in plan if line.startswith("Execution Time"))
    return float(took.split()[2]), plan


def _on_sqlite(database: str, target: str) -> tuple[float, list[str]]:
    sql = _sql(target, sqlite.dialect())
    with contextlib.closing(sqlite3.connect(database)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        begin = time.perf_counter()
        found = connection.execute(sql).fetchall()
        took = time.perf_counter() - begin
    assert len(found) == POINTS_EACH, f"{len(found)} points of {target}"
    return took * 1e3, plan


def _sql(target: str, dialect: Any) -> str:
    query = light_curve_query(target, Selection(), POINTS_MAX)
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def size_mb(database: str) -> float:
    """Return how much room the measurements take, indexes included (MB)."""
    if not database.startswith("postgresql://"):
        return Path(database).stat().st_size / 1e6
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert found is not None
    return found[0] / 1e6


def shortened(plan: list[str], most: int = 14) -> list[str]:
    """Return the beginning of a plan, and its end where it is longer."""
    return plan if len(plan) <= most else [*plan[: most - 4], "…", *plan[-3:]]

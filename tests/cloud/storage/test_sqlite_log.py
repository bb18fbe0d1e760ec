"""SQLite's log: copied into the database beside the commits, and short again afterwards."""

import asyncio
import time
from pathlib import Path

from tests.cloud.storage.entries import entry
from tests.support.capture_server import wait_until

from boundless_skies.cloud.storage import measurements
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.opening import make_database
from boundless_skies.cloud.storage.sqlite import LOG_LONG_BYTES

WAIT_S = 30.0
NOTES = "x" * 50_000
LONG_BJD = 2_460_000.0


def test_a_long_log_is_copied_while_nobody_commits_and_begun_anew(tmp_path: Path) -> None:
    """All stays readable in the meantime, and what was written is in the database's file."""
    file = tmp_path / "cloud.sqlite3"
    log = tmp_path / "cloud.sqlite3-wal"

    async def add(database: Database, number: int, notes: str = "") -> None:
        new = [entry(bjd=LONG_BJD + number, notes=notes)]
        await database.write(lambda connection: measurements.add_all(connection, new))

    def is_copied() -> bool:
        return file.stat().st_size > LOG_LONG_BYTES / 2

    async def work() -> int:
        database = make_database(f"sqlite:///{file}", Path())
        await database.open()
        try:
            numbers = 0
            assert not is_copied()
            while log.stat().st_size <= LOG_LONG_BYTES:
                await add(database, numbers, NOTES)
                numbers += 1
            await asyncio.to_thread(wait_until, is_copied, WAIT_S, "the log is copied")
            give_up = time.monotonic() + WAIT_S
            while log.stat().st_size > LOG_LONG_BYTES and time.monotonic() < give_up:
                await add(database, numbers)
                numbers += 1
            held = await database.read(measurements.count_by_node)
            assert held == {"hilltop": numbers}
            return log.stat().st_size
        finally:
            await database.close()

    assert asyncio.run(work()) <= LOG_LONG_BYTES

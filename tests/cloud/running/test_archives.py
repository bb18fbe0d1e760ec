"""Backups: whole, exact, private, and from either kind of database into either."""

import asyncio
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from sqlalchemy import Connection, insert, select
from tests.cloud.running.conftest import Call
from tests.support.postgresql import Postgresql

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.factory import Cloud, make_cloud
from boundless_skies.cloud.schema.tables import interrupts, measurements, nodes
from boundless_skies.cloud.services.archiving import MANIFEST, ArchiveService
from boundless_skies.cloud.storage import archive, audit
from boundless_skies.cloud.storage.database import Job, JsonText
from boundless_skies.cloud.storage.migrating import HEAD

NOW = datetime(2026, 3, 1, 21, 30, 0, 123456, UTC)
ADMIN = Operator("ada", Role.ADMIN)
IMAGE = b"SIMPLE  =                    T" * 1_000
KINDS = ("sqlite", "postgresql")
AWKWARD_JSON = JsonText('{"b": 1.10, "a": [1e3, null, "\\u0000", 12345678901234567890123]}')

MakeConfig = Callable[[str], CloudConfig]


@pytest.fixture
def make_config(tmp_path: Path, postgresql: Postgresql) -> MakeConfig:
    """Give the configuration of a cloud that is empty yet, on either kind of database."""

    def make(kind: str) -> CloudConfig:
        folder = tmp_path / f"cloud-{len(list(tmp_path.iterdir()))}"
        url = postgresql.create_database() if kind == "postgresql" else None
        folder.mkdir(mode=0o700)
        return CloudConfig(data_dir=folder, database_url=url)

    return make


def arguments(config: CloudConfig) -> list[str]:
    """Return the options that name a cloud."""
    named = ["--database", config.database_url] if config.database_url else []
    return ["--data", str(config.data_dir), *named]


def opened(config: CloudConfig, work: Callable[[Cloud], Any]) -> Any:
    """Do a piece of work on a cloud."""

    async def run() -> Any:
        cloud = make_cloud(config)
        await cloud.database.migrate()
        async with cloud.opened():
            return await work(cloud)

    return asyncio.run(run())


def fill(config: CloudConfig) -> None:
    """Put something into every corner: exact numbers, JSON, nothing at all, an image."""

    async def work(cloud: Cloud) -> None:
        async with cloud.blobs.receive() as upload:
            await upload.write(IMAGE)
            sha256 = await upload.keep()
        await cloud.database.write(lambda connection: _insert_all(connection, sha256))

    opened(config, work)


def books(config: CloudConfig) -> dict[str, list[bytes]]:
    """Return everything that a database holds, as lines."""
    return opened(  # type: ignore[no-any-return]
        config,
        lambda cloud: cloud.database.read(
            lambda connection: {
                name: sorted(archive.read_lines(connection, table))
                for name, table in archive.TABLES.items()
            }
        ),
    )


@pytest.mark.parametrize(("source", "target"), list(product(KINDS, KINDS)))
def test_all_comes_back_from_either_kind_into_either(
    source: str, target: str, make_config: MakeConfig, call: Call, tmp_path: Path
) -> None:
    """The books are equal to the last digit, the image is there, and numbers go on."""
    old, new, file = make_config(source), make_config(target), tmp_path / "b"
    fill(old)
    made = call(*arguments(old), "backup", file, "--with-images", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["rows"]["measurements"] == 3
    done = call(*arguments(new), "restore", file)
    assert done.exit_code == 0, done.output
    assert books(new) == books(old)
    sha256 = opened(new, _only_image)
    assert opened(new, lambda cloud: _content(cloud, sha256)) == IMAGE
    number = opened(new, lambda cloud: cloud.services.interrupts.send(ADMIN, _interrupt()))
    assert number == 8


def test_a_backup_is_its_owners_alone(make_config: MakeConfig, call: Call, tmp_path: Path) -> None:
    """0600, also under a lax umask; an earlier one is not written over; no half one stays."""
    config, file = make_config("sqlite"), tmp_path / "b"
    fill(config)
    before = os.umask(0)
    try:
        assert call(*arguments(config), "backup", file).exit_code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = call(*arguments(config), "backup", file)
    assert again.exit_code == 1
    assert "is there already" in again.output
    elsewhere = call(*arguments(config), "backup", tmp_path / "no" / "b")
    assert elsewhere.exit_code == 1
    assert "cannot be written" in elsewhere.output
    assert not list(tmp_path.glob(".*"))


def test_a_backup_is_of_one_instant(make_config: MakeConfig, tmp_path: Path) -> None:
    """What is written while it is being made is in all tables, or in none."""
    config = make_config("postgresql")
    fill(config)

    async def work(cloud: Cloud) -> None:
        service = ArchiveService(cloud.database, cloud.blobs, lambda: NOW)
        during = Writing(config)
        await service.back_up(tmp_path / "b", during, with_images=False)
        assert during.has_written

    opened(config, work)
    with ZipFile(tmp_path / "b") as file:
        deeds = file.read("tables/audit.jsonl").splitlines()
    assert len(deeds) == 2
    assert len(books(config)["audit"]) == 3


class Writing:
    """Writes to the database once the copying has begun."""

    def __init__(self, config: CloudConfig) -> None:
        self.has_written = False
        self._config = config

    def begin(self, what: str, length: int) -> None:
        """Begin."""

    def advance(self, steps: int) -> None:
        """Write once, from a process of its own as it were."""
        del steps
        if not self.has_written:
            self.has_written = True
            worker = Thread(target=_write_deed, args=(self._config,))
            worker.start()
            worker.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_in_use_is_left_alone(
    kind: str, make_config: MakeConfig, call: Call, tmp_path: Path
) -> None:
    """A restore goes into an empty one only."""
    config, file = make_config(kind), tmp_path / "b"
    fill(config)
    assert call(*arguments(config), "backup", file).exit_code == 0
    before = books(config)
    done = call(*arguments(config), "restore", file)
    assert done.exit_code == 1
    assert "not empty" in done.output
    assert books(config) == before


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    with ZipFile(file) as archived:
        entry = archived.getinfo("tables/measurements.jsonl")
    data_begin = content.index(b"tables/measurements.jsonl") + len(entry.filename)
    content[data_begin + entry.compress_size // 2] ^= 1
    file.write_bytes(content)


def _change_rows(file: Path) -> None:
    _rewrite(file, {"tables/nodes.jsonl": lambda content: content + b'["x"]\n'})


def _make_newer(file: Path) -> None:
    _rewrite(file, {MANIFEST: lambda content: content.replace(f'"{HEAD}"'.encode(), b'"9002"')})


def _take_manifest(file: Path) -> None:
    _rewrite(file, {MANIFEST: lambda _: b"[]"})


def _write_over(file: Path) -> None:
    file.write_bytes(b"a shopping list")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_cut, "damaged"),
        (_flip, "damaged"),
        (_change_rows, "is not what it was"),
        (_make_newer, "newer cloud"),
        (_take_manifest, "no backup"),
        (_write_over, "damaged"),
    ],
)
def test_a_bad_backup_changes_nothing(
    harm: Callable[[Path], None], told: str, make_config: MakeConfig, call: Call, tmp_path: Path
) -> None:
    """One line says what is wrong with it, before anything was written."""
    old, new, file = make_config("sqlite"), make_config("sqlite"), tmp_path / "b"
    fill(old)
    assert call(*arguments(old), "backup", file).exit_code == 0
    harm(file)
    done = call(*arguments(new), "restore", file)
    assert done.exit_code == 1
    assert told in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not new.database_file.exists()


def _rewrite(file: Path, changes: dict[str, Callable[[bytes], bytes]]) -> None:
    with ZipFile(file) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with ZipFile(file, "w", ZIP_DEFLATED) as new:
        for name, content in contents.items():
            new.writestr(name, changes.get(name, bytes)(content))


def _write_deed(config: CloudConfig) -> None:
    job: Job[None] = lambda c: audit.add(c, ADMIN, "test.write", "x", {}, NOW)  # noqa: E731
    opened(config, lambda cloud: cloud.database.write(job))


async def _only_image(cloud: Cloud) -> str:
    (sha256,) = [blob.sha256 async for blob in cloud.blobs.list()]
    return sha256


async def _content(cloud: Cloud, sha256: str) -> bytes:
    image = await cloud.blobs.open(sha256)
    return b"".join([chunk async for chunk in image.chunks()])


def _interrupt() -> dict[str, Any]:
    return {"name": "SN 2026abc", "ra_deg": 210.9, "dec_deg": 54.3}


def _insert_all(connection: Connection, sha256: str) -> None:
    connection.execute(insert(nodes), _node())
    for number, bjd in enumerate((2461000.123456789, 2461100.1 + 0.2, 2400001.5), 1):
        _add_point(connection, number, bjd)
    row = {
        "id": 7,
        "ra_deg": 0.1 + 0.2,
        "dec_deg": -89.99999999999999,
        "node_ids": None,
        "mag": None,
    }
    times = {"created_at": NOW, "expires_at": NOW}
    connection.execute(insert(interrupts), {"name": "SN", "reason": "", **row, **times})
    audit.add(connection, ADMIN, "test.fill", "“x”\n", {"a": [1.1, None]}, NOW)
    connection.execute(insert(archive.TABLES["images"]), _image(sha256))
    assert connection.scalar(select(nodes.c.node_id)) == "hilltop"


def _node() -> dict[str, Any]:
    return {
        "node_id": "hilltop",
        "key_hash": "f" * 64,
        "owner_name": "Ada Ørsted",
        "latitude_deg": 48.1,
        "longitude_deg": 11.6,
        "elevation_m": 5e-324,
        "telescope_model": "",
        "filters": "V",
        "utc_offset_hours": 1.0,
        "rig": AWKWARD_JSON,
        "registered_at": NOW,
        "last_beat_at": None,
        "conditions": {},
        "owner_public": True,
    }


def _add_point(connection: Connection, number: int, bjd: float) -> None:
    row = {
        "id": number,
        "node_id": "hilltop",
        "target_name": "SS Cyg",
        "bjd_tdb": bjd,
        "magnitude": 11.873,
        "uncertainty": 0.014,
        "filter": "V",
        "fits_file": "",
        "revision": 1,
        "is_newest": True,
        "payload": AWKWARD_JSON,
        "conditions": JsonText("{}"),
        "content_hash": "0" * 64,
        "received_at": NOW,
    }
    archive.insert_rows(connection, measurements, [row])


def _image(sha256: str) -> dict[str, Any]:
    return {
        "node_id": "hilltop",
        "stored_name": f"{sha256}.fits",
        "original_name": "frame.fits",
        "size_bytes": len(IMAGE),
        "sha256": sha256,
        "received_at": NOW,
    }

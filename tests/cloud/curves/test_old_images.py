"""Image files of the first form get the names of their content."""

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert, text

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.factory import make_cloud
from boundless_skies.cloud.schema.tables import images

CONTENT = b"SIMPLE  =                    T"


def test_old_images_are_adopted(tmp_path: Path) -> None:
    """Each file moves once, its row follows; one that is missing stops nothing."""
    asyncio.run(_adopt(tmp_path / "cloud"))


async def _adopt(folder: Path) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    async with make_cloud(CloudConfig(data_dir=folder)).opened() as cloud:
        await cloud.database.write(lambda c: _fill(c, sha256))
        (folder / "images").mkdir(exist_ok=True)
        (folder / "images" / "abc123.fits").write_bytes(CONTENT)
        for _ in range(2):
            await cloud.services.images.adopt_old(folder)
        found = await cloud.services.images.find(sha256)
        opened = await cloud.services.images.open(sha256)
        assert b"".join([chunk async for chunk in opened.chunks()]) == CONTENT
    assert found.stored_name == f"{sha256}.fits"
    assert not (folder / "images" / "abc123.fits").exists()
    assert (folder / "images" / sha256[:2] / sha256).read_bytes() == CONTENT


def _fill(connection: Connection, sha256: str) -> None:
    connection.execute(
        text(
            "INSERT INTO nodes (node_id, key_hash, owner_name, latitude_deg, longitude_deg, "
            "elevation_m, telescope_model, filters, utc_offset_hours, rig, registered_at, "
            "conditions) VALUES ('hill', 'x', '', 1, 1, 0, '', 'CV', 0, '{}', "
            "'2026-01-01 00:00:00', '{}')"
        )
    )
    for name, content in (("abc123.fits", sha256), ("gone.fits", "f" * 64)):
        connection.execute(
            insert(images).values(
                node_id="hill",
                stored_name=name,
                original_name="light.fits",
                size_bytes=len(CONTENT),
                sha256=content,
                received_at=datetime.now(UTC),
            )
        )

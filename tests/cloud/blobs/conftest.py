"""Both stores: a folder, and a bucket on a real server."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.s3_server import S3Server, s3_server

from boundless_skies.cloud.domain.times import utc_now
from boundless_skies.cloud.storage.blobs import BlobStore, open_blob_store

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """Where a test's images are kept, and how a program is told so."""

    store: BlobStore
    address: str
    data_dir: Path

    @property
    def partials(self) -> list[Path]:
        """What is on its way in, on this machine."""
        return list((self.data_dir / "incoming").glob("*.part"))

    def store_after(self, hours: float) -> BlobStore:
        """Return the same store, as it is opened some hours later."""
        later = timedelta(hours=hours)
        return open_blob_store(self.address, self.data_dir, lambda: utc_now() + later)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """Run an S3-compatible server."""
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give an empty store of each kind."""
    if request.param == "folder":
        address = str(tmp_path)
    else:
        server: S3Server = request.getfixturevalue("s3")
        address = server.address(f"test-{next(_numbers)}")
    place = Place(open_blob_store(address, tmp_path), address, tmp_path)
    asyncio.run(place.store.prepare())
    return place


@pytest.fixture
def store(place: Place) -> BlobStore:
    """Give an empty store of each kind, where the place does not matter."""
    return place.store

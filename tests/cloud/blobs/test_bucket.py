"""The bucket: its address, its keys, and a server that does not answer."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support.s3_server import KEYS, S3Server

from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.storage.blobs import (
    BlobStore,
    BucketBlobs,
    FolderBlobs,
    StoredBlob,
    UnusableStore,
    open_blob_store,
)

SHA256 = "ab" * 32


async def keep(store: BlobStore, content: bytes = b"SIMPLE") -> str:
    """Bring an image in."""
    async with store.receive() as upload:
        await upload.write(content)
        return await upload.keep()


async def collect(store: BlobStore) -> list[StoredBlob]:
    """Read the list of images to its end."""
    return [blob async for blob in store.list()]


CALLS: list[Callable[[BlobStore], Awaitable[object]]] = [
    keep,
    collect,
    lambda store: store.exists(SHA256),
    lambda store: store.open(SHA256),
    lambda store: store.delete(SHA256),
    lambda store: store.put_small(SHA256, b"PNG"),
    lambda store: store.get_small(SHA256),
    lambda store: store.check(),
]


async def outcome(call: Callable[[BlobStore], Awaitable[object]], store: BlobStore) -> Unavailable:
    """Return the error of a call."""
    with pytest.raises(Unavailable) as raised:
        await call(store)
    return raised.value


@pytest.fixture
def silent_port() -> int:
    """Give a port of this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_store_that_does_not_answer(tmp_path: Path, silent_port: int, number: int) -> None:
    """Every call says so, to be tried again; keys and quotes of requests are left out."""
    store = open_blob_store(S3Server(f"http://127.0.0.1:{silent_port}").address("f"), tmp_path)
    asyncio.run(store.prepare())
    error = asyncio.run(outcome(CALLS[number], store))
    assert str(error) == "The image store s3://frames/f fails, or does not answer."
    assert error.__cause__ is None
    assert error.retry_after_s > 0
    assert not list((tmp_path / "incoming").iterdir())


def test_a_bucket_that_is_not_there(s3: S3Server, tmp_path: Path) -> None:
    """An image is not taken, and the check finds it out before."""
    store = open_blob_store(s3.address("f", bucket="elsewhere"), tmp_path)
    asyncio.run(store.prepare())
    assert "is its name right" in str(asyncio.run(outcome(keep, store)))
    assert "s3://elsewhere/f" in str(asyncio.run(outcome(lambda at: at.check(), store)))


def test_keys_come_from_the_environment(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every other program that speaks S3."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT", s3.endpoint)
    store = open_blob_store("s3://frames/from-environment", tmp_path)
    asyncio.run(store.prepare())
    assert asyncio.run(store.exists(asyncio.run(keep(store))))


def test_keys_are_never_shown(
    s3: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by the store itself nor in what it logs."""
    caplog.set_level(logging.DEBUG)
    store = open_blob_store(s3.address("shown"), tmp_path)
    asyncio.run(store.prepare())
    asyncio.run(keep(store))
    assert str(store) == "s3://frames/shown"
    shown = f"{store} {store!r} {vars(store)} {caplog.text}"
    assert "secret" not in shown
    assert "AKIA" not in shown


@pytest.mark.parametrize(
    "address",
    [
        "",
        "  ",
        "images\0",
        "gs://bucket/folder",
        "https://bucket.s3.amazonaws.com/hidden-key",
        "s3://",
        "s3:/bucket",
        "s3:bucket/folder",
        "s3:///folder",
        "s3://Bucket",
        "s3://b",
        "s3://AKIA:hidden-key@bucket/folder",
        "s3://bucket/../other",
        "s3://bucket//folder",
        "s3://bucket/a b",
        "s3://bucket/folder#hidden-key",
        "s3://bucket?hidden-key",
        "s3://bucket?endpoint=",
        "s3://bucket?endpoint=minio:9000",
        "s3://bucket?endpoint=https://AKIA:hidden-key@host",
        "s3://bucket?secret=hidden-key",
        "s3://[bucket",
    ],
)
def test_a_malformed_address_is_refused(tmp_path: Path, address: str) -> None:
    """The refusal says what to write, and repeats nothing that could be a key."""
    with pytest.raises(UnusableStore, match="s3://BUCKET/FOLDER") as raised:
        open_blob_store(address, tmp_path)
    assert "hidden-key" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("address", [None, "pictures", "/srv/pictures"])
def test_a_path_is_a_folder(tmp_path: Path, address: str | None) -> None:
    """No address at all is the data folder."""
    assert isinstance(open_blob_store(address, tmp_path), FolderBlobs)


@pytest.mark.parametrize("address", ["s3://bucket", "s3://my.bucket/a/b/", f"s3://abc/x?{KEYS}"])
def test_a_bucket_is_opened_without_being_asked(tmp_path: Path, address: str) -> None:
    """A cloud can start while its store is down."""
    assert isinstance(open_blob_store(address, tmp_path), BucketBlobs)

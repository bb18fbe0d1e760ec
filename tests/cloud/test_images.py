"""Images come in under names of our own."""

import hashlib
import os

import pytest
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud

BOUNDARY = "b0undary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("light_001.fits", ".fits"),
        ("LIGHT.FIT.FZ", ".fit.fz"),
        ("../../../etc/passwd", ".image"),
        ("a\x00b.fits", ".fits"),
        ("", ".image"),
        ("ä" * 300 + ".fts", ".fts"),
    ],
)
def test_an_image_is_stored_under_our_name(
    cloud: RunningCloud, node: Client, name: str, ending: str
) -> None:
    """Of the sender's name only a known ending is taken over; the bytes are whole and private."""
    content = os.urandom(3_000_000)
    reply = node.upload(content, name)
    assert reply.status == 200, reply
    sha256 = hashlib.sha256(content).hexdigest()
    assert reply.json["stored"] == sha256 + ending
    stored = cloud.data_dir / "images" / sha256[:2] / sha256
    assert stored.read_bytes() == content
    assert stored.stat().st_mode & 0o777 == 0o600


def test_the_same_image_is_stored_once(cloud: RunningCloud, node: Client) -> None:
    """A retry after a lost answer leaves no second file."""
    content = os.urandom(1_000)
    names = {node.upload(content, name).json["stored"] for name in ("a.fits", "b.fits")}
    assert len(names) == 1
    assert not list((cloud.data_dir / "incoming").iterdir())


def test_an_image_that_breaks_off_leaves_nothing(cloud: RunningCloud, node: Client) -> None:
    """A form without its end is refused, and its file taken away."""
    before = set((cloud.data_dir / "images").rglob("*"))
    raw = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        'name="file"; filename="a.fits"\r\n\r\nSIMPLE'
    ).encode()
    reply = node.send("POST", "/api/v1/images", raw, FORM)
    assert reply.status == 400
    assert set((cloud.data_dir / "images").rglob("*")) == before
    assert not list((cloud.data_dir / "incoming").iterdir())


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"{}", "multipart/form-data", 400),
        (b"junk", FORM["Content-Type"], 400),
        (b"", FORM["Content-Type"], 400),
        (b"x", "multipart/form-data; boundary=\xff", 400),
    ],
)
def test_what_is_no_upload_is_refused(
    node: Client, raw: bytes, content_type: str, status: int
) -> None:
    """The answer is JSON and says what to send."""
    reply = node.send("POST", "/api/v1/images", raw, {"Content-Type": content_type})
    assert reply.status == status, reply
    assert reply.json["error"]


def test_a_form_needs_the_part_file(node: Client) -> None:
    """An upload under another name is refused by name."""
    reply = node.upload(b"SIMPLE", part="picture")
    assert reply.status == 400
    assert '"file"' in reply.json["error"]


def test_an_image_has_a_limit(cloud: RunningCloud, node: Client) -> None:
    """What announces more than the limit is refused before it is read."""
    headers = FORM | {"Content-Length": str(300 << 20)}
    reply = node.send("POST", "/api/v1/images", iter([b"x" * 1_000_000] * 3), headers)
    assert reply.status == 413
    assert "200 MiB" in reply.json["error"]
    assert not list((cloud.data_dir / "incoming").iterdir())

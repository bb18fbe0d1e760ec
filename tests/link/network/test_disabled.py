"""Disabled means absent: no thread, no file, no connection."""

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.links import KEY, MEASUREMENT, NODE_ID

from cloud_communicator import CloudCommunicator

URL = "http://127.0.0.1:9"
OFF = [
    {},
    None,
    {"cloud": None},
    {"cloud": {}},
    {"cloud": {"enabled": False}},
    {"cloud": {"enabled": None, "url": URL}},
    {"cloud": {"enabled": False, "url": URL, "node_id": NODE_ID, "api_key": KEY}},
    {"cloud": {"enabled": False, "url": URL, "upload_images": True}},
]


@pytest.mark.parametrize("config", OFF)
def test_disabled_link_touches_nothing(
    config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket is made, no file opened or folder made, no thread begun; submit says False."""
    touched: list[str] = []
    frame = tmp_path / "frame.fits"
    frame.write_bytes(b"SIMPLE")
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", lambda *_args, **_options: touched.append("socket"))
        patched.setattr(socket, "getaddrinfo", lambda *_args: touched.append("lookup"))
        patched.setattr(os, "open", lambda *_args, **_options: touched.append("open"))
        patched.setattr(threading.Thread, "start", lambda _self: touched.append("thread"))
        link = CloudCommunicator(config)
        link.start()
        assert link.submit_measurement(MEASUREMENT, {"a": 1}, str(frame)) is False
        link.stop()
    assert touched == []
    assert [path.name for path in tmp_path.iterdir()] == ["frame.fits"]


@pytest.mark.parametrize("measurement", [{"magnitude": float("nan")}, {1, 2}, None])
def test_disabled_link_does_not_even_look_at_a_measurement(measurement: Any) -> None:
    """A node without a cloud behaves as if the class were never used."""
    assert CloudCommunicator({}).submit_measurement(measurement) is False


def test_disabled_link_has_its_status() -> None:
    """Readers of the status need not ask whether there is a cloud."""
    status = CloudCommunicator({}).status
    assert (status["registered"], status["error"], status["queued_uploads"]) == (False, None, 0)

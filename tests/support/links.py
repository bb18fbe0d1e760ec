"""Links to a test's own server: short intervals, and stopped when the test ends."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import CaptureServer, capture_server, wait_until

from cloud_communicator import CloudCommunicator

NODE_ID = "node-7"
KEY = "sk-5f0e9c1d7a3b42e8"
THREADS = {"cloud-heartbeat", "cloud-plan"}
MEASUREMENT = {
    "target_name": "SS Cyg",
    "bjd": 2460000.5,
    "magnitude": 11.25,
    "uncertainty": 0.02,
    "filter": "V",
}

BEAT = "/api/v1/nodes/heartbeat"
REGISTER = "/api/v1/nodes/register"
PLAN = "/api/v1/plan"
INTERRUPTS = "/api/v1/interrupts"
MEASUREMENTS = "/api/v1/measurements"
IMAGES = "/api/v1/images"

_FOREIGN_SETTINGS = (
    "BOUNDLESS_NODE_ID",
    "BOUNDLESS_API_KEY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)


def nth(number: int) -> dict[str, Any]:
    """Return a measurement that is told from the others by its magnitude."""
    return {**MEASUREMENT, "magnitude": 10 + number / 1000}


def numbers(requests: list[Any]) -> list[int]:
    """Say which measurements of `nth` these requests carry, in order."""
    return [round((r.json()["measurement"]["magnitude"] - 10) * 1000) for r in requests]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cloud_block(url: str, folder: Path, **cloud: Any) -> dict[str, Any]:
    """Return a ``cloud`` block with credentials and short intervals."""
    return {
        "enabled": True,
        "url": url,
        "node_id": NODE_ID,
        "api_key": KEY,
        "heartbeat_interval": 0.2,
        "plan_poll_interval": 0.2,
        "connect_timeout": 10,
        "timeout": 10,
        "data_dir": str(folder),
        **cloud,
    }


class Links:
    """Makes links in one data folder, and stops them at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[CloudCommunicator] = []

    def make(
        self, url: str, callbacks: dict[str, Any] | None = None, **cloud: Any
    ) -> CloudCommunicator:
        """Build a link; ``cloud`` goes over the block's keys."""
        return self.of({"cloud": cloud_block(url, self.folder, **cloud)}, callbacks)

    def of(
        self, config: dict[str, Any], callbacks: dict[str, Any] | None = None
    ) -> CloudCommunicator:
        """Build a link from a whole config."""
        link = CloudCommunicator(config, **(callbacks or {}))
        self._made.append(link)
        return link

    def started(
        self, url: str, callbacks: dict[str, Any] | None = None, **cloud: Any
    ) -> CloudCommunicator:
        """Build a link and start it."""
        link = self.make(url, callbacks, **cloud)
        link.start()
        return link

    def stop(self) -> None:
        """Stop all, and wait until their threads are gone."""
        for link in self._made:
            link.stop()
        for link in self._made:
            wait_until(lambda link=link: not alive(link), what="the link's threads end")


def alive(link: CloudCommunicator) -> list[str]:
    """Name the link's threads that live."""
    return [thread.name for thread in link._threads if thread.is_alive()]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the proxies, certificates and credentials of this machine out of the test."""
    for name in _FOREIGN_SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[CaptureServer]:
    """Run a cloud that says yes to everything and keeps each request."""
    with capture_server() as running:
        yield running


@pytest.fixture
def links(tmp_path: Path, _plain_environment: None) -> Iterator[Links]:
    """Give links in the folder ``data`` of the test."""
    made = Links(tmp_path / "data")
    yield made
    made.stop()

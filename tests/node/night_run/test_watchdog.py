"""The process that parks the mount when the node is gone, at the real Alpaca simulators."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.support.alpaca_server import alpaca_server
from tests.support.capture_server import wait_until

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.devices.errors import DeviceRefused
from boundless_skies.node.services.watchdog import (
    BEAT_S,
    LOCK_NAME,
    TelescopeBusy,
    Watchdog,
    WatchdogMissing,
    watch,
)
from boundless_skies.simulation.clock import FastClock

ROOT = Path(__file__).resolve().parents[3]
WAIT_S = 60.0
SECRET = "sk-of-the-node-alone"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the simulators."""
    with alpaca_server(tmp_path_factory.mktemp("simulators")) as running:
        yield running


@pytest.fixture
def mount(address: str) -> AlpacaMount:
    """Return the mount, awake, for the test to look at."""
    with urlopen(f"http://{address}/reload", timeout=10):
        pass
    found = AlpacaMount(Server(address, 10.0), 0, SystemClock(), 60.0)
    found.device.connect(10.0)
    found.unpark()
    return found


@dataclass
class Node:
    """A node process, and its watchdog."""

    process: subprocess.Popen[str]
    watchdog_pid: int


@contextmanager
def watched_node(address: str, folder: Path) -> Iterator[Node]:
    """Run a node whose mount has moved."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.node.night_run.watched_node", address, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=dict(os.environ) | {"BOUNDLESS_API_KEY": SECRET},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        try:
            yield Node(process, int(process.stdout.readline()))
        finally:
            process.kill()


def is_running(pid: int) -> bool:
    """Tell whether a process is there, and not only its name."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except FileNotFoundError:
        return False


def wait(look: object, what: str) -> None:
    """Wait until something is so."""
    wait_until(look, WAIT_S, what)


def test_killed_node_has_its_mount_parked(address: str, mount: AlpacaMount, tmp_path: Path) -> None:
    """The watchdog ends itself afterwards, and frees the telescope."""
    with watched_node(address, tmp_path) as node:
        assert not mount.is_parked()
        os.kill(node.watchdog_pid, signal.SIGTERM)  # as a service manager sends to each process
        node.process.kill()
        node.process.wait(WAIT_S)
        wait(mount.is_parked, "the mount to be parked")
        wait(lambda: not is_running(node.watchdog_pid), "the watchdog's end")


def test_goodbye_leaves_the_mount_as_it_is(
    address: str, mount: AlpacaMount, tmp_path: Path
) -> None:
    """A node that ends in order has parked the mount itself, or never moved it."""
    with watched_node(address, tmp_path) as node:
        assert node.process.stdin is not None
        node.process.stdin.write("goodbye\n")
        node.process.stdin.flush()
        assert node.process.wait(WAIT_S) == 0
        assert not is_running(node.watchdog_pid)
    assert not mount.is_parked()


def test_next_node_waits_until_the_mount_rests(
    address: str, mount: AlpacaMount, tmp_path: Path
) -> None:
    """The two never steer it at once."""
    with watched_node(address, tmp_path) as node:
        second = Watchdog(address, 0, tmp_path, SystemClock())
        with pytest.raises(TelescopeBusy, match=LOCK_NAME):
            second.start(threading.Event(), wait_s=0.5)
        node.process.kill()
        second.start(threading.Event(), wait_s=WAIT_S)
        try:
            assert mount.is_parked()
        finally:
            second.close()


def test_node_that_is_stopped_while_it_waits_takes_nothing(
    address: str, mount: AlpacaMount, tmp_path: Path
) -> None:
    """Without the telescope there is nothing to watch over."""
    with watched_node(address, tmp_path):
        second, stop = Watchdog(address, 0, tmp_path, SystemClock()), threading.Event()
        stop.set()
        assert not second.start(stop)
        assert second.pid is None
    wait(mount.is_parked, "the mount to be parked")


def test_watchdog_knows_the_address_and_nothing_else(
    address: str, mount: AlpacaMount, tmp_path: Path
) -> None:
    """Neither its command line nor its environment nor its files lead to a key or the config."""
    (tmp_path / "config.yaml").write_text(f"cloud: {{api_key: {SECRET}}}\n")
    with watched_node(address, tmp_path) as node:
        place = Path(f"/proc/{node.watchdog_pid}")
        command = (place / "cmdline").read_bytes().decode().strip("\0").split("\0")
        assert command[-2:] == [address, "0"]
        assert SECRET.encode() not in (place / "environ").read_bytes()
        assert b"BOUNDLESS" not in (place / "environ").read_bytes()
        files = [str(fd.readlink()) for fd in (place / "fd").iterdir()]
        ours = {Path(file).name for file in files if file.startswith(str(tmp_path))}
        assert ours == {LOCK_NAME}
        others = {f for f in files if f.startswith("/") and not f.startswith(str(tmp_path))}
        assert all(f.startswith(("/dev/", "/tmp/")) or f.endswith(".log") for f in others)  # noqa: S108
    wait(mount.is_parked, "the mount to be parked")


@pytest.mark.parametrize("said", [b"", b"..", b".!."])
def test_silence_parks(address: str, mount: AlpacaMount, said: bytes) -> None:
    """A node that hangs says nothing, though its pipe is open."""
    assert address
    reading, writing = os.pipe()
    try:
        os.write(writing, said)
        watch(reading, mount, SystemClock(), silence_s=0.3)
    finally:
        os.close(reading)
        os.close(writing)
    assert mount.is_parked()


def test_mount_that_refuses_to_abort_is_parked_all_the_same(
    mount: AlpacaMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver may say no where nothing moves."""

    def refuse() -> None:
        raise DeviceRefused("Nothing moves.", device="mount")

    monkeypatch.setattr(mount, "abort", refuse)
    reading, writing = os.pipe()
    os.close(writing)
    try:
        watch(reading, mount, SystemClock())
    finally:
        os.close(reading)
    assert mount.is_parked()


def test_watchdog_that_does_not_start_lets_nothing_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a node that dies would leave the telescope running."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    watchdog = Watchdog("127.0.0.1:9", 0, tmp_path, SystemClock())
    with pytest.raises(WatchdogMissing, match="does not start"):
        watchdog.start(threading.Event())
    assert watchdog.pid is None


def test_watchdog_that_is_killed_is_replaced(address: str, tmp_path: Path) -> None:
    """The node's next beats start another one; the telescope stays the node's."""
    clock = FastClock(datetime(2026, 3, 1, tzinfo=UTC))
    watchdog = Watchdog(address, 0, tmp_path, clock)
    assert watchdog.start(threading.Event())
    first = watchdog.pid
    assert first is not None

    def beaten() -> bool:
        clock.sleep(BEAT_S + 1.0, threading.Event())
        watchdog.beat()
        return watchdog.pid not in {None, first}

    try:
        os.kill(first, signal.SIGKILL)
        wait(lambda: not is_running(first), "its end")
        # Its last thread may hold the pipe for a moment longer than its name is there.
        wait(beaten, "another one")
        assert watchdog.pid is not None
        assert is_running(watchdog.pid)
        with pytest.raises(TelescopeBusy):
            Watchdog(address, 0, tmp_path, SystemClock()).start(threading.Event(), wait_s=0.0)
    finally:
        watchdog.close()

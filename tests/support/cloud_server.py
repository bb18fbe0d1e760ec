"""A real cloud in a process of its own, for tests that need one.

::

    with running_cloud(tmp_path / "cloud") as cloud:
        requests to cloud.url …
        cloud.kill()                      # SIGKILL, as a loss of power would
    with running_cloud(tmp_path / "cloud", port=cloud.port) as cloud:
        …                                 # the same cloud again, at the same address
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ADMIN_KEY = "operator-key-of-the-tests"
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0
CLOUD_COMMAND = (sys.executable, "-W", "error", "-m", "boundless_skies.cli", "cloud")
# A test's nodes all come from one address, and quickly; arguments of a test's own win.
UNLIMITED = (
    *("--registrations-per-hour", "0"),
    *("--failed-logins-per-minute", "0"),
    *("--node-calls-per-minute", "0"),
)
UP_LINE = re.compile(r"Cloud is up: (http://\S+)")


@dataclass
class RunningCloud:
    """A cloud that answers at ``url``."""

    url: str
    admin_key: str
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """Kill it without warning (SIGKILL) and wait until it is gone."""
        self.process.kill()
        self.process.wait(STOP_DEADLINE_S)

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_DEADLINE_S)


def start_cloud(
    data_dir: Path,
    *,
    port: int = 0,
    admin_key: str | None = ADMIN_KEY,
    log: Path | None = None,
    arguments: Sequence[str] = (),
) -> RunningCloud:
    """Start a cloud, with further arguments, and wait until it answers; the caller stops it."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    log = log or data_dir.parent / f"{data_dir.name}.log"
    environment = {k: v for k, v in os.environ.items() if k != "BOUNDLESS_ADMIN_KEY"}
    if admin_key is not None:
        environment["BOUNDLESS_ADMIN_KEY"] = admin_key
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*CLOUD_COMMAND, "--data", str(data_dir), "--port", str(port), *UNLIMITED, *arguments],
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment | {"PYTHONUNBUFFERED": "1"},
        )
    url = _wait_until_up(process, log)
    return RunningCloud(url, admin_key or "", data_dir, log, process)


@contextlib.contextmanager
def running_cloud(
    data_dir: Path,
    *,
    port: int = 0,
    admin_key: str | None = ADMIN_KEY,
    arguments: Sequence[str] = (),
) -> Iterator[RunningCloud]:
    """Run a cloud for the length of a ``with`` block."""
    cloud = start_cloud(data_dir, port=port, admin_key=admin_key, arguments=arguments)
    try:
        yield cloud
    finally:
        if cloud.process.poll() is None:
            cloud.stop()


def _wait_until_up(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        found = UP_LINE.search(log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"the cloud did not start: {log.read_text(errors='replace')}")

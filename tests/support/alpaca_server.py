"""Real Alpaca devices over HTTP: the alpaca-simulators, run as a process of their own."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from boundless_skies.demo.simulators import (
    free_port,
    simulators_config,
    simulators_words,
    write_sky,
)

RA_DEG, DEC_DEG = 83.8, 22.0
SKY_RADIUS_DEG = 4.0
_READY_S = 60.0

_START: dict[str, dict[str, Any]] = {
    "telescope": {"rightascension": (RA_DEG - 5.0) / 15.0, "declination": DEC_DEG}
}


@contextmanager
def alpaca_server(
    folder: Path,
    changes: dict[str, dict[str, Any]] | None = None,
    sky_deg: tuple[float, float] = (RA_DEG, DEC_DEG),
) -> Iterator[str]:
    """Run the simulators, with a sky around a place (J2000); give their address ``host:port``."""
    sky, config = folder / "sky.sqlite", folder / "simulators.yaml"
    write_sky(sky, [sky_deg], SKY_RADIUS_DEG)
    config.write_text(yaml.safe_dump(simulators_config(sky, _START, changes or {})))
    port = free_port()
    command = simulators_words(config, port)
    with (folder / "simulators.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=dict(os.environ)
        )
        try:
            _await_ready(process, port, folder / "simulators.log")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until_s = time.monotonic() + _READY_S
    while time.monotonic() < until_s:
        if process.poll() is not None:
            raise AssertionError(f"the simulators ended: {log.read_text()[-2000:]}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/v1", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the simulators are not ready: {log.read_text()[-2000:]}")

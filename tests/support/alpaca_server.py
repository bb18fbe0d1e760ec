"""Real Alpaca devices over HTTP: the alpaca-simulators, run as a process of their own."""

import copy
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from tests.support.sky_database import write_sky

RA_DEG, DEC_DEG = 83.8, 22.0
SKY_RADIUS_DEG = 4.0
_READY_S = 60.0

# A Seestar S50, but with half its pixels on a side, so that a test's frames are quick.
_CHANGES: dict[str, dict[str, Any]] = {
    "camera": {
        "name": "Simulated Seestar",
        "cameraxsize": 540,
        "cameraysize": 960,
        "numx": 540,
        "numy": 960,
        "pixelsizex": 5.8,
        "pixelsizey": 5.8,
    },
    "telescope": {
        "focallength": 0.25,
        "aperturediameter": 0.05,
        "slew_rate": 30.0,
        "equatorialsystem": 2,
        "rightascension": (RA_DEG - 5.0) / 15.0,
        "declination": DEC_DEG,
        "parkrightascension": 5.0,
        "parkdeclination": 60.0,
    },
    "observingconditions": {"cloudcover": 0.25, "windspeed": 3.5},
}


def simulator_config(sky: Path, changes: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the simulators' own example config with a Seestar's numbers, and a sky."""
    package = find_spec("alpaca_simulators")
    assert package is not None
    assert package.origin is not None
    template = Path(package.origin).parent / "config" / "template.yaml"
    config: dict[str, Any] = copy.deepcopy(yaml.safe_load(template.read_text()))
    for group in (_CHANGES, changes or {}):
        for kind, values in group.items():
            config["devices"][kind][0].update(values)
    return config | {"tap_source": str(sky)}


@contextmanager
def alpaca_server(
    folder: Path,
    changes: dict[str, dict[str, Any]] | None = None,
    sky_deg: tuple[float, float] = (RA_DEG, DEC_DEG),
) -> Iterator[str]:
    """Run the simulators, with a sky around a place (J2000); give their address ``host:port``."""
    sky = write_sky(folder / "sky.sqlite", *sky_deg, SKY_RADIUS_DEG)
    config = folder / "simulators.yaml"
    config.write_text(yaml.safe_dump(simulator_config(sky, changes)))
    port = _free_port()
    command = [sys.executable, "-c", "from alpaca_simulators.run_simulator import main; main()"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--config", str(config)]
    with (folder / "simulators.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options], stdout=log, stderr=log, cwd=folder, env=dict(os.environ)
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


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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

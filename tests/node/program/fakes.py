"""Stand-ins with state for the tests of the node program."""

import hashlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from boundless_skies.node.config import defaults
from boundless_skies.node.services.measuring import Measured, Outcome, Refused

TARGET = "Test Star"


def measurement_of(path: str, node_id: str = "test-node") -> dict[str, Any]:
    """Make a measurement that depends on the file's bytes alone."""
    digest = hashlib.sha256(Path(path).read_bytes()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return {
        "target_name": TARGET,
        "bjd": 2_460_000.0 + share,
        "magnitude": 10.0 + share,
        "uncertainty": 0.01,
        "filter": "CV",
        "airmass": 1.2,
        "fwhm": 2.5,
        "snr": 100.0,
        "comparison_stars": 8,
        "quality_flag": "good",
        "node_id": node_id,
        "zero_point": 20.0,
        "zp_scatter": 0.05,
        "fits_file": Path(path).name,
    }


def fake_work(path: str, config: dict[str, Any]) -> Outcome:
    """Measure by the file's bytes: ``cut`` is incomplete, ``bad`` refused, ``die`` deadly."""
    del config
    text = Path(path).read_bytes()
    if text.startswith(b"cut"):
        return Refused("its end is missing.", incomplete=True)
    if text.startswith(b"bad"):
        return Refused("it shows no stars.")
    if text.startswith(b"die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if text.startswith(b"hang"):
        time.sleep(600)
    return Measured(measurement_of(path))


class FakeMeasuring:
    """Measures in this process, and keeps a list of what it was given."""

    def __init__(self) -> None:
        self.measured: list[str] = []
        self.closed = False

    def measure(self, path: str, stop: threading.Event) -> Outcome | None:
        """Measure one file by its bytes."""
        del stop
        self.measured.append(Path(path).name)
        return fake_work(path, {})

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def config_for(folder: Path, url: str = "") -> dict[str, Any]:
    """Return a quick config: frames and data below ``folder``, the cloud where there is a URL."""
    config = defaults()
    config["observatory"] |= {"latitude": 50.0, "longitude": 10.0, "observer": "A Tester"}
    config["photometry"]["node_id"] = "test-node"
    config["image_watcher"] |= {
        "watch_path": str(folder / "frames"),
        "debounce_delay": 0.05,
        "poll_interval": 0.2,
        "incomplete_timeout": 0.3,
    }
    config["cloud"] |= {
        "enabled": bool(url),
        "url": url,
        "data_dir": str(folder / "data"),
        "heartbeat_interval": 0.3,
        "plan_poll_interval": 0.3,
    }
    config["dashboard"]["enabled"] = False  # nodes of many tests run at once
    (folder / "frames").mkdir(exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    return config


def until(holds: Any, deadline_s: float = 30.0) -> None:
    """Wait until something holds, and fail where it does not come to hold."""
    ends = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < ends, "it did not come to pass in time"
        time.sleep(0.02)

"""A telescope to command: real ASCOM Alpaca devices over HTTP, which draw the catalogue's sky."""

import copy
import importlib.util
import socket
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from boundless_skies.demo.narration import DemoFailure
from boundless_skies.node.catalogue import Catalogue

LIBRARY = "alpaca-simulators"
APERTURE_MM = 50.0

Changes = Mapping[str, Mapping[str, Any]]

# A Seestar S50, but with half its pixels on a side: its frames are drawn four times as fast.
_SEESTAR: Changes = {
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
        "aperturediameter": APERTURE_MM / 1000.0,
        "slew_rate": 30.0,
        "equatorialsystem": 2,
        "parkrightascension": 5.0,
        "parkdeclination": 60.0,
    },
    "observingconditions": {"cloudcover": 0.25, "windspeed": 3.5},
}


def check_installed() -> None:
    """Raise DemoFailure, with the command that brings it, where the simulators are missing."""
    _template()


def write_sky(path: Path, places_deg: Sequence[tuple[float, float]], radius_deg: float) -> int:
    """Write the bundled catalogue's stars around some places into an SQLite file.

    Tycho-2's V stands for Gaia's G: the simulators ask for the brightest stars only, and
    draw them with that magnitude.

    Parameters
    ----------
    path : Path
        The file, which is not there yet.
    places_deg : sequence of (float, float)
        Right ascension and declination of each place, J2000, degrees.
    radius_deg : float
        How far around each, degrees.

    Returns
    -------
    int
        How many stars they are; one that is near two places counts once.
    """
    catalogue = Catalogue.load()
    cones = [catalogue.cone(ra_deg, dec_deg, radius_deg) for ra_deg, dec_deg in places_deg]
    stars = np.unique(
        np.concatenate([np.column_stack((c.ra_deg, c.dec_deg, c.mag)) for c in cones]), axis=0
    )
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE gaia_sources (ra REAL, dec REAL, pmra REAL, pmdec REAL, "
            "phot_g_mean_mag REAL)"
        )
        database.executemany("INSERT INTO gaia_sources VALUES (?, ?, 0.0, 0.0, ?)", stars.tolist())
        database.execute("CREATE INDEX place ON gaia_sources (dec, ra)")
    return len(stars)


def simulators_config(sky: Path, *changes: Changes) -> dict[str, Any]:
    """Return the simulators' own example config with a Seestar's numbers, and a sky.

    Parameters
    ----------
    sky : Path
        What `write_sky` has written.
    *changes : mapping
        What is to be otherwise, by kind of device; the later ones count.

    Returns
    -------
    dict
        To be written as YAML.

    Raises
    ------
    DemoFailure
        If the simulators are not installed.
    """
    config: dict[str, Any] = copy.deepcopy(yaml.safe_load(_template().read_text(encoding="utf-8")))
    for group in (_SEESTAR, *changes):
        for kind, values in group.items():
            config["devices"][kind][0].update(values)
    return config | {"tap_source": str(sky)}


def simulators_words(config: Path, port: int) -> list[str]:
    """Return the command that runs the simulators on loopback.

    Parameters
    ----------
    config : Path
        Their config.
    port : int
        Where they listen.

    Returns
    -------
    list of str
        The program and its arguments.
    """
    program = [sys.executable, "-m", "alpaca_simulators.run_simulator"]
    return [*program, "--host", "127.0.0.1", "--port", str(port), "--config", str(config)]


def free_port() -> int:
    """Return a port of loopback on which nothing listens now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _template() -> Path:
    package = importlib.util.find_spec("alpaca_simulators")
    if package is None or package.origin is None:
        raise DemoFailure(
            f"the telescope's simulators are not installed. Get them with: "
            f"{sys.executable} -m pip install {LIBRARY}"
        )
    return Path(package.origin).parent / "config" / "template.yaml"

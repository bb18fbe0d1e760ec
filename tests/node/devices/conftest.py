"""Telescopes that the contract is held against, each with a sky above it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.support.alpaca_server import DEC_DEG, RA_DEG, alpaca_server

from boundless_skies.node.clock import Clock, SystemClock
from boundless_skies.node.devices.alpaca import TelescopeSettings, connect_telescope
from boundless_skies.node.devices.capabilities import Telescope
from boundless_skies.simulation.clock import FastClock
from boundless_skies.simulation.mount import MountTraits
from boundless_skies.simulation.telescope import Traits, simulated_telescope
from boundless_skies.sky import Site


@dataclass(frozen=True)
class Bench:
    """A telescope under test.

    Attributes
    ----------
    telescope : Telescope
        As its maker's settings have it: parked, some degrees beside `ra_deg`.
    clock : Clock
        The one that it waits with.
    ra_deg, dec_deg : float
        A place that it can see stars at, J2000.
    """

    telescope: Telescope
    clock: Clock
    ra_deg: float
    dec_deg: float


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the simulators once for all tests."""
    with alpaca_server(tmp_path_factory.mktemp("simulators")) as address:
        yield address


def _alpaca(request: pytest.FixtureRequest) -> Bench:
    address = request.getfixturevalue("simulators")
    with urlopen(f"http://{address}/reload", timeout=10):
        pass
    clock = SystemClock()
    telescope = connect_telescope(TelescopeSettings(address=address), clock)
    return Bench(telescope, clock, RA_DEG, DEC_DEG)


def _simulated(_request: pytest.FixtureRequest) -> Bench:
    # All that is north of 40° stands above the horizon of 50° north, whatever the time is.
    clock = FastClock(datetime(2026, 3, 1, 20, 0, tzinfo=UTC), speed=20.0)
    mount = MountTraits(alignment_error_arcsec=20.0)
    site = Site(50.0, 10.0, 300.0)
    telescope = simulated_telescope(clock, site, seed=1, traits=Traits(mount=mount))
    return Bench(telescope, clock, 100.0, 60.0)


# Another implementation adds its line, and passes the same tests.
IMPLEMENTATIONS: dict[str, Callable[[pytest.FixtureRequest], Bench]] = {
    "alpaca": _alpaca,
    "simulated": _simulated,
}


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest) -> Bench:
    """Give each telescope in turn, fresh."""
    return IMPLEMENTATIONS[request.param](request)


@pytest.fixture
def frame_path(tmp_path: Path) -> Path:
    """Give a place for a frame."""
    return tmp_path / "frame.fits"

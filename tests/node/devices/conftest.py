"""Telescopes that the contract is held against, each with a sky above it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.support.alpaca_server import DEC_DEG, RA_DEG, alpaca_server

from boundless_skies.node.clock import Clock, SystemClock
from boundless_skies.node.devices.alpaca import TelescopeSettings, connect_telescope
from boundless_skies.node.devices.capabilities import Telescope


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


# Another implementation adds its line, and passes the same tests.
IMPLEMENTATIONS: dict[str, Callable[[pytest.FixtureRequest], Bench]] = {"alpaca": _alpaca}


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest) -> Bench:
    """Give each telescope in turn, fresh."""
    return IMPLEMENTATIONS[request.param](request)


@pytest.fixture
def frame_path(tmp_path: Path) -> Path:
    """Give a place for a frame."""
    return tmp_path / "frame.fits"

"""``boundless node telescope``: what answers, and what it can do."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.node.devices.fakes import FakeAlpaca, error, fake_alpaca

from boundless_skies.node.devices.alpaca import discovery
from boundless_skies.node.main import node


@pytest.fixture
def fake() -> Iterator[FakeAlpaca]:
    """Run a server."""
    with fake_alpaca() as running:
        for kind in {key.partition("/")[0] for key in running.values}:
            running.values[f"{kind}/connected"] = False
        yield running


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start where no config is."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(node, ["telescope", *arguments])


def test_devices_and_abilities_are_shown(fake: FakeAlpaca) -> None:
    """Each device with what it can do, and the line for the config."""
    fake.values["telescope/focallength"] = 0.25
    result = run("--address", fake.address)
    assert result.exit_code == 0, result.output
    for shown in (
        "mount 0: telescope",
        "follows the sky",
        "counts in J2000",
        "focal length 250 mm",
        "6 × 4 pixels",
        "positions 0 to 1000, now 500",
        "filters B, V",
        "says that it is safe now",
        f'telescope: {{address: "{fake.address}"}}',
    ):
        assert shown in result.output


def test_nothing_is_moved_and_nothing_left_connected(fake: FakeAlpaca) -> None:
    """Looking changes nothing: what was not connected before is let go again."""
    run("--address", fake.address)
    assert {name.partition("/")[2] for name, _ in fake.orders} == {"connected"}
    assert fake.values["camera/connected"] is False


def test_connected_device_stays_so(fake: FakeAlpaca) -> None:
    """Another program's connection is not taken away from it."""
    fake.values["camera/connected"] = True
    run("--address", fake.address)
    assert not fake.ordered("camera/connected")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"telescope/canslewasync": False}, "Lacking: a mount that goes to places by itself"),
        ({"telescope/connected": error(0x500, "no USB")}, "Lacking: a mount that answers"),
        ({"camera/sensortype": 3}, "Lacking: a camera that answers"),
    ],
)
def test_what_is_lacking_is_told(fake: FakeAlpaca, changes: dict[str, object], words: str) -> None:
    """A telescope that the node cannot use ends with exit code 1, and why."""
    fake.values |= changes
    result = run("--address", fake.address)
    assert result.exit_code == 1
    assert words in result.output


def test_json_is_for_programs(fake: FakeAlpaca) -> None:
    """The same as JSON, with what is wrong with a device beside those that work."""
    fake.values["focuser/connected"] = error(0x500, "no USB")
    result = run("--address", fake.address, "--json")
    (server,) = json.loads(result.stdout)
    assert server["address"] == fake.address
    focuser = next(device for device in server["devices"] if device["kind"] == "focuser")
    assert "no USB" in focuser["trouble"]


def test_servers_in_the_network_are_found(
    fake: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address, whoever answers is listed."""
    monkeypatch.setattr(discovery, "discover", lambda: (fake.address,))
    assert fake.address in run().output


def test_empty_network_says_what_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: the owner reads what to try, and the exit code is 2."""
    monkeypatch.setattr(discovery, "discover", lambda: ())
    result = run()
    assert result.exit_code == 2
    assert "--address" in result.output


def test_wrong_address_is_one_line(fake: FakeAlpaca) -> None:
    """Nothing listens there: one line, exit code 2."""
    fake.server.close()
    result = run("--address", fake.address)
    assert result.exit_code == 2
    assert result.output.count("\n") == 1

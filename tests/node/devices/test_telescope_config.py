"""The block of the config that says which telescope the node moves."""

from pathlib import Path

import pytest

from boundless_skies.node.config import ConfigFileError, defaults, load_config
from boundless_skies.node.devices.alpaca import TelescopeSettings


def loaded(tmp_path: Path, text: str) -> dict[str, object]:
    """Load a config."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    block: dict[str, object] = load_config(path)["telescope"]
    return block


def test_defaults_of_the_config_are_those_of_the_settings() -> None:
    """Nobody has to know two sets of numbers, and nothing moves unless its owner says so."""
    block = defaults()["telescope"]
    assert TelescopeSettings.from_config(block) == TelescopeSettings()
    assert block["enabled"] is False


def test_settings_are_what_the_file_says(tmp_path: Path) -> None:
    """Address, numbers and times reach the devices."""
    block = loaded(
        tmp_path, "telescope: {address: ' scope:1 ', camera: 1, focuser: -1, timeout: 3}"
    )
    expected = TelescopeSettings(address="scope:1", camera=1, focuser=-1, timeout_s=3)
    assert TelescopeSettings.from_config(block) == expected


@pytest.mark.parametrize(
    "text",
    [
        "telescope: Celestron C8",
        "telescope: [1, 2]",
        "telescope: {focal_length: 250, host: scope, ip: 10.0.0.2, device_number: 0}",
    ],
)
def test_blocks_of_other_programs_do_no_harm(tmp_path: Path, text: str) -> None:
    """Other programs keep a telescope in the same file, in their own words."""
    assert loaded(tmp_path, text) == defaults()["telescope"]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("adress", "address"), ("Address", "address"), ("motion_timeouts", "motion_timeout")],
)
def test_slip_in_one_of_our_keys_is_told(tmp_path: Path, slip: str, meant: str) -> None:
    """What looks like our key misspelt is not taken for another program's."""
    with pytest.raises(ConfigFileError, match=f"did you mean telescope.{meant}"):
        loaded(tmp_path, f"telescope: {{{slip}: 1}}")

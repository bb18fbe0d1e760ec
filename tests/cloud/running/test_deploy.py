"""The files in ``deploy/`` fit the program."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from boundless_skies.cloud.main import ADMIN_KEY_VARIABLE, cloud

DEPLOY = Path(__file__).parents[3] / "deploy"
UNIT = DEPLOY / "boundless-cloud.service"
CONTAINER = (DEPLOY / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OPTIONS = {option for parameter in cloud.params for option in parameter.opts}
VARIABLES = {str(parameter.envvar) for parameter in cloud.params if parameter.envvar}


def options_in(words: list[str]) -> set[str]:
    """Return the options among some words."""
    return {word for word in words if word.startswith("--")}


def test_the_unit_starts_the_program_with_its_options() -> None:
    """No option that there is not, and the folder that systemd makes."""
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    words = shlex.split(line)
    assert words[:2] == ["/opt/boundless/bin/boundless", "cloud"]
    assert options_in(words) <= OPTIONS
    assert "/var/lib/boundless" in words
    assert "StateDirectory=boundless\n" in UNIT.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Its own check finds nothing to say, once the program is there."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/boundless/bin/boundless", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_container_starts_the_program_with_its_options() -> None:
    """As a user of its own, on the port that it tells and asks."""
    words = [
        word
        for kind in ("ENTRYPOINT", "CMD")
        for found in re.findall(rf"^{kind} (\[.*\])$", CONTAINER, re.MULTILINE)
        for word in yaml.safe_load(found)
    ]
    assert words[:2] == ["boundless", "cloud"]
    assert options_in(words) <= OPTIONS
    assert "USER 10001\n" in CONTAINER
    (port,) = (parameter.default for parameter in cloud.params if parameter.name == "port")
    assert f"EXPOSE {port}\n" in CONTAINER
    assert f"http://127.0.0.1:{port}/ready" in CONTAINER


def test_the_container_keeps_its_data_in_the_volume() -> None:
    """Of a subcommand called in it as well, which is told no folder."""
    settings = dict(re.findall(r"\b(BOUNDLESS_\w+)=(\S+)", CONTAINER))
    assert set(settings) <= VARIABLES
    assert f"VOLUME {settings['BOUNDLESS_DATA']}\n" in CONTAINER
    assert "--data" not in CONTAINER
    volumes = COMPOSE["services"]["cloud"]["volumes"]
    assert volumes == [f"cloud:{settings['BOUNDLESS_DATA']}"]


def test_compose_sets_what_the_program_reads() -> None:
    """Every variable is one of ours, every subcommand there, no password written down."""
    services = COMPOSE["services"]
    named = {name for name in services["cloud"]["environment"] if name.startswith("BOUNDLESS_")}
    assert named <= VARIABLES | {ADMIN_KEY_VARIABLE}
    assert services["migrate"]["command"][0] in cloud.commands
    conditions = {name: told["condition"] for name, told in services["cloud"]["depends_on"].items()}
    assert conditions == {
        "database": "service_healthy",
        "migrate": "service_completed_successfully",
    }
    passwords = re.findall(r"PASSWORD: (.*)$", (DEPLOY / "compose.yaml").read_text(), re.MULTILINE)
    assert passwords
    assert all(value.startswith("${") for value in passwords)
    published = {name for name, service in services.items() if "ports" in service}
    assert published == {"proxy"}


def test_compose_builds_an_image_once() -> None:
    """Two builds at once of one name get into each other's way."""
    services = COMPOSE["services"].values()
    ours = [service for service in services if service["image"] == "boundless-cloud"]
    assert len([service for service in ours if "build" in service]) == 1
    assert all(service["pull_policy"] == "never" for service in ours if "build" not in service)


def test_compose_takes_the_database_for_ready_when_it_hears_tcp() -> None:
    """While it sets itself up it hears its socket alone, and the migration would fail."""
    asked = COMPOSE["services"]["database"]["healthcheck"]["test"]
    assert asked[:4] == ["CMD", "pg_isready", "-h", "127.0.0.1"]


def test_compose_can_stop_a_cloud_that_is_still_starting() -> None:
    """The kernel hands the first process of a container no signal that it does not handle."""
    assert COMPOSE["services"]["cloud"]["init"] is True

"""Starting and stopping a cloud, and what it leaves on disk."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import CLOUD_COMMAND, running_cloud

from boundless_skies.cli import main

INTERRUPT = {"name": "SN 2026abc", "ra_deg": 210.9, "dec_deg": 54.3}
STARTS_WITHIN_S = 60


def refused_start(*arguments: str) -> str:
    """Try to start a cloud that cannot; return its one line of complaint."""
    done = subprocess.run(
        [*CLOUD_COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """One line says which port, and what to do; nothing is made on disk."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused_start("--data", str(tmp_path / "c"), "--port", str(port))
    assert f"port {port}" in line
    assert "--port" in line
    assert not (tmp_path / "c").exists()


def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    """One line says which folder, why, and what to do."""
    (tmp_path / "file").write_text("")
    line = refused_start("--data", str(tmp_path / "file" / "c"), "--port", "0")
    assert str(tmp_path / "file" / "c") in line
    assert "--data" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    """A folder without the right to write is told in the same way."""
    tmp_path.chmod(0o500)
    assert "cannot be written" in refused_start("--data", str(tmp_path), "--port", "0")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """Somebody else's file under the database's name is left as it is."""
    (tmp_path / "cloud.sqlite3").write_text("this is a shopping list" * 100)
    line = refused_start("--data", str(tmp_path), "--port", "0")
    assert "cannot be opened" in line
    assert "shopping list" in (tmp_path / "cloud.sqlite3").read_text()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    """An older cloud does not touch the tables of a newer one."""
    with running_cloud(tmp_path / "c"):
        pass
    engine = create_engine(f"sqlite:///{tmp_path}/c/cloud.sqlite3")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE settings SET value = '9999' WHERE name = 'oldest_code'"))
    engine.dispose()
    line = refused_start("--data", str(tmp_path / "c"), "--port", "0")
    assert "stand at step 9999" in line
    assert "newer" in line


def test_a_folder_without_a_cloud_is_told(tmp_path: Path) -> None:
    """A subcommand makes nothing by accident."""
    done = CliRunner().invoke(main, ["cloud", "--data", str(tmp_path / "no"), "nodes"])
    assert done.exit_code == 1
    assert "boundless cloud --data" in done.output
    assert not (tmp_path / "no").exists()


def test_the_operators_key_is_made_once_and_kept_hashed(tmp_path: Path) -> None:
    """The first start shows it, later ones take it without showing it, and no file has it."""
    with running_cloud(tmp_path / "c", admin_key=None) as cloud:
        found = re.search(r"operator_[\w-]+", cloud.log.read_text())
        assert found is not None
        operator = Client(cloud.url, {"X-Admin-Key": found[0]})
        operator.post("/api/v1/interrupts", INTERRUPT)
    with running_cloud(tmp_path / "c", admin_key=None) as cloud:
        assert "operator_" not in cloud.log.read_text()
        Client(cloud.url, operator.identity).post("/api/v1/interrupts", INTERRUPT)
        assert not _holds(cloud.data_dir, found[0])


def test_a_given_key_wins_and_is_not_stored(tmp_path: Path) -> None:
    """The environment's key counts while it is there, and is never written."""
    with running_cloud(tmp_path / "c", admin_key="from the environment") as cloud:
        Client(cloud.url, {"X-Admin-Key": "from the environment"}).post(
            "/api/v1/interrupts", INTERRUPT
        )
        assert "operator_" not in cloud.log.read_text()
        assert not _holds(cloud.data_dir, "from the environment")


def test_the_data_is_its_owners_alone(tmp_path: Path) -> None:
    """Folder 0700, files 0600, also under a lax umask; node keys stand nowhere in it."""
    before = os.umask(0)
    try:
        with running_cloud(tmp_path / "c") as cloud:
            node = Client(cloud.url).register()
            node.post("/api/v1/measurements", make_measurement())
            node.upload(b"SIMPLE")
            modes = {p: p.stat().st_mode & 0o777 for p in [cloud.data_dir, *_tree(cloud.data_dir)]}
            assert not _holds(cloud.data_dir, node.identity["X-Api-Key"])
    finally:
        os.umask(before)
    wrong = {p: oct(m) for p, m in modes.items() if m != (0o700 if p.is_dir() else 0o600)}
    assert not wrong


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """A signal ends it with exit code 0, with idle and half-open connections at hand."""
    with running_cloud(tmp_path / "c") as cloud:
        node = Client(cloud.url).register()
        with socket.create_connection(("127.0.0.1", cloud.port)) as half_open:
            half_open.sendall(b"POST /api/v1/measurements HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
            node.post("/api/v1/nodes/heartbeat")
            cloud.process.send_signal(number)
            assert cloud.process.wait(20) == 0
        assert "Cloud stopped." in cloud.log.read_text()
        assert "Traceback" not in cloud.log.read_text()


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    """Identity, measurements and interrupts are there after a kill."""
    with running_cloud(tmp_path / "c") as cloud:
        node = Client(cloud.url).register("keeper")
        node.post("/api/v1/measurements", make_measurement())
        Client(cloud.url, {"X-Admin-Key": cloud.admin_key}).post("/api/v1/interrupts", INTERRUPT)
        half = cloud.data_dir / "incoming" / "half.part"
        half.write_bytes(b"left over")
        os.utime(half, (0, 0))
        cloud.kill()
    with running_cloud(tmp_path / "c", port=cloud.port) as again:
        assert again.url == cloud.url
        node = Client(again.url, node.identity)
        assert len(node.get("/api/v1/interrupts")["interrupts"]) == 1
        assert node.get("/api/v1/lightcurves/SS%20Cyg")["n"] == 1
        assert node.get("/api/v1/targets")["targets"][0]["points"] == 1
        assert not half.exists()


def _tree(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


def _holds(folder: Path, secret: str) -> bool:
    return any(secret.encode() in p.read_bytes() for p in _tree(folder) if p.is_file())

"""Examining a deployment."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cloud.running.conftest import Call
from tests.support.cloud_server import RunningCloud
from tests.support.postgresql import Postgresql, database_name

from boundless_skies.cloud.services import examination
from boundless_skies.cloud.services.examination import Level
from boundless_skies.cloud.storage.condition import Condition

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def examine(call: Call, *arguments: Any) -> tuple[int, dict[str, str]]:
    """Return the exit code, and the level of each finding by its text."""
    done = call(*arguments, "--json")
    assert "Traceback" not in done.output
    return done.exit_code, {each["text"]: each["level"] for each in json.loads(done.stdout)}


def level_of(findings: dict[str, str], part: str) -> str:
    """Return the level of the finding that has a part in its text."""
    (level,) = [level for text, level in findings.items() if part in text]
    return level


def test_a_good_deployment_is_good(
    cloud: RunningCloud, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a running cloud, on its own folder and at its own address."""
    monkeypatch.setenv("BOUNDLESS_ADMIN_KEY", cloud.admin_key)
    done = call("--data", cloud.data_dir, "doctor", "--url", cloud.url)
    assert done.exit_code == 0, done.output
    assert f"✓ {cloud.url} is ready." in done.output
    assert "✗" not in done.output
    assert "!" not in done.output


def test_what_is_wrong_is_told_with_what_to_do(cloud: RunningCloud, call: Call) -> None:
    """A folder open to others, an address where nobody answers; the exit code is 2."""
    cloud.data_dir.chmod(0o755)
    try:
        code, findings = examine(
            call, "--data", cloud.data_dir, "doctor", "--url", "http://127.0.0.1:9"
        )
    finally:
        cloud.data_dir.chmod(0o700)
    assert code == 2
    assert level_of(findings, "chmod 700") == "bad"
    assert level_of(findings, "does not answer") == "bad"


def test_looking_makes_nothing(tmp_path: Path, call: Call) -> None:
    """A folder without a cloud is told, and stays as it is."""
    for folder in (tmp_path, tmp_path / "none"):
        code, _ = examine(call, "--data", folder, "doctor")
        assert code == 2
    assert not list(tmp_path.iterdir())


def test_a_database_is_examined(
    tmp_path: Path, database_url: str, postgresql: Postgresql, call: Call
) -> None:
    """Tables that are missing, settings that lose commits, nobody who can get in."""
    tmp_path.chmod(0o700)
    options = ("--data", tmp_path, "--database", database_url)
    code, findings = examine(call, *options, "doctor")
    assert code == 2
    assert level_of(findings, "boundless cloud migrate") == "bad"
    call(*options, "migrate")
    name = database_name(database_url)
    postgresql.run_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    code, findings = examine(call, *options, "doctor")
    assert level_of(findings, "synchronous_commit = off") == "bad"
    assert level_of(findings, "No admin") == "doubtful"
    assert level_of(findings, "clock") == "good"


def test_an_unreachable_database_is_told_without_its_password(tmp_path: Path, call: Call) -> None:
    """The address is shown, the password is not."""
    url = f"postgresql://sky:hunter2@/sky?host={tmp_path}"
    done = call("--data", tmp_path, "--database", url, "doctor")
    assert done.exit_code == 2
    assert "cannot be opened" in done.output
    assert "hunter2" not in done.output


@pytest.mark.parametrize(
    ("found", "part"),
    [
        (Condition(kind="SQLite", lax={"synchronous": "0"}, damage=None, now=None), "loss of pow"),
        (Condition(kind="SQLite", lax={}, damage="row 7 missing", now=None), "row 7 missing"),
        (Condition(kind="P", lax={}, damage=None, now=NOW + timedelta(hours=1)), "3600 s"),
    ],
)
def test_bad_conditions_are_bad(found: Condition, part: str) -> None:
    """What loses data, or tells the wrong time, must be mended."""
    levels = {f.text: f.level for f in examination.judge_condition(found, lambda: NOW)}
    assert [level for text, level in levels.items() if part in text] == [Level.BAD]

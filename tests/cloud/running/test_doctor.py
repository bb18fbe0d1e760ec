"""Examining a deployment."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cloud.running.conftest import Call
from tests.support.cloud_client import Client
from tests.support.cloud_server import RunningCloud, running_cloud
from tests.support.postgresql import Postgresql, database_name

from boundless_skies.cloud.domain.admission import CodeState, Policy
from boundless_skies.cloud.services import examination
from boundless_skies.cloud.services.examination import Level
from boundless_skies.cloud.services.network_examination import NetworkState, judge_network
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
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a running cloud, on its own folder and at its own address."""
    with running_cloud(tmp_path / "cloud") as cloud:
        monkeypatch.setenv("BOUNDLESS_ADMIN_KEY", cloud.admin_key)
        Client(cloud.url).register()
        done = call("--data", cloud.data_dir, "doctor", "--url", cloud.url)
    assert done.exit_code == 0, done.output
    assert f"✓ {cloud.url} is ready." in done.output
    assert "✓ 1 node registered, 0 online." in done.output
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


VALID, EXPIRED = CodeState.VALID, CodeState.EXPIRED


@pytest.mark.parametrize(
    ("state", "level", "part"),
    [
        ({}, Level.GOOD, "Anybody may register a node."),
        ({"codes": {VALID: 2}}, Level.DOUBTFUL, "though 2 activation codes could"),
        ({"policy": Policy.CODE, "codes": {VALID: 1}}, Level.GOOD, "with an activation code"),
        ({"policy": Policy.CODE, "codes": {EXPIRED: 1}}, Level.GOOD, "No node can register"),
        ({"policy": Policy.CLOSED}, Level.GOOD, "No node may register"),
        ({"codes": {EXPIRED: 3}}, Level.GOOD, "0 withdrawn, 3 expired unused. Whoever"),
        ({"nodes": 3, "settled_nodes": 2}, Level.DOUBTFUL, "None of 3 nodes has been heard"),
        ({"nodes": 3, "settled_nodes": 2, "heard": 1, "online": 1}, Level.GOOD, "1 online"),
        ({"nodes": 3}, Level.GOOD, "3 nodes registered, 0 online"),
        ({"nodes": 3, "behind": 1}, Level.DOUBTFUL, "1 node online with measurements that wait"),
        ({"disputed": 1_200}, Level.GOOD, "1,200 disputed measurements not judged"),
        ({"due": 1}, Level.GOOD, "Points of 1 target are being compared anew"),
        ({"idle_tokens": tuple("abcdefg")}, Level.DOUBTFUL, "a, b, c, d, e and 2 more"),
    ],
)
def test_a_network_is_judged(state: dict[str, Any], level: Level, part: str) -> None:
    """Each trouble is told once, with its measure and what to do; what is well is no trouble."""
    findings = list(judge_network(NetworkState(**{"policy": Policy.OPEN, **state})))
    assert [f.level for f in findings if part in f.text] == [level]
    assert max(f.level for f in findings) == level


def test_what_stands_in_the_database_is_judged(
    tmp_path: Path, database_url: str, postgresql: Postgresql, call: Call
) -> None:
    """Codes that expired unused, nodes that fell silent, tokens that nobody uses."""
    options = ("--data", tmp_path, "--database", database_url)
    call(*options, "migrate")
    call(*options, "codes", "create", "--count", "3")
    call(*options, "tokens", "create", "old", "--role", "reader")
    name = database_name(database_url)
    postgresql.run_sql(
        "UPDATE operator_tokens SET created_at = now() - interval '200 days';"
        "UPDATE activation_codes SET expires_at = now() - interval '1 day' "
        "WHERE code IN (SELECT code FROM activation_codes LIMIT 2)",
        name,
    )
    code, findings = examine(call, *options, "doctor")
    assert level_of(findings, "Of 3 activation codes, 0 used, 1 valid") == "good"
    assert level_of(findings, "2 expired unused") == "good"
    assert level_of(findings, "1 token not used for 180 days: old.") == "doubtful"
    assert level_of(findings, "0 nodes registered, 0 online.") == "good"
    assert code >= Level.DOUBTFUL

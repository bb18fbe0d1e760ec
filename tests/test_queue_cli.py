"""`boundless queue`, as a person in front of a terminal uses it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.capture_server import Answer, capture_server, wait_until
from tests.support.disks import small_disk

from boundless_skies.cli import main
from cloud_communicator.payload import measurement_payload
from cloud_communicator.retryqueue import QUEUE_NAME, RetryQueue


def run(folder: Path, *args: str) -> Result:
    """Run one queue command on a data folder."""
    return CliRunner().invoke(main, ["queue", "--data-dir", str(folder), *args])


def listed(folder: Path) -> dict[str, list[float]]:
    """Return the BJDs that `list --json` shows, by book."""
    found = json.loads(run(folder, "list", "--json").stdout)
    books = ("queued", "evicted", "rejected", "dropped")
    return {n: [r["payload"]["measurement"]["bjd"] for r in found[n]] for n in books}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder with 4 queued, 3 evicted and 1 rejected measurement."""
    data = tmp_path / "data"
    queue = RetryQueue(data, cap=5)
    for day in range(8):
        queue.put(measurement_payload({"target_name": "SS Cyg", "bjd": 2460000.5 + day}, None))
    first = queue.entries()[0]
    for _ in range(3):
        queue.refused(first, 400, "magnitude out of range")
    queue.file.close()
    return data


def test_list_shows_each_book_and_why_an_entry_left(folder: Path) -> None:
    """The counts stand on the first line, the reason behind each rejected entry."""
    assert "4 queued, 3 evicted, 1 rejected, 0 dropped" in run(folder, "list").stdout
    assert "refused by the cloud 400 magnitude out of range" in (
        run(folder, "list", "--rejected").stdout
    )
    assert listed(folder)["evicted"] == [2460000.5, 2460001.5, 2460002.5]


@pytest.mark.parametrize("book", ["evicted", "rejected"])
def test_replay_brings_entries_back_to_the_end_of_the_queue(folder: Path, book: str) -> None:
    """What was replayed is queued again, and nowhere else."""
    before = listed(folder)
    assert run(folder, "replay", f"--{book}").exit_code == 0
    after = listed(folder)
    assert after["queued"] == before["queued"] + before[book]
    assert after[book] == []


def test_replay_of_one_key_leaves_the_others(folder: Path) -> None:
    """A key names one entry."""
    key = json.loads(run(folder, "list", "--json").stdout)["evicted"][1]["key"]
    assert "1 of 1 evicted" in run(folder, "replay", "--evicted", key).stdout
    assert listed(folder)["evicted"] == [2460000.5, 2460002.5]


def test_replay_stops_at_the_cap_and_says_so(tmp_path: Path) -> None:
    """What the queue has no room for stays where it was."""
    queue = RetryQueue(tmp_path, cap=500)
    for number in range(520):
        queue.put(measurement_payload({"bjd": float(number)}, None))
    queue.file.close()
    outcome = run(tmp_path, "replay", "--evicted")
    assert outcome.exit_code == 1
    assert "0 of 20" in outcome.stdout
    assert len(listed(tmp_path)["evicted"]) == 20


def test_drop_asks_and_keeps_what_it_drops(folder: Path) -> None:
    """Dropping needs a yes, and can be undone."""
    key = json.loads(run(folder, "list", "--json").stdout)["queued"][0]["key"]
    assert run(folder, "drop", key).exit_code == 1
    assert len(listed(folder)["queued"]) == 4
    assert run(folder, "drop", key, "--yes").exit_code == 0
    assert listed(folder)["dropped"] == [2460004.5]
    assert run(folder, "replay", "--dropped").exit_code == 0
    assert listed(folder)["queued"][-1] == 2460004.5


def test_export_gives_the_payloads_as_the_queue_has_them(folder: Path, tmp_path: Path) -> None:
    """The export is a JSON array of payload dicts."""
    output = tmp_path / "out.json"
    assert run(folder, "export", "--evicted", "-o", str(output)).exit_code == 0
    assert [p["measurement"]["bjd"] for p in json.loads(output.read_text())] == [
        2460000.5,
        2460001.5,
        2460002.5,
    ]


def test_verify_tells_damage_and_changes_nothing(folder: Path) -> None:
    """A flipped byte is found; the file stays as it is until the link reads it."""
    assert run(folder, "verify").exit_code == 0
    path = folder / QUEUE_NAME
    data = bytearray(path.read_bytes())
    data[data.index(b"SS Cyg")] ^= 1
    path.write_bytes(data)
    outcome = run(folder, "verify", "--json")
    assert outcome.exit_code == 1
    assert json.loads(outcome.stdout)["damaged_now"] == 1
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        (("replay",), "--evicted, --rejected or --dropped"),
        (("replay", "--evicted", "nothing"), "No entry has the key"),
        (("drop",), "boundless queue list"),
        (("drop", "zzz"), "No entry has the key"),
    ],
)
def test_wrong_calls_say_what_to_do(folder: Path, args: tuple[str, ...], advice: str) -> None:
    """A usage error is one line with the way out, exit code 2."""
    outcome = run(folder, *args)
    assert outcome.exit_code == 2
    assert advice in outcome.output


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    """The owner is told where to run the command."""
    outcome = run(tmp_path / "none", "list")
    assert outcome.exit_code == 1
    assert "There is no data folder" in outcome.output


def test_books_are_shown_on_a_card_that_went_read_only(tmp_path: Path) -> None:
    """List, verify and export need to write nothing; replay and drop say why they cannot."""
    with small_disk(tmp_path / "card", 200_000) as card:
        RetryQueue(card.root).put(measurement_payload({"bjd": 2460000.5}, None))
        card.shut(card.root)
        assert listed(card.root)["queued"] == [2460000.5]
        assert run(card.root, "verify").exit_code == 0
        assert len(json.loads(run(card.root, "export").stdout)) == 1
        outcome = run(card.root, "drop", "--all", "--yes")
        assert outcome.exit_code == 1
        assert "cannot be used: Read-only file system" in outcome.output
        card.mend()


def test_misspelt_command_gets_the_nearest_right_one() -> None:
    """`boundless queu` is answered with queue."""
    outcome = CliRunner().invoke(main, ["queu"])
    assert outcome.exit_code == 2
    assert "queue" in outcome.output


def test_entries_replayed_beside_a_running_node_are_delivered(folder: Path) -> None:
    """A running link notices what was brought back, and delivers it."""
    from cloud_communicator import CloudCommunicator  # noqa: PLC0415 - only this test runs a link

    with capture_server() as server:
        server.rules["/api/v1/measurements"] = Answer(body={"ok": True, "id": 1})
        cloud = {
            "enabled": True,
            "url": server.url,
            "heartbeat_interval": 0.1,
            "data_dir": str(folder),
        }
        link = CloudCommunicator({"cloud": cloud})
        link.start()
        try:
            server.wait_for("/api/v1/measurements", 4)
            assert run(folder, "replay", "--evicted").exit_code == 0
            server.wait_for("/api/v1/measurements", 7)
            wait_until(lambda: link.status["queued_uploads"] == 0)
        finally:
            link.stop()
        arrived = [r.json()["measurement"]["bjd"] for r in server.to("/api/v1/measurements")]
    assert sorted(arrived) == [2460000.5 + day for day in range(8) if day != 3]

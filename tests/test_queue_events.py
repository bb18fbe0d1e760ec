"""`boundless queue` for events of plans and interrupts, and for images."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.capture_server import Answer, capture_server, wait_until
from tests.support.disks import small_disk

from boundless_skies.cli import main
from boundless_skies.wire import canonical_json
from boundless_skies.wire.features import PLAN_EVENTS
from cloud_communicator import CloudCommunicator
from cloud_communicator.arrayfile import ArrayFile
from cloud_communicator.events import FILES, INTERRUPT, PLAN, event_lines
from cloud_communicator.images import QUEUE_NAME as IMAGES_NAME
from cloud_communicator.payload import measurement_payload
from cloud_communicator.retryqueue import RetryQueue

AT = "2026-03-01T21:05:00Z"
FRAME = "/data/frames/ss_cyg_0001.fits"


def run(folder: Path, *args: str) -> Result:
    """Run one queue command on a data folder."""
    return CliRunner().invoke(main, ["queue", "--data-dir", str(folder), *args])


def listed(folder: Path, *args: str) -> dict[str, Any]:
    """Return what ``list --json`` says."""
    found: dict[str, Any] = json.loads(run(folder, "list", "--json", *args).stdout)
    return found


def ids(records: list[dict[str, Any]]) -> list[str]:
    """Return the events' ids."""
    return [record["payload"]["event"]["event_id"] for record in records]


def event(event_id: str, **more: Any) -> dict[str, Any]:
    """Return an event of an item that is done."""
    return {"event_id": event_id, "item_id": "m81", "state": "done", "at": AT, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder: 3 events queued and 1 rejected, 1 measurement, 1 image."""
    data = tmp_path / "data"
    queue = RetryQueue(data, files=FILES)
    queue.put_all(event_lines(PLAN, "plan-7", [event("e-0"), event("e-1")]))
    skipped = event("e-2", state="skipped", reason="too low", item_id=None)
    queue.put_all(event_lines(INTERRUPT, 41, [skipped, event("e-3", item_id=None)]))
    for _ in range(3):
        queue.refused(queue.entries()[0], 422, "no such item")
    queue.file.close()
    measurements = RetryQueue(data)
    measurements.put(measurement_payload({"target_name": "SS Cyg", "bjd": 2460000.5}, None))
    measurements.file.close()
    images = ArrayFile(data / IMAGES_NAME, hallmark="path")
    images.append(canonical_json({"path": FRAME}))
    images.close()
    return data


def test_list_tells_how_much_of_each_kind_waits(folder: Path) -> None:
    """Measurements first, as ever; then events and images, and how to see them."""
    lines = run(folder, "list").stdout.splitlines()
    assert lines[0].endswith(
        "1 queued, 0 evicted, 0 rejected, 0 dropped, 0 damaged pieces put aside."
    )
    assert lines[1] == (
        "Events of plans and interrupts: 3 queued, 0 evicted, 1 rejected, 0 dropped (--of events)."
    )
    assert lines[2] == "Images: 1 queued (--of images)."
    assert "SS Cyg" in lines[-1]


def test_events_are_shown_with_what_they_are_about(folder: Path) -> None:
    """Plan or interrupt, item, state and time; of a rejected one, why."""
    told = run(folder, "list", "--of", "events").stdout
    rows = [" ".join(line.split()[1:]) for line in told.splitlines()[3:]]
    assert rows == [
        "plan plan-7 m81 done 2026-03-01T21:05:00",
        "interrupt 41 - skipped 2026-03-01T21:05:00",
        "interrupt 41 - done 2026-03-01T21:05:00",
    ]
    rejected = run(folder, "list", "--of", "events", "--rejected").stdout
    assert "refused by the cloud 422 no such item" in rejected


def test_images_are_shown_by_their_paths(folder: Path) -> None:
    """They have no other books."""
    assert FRAME in run(folder, "list", "--of", "images").stdout
    assert run(folder, "list", "--of", "images", "--rejected").exit_code == 0


def test_json_has_all_kinds_or_the_one_that_is_asked_for(folder: Path) -> None:
    """For scripts: what was there before stands where it stood."""
    found = listed(folder)
    assert [r["payload"]["measurement"]["bjd"] for r in found["queued"]] == [2460000.5]
    assert ids(found["events"]["queued"]) == ["e-1", "e-2", "e-3"]
    assert ids(found["events"]["rejected"]) == ["e-0"]
    assert [r["payload"]["path"] for r in found["images"]["queued"]] == [FRAME]
    only = listed(folder, "--of", "events", "--rejected")
    assert ids(only["rejected"]) == ["e-0"]
    assert set(only) == {"rejected", "damaged_pieces"}


def test_rejected_event_is_brought_back_by_its_key(folder: Path) -> None:
    """It goes to the end of the queue of events, and to no other."""
    (key,) = (record["key"] for record in listed(folder, "--of", "events")["rejected"])
    outcome = run(folder, "replay", "--of", "events", "--rejected", key)
    assert outcome.exit_code == 0, outcome.output
    found = listed(folder)
    assert ids(found["events"]["queued"]) == ["e-1", "e-2", "e-3", "e-0"]
    assert found["events"]["rejected"] == []
    assert len(found["queued"]) == 1


def test_dropped_event_is_kept_and_comes_back(folder: Path) -> None:
    """The words name the way back, with the kind in them."""
    key = listed(folder, "--of", "events")["queued"][0]["key"]
    outcome = run(folder, "drop", "--of", "events", key, "--yes")
    assert "boundless queue replay --of events --dropped" in outcome.stdout
    assert ids(listed(folder)["events"]["dropped"]) == ["e-1"]
    assert run(folder, "replay", "--of", "events", "--dropped").exit_code == 0
    assert ids(listed(folder)["events"]["queued"]) == ["e-2", "e-3", "e-1"]


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_images_are_not_brought_back(folder: Path, command: str) -> None:
    """A path that left its queue is let go; the command says which kinds there are."""
    outcome = run(folder, command, "--of", "images")
    assert outcome.exit_code == 2
    assert "'measurements', 'events'" in outcome.output


def test_export_gives_events_as_their_queue_has_them(folder: Path) -> None:
    """Each with its subject."""
    found = json.loads(run(folder, "export", "--of", "events").stdout)
    assert [one.get("plan") or one["interrupt"] for one in found] == ["plan-7", "41", "41"]


@pytest.mark.parametrize(("name", "word"), [(FILES.queue, b"plan-7"), (IMAGES_NAME, b"ss_cyg")])
def test_verify_finds_damage_in_every_queue(folder: Path, name: str, word: bytes) -> None:
    """And says in which file it is."""
    assert run(folder, "verify").exit_code == 0
    path = folder / name
    data = bytearray(path.read_bytes())
    data[data.index(word)] ^= 1
    path.write_bytes(data)
    outcome = run(folder, "verify")
    assert outcome.exit_code == 1
    assert f"1 pieces of {name} cannot be read" in outcome.stdout
    assert json.loads(run(folder, "verify", "--json").stdout)["damaged_now"] == 1


def test_torn_line_of_a_ledger_is_told_by_its_file(folder: Path) -> None:
    """A power cut in the midst of a line."""
    with (folder / FILES.rejected).open("ab") as ledger:
        ledger.write(b'{"at": "2026')
    outcome = run(folder, "verify")
    assert outcome.exit_code == 1
    assert FILES.rejected in outcome.stdout


def test_events_are_shown_on_a_card_that_went_read_only(tmp_path: Path) -> None:
    """Looking needs to write nothing."""
    with small_disk(tmp_path / "card", 200_000) as card:
        queue = RetryQueue(card.root, files=FILES)
        queue.put_all(event_lines(PLAN, "plan-7", [event("e-0")]))
        queue.file.close()
        card.shut(card.root)
        assert ids(listed(card.root, "--of", "events")["queued"]) == ["e-0"]
        card.mend()


def test_event_replayed_beside_a_running_node_is_told(folder: Path) -> None:
    """A cloud that knows the item by now takes it after the next beat."""
    with capture_server() as server:
        server.rules["/api/v1/measurements"] = Answer(body={"ok": True, "id": 1})
        server.rules["/api/v1/nodes/heartbeat"] = Answer(
            body={"ok": True, "features": [PLAN_EVENTS]}
        )
        cloud = {
            "enabled": True,
            "url": server.url,
            "heartbeat_interval": 0.1,
            "data_dir": str(folder),
        }
        link = CloudCommunicator({"cloud": cloud})
        link.start()
        try:
            wait_until(lambda: link.status["queued_events"] == 0 and link.status["features"])
            assert run(folder, "replay", "--of", "events", "--rejected").exit_code == 0
            wait_until(lambda: "e-0" in _arrived(server.requests))
            wait_until(lambda: link.status["queued_events"] == 0)
        finally:
            link.stop()
    assert sorted(_arrived(server.requests)) == ["e-0", "e-1", "e-2", "e-3"]


def _arrived(requests: list[Any]) -> list[str]:
    told = [one.json()["events"] for one in list(requests) if one.path.endswith("/events")]
    return [event["event_id"] for events in told for event in events]

"""The retry queue on disk, as everybody else may read it."""

import json
import threading
from typing import Any

from tests.support.capture_server import Answer, CaptureServer, Request, wait_until
from tests.support.links import MEASUREMENT, MEASUREMENTS, Links, free_port, nth, numbers

from cloud_communicator import CloudCommunicator
from cloud_communicator.disk import file_lock

QUEUE = "cloud_upload_queue.json"
EVICTED = "cloud_upload_evicted.jsonl"


def offline(links: Links, **cloud: Any) -> CloudCommunicator:
    """Build a link whose cloud is away."""
    return links.make(f"http://127.0.0.1:{free_port()}", **cloud)


def on_disk(links: Links) -> list[dict[str, Any]]:
    """Read the queue's file as any program would."""
    found: list[dict[str, Any]] = json.loads((links.folder / QUEUE).read_text())
    return found


def test_queue_is_a_json_array_of_payloads(links: Links) -> None:
    """Each entry is what would have been POSTed, and no more."""
    link = offline(links)
    link.submit_measurement(nth(1), {"wind": 3})
    link.submit_measurement(nth(2))
    assert on_disk(links) == [
        {"measurement": nth(1), "conditions": {"wind": 3}},
        {"measurement": nth(2), "conditions": {}},
    ]


def test_queue_file_and_folder_are_made_when_needed(links: Links) -> None:
    """Neither has to be there before the first entry."""
    link = offline(links, data_dir=str(links.folder / "deep" / "down"))
    assert not links.folder.exists()
    link.submit_measurement(MEASUREMENT)
    assert len(json.loads((links.folder / "deep" / "down" / QUEUE).read_text())) == 1


def test_queue_is_capped_at_500_and_the_oldest_leave_first(links: Links) -> None:
    """The tail of the array is kept; what left is in the file of the evicted."""
    link = links.make("", enabled=True)
    for number in range(503):
        link.submit_measurement(nth(number))
    kept = [round((entry["measurement"]["magnitude"] - 10) * 1000) for entry in on_disk(links)]
    assert kept == list(range(3, 503))
    assert (link.status["queued_uploads"], link.status["evicted"]) == (500, 3)
    evicted = [json.loads(line) for line in (links.folder / EVICTED).read_text().splitlines()]
    assert [record["payload"]["measurement"] for record in evicted] == [nth(0), nth(1), nth(2)]


def test_flush_retries_in_order_and_keeps_what_fails(server: CaptureServer, links: Links) -> None:
    """The delivered are removed, the failed stay for the next cycle."""
    server.rules[MEASUREMENTS] = Answer(503)
    link = links.make(server.url)
    for number in range(5):
        link.submit_measurement(nth(number))
    server.requests.clear()
    poison = {1, 3}

    def answer(request: Request) -> Answer:
        return Answer(500 if numbers([request])[0] in poison else 200)

    server.rules[MEASUREMENTS] = answer
    link.start()
    wait_until(lambda: link.status["queued_uploads"] == 2)
    assert numbers(server.wait_for(MEASUREMENTS, 5))[:5] == [0, 1, 2, 3, 4]
    assert [entry["measurement"] for entry in on_disk(links)] == [nth(1), nth(3)]
    poison.clear()
    wait_until(lambda: link.status["queued_uploads"] == 0)
    assert on_disk(links) == []


def test_queue_of_an_earlier_run_is_delivered(server: CaptureServer, links: Links) -> None:
    """A new object in the same folder sends what the old one left, in its order."""
    old = offline(links)
    for number in range(4):
        old.submit_measurement(nth(number))
    link = links.started(server.url)
    wait_until(lambda: link.status["queued_uploads"] == 0)
    assert numbers(server.to(MEASUREMENTS)) == [0, 1, 2, 3]


def test_queue_written_by_another_program_is_taken_over(
    server: CaptureServer, links: Links
) -> None:
    """A plain JSON array, as the field's nodes write it, is read and delivered."""
    links.folder.mkdir()
    payloads = [{"measurement": nth(number), "conditions": {}} for number in range(3)]
    (links.folder / QUEUE).write_text(json.dumps(payloads))
    link = links.started(server.url)
    wait_until(lambda: len(server.to(MEASUREMENTS)) == 3 and link.status["queued_uploads"] == 0)
    assert [request.json() for request in server.to(MEASUREMENTS)] == payloads


def test_queue_stays_whole_under_threads_and_beats(server: CaptureServer, links: Links) -> None:
    """Pipelines that submit while the beats drain lose and double nothing."""
    answers = {"down": True}
    server.rules[MEASUREMENTS] = lambda _request: Answer(503 if answers["down"] else 200)
    link = links.started(server.url, heartbeat_interval=0.05)

    def submit(start: int) -> None:
        for number in range(start, start + 15):
            link.submit_measurement(nth(number))

    writers = [threading.Thread(target=submit, args=(start,)) for start in (0, 100, 200, 300)]
    for writer in writers:
        writer.start()
    server.wait_for(MEASUREMENTS, 30)
    with file_lock(links.folder / "cloud_upload_queue.lock"):  # else it grows between two reads
        on_disk(links)
    answers["down"] = False
    for writer in writers:
        writer.join()
    wait_until(lambda: link.status["queued_uploads"] == 0 and link.status["delivered"] == 60)
    expected = {number for start in (0, 100, 200, 300) for number in range(start, start + 15)}
    assert set(numbers(server.to(MEASUREMENTS))) == expected
    assert on_disk(links) == []

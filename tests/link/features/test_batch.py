"""Many measurements in one request: what is sent, and what each answer does to the books."""

import json
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from tests.support.books import everywhere, line, measurement, number_of, queued
from tests.support.capture_server import Answer, CaptureServer, Request, wait_until
from tests.support.feature_cloud import BATCH, FeatureCloud, items, plain
from tests.support.hostile import SILENT
from tests.support.links import BEAT, MEASUREMENTS, Links, alive, cloud_block

from boundless_skies.wire import canonical_json
from cloud_communicator import CloudCommunicator
from cloud_communicator.retryqueue import QUEUE_NAME

BIG_BYTES = 700_000


def beat(link: CloudCommunicator, times: int = 1) -> None:
    """Let the heartbeat's thread do its work some times over, here and now."""
    for _ in range(times):
        link._heartbeat_tick(threading.Event())


def filled(server: CaptureServer, links: Links, count: int, **cloud: Any) -> CloudCommunicator:
    """Return a link that knows the features, with so many measurements in its queue."""
    links.folder.mkdir()
    lines = b",\n".join(line(number) for number in range(count))
    (links.folder / QUEUE_NAME).write_bytes(b"[\n" + lines + b"\n]\n")
    link = links.make(server.url, **{"heartbeat_interval": 60, "timeout": 20, **cloud})
    assert link._beat(threading.Event())
    server.requests.clear()
    return link


def refused(number: int) -> bytes:
    """Return a payload that the cloud refuses for good."""
    value = {**measurement(number), "refuse": True}
    return canonical_json({"measurement": value, "conditions": {}})


def taken(cloud: FeatureCloud) -> list[int]:
    """Return the numbers of the cloud's rows, in the order in which they came."""
    return [number_of(payload) for payload in cloud.rows.values()]


def posts(server: CaptureServer) -> list[str]:
    """Return the paths of the requests that carried measurements, in order."""
    return [r.path for r in list(server.requests) if r.path in (BATCH, MEASUREMENTS)]


# -- what is sent -------------------------------------------------------------------------


def test_full_queue_drains_in_one_request(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """500 entries, oldest first, as the bytes that are on disk, compressed."""
    link = filled(server, links, 500)
    beat(link)
    (request,) = server.to(BATCH)
    assert posts(server) == [BATCH]
    assert plain(request) == b'{"items":[' + b",".join(line(n) for n in range(500)) + b"]}"
    assert len(request.body) < len(plain(request)) / 3
    assert taken(cloud) == list(range(500))
    assert (link.status["queued_uploads"], link.status["delivered"]) == (0, 500)
    assert queued(links.folder) == []


def test_without_the_feature_each_goes_alone(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """A cloud that has not said so gets what the contract documents."""
    cloud.features = []
    link = filled(server, links, 5)
    beat(link)
    assert posts(server) == [MEASUREMENTS] * 5


def test_feature_that_the_cloud_no_longer_names_is_not_used(
    server: CaptureServer, links: Links
) -> None:
    """What the last beat's reply says, holds: the cloud may be an older one again."""
    link = filled(server, links, 5)
    server.rules[BEAT] = Answer(body={"ok": True})
    beat(link)
    assert link.status["features"] == []
    assert posts(server) == [MEASUREMENTS] * 5


def test_single_entry_goes_as_it_always_did(server: CaptureServer, links: Links) -> None:
    """One is no batch."""
    link = filled(server, links, 1)
    beat(link)
    assert posts(server) == [MEASUREMENTS]


def test_short_batch_travels_as_it_is(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """Where compressing would save nothing it is left."""
    link = filled(server, links, 0)
    for number in range(2):
        link._uplink.enqueue(b'{"conditions":{},"measurement":{"number":%d}}' % number)
    beat(link)
    (request,) = server.to(BATCH)
    assert "content-encoding" not in request.headers
    assert taken(cloud) == [0, 1]


def test_large_entries_are_split_under_4_mb(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """No request is larger before it is packed, and the order is kept."""
    link = filled(server, links, 0)
    for number in range(12):
        value = {"number": number, "curve": "x" * BIG_BYTES}
        link._uplink.enqueue(canonical_json({"measurement": value, "conditions": {}}))
    beat(link)
    assert [len(items(request)) for request in server.to(BATCH)] == [5, 5, 2]
    assert max(len(plain(request)) for request in server.to(BATCH)) < 4_000_000
    assert taken(cloud) == list(range(12))


def test_entry_that_is_no_json_does_not_spoil_the_others(
    server: CaptureServer, links: Links
) -> None:
    """A NaN that another program wrote into the queue travels alone."""
    link = filled(server, links, 3)
    link._uplink.enqueue(b'{"conditions":{},"measurement":{"magnitude":NaN,"number":3}}')
    server.rules[MEASUREMENTS] = Answer(400, {"ok": False, "error": "NaN is no JSON"})
    beat(link)
    assert posts(server) == [BATCH, MEASUREMENTS]
    assert sorted(map(number_of, items(server.to(BATCH)[0]))) == [0, 1, 2]


# -- each item's answer -------------------------------------------------------------------


def test_refused_item_is_rejected_after_three_drains(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """Then it is kept apart with the reply; the others are delivered at once."""
    link = filled(server, links, 3)
    link._uplink.enqueue(refused(3))
    link._uplink.enqueue(refused(4))
    beat(link)
    assert taken(cloud) == [0, 1, 2]
    assert "magnitude 99 is above 30" in link.status["error"]
    beat(link)
    assert (link.status["queued_uploads"], link.status["rejected"]) == (2, 0)
    beat(link)
    assert (link.status["queued_uploads"], link.status["rejected"]) == (0, 2)
    path = links.folder / "cloud_upload_rejected.jsonl"
    record = json.loads(path.read_text().splitlines()[0])
    assert (record["status"], record["reply"]) == (422, "magnitude 99 is above 30")
    assert everywhere(links.folder, taken(cloud)) == dict.fromkeys(range(5), 1)


@pytest.mark.parametrize(
    "item", [None, 17, "ok", [], {}, {"ok": 1}, {"ok": "true"}, {"ok": None}, {"id": 3}]
)
def test_item_whose_answer_says_nothing_goes_alone(
    server: CaptureServer, cloud: FeatureCloud, links: Links, item: Any
) -> None:
    """It is not known to be delivered, so it is asked for again in the same drain."""

    def answer(request: Request) -> Answer:
        results: list[Any] = [cloud.take(payload) for payload in items(request)]
        return Answer(body={"results": [item if i == 1 else r for i, r in enumerate(results)]})

    server.rules[BATCH] = answer
    link = filled(server, links, 4)
    beat(link)
    assert posts(server) == [BATCH, MEASUREMENTS]
    assert number_of(server.to(MEASUREMENTS)[0].json()) == 1
    assert (link.status["queued_uploads"], link.status["delivered"]) == (0, 4)
    assert taken(cloud) == [0, 1, 2, 3]


# -- clouds that take no batch ------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(status, {"error": "no"}) for status in (400, 404, 405, 413, 415, 422, 501)),
        Answer(404, b"<html>"),
        Answer(200, b"<html>"),
        Answer(200, b""),
        Answer(200, b"[]"),
        Answer(200, {"ok": True}),
        Answer(200, {"ok": False, "error": "no"}),
        Answer(200, {"results": None}),
        Answer(200, {"results": {"0": {"ok": True}}}),
        Answer(200, {"results": []}),
        Answer(200, {"results": [{"ok": True}] * 3}),
        Answer(200, {"results": [{"ok": True}] * 5}),
    ],
    ids=lambda answer: f"{answer.status} {answer.body}"[:40],
)
def test_cloud_that_takes_no_batch_gets_each_alone(
    server: CaptureServer, cloud: FeatureCloud, links: Links, answer: Answer
) -> None:
    """In the same drain, without a word in the status; and batches rest for a while."""
    server.rules[BATCH] = answer
    link = filled(server, links, 4)
    beat(link)
    assert posts(server) == [BATCH] + [MEASUREMENTS] * 4
    assert taken(cloud) == [0, 1, 2, 3]
    assert (link.status["queued_uploads"], link.status["error"]) == (0, None)
    assert link.status["rejected"] == 0
    for number in (4, 5):
        link._uplink.enqueue(line(number))
    beat(link)
    assert posts(server)[5:] == [MEASUREMENTS] * 2


def test_batches_are_tried_again_later(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """The cloud, or what stands before it, may have been mended."""
    server.rules[BATCH] = Answer(413)
    link = filled(server, links, 2)
    beat(link)
    server.rules[BATCH] = cloud._batch
    for number in (2, 3):
        link._uplink.enqueue(line(number))
    link._uplink._monotonic = lambda: time.monotonic() + 601
    link._uplink.drain(time.monotonic() + 700, 60, threading.Event())
    assert posts(server)[-1] == BATCH


@pytest.mark.parametrize("answer", [Answer(404, b"<html>"), Answer(200, b"<html>")])
def test_page_of_the_network_is_no_reason_to_leave_batches(
    server: CaptureServer, cloud: FeatureCloud, links: Links, answer: Answer
) -> None:
    """What answers everything so is not the cloud; when that is back, batches are too."""
    server.rules[BATCH] = server.rules[MEASUREMENTS] = answer
    link = filled(server, links, 500)
    beat(link)
    assert posts(server)[0] == BATCH
    server.rules[BATCH], server.rules[MEASUREMENTS] = cloud._batch, cloud._measurement
    server.requests.clear()
    beat(link)
    assert posts(server) == [MEASUREMENTS, BATCH]
    assert link.status["queued_uploads"] == 0


# -- bad luck -----------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Answer(500), Answer(503), Answer(401), Answer(raw=b""), SILENT])
def test_failed_batch_does_not_hold_up_what_goes_alone(
    server: CaptureServer, links: Links, answer: Answer
) -> None:
    """It may be one entry in it that the cloud stumbles over."""
    server.rules[BATCH] = answer
    link = filled(server, links, 3, timeout=0.3, connect_timeout=1)
    beat(link)
    assert posts(server).count(MEASUREMENTS) == 3
    assert link.status["queued_uploads"] == 0


def test_outage_costs_three_calls_a_drain_and_ends_with_one_batch(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """While the cloud takes nothing it is asked three times; then all goes in two requests."""
    server.rules[BATCH] = server.rules[MEASUREMENTS] = Answer(500)
    link = filled(server, links, 500)
    beat(link)
    assert posts(server) == [BATCH, MEASUREMENTS, MEASUREMENTS]
    beat(link)
    assert posts(server)[3:] == [MEASUREMENTS] * 3
    FeatureCloud.__post_init__(cloud)
    server.requests.clear()
    beat(link)
    assert posts(server) == [MEASUREMENTS, BATCH]
    assert sorted(taken(cloud)) == list(range(500))


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_of_a_batch_rests_all_uploads(
    server: CaptureServer, links: Links, status: int
) -> None:
    """Neither a single entry nor a new measurement asks before the time is over."""
    server.rules[BATCH] = Answer(status, headers={"Retry-After": "120"})
    link = filled(server, links, 3)
    beat(link, 3)
    assert link.submit_measurement(measurement(3)) is False
    assert posts(server) == [BATCH]
    assert link.status["queued_uploads"] == 4


def test_drain_ends_at_once_where_there_is_no_connection(
    server: CaptureServer, links: Links
) -> None:
    """The cloud goes away between the beat and the batch."""
    link = filled(server, links, 3)
    server.close()
    link._uplink.drain(time.monotonic() + 60, 60, threading.Event())
    assert link.status["queued_uploads"] == 3
    assert "no connection" in link.status["error"]
    assert [entry.in_flight for entry in link._uplink._queue.entries()] == [False] * 3


def test_lost_reply_makes_no_second_row(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """The cloud has them, the link cannot know: the next time they are duplicates."""

    def lose(request: Request) -> Answer:
        cloud._batch(request)
        return Answer(raw=b"")

    server.rules[BATCH] = lose
    server.rules[MEASUREMENTS] = Answer(500)
    link = filled(server, links, 5)
    beat(link)
    assert (len(cloud.rows), link.status["queued_uploads"]) == (5, 5)
    FeatureCloud.__post_init__(cloud)
    beat(link)
    assert (len(cloud.rows), link.status["queued_uploads"]) == (5, 0)


def test_silent_batches_delay_no_beat_by_more_than_an_interval(
    server: CaptureServer, links: Links
) -> None:
    """Beats go on, at most one interval late, while the batch waits for nothing."""
    link = filled(server, links, 5, heartbeat_interval=0.5, timeout=8)
    server.rules[BATCH] = server.rules[MEASUREMENTS] = SILENT
    link.start()
    times = [request.at for request in server.wait_for(BEAT, 5)]
    longest = max(after - before for before, after in pairwise(times))
    assert longest < 0.5 * 1.1 + 0.5 + 0.4
    assert link.status["queued_uploads"] == 5


def test_stop_is_prompt_while_a_batch_hangs(server: CaptureServer, links: Links) -> None:
    """The call is cut off, and the queue stays."""
    link = filled(server, links, 5, timeout=60)
    server.rules[BATCH] = SILENT
    link.start()
    server.wait_for(BATCH)
    link.stop()
    wait_until(lambda: not alive(link), timeout_s=5)
    assert queued(links.folder) == [0, 1, 2, 3, 4]


def test_submit_waits_for_no_batch_and_the_newest_is_not_evicted_for_it(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """While a full queue is on its way, what is new is kept; if it arrives, nothing is evicted."""
    link = filled(server, links, 500, timeout=30)
    go_on = threading.Event()

    def hold(request: Request) -> Answer:
        go_on.wait(20)
        return cloud._batch(request)

    server.rules[BATCH] = hold
    server.rules[MEASUREMENTS] = Answer(503)
    link.start()
    try:
        server.wait_for(BATCH)
        for number in (500, 501):
            assert link.submit_measurement(measurement(number)) is False
        assert (link.status["queued_uploads"], link.status["evicted"]) == (502, 0)
    finally:
        go_on.set()
    wait_until(lambda: link.status["queued_uploads"] == 2)
    assert link.status["evicted"] == 0
    assert queued(links.folder) == [500, 501]


def test_what_is_over_the_cap_is_evicted_when_the_batch_failed(
    server: CaptureServer, links: Links
) -> None:
    """The oldest leave, as ever."""
    link = filled(server, links, 500)

    def fail(_request: Request) -> Answer:
        for number in (500, 501):
            link._uplink.enqueue(line(number))
        return Answer(500)

    server.rules[BATCH] = fail
    server.rules[MEASUREMENTS] = Answer(500)
    beat(link)
    assert (link.status["queued_uploads"], link.status["evicted"]) == (500, 2)
    assert queued(links.folder) == list(range(2, 502))


_DRAINS = """
import json, sys
from threading import Event
from cloud_communicator import CloudCommunicator

link = CloudCommunicator(json.loads(sys.argv[1]))
link._heartbeat_tick(Event())
"""


def test_kill_between_the_commit_and_the_removal_makes_no_second_row(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """The next drain is told that all are duplicates, and the queue is empty."""
    filled(server, links, 20)._uplink._queue.file.close()
    times = {"heartbeat_interval": 60, "timeout": 20}
    config = json.dumps({"cloud": cloud_block(server.url, links.folder, **times)})
    node: list[subprocess.Popen[bytes]] = []

    def kill(request: Request) -> Answer:
        answer = cloud._batch(request)
        node[0].send_signal(signal.SIGKILL)
        node[0].wait()
        return answer

    server.rules[BATCH] = kill
    with subprocess.Popen([sys.executable, "-c", _DRAINS, config]) as process:
        node.append(process)
    assert queued(links.folder) == list(range(20))
    server.rules[BATCH] = cloud._batch
    link = links.make(server.url, **times)
    beat(link)
    assert (link.status["queued_uploads"], link.status["delivered"]) == (0, 20)
    assert taken(cloud) == list(range(20))

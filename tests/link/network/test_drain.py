"""The drain: when it runs, in what order, and what ends it."""

import json
import threading
import time
from email.utils import formatdate
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from tests.support.capture_server import (
    Answer,
    CaptureServer,
    Request,
    capture_server,
    in_turn,
    wait_until,
)
from tests.support.hostile import SILENT
from tests.support.links import (
    BEAT,
    IMAGES,
    INTERRUPTS,
    MEASUREMENTS,
    PLAN,
    Links,
    free_port,
    nth,
    numbers,
)

from cloud_communicator import CloudCommunicator


def beat(link: CloudCommunicator, times: int = 1) -> float:
    """Let the heartbeat's thread do its work some times over, here and now."""
    wait_s = 0.0
    for _ in range(times):
        wait_s = link._heartbeat_tick(threading.Event())
    return wait_s


def filled(server: CaptureServer, links: Links, count: int, **cloud: Any) -> CloudCommunicator:
    """Return a link with so many measurements in its queue, and forget how they got there."""
    server.rules[MEASUREMENTS] = Answer(503)
    link = links.make(server.url, **{"heartbeat_interval": 60, **cloud})
    for number in range(count):
        assert link.submit_measurement(nth(number)) is False
    server.rules[MEASUREMENTS] = Answer()
    server.requests.clear()
    return link


def failing(*poison: int, status: int = 500) -> Any:
    """Answer these measurements with an error and the others with yes."""
    return lambda request: Answer(status if numbers([request])[0] in poison else 200)


class Clock:
    """Monotonic seconds that pass when told."""

    def __init__(self, link: CloudCommunicator) -> None:
        self.now = 1000.0
        link._pauses._monotonic = lambda: self.now


def test_drain_goes_through_the_whole_queue_in_order(server: CaptureServer, links: Links) -> None:
    """One beat delivers all, oldest first."""
    link = filled(server, links, 8)
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == list(range(8))
    assert (link.status["queued_uploads"], link.status["delivered"]) == (0, 8)


def test_drain_does_not_run_after_a_failed_beat(server: CaptureServer, links: Links) -> None:
    """A cloud that does not take a beat is not asked to take a queue."""
    link = filled(server, links, 2)
    server.rules[BEAT] = Answer(500)
    beat(link, 3)
    assert server.to(MEASUREMENTS) == []


def test_one_bad_entry_does_not_hold_up_the_others(server: CaptureServer, links: Links) -> None:
    """It fails, and the drain goes on behind it."""
    link = filled(server, links, 6)
    server.rules[MEASUREMENTS] = failing(2)
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == [0, 1, 2, 3, 4, 5]
    assert link.status["queued_uploads"] == 1


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503, 504])
def test_three_failures_in_a_row_end_the_drain(
    server: CaptureServer, links: Links, status: int
) -> None:
    """A cloud that takes nothing is left alone until the next beat."""
    link = filled(server, links, 6)
    server.rules[MEASUREMENTS] = Answer(status)
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == [0, 1, 2]
    assert link.status["queued_uploads"] == 6


def test_three_timeouts_in_a_row_end_the_drain(server: CaptureServer, links: Links) -> None:
    """Silence counts as a failure of the link."""
    link = filled(server, links, 6, timeout=0.1, connect_timeout=0.1)
    server.rules[MEASUREMENTS] = SILENT
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == [0, 1, 2]


def test_failures_that_are_not_in_a_row_do_not_end_the_drain(
    server: CaptureServer, links: Links
) -> None:
    """Each success begins the count anew."""
    link = filled(server, links, 9)
    server.rules[MEASUREMENTS] = failing(0, 1, 3, 4, 6, 7)
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == list(range(9))


def test_drain_ends_at_once_where_there_is_no_connection(
    server: CaptureServer, links: Links
) -> None:
    """When the cloud goes away in the middle, one try tells it."""
    link = filled(server, links, 6)

    def go_away(request: Request) -> Answer:
        if numbers([request]) == [1]:
            server._server.socket.shutdown(2)
            return Answer(500, close=True)
        return Answer()

    server.rules[MEASUREMENTS] = go_away
    server.rules[BEAT] = Answer(close=True)
    link._uplink.drain(time.monotonic() + 60, 60, threading.Event())
    assert numbers(server.to(MEASUREMENTS)) == [0, 1]
    assert link.status["queued_uploads"] == 5
    assert [entry.failures for entry in link._uplink._queue.entries()] == [1, 1, 0, 0, 0]
    assert "no connection" in link.status["error"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_for_good_in_three_drains_is_rejected(
    server: CaptureServer, links: Links, status: int
) -> None:
    """Then it is kept beside the queue with the status and the reply, and counted."""
    link = filled(server, links, 3)
    server.rules[MEASUREMENTS] = lambda request: (
        Answer(status, {"error": "magnitude is off"}) if numbers([request]) == [1] else Answer()
    )
    beat(link, 2)
    assert (link.status["queued_uploads"], link.status["rejected"]) == (1, 0)
    beat(link)
    assert (link.status["queued_uploads"], link.status["rejected"]) == (0, 1)
    (line,) = (links.folder / "cloud_upload_rejected.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["payload"]["measurement"] == nth(1)
    assert (record["status"], record["reply"]) == (status, "magnitude is off")
    beat(link)
    assert numbers(server.to(MEASUREMENTS)).count(1) == 3


def test_refusals_for_good_do_not_count_as_failures_of_the_link(
    server: CaptureServer, links: Links
) -> None:
    """Any number of them in a row leaves the drain going."""
    link = filled(server, links, 6)
    server.rules[MEASUREMENTS] = failing(0, 1, 2, 3, status=422)
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == list(range(6))


def test_not_ok_with_status_200_is_a_refusal(server: CaptureServer, links: Links) -> None:
    """Some clouds say no in the body alone."""
    link = filled(server, links, 1)
    server.rules[MEASUREMENTS] = Answer(200, {"ok": False, "error": "bjd is off"})
    beat(link, 3)
    assert (link.status["queued_uploads"], link.status["rejected"]) == (0, 1)


def test_poison_at_the_head_does_not_hold_up_the_others(
    server: CaptureServer, links: Links
) -> None:
    """Three entries that the cloud always stumbles over stay; the rest arrive, in order."""
    link = filled(server, links, 8)
    server.rules[MEASUREMENTS] = failing(0, 1, 2)
    beat(link, 5)
    assert link.status["queued_uploads"] == 3
    good = [number for number in numbers(server.to(MEASUREMENTS)) if number > 2]
    assert good == [3, 4, 5, 6, 7]


def test_poison_does_not_hold_up_the_others_after_a_long_outage(
    server: CaptureServer, links: Links
) -> None:
    """When every entry has failed many times, those that can arrive still do."""
    link = filled(server, links, 8)
    server.rules[MEASUREMENTS] = Answer(500)
    beat(link, 60)
    server.rules[MEASUREMENTS] = failing(0, 1, 2, 3)
    beat(link, 8)
    assert link.status["queued_uploads"] == 4


def test_recovery_after_an_outage_is_in_order(server: CaptureServer, links: Links) -> None:
    """However often the drain failed before, what arrives then arrives oldest first."""
    link = filled(server, links, 12)
    server.rules[MEASUREMENTS] = Answer(500)
    beat(link, 20)
    server.requests.clear()
    server.rules[MEASUREMENTS] = Answer()
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == list(range(12))


def test_drain_cut_short_by_the_next_beat_goes_on_where_it_was(
    server: CaptureServer, links: Links
) -> None:
    """A slow cloud gets the queue in pieces, in order, with beats between them."""
    link = filled(server, links, 12, heartbeat_interval=0.2)
    server.rules[MEASUREMENTS] = Answer(delay_s=0.06)
    link.start()
    wait_until(lambda: link.status["queued_uploads"] == 0)
    assert numbers(server.to(MEASUREMENTS)) == list(range(12))
    paths = [r.path for r in server.requests if r.path in (BEAT, MEASUREMENTS)]
    assert BEAT in paths[2:-1]


def test_silent_uploads_delay_no_beat_by_more_than_an_interval(
    server: CaptureServer, links: Links
) -> None:
    """Beats go on, at most one interval late, while each upload waits for nothing."""
    link = filled(server, links, 5, heartbeat_interval=0.5, timeout=8, connect_timeout=1)
    server.rules[MEASUREMENTS] = SILENT
    link.start()
    times = [request.at for request in server.wait_for(BEAT, 5)]
    longest = max(after - before for before, after in pairwise(times))
    assert longest < 0.5 * 1.1 + 0.5 + 0.4
    assert link.status["queued_uploads"] == 5


def test_submit_is_not_kept_waiting_by_a_drain(server: CaptureServer, links: Links) -> None:
    """While an old entry hangs in the network a new one is delivered, another queued."""
    link = filled(server, links, 3, timeout=20)
    go_on = threading.Event()

    def answer(request: Request) -> Answer:
        number = numbers([request])[0]
        if number < 3:
            go_on.wait(20)
        return Answer(503 if number == 101 else 200)

    server.rules[MEASUREMENTS] = answer
    link.start()
    try:
        server.wait_for(MEASUREMENTS)
        assert link.submit_measurement(nth(100)) is True
        assert link.submit_measurement(nth(101)) is False
        assert numbers(server.to(MEASUREMENTS)) == [0, 100, 101]
    finally:
        go_on.set()


# -- Retry-After --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_rests_all_uploads(
    server: CaptureServer, links: Links, status: int
) -> None:
    """Neither a drain nor a new measurement asks before the time is over."""
    link = filled(server, links, 3)
    clock = Clock(link)
    server.rules[MEASUREMENTS] = Answer(status, headers={"Retry-After": "120"})
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == [0]
    server.rules[MEASUREMENTS] = Answer()
    clock.now += 119
    beat(link)
    assert link.submit_measurement(nth(3)) is False
    assert numbers(server.to(MEASUREMENTS)) == [0]
    clock.now += 2
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == [0, 0, 1, 2, 3]


def test_retry_after_as_a_date_rests_uploads_until_then(
    server: CaptureServer, links: Links
) -> None:
    """The date is read against this machine's clock."""
    link = filled(server, links, 2)
    clock = Clock(link)
    date = formatdate(time.time() + 300, usegmt=True)
    server.rules[MEASUREMENTS] = Answer(503, headers={"Retry-After": date})
    beat(link)
    assert 290 < link._pauses.left_s("measurements") <= 300
    server.rules[MEASUREMENTS] = Answer()
    clock.now += 280
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == [0]
    clock.now += 21
    beat(link)
    assert link.status["queued_uploads"] == 0


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "0", "1e9", "٣", "Thu, 01 Jan 1970 00:00:00 GMT", "99 99", "\x00"]
)
def test_unusable_retry_after_is_passed_over(
    server: CaptureServer, links: Links, value: str
) -> None:
    """What is no time, or past, asks for no pause."""
    link = filled(server, links, 2)
    answer = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    server.rules[MEASUREMENTS] = Answer(raw=answer.encode())
    beat(link)
    assert numbers(server.to(MEASUREMENTS)) == [0, 1]


def test_absurd_retry_after_is_cut_to_an_hour(server: CaptureServer, links: Links) -> None:
    """A mistake of the cloud does not silence a node for good."""
    link = filled(server, links, 1)
    Clock(link)
    server.rules[MEASUREMENTS] = Answer(503, headers={"Retry-After": "9" * 30})
    beat(link)
    assert link._pauses.left_s("measurements") == 3600


def test_retry_after_of_a_beat_moves_the_next_one(server: CaptureServer, links: Links) -> None:
    """The wait until the next beat is what the cloud asked for, and a little spread."""
    server.rules[BEAT] = Answer(503, headers={"Retry-After": "500"})
    waits = [beat(links.make(server.url, heartbeat_interval=60)) for _ in range(20)]
    assert all(400 <= wait_s <= 512.1 for wait_s in waits)  # less what a busy machine takes
    assert max(waits) - min(waits) > 1


@pytest.mark.parametrize(("path", "other"), [(PLAN, INTERRUPTS), (INTERRUPTS, PLAN)])
def test_retry_after_of_a_poll_rests_that_poll(
    server: CaptureServer, links: Links, path: str, other: str
) -> None:
    """The other goes on."""
    link = links.make(server.url)
    clock = Clock(link)
    server.rules[path] = Answer(429, headers={"Retry-After": "60"})
    for _ in range(3):
        link._plan_tick(threading.Event())
    assert (len(server.to(path)), len(server.to(other))) == (1, 3)
    clock.now += 61
    link._plan_tick(threading.Event())
    assert len(server.to(path)) == 2


def test_retry_after_of_an_ack_rests_the_acks(server: CaptureServer, links: Links) -> None:
    """The callback has run, and the acknowledgement waits its time."""
    ack = f"{INTERRUPTS}/7/ack"
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [{"id": 7, "name": "a"}]})
    server.rules[ack] = Answer(429, headers={"Retry-After": "60"})
    taken: list[Any] = []
    link = links.make(server.url, {"on_interrupt": taken.append})
    clock = Clock(link)
    for _ in range(3):
        link._plan_tick(threading.Event())
    assert (len(taken), len(server.to(ack))) == (1, 1)
    clock.now += 61
    server.rules[ack] = Answer()
    link._plan_tick(threading.Event())
    assert len(server.to(ack)) == 2
    assert link.status["interrupts_unacked"] == 0


def test_retry_after_of_an_image_rests_the_images(
    server: CaptureServer, links: Links, tmp_path: Any
) -> None:
    """The file is remembered and not offered before its time."""
    frame = tmp_path / "a.fits"
    frame.write_bytes(b"SIMPLE")
    link = links.make(server.url, upload_images=True, heartbeat_interval=60)
    clock = Clock(link)
    server.rules[IMAGES] = Answer(503, headers={"Retry-After": "60"})
    link.submit_measurement(nth(1), fits_path=str(frame))
    link.submit_measurement(nth(2), fits_path=str(frame))
    beat(link)
    assert len(server.to(IMAGES)) == 1
    server.rules[IMAGES] = Answer()
    clock.now += 61
    beat(link)
    assert link.status["queued_images"] == 0


# -- no duplicates ------------------------------------------------------------------------


def test_idempotency_key_is_the_hash_of_the_canonical_payload(
    server: CaptureServer, links: Links
) -> None:
    """SHA-256 of the JSON with sorted keys and no spaces."""
    measurement = {"z": 1.5e-7, "target_name": "Körper – 5", "a": [1, None, True], "bjd": 2460000.1}
    links.make(server.url).submit_measurement(measurement, {"w": 0.1})
    payload = {"measurement": measurement, "conditions": {"w": 0.1}}
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    sent = server.to(MEASUREMENTS)[0]
    assert sent.headers["idempotency-key"] == sha256(canonical.encode()).hexdigest()


def test_idempotency_key_is_the_same_over_retries_and_restarts(
    server: CaptureServer, links: Links
) -> None:
    """The first try, the drain, and the drain of a later run make the same request."""
    server.rules[MEASUREMENTS] = Answer(503)
    first = links.make(server.url)
    first.submit_measurement(nth(1), {"b": 2, "a": 1})
    beat(first, 2)
    beat(links.make(server.url), 2)
    assert len(server.to(MEASUREMENTS)) == 5
    assert len({r.headers["idempotency-key"] for r in server.to(MEASUREMENTS)}) == 1
    assert len({r.body for r in server.to(MEASUREMENTS)}) == 1


def test_lost_reply_is_followed_by_the_same_request(server: CaptureServer, links: Links) -> None:
    """The cloud can tell the second from a new measurement, and says so."""
    known: set[str] = set()

    def answer(request: Request) -> Answer:
        key = request.headers["idempotency-key"]
        if key not in known:
            known.add(key)
            return Answer(raw=b"")
        return Answer(body={"ok": True, "id": 1, "duplicate": True})

    server.rules[MEASUREMENTS] = answer
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is False
    beat(link)
    assert len(known) == 1
    assert (link.status["queued_uploads"], link.status["delivered"]) == (0, 1)


def test_kept_alive_connection_that_was_closed_costs_nothing(
    server: CaptureServer, links: Links
) -> None:
    """A call on a connection that the cloud has just closed is made anew, once."""
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is True
    server.rules[MEASUREMENTS] = in_turn(Answer(raw=b""), Answer())
    assert link.submit_measurement(nth(2)) is True
    assert numbers(server.to(MEASUREMENTS)) == [1, 2, 2]


def test_cloud_that_comes_back_at_its_address_is_found_again(links: Links) -> None:
    """Beats fail, the queue fills; then all arrives, and the error is gone."""
    port = free_port()
    link = links.started(f"http://127.0.0.1:{port}")
    wait_until(lambda: link.status["last_heartbeat_ok"] is False)
    assert "refused" in link.status["error"]
    for number in range(3):
        assert link.submit_measurement(nth(number)) is False
    with capture_server(port) as cloud:
        wait_until(lambda: link.status["queued_uploads"] == 0)
        assert numbers(cloud.to(MEASUREMENTS)) == [0, 1, 2]
        wait_until(lambda: link.status["error"] is None)
    wait_until(lambda: link.status["last_heartbeat_ok"] is False)
    wait_until(lambda: "refused" in link.status["error"])
    link.stop()

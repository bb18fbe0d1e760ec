"""The status dict, key by key."""

import threading
from typing import Any

from tests.support.capture_server import Answer, CaptureServer, in_turn, wait_until
from tests.support.links import (
    BEAT,
    MEASUREMENT,
    MEASUREMENTS,
    NODE_ID,
    PLAN,
    REGISTER,
    Links,
    free_port,
)

DOCUMENTED = {
    "registered": False,
    "last_heartbeat_ok": None,
    "last_plan_id": None,
    "plan_items": 0,
    "queued_uploads": 0,
    "error": None,
}


def test_status_is_a_plain_dict_with_the_documented_keys(
    server: CaptureServer, links: Links
) -> None:
    """Before anything has happened each key has its documented first value."""
    status = links.make(server.url, node_id="", api_key="").status
    assert type(status) is dict
    assert {key: status[key] for key in DOCUMENTED} == DOCUMENTED


def test_status_is_the_same_object_for_life(server: CaptureServer, links: Links) -> None:
    """It is updated in place, so a reader may keep it."""
    link = links.make(server.url)
    status = link.status
    link.start()
    wait_until(lambda: status["last_heartbeat_ok"])
    link.stop()
    link.start()
    server.wait_for(BEAT, 3)
    assert link.status is status


def test_status_may_be_read_from_any_thread(server: CaptureServer, links: Links) -> None:
    """Readers that copy it all the while see whole values and no error."""
    link = links.started(server.url, heartbeat_interval=0.02, plan_poll_interval=0.02)
    done, seen = threading.Event(), []

    def read() -> None:
        while not done.wait(0.001):
            seen.append({**link.status})
            assert all(key in seen[-1] for key in DOCUMENTED)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        link.submit_measurement(MEASUREMENT)
    done.set()
    for reader in readers:
        reader.join()
    assert {len(status) for status in seen} == {len(link.status)}


def test_registered_is_true_with_explicit_credentials(server: CaptureServer, links: Links) -> None:
    """A node_id and an api_key from the config count at once."""
    link = links.make(server.url)
    assert link.status["registered"] is True
    assert link.status["node_id"] == NODE_ID


def test_registered_is_false_with_half_of_the_credentials(
    server: CaptureServer, links: Links
) -> None:
    """Both are needed."""
    assert links.make(server.url, api_key="").status["registered"] is False
    assert links.make(server.url, node_id="").status["registered"] is False


def test_registered_becomes_true_with_the_registration(server: CaptureServer, links: Links) -> None:
    """A completed auto-registration counts."""
    server.rules[REGISTER] = in_turn(Answer(500), Answer(body={"node_id": "n", "api_key": "k"}))
    link = links.started(server.url, node_id="", api_key="")
    wait_until(lambda: link.status["registered"] is True)
    assert link.status["node_id"] == "n"


def test_last_heartbeat_ok_follows_the_beats(server: CaptureServer, links: Links) -> None:
    """None before the first, then True or False as the latest went."""
    link = links.make(server.url)
    assert link.status["last_heartbeat_ok"] is None
    link.start()
    wait_until(lambda: link.status["last_heartbeat_ok"] is True)
    server.rules[BEAT] = Answer(500)
    wait_until(lambda: link.status["last_heartbeat_ok"] is False)
    server.rules[BEAT] = Answer()
    wait_until(lambda: link.status["last_heartbeat_ok"] is True)


def test_last_heartbeat_ok_is_false_where_nobody_listens(links: Links) -> None:
    """A beat that could not be sent failed."""
    link = links.started(f"http://127.0.0.1:{free_port()}")
    wait_until(lambda: link.status["last_heartbeat_ok"] is False)


def test_plan_is_shown_by_id_and_length(server: CaptureServer, links: Links) -> None:
    """None and 0 until one is seen; a reply without a plan changes nothing."""
    link = links.started(server.url)
    server.wait_for(PLAN)
    assert (link.status["last_plan_id"], link.status["plan_items"]) == (None, 0)
    items: list[dict[str, Any]] = [{"target": "a"}, {"target": "b"}]
    server.rules[PLAN] = Answer(body={"plan": {"plan_id": "p1", "items": items}})
    wait_until(lambda: link.status["last_plan_id"] == "p1")
    assert link.status["plan_items"] == 2
    server.rules[PLAN] = Answer(body={"plan": None, "message": "no plan"})
    server.wait_for(PLAN, len(server.to(PLAN)) + 2)
    assert (link.status["last_plan_id"], link.status["plan_items"]) == ("p1", 2)


def test_queued_uploads_follow_each_enqueue_and_flush(server: CaptureServer, links: Links) -> None:
    """The length of the queue, after each change."""
    server.rules[MEASUREMENTS] = Answer(503)
    link = links.make(server.url)
    for count in (1, 2, 3):
        link.submit_measurement({**MEASUREMENT, "count": count})
        assert link.status["queued_uploads"] == count
    server.rules[MEASUREMENTS] = Answer()
    link.start()
    wait_until(lambda: link.status["queued_uploads"] == 0)


def test_queued_uploads_show_what_an_earlier_run_left(server: CaptureServer, links: Links) -> None:
    """A new object in the same folder counts the entries on disk."""
    server.rules[MEASUREMENTS] = Answer(503)
    links.make(server.url).submit_measurement(MEASUREMENT)
    assert links.make(server.url).status["queued_uploads"] == 1


def test_error_tells_the_failure_and_goes_with_it(server: CaptureServer, links: Links) -> None:
    """A text while beats fail, None once the operation succeeds."""
    server.rules[BEAT] = Answer(500, {"error": "the database is away"})
    link = links.started(server.url)
    wait_until(lambda: link.status["error"])
    assert "the database is away" in link.status["error"]
    server.rules[BEAT] = Answer()
    wait_until(lambda: link.status["error"] is None)


def test_error_tells_a_failed_registration(server: CaptureServer, links: Links) -> None:
    """What the cloud said is shown."""
    server.rules[REGISTER] = Answer(400, {"error": "set observatory.latitude"})
    link = links.started(server.url, node_id="", api_key="")
    wait_until(lambda: link.status["error"])
    assert "set observatory.latitude" in link.status["error"]

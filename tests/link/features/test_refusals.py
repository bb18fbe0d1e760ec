"""What the operator decides: a revoked key, an activation code that does not hold."""

import threading
import time

import pytest
from tests.support.books import line, queued
from tests.support.capture_server import Answer, CaptureServer
from tests.support.links import BEAT, KEY, PLAN, REGISTER, Links, alive

from cloud_communicator import CloudCommunicator

NEW = {"node_id": "", "api_key": ""}
REVOKED = Answer(401, {"error": "invalid node credentials", "reason": "revoked"})
CODE = "spring-meteor-4711"


def beat(link: CloudCommunicator, times: int = 1) -> float:
    """Let the heartbeat's thread do its work some times over, here and now."""
    wait_s = 0.0
    for _ in range(times):
        wait_s = link._heartbeat_tick(threading.Event())
    return wait_s


def test_revoked_key_is_told_with_what_to_do(server: CaptureServer, links: Links) -> None:
    """Beats go on at their interval, nothing is lost, and no new identity is made."""
    link = links.make(server.url, **NEW, heartbeat_interval=60)
    beat(link)
    link._uplink.enqueue(line(1))
    for path in (BEAT, PLAN):
        server.rules[path] = REVOKED
    assert 53 < beat(link, 3) <= 66
    link._plan_tick(threading.Event())
    for words in ("revoked", "operator", "cloud.api_key", "restart"):
        assert words in link.status["error"]
    assert (len(server.to(BEAT)), len(server.to(REGISTER))) == (4, 1)
    assert (link.status["registered"], queued(links.folder)) == (True, [1])


def test_key_that_the_operator_gives_back_works_again(server: CaptureServer, links: Links) -> None:
    """Without a restart, all that waited arrives."""
    link = links.make(server.url, heartbeat_interval=60)
    server.rules[BEAT] = REVOKED
    link._uplink.enqueue(line(1))
    beat(link)
    server.rules[BEAT] = Answer()
    beat(link)
    assert (link.status["queued_uploads"], link.status["error"]) == (0, None)


@pytest.mark.parametrize("reason", ["Revoked", "expired", None, 7, ["revoked"], {}])
def test_another_reason_is_an_unknown_key(
    server: CaptureServer, links: Links, reason: object
) -> None:
    """Only what the cloud says is said."""
    server.rules[BEAT] = Answer(401, {"error": "no", "reason": reason})
    link = links.make(server.url)
    beat(link)
    assert "has revoked" not in link.status["error"]
    assert "cloud.node_id" in link.status["error"]


def test_refused_activation_code_is_told_and_tried_again_after_ten_minutes(
    server: CaptureServer, links: Links
) -> None:
    """No rate limit is hit; when the code holds, the node is let in."""
    server.rules[REGISTER] = Answer(403, {"error": f"activation code {CODE} is used up"})
    link = links.make(server.url, **NEW, activation_code=CODE, heartbeat_interval=60)
    offset_s = 0.0
    link._pauses._monotonic = lambda: time.monotonic() + offset_s
    assert 599 < beat(link) <= 607
    for words in ("is used up", "cloud.activation_code", "operator", "10 minutes"):
        assert words in link.status["error"]
    assert CODE not in link.status["error"]
    beat(link, 3)
    offset_s = 590
    beat(link)
    assert len(server.to(REGISTER)) == 1
    server.rules[REGISTER] = Answer(body={"node_id": "n", "api_key": KEY})
    offset_s = 601
    beat(link)
    assert (len(server.to(REGISTER)), link.status["error"]) == (2, None)


def test_longer_retry_after_of_a_refused_code_holds(server: CaptureServer, links: Links) -> None:
    """The cloud may ask for more than ten minutes."""
    server.rules[REGISTER] = Answer(403, {"error": "no"}, {"Retry-After": "1800"})
    assert beat(links.make(server.url, **NEW, heartbeat_interval=60)) > 1790


@pytest.mark.parametrize(
    "answer", [Answer(403, b"<html>"), Answer(403, {}), Answer(403, b'{"error": 7}'), Answer(400)]
)
def test_what_is_not_the_clouds_no_is_tried_at_the_ordinary_pace(
    server: CaptureServer, links: Links, answer: Answer
) -> None:
    """As a log-in page of the network, which is over in a moment."""
    server.rules[REGISTER] = answer
    assert beat(links.make(server.url, **NEW, heartbeat_interval=60)) <= 66


def test_refused_code_leaves_both_threads_alive(server: CaptureServer, links: Links) -> None:
    """A restart tries at once, and a stop ends the long wait."""
    server.rules[REGISTER] = Answer(403, {"error": "no"})
    first = links.started(server.url, **NEW)
    server.wait_for(REGISTER)
    first.stop()
    assert alive(first) == []
    links.started(server.url, **NEW)
    server.wait_for(REGISTER, 2)

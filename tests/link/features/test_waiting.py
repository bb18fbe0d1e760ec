"""Waiting for interrupts: at once where the cloud holds the call, never in a tight loop."""

import logging
import threading
from typing import Any

import pytest
from tests.support.capture_server import (
    Answer,
    CaptureServer,
    Request,
    Rule,
    capture_server,
    wait_until,
)
from tests.support.feature_cloud import FeatureCloud
from tests.support.hostile import SILENT
from tests.support.links import BEAT, INTERRUPTS, PLAN, REGISTER, Links, alive

from cloud_communicator import CloudCommunicator, watch

INTERVAL_S = 300.0
LONG = {"heartbeat_interval": 60, "plan_poll_interval": INTERVAL_S}


class Time:
    """A link's monotonic clock and wake, whose waits pass at once and are noted."""

    def __init__(self, link: CloudCommunicator) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        link._watch._monotonic = lambda: self.now

    def is_set(self) -> bool:
        """Never wake early."""
        return False

    def wait(self, seconds: float) -> None:
        """Let the time pass."""
        self.waits.append(seconds)
        self.now += seconds


def waiting(link: CloudCommunicator) -> Time:
    """Let one interval pass between two polls of the plan, here and now."""
    link._beat(threading.Event())
    passing = Time(link)
    link._plan_tick(threading.Event())
    link._watch.until(passing.now + INTERVAL_S, threading.Event(), passing)  # type: ignore[arg-type]
    return passing


def held(server: CaptureServer) -> list[Request]:
    """Return the requests that asked the cloud to wait."""
    return [r for r in list(server.requests) if r.path.startswith(f"{INTERRUPTS}?wait=")]


def on_wait(server: CaptureServer, rule: Rule) -> None:
    """Answer those requests so, however long they ask the cloud to wait."""
    for wait_s in range(1, 26):
        server.rules[f"{INTERRUPTS}?wait={wait_s}"] = rule


def started(
    server: CaptureServer, links: Links, taken: list[int], **cloud: Any
) -> CloudCommunicator:
    """Start a link that takes interrupts, and let it come to its first wait."""
    callbacks = {"on_interrupt": lambda found: taken.append(found["id"])}
    link = links.started(server.url, callbacks, **{**LONG, **cloud})
    wait_until(lambda: held(server), what="the first wait")
    return link


# -- as it should go ----------------------------------------------------------------------


def test_interrupt_arrives_between_two_polls(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """It is handed over and acknowledged at once, long before the next poll, and so is the next."""
    taken: list[int] = []
    started(server, links, taken)
    polls = len(server.to(PLAN))
    for number in (1, 2, 3):
        cloud.alert(number)
        wait_until(lambda number=number: taken[-1:] == [number], timeout_s=5)
        wait_until(lambda: cloud.unacked() == [])
    assert taken == [1, 2, 3]
    assert len(server.to(PLAN)) == polls


def test_first_beat_that_names_the_feature_begins_the_waiting(
    server: CaptureServer, links: Links
) -> None:
    """The plan's thread does not sleep to the end of its interval first."""
    started(server, links, [])
    assert len(server.to(BEAT)) == 1
    assert held(server)[0].path == f"{INTERRUPTS}?wait=25"


def test_registration_that_names_the_feature_begins_the_waiting(
    server: CaptureServer, links: Links
) -> None:
    """For a new node likewise."""
    started(server, links, [], node_id="", api_key="")
    assert len(server.to(REGISTER)) == 1


def test_without_the_feature_nobody_is_asked_to_wait(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """A cloud that has not said so is polled as the contract documents."""
    cloud.features = []
    assert waiting(links.make(server.url, **LONG)).waits == [INTERVAL_S]
    assert held(server) == []
    assert len(server.to(INTERRUPTS)) == 1


def test_wait_ends_with_the_time_to_the_next_poll(server: CaptureServer, links: Links) -> None:
    """Plans are polled at their interval all the while."""
    started(server, links, [], plan_poll_interval=2.5)
    server.wait_for(PLAN, 4)
    assert {request.path for request in held(server)} <= {f"{INTERRUPTS}?wait={s}" for s in (1, 2)}


def test_waits_follow_each_other_through_the_interval(server: CaptureServer, links: Links) -> None:
    """After a wait that the cloud held to its end comes the next, with hardly a pause."""
    link = links.make(server.url, **LONG)
    passing = Time(link)

    def hold(request: Request) -> Answer:
        passing.now += float(request.path.partition("=")[2])
        return Answer(body={"interrupts": []})

    link._beat(threading.Event())
    on_wait(server, hold)
    link._watch.until(passing.now + 250, threading.Event(), passing)  # type: ignore[arg-type]
    assert len(held(server)) >= 9
    assert max(passing.waits) < 25


def test_cloud_with_a_shorter_limit_is_asked_again(server: CaptureServer, links: Links) -> None:
    """A call that was held for 10 s was held; the pause after it is spread, and no longer."""
    link = links.make(server.url, **LONG)
    passing = Time(link)

    def hold(_request: Request) -> Answer:
        passing.now += 10
        return Answer(body={"interrupts": []})

    link._beat(threading.Event())
    on_wait(server, hold)
    link._watch.until(passing.now + 250, threading.Event(), passing)  # type: ignore[arg-type]
    assert len(held(server)) >= 12
    assert max(passing.waits) <= 10


def test_stop_is_prompt_while_waiting(server: CaptureServer, links: Links) -> None:
    """The call is cut off."""
    link = started(server, links, [])
    link.stop()
    wait_until(lambda: not alive(link), timeout_s=5)
    assert link.status["error"] is None


# -- no tight loop ------------------------------------------------------------------------


def _raising(_interrupt: dict[str, Any]) -> None:
    raise ValueError("mount is parked")


@pytest.mark.parametrize(
    ("callback", "listed", "ack"),
    [
        (lambda _interrupt: None, [], Answer()),
        (lambda _interrupt: None, [{"id": 1, "acked": True}], Answer()),
        (_raising, [{"id": 1}], Answer()),
        (None, [{"id": 1}], Answer()),
        (lambda _interrupt: None, [{"id": 1}], Answer(500)),
        (lambda _interrupt: None, [{"id": 1}], Answer(429, headers={"Retry-After": "60"})),
        (lambda _interrupt: None, [{"id": 1}], Answer(200)),
        (lambda _interrupt: None, [{"name": "no id"}], Answer()),
    ],
    ids=["none", "acked", "raises", "no callback", "ack 500", "ack 429", "ack forgotten", "no id"],
)
def test_cloud_that_answers_at_once_with_nothing_new_is_polled_at_the_interval(
    server: CaptureServer, links: Links, callback: Any, listed: list[Any], ack: Answer
) -> None:
    """At most one wait between two polls of the plan, whatever is left undone."""
    server.rules[INTERRUPTS] = Answer(body={"interrupts": listed})
    server.rules[f"{INTERRUPTS}/1/ack"] = ack
    link = links.make(server.url, {"on_interrupt": callback}, **LONG)
    for _ in range(3):
        waiting(link)
    assert len(held(server)) <= 3
    assert len(server.to(INTERRUPTS)) == 3


def test_endless_new_interrupts_are_taken_with_a_pause_between(
    server: CaptureServer, links: Links
) -> None:
    """Each is worth its call, and the pauses between are spread."""
    numbers = iter(range(1_000_000))
    server.rules[INTERRUPTS] = lambda _request: Answer(
        body={"interrupts": [{"id": next(numbers), "name": "a"}]}
    )
    link = links.make(server.url, {"on_interrupt": lambda _interrupt: None}, **LONG)
    link._beat(threading.Event())
    passing = Time(link)
    link._watch.until(passing.now + 30, threading.Event(), passing)  # type: ignore[arg-type]
    assert 60 <= len(held(server)) <= 240
    assert 0.1 < sum(passing.waits[:-1]) / len(passing.waits[:-1]) < 0.4


# -- where a wait fails -------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [*(Answer(status, b"<html>") for status in (400, 404, 405, 408, 502, 504)), Answer(raw=b"")],
    ids=lambda answer: str(answer.status if answer.raw is None else "closed"),
)
def test_wait_that_nobody_holds_is_tried_again_later_without_a_word(
    server: CaptureServer, links: Links, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    """Polling goes on; waiting is tried again after about a beat's interval, never at once."""
    on_wait(server, answer)
    link = links.make(server.url, **LONG)
    with caplog.at_level(logging.INFO, logger="cloud_communicator"):
        passing = waiting(link)
    assert link.status["error"] is None
    assert [r for r in caplog.records if "plain http" not in r.message] == []
    assert all(30 <= rest_s <= 90 for rest_s in passing.waits[:-1])
    assert 3 <= len(held(server)) <= 10


def test_wait_that_runs_out_of_time_is_no_error(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that swallows what is held costs the time that was asked, and no more."""
    monkeypatch.setattr(watch, "INTERRUPTS_WAIT_S", 1)
    on_wait(server, SILENT)
    link = links.make(server.url, **LONG, timeout=0.2, connect_timeout=1)
    link._beat(threading.Event())
    link._watch._wait(1, threading.Event())
    assert link.status["error"] is None
    assert len(held(server)) == 1


def test_wait_cut_off_by_a_restart_brings_no_fleet_back_at_once(links: Links) -> None:
    """Connections that break together are followed by calls that are spread over a minute."""
    rests = []
    with capture_server() as server:
        FeatureCloud(server)
        on_wait(server, Answer(raw=b""))
        for number in range(12):
            link = links.make(server.url, **LONG, data_dir=str(links.folder / str(number)))
            rests.append(waiting(link).waits[0])
            server.requests.clear()
    assert max(rests) - min(rests) > 15


def test_wait_that_is_refused_is_told(server: CaptureServer, links: Links) -> None:
    """What has nothing to do with waiting is an error like that of a poll, until one goes well."""
    on_wait(server, Answer(500, {"error": "disk is full"}))
    link = links.make(server.url, **LONG)
    waiting(link)
    assert "disk is full" in link.status["error"]
    assert len(held(server)) == 1
    link._plan_tick(threading.Event())
    assert link.status["error"] is None


def test_failed_poll_is_told_as_ever(server: CaptureServer, links: Links) -> None:
    """Silence is for waits alone."""
    server.rules[INTERRUPTS] = Answer(502)
    link = links.make(server.url, **LONG)
    link._plan_tick(threading.Event())
    assert "502" in link.status["error"]


def test_retry_after_of_a_wait_rests_the_polls(server: CaptureServer, links: Links) -> None:
    """The cloud is not asked before the time is over, waiting or not."""
    on_wait(server, Answer(503, headers={"Retry-After": "600"}))
    link = links.make(server.url, **LONG)
    waiting(link)
    link._plan_tick(threading.Event())
    assert (len(held(server)), len(server.to(INTERRUPTS))) == (1, 1)


def test_thread_lives_on_after_waits_that_failed(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """When the cloud holds calls again, interrupts arrive at once again."""
    on_wait(server, Answer(502))
    taken: list[int] = []
    started(server, links, taken, heartbeat_interval=0.2)
    wait_until(lambda: len(held(server)) >= 3)
    on_wait(server, cloud._interrupts)
    cloud.alert(5)
    wait_until(lambda: taken == [5])

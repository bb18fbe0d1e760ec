"""start(), stop(), and the two threads between them."""

import logging
import threading
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, in_turn, wait_until
from tests.support.links import (
    BEAT,
    INTERRUPTS,
    MEASUREMENTS,
    PLAN,
    REGISTER,
    THREADS,
    Links,
    alive,
    nth,
    numbers,
)

from cloud_communicator import CloudCommunicator


def link_threads() -> list[threading.Thread]:
    """Return this process's threads that carry the link's names."""
    return [thread for thread in threading.enumerate() if thread.name in THREADS]


def test_start_launches_two_named_daemon_threads(server: CaptureServer, links: Links) -> None:
    """They are called cloud-heartbeat and cloud-plan, and end with the program."""
    links.started(server.url)
    threads = link_threads()
    assert sorted(thread.name for thread in threads) == sorted(THREADS)
    assert all(thread.daemon for thread in threads)


def test_constructing_alone_starts_nothing(server: CaptureServer, links: Links) -> None:
    """Neither a thread nor a request before start()."""
    links.make(server.url)
    assert link_threads() == []
    assert server.requests == []


def test_heartbeats_come_at_their_interval(server: CaptureServer, links: Links) -> None:
    """POSTs to the heartbeat's path go on, each a wait of heartbeat_interval apart."""
    link = links.make(server.url, heartbeat_interval=50)
    assert 44.9 <= link._heartbeat_tick(threading.Event()) <= 55.1
    links.started(server.url, heartbeat_interval=0.1)
    assert {beat.method for beat in server.wait_for(BEAT, 4)} == {"POST"}


def test_plan_and_interrupts_are_polled_at_their_interval(
    server: CaptureServer, links: Links
) -> None:
    """GETs to both paths go on, each a wait of plan_poll_interval apart."""
    link = links.make(server.url, plan_poll_interval=50)
    assert 44.9 <= link._plan_tick(threading.Event()) <= 55.1
    links.started(server.url, plan_poll_interval=0.1)
    polls = server.wait_for(PLAN, 3) + server.wait_for(INTERRUPTS, 3)
    assert {poll.method for poll in polls} == {"GET"}


def test_every_successful_beat_flushes_the_retry_queue(server: CaptureServer, links: Links) -> None:
    """What could not be delivered goes after the next beat that succeeds, and not before."""
    server.rules[MEASUREMENTS] = in_turn(Answer(503), Answer())
    server.rules[BEAT] = in_turn(Answer(503), Answer(503), Answer())
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is False
    link.start()
    wait_until(lambda: link.status["queued_uploads"] == 0)
    paths = [r.path for r in server.requests if r.path in (BEAT, MEASUREMENTS)]
    assert paths[:5] == [MEASUREMENTS, BEAT, BEAT, BEAT, MEASUREMENTS]
    assert numbers(server.to(MEASUREMENTS)) == [1, 1]


def test_registration_goes_before_the_first_beat(server: CaptureServer, links: Links) -> None:
    """Without credentials the beat's thread registers first, until that works."""
    granted = Answer(body={"node_id": "n", "api_key": "k"})
    server.rules[REGISTER] = in_turn(Answer(500), granted)
    links.started(server.url, node_id="", api_key="")
    server.wait_for(BEAT)
    paths = [r.path for r in server.requests if r.path in (BEAT, REGISTER)]
    assert paths[:3] == [REGISTER, REGISTER, BEAT]


def test_registration_goes_before_every_beat_while_credentials_are_absent(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """_ensure_registered() is asked at each tick."""
    asked: list[int] = []
    ensure = CloudCommunicator._ensure_registered

    def counted(self: CloudCommunicator, *args: Any) -> bool:
        asked.append(len(server.to(BEAT)))
        return ensure(self, *args)

    monkeypatch.setattr(CloudCommunicator, "_ensure_registered", counted)
    links.started(server.url)
    server.wait_for(BEAT, 3)
    assert asked[:3] == [0, 1, 2]


def test_start_without_a_url_logs_an_error_and_starts_nothing(
    links: Links, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty cloud.url is told in the log and the status."""
    with caplog.at_level(logging.ERROR, logger="cloud_communicator"):
        link = links.started("")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "cloud.url" in caplog.text
    assert "cloud.url" in link.status["error"]
    assert link_threads() == []


def test_start_when_disabled_returns_at_once(server: CaptureServer, links: Links) -> None:
    """No thread is launched, and no request made."""
    links.started(server.url, enabled=False)
    assert link_threads() == []
    assert server.requests == []


def test_stop_ends_both_threads_out_of_a_long_wait(server: CaptureServer, links: Links) -> None:
    """stop() sets an event that both threads wait on, so that they need not sleep to the end."""
    link = links.started(server.url, heartbeat_interval=3600, plan_poll_interval=3600)
    server.wait_for(BEAT)
    server.wait_for(INTERRUPTS)
    assert isinstance(link._stop, threading.Event)
    link.stop()
    wait_until(lambda: not alive(link), timeout_s=5)


def test_stop_before_start_and_twice_is_harmless(server: CaptureServer, links: Links) -> None:
    """stop() may be called at any time."""
    link = links.make(server.url)
    link.stop()
    link.start()
    server.wait_for(BEAT)
    link.stop()
    link.stop()
    wait_until(lambda: not alive(link))


def test_start_after_stop_works_again(server: CaptureServer, links: Links) -> None:
    """The same object beats again."""
    link = links.started(server.url)
    server.wait_for(BEAT)
    link.stop()
    wait_until(lambda: not alive(link))
    beats = len(server.to(BEAT))
    link.start()
    server.wait_for(BEAT, beats + 2)
    assert sorted(alive(link)) == sorted(THREADS)


def test_stop_from_inside_a_callback_ends_both_threads(server: CaptureServer, links: Links) -> None:
    """A node may decide to stop when it reads its plan."""
    server.rules[PLAN] = Answer(body={"plan": {"plan_id": "p", "items": []}})
    made: list[CloudCommunicator] = []
    link = links.make(server.url, {"on_plan": lambda _items: made[0].stop()})
    made.append(link)
    link.start()
    wait_until(lambda: not alive(link))

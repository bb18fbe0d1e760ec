"""The clock: its skew is shown, and no wait depends on it."""

import threading
import time
from email.utils import formatdate

import pytest
from tests.support.capture_server import Answer, CaptureServer, wait_until
from tests.support.links import BEAT, Links


def answer_of(seconds_ahead: float) -> Answer:
    """Answer as a cloud whose clock goes so far ahead of ours."""
    date = formatdate(time.time() + seconds_ahead, usegmt=True)
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: " + date.encode() + b"\r\n\r\n{}"
    return Answer(raw=body)


@pytest.mark.parametrize("ahead_s", [0, 100, -100, 86_400 * 400])
def test_skew_is_ours_less_the_clouds(server: CaptureServer, links: Links, ahead_s: int) -> None:
    """Positive where this machine's clock is ahead of the cloud's."""
    server.rules[BEAT] = lambda _request: answer_of(ahead_s)
    link = links.make(server.url)
    assert link.status["clock_skew_s"] is None
    link._heartbeat_tick(threading.Event())
    assert link.status["clock_skew_s"] == pytest.approx(-ahead_s, abs=5)


@pytest.mark.parametrize(
    "date", ["", "today", "Mon", "Mon, 99 Foo 2026", "1 Jan 99999999 00:00:00 GMT", "\x00", " , "]
)
def test_unreadable_date_leaves_the_skew_alone(
    server: CaptureServer, links: Links, date: str
) -> None:
    """And costs nothing else."""
    raw = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: {date}\r\n\r\n{{}}".encode()
    server.rules[BEAT] = Answer(raw=raw)
    link = links.make(server.url)
    link._heartbeat_tick(threading.Event())
    assert link.status["clock_skew_s"] is None
    assert link.status["last_heartbeat_ok"] is True


def test_beats_go_on_while_the_wall_clock_jumps(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Raspberry Pi without a clock starts in 1970 and is set years ahead."""
    real = time.time
    jump = [-1.7e9]
    monkeypatch.setattr(time, "time", lambda: real() + jump[0])
    link = links.started(server.url, heartbeat_interval=0.1)
    server.wait_for(BEAT, 2)
    jump[0] = 1e9
    server.wait_for(BEAT, len(server.to(BEAT)) + 3)
    wait_until(lambda: link.status["last_heartbeat_ok"])
    assert link.status["last_heartbeat_at"].endswith("Z")

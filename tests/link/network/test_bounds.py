"""Every call ends in time, and every stop is prompt, whatever the network does."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, wait_until
from tests.support.hostile import SLOW, black_hole, deaf_resolver
from tests.support.links import (
    BEAT,
    IMAGES,
    INTERRUPTS,
    MEASUREMENT,
    MEASUREMENTS,
    PLAN,
    REGISTER,
    Links,
    alive,
)

from cloud_communicator import CloudCommunicator

GENEROUS_S = 5.0


@pytest.fixture
def hole() -> Iterator[str]:
    """Give a URL where connecting never ends."""
    with black_hole() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a URL whose name is never resolved."""
    with deaf_resolver() as getaddrinfo:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield "http://cloud.localhost:8800"


def submit_in_time(link: CloudCommunicator, bound_s: float = GENEROUS_S) -> None:
    """Submit: False within the bound, and on disk."""
    begun = time.monotonic()
    assert link.submit_measurement(MEASUREMENT) is False
    assert time.monotonic() - begun < bound_s
    assert link.status["queued_uploads"] == 1
    assert link.status["error"]


def stop_in_time(link: CloudCommunicator) -> None:
    """Stop: back within the bound, and both threads gone."""
    assert len(alive(link)) == 2
    begun = time.monotonic()
    link.stop()
    wait_until(lambda: not alive(link))
    assert time.monotonic() - begun < GENEROUS_S


@pytest.mark.parametrize("how", SLOW)
def test_submit_ends_in_time_before_a_slow_cloud(
    server: CaptureServer, links: Links, how: str
) -> None:
    """The time-out counts over the whole call, however slowly the bytes drip."""
    server.rules[MEASUREMENTS] = SLOW[how]
    submit_in_time(links.make(server.url, connect_timeout=0.3, timeout=0.7))


def test_submit_ends_in_time_where_nobody_accepts(links: Links, hole: str) -> None:
    """Packets that vanish cost the time to connect."""
    link = links.make(hole, connect_timeout=0.5, timeout=60)
    submit_in_time(link)
    assert "within 0.5 s" in link.status["error"]


def test_submit_ends_in_time_where_no_name_is_resolved(links: Links, nowhere: str) -> None:
    """A resolver that hangs costs the time to connect."""
    submit_in_time(links.make(nowhere, connect_timeout=0.5, timeout=60))


@pytest.mark.parametrize("times", [{"connect_timeout": 100, "timeout": 1000}, {}])
def test_submit_ends_within_15_s_whatever_the_settings(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch, times: dict[str, int]
) -> None:
    """However long the time-outs are set, and by default, a submit's call is bounded."""
    bounds: list[Any] = []
    link = links.make(server.url, **{"connect_timeout": None, "timeout": None, **times})
    call = link._transport.call

    def spy(*args: Any, **options: Any) -> Any:
        bounds.append(options["total_s"])
        return call(*args, **options)

    monkeypatch.setattr(link._transport, "call", spy)
    link.submit_measurement(MEASUREMENT)
    assert bounds == [14]


def test_second_address_is_tried_where_the_first_is_dead(
    server: CaptureServer,
    links: Links,
    hole: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A home network with a broken IPv6 still reaches the cloud by its other address."""
    dead = ("127.0.0.1", int(hole.rpartition(":")[2]))
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        for address in (dead, ("127.0.0.1", server.port))
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: found)
    link = links.make("http://cloud.localhost:8800", connect_timeout=1)
    assert link.submit_measurement(MEASUREMENT) is True


@pytest.mark.parametrize("how", SLOW)
def test_stop_is_prompt_while_calls_hang(server: CaptureServer, links: Links, how: str) -> None:
    """A beat and a poll that wait for a slow cloud are cut off."""
    server.rules[BEAT] = server.rules[PLAN] = SLOW[how]
    link = links.started(server.url, connect_timeout=60, timeout=60)
    server.wait_for(BEAT)
    server.wait_for(PLAN)
    stop_in_time(link)


@pytest.mark.parametrize("path", [MEASUREMENTS, INTERRUPTS, f"{INTERRUPTS}/1/ack", IMAGES])
def test_stop_is_prompt_while_another_call_hangs(
    server: CaptureServer, links: Links, tmp_path: Path, path: str
) -> None:
    """A drain, an acknowledgement and an image are cut off as well, and stay due."""
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [{"id": 1}]})
    server.rules[MEASUREMENTS] = Answer(503)
    link = links.make(
        server.url,
        {"on_interrupt": lambda _interrupt: None},
        timeout=60,
        heartbeat_interval=60,
        upload_images=True,
    )
    link.submit_measurement(MEASUREMENT, fits_path=str(tmp_path / "a.fits"))
    server.rules[MEASUREMENTS] = Answer()
    server.rules[path] = SLOW["silent"]
    before = len(server.to(path))
    link.start()
    server.wait_for(path, before + 1)
    stop_in_time(link)
    if path == IMAGES:
        assert link.status["queued_images"] == 1
    if path == MEASUREMENTS:
        assert link.status["queued_uploads"] == 1


def test_stop_is_prompt_while_a_registration_hangs(server: CaptureServer, links: Links) -> None:
    """The first call of a new node is cut off too."""
    server.rules[REGISTER] = SLOW["silent"]
    link = links.started(server.url, node_id="", api_key="", timeout=60)
    server.wait_for(REGISTER)
    stop_in_time(link)


def test_stop_is_prompt_while_connecting(links: Links, hole: str) -> None:
    """Nobody accepts, and nobody waits for it."""
    link = links.started(hole, connect_timeout=60, timeout=60)
    wait_until(lambda: sum(len(group) for _, group in link._transport._open_sockets) == 2)
    stop_in_time(link)


def test_stop_is_prompt_while_a_name_is_looked_up(links: Links, nowhere: str) -> None:
    """The resolver's answer is not waited for."""
    link = links.started(nowhere, connect_timeout=60, timeout=60)
    wait_until(lambda: sum(thread.name == "cloud-resolve" for thread in threading.enumerate()) == 2)
    stop_in_time(link)


def test_cut_off_calls_are_no_error(server: CaptureServer, links: Links) -> None:
    """A stop is no failure of the cloud."""
    server.rules[BEAT] = server.rules[PLAN] = SLOW["silent"]
    link = links.started(server.url, timeout=60)
    server.wait_for(BEAT)
    server.wait_for(PLAN)
    link.stop()
    wait_until(lambda: not alive(link))
    assert (link.status["error"], link.status["last_heartbeat_ok"]) == (None, None)


def test_start_after_a_stop_in_the_middle_of_calls_works(
    server: CaptureServer, links: Links
) -> None:
    """The calls that were cut off leave nothing behind."""
    server.rules[BEAT] = server.rules[PLAN] = SLOW["silent"]
    link = links.started(server.url, timeout=60)
    server.wait_for(BEAT)
    server.wait_for(PLAN)
    link.stop()
    wait_until(lambda: not alive(link))
    server.rules[BEAT] = server.rules[PLAN] = Answer()
    link.start()
    wait_until(lambda: link.status["last_heartbeat_ok"])

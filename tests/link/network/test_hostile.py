"""Replies that no cloud should give: the link lives, says so, and loses nothing."""

import threading
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, Request, wait_until
from tests.support.hostile import (
    ENDLESS_BODY,
    ENDLESS_CONTINUE,
    ENDLESS_HEADERS,
    SILENT,
)
from tests.support.links import (
    BEAT,
    IMAGES,
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

ACK = f"{INTERRUPTS}/7/ack"
ALERT = {"id": 7, "name": "AT 2026abc", "reason": "nova"}
_OK = b"HTTP/1.1 200 OK\r\n"

NO_ANSWER = {
    "nothing": Answer(raw=b""),
    "garbage": Answer(raw=b"\x00\xff\x17 no HTTP at all\r\n\r\n" * 20),
    "status 0": Answer(raw=b"HTTP/1.1 0 \r\nContent-Length: 2\r\n\r\n{}"),
    "status 99999": Answer(raw=b"HTTP/1.1 99999 Huge\r\nContent-Length: 2\r\n\r\n{}"),
    "status in words": Answer(raw=b"HTTP/1.1 fine OK\r\n\r\n{}"),
    "torn status line": Answer(raw=b"HTTP/1.1 2"),
    "torn headers": Answer(raw=_OK + b"Content-Type: appl"),
    "headers alone": Answer(raw=_OK + b"Content-Type: application/json\r\n\r\n"),
    "body that never came": Answer(raw=_OK + b"Content-Length: 40\r\n\r\n"),
    "torn body": Answer(raw=_OK + b'Content-Length: 40\r\n\r\n{"ok": true}'),
    "torn chunk": Answer(raw=_OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{"),
    "chunks in words": Answer(
        raw=_OK + b"Transfer-Encoding: chunked\r\n\r\nmany\r\n{}\r\n0\r\n\r\n"
    ),
    "chunk of minus size": Answer(
        raw=_OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n"
    ),
    "header of 1 MB": Answer(raw=_OK + b"X-Long: " + b"x" * 1_000_000 + b"\r\n\r\n{}"),
    "interim answer alone": Answer(raw=b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "switched protocols": Answer(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"),
    "endless headers": ENDLESS_HEADERS,
    "endless 100 Continue": ENDLESS_CONTINUE,
    "endless body": ENDLESS_BODY,
    "silence": SILENT,
    "20 MB": Answer(body=b'{"a": "' + b"x" * 20_000_000 + b'"}'),
}
REFUSALS = {
    "300": Answer(300, []),
    "404 page": Answer(404, b"<html>not found</html>"),
    "500 page": Answer(500, b"<html>\x00\x1b[31m oops \xff</html>"),
    "502 empty": Answer(502, b""),
    "status 999": Answer(999, {"error": "odd"}),
    "error of a wrong type": Answer(500, {"error": {"deep": [1]}}),
    "deep error": Answer(500, b"[" * 100_000),
}
NO_JSON = {
    "captive portal": Answer(200, b"<!doctype html><title>Hotel Wi-Fi</title>Please log in"),
    "text": Answer(200, b"OK"),
    "half of a JSON": Answer(200, b'{"ok": tr'),
    "two JSONs": Answer(200, b"{} {}"),
    "no UTF-8": Answer(200, b'{"a": "\xff\xfe\xfd"}'),
    "deep nesting": Answer(200, b"[" * 100_000 + b"]" * 100_000),
    "number of 10,000 digits": Answer(200, b'{"a": ' + b"9" * 10_000 + b"}"),
}
WRONG_TYPES = {
    "null": Answer(200, b"null"),
    "a list": Answer(200, []),
    "a list of objects": Answer(200, [{"ok": True}]),
    "a text": Answer(200, b'"ok"'),
    "a number": Answer(200, b"17"),
    "true": Answer(200, b"true"),
    "NaN": Answer(200, b"NaN"),
}
HOSTILE = NO_ANSWER | REFUSALS | NO_JSON | WRONG_TYPES


ENDLESS = {"silence", "endless 100 Continue"}
"""Replies that end with the call's time only."""


def link_of(server: CaptureServer, links: Links, what: str, **cloud: Any) -> CloudCommunicator:
    """Build a link with all callbacks, that is impatient where patience would not help."""
    callbacks = {"on_plan": lambda _items: None, "on_interrupt": lambda _interrupt: None}
    patience_s = 0.1 if what in ENDLESS else 5
    times = {"timeout": patience_s, "connect_timeout": patience_s, "heartbeat_interval": 60}
    return links.make(server.url, callbacks, **{**times, **cloud})


def patient(link: CloudCommunicator) -> CloudCommunicator:
    """Give a link's calls time enough for a busy machine."""
    link._client._timeout_s = link._transport._connect_timeout_s = 10
    return link


@pytest.mark.parametrize("what", HOSTILE)
def test_measurement_is_queued_after_a_hostile_reply(
    server: CaptureServer, links: Links, what: str
) -> None:
    """It never counts as delivered; it arrives once the cloud is itself again."""
    server.rules[MEASUREMENTS] = HOSTILE[what]
    link = link_of(server, links, what)
    assert link.submit_measurement(nth(1)) is False
    assert link.status["queued_uploads"] == 1
    assert isinstance(link.status["error"], str)
    assert link.status["error"].isprintable()
    server.rules[MEASUREMENTS] = Answer()
    patient(link)._heartbeat_tick(threading.Event())
    assert (link.status["queued_uploads"], link.status["delivered"]) == (0, 1)
    assert link.status["error"] is None


@pytest.mark.parametrize("what", HOSTILE)
def test_drain_keeps_its_entries_after_a_hostile_reply(
    server: CaptureServer, links: Links, what: str
) -> None:
    """All of them, in their order."""
    server.rules[MEASUREMENTS] = Answer(503)
    link = link_of(server, links, what)
    for number in range(2):
        link.submit_measurement(nth(number))
    server.rules[MEASUREMENTS] = HOSTILE[what]
    link._heartbeat_tick(threading.Event())
    assert link.status["queued_uploads"] == 2
    server.rules[MEASUREMENTS] = Answer()
    server.requests.clear()
    patient(link)._heartbeat_tick(threading.Event())
    assert numbers(server.to(MEASUREMENTS)) == [0, 1]


@pytest.mark.parametrize("what", HOSTILE)
def test_heartbeat_fails_on_a_hostile_reply(server: CaptureServer, links: Links, what: str) -> None:
    """The status says so, and the next good one clears it."""
    server.rules[BEAT] = HOSTILE[what]
    link = link_of(server, links, what)
    link._heartbeat_tick(threading.Event())
    assert link.status["last_heartbeat_ok"] is False
    assert isinstance(link.status["error"], str)
    server.rules[BEAT] = Answer()
    patient(link)._heartbeat_tick(threading.Event())
    assert (link.status["last_heartbeat_ok"], link.status["error"]) == (True, None)


@pytest.mark.parametrize("what", HOSTILE)
def test_registration_fails_on_a_hostile_reply(
    server: CaptureServer, links: Links, what: str
) -> None:
    """No identity comes of it, and the next try gets one."""
    good = server.rules[REGISTER]
    server.rules[REGISTER] = HOSTILE[what]
    link = link_of(server, links, what, node_id="", api_key="")
    link._heartbeat_tick(threading.Event())
    assert link.status["registered"] is False
    assert isinstance(link.status["error"], str)
    assert server.to(BEAT) == []
    server.rules[REGISTER] = good
    patient(link)._heartbeat_tick(threading.Event())
    assert (link.status["registered"], link.status["error"]) == (True, None)


@pytest.mark.parametrize("path", [PLAN, INTERRUPTS])
@pytest.mark.parametrize("what", HOSTILE)
def test_poll_fails_on_a_hostile_reply(
    server: CaptureServer, links: Links, what: str, path: str
) -> None:
    """The status says so, the other poll is made, and a good reply clears it."""
    good = server.rules[path]
    server.rules[path] = HOSTILE[what]
    link = link_of(server, links, what)
    link._plan_tick(threading.Event())
    assert len(server.to(INTERRUPTS)) >= 1
    if what not in ENDLESS:  # where the other poll's answer has cleared it already
        assert isinstance(link.status["error"], str)
    server.rules[path] = good
    patient(link)._plan_tick(threading.Event())
    assert link.status["error"] is None


@pytest.mark.parametrize("what", sorted(HOSTILE.keys() - {"404 page"}))
def test_interrupt_is_done_once_whatever_the_ack_brings(
    server: CaptureServer, links: Links, what: str
) -> None:
    """The ack is tried again until it lands; the callback is not."""
    taken: list[Any] = []
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    server.rules[ACK] = HOSTILE[what]
    link = link_of(server, links, what)
    link._interrupts._on_interrupt = taken.append
    for _ in range(2):
        link._plan_tick(threading.Event())
    assert link.status["interrupts_unacked"] == 1
    server.rules[ACK] = Answer()
    patient(link)._plan_tick(threading.Event())
    assert link.status["interrupts_unacked"] == 0
    assert taken == [ALERT]


@pytest.mark.parametrize("what", sorted(HOSTILE.keys() - ENDLESS))
def test_image_is_remembered_after_a_hostile_reply(
    server: CaptureServer, links: Links, tmp_path: Path, what: str
) -> None:
    """It goes up once the cloud is itself again."""
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    server.rules[IMAGES] = HOSTILE[what]
    link = link_of(server, links, what, upload_images=True)
    assert link.submit_measurement(nth(1), fits_path=tmp_path / "a.fits") is True
    assert link.status["queued_images"] == 1
    server.rules[IMAGES] = Answer()
    patient(link)._heartbeat_tick(threading.Event())
    assert link.status["queued_images"] == 0


@pytest.mark.parametrize("what", HOSTILE)
def test_both_threads_live_through_a_hostile_cloud(
    server: CaptureServer, links: Links, what: str
) -> None:
    """With every reply of that kind both go on, and all is well when the cloud is."""
    paths = (BEAT, PLAN, INTERRUPTS, MEASUREMENTS)
    good = {path: server.rules.get(path, Answer()) for path in paths}
    server.rules.update(dict.fromkeys(paths, HOSTILE[what]))
    link = link_of(server, links, what, heartbeat_interval=0.05, plan_poll_interval=0.05)
    link.start()
    assert link.submit_measurement(nth(1)) is False
    server.wait_for(BEAT, 2)
    server.wait_for(PLAN, 2)
    wait_until(lambda: isinstance(link.status["error"], str))
    assert sorted(alive(link)) == sorted(THREADS)
    server.rules.update(good)
    patient(link)
    wait_until(lambda: link.status["queued_uploads"] == 0 and link.status["error"] is None)
    assert link.status["delivered"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"plan": []},
        {"plan": "p1"},
        {"plan": {}},
        {"plan": {"plan_id": None, "items": []}},
        {"plan": {"plan_id": "", "items": []}},
        {"plan": {"plan_id": ["p"], "items": []}},
        {"plan": {"plan_id": True, "items": []}},
        {"plan": {"plan_id": "p1"}},
        {"plan": {"plan_id": "p1", "items": None}},
        {"plan": {"plan_id": "p1", "items": {"target": "a"}}},
        {"plan": {"plan_id": "p1", "items": "abc"}},
    ],
)
def test_plan_of_wrong_types_is_told_and_not_handed_over(
    server: CaptureServer, links: Links, answer: Any
) -> None:
    """The callback sees whole plans only; a good one comes through afterwards."""
    offered: list[Any] = []
    server.rules[PLAN] = Answer(body=answer)
    link = links.make(server.url, {"on_plan": offered.append})
    link._plan_tick(threading.Event())
    assert isinstance(link.status["error"], str)
    assert offered == []
    server.rules[PLAN] = Answer(body={"plan": {"plan_id": "p1", "items": [{"target": "a"}]}})
    link._plan_tick(threading.Event())
    assert offered == [[{"target": "a"}]]
    assert link.status["error"] is None


def test_items_that_are_no_objects_are_left_out_of_a_plan(
    server: CaptureServer, links: Links
) -> None:
    """The night goes on with the rest, and the status tells."""
    offered: list[Any] = []
    items = [{"target": "a"}, None, 7, {"target": "b"}]
    server.rules[PLAN] = Answer(body={"plan": {"plan_id": "p1", "items": items}})
    link = links.make(server.url, {"on_plan": offered.append})
    link._plan_tick(threading.Event())
    assert offered == [[{"target": "a"}, {"target": "b"}]]
    assert "2 items" in link.status["error"]


@pytest.mark.parametrize(
    "answer", [{}, {"interrupts": None}, {"interrupts": {}}, {"interrupts": "a"}]
)
def test_interrupts_of_a_wrong_type_are_told(
    server: CaptureServer, links: Links, answer: Any
) -> None:
    """No callback, an error, and no dead thread."""
    taken: list[Any] = []
    server.rules[INTERRUPTS] = Answer(body=answer)
    link = links.make(server.url, {"on_interrupt": taken.append})
    link._plan_tick(threading.Event())
    assert isinstance(link.status["error"], str)
    assert taken == []


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        "x",
        [],
        {},
        {"id": None},
        {"id": [1]},
        {"id": True},
        {"id": "../plan"},
        {"id": ""},
        {"id": "a/b?c"},
        {"id": 1.5},
    ],
)
def test_interrupt_without_an_id_does_not_stop_the_others(
    server: CaptureServer, links: Links, bad: Any
) -> None:
    """The usable ones are taken; what has no id to acknowledge is told."""
    taken: list[Any] = []
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [bad, ALERT]})
    link = links.make(server.url, {"on_interrupt": taken.append})
    link._plan_tick(threading.Event())
    assert taken == [ALERT]
    assert isinstance(link.status["error"], str)
    assert {request.path for request in server.requests} == {PLAN, INTERRUPTS, ACK}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"node_id": "n"},
        {"api_key": "k"},
        {"node_id": "", "api_key": ""},
        {"node_id": None, "api_key": None},
        {"node_id": 7, "api_key": 8},
        {"node_id": "n", "api_key": ["k"]},
        {"node_id": "n", "api_key": "two\r\nlines"},
        {"node_id": "n", "api_key": "ключ"},
        {"node_id": "n", "api_key": "k" * 100_000},
        {"error": "closed"},
    ],
)
def test_registration_without_usable_credentials_is_tried_again(
    server: CaptureServer, links: Links, answer: Any
) -> None:
    """Nothing is saved, no thread dies, and a good answer is taken later."""
    good = server.rules[REGISTER]
    server.rules[REGISTER] = Answer(body=answer)
    link = links.started(server.url, node_id="", api_key="", heartbeat_interval=0.1)
    server.wait_for(REGISTER, 3)
    assert isinstance(link.status["error"], str)
    assert not (links.folder / "cloud_state.json").exists()
    server.rules[REGISTER] = good
    wait_until(lambda: link.status["registered"])
    assert sorted(alive(link)) == sorted(THREADS)


def test_interim_answer_does_not_shift_the_answers_behind_it(
    server: CaptureServer, links: Links
) -> None:
    """The final answer that follows one is never read as that of the next measurement."""
    over = threading.Event()

    def hint_first(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        over.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + b'{"ok": true}')
        over.wait(0.2)

    def answer(request: Request) -> Answer:
        return Answer(act=hint_first) if numbers([request]) == [1] else Answer(500)

    server.rules[MEASUREMENTS] = answer
    link = links.make(server.url)
    link.submit_measurement(nth(1))
    over.set()
    assert link.submit_measurement(nth(2)) is False
    assert link.status["queued_uploads"] == 2 - link.status["delivered"]
    waiting = [entry.payload()["measurement"] for entry in link._uplink._queue.entries()]
    assert nth(2) in waiting


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_empty_answer_of_known_size_is_a_yes(
    server: CaptureServer, links: Links, status: int
) -> None:
    """A cloud may say yes by its status alone."""
    server.rules.update(dict.fromkeys((BEAT, MEASUREMENTS), Answer(status, b"")))
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is True
    link._heartbeat_tick(threading.Event())
    assert link.status["last_heartbeat_ok"] is True


def test_random_bytes_in_place_of_an_answer_end_no_call_but_in_a_failure(
    server: CaptureServer, links: Links
) -> None:
    """Shuffled and torn HTTP by the hundred: each measurement is queued, none raises."""
    rng = Random(20260301)  # noqa: S311 - reproducible noise
    whole = _OK + b'Content-Length: 12\r\nDate: now\r\nTransfer-Encoding: x\r\n\r\n{"ok": nope}'

    def noise(_request: Request) -> Answer:
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return Answer(raw=bytes(data[: rng.randrange(len(data) + 1)]))

    server.rules[MEASUREMENTS] = noise
    link = link_of(server, links, "noise")
    for number in range(400):
        assert link.submit_measurement(nth(number)) is False
    assert link.status["queued_uploads"] == 400

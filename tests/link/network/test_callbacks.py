"""Callbacks that raise, plans that come again, interrupts that are done once, also after a kill."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, in_turn, wait_until
from tests.support.links import BEAT, INTERRUPTS, PLAN, THREADS, Links, alive, cloud_block

from cloud_communicator import CloudCommunicator

ACK = f"{INTERRUPTS}/7/ack"
ALERT = {"id": 7, "name": "AT 2026abc", "reason": "nova", "acked": False}
RAISED = [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), RecursionError()]


def poll(link: CloudCommunicator, times: int = 1) -> None:
    """Let the plan's thread do its work here and now."""
    for _ in range(times):
        link._plan_tick(threading.Event())


def plan(plan_id: Any, *items: Any) -> Answer:
    """Answer with a plan."""
    return Answer(body={"plan": {"plan_id": plan_id, "items": list(items)}})


class Failing:
    """A callback that raises so many times, and then works."""

    def __init__(self, error: BaseException, times: int = 1) -> None:
        self.calls: list[Any] = []
        self._error = error
        self._left = times

    def __call__(self, *args: Any) -> Any:
        """Take the call."""
        self.calls.append(args[0] if args else None)
        if self._left:
            self._left -= 1
            raise self._error
        return {}


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_no_exception_of_a_callback_ends_a_thread(
    server: CaptureServer, links: Links, error: BaseException
) -> None:
    """All three may raise anything, SystemExit too, and the link goes on."""
    server.rules[PLAN] = plan("p1")
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    names = ("get_conditions", "on_plan", "on_interrupt")
    callbacks = {name: Failing(error, 2) for name in names}
    link = links.started(server.url, callbacks, heartbeat_interval=0.05, plan_poll_interval=0.05)
    server.wait_for(ACK)
    server.wait_for(BEAT, 4)
    assert sorted(alive(link)) == sorted(THREADS)
    assert [len(callbacks[name].calls) for name in names[1:]] == [3, 3]
    wait_until(lambda: link.status["error"] is None)


def test_plan_whose_callback_raised_is_offered_again(server: CaptureServer, links: Links) -> None:
    """Seen is what on_plan has returned from; until then each poll offers it."""
    on_plan = Failing(ValueError("mount is parked"), 2)
    server.rules[PLAN] = plan("p1", {"target": "a"})
    link = links.make(server.url, {"on_plan": on_plan})
    poll(link, 2)
    assert "on_plan" in link.status["error"]
    poll(link, 3)
    assert on_plan.calls == [[{"target": "a"}]] * 3
    assert link.status["error"] is None


def test_empty_plan_is_handed_over(server: CaptureServer, links: Links) -> None:
    """A plan without items says: tonight, nothing."""
    offered: list[Any] = []
    server.rules[PLAN] = in_turn(plan("p1", {"target": "a"}), plan("p2"))
    link = links.make(server.url, {"on_plan": offered.append})
    poll(link, 3)
    assert offered == [[{"target": "a"}], []]
    assert (link.status["last_plan_id"], link.status["plan_items"]) == ("p2", 0)


def test_plan_that_comes_back_after_another_is_new(server: CaptureServer, links: Links) -> None:
    """What counts is the last-seen plan_id."""
    offered: list[Any] = []
    one, two = plan("p1", {"target": "a"}), plan("p2", {"target": "b"})
    server.rules[PLAN] = in_turn(one, two, one)
    link = links.make(server.url, {"on_plan": offered.append})
    poll(link, 4)
    assert [items[0]["target"] for items in offered] == ["a", "b", "a"]


def test_plan_without_a_callback_is_shown_in_the_status(
    server: CaptureServer, links: Links
) -> None:
    """A node may look at the status alone."""
    server.rules[PLAN] = plan("p1", {"target": "a"})
    link = links.make(server.url)
    poll(link)
    assert (link.status["last_plan_id"], link.status["plan_items"]) == ("p1", 1)


def test_interrupt_without_a_callback_is_not_acknowledged(
    server: CaptureServer, links: Links
) -> None:
    """Nobody has taken it, so the cloud must not believe that."""
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    poll(links.make(server.url), 2)
    assert server.to(ACK) == []


def test_lost_acks_do_not_call_twice(server: CaptureServer, links: Links) -> None:
    """Four answers of 500 to the ack: one callback, and the ack goes on until it lands."""
    taken: list[Any] = []
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    server.rules[ACK] = in_turn(*[Answer(500)] * 4, Answer())
    link = links.make(server.url, {"on_interrupt": taken.append})
    poll(link, 4)
    assert (len(server.to(ACK)), link.status["interrupts_unacked"]) == (4, 1)
    poll(link)
    assert (len(server.to(ACK)), link.status["interrupts_unacked"]) == (5, 0)
    assert taken == [ALERT]


def test_ack_is_sent_also_when_the_cloud_lists_the_interrupt_no_more(
    server: CaptureServer, links: Links
) -> None:
    """An ack that is due goes out whatever the next list holds."""
    server.rules[INTERRUPTS] = in_turn(
        Answer(body={"interrupts": [ALERT]}), Answer(body={"interrupts": []})
    )
    server.rules[ACK] = in_turn(Answer(500), Answer())
    link = links.make(server.url, {"on_interrupt": lambda _interrupt: None})
    poll(link, 3)
    assert len(server.to(ACK)) == 2


def test_ack_of_a_forgotten_interrupt_is_settled(server: CaptureServer, links: Links) -> None:
    """A 404 means that there is nothing left to acknowledge."""
    server.rules[INTERRUPTS] = in_turn(
        Answer(body={"interrupts": [ALERT]}), Answer(body={"interrupts": []})
    )
    server.rules[ACK] = Answer(404, {"error": "no such interrupt"})
    link = links.make(server.url, {"on_interrupt": lambda _interrupt: None})
    poll(link, 3)
    assert len(server.to(ACK)) == 1
    assert link.status["error"] is None


def test_done_interrupt_is_not_called_again_after_a_restart(
    server: CaptureServer, links: Links
) -> None:
    """The ack never landed; a new object acknowledges and calls nothing."""
    taken: list[Any] = []
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    server.rules[ACK] = in_turn(Answer(500), Answer())
    poll(links.make(server.url, {"on_interrupt": taken.append}))
    poll(links.make(server.url, {"on_interrupt": taken.append}))
    assert taken == [ALERT]
    assert len(server.to(ACK)) == 2


def test_interrupt_whose_callback_raised_is_offered_again_unacknowledged(
    server: CaptureServer, links: Links
) -> None:
    """It is no redelivery: the callback ended, and said no."""
    on_interrupt = Failing(OSError("dome is shut"), 2)
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    link = links.make(server.url, {"on_interrupt": on_interrupt})
    poll(link, 2)
    assert server.to(ACK) == []
    assert "on_interrupt" in link.status["error"]
    poll(link)
    assert on_interrupt.calls == [ALERT] * 3
    assert len(server.to(ACK)) == 1
    assert link.status["error"] is None


def test_one_failing_interrupt_does_not_hold_up_the_next(
    server: CaptureServer, links: Links
) -> None:
    """Each is offered for itself."""
    taken: list[int] = []

    def take(interrupt: dict[str, Any]) -> None:
        taken.append(interrupt["id"])
        if interrupt["id"] == 7:
            raise ValueError("not this one")

    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT, {**ALERT, "id": 8}]})
    link = links.make(server.url, {"on_interrupt": take})
    poll(link, 2)
    assert taken == [7, 8, 7]


def test_same_id_of_another_cloud_is_another_interrupt(server: CaptureServer, links: Links) -> None:
    """A node that changes its cloud misses nothing."""
    taken: list[Any] = []
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    poll(links.make(server.url, {"on_interrupt": taken.append}))
    poll(links.make(f"{server.url}/", {"on_interrupt": taken.append}))
    assert len(taken) == 1
    server.rules["/other/api/v1/interrupts"] = server.rules[INTERRUPTS]
    poll(links.make(f"{server.url}/other", {"on_interrupt": taken.append}))
    assert len(taken) == 2


_IN_THE_MIDDLE = """
import json, sys, time
from pathlib import Path
from cloud_communicator import CloudCommunicator

def take(interrupt):
    Path(sys.argv[2]).write_text(json.dumps(interrupt))
    time.sleep(60)

link = CloudCommunicator(json.loads(sys.argv[1]), on_interrupt=take)
link.start()
time.sleep(60)
"""


def cut_down(server: CaptureServer, links: Links, begun: Path) -> dict[str, Any]:
    """Run a node until it is in the middle of its callback, and kill it -9."""
    config = {"cloud": cloud_block(server.url, links.folder)}
    arguments = [sys.executable, "-c", _IN_THE_MIDDLE, json.dumps(config), str(begun)]
    with subprocess.Popen(arguments) as process:
        try:
            wait_until(lambda: begun.exists() and begun.read_text().endswith("}"))
        finally:
            process.send_signal(signal.SIGKILL)
    found: dict[str, Any] = json.loads(begun.read_text())
    return found


def test_interrupt_cut_down_in_its_callback_comes_again_marked(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """After kill -9 it is offered with "redelivered": true, until the callback has ended."""
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    assert cut_down(server, links, tmp_path / "first") == ALERT
    assert cut_down(server, links, tmp_path / "second") == {**ALERT, "redelivered": True}
    taken: list[Any] = []
    link = links.make(server.url, {"on_interrupt": taken.append})
    assert server.to(ACK) == []
    poll(link, 3)
    assert taken == [{**ALERT, "redelivered": True}]
    poll(links.make(server.url, {"on_interrupt": taken.append}))
    assert len(taken) == 1

"""The constructor, its config and its three callbacks."""

import inspect
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, in_turn, wait_until
from tests.support.links import BEAT, INTERRUPTS, KEY, NODE_ID, PLAN, Links, cloud_block

from cloud_communicator import CloudCommunicator

ITEM = {
    "target": "SS Cyg",
    "ra": 21.71,
    "dec": 43.58,
    "expDur": 10,
    "expCount": 30,
    "binning": 1,
    "startTime": "22:15",
}
ALERT = {"id": 7, "name": "AT 2026abc", "reason": "nova candidate", "ra": 1.5, "acked": False}


def plan(plan_id: str, *items: dict[str, Any]) -> Answer:
    """Answer with a plan."""
    return Answer(body={"plan": {"plan_id": plan_id, "items": list(items)}})


def test_constructor_has_the_documented_signature() -> None:
    """The config is required, the three callbacks are optional and None by default."""
    parameters = list(inspect.signature(CloudCommunicator).parameters.values())
    assert [p.name for p in parameters] == ["config", "get_conditions", "on_plan", "on_interrupt"]
    assert parameters[0].default is inspect.Parameter.empty
    assert [p.default for p in parameters[1:]] == [None, None, None]


def test_callbacks_may_be_given_by_place(server: CaptureServer, tmp_path: Path) -> None:
    """The four arguments are taken in the documented order."""
    seen: list[Any] = []
    server.rules[PLAN] = plan("p1", ITEM)
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})
    config = {"cloud": cloud_block(server.url, tmp_path)}
    link = CloudCommunicator(config, lambda: {"place": 2}, seen.append, seen.append)
    link.start()
    try:
        beat = server.wait_for(BEAT)[0]
        wait_until(lambda: len(seen) == 2)
    finally:
        link.stop()
    assert beat.json()["conditions"]["place"] == 2
    assert seen == [[ITEM], ALERT]


def test_cloud_settings_come_from_the_cloud_block_alone(
    server: CaptureServer, links: Links
) -> None:
    """Keys of the same name outside the block have no effect."""
    block = cloud_block(server.url, links.folder)
    config = {"url": "http://127.0.0.1:1", "enabled": False, "node_id": "other", "cloud": block}
    links.of(config).start()
    assert server.wait_for(BEAT)[0].headers["x-node-id"] == NODE_ID


def test_every_call_but_the_registration_carries_the_credentials(
    server: CaptureServer, links: Links
) -> None:
    """X-Node-Id and X-Api-Key go with beats, polls and measurements."""
    link = links.started(server.url)
    link.submit_measurement({"magnitude": 11.0})
    server.wait_for(BEAT)
    server.wait_for(PLAN)
    server.wait_for(INTERRUPTS)
    assert {(r.headers["x-node-id"], r.headers["x-api-key"]) for r in server.requests} == {
        (NODE_ID, KEY)
    }


def test_conditions_are_asked_for_and_merged_at_every_beat(
    server: CaptureServer, links: Links
) -> None:
    """Each beat carries what the callback says at that moment."""
    calls: list[int] = []

    def conditions() -> dict[str, Any]:
        calls.append(1)
        return {"sky_temp_c": -12.5, "count": len(calls)}

    links.started(server.url, {"get_conditions": conditions})
    beats = [beat.json()["conditions"] for beat in server.wait_for(BEAT, 3)[:3]]
    assert [beat["count"] for beat in beats] == [1, 2, 3]
    assert all(beat["sky_temp_c"] == -12.5 for beat in beats)
    assert all("utc_offset_hours" in beat for beat in beats)


def test_conditions_that_raise_are_logged_and_empty(
    server: CaptureServer, links: Links, caplog: pytest.LogCaptureFixture
) -> None:
    """The beat goes out without them, and the next one too."""

    def broken() -> dict[str, Any]:
        raise OSError("no sensor")

    with caplog.at_level(logging.ERROR, logger="cloud_communicator"):
        link = links.started(server.url, {"get_conditions": broken})
        beats = server.wait_for(BEAT, 2)
    assert [set(beat.json()["conditions"]) for beat in beats] == [{"utc_offset_hours"}] * len(beats)
    assert "get_conditions" in caplog.text
    wait_until(lambda: link.status["last_heartbeat_ok"])


@pytest.mark.parametrize("answer", [None, [], "warm", 3])
def test_conditions_that_are_no_dict_are_empty(
    server: CaptureServer, links: Links, answer: Any
) -> None:
    """A callback that forgets to return a dict stops no beat."""
    links.started(server.url, {"get_conditions": lambda: answer})
    assert set(server.wait_for(BEAT)[0].json()["conditions"]) == {"utc_offset_hours"}


def test_on_plan_gets_the_items_of_each_new_plan_once(server: CaptureServer, links: Links) -> None:
    """The callback is called when the plan_id differs from the last one, and not else."""
    offered: list[list[Any]] = []
    later = {**ITEM, "target": "T CrB"}
    server.rules[PLAN] = in_turn(
        plan("p1", ITEM), plan("p1", ITEM), plan("p2", later, ITEM), plan("p2", later, ITEM)
    )
    links.started(server.url, {"on_plan": offered.append}, plan_poll_interval=0.1)
    server.wait_for(PLAN, 5)
    assert offered == [[ITEM], [later, ITEM]]


@pytest.mark.parametrize("auto", [True, False])
def test_on_plan_is_called_whether_or_not_plans_run_by_themselves(
    server: CaptureServer, links: Links, auto: bool
) -> None:
    """auto_run_plans says what the callback's owner does with it; the link hands over."""
    offered: list[list[Any]] = []
    server.rules[PLAN] = plan("p1", ITEM)
    links.started(server.url, {"on_plan": offered.append}, auto_run_plans=auto)
    wait_until(lambda: offered == [[ITEM]])


def test_on_interrupt_is_called_once_and_acknowledged_after_it_returned(
    server: CaptureServer, links: Links
) -> None:
    """POST …/ack follows the callback, and a second poll calls nothing."""
    acks_at_call: list[int] = []
    taken: list[dict[str, Any]] = []
    ack = f"{INTERRUPTS}/7/ack"
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [ALERT]})

    def take(interrupt: dict[str, Any]) -> None:
        acks_at_call.append(len(server.to(ack)))
        taken.append(interrupt)

    links.started(server.url, {"on_interrupt": take}, plan_poll_interval=0.1)
    acknowledged = server.wait_for(ack)[0]
    server.wait_for(INTERRUPTS, 4)
    assert (acknowledged.method, acknowledged.json()) == ("POST", {})
    assert acks_at_call == [0]
    assert taken == [ALERT]
    assert {"id", "name", "reason"} <= set(taken[0])


def test_on_interrupt_is_not_called_for_an_acknowledged_one(
    server: CaptureServer, links: Links
) -> None:
    """What the cloud marks as acked is another's, or long done."""
    taken: list[dict[str, Any]] = []
    server.rules[INTERRUPTS] = Answer(
        body={"interrupts": [{**ALERT, "acked": True}, {**ALERT, "id": 8}]}
    )
    links.started(server.url, {"on_interrupt": taken.append}, plan_poll_interval=0.1)
    server.wait_for(INTERRUPTS, 3)
    assert [interrupt["id"] for interrupt in taken] == [8]

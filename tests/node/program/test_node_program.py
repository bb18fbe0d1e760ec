"""The node at work, with the real link, the real cloud and the real ledger."""

import contextlib
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.node.program.fakes import FakeMeasuring, config_for, until
from tests.support.cloud_server import RunningCloud, running_cloud

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.config import ConfigFileError
from boundless_skies.node.factory import build_desk, build_watch, check_ready, link_config
from boundless_skies.node.services import node_program
from boundless_skies.node.services.node_program import (
    Inbox,
    NodeProgram,
    interrupt_line,
    plan_line,
)
from boundless_skies.node.storage.ledger import FILE_NAME, Ledger, LedgerError
from boundless_skies.node.storage.schedule import FILE_NAME as SCHEDULE_NAME
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.node.storage.status_file import read_status
from cloud_communicator import CloudCommunicator
from cloud_communicator.config import read_config
from cloud_communicator.identity import registration_payload


class Node:
    """A node that runs in a thread of the test."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.folder = Path(config["cloud"]["data_dir"])
        self.ledger = Ledger(self.folder / FILE_NAME)
        self.measuring = FakeMeasuring()
        self.stop = threading.Event()
        self.store = ScheduleStore(self.folder / SCHEDULE_NAME)
        desk = build_desk(config, self.store, SystemClock())
        inbox = Inbox(self.ledger, desk, lambda: (self.link.status["last_plan_id"], None))
        self.link = CloudCommunicator(config, None, inbox.take_plan, inbox.take_interrupt)
        self.program = NodeProgram(
            config=config,
            folder=self.folder,
            link=self.link,
            ledger=self.ledger,
            watch=build_watch(config, self.ledger),
            measuring=self.measuring,
            store=self.store,
            desk=desk,
        )

    @property
    def status(self) -> dict[str, Any]:
        """What the node wrote of itself."""
        return read_status(self.folder) or {}


@contextlib.contextmanager
def running(config: dict[str, Any]) -> Iterator[Node]:
    """Run a node for the length of a ``with`` block."""
    node = Node(config)
    thread = threading.Thread(target=node.program.run, args=(node.stop,))
    thread.start()
    try:
        yield node
    finally:
        node.stop.set()
        thread.join(30)
        assert not thread.is_alive()


def put(folder: Path, name: str, text: str) -> None:
    """Put a frame into the watched folder as a telescope would."""
    draft = folder / "frames" / f"{name}.part"
    draft.write_text(text)
    draft.rename(folder / "frames" / name)


def held_by(cloud: RunningCloud) -> int:
    """Tell how many measurements a cloud holds, revisions included."""
    with urllib.request.urlopen(f"{cloud.url}/api/v1/network/status") as reply:
        return int(json.load(reply)["counts"]["measurements"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """Run one cloud for all tests of this file that need one."""
    with running_cloud(tmp_path_factory.mktemp("cloud") / "data") as cloud:
        yield cloud


def test_finished_frame_reaches_the_cloud(tmp_path: Path, cloud: RunningCloud) -> None:
    """A frame there at the start and one that comes later are both delivered, once."""
    before = held_by(cloud)
    config = config_for(tmp_path, cloud.url)
    put(tmp_path, "first.fits", "one")
    with running(config) as node:
        until(lambda: node.link.status["registered"])
        put(tmp_path, "second.fits", "two")
        until(lambda: held_by(cloud) == before + 2)
        until(lambda: node.ledger.counts()["handed"] == 2)
    assert node.measuring.measured == ["first.fits", "second.fits"]
    assert node.measuring.closed


def test_new_start_measures_nothing_twice_and_forgets_nothing(
    tmp_path: Path, cloud: RunningCloud
) -> None:
    """After a restart only what came in between is measured."""
    config = config_for(tmp_path, cloud.url)
    put(tmp_path, "a.fits", "alpha")
    put(tmp_path, "b.fits", "bad")
    with running(config) as node:
        until(lambda: node.status.get("frames", {}).get("handed") == 1)
        until(lambda: node.status["frames"]["refused"] == 1)
    put(tmp_path, "c.fits", "gamma")
    with running(config) as node:
        until(lambda: node.ledger.counts()["handed"] == 2)
    assert node.measuring.measured == ["c.fits"]


def test_frame_without_a_measurement_is_skipped_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says which frame and why; the next frame is measured all the same."""
    with running(config_for(tmp_path)) as node:
        put(tmp_path, "cloudy.fits", "bad")
        put(tmp_path, "clear.fits", "good")
        until(lambda: node.ledger.counts() == {"measured": 1, "handed": 0, "refused": 1})
    assert "cloudy.fits skipped: it shows no stars." in caplog.messages
    assert node.status["last_refusal"]["reason"] == "it shows no stars."


def test_incomplete_frame_is_measured_once_its_end_has_come(tmp_path: Path) -> None:
    """A file that stalls in the middle is waited for, not given up."""
    config = config_for(tmp_path)
    config["image_watcher"]["incomplete_timeout"] = 600.0
    with running(config) as node:
        put(tmp_path, "slow.fits", "cut")
        until(lambda: node.measuring.measured)
        assert node.ledger.counts()["refused"] == 0
        put(tmp_path, "slow.fits", "whole")
        until(lambda: node.ledger.counts()["measured"] == 1)


def test_incomplete_frame_is_given_up_in_the_end(tmp_path: Path) -> None:
    """A truncated file is refused after its time, with the reason."""
    with running(config_for(tmp_path)) as node:
        put(tmp_path, "torn.fits", "cut")
        until(lambda: node.ledger.counts()["refused"] == 1)
        until(lambda: node.status.get("last_refusal"))
    assert node.status["last_refusal"]["reason"] == "its end is missing."
    assert node.measuring.measured == ["torn.fits", "torn.fits"]


def test_cloud_switched_on_later_gets_what_was_measured_before(
    tmp_path: Path, cloud: RunningCloud
) -> None:
    """Measurements of an offline node wait in its ledger and go out once it takes part."""
    offline = config_for(tmp_path)
    put(tmp_path, "early.fits", "measured before the node took part")
    with running(offline) as node:
        until(lambda: node.ledger.counts()["measured"] == 1)
    before = held_by(cloud)
    with running(config_for(tmp_path, cloud.url)):
        until(lambda: held_by(cloud) == before + 1)


def test_more_than_the_queue_holds_waits_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cloud away for long, the link's queue is not overfilled: nothing is evicted."""
    monkeypatch.setattr(node_program, "QUEUE_ROOM", 3)
    config = config_for(tmp_path, "http://127.0.0.1:9")
    for number in range(6):
        put(tmp_path, f"{number}.fits", f"frame {number}")
    with running(config) as node:
        until(lambda: node.ledger.counts() == {"measured": 3, "handed": 3, "refused": 0})
        assert node.link.status["queued_uploads"] == 3
        assert node.link.status["evicted"] == 0


def test_plan_and_interrupt_are_kept_and_shown(
    tmp_path: Path, cloud: RunningCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """An interrupt from the operator stands in the ledger, the status and the log."""
    caplog.set_level("INFO")
    with running(config_for(tmp_path, cloud.url)) as node:
        until(lambda: node.link.status["registered"])
        ask = urllib.request.Request(
            f"{cloud.url}/api/v1/interrupts",
            json.dumps({"name": "SN 1", "ra_deg": 1.5, "dec_deg": 2.5, "reason": "new"}).encode(),
            {"X-Admin-Key": cloud.admin_key, "Content-Type": "application/json"},
        )
        urllib.request.urlopen(ask).close()
        until(lambda: node.status.get("interrupts"))
        assert node.ledger.interrupts()[0]["name"] == "SN 1"
    assert "Interrupt: SN 1 at 1.5000° +2.5000°: new" in caplog.messages


def test_trouble_with_the_ledger_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a while delays a frame, and loses none."""
    monkeypatch.setattr(node_program, "_PAUSE_AFTER_FAULT_S", 0.05)
    monkeypatch.setattr(node_program, "_LEDGER_PAUSE_S", 0.05)
    node = Node(config_for(tmp_path))
    keep, faults = node.ledger.keep_measured, iter([LedgerError("disk full")] * 2)

    def keep_at_last(*args: Any) -> None:
        for fault in faults:
            raise fault
        keep(*args)

    monkeypatch.setattr(node.ledger, "keep_measured", keep_at_last)
    put(tmp_path, "a.fits", "alpha")
    thread = threading.Thread(target=node.program.run, args=(node.stop,))
    thread.start()
    until(lambda: node.ledger.counts()["measured"] == 1)
    node.stop.set()
    thread.join(30)


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (
            {"target": "SS Cyg", "startTime": "21:30", "expCount": 60, "expDur": 10.0},
            "21:30  SS Cyg  60 × 10.0 s",
        ),
        ({}, "any time  unnamed target  1 × ? s"),
    ],
)
def test_plan_item_of_any_shape_has_a_line(item: dict[str, Any], line: str) -> None:
    """A plan item that lacks keys is shown all the same."""
    assert plan_line(item) == line


def test_interrupt_of_any_shape_has_a_line() -> None:
    """An interrupt that lacks keys, or has odd ones, is shown all the same."""
    assert interrupt_line({"ra_deg": "x"}) == "unnamed: no reason given"
    assert interrupt_line({"name": "A", "reason": "B", "redelivered": True}) == (
        "A: B (told before)"
    )


def test_cloud_without_address_or_place_is_told_before_the_start(tmp_path: Path) -> None:
    """A config that the cloud would refuse is told with what to write where."""
    config = config_for(tmp_path)
    config["cloud"]["enabled"] = True
    config["observatory"] |= {"latitude": 0.0, "longitude": 0.0}
    with pytest.raises(ConfigFileError) as caught:
        check_ready(config, Path("config.yaml"))
    address, place = caught.value.problems
    assert "cloud.url is empty" in address
    assert "observatory.latitude and observatory.longitude are not set" in place


def test_a_telescopes_limits_are_told_to_the_cloud(tmp_path: Path) -> None:
    """It plans by them; a node without a telescope has none to tell."""
    config = config_for(tmp_path)
    assert link_config(config) == config
    config["telescope"]["enabled"] = True
    config["limits"] |= {"min_altitude": 30.0, "horizon_mask": "[[40, 90]]"}
    told = link_config(config)["observatory"]
    assert (told["min_altitude_deg"], told["horizon_mask"]) == (30.0, "[[40, 90]]")
    payload = registration_payload(link_config(config), read_config(config))
    assert payload["min_altitude_deg"] == 30.0
    assert payload["horizon_mask"] == "[[40, 90]]"

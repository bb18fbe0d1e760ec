"""A fleet that comes back after an outage: no second in which all of it arrives."""

import heapq
import threading
import time
from collections import Counter
from http.client import HTTPMessage
from pathlib import Path
from random import Random

import pytest
from tests.support.capture_server import capture_server, wait_until
from tests.support.links import BEAT, MEASUREMENTS, alive, cloud_block, free_port, nth

from cloud_communicator import CloudCommunicator
from cloud_communicator.errors import NoConnection
from cloud_communicator.transport import Reply

NODES = 1000
INTERVAL_S = 60
OUTAGE_S = 30 * 60
LOOKED_AT_S = 5 * 60


class Outage:
    """A cloud behind the transport's seam, which is away at first."""

    away = True

    def call(self, *_words: object, **_bounds: object) -> Reply:
        """Answer yes, or not at all."""
        if self.away:
            raise NoConnection("no way to the cloud")
        return Reply(200, HTTPMessage(), b'{"ok": true}')

    def abort(self, _threads: object) -> None:
        """Have no call to end."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> list[CloudCommunicator]:
    """Give 1,000 links."""
    folder = tmp_path_factory.mktemp("fleet")
    made = []
    for number in range(NODES):
        times = {"heartbeat_interval": INTERVAL_S, "node_id": f"node-{number}"}
        made.append(
            CloudCommunicator({"cloud": cloud_block("http://127.0.0.1:9", folder, **times)})
        )
    return made


@pytest.mark.parametrize("seed", range(2))
def test_peak_second_after_an_outage_is_at_most_three_times_the_mean(
    fleet: list[CloudCommunicator], seed: int
) -> None:
    """1,000 nodes switched on in one second, an outage of 30 minutes, then the cloud is back.

    Each wait is what the link's own heartbeat says; only the waiting itself is left out.
    """
    cloud, no_stop = Outage(), threading.Event()
    for number, link in enumerate(fleet):
        link._client._transport = cloud
        link._rng = Random(f"{seed} {number}")  # noqa: S311 - reproducible
    beats = [(0.0, number) for number in range(NODES)]
    seconds: Counter[int] = Counter()
    while beats[0][0] < OUTAGE_S + LOOKED_AT_S:
        at, number = beats[0]
        cloud.away = at < OUTAGE_S
        seconds[int(at - OUTAGE_S)] += not cloud.away
        heapq.heapreplace(beats, (at + fleet[number]._heartbeat_tick(no_stop), number))
    mean = sum(seconds.values()) / LOOKED_AT_S
    assert mean == pytest.approx(NODES / INTERVAL_S, rel=0.05)
    assert max(seconds.values()) <= 3 * mean
    assert {link.status["last_heartbeat_ok"] for link in fleet} == {True}


def test_without_jitter_the_peak_would_be_the_fleet() -> None:
    """The measure sees a fleet that marches in step."""
    seconds = Counter(int(beat) for _ in range(NODES) for beat in range(0, OUTAGE_S, INTERVAL_S))
    assert max(seconds.values()) == NODES


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_real_links_come_back_spread_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """150 links with a measurement each, switched on together while the cloud is away."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    nodes, interval_s, port = 150, 4.0, free_port()
    url = f"http://127.0.0.1:{port}"
    fleet = []
    for number in range(nodes):
        block = cloud_block(url, tmp_path / str(number), node_id=f"node-{number}")
        times = {"heartbeat_interval": interval_s, "plan_poll_interval": 3600, "timeout": 5}
        fleet.append(CloudCommunicator({"cloud": block | times}))
    try:
        for number, link in enumerate(fleet):
            link.start()
            assert link.submit_measurement(nth(number)) is False
        threading.Event().wait(30 * interval_s)  # the outage itself: 30 beats, as in 30 minutes
        back = time.monotonic()
        with capture_server(port) as cloud:
            wait_until(lambda: sum(link.status["delivered"] for link in fleet) == nodes)
            cloud.wait_for(BEAT, 5 * nodes, timeout_s=60)
            beats = [request.at - back for request in cloud.to(BEAT)]
            nodes_heard = {r.headers["x-node-id"] for r in cloud.to(MEASUREMENTS)}
            assert len(cloud.to(MEASUREMENTS)) == len(nodes_heard) == nodes
        width_s = interval_s / INTERVAL_S  # what a second is at 60 s between beats
        slots = Counter(int(at / width_s) for at in beats if at < 4 * interval_s)
        mean = nodes * width_s / interval_s
        assert max(slots.values()) <= 3 * mean + 3 * mean**0.5
    finally:
        for link in fleet:
            link.stop()
        wait_until(lambda: not any(alive(link) for link in fleet))

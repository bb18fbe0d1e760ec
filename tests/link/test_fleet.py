"""A fleet that comes back after an outage: no second in which all of it arrives."""

import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from tests.support.capture_server import capture_server, wait_until
from tests.support.links import BEAT, MEASUREMENTS, alive, cloud_block, free_port, nth

from cloud_communicator import CloudCommunicator
from cloud_communicator.rhythm import jittered

NODES = 1000
INTERVAL_S = 60
OUTAGE_S = 30 * 60
LOOKED_AT_S = 5 * 60


def beats_of(rng: Random, until_s: float) -> list[float]:
    """Return when one node beats, from the second in which all were switched on."""
    at, times = 0.0, []
    while at < until_s:
        times.append(at)
        at += jittered(INTERVAL_S, rng)
    return times


@pytest.mark.parametrize("seed", range(5))
def test_peak_second_after_an_outage_is_at_most_three_times_the_mean(seed: int) -> None:
    """1,000 nodes switched on in one second, an outage of 30 minutes, then the cloud is back."""
    rng = Random(seed)  # noqa: S311 - reproducible
    seconds: Counter[int] = Counter()
    for _ in range(NODES):
        times = beats_of(rng, OUTAGE_S + LOOKED_AT_S)
        seconds.update(int(at - OUTAGE_S) for at in times if at >= OUTAGE_S)
    mean = sum(seconds.values()) / LOOKED_AT_S
    assert mean == pytest.approx(NODES / INTERVAL_S, rel=0.05)
    assert max(seconds.values()) <= 3 * mean


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

"""The queue's length and age in the heartbeat, for clouds that ask for it."""

import threading
import time
from typing import Any

from tests.support.books import line
from tests.support.capture_server import Answer, CaptureServer
from tests.support.feature_cloud import FeatureCloud
from tests.support.links import BEAT, MEASUREMENTS, Links

from cloud_communicator import CloudCommunicator


def beat(server: CaptureServer, link: CloudCommunicator, later_s: float = 0.0) -> Any:
    """Beat as if so many seconds had passed, and return what was sent."""
    link._uplink._monotonic = lambda: time.monotonic() + later_s
    assert link._beat(threading.Event())
    return server.to(BEAT)[-1].json()


def test_beat_tells_the_length_and_age_of_the_queue(server: CaptureServer, links: Links) -> None:
    """The age is that of the oldest, from when it was enqueued."""
    link = links.make(server.url)
    beat(server, link)
    assert beat(server, link)["queue"] == {"length": 0, "oldest_age_s": 0.0}
    link._uplink.enqueue(line(1))
    link._uplink._queue.entries()[0].since -= 600
    link._uplink.enqueue(line(2))
    sent = beat(server, link, 100)
    assert set(sent) == {"conditions", "queue"}
    assert sent["queue"]["length"] == 2
    assert 700 <= sent["queue"]["oldest_age_s"] < 760
    link._flush_queue(time.monotonic() + 700, threading.Event())
    assert beat(server, link, 100)["queue"] == {"length": 0, "oldest_age_s": 0.0}


def test_age_goes_on_when_the_oldest_has_left(server: CaptureServer, links: Links) -> None:
    """Then the next one is the oldest, with its own time."""
    link = links.make(server.url)
    beat(server, link)
    for number in (1, 2):
        link._uplink.enqueue(line(number))
    first, second = link._uplink._queue.entries()
    first.since, second.since = second.since - 900, second.since - 300
    link._uplink._queue.delivered(first)
    queue = beat(server, link)["queue"]
    assert queue["length"] == 1
    assert 300 <= queue["oldest_age_s"] < 360


def test_after_a_restart_the_age_counts_from_when_it_was_found(
    server: CaptureServer, links: Links
) -> None:
    """What is known is told: the file says no times."""
    first = links.make(server.url)
    first._uplink.enqueue(line(1))
    again = links.make(server.url)
    beat(server, again)
    queue = beat(server, again, 50)["queue"]
    assert queue["length"] == 1
    assert 50 <= queue["oldest_age_s"] < 110


def test_without_the_feature_the_beat_is_as_documented(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """Conditions, and nothing else."""
    cloud.features = []
    server.rules[MEASUREMENTS] = Answer(503)
    link = links.make(server.url)
    link._uplink.enqueue(line(1))
    for _ in range(3):
        assert set(beat(server, link)) == {"conditions"}

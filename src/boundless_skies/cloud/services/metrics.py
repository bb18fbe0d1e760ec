"""What is measured of a cloud, for Prometheus.

With several workers, their counts come together in a folder that the parent made
(``PROMETHEUS_MULTIPROC_DIR``), so that whichever of them is asked answers for all.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from boundless_skies.cloud.domain.nodes import ONLINE_WITHIN
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.storage import census
from boundless_skies.cloud.storage.census import Census
from boundless_skies.cloud.storage.database import Database

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SAMPLE_S = 1.0
CENSUS_KEPT_S = 5.0
REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
COMMIT_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class Meters:
    """Counts what this process does.

    A label is never made of what a peer sent: routes are the templates of our own
    paths.
    """

    def __init__(self) -> None:
        self._shared = FOLDER_VARIABLE in os.environ
        self._own = CollectorRegistry()
        self._requests = Counter(
            "boundless_requests",
            "Requests answered; status 499: the client hung up before.",
            ["route", "method", "status"],
            registry=self._own,
        )
        self._request_s = Histogram(
            "boundless_request_seconds",
            "From a request's headers to the end of its answer; waiting for interrupts included.",
            ["route", "method"],
            buckets=REQUEST_BUCKETS_S,
            registry=self._own,
        )
        self._commits = Histogram(
            "boundless_commit_measurements",
            "Measurements made durable together.",
            buckets=COMMIT_BUCKETS,
            registry=self._own,
        )
        self.waiting = Gauge(
            "boundless_waiting_calls",
            "Calls that wait for an interrupt.",
            registry=self._own,
            multiprocess_mode="livesum",
        )
        self._noters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        if not self._shared:
            ProcessCollector(registry=self._own)

    def note_request(self, route: str, method: str, status: int, took_s: float) -> None:
        """Count a request and the time that it took (s)."""
        key = (route, method, status)
        noters = self._noters.get(key)
        if noters is None:
            noters = (
                self._requests.labels(route, method, str(status)),
                self._request_s.labels(route, method),
            )
            self._noters[key] = noters
        noters[0].inc()
        noters[1].observe(took_s)

    def note_commit(self, size: int) -> None:
        """Count a commit of so many measurements."""
        self._commits.observe(size)

    def render(self) -> bytes:
        """Return what was counted, by all workers where there are several."""
        registry = self._own
        if self._shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class MetricsService:
    """Tells what is measured, with what the database knows about the network.

    Parameters
    ----------
    meters : Meters
        What this machine's processes counted.
    database : Database
        What all of them share.
    clock : Clock
        The present instant.
    """

    def __init__(self, meters: Meters, database: Database, clock: Clock) -> None:
        self.meters = meters
        self._database = database
        self._clock = clock
        self._taken = asyncio.Lock()
        self._last: tuple[float, Census] | None = None

    async def render(self) -> bytes:
        """Return everything in Prometheus's text format.

        Raises
        ------
        Unavailable
            If the database does not answer.
        """
        registry = CollectorRegistry()
        registry.register(_Told(await self._take_census()))
        return self.meters.render() + generate_latest(registry)

    async def keep_sampling(self, waiting: Callable[[], int]) -> None:
        """Note about once a second how many calls wait, until cancelled."""
        while True:
            self.meters.waiting.set(waiting())
            await asyncio.sleep(SAMPLE_S)

    async def _take_census(self) -> Census:
        """Ask the database; several that ask within seconds share an answer."""
        async with self._taken:
            now_s = asyncio.get_running_loop().time()
            if self._last is None or now_s - self._last[0] > CENSUS_KEPT_S:
                since = self._clock() - ONLINE_WITHIN
                found = await self._database.read(partial(census.take, online_since=since))
                self._last = (now_s, found)
            return self._last[1]


@dataclass(eq=False)
class _Told(Collector):
    """A census in Prometheus's words."""

    census: Census

    def collect(self) -> list[Metric]:
        """Return the metrics."""
        told, ages = self.census, self.census.queue_age_s
        histogram = GaugeHistogramMetricFamily(
            "boundless_node_queue_age_seconds",
            "Age of the oldest measurement in the queue of each node online, as the node told.",
            buckets=[(_bound(bound), float(n)) for bound, n in ages.at_most],
            gsum_value=ages.total,
        )
        return [
            _gauge("boundless_nodes", "Nodes that registered.", told.nodes),
            _gauge("boundless_nodes_online", "Nodes with a recent heartbeat.", told.online),
            _gauge("boundless_node_queue_age_max_seconds", "The oldest of those.", ages.longest),
            histogram,
            _gauge("boundless_node_queued", "Measurements in queues of nodes online.", told.queued),
            _gauge("boundless_unsettled", "Measurements not yet compared.", told.unsettled),
        ]


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _bound(value: float) -> str:
    return "+Inf" if value == inf else str(value)

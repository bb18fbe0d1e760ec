"""Drains in batches against a model: whatever the cloud answers, the books hold."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.support.books import everywhere, in_ledgers, line, measurement, number_of, queued
from tests.support.capture_server import Request
from tests.support.feature_cloud import BATCH, FeatureCloud, items
from tests.support.links import cloud_block

from boundless_skies.wire import canonical_json
from cloud_communicator import CloudCommunicator
from cloud_communicator.errors import ConnectionBroken, NoConnection, TimedOut
from cloud_communicator.transport import Reply

CAP = 8
ALONE = ["take", "busy", "lost", "slow", "away"]
TOGETHER = [*ALONE, "unknown", "too large", "page", "short", "long", "no list", "muddled"]


class Cloud:
    """A cloud behind the transport's seam: rows with a memory, and a mood for each call."""

    def __init__(self) -> None:
        self.memory = FeatureCloud(CaptureServerDouble())  # type: ignore[arg-type]
        self.together = self.alone = "take"
        self.refused: Counter[int] = Counter()

    def call(
        self, method: str, path: str, *, headers: dict[str, str], body: Any = None, **_bounds: Any
    ) -> Reply:
        """Answer a call as the real transport brings it."""
        if path == BATCH:
            low = {name.lower(): value for name, value in headers.items()}
            offered = items(Request(method, path, low, body, 0.0, ("", 0)))
            return self._answer(self.together, offered, lambda results: {"results": results})
        if path.endswith("/measurements"):
            return self._answer(self.alone, [json.loads(body)], lambda results: results[0])
        return reply(200, {"ok": True, "features": self.memory.features})

    def _answer(self, mood: str, offered: list[Any], form: Callable[[Any], Any]) -> Reply:
        if mood in FAILURES:
            raise FAILURES[mood]
        if mood in STATUSES:
            return reply(STATUSES[mood], {"error": mood})
        results = [self._take(payload) for payload in offered]
        if mood == "lost":
            raise ConnectionBroken(mood)
        if mood == "page":
            return Reply(200, {}, b"<html>")  # type: ignore[arg-type]
        found = form(SHAPES.get(mood, lambda whole: whole)(results))
        return reply(200 if found.get("ok", True) else 400, found)

    def _take(self, payload: Any) -> Any:
        result = self.memory.take(payload)
        self.refused[number_of(payload)] += not result["ok"]
        return result

    def rows(self) -> list[int]:
        """Return the numbers of all rows."""
        return [number_of(payload) for payload in self.memory.rows.values()]


class CaptureServerDouble:
    """Has rules that nobody asks."""

    def __init__(self) -> None:
        self.rules: dict[str, Any] = {}


def reply(status: int, body: Any) -> Reply:
    """Return an answer with JSON in it."""
    return Reply(status, {}, json.dumps(body).encode())  # type: ignore[arg-type]


FAILURES = {"slow": TimedOut("slow"), "away": NoConnection("away")}
STATUSES = {"busy": 503, "unknown": 404, "too large": 413}
SHAPES: dict[str, Callable[[list[Any]], Any]] = {
    "short": lambda results: results[:-1],
    "long": lambda results: [*results, {"ok": True}],
    "no list": lambda results: {"0": results},
    "muddled": lambda results: [r if i % 2 else {"id": 1} for i, r in enumerate(results)],
}


class DrainMachine(RuleBasedStateMachine):
    """What a node, an owner beside it and a moody cloud do to one queue."""

    root: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.root)) / "data"
        self.cloud = Cloud()
        self.accepted: list[int] = []
        self.link = self._new_link()

    def _new_link(self) -> CloudCommunicator:
        link = CloudCommunicator({"cloud": cloud_block("http://127.0.0.1:9", self.folder)})
        link._client._transport = self.cloud  # type: ignore[assignment]
        link._uplink._queue._cap = CAP
        assert link._beat(Event())
        return link

    def teardown(self) -> None:
        """Give back what this run held."""
        self.link._uplink._queue.file.close()
        shutil.rmtree(self.folder.parent)

    @rule(count=st.integers(1, 4), refuse=st.booleans())
    def put(self, count: int, refuse: bool) -> None:
        """Accept measurements that could not be delivered; some the cloud will always refuse."""
        for number in range(len(self.accepted), len(self.accepted) + count):
            self.accepted.append(number)
            bad = canonical_json({"measurement": {**measurement(number), "refuse": True}})
            self.link._uplink.enqueue(bad if refuse else line(number))

    @rule(together=st.sampled_from(TOGETHER), alone=st.sampled_from(ALONE))
    def drain(self, together: str, alone: str) -> None:
        """Drain, while the cloud is in these moods."""
        self.cloud.together, self.cloud.alone = together, alone
        self.link._flush_queue(1e12, Event())
        if {together, alone} == {"take"}:
            left = [number_of(entry.payload()) for entry in self.link._uplink._queue.entries()]
            assert all(self.cloud.refused[number] for number in left)

    @rule()
    def batches_again(self) -> None:
        """Let the time pass in which batches rest."""
        self.link._uplink._batch_again_at = 0.0

    @rule(which=st.integers(0, 99))
    def drop(self, which: int) -> None:
        """Drop one by hand."""
        if entries := self.link._uplink._queue.entries():
            self.link._uplink._queue.drop(entries[which % len(entries)])

    @rule(name=st.sampled_from(["evicted", "rejected", "dropped"]))
    def replay(self, name: str) -> None:
        """Bring back what lies in one ledger."""
        queue = self.link._uplink._queue
        queue.replay(getattr(queue, name), lambda _record: True)

    @rule()
    def restart(self) -> None:
        """Kill and start the node."""
        self.link._uplink._queue.file.close()
        self.link = self._new_link()

    @invariant()
    def nothing_is_lost_or_invented(self) -> None:
        """Each accepted one is in one of this side's books, or the cloud has it."""
        here, there = everywhere(self.folder), set(self.cloud.rows())
        assert set(here) | there == set(self.accepted)
        assert not here or max(here.values()) == 1

    @invariant()
    def cloud_has_each_once_and_none_that_it_refused(self) -> None:
        """Make no second row by a retry, and none by a refusal."""
        rows = self.cloud.rows()
        assert len(rows) == len(set(rows))
        assert not [number for number in rows if self.cloud.refused[number]]

    @invariant()
    def rejected_are_those_that_were_refused_three_times(self) -> None:
        """Reject nothing for an unclear answer or a failed call."""
        for number in in_ledgers(self.folder)["rejected"]:
            assert self.cloud.refused[number] >= 3

    @invariant()
    def counts_and_flights_are_over(self) -> None:
        """After each drain no entry is held, and the status says what is on disk."""
        queue = self.link._uplink._queue
        assert not [entry for entry in queue.entries() if entry.in_flight]
        assert len(queue) == len(queued(self.folder)) <= CAP


def run(root: Path, examples: int, steps: int) -> None:
    """Let the machine try so many runs."""
    DrainMachine.root = root
    run_state_machine_as_test(
        DrainMachine, settings=settings(max_examples=examples, stateful_step_count=steps)
    )


def test_books_hold_whatever_the_cloud_answers(tmp_path: Path) -> None:
    """Drains, drops, replays and restarts in any order, before a cloud of any mood."""
    run(tmp_path, examples=50, steps=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_books_hold_for_long(tmp_path: Path) -> None:
    """Many long runs."""
    run(tmp_path, examples=2000, steps=80)

"""A link that reports events until it is killed, and a black box that knows what was promised.

Run as a program it does for events what `killable_link` does for measurements: it
reads ``CALL NUMBER`` lines and for each walks in a folder of its own, to be killed there.
"""

import json
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

from tests.support.killable_link import BlackBox, main

from cloud_communicator import CloudCommunicator
from cloud_communicator.errors import ConnectionBroken, NoConnection
from cloud_communicator.transport import Reply

CAP = 4
PLANS = ("p-1", "p-2")


class EventCloud:
    """A cloud in place of the transport: in one of several moods, and kind at last.

    An event that it refuses for good says so in its reason.
    """

    def __init__(self, box: BlackBox) -> None:
        self.box = box
        self.mood = "kind"

    def call(self, _method: str, path: str, *, body: Any = None, **_bounds: Any) -> Reply:
        """Answer a call as the real transport brings it."""
        if self.mood == "away":
            raise NoConnection("no way to the cloud")
        if not path.endswith("/events"):
            return self._reply(200, {"ok": True, "features": ["plan.events"]})
        return self._take(path.split("/")[-2], json.loads(body)["events"])

    def abort(self, _threads: object) -> None:
        """Have no call to end."""

    @staticmethod
    def _reply(status: int, body: dict[str, Any]) -> Reply:
        return Reply(status, {}, json.dumps(body).encode())

    def _take(self, plan_id: str, events: list[dict[str, Any]]) -> Reply:
        if self.mood == "busy":
            return self._reply(503, {"error": "busy"})
        if any(event["reason"] == "odd" for event in events):
            return self._reply(400, {"error": "odd"})
        for event in events:
            self.box.note("taken", plan_id, event["event_id"])
        if self.mood == "lost":
            raise ConnectionBroken("the reply was lost")
        return self._reply(200, {"ok": True})


class EventWalk:
    """A link in a folder, and steps that report events to it and let it beat.

    Parameters
    ----------
    folder : Path
        Where it keeps its data.
    box : BlackBox
        Where to note what happened.
    """

    def __init__(self, folder: Path, box: BlackBox) -> None:
        self.cloud = EventCloud(box)
        self.box = box
        config = {"enabled": True, "url": "http://127.0.0.1:9", "node_id": "n", "api_key": "k",
                  "data_dir": str(folder)}  # fmt: skip
        self.link = CloudCommunicator({"cloud": config})
        self.link._client._transport = self.cloud  # type: ignore[assignment]
        self.queue = self.link._events._queue
        self.queue._cap = CAP
        self._number = 0

    def report(self, rng: Random) -> None:
        """Report a few events of one plan."""
        plan_id, count = rng.choice(PLANS), rng.randint(1, 3)
        numbers = range(self._number, self._number + count)
        self._number += count
        events = [
            {
                "event_id": f"{number}",
                "state": "running",
                "reason": "odd" if rng.random() < 0.2 else "",
                "at": "2026-03-01T21:00:00Z",
            }
            for number in numbers
        ]
        if self.link.report_events(plan_id, events):
            for number in numbers:
                self.box.note("kept", plan_id, number)

    def beat(self) -> None:
        """Beat, and drain."""
        self.link._heartbeat_tick(Event())

    def step(self, rng: Random) -> None:
        """Take one step."""
        if rng.random() < 0.45:
            self.report(rng)
        else:
            self.cloud.mood = rng.choice(["kind", "kind", "busy", "lost", "away"])
            self.beat()


if __name__ == "__main__":
    main(EventWalk)

"""A link that does a seeded walk of steps until it is killed, and a black box that survives it.

Run as a program it reads ``CALL NUMBER`` lines (``pwrite64 17``), and for each forks a
walk in a folder of its own whose 17th such call counts as number ``KILL_AT``: the killer,
strace, needs one number, so the walk first makes as many calls that do nothing.
The cloud stands in the same process, behind the transport's seam, and what it took
is written into shared memory: no system call of its own, so that a killer who counts
the calls hits the link's own writes, and nothing that happened is forgotten.
"""

import gzip
import json
import logging
import mmap
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Event
from typing import Any, Protocol

from tests.support.books import measurement, number_of

from boundless_skies.wire import canonical_json, idempotency_key
from cloud_communicator import CloudCommunicator
from cloud_communicator.arrayfile import Entry
from cloud_communicator.errors import ConnectionBroken, NoConnection
from cloud_communicator.transport import Reply

CAP = 8
BOX_BYTES = 1 << 18
KILL_AT = 400


class BlackBox:
    """Lines of text in a file that is mapped into memory: kill -9 cannot take them back.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.touch()
            os.truncate(path, BOX_BYTES)  # not ftruncate: that one is counted
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), BOX_BYTES)
        self._end = self._map.find(b"\0")

    def note(self, *words: object) -> None:
        """Add a line."""
        text = " ".join(str(word) for word in words).encode() + b"\n"
        self._map[self._end : self._end + len(text)] = text
        self._end += len(text)

    def lines(self) -> list[list[str]]:
        """Return all lines, each as its words."""
        return [text.split() for text in self._map[: self._end].decode().splitlines()]


@dataclass
class CloudDouble:
    """A cloud with a memory, in place of the transport.

    A measurement says itself what becomes of it: ``fate`` is ``take``, ``later`` (503
    until the cloud is kind), ``never`` (400), ``lost`` (taken, and the first reply lost).
    """

    box: BlackBox
    kind: bool = False
    connected: bool = True
    takes_batches: bool = False

    def __post_init__(self) -> None:
        self.offered: dict[str, bool] = {}
        self._tries: Counter[str] = Counter()

    def call(
        self, method: str, path: str, *, headers: dict[str, str], body: Any = None, **_bounds: Any
    ) -> Reply:
        """Answer a call as the real transport brings it."""
        if not self.connected:
            raise NoConnection("no way to the cloud")
        kind = path.removeprefix("/api/v1/").split("/")
        if kind == ["measurements", "batch"]:
            return self._batch(body, headers)
        if kind[0] == "measurements":
            return self._measurement(json.loads(body), headers["Idempotency-Key"])
        if kind[0] == "images":
            return self._image(body)
        if kind[0] == "interrupts":
            return self._interrupts(kind, method)
        features = ["measurements.batch"] if self.takes_batches else []
        return self._reply(200, {"ok": True, "plan": None, "features": features})

    def abort(self, _threads: object) -> None:
        """Have no call to end."""

    @staticmethod
    def _reply(status: int, body: dict[str, Any]) -> Reply:
        return Reply(status, {}, json.dumps(body).encode())

    def _measurement(self, payload: dict[str, Any], key: str) -> Reply:
        number, fate = number_of(payload), payload["measurement"]["fate"]
        self._tries[key] += 1
        if fate == "never":
            return self._reply(400, {"ok": False, "error": "magnitude 99 is above 30"})
        if fate == "later" and not self.kind:
            return self._reply(503, {"error": "busy"})
        self.box.note("taken", number, key)
        if fate == "lost" and self._tries[key] == 1:
            raise ConnectionBroken("the reply was lost")
        return self._reply(200, {"ok": True})

    def _batch(self, body: bytes, headers: dict[str, str]) -> Reply:
        payloads = json.loads(gzip.decompress(body) if "Content-Encoding" in headers else body)
        fates = {payload["measurement"]["fate"] for payload in payloads["items"]}
        if "later" in fates and not self.kind:
            return self._reply(503, {"error": "busy"})
        results = [self._item(payload) for payload in payloads["items"]]
        return self._reply(200, {"results": results})

    def _item(self, payload: dict[str, Any]) -> dict[str, Any]:
        if payload["measurement"]["fate"] == "never":
            return {"ok": False, "error": "magnitude 99 is above 30"}
        self.box.note("taken", number_of(payload), idempotency_key(canonical_json(payload)))
        return {"ok": True, "id": 1}

    def _image(self, body: Any) -> Reply:
        data = b"".join(iter(body.read, b""))
        name = data.split(b'filename="', 1)[1].split(b'"', 1)[0].decode()
        self._tries[name] += 1
        if self._tries[name] < 3 and not self.kind:
            return self._reply(503, {"error": "busy"})
        self.box.note("image", name)
        return self._reply(200, {"ok": True})

    def _interrupts(self, kind: list[str], method: str) -> Reply:
        if method == "GET":
            items = [{"id": int(i), "acked": acked} for i, acked in self.offered.items()]
            return self._reply(200, {"interrupts": items})
        self._tries[kind[1]] += 1
        if self._tries[kind[1]] < 3 and not self.kind:
            return self._reply(503, {"error": "busy"})
        self.offered[kind[1]] = True
        self.box.note("acked", kind[1])
        return self._reply(200, {"ok": True})


class Walk:
    """A link in a folder, and steps that use it in every way.

    Parameters
    ----------
    folder : Path
        Where it keeps its data; the images lie beside it.
    box : BlackBox
        Where to note what happened.
    """

    def __init__(self, folder: Path, box: BlackBox) -> None:
        self.cloud = CloudDouble(box)
        self.box = box
        self.folder = folder
        config = {"enabled": True, "url": "http://127.0.0.1:9", "node_id": "n", "api_key": "k",
                  "data_dir": str(folder), "upload_images": True}  # fmt: skip
        self.link = CloudCommunicator({"cloud": config}, on_interrupt=self._on_interrupt)
        self.link._client._transport = self.cloud  # type: ignore[assignment]
        self.queue = self.link._uplink._queue
        self.queue._cap = CAP
        self._number = 0
        self._fails: set[int] = set()

    def _on_interrupt(self, interrupt: dict[str, Any]) -> None:
        key = interrupt["id"]
        self.box.note("called", key, "redelivered" if interrupt.get("redelivered") else "new")
        if key in self._fails:
            self._fails.discard(key)
            self.box.note("raised", key)
            raise RuntimeError("the mount is parked")
        self.box.note("returned", key)

    def submit(self, fate: str, *, image: bool = False) -> None:
        """Hand over a measurement, with an image or without."""
        number, self._number = self._number, self._number + 1
        path = None
        if image:
            path = self.folder.parent / f"{number}.fit"
            path.touch()
        found = {**measurement(number), "fate": fate}
        self.link.submit_measurement(found, fits_path=path)
        self.box.note("accepted", number, fate, "image" if image else "plain")

    def beat(self) -> None:
        """Beat, and drain."""
        self.link._heartbeat_tick(Event())

    def poll(self) -> None:
        """Poll the plan and the interrupts."""
        self.link._plan_tick(Event())

    def offer(self, key: int, *, fails: bool) -> None:
        """Let the cloud send an interrupt."""
        if fails:
            self._fails.add(key)
        self.box.note("offered", key)
        self.cloud.offered[str(key)] = False

    def by_hand(self, rng: Random) -> None:
        """Do what ``boundless queue`` does."""
        ledger = rng.choice([self.queue.evicted, self.queue.rejected, self.queue.dropped])
        entries = self.queue.entries()
        if entries and rng.random() < 0.5:
            self._drop(rng.choice(entries))
        else:
            self.queue.replay(ledger, lambda _record: rng.random() < 0.5)

    def _drop(self, entry: Entry) -> None:
        self.queue.drop(entry)

    def step(self, rng: Random) -> None:
        """Take one step."""
        self.cloud.connected = rng.random() < 0.7
        what = rng.random()
        if what < 0.55:
            fate = rng.choice(["take", "later", "later", "never", "lost"])
            self.submit(fate, image=rng.random() < 0.2)
        elif what < 0.75:
            self.cloud.kind = rng.random() < 0.3
            self.cloud.takes_batches = rng.random() < 0.5
            self.beat()
        elif what < 0.85:
            self.by_hand(rng)
        else:
            if rng.random() < 0.5:
                self.offer(len(self.cloud.offered) + 1, fails=rng.random() < 0.2)
            self.poll()


NOTHING: dict[str, Callable[[int], object]] = {
    "pwrite64": lambda null: os.pwrite(null, b"", 0),
    "write": lambda null: os.write(null, b""),
    "fsync": os.fsync,
    "fdatasync": os.fdatasync,
    "ftruncate": lambda null: os.ftruncate(null, 0),
    "rename": lambda _null: os.rename("", ""),  # noqa: PTH104 - exactly this call
    "unlink": lambda _null: os.unlink(""),  # noqa: PTH108 - exactly this call
}


class Walker(Protocol):
    """Something that walks at random, and its black box."""

    box: BlackBox

    def step(self, rng: Random) -> None:
        """Take one step."""


def walk(walker: Walker, call: str, number: int, seed: int, steps: int) -> None:
    """Walk, after the calls that bring the count to where it must be."""
    rng = Random(seed)  # noqa: S311 - a walk that can be repeated
    null = os.open(os.devnull, os.O_WRONLY)
    for _ in range(KILL_AT - number):
        with suppress(OSError):
            NOTHING[call](null)
    for _ in range(steps):
        walker.step(rng)
    walker.box.note("end")


def main(make_walker: Callable[[Path, BlackBox], Walker]) -> None:
    """Fork a walk for each line, each in a fresh folder."""
    root, seed, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    logging.disable()
    for text in sys.stdin:
        call, number = text.split()
        child = os.fork()
        if not child:
            folder = root / f"{call}-{number}"
            folder.mkdir()
            walker = make_walker(folder / "data", BlackBox(folder / "box"))
            walk(walker, call, int(number), seed, steps)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Walk)

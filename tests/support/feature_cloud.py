"""A cloud with a memory that can all that a cloud may add to the core contract."""

import gzip
import json
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.capture_server import Answer, CaptureServer, Request
from tests.support.links import BEAT, INTERRUPTS, KEY, MEASUREMENTS, PLAN, REGISTER

from boundless_skies.wire import canonical_json, idempotency_key

BATCH = f"{MEASUREMENTS}/batch"
NEW_KEY = "/api/v1/nodes/me/key"
ALL = ["measurements.batch", "interrupts.wait", "keys.rotate", "heartbeat.queue"]
_LONGEST_WAIT_S = 30.0


def items(request: Request) -> list[Any]:
    """Return what a batch's request carries."""
    found = json.loads(plain(request))
    assert set(found) == {"items"}
    return list(found["items"])


def plain(request: Request) -> bytes:
    """Return a request's body, unpacked."""
    packed = request.headers.get("content-encoding") == "gzip"
    return gzip.decompress(request.body) if packed else request.body


@dataclass
class FeatureCloud:
    """Rules for a capture server that keep measurements, interrupts, a plan and keys.

    A measurement whose ``refuse`` is true is refused. ``asks_for_new_key`` lets beats ask
    for one; a new key is the node's from its first use on, and the one before it holds
    until `end_overlap`.
    """

    server: CaptureServer
    features: list[str] = field(default_factory=lambda: list(ALL))
    rows: dict[str, Any] = field(default_factory=dict)
    interrupts: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] | None = None
    tag: str | None = None
    asks_for_new_key: bool = False
    keys: list[str] = field(default_factory=lambda: [KEY])
    pending: str | None = None
    keys_made: int = 0

    def __post_init__(self) -> None:
        self.news = threading.Condition()
        self.server.rules.update(
            {
                BEAT: self._guarded(self._beat),
                PLAN: self._guarded(self._plan),
                MEASUREMENTS: self._guarded(self._measurement),
                BATCH: self._guarded(self._batch),
                INTERRUPTS: self._guarded(self._interrupts),
                NEW_KEY: self._guarded(self._new_key),
                REGISTER: self._register,
            }
        )

    # -- credentials --------------------------------------------------------------------

    def _guarded(self, answer: Any) -> Any:
        def guarded(request: Request) -> Answer:
            if not self._admits(request.headers.get("x-api-key", "")):
                return Answer(401, {"error": "invalid node credentials"})
            found: Answer = answer(request)
            return found

        return guarded

    def _admits(self, key: str) -> bool:
        if key == self.pending:
            self.keys, self.pending = [key, self.keys[0]], None
            self.asks_for_new_key = False
        return key in self.keys

    def end_overlap(self) -> None:
        """Take the key before the present one no longer."""
        self.keys = self.keys[:1]

    def _register(self, _request: Request) -> Answer:
        body = {"node_id": "node-1", "api_key": self.keys[0], "features": self.features}
        return Answer(body=body)

    def _new_key(self, _request: Request) -> Answer:
        self.keys_made += 1
        self.pending = f"sk-new-{self.keys_made:016d}"
        return Answer(body={"api_key": self.pending})

    def _beat(self, _request: Request) -> Answer:
        asks = {"rotate_key": True} if self.asks_for_new_key else {}
        return Answer(body={"ok": True, "features": self.features, **asks})

    # -- measurements -------------------------------------------------------------------

    def take(self, payload: Any) -> dict[str, Any]:
        """Take one measurement, as each of the two calls does."""
        if payload["measurement"].get("refuse"):
            return {"ok": False, "error": "magnitude 99 is above 30"}
        key = idempotency_key(canonical_json(payload))
        known = {"duplicate": True} if key in self.rows else {}
        self.rows.setdefault(key, payload)
        return {"ok": True, "id": list(self.rows).index(key) + 1, **known}

    def _measurement(self, request: Request) -> Answer:
        result = self.take(request.json())
        return Answer(200 if result["ok"] else 400, result)

    def _batch(self, request: Request) -> Answer:
        return Answer(body={"results": [self.take(payload) for payload in items(request)]})

    # -- plan and interrupts ------------------------------------------------------------

    def _plan(self, request: Request) -> Answer:
        if self.tag is not None and request.headers.get("if-none-match") == self.tag:
            return Answer(304, b"", {"ETag": self.tag})
        return Answer(body={"plan": self.plan}, headers={"ETag": self.tag} if self.tag else {})

    def alert(self, number: int) -> None:
        """Send an interrupt to the node."""
        with self.news:
            found = {"id": number, "name": f"AT 2026{number}", "reason": "nova", "acked": False}
            self.interrupts.append(found)
            self.server.rules[f"{INTERRUPTS}/{number}/ack"] = self._ack
            self.news.notify_all()

    def _ack(self, request: Request) -> Answer:
        number = int(request.path.split("/")[-2])
        for found in self.interrupts:
            found["acked"] = found["acked"] or found["id"] == number
        return Answer()

    def _interrupts(self, request: Request) -> Answer:
        wait = float(parse_qs(urlsplit(request.path).query).get("wait", ["0"])[0])
        with self.news:
            self.news.wait_for(
                lambda: self.server.closing.is_set() or self.unacked(), min(wait, _LONGEST_WAIT_S)
            )
            return Answer(body={"interrupts": [dict(found) for found in self.interrupts]})

    def unacked(self) -> list[int]:
        """Return which interrupts the node has not acknowledged."""
        return [found["id"] for found in self.interrupts if not found["acked"]]

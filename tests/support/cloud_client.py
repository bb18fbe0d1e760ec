"""A small HTTP client for tests that speak to a cloud as nodes and operators do."""

import json
from dataclasses import dataclass, field
from typing import Any

import urllib3

LOCATION = {"latitude": 48.137, "longitude": 11.575}
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Reply:
    """What a cloud answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


@dataclass
class Client:
    """Calls one cloud, with the headers of one identity."""

    url: str
    identity: dict[str, str] = field(default_factory=dict)
    pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=32, retries=False, timeout=TIMEOUT_S)
    )

    @property
    def node_id(self) -> str:
        """The node that this client speaks for."""
        return self.identity["X-Node-Id"]

    def call(self, method: str, path: str, json_body: Any = None, **headers: str) -> Reply:
        """Send a JSON body, or none; header names are written with underscores."""
        raw = None if json_body is None else json.dumps(json_body).encode()
        return self.send(method, path, raw, {k.replace("_", "-"): v for k, v in headers.items()})

    def send(
        self, method: str, path: str, raw: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send bytes as they are."""
        merged = {**self.identity, **(headers or {})}
        if raw is not None and "Content-Type" not in merged:
            merged["Content-Type"] = "application/json"
        reply = self.pool.request(method, self.url + path, body=raw, headers=merged)
        return Reply(reply.status, reply.data, dict(reply.headers))

    def get(self, path: str) -> Any:
        """Return the JSON of a call that must succeed."""
        reply = self.call("GET", path)
        assert reply.status == 200, (path, reply)
        return reply.json

    def post(self, path: str, json_body: Any = None) -> Any:
        """Return the JSON of a call that must succeed."""
        reply = self.call("POST", path, {} if json_body is None else json_body)
        assert reply.status == 200, (path, reply)
        return reply.json

    def upload(self, content: bytes, name: str = "frame.fits", part: str = "file") -> Reply:
        """Send a file in a multipart form."""
        reply = self.pool.request(
            "POST",
            self.url + "/api/v1/images",
            fields={part: (name, content)},
            headers=self.identity,
        )
        return Reply(reply.status, reply.data, dict(reply.headers))

    def register(self, node_id: str = "", **more: Any) -> "Client":
        """Register a node; return a client that speaks for it."""
        given = self.post("/api/v1/nodes/register", {"node_id": node_id, **LOCATION, **more})
        identity = {"X-Node-Id": given["node_id"], "X-Api-Key": given["api_key"]}
        return Client(self.url, identity, self.pool)


def make_measurement(**changes: Any) -> dict[str, Any]:
    """Return a measurement that a cloud takes."""
    return {
        "target_name": "SS Cyg",
        "bjd": 2461000.5,
        "magnitude": 11.873,
        "uncertainty": 0.014,
        "filter": "V",
        "airmass": 1.21,
        "fwhm": 3.4,
        "snr": 71.0,
        "comparison_stars": 12,
        "quality_flag": "good",
        "zero_point": 21.47,
        "zp_scatter": 0.021,
        "fits_file": "ss_cyg_0001.fits",
    } | changes

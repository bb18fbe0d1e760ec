"""A cloud of the ordinary kind, to compare ours with: Flask, waitress, one commit a request.

It is written as such services are, correct and without waste: the node's key is looked up in
the database with every request, the measurement is checked in Python, its payload kept as
JSON, and a repeated one found by a unique key. SQLite runs in WAL with ``synchronous=FULL``,
PostgreSQL with a pool of one connection per thread.
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import math
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg_pool
import waitress
from flask import Flask, Response, abort, jsonify, request

THREADS = 8
BUSY_TIMEOUT_S = 30
_TABLES = """
CREATE TABLE IF NOT EXISTS nodes (
    node_id TEXT PRIMARY KEY, key_hash TEXT NOT NULL, owner_name TEXT, latitude REAL NOT NULL,
    longitude REAL NOT NULL, conditions {json}, last_seen TEXT);
CREATE TABLE IF NOT EXISTS measurements (
    id {counter}, node_id TEXT NOT NULL REFERENCES nodes, target_name TEXT NOT NULL,
    bjd DOUBLE PRECISION NOT NULL, magnitude DOUBLE PRECISION NOT NULL,
    uncertainty DOUBLE PRECISION NOT NULL, filter TEXT NOT NULL, payload {json} NOT NULL,
    idempotency_key TEXT NOT NULL, received_at TEXT NOT NULL, UNIQUE (node_id, idempotency_key));
CREATE INDEX IF NOT EXISTS light_curve ON measurements (target_name, bjd);
"""
_BOUNDS = {"bjd": (2400000, 2500000), "magnitude": (-5, 30), "uncertainty": (0, 5)}


class SqliteStore:
    """One connection per thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        with contextlib.closing(self._connect()) as connection:
            counter = "INTEGER PRIMARY KEY"
            connection.executescript(_TABLES.format(json="TEXT", counter=counter))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator["SqliteStore"]:
        """Commit what happens inside, or roll it back."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        with self._local.connection:
            yield self

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row that a statement gives."""
        row: tuple[Any, ...] | None = self._local.connection.execute(sql, values).fetchone()
        return row

    def run(self, sql: str, *values: Any) -> None:
        """Run a statement that gives no rows."""
        self._local.connection.execute(sql, values)


class PostgresqlStore:
    """A pool of connections, one of them in use by each thread that serves."""

    def __init__(self, url: str, threads: int) -> None:
        self._pool = psycopg_pool.ConnectionPool(url, min_size=threads, max_size=threads, open=True)
        self._local = threading.local()
        with self._pool.connection() as connection:
            counter = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
            connection.execute(_TABLES.format(json="JSONB", counter=counter))

    @contextlib.contextmanager
    def transaction(self) -> Iterator["PostgresqlStore"]:
        """Commit what happens inside, or roll it back."""
        with self._pool.connection() as connection:
            self._local.connection = connection
            yield self

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row that a statement gives."""
        row: tuple[Any, ...] | None = self._local.connection.execute(
            sql.replace("?", "%s"), values
        ).fetchone()
        return row

    def run(self, sql: str, *values: Any) -> None:
        """Run a statement that gives no rows."""
        self._local.connection.execute(sql.replace("?", "%s"), values)


Store = SqliteStore | PostgresqlStore


def open_store(database: str, threads: int) -> Store:
    """Open ``postgresql://…``, or SQLite at a path."""
    if database.startswith("postgresql://"):
        return PostgresqlStore(database, threads)
    return SqliteStore(database)


def make_app(store: Store) -> Flask:
    """Return the service."""
    app = Flask(__name__)

    @app.post("/api/v1/nodes/register")
    def register() -> Any:
        body = _json_object()
        node_id = body.get("node_id") or f"node-{secrets.token_hex(4)}"
        if not _is_number(body.get("latitude")) or not _is_number(body.get("longitude")):
            return _refuse(400, "latitude and longitude are needed")
        api_key = secrets.token_urlsafe(32)
        with store.transaction() as db:
            if db.one("SELECT 1 FROM nodes WHERE node_id = ?", node_id):
                return _refuse(409, "node_id is taken")
            db.run(
                "INSERT INTO nodes (node_id, key_hash, owner_name, latitude, longitude)"
                " VALUES (?, ?, ?, ?, ?)",
                node_id,
                _hash(api_key),
                body.get("owner_name", ""),
                body["latitude"],
                body["longitude"],
            )
        return jsonify(node_id=node_id, api_key=api_key)

    @app.post("/api/v1/nodes/heartbeat")
    def heartbeat() -> Any:
        with store.transaction() as db:
            node_id = _authenticate(db)
            conditions = _json_object().get("conditions") or {}
            now = datetime.now(UTC).isoformat()
            db.run(
                "UPDATE nodes SET conditions = ?, last_seen = ? WHERE node_id = ?",
                json.dumps(conditions),
                now,
                node_id,
            )
        return jsonify(ok=True, server_time=now)

    @app.post("/api/v1/measurements")
    def submit() -> Any:
        with store.transaction() as db:
            node_id = _authenticate(db)
            body = _json_object()
            measurement = body.get("measurement", body)
            problem = _problem(measurement)
            if problem:
                return _refuse(400, problem)
            return jsonify(_keep(db, node_id, measurement, body))

    return app


def _keep(db: Store, node_id: str, measurement: dict[str, Any], body: Any) -> dict[str, Any]:
    payload = json.dumps(body, sort_keys=True)
    key = request.headers.get("Idempotency-Key") or _hash(payload)
    row = db.one(
        "INSERT INTO measurements (node_id, target_name, bjd, magnitude, uncertainty, filter,"
        " payload, idempotency_key, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (node_id, idempotency_key) DO NOTHING RETURNING id",
        node_id,
        measurement["target_name"],
        measurement["bjd"],
        measurement["magnitude"],
        measurement["uncertainty"],
        measurement.get("filter") or "CV",
        payload,
        key,
        datetime.now(UTC).isoformat(),
    )
    if row:
        return {"ok": True, "id": row[0]}
    held = db.one(
        "SELECT id FROM measurements WHERE node_id = ? AND idempotency_key = ?", node_id, key
    )
    return {"ok": True, "id": held[0] if held else None, "duplicate": True}


def _authenticate(db: Store) -> str:
    node_id = request.headers.get("X-Node-Id", "")
    row = db.one("SELECT key_hash FROM nodes WHERE node_id = ?", node_id)
    if not row or not hmac.compare_digest(row[0], _hash(request.headers.get("X-Api-Key", ""))):
        abort(_refuse(401, "invalid node credentials"))
    return node_id


def _json_object() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        abort(_refuse(400, "a JSON object is needed"))
    return body


def _problem(measurement: Any) -> str | None:
    if not isinstance(measurement, dict):
        return "measurement must be an object"
    name = measurement.get("target_name")
    if not isinstance(name, str) or not name:
        return "target_name is missing"
    for key, (low, high) in _BOUNDS.items():
        value = measurement.get(key)
        if not _is_number(value) or not low <= value < high:
            return f"{key} must be a number from {low} to {high}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _refuse(status: int, error: str) -> Response:
    response = jsonify(ok=False, error=error)
    response.status_code = status
    return response


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    """Serve on a free port of loopback until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--threads", type=int, default=THREADS)
    options = parser.parse_args()
    app = make_app(open_store(options.database, options.threads))
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=options.threads)
    print(f"Cloud is up: http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()

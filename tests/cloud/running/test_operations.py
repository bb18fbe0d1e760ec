"""What whoever runs the cloud asks of it."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.cloud.running.conftest import Call
from tests.support.capture_server import wait_until
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import RunningCloud, running_cloud
from tests.support.postgresql import running_postgresql

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import Unavailable
from boundless_skies.cloud.factory import make_cloud
from boundless_skies.cloud.web import EVERYWHERE

FAR = {"X-Forwarded-For": "198.51.100.1"}


def count(text: str, start: str) -> float:
    """Return the sum of the metric's lines that start so."""
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start)
    )


def metrics(client: Client) -> str:
    """Return what is measured."""
    reply = client.call("GET", "/metrics")
    assert reply.status == 200, reply
    return reply.body.decode()


def test_it_lives_and_is_ready(public: Client) -> None:
    """Both are told without a key."""
    assert public.get("/health") == {"ok": True}
    assert public.get("/ready") == {"ok": True}


def test_requests_and_commits_are_counted(public: Client, node: Client) -> None:
    """By the template of the route, so that no peer can make a series of its own."""
    before = metrics(public)
    node.post("/api/v1/measurements", make_measurement(bjd=2461001.25))
    public.call("GET", "/api/v1/lightcurves/A-star-of-this-test")
    public.call("GET", "/no/such/page-of-this-test")
    after = metrics(public)
    taken = 'boundless_requests_total{method="POST",route="/api/v1/measurements",status="200"}'
    assert count(after, taken) == count(before, taken) + 1
    for name in ("boundless_request_seconds_count", "boundless_commit_measurements_count"):
        assert count(after, name) > count(before, name)
    assert "of-this-test" not in after
    assert node.node_id not in after
    assert 'route="none"' in after


def test_the_network_is_counted(public: Client, node: Client) -> None:
    """Nodes online, and how old they say their queues are, within some seconds."""
    node.post("/api/v1/nodes/heartbeat", {"queue": {"length": 3, "oldest_age_s": 700}})
    text = wait_until(
        lambda: (t := metrics(public)) and count(t, "boundless_node_queue_age_max_seconds") and t,
        what="the queue's age is told",
    )
    assert count(text, "boundless_nodes_online ") >= 1
    assert count(text, "boundless_node_queue_age_max_seconds") >= 700
    assert count(text, 'boundless_node_queue_age_seconds_bucket{le="+Inf"}') >= 1
    assert count(text, "boundless_unsettled ") >= 0


def test_metrics_are_for_this_machine_and_for_readers(public: Client, cloud: RunningCloud) -> None:
    """Others need a token, in either of two headers."""
    assert public.call("GET", "/metrics", X_Forwarded_For="198.51.100.1").status == 401
    for name, value in (("Authorization", f"Bearer {cloud.admin_key}"), ("X-Admin-Key", "wrong")):
        reply = public.send("GET", "/metrics", headers={**FAR, name: value})
        assert reply.status == (401 if value == "wrong" else 200)


def test_a_request_keeps_its_id(public: Client) -> None:
    """A sane one comes back; instead of another, one is made."""
    kept = public.call("GET", "/health", X_Request_Id="from-the-proxy-17")
    assert kept.headers["x-request-id"] == "from-the-proxy-17"
    made = public.call("GET", "/health", X_Request_Id="x" * 500)
    assert 8 <= len(made.headers["x-request-id"]) <= 64


def test_a_process_that_stops_is_not_ready(tmp_path: Path) -> None:
    """A load balancer that still asks sends nothing more."""

    async def work() -> None:
        async with make_cloud(CloudConfig(data_dir=tmp_path / "c")).opened() as cloud:
            await cloud.services.readiness.check()
            cloud.stop_waiting()
            with pytest.raises(Unavailable, match="about to stop"):
                await cloud.services.readiness.check()

    asyncio.run(work())


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/plan", "/no/such/page"])
def test_every_answer_is_guarded(public: Client, path: str) -> None:
    """Security headers on all of them, and leave for other sites' scripts on none."""
    reply = public.call("GET", path, Origin="https://elsewhere.example.org")
    assert {name.decode() for name in EVERYWHERE} <= set(reply.headers)
    assert "access-control-allow-origin" not in reply.headers
    preflight = public.call("OPTIONS", path, Access_Control_Request_Method="POST")
    assert "access-control-allow-methods" not in preflight.headers
    assert "strict-transport-security" not in reply.headers
    over_tls = public.call("GET", path, X_Forwarded_Proto="https")
    assert "strict-transport-security" in over_tls.headers


def test_a_lost_database_is_told_and_found_again(tmp_path: Path, call: Call) -> None:
    """Not ready, yet alive; ready again with the database; and no secret in the log."""
    with running_postgresql() as server:
        url = server.create_database().replace("postgres@", "postgres:pass-of-the-tests@")
        made = call("--data", tmp_path / "c", "--database", url, "migrate")
        assert made.exit_code == 0, made.output
        options = ("--database", url, "--log-format", "json", "--access-log")
        with running_cloud(tmp_path / "c", arguments=options) as cloud:
            public = Client(cloud.url)
            node = public.register()
            server.kill()
            lost = wait_until(lambda: _unless_ready(public), what="it is not ready")
            assert "database" in lost
            assert public.get("/health") == {"ok": True}
            refused = node.call(
                "POST", "/api/v1/measurements", make_measurement(), X_Request_Id="the-lost-one"
            )
            assert refused.status == 503
            server.start()
            wait_until(lambda: not _unless_ready(public), what="it is ready")
            node.post("/api/v1/measurements", make_measurement())
            assert cloud.stop() == 0
        log = cloud.log.read_text()
    secrets = [cloud.admin_key, node.identity["X-Api-Key"], "pass-of-the-tests"]
    assert not [secret for secret in secrets if secret in log]
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    of_request = [line for line in lines if line.get("request_id") == "the-lost-one"]
    assert {"error", "info"} == {line["level"] for line in of_request}
    assert [line["status"] for line in of_request if "status" in line] == [503]


def _unless_ready(client: Client) -> str:
    reply = client.call("GET", "/ready")
    return "" if reply.status == 200 else str(reply.json["error"])

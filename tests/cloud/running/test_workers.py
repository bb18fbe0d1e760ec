"""A parent and its workers."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cloud.running.test_operations import count, metrics
from tests.support.capture_server import wait_until
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import RunningCloud, running_cloud
from tests.support.processes import command_line, workers_of

from boundless_skies.cloud.serving.crew import PAUSE_S, STEADY_S, Slot

TWO = ("--workers", "2", "--log-format", "text")
START_S = 60.0
WAIT = "/api/v1/interrupts?wait=25"


def two_workers(cloud: RunningCloud) -> list[int]:
    """Return the workers once there are two."""
    pid = cloud.process.pid
    return wait_until(  # type: ignore[no-any-return]
        lambda: len(found := workers_of(pid)) == 2 and found, START_S, "two workers"
    )


def send(cloud: RunningCloud, node: Client, bjd: float) -> None:
    """Send a measurement until it is answered; a worker that is killed hangs up."""

    def is_taken() -> bool:
        try:
            answer = Client(cloud.url, node.identity).call(
                "POST", "/api/v1/measurements", make_measurement(bjd=bjd)
            )
        except Exception:  # noqa: BLE001 - whichever way the connection broke
            return False
        return answer.status == 200

    wait_until(is_taken, START_S, "the measurement is taken")


def test_workers_share_the_work_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    """Nothing that was answered is lost, counts come together, all end together.

    A call that waits is let go with its ordinary answer.
    """
    with running_cloud(tmp_path / "c", arguments=TWO) as cloud:
        first = two_workers(cloud)
        assert not [pid for pid in first if cloud.admin_key.encode() in command_line(pid)]
        node = Client(cloud.url).register()
        send(cloud, node, 2461000.5)
        os.kill(first[0], signal.SIGKILL)
        send(cloud, node, 2461000.6)
        wait_until(lambda: first[0] not in two_workers(cloud), START_S, "a new worker")
        wait_until(lambda: "ended by SIGKILL" in cloud.log.read_text(), what="the log tells")
        send(cloud, node, 2461000.7)
        assert node.get("/api/v1/lightcurves/SS%20Cyg")["n"] == 3
        taken = 'boundless_requests_total{method="POST",route="/api/v1/measurements",status="200"}'
        assert count(metrics(Client(cloud.url)), taken) >= 2
        last = two_workers(cloud)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(Client(cloud.url, node.identity).get, WAIT)
            wait_until(lambda: _waiting_calls(cloud) == 1, START_S, "the call waits")
            assert cloud.stop() == 0
            assert waiting.result() == {"interrupts": []}
        assert not [pid for pid in last if command_line(pid)]
        assert "Traceback" not in cloud.log.read_text()


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """They do not go on serving behind the back of whoever starts the cloud anew."""
    with running_cloud(tmp_path / "c", arguments=TWO) as cloud:
        workers = two_workers(cloud)
        wait_until(lambda: _answers(cloud), START_S, "it answers")
        cloud.kill()
        wait_until(lambda: not any(map(command_line, workers)), START_S, "the workers are gone")


class Dead:
    """A worker that has ended at once."""

    pid = 17
    exitcode = 3

    def is_alive(self) -> bool:
        """Say no."""
        return False


def test_a_worker_that_keeps_dying_is_started_less_and_less_often(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pause doubles up to half a minute, and begins anew after a steady life."""
    now, pauses = [0.0], []
    slot = Slot(1, Dead, lambda: now[0])  # type: ignore[arg-type]
    for life in [0.0] * 8 + [STEADY_S]:
        slot.start_if_due()
        now[0] += life
        assert slot.look() is not None
        pauses.append(slot.due_s - now[0])
        now[0] = slot.due_s
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, PAUSE_S]
    assert "exit code 3" in caplog.text


def _waiting_calls(cloud: RunningCloud) -> float:
    return count(metrics(Client(cloud.url)), "boundless_waiting_calls ")


def _answers(cloud: RunningCloud) -> bool:
    return Client(cloud.url).call("GET", "/health").status == 200

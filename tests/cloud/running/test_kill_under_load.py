"""Several processes on one PostgreSQL, killed one after the other under load."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import urllib3
from tests.cloud.running.conftest import Call
from tests.support.capture_server import wait_until
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import STOP_DEADLINE_S, RunningCloud, start_cloud
from tests.support.postgresql import Postgresql, database_name

PROCESSES = 3
SENDERS = 4
BETWEEN_KILLS = 60
START_S = 90.0


class Load:
    """Sends measurements from several threads to whichever process answers.

    Parameters
    ----------
    urls : sequence of str
        Where the processes are.
    node : Client
        As which node.
    """

    def __init__(self, urls: Sequence[str], node: Client) -> None:
        self.acknowledged: dict[int, int] = {}
        self._urls = urls
        self._node = node
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._may_send = threading.Event()
        self._may_send.set()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing new until the context is left."""
        self._may_send.clear()
        try:
            yield
        finally:
            self._may_send.set()

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Send until the context is left."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more measurements are acknowledged."""
        goal = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= goal, START_S, f"{more} more are taken")

    def _send(self, sender: int) -> None:
        clients = [Client(url, self._node.identity) for url in self._urls]
        turn = itertools.cycle(clients[sender % PROCESSES :] + clients[: sender % PROCESSES])
        while not self._stop.is_set():
            self._may_send.wait()
            self._send_one(next(self._numbers), turn)

    def _send_one(self, number: int, turn: Iterator[Client]) -> None:
        """Send one, again and elsewhere, until it is acknowledged or the end has come."""
        body = make_measurement(bjd=2461000.0 + number / 8_640, magnitude=number / 100_000)
        while not self._stop.is_set():
            try:
                reply = next(turn).call("POST", "/api/v1/measurements", body)
            except urllib3.exceptions.HTTPError:
                continue
            if reply.status == 200:
                self.acknowledged[number] = reply.json["id"]
                return


def start_all(folder: Path, options: Sequence[str]) -> list[RunningCloud]:
    """Start the processes side by side."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        return list(
            pool.map(lambda n: start_cloud(folder / f"c{n}", arguments=options), range(PROCESSES))
        )


def alive(clouds: Sequence[RunningCloud]) -> list[RunningCloud]:
    """Return the processes that run."""
    return [cloud for cloud in clouds if cloud.process.poll() is None]


def run_and_kill(
    folder: Path, url: str, server: Postgresql, rounds: int, *, workers: int, fewest: int
) -> None:
    """Kill each process in turn under load; compare what was answered with what is held.

    One that was killed is started again where otherwise too few would run.
    """
    options = ("--database", url, "--workers", str(workers))
    with ExitStack() as ending:
        clouds = start_all(folder, options)
        ending.callback(lambda: [_end(cloud) for cloud in clouds])
        wait_until(lambda: all(map(_is_ready, clouds)), START_S, "all are ready")
        node = Client(clouds[0].url).register()
        load = Load([cloud.url for cloud in clouds], node)
        with load.running():
            for turn in range(rounds):
                place = turn % PROCESSES
                load.wait_for(BETWEEN_KILLS)
                clouds[place].kill()
                load.wait_for(BETWEEN_KILLS)
                if turn < rounds - 1 and len(alive(clouds)) < fewest:
                    with load.paused():
                        clouds[place] = start_cloud(
                            folder / f"c{place}", port=clouds[place].port, arguments=options
                        )
        assert {cloud.stop() for cloud in alive(clouds)} == {0}
    held = server.run_sql("SELECT magnitude, id FROM measurements", database_name(url))
    rows = [line.split("|") for line in held.splitlines()]
    by_number = {round(float(magnitude) * 100_000): int(number) for magnitude, number in rows}
    assert len(by_number) == len(rows)  # each once
    assert {n: by_number.get(n) for n in load.acknowledged} == load.acknowledged
    # What was stored without its answer having come: at most one for each sender and end.
    assert len(rows) - len(load.acknowledged) <= SENDERS


def test_every_acknowledged_measurement_is_found_once(
    tmp_path: Path, database_url: str, postgresql: Postgresql, call: Call
) -> None:
    """Three processes, each killed once with SIGKILL under load."""
    assert call("--data", tmp_path / "m", "--database", database_url, "migrate").exit_code == 0
    run_and_kill(tmp_path, database_url, postgresql, PROCESSES, workers=1, fewest=2)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_every_acknowledged_measurement_is_found_once_in_the_long_run(
    tmp_path: Path, database_url: str, postgresql: Postgresql, call: Call
) -> None:
    """Thirty kills of parents that have two workers each."""
    assert call("--data", tmp_path / "m", "--database", database_url, "migrate").exit_code == 0
    run_and_kill(tmp_path, database_url, postgresql, 30, workers=2, fewest=PROCESSES)


def _is_ready(cloud: RunningCloud) -> bool:
    try:
        return Client(cloud.url).call("GET", "/ready").status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _end(cloud: RunningCloud) -> None:
    if cloud.process.poll() is None:
        cloud.process.kill()
        cloud.process.wait(STOP_DEADLINE_S)

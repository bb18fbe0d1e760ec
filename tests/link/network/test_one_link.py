"""One running link per data folder, in this process and across processes."""

import errno
import fcntl
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.capture_server import CaptureServer, wait_until
from tests.support.links import BEAT, THREADS, Links, alive, cloud_block

from cloud_communicator import LinkAlreadyRunning, LinkRefusal

_RUNS = """
import json, sys, time
from cloud_communicator import CloudCommunicator

link = CloudCommunicator(json.loads(sys.argv[1]))
link.start()
print("running", flush=True)
time.sleep(60)
"""


def test_second_start_in_the_same_folder_is_refused(server: CaptureServer, links: Links) -> None:
    """With the folder's name and what to do; the first goes on."""
    first = links.started(server.url)
    with pytest.raises(LinkAlreadyRunning, match="data_dir") as caught:
        links.started(server.url)
    assert str(links.folder) in str(caught.value)
    assert sorted(alive(first)) == sorted(THREADS)
    assert issubclass(LinkAlreadyRunning, LinkRefusal)


def test_second_start_of_the_same_link_is_refused(server: CaptureServer, links: Links) -> None:
    """It would beat twice."""
    link = links.started(server.url)
    with pytest.raises(LinkAlreadyRunning):
        link.start()
    assert len(alive(link)) == 2


def test_links_in_two_folders_run_side_by_side(server: CaptureServer, links: Links) -> None:
    """Two nodes on one computer are no trouble."""
    links.started(server.url)
    links.started(server.url, data_dir=str(links.folder / "other"), node_id="other")
    wait_until(lambda: {beat.headers["x-node-id"] for beat in server.to(BEAT)} >= {"other"})


def test_folder_is_free_again_after_a_stop(server: CaptureServer, links: Links) -> None:
    """Another object may take over."""
    first = links.started(server.url)
    first.stop()
    wait_until(lambda: not alive(first))
    links.started(server.url)


def test_same_folder_by_another_name_is_the_same(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """A symbolic link fools nobody."""
    links.started(server.url)
    (tmp_path / "alias").symlink_to(links.folder)
    with pytest.raises(LinkAlreadyRunning):
        links.started(server.url, data_dir=str(tmp_path / "alias"))


def test_start_is_refused_across_processes_until_the_other_is_killed(
    server: CaptureServer, links: Links
) -> None:
    """Kill -9 leaves no stale lock."""
    config = {"cloud": cloud_block(server.url, links.folder)}
    arguments = [sys.executable, "-c", _RUNS, json.dumps(config)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        with pytest.raises(LinkAlreadyRunning):
            links.started(server.url)
        process.send_signal(signal.SIGKILL)
    beats = len(server.to(BEAT))
    links.started(server.url)
    server.wait_for(BEAT, beats + 1)


def test_program_that_the_node_starts_does_not_keep_the_folder(
    server: CaptureServer, links: Links
) -> None:
    """A solver or camera driver that outlives the link holds no lock of it."""
    link = links.started(server.url)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        link.stop()
        wait_until(lambda: not alive(link))
        links.started(server.url)
        child.kill()


def test_file_system_without_locks_keeps_no_link_from_its_work(
    links: Links, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some network file systems know no locks: the link runs and queues on disk, and says so."""

    def no_locks(*_args: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    link = links.make("http://127.0.0.1:9", node_id="n", api_key="k")
    link.start()
    assert "run one link in it only" in caplog.text
    assert link.submit_measurement({"bjd": 2460000.5}) is False
    assert (link.status["queued_uploads"], link.status["unsaved_uploads"]) == (1, 0)

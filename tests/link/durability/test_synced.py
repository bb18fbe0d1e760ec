"""What is durable on return: every write is synced, and every new name in its folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.strace,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs Debian's strace"),
]

REPOSITORY = Path(__file__).parents[3]
PROGRAM = """
import sys
from cloud_communicator import CloudCommunicator
cloud = {"enabled": True, "url": "http://127.0.0.1:9", "data_dir": sys.argv[1]}
link = CloudCommunicator({"cloud": cloud})
for number in range(3):
    assert link.submit_measurement({"bjd": 2460000.5 + number}) is False
    print("returned", flush=True)
"""
CALLS = "mkdir,rename,write,pwrite64,ftruncate,fsync,fdatasync"
_CALL = re.compile(r'^\d+ +(\w+)\((?:\d+<([^>]*)>|"([^"]*)"(?:, "([^"]*)")?)')


def calls_before_each_return(data: Path, trace: Path) -> list[list[tuple[str, Path]]]:
    """Submit three measurements; returns what was called on which path before each return."""
    tracer = ["strace", "-f", "-qq", "-y", "-s", "200", "-e", f"trace={CALLS}", "-o", str(trace)]
    done = subprocess.run(
        [*tracer, sys.executable, "-c", PROGRAM, str(data)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip("needs the right to trace processes")
    assert done.returncode == 0, done.stderr
    parts: list[list[tuple[str, Path]]] = [[]]
    for text in trace.read_text().splitlines():
        if '"returned"' in text:
            parts.append([])
        elif found := _CALL.match(text):
            parts[-1].append((found[1], Path(found[4] or found[3] or found[2])))
    return [[pair for pair in part if pair[1].is_relative_to(data.parent)] for part in parts]


def unsynced(calls: list[tuple[str, Path]]) -> set[Path]:
    """Return the files and folders that were changed and not synced afterwards."""
    dirty: set[Path] = set()
    for call, path in calls:
        if call in ("fsync", "fdatasync"):
            dirty.discard(path)
        elif call in ("rename", "mkdir"):
            dirty.add(path.parent)
        elif path.suffix != ".lock":  # what stands in a lock's file is worth nothing after a crash
            dirty.add(path)
    return dirty


def test_everything_is_synced_before_submit_returns(tmp_path: Path) -> None:
    """The queue's file after each write, its folder after the file's name is new."""
    data = tmp_path / "data"
    *submits, _ = calls_before_each_return(data, tmp_path / "trace")
    assert len(submits) == 3
    assert ("rename", data / "cloud_upload_queue.json") in submits[0]
    assert {("mkdir", data), ("fsync", tmp_path), ("fsync", data)} <= set(submits[0])
    for calls in submits:
        assert ("pwrite64", data / "cloud_upload_queue.json") in calls
        assert unsynced(calls) == set()

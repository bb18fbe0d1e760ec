"""The processes of a benchmark: servers, the load, a slow disk; all end with the run."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

ADMIN_KEY = "operator-key-of-the-benchmarks"
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0
LOAD_DEADLINE_S = 600.0
SLOW_DISK_US = 2_000
_UP_LINE = re.compile(r"Cloud is up: (http://\S+)")
_SOURCE = Path(__file__).with_name("slow_disk.c")


@dataclass(frozen=True)
class Server:
    """A server that answers at ``url``, and where its database is."""

    url: str
    process: subprocess.Popen[bytes]
    database: str = ""

    @property
    def pids(self) -> list[int]:
        """Its process and all below it."""
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(OSError):  # it has just ended
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def memory_mb(self) -> float:
        """Return what the processes use (proportional set size, MB)."""
        return sum(_pss_kb(pid) for pid in self.pids) / 1e3

    def cpu_s(self) -> float:
        """Return the processor time of all its processes, user and system."""
        return sum(_cpu_s(pid) for pid in self.pids)


def _pss_kb(pid: int) -> int:
    with contextlib.suppress(OSError):  # it has just ended
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])
    return 0


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):  # it has just ended
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


@contextlib.contextmanager
def running(module: str, *options: str, **environment: str) -> Iterator[Server]:
    """Run a server that says where it is up, as ``python -m module``."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            # Ends with this process, however that ends.
            ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", module, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
        )
        try:
            url = _wait_until_up(process, log)
            _wait_until_answering(url)
            yield Server(url, process)
        finally:
            _end(process)


def ours(
    data: Path, *options: str, environment: Mapping[str, str] | None = None
) -> contextlib.AbstractContextManager[Server]:
    """Run our cloud, as its users do."""
    given = {"BOUNDLESS_ADMIN_KEY": ADMIN_KEY, **(environment or {})}
    command = ("cloud", "--data", str(data), "--port", "0", *options)
    return running("boundless_skies.cli", *command, **given)


def migrate(database: str) -> None:
    """Make our cloud's tables on PostgreSQL; on SQLite it makes them itself."""
    command = [sys.executable, "-m", "boundless_skies.cli", "cloud", "--database", database]
    subprocess.run([*command, "migrate"], check=True, stdout=subprocess.DEVNULL)


def field(
    database: str, *options: str, environment: Mapping[str, str] | None = None
) -> contextlib.AbstractContextManager[Server]:
    """Run the cloud of the ordinary kind."""
    command = ("--database", database, *options)
    return running("benchmarks.field_cloud", *command, **(environment or {}))


def _wait_until_up(process: subprocess.Popen[bytes], log: Any) -> str:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        text = os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")
        found = _UP_LINE.search(text)
        if found:
            return found[1]
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{' '.join(process.args[4:6])} did not start: {text}")
        time.sleep(0.02)


def _wait_until_answering(url: str) -> None:
    """Wait for any answer at all: a listening socket takes connections before anyone serves."""
    reply = urllib3.request("GET", f"{url}/api/v1/health", timeout=START_DEADLINE_S, retries=False)
    if reply.status >= 500:
        raise SystemExit(f"{url} answers {reply.status}: {reply.data[:500]!r}")


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Load:
    """The load generator at work."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def wait_until_ready(self) -> None:
        """Wait until all its connections stand."""
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the load generator ended early; its error stands above")

    def result(self) -> dict[str, Any]:
        """Wait until it is done; return what it counted."""
        output, _ = self._process.communicate(timeout=LOAD_DEADLINE_S)
        if self._process.returncode:
            raise SystemExit("the load generator failed; its error stands above")
        return json.loads(output.splitlines()[-1])


@contextlib.contextmanager
def loading(do: str, url: str, **arguments: Any) -> Iterator[Load]:
    """Run the load generator in a process of its own."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "benchmarks.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        json.dump({"do": do, "url": url, **arguments}, process.stdin)
        process.stdin.close()
        process.stdin = None  # the only input it gets
        yield Load(process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def load(do: str, url: str, **arguments: Any) -> dict[str, Any]:
    """Run the load generator to its end; return what it counted."""
    with loading(do, url, **arguments) as running_load:
        running_load.wait_until_ready()
        return running_load.result()


@contextlib.contextmanager
def slow_disk() -> Iterator[dict[str, str]]:
    """Give the variables under which a process's fsync and fdatasync take 2 ms more."""
    # Below /tmp and open to all: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="boundless-disk-", dir="/tmp") as name:
        library = Path(name) / "slow_disk.so"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
        Path(name).chmod(0o755)
        yield {"LD_PRELOAD": str(library), "SLOW_DISK_US": str(SLOW_DISK_US)}

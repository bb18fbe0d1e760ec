"""Where a worker's time goes: samples of its stacks while it is under load."""

import collections
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import servers

SAMPLES_PER_S = 200
SHOWN = 15
PARTS = (
    ("boundless_skies/cloud/storage", "our storage"),
    ("boundless_skies/cloud", "our cloud above the storage"),
    ("boundless_skies/wire", "our wire"),
    ("litestar", "Litestar"),
    ("uvicorn", "uvicorn"),
    ("sqlalchemy", "SQLAlchemy"),
    ("asyncpg", "asyncpg"),
    ("msgspec", "msgspec"),
    ("asyncio", "asyncio"),
)
_FRAME = re.compile(r"^(?P<name>.+) \((?P<file>[^()]*?)(?::\d+)?\)$")


def samples(server: servers.Server, seconds: float) -> collections.Counter[tuple[str, ...]]:
    """Sample a server's busy threads; returns how often each stack was seen, outermost first.

    Raises
    ------
    SystemExit
        If the process may not be looked into.
    """
    with tempfile.NamedTemporaryFile() as file:
        spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--function"]
        rate = ["--rate", str(SAMPLES_PER_S), "--duration", f"{seconds:.0f}"]
        where = ["--format", "raw", "--output", file.name, "--pid", str(server.process.pid)]
        done = subprocess.run([*spy, *rate, *where], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"py-spy cannot look into the worker (try as root): {done.stderr}")
        lines = Path(file.name).read_text(encoding="utf-8").splitlines()
    counted: collections.Counter[tuple[str, ...]] = collections.Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        counted[tuple(stack.split(";"))] += int(count)
    return counted


def by_part(counted: collections.Counter[tuple[str, ...]]) -> list[str]:
    """Return rows of the share that each library has, by the innermost frame."""
    parts: collections.Counter[str] = collections.Counter()
    for stack, count in counted.items():
        parts[_part(stack[-1])] += count
    return _rows(parts, counted.total())


def by_function(counted: collections.Counter[tuple[str, ...]]) -> list[str]:
    """Return rows of our own functions with the largest share, all that they call included."""
    functions: collections.Counter[str] = collections.Counter()
    for stack, count in counted.items():
        for frame in set(filter(None, map(_our_function, stack))):
            functions[frame] += count
    return _rows(functions, counted.total())


def _part(frame: str) -> str:
    found = _FRAME.match(frame)
    file = found["file"] if found else frame
    return next((name for start, name in PARTS if start in file), "the rest of Python")


def _our_function(frame: str) -> str | None:
    found = _FRAME.match(frame)
    if not found or not found["file"].startswith("boundless_skies/cloud/"):
        return None
    if found["file"].endswith(("/main.py", "/web.py")):  # below everything that is served
        return None
    return f"`{found['name']}` ({found['file'].removeprefix('boundless_skies/')})"


def _rows(counter: collections.Counter[str], total: int) -> list[str]:
    return [f"| {name} | {count / total:.0%} |" for name, count in counter.most_common(SHOWN)]

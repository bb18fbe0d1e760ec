"""Looking at processes that we started, and those that they started."""

from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        listed = [(task / "children").read_text().split() for task in tasks]
    except FileNotFoundError:
        return []
    return [int(child) for children in listed for child in children]


def workers_of(pid: int) -> list[int]:
    """Return the workers of a cloud's parent process."""
    return [child for child in children_of(pid) if b"spawn_main" in command_line(child)]


def command_line(pid: int) -> bytes:
    """Return what a process was called with; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""

"""The page of all comparisons, of which each section is made and replaced on its own."""

import datetime as dt
import os
import platform
import re
from pathlib import Path

INTRO = """# Benchmarks

Written by `make bench`, one section by `python -m benchmarks SECTION`. Each row compares two
ways of doing the same thing, timed in turn in one run on loopback; the ratio is the median of
the rounds' ratios, with their 10th and 90th percentile behind it. Absolute times belong to the
machine that its section names; the ratios carry over.
"""


def with_section(page: str, title: str, body: str, titles: list[str]) -> str:
    """Return the page with one section replaced or added, all in the order of ``titles``."""
    found = dict(
        re.findall(r"^## ([^\n]+)\n\n(.+?)(?=\n+## |\s*\Z)", page, re.MULTILINE | re.DOTALL)
    )
    found[title] = body.strip()
    parts = [f"## {name}\n\n{found[name]}\n" for name in titles if name in found]
    return "\n".join([INTRO, *parts])


def machine() -> str:
    """Return the day, and what the figures were measured on."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return (
        f"Measured on {dt.datetime.now(tz=dt.UTC).date()}: {os.cpu_count()} cores ({_cpu()}), "
        f"{system}, Python {platform.python_version()}, files on {_file_system()}."
    )


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def _file_system() -> str:
    """Return the kind of file system that the temporary files of the run lie on."""
    here, found = str(Path.cwd()), ("", "an unknown file system")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if here.startswith(mount) and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]

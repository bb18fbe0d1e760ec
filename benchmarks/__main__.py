"""``make bench``: runs all comparisons and writes ``docs/benchmarks.md``."""

import datetime as dt
import os
import platform
from pathlib import Path

from benchmarks import link

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench` on {day}: {cores} cores ({cpu}), {system}, Python {python}, files on
{disk}. Each row compares two ways of doing the same thing, timed in turn in one run on
loopback; the ratio is the median of the rounds' ratios, with their 10th and 90th percentile
behind it. Absolute times belong to this machine; the ratios carry over.

## The link

| what | ours | the other | ratio | aim |
|---|---|---|---|---|
{link}

* **Online submit.** `submit_measurement` with everything that it does (serialising, key,
  headers, bounded waits, reading the reply) against `http.client` posting the same ready-made
  bytes over a connection that it keeps, to the least server that can answer, in a process of its
  own: 31 rounds of 100 calls each.
* **Durable enqueue.** `RetryQueue.put`, the file holding 400 to 499 entries, against `os.write`
  and `os.fdatasync` of the same bytes to a plain file: 31 rounds of 99 calls.
* **Bytes written** are those that the process handed to the kernel (`/proc/self/io`, `wchar`).
* **Import** is a fresh interpreter that imports `cloud_communicator`, less one that does nothing.
"""


def cpu() -> str:
    """Return the processor's name."""
    text = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def disk() -> str:
    """Return the kind of file system that the temporary files of the run lie on."""
    here, found = str(Path.cwd()), ("", "an unknown file system")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if here.startswith(mount) and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]


def main() -> None:
    """Run and write the page."""
    rows = "\n".join(link.report())
    page = HEAD.format(
        day=dt.datetime.now(tz=dt.UTC).date(),
        cores=os.cpu_count(),
        cpu=cpu(),
        system=platform.freedesktop_os_release()["PRETTY_NAME"],
        python=platform.python_version(),
        disk=disk(),
        link=rows,
    )
    PAGE.write_text(page, encoding="utf-8")
    print(rows)


if __name__ == "__main__":
    main()

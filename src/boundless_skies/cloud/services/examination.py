"""Examining a deployment: what is wrong with it, and what to do."""

import os
import resource
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from functools import partial
from http import HTTPStatus
from pathlib import Path
from stat import S_IMODE
from urllib.parse import urlsplit

import urllib3

from boundless_skies.cloud.domain.admission import Policy
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.operators import Role
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.services.admission import current_policy
from boundless_skies.cloud.storage import condition, settling, tokens
from boundless_skies.cloud.storage.blobs import BlobStore
from boundless_skies.cloud.storage.condition import Condition
from boundless_skies.cloud.storage.database import Database

MIB = 1 << 20
SPACE_LOW_BYTES, SPACE_NONE_BYTES = 2_048 * MIB, 200 * MIB
MEMORY_LOW_BYTES = 256 * MIB
FILES_LOW = 4_096
BACKLOG_HIGH = 10_000
CLOCK_OFF = timedelta(seconds=2)
ASKED_FOR_S = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MEMORY_FILE = Path("/proc/meminfo")


class Level(IntEnum):
    """How bad a finding is; the worst is the exit code."""

    GOOD = 0
    DOUBTFUL = 1
    BAD = 2


@dataclass(frozen=True)
class Finding:
    """What was found, with what to do where something is wrong."""

    level: Level
    text: str


def good(text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.GOOD, text)


def doubtful(text: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(Level.DOUBTFUL, text)


def bad(text: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(Level.BAD, text)


def examine_machine(data_dir: Path) -> Iterator[Finding]:
    """Examine the data folder, and what the system grants to processes."""
    yield from _examine_folder(data_dir)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES_LOW:
        yield doubtful(
            f"A process may open {hard:,} files; each waiting node takes one. "
            "Raise the limit (LimitNOFILE= of systemd, ulimit -n)."
        )
    else:
        yield good(f"A process may open {hard:,} files.")
    free = _free_memory()
    if free is not None and free < MEMORY_LOW_BYTES:
        yield doubtful(f"{free // MIB:,} MiB of memory are free; a worker takes about 150 MiB.")
    elif free is not None:
        yield good(f"{free // MIB:,} MiB of memory are free.")


async def examine_database(
    database: Database, has_given_key: bool, clock: Clock
) -> AsyncIterator[Finding]:
    """Examine an open database: settings, soundness, clock, and what stands in it."""
    found = await database.read(condition.look)
    for finding in judge_condition(found, clock):
        yield finding
    admins = await database.read(partial(tokens.count_valid, role=Role.ADMIN))
    if admins or has_given_key:
        yield good("An admin can get in.")
    else:
        yield doubtful(
            "No admin can get in, unless the server has BOUNDLESS_ADMIN_KEY. Start it once, which "
            "makes a token, or: boundless cloud tokens create NAME --role admin"
        )
    unsettled = await database.read(settling.count_unsettled)
    if unsettled > BACKLOG_HIGH:
        yield doubtful(
            f"{unsettled:,} measurements are not compared yet. If that grows, no server runs, "
            "or the database is too slow; see its log."
        )
    else:
        yield good(f"{unsettled:,} measurements wait to be compared.")


def judge_condition(found: Condition, clock: Clock) -> Iterator[Finding]:
    """Say what is to be thought of how a database is set up."""
    if found.lax:
        named = ", ".join(f"{name} = {value}" for name, value in found.lax.items())
        yield bad(
            f"{found.kind} may lose what was answered for ({named}) in a loss of power. "
            "Set it back to its default."
        )
    else:
        yield good(f"{found.kind} keeps what it has said it keeps.")
    if found.damage is not None:
        yield bad(f"The database is damaged: {found.damage}. Stop the cloud; restore a backup.")
    if found.now is not None:
        off = abs(found.now - clock())
        if off > CLOCK_OFF:
            yield bad(
                f"The database's clock differs by {off.total_seconds():.0f} s from this machine's. "
                "Let both follow NTP."
            )
        else:
            yield good("The database's clock and this machine's agree.")


async def examine_blobs(blobs: BlobStore) -> Finding:
    """Examine the image store by writing to it."""
    try:
        await blobs.prepare()
        await blobs.check()
    except CloudError as error:
        return bad(f"Images cannot be kept in {blobs}: {error}")
    return good(f"Images can be kept in {blobs}.")


async def examine_url(url: str, database: Database) -> AsyncIterator[Finding]:
    """Examine a cloud from outside, at the address that nodes use."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield bad(f"{url!r} is no address of a cloud. Write https://cloud.example.org")
        return
    is_public = parts.hostname not in LOOPBACK
    if is_public and parts.scheme == "http":
        yield bad("The address is plain HTTP: keys can be read on the way. Put TLS before it.")
    for finding in _ask_from_outside(url.rstrip("/"), parts.scheme, is_public):
        yield finding
    if is_public and await database.read(current_policy) == Policy.OPEN:
        yield doubtful(
            "Anybody may register a node. If that is not meant: boundless cloud registration code"
        )


def _examine_folder(data_dir: Path) -> Iterator[Finding]:
    try:
        facts = data_dir.stat()
        free = shutil.disk_usage(data_dir).free
    except OSError as error:
        yield bad(f"The data folder {data_dir} cannot be read: {error.strerror}.")
        return
    if facts.st_uid != os.geteuid():
        yield bad(
            f"The data folder {data_dir} belongs to user {facts.st_uid}; this is {os.geteuid()}. "
            "Call this as the user that the cloud runs as."
        )
    if S_IMODE(facts.st_mode) & 0o077:
        yield bad(f"Others may look into {data_dir}. Close it: chmod 700 {data_dir}")
    else:
        yield good(f"The data folder {data_dir} is closed to others.")
    level = Level.BAD if free < SPACE_NONE_BYTES else Level(free < SPACE_LOW_BYTES)
    advice = "" if level == Level.GOOD else " Make room, or keep images elsewhere (--images)."
    yield Finding(level, f"{free // MIB:,} MiB are free on its disk.{advice}")


def _ask_from_outside(url: str, scheme: str, is_public: bool) -> Iterator[Finding]:
    pool = urllib3.PoolManager(retries=False, timeout=ASKED_FOR_S)
    try:
        ready = pool.request("GET", f"{url}/ready", redirect=False)
        metrics = pool.request("GET", f"{url}/metrics", redirect=False)
    except urllib3.exceptions.HTTPError as error:
        yield bad(f"{url} does not answer: {error}. Does the cloud run, does the proxy know it?")
        return
    if ready.status != HTTPStatus.OK:
        yield bad(f"{url}/ready answers {ready.status}: {ready.data[:200]!r}.")
    else:
        yield good(f"{url} is ready.")
    if scheme == "https" and "Strict-Transport-Security" not in ready.headers:
        yield bad(
            "The cloud does not know that it is behind TLS. Let the proxy send X-Forwarded-Proto, "
            "and name its address with --trust-proxy."
        )
    if is_public and metrics.status == HTTPStatus.OK:
        yield doubtful(
            "/metrics answers to everybody: the proxy hides who asks. Let it send X-Forwarded-For."
        )


def _free_memory() -> int | None:
    try:
        lines = MEMORY_FILE.read_text().splitlines()
    except OSError:
        return None
    free = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if free is None else int(free) * 1_024

"""Examines a node's computer: what is wrong with it, and what to do.

Nothing is made or changed by looking, but for a file in the data folder that is gone at
once; the only call to the cloud carries no identity and no key.
"""

import importlib.metadata
import json
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any

import click
from packaging.requirements import Requirement

from boundless_skies.node.config import ConfigFileError, load_config
from boundless_skies.node.devices.errors import DeviceError
from boundless_skies.node.errors import NodeError
from boundless_skies.node.factory import check_ready
from boundless_skies.node.frame_names import is_frame_name
from boundless_skies.node.storage.disk_room import GB, DiskRoom, frames_folder, free_bytes
from boundless_skies.node.storage.schedule import FILE_NAME as SCHEDULE_NAME
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.wire import paths
from cloud_communicator import LinkError, LinkFailure
from cloud_communicator.config import LinkConfig, read_config
from cloud_communicator.transport import Reply, Transport

_DISTRIBUTION = "boundless-skies"
_MIB = 2**20
_SPACE_LOW_MIB, _SPACE_NONE_MIB = 1024, 100
CLOCK_OFF_S = 5.0
"""How far the computer's clock may be from the cloud's (s): more shows in a light curve."""
_HALF_A_SECOND = 0.5
_MOST_FILES = 100_000
_FEW_NIGHTS = 3

Clock = Callable[[], datetime]


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes
    ----------
    check : str
        What was looked at, in a word or two.
    level : Level
        How bad it is.
    text : str
        One or two sentences; where something is wrong, with what to do.
    """

    check: str
    level: Level
    text: str


def run_doctor(config_path: Path, *, as_json: bool) -> int:
    """Examine the computer, and print what was found.

    Parameters
    ----------
    config_path : Path
        The node's config file.
    as_json : bool
        As a JSON array instead of lines.

    Returns
    -------
    int
        The exit code: 1 where something failed, else 0.
    """
    failed = False
    found = []
    for finding in examine(config_path):
        failed |= finding.level is Level.FAILED
        found.append(asdict(finding))
        if not as_json:
            click.echo(f"{finding.level:8} {finding.check}: {finding.text}")
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    return int(failed)


def examine(
    config_path: Path, now: Clock = lambda: datetime.now(UTC), call: "Call | None" = None
) -> Iterator[Finding]:
    """Examine a node's computer.

    Parameters
    ----------
    config_path : Path
        The node's config file; what depends on it is left out where it cannot be read.
    now : callable, optional
        The computer's clock.
    call : callable, optional
        Asks the cloud; by default over the network, bounded in time.

    Yields
    ------
    Finding
        As each is made, the quick ones first.
    """
    yield from examine_software()
    config, findings = _examine_config(config_path)
    yield from findings
    if config is not None:
        yield examine_data_folder(Path(config["cloud"]["data_dir"]))
        yield examine_watched_folder(config)
    yield examine_catalogue()
    yield examine_solver()
    yield examine_leap_seconds(now)
    if config is not None and config["telescope"]["enabled"]:
        yield examine_telescope(config)
        yield examine_room(config, now)
    if config is not None:
        yield from examine_cloud(config, now, call or ask_health)


def _ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def _warning(check: str, text: str) -> Finding:
    return Finding(check, Level.WARNING, text)


def _failed(check: str, text: str) -> Finding:
    return Finding(check, Level.FAILED, text)


def examine_software() -> Iterator[Finding]:
    """Hold the installed libraries against what the node needs."""
    yield _ok("Python", f"{platform.python_version()} on {platform.machine()}.")
    needed = [Requirement(line) for line in importlib.metadata.requires(_DISTRIBUTION) or []]
    needed = [each for each in needed if _is_needed(each)]
    versions = {each.name: _version(each.name) for each in needed}
    wrong = [each for each in needed if not _fits(each, versions[each.name])]
    for each in wrong:
        there = versions[each.name] or "not installed"
        yield _failed(
            "libraries",
            f"{each.name}{each.specifier} is needed, and it is {there}. Install the node anew: "
            'pip install ".[node]" in the project\'s folder.',
        )
    if not wrong:
        told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        yield _ok("libraries", f"{told}.")


def _is_needed(requirement: Requirement) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": "node"})


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _fits(requirement: Requirement, version: str) -> bool:
    return bool(version) and requirement.specifier.contains(version, prereleases=True)


def _examine_config(path: Path) -> tuple[dict[str, Any] | None, list[Finding]]:
    """Read the config as the node does at its start; return it where it can be read."""
    try:
        config = load_config(path)
    except ConfigFileError as error:
        return None, [_failed("config", problem) for problem in error.problems]
    try:
        check_ready(config, path)
        read_config(config)
    except ConfigFileError as error:
        return config, [_failed("config", problem) for problem in error.problems]
    except LinkError as error:
        return config, [_failed("config", f"{path}: {error}")]
    return config, [_ok("config", f"{path} is read, and every key is known.")]


def examine_data_folder(folder: Path) -> Finding:
    """Try that the data folder can be written, and see how much room there is."""
    folder = folder.expanduser().absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    probe = there / f".doctor-{os.getpid()}"
    try:
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        return _failed(
            "data folder",
            f"{there} cannot be written: {error.strerror}. Let this user write there, or name "
            "another folder under cloud.data_dir in the config.",
        )
    return _judge_room(folder, shutil.disk_usage(there).free / _MIB)


def _judge_room(folder: Path, free_mib: float) -> Finding:
    told = f"{folder} can be written; {free_mib:,.0f} MiB are free"
    if free_mib < _SPACE_NONE_MIB:
        return _failed("data folder", f"{told}: too little. Make room, or the queue will not grow.")
    if free_mib < _SPACE_LOW_MIB:
        return _warning("data folder", f"{told}: make room soon.")
    return _ok("data folder", f"{told}.")


def examine_watched_folder(config: dict[str, Any]) -> Finding:
    """See whether the folder with the frames is there, and what lies in it."""
    check, block = "watched folder", config["image_watcher"]
    if not block["enabled"]:
        return _ok(check, "none: image_watcher.enabled is false.")
    folder = Path(block["watch_path"]).expanduser().absolute()
    if not folder.is_dir():
        return _failed(
            check,
            f"{folder} is not there. Mount the telescope's storage, or name the folder under "
            "image_watcher.watch_path in the config.",
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        return _failed(check, f"{folder} cannot be read: let this user read there.")
    walk = folder.rglob("*") if block["recursive"] else folder.iterdir()
    files = islice(walk, _MOST_FILES)
    frames = sum(is_frame_name(path.name, block["patterns"]) for path in files)
    return _ok(check, f"{folder} is there; frames in it: {frames:,}.")


def examine_room(config: dict[str, Any], now: Clock) -> Finding:
    """See how many nights of frames there is room for.

    Parameters
    ----------
    config : dict
        The whole config.
    now : callable
        The computer's clock.

    Returns
    -------
    Finding
        Failed where not one frame fits, a warning where a few nights do.
    """
    check, frames = "room for frames", frames_folder(config)
    path = Path(config["cloud"]["data_dir"]).expanduser().absolute() / SCHEDULE_NAME
    try:
        if not path.exists():
            return _ok(check, f"{free_bytes(frames) / GB:.1f} GB free in {frames}; no night yet.")
        with closing(ScheduleStore(path, now, mends=False)) as store:
            room = DiskRoom.from_config(config, store, now).room()
    except (OSError, NodeError) as error:
        return _warning(check, f"It cannot be told: {error}")
    if room is None:
        return _warning(check, f"It cannot be told: {frames} does not answer.")
    if room.is_short:
        return _failed(check, room.sentence)
    if room.lasts_nights < _FEW_NIGHTS:
        return _warning(check, f"{room.sentence} Make room soon, or set schedule.keep_frames.")
    return _ok(check, room.sentence)


def examine_catalogue() -> Finding:
    """Read the bundled star catalogue at a place that is known to have stars."""
    # Loaded here, as below: an owner with a missing library shall still see the lines above.
    try:
        from boundless_skies.node.catalogue import Catalogue  # noqa: PLC0415

        catalogue = Catalogue.load()
        near_vega = len(catalogue.cone(279.2347, 38.7837, 1.0))
    except (ImportError, OSError, ValueError) as error:
        return _failed("catalogue", f"{error}. Install the node anew.")
    if not near_vega:
        return _failed("catalogue", "It shows no star around Vega. Install the node anew.")
    return _ok("catalogue", f"Tycho-2, {len(catalogue):,} stars.")


def examine_solver() -> Finding:
    """Solve a field that is made from the catalogue, turned and far from where it is looked for."""
    began_s = time.monotonic()
    try:
        away_arcsec = _solve_made_field()
    except (ImportError, OSError, ValueError, NodeError) as error:
        return _failed(
            "plate solver", f"A made field is not solved: {error} Install the node anew."
        )
    took_s = time.monotonic() - began_s
    if not away_arcsec < 1.0:  # NaN, too
        return _failed(
            "plate solver", f"It puts a made field {away_arcsec:.1f}″ away. Install the node anew."
        )
    return _ok("plate solver", f"seiza solves a made field in {took_s:.1f} s.")


def _solve_made_field() -> float:
    """Return how far the solution of a made field lies from where it was made (arcsec)."""
    from boundless_skies.node.catalogue import Catalogue  # noqa: PLC0415
    from boundless_skies.node.solving.pointing import solve_field  # noqa: PLC0415
    from boundless_skies.node.solving.seiza_solver import SeizaSolver  # noqa: PLC0415
    from boundless_skies.node.solving.verification import centre_deg  # noqa: PLC0415

    catalogue, (ra_deg, dec_deg), side_px = Catalogue.load(), (300.0, 35.0), 1000
    scale_arcsec_px = 4.0
    solution = solve_field(
        _made_field(catalogue, (ra_deg, dec_deg), side_px, scale_arcsec_px),
        catalogue,
        SeizaSolver(catalogue),
        positions_deg=[(ra_deg + 0.3, dec_deg - 0.2)],
        scales_arcsec_px=[scale_arcsec_px * 1.03],
    )
    found_ra_deg, found_dec_deg = centre_deg(solution.wcs, side_px, side_px)
    east_deg = (found_ra_deg - ra_deg) * math.cos(math.radians(dec_deg))
    return 3600 * math.hypot(east_deg, found_dec_deg - dec_deg)


def _made_field(
    catalogue: Any, centre_deg: tuple[float, float], side_px: int, scale_arcsec_px: float
) -> Any:
    """Return the catalogue's stars as a camera would show them that is turned by 30°."""
    import numpy as np  # noqa: PLC0415
    from astropy.wcs import WCS  # noqa: PLC0415

    from boundless_skies.node.solving.field import StarField  # noqa: PLC0415

    turn = math.radians(30.0)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = list(centre_deg)
    wcs.wcs.crpix = [(side_px + 1) / 2] * 2
    rotation = np.array([[-math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    wcs.wcs.cd = rotation * scale_arcsec_px / 3600
    stars = catalogue.cone(*centre_deg, side_px * scale_arcsec_px / 3600, mag_limit=11.5)
    x, y = wcs.all_world2pix(stars.ra_deg, stars.dec_deg, 0)
    inside = (x > 0) & (x < side_px - 1) & (y > 0) & (y < side_px - 1)
    flux = 10 ** (-0.4 * (stars.mag[inside] - 11.5))
    return StarField(x[inside], y[inside], flux, side_px, side_px)


def examine_leap_seconds(now: Clock) -> Finding:
    """See whether the bundled leap seconds of the IERS are known to hold today."""
    check = "time scales"
    try:
        import erfa  # noqa: PLC0415
        from astropy.utils import iers  # noqa: PLC0415

        bundled = iers.LeapSeconds.open(iers.IERS_LEAP_SECOND_FILE)
        used = int(erfa.leap_seconds.get()[-1]["tai_utc"])
        newest = int(bundled["tai_utc"][-1])
        until = bundled.expires.utc.to_datetime(timezone=UTC)
    except (ImportError, OSError, ValueError) as error:
        return _failed(check, f"The IERS' data cannot be read: {error}. Install the node anew.")
    if used != newest:
        return _failed(
            check,
            f"TAI − UTC is {newest} s in the IERS' data, and {used} s in pyerfa: every time would "
            "be wrong. Do: pip install --upgrade pyerfa",
        )
    if until < now():
        return _warning(
            check,
            f"The IERS' leap seconds are known to hold until {until:%Y-%m-%d} only. Do: pip "
            "install --upgrade astropy-iers-data pyerfa",
        )
    return _ok(check, f"TAI − UTC is {used} s, known to hold until {until:%Y-%m-%d}.")


Call = Callable[[LinkConfig], Reply]


def examine_telescope(config: dict[str, Any]) -> Finding:
    """See whether the telescope answers, and has a mount and a camera; nothing is moved.

    Parameters
    ----------
    config : dict
        The whole config.

    Returns
    -------
    Finding
        Failed where the schedule could not be run now; a telescope may just be switched off.
    """
    # Imported here: most nodes have no telescope to move.
    from boundless_skies.node.devices.alpaca.connecting import (  # noqa: PLC0415
        TelescopeSettings,
        find_server,
    )

    settings = TelescopeSettings.from_config(config["telescope"])
    try:
        listing = find_server(settings.address, settings.timeout_s)
    except DeviceError as error:
        return _failed("telescope", f"{error}")
    kinds = {device.kind for device in listing.devices}
    if not {"telescope", "camera"} <= kinds:
        return _failed(
            "telescope",
            f"{listing.address} has no mount or no camera; see what it has with: "
            "boundless node telescope",
        )
    names = ", ".join(sorted({device.name for device in listing.devices}))
    return _ok("telescope", f"{listing.address} answers: {names}.")


def ask_health(link: LinkConfig) -> Reply:
    """Ask the cloud how it does, as the link would, but without identity and key.

    Parameters
    ----------
    link : LinkConfig
        Address, time limits, and whether plain http is allowed.

    Returns
    -------
    Reply
        Whatever it answers.

    Raises
    ------
    LinkFailure
        If there is no answer in time.
    """
    transport = Transport(
        link.url,
        link.connect_timeout,
        allow_http=link.allow_http,
        user_agent=f"{_DISTRIBUTION}/{importlib.metadata.version(_DISTRIBUTION)} doctor",
    )
    return transport.call("GET", paths.HEALTH, headers={}, timeout_s=link.timeout)


def examine_cloud(config: dict[str, Any], now: Clock, call: Call) -> Iterator[Finding]:
    """Ask the cloud once, and hold the computer's clock against its."""
    unchecked = (
        "Not held against another clock, for the cloud is off or does not answer. See that the "
        "computer sets it by itself (timedatectl): a light curve is as good as its times."
    )
    try:
        link = read_config(config)
    except LinkError:
        return  # told with the config
    if not link.enabled:
        yield _ok("cloud", "off: cloud.enabled is false.")
        yield _warning("clock", unchecked)
        return
    if not link.url:
        return
    before = now()
    try:
        reply = call(link)
    except LinkFailure as error:
        yield _failed(
            "cloud",
            f"It does not answer: {error}. Check the network and cloud.url; meanwhile measurements "
            "wait on disk, and nothing is lost.",
        )
        yield _warning("clock", unchecked)
        return
    after = now()
    yield _judge_reply(link, reply, (after - before).total_seconds())
    yield _judge_clock(reply.headers.get("Date"), before + (after - before) / 2)


def _judge_reply(link: LinkConfig, reply: Reply, took_s: float) -> Finding:
    if reply.status == HTTPStatus.OK:
        return _ok("cloud", f"{link.url} answers in {took_s:.2f} s.")
    return _failed(
        "cloud",
        f"{link.url} answers with status {reply.status} instead of 200. Check cloud.url, which is "
        "the address without a path of the API; else tell the network's operator.",
    )


def _judge_clock(date: str | None, middle: datetime) -> Finding:
    check = "clock"
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return _warning(check, "The cloud does not tell its time, so that yours is not checked.")
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    # A Date header is cut to the second: on the average half a second has gone by.
    off_s = (middle - theirs).total_seconds() - _HALF_A_SECOND
    way = "ahead of" if off_s > 0 else "behind"
    if abs(off_s) > CLOCK_OFF_S:
        return _warning(
            check,
            f"{abs(off_s):,.0f} s {way} the cloud's, and every point would be so too. Let the "
            "computer set its clock by itself: sudo timedatectl set-ntp true",
        )
    return _ok(check, f"within {max(abs(off_s), 1.0):.0f} s of the cloud's.")

"""Builds the node from its config; the only place that constructs its parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from boundless_skies.node.clock import Clock, SystemClock
from boundless_skies.node.config import DEFAULT_PATH, ConfigFileError
from boundless_skies.node.schedule.settings import NightSettings, limits_of, site_of
from boundless_skies.node.services.folder_watch import FolderWatch
from boundless_skies.node.services.housekeeping import Housekeeping
from boundless_skies.node.services.measuring import MeasuringProcess
from boundless_skies.node.services.node_program import Inbox, Measuring, Night, NodeProgram, Page
from boundless_skies.node.services.plan_desk import PlanDesk
from boundless_skies.node.storage.disk_room import DiskRoom
from boundless_skies.node.storage.ledger import FILE_NAME as LEDGER_NAME
from boundless_skies.node.storage.ledger import Ledger
from boundless_skies.node.storage.schedule import FILE_NAME as SCHEDULE_NAME
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.node.zone import local_zone
from boundless_skies.sky import HorizonMaskError
from cloud_communicator import CloudCommunicator

MakeNight: TypeAlias = Callable[[ScheduleStore], Night]


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node's program, and the parts that it was built from.

    Attributes
    ----------
    store : ScheduleStore
        The schedule.
    ledger : Ledger
        The record of frames.
    link : CloudCommunicator
        The link.
    program : NodeProgram
        Not yet running; it closes the others at its end.
    """

    store: ScheduleStore
    ledger: Ledger
    link: CloudCommunicator
    program: NodeProgram


def build_program(
    config: dict[str, Any], folder: Path, config_path: Path = DEFAULT_PATH
) -> NodeProgram:
    """Build a node, ready to run.

    Parameters
    ----------
    config : dict
        The whole config, as :func:`boundless_skies.node.config.load_config` gives it.
    folder : Path
        The data folder, which can be written.
    config_path : Path
        Where the config was read, for the dashboard's settings.

    Returns
    -------
    NodeProgram
        Not yet running.

    Raises
    ------
    cloud_communicator.ConfigError
        If the cloud's block cannot be meant.
    LedgerError, ScheduleError
        If the ledger or the schedule cannot be opened.
    """
    return build_node(config, folder, config_path).program


def build_node(
    config: dict[str, Any],
    folder: Path,
    config_path: Path = DEFAULT_PATH,
    *,
    clock: Clock | None = None,
    measuring: Measuring | None = None,
    make_night: MakeNight | None = None,
) -> Node:
    """Build a node with its parts, as `build_program` does.

    Parameters
    ----------
    config : dict
        The whole config.
    folder : Path
        The data folder, which can be written.
    config_path : Path
        Where the config was read, for the dashboard's settings.
    clock : Clock, optional
        The time of the nights; the computer's own where it is not given.
    measuring : Measuring, optional
        What measures frames; a process of its own where it is not given.
    make_night : callable, optional
        Builds what runs a schedule; that of the config's telescope where it is not given.

    Returns
    -------
    Node
        Not yet running.
    """
    clock = clock or SystemClock()
    ledger = Ledger(folder / LEDGER_NAME, clock.now)
    store = ScheduleStore(folder / SCHEDULE_NAME, clock.now)
    desk = build_desk(config, store, clock)
    inbox = Inbox(ledger, desk, lambda: _plan_facts(link))
    night = make_night(store) if make_night else _night(config, folder, store, clock)

    def conditions() -> dict[str, Any]:
        telescope = {} if night is None else _told_to_cloud(night.facts())
        return {"queued_uploads": link.status["queued_uploads"]} | telescope

    def status() -> dict[str, Any]:
        return program.status()

    link = CloudCommunicator(link_config(config), conditions, inbox.take_plan, inbox.take_interrupt)
    page = _page(config, config_path, folder, store, ledger, status, clock)
    program = NodeProgram(
        config=config,
        folder=folder,
        link=link,
        ledger=ledger,
        watch=build_watch(config, ledger),
        measuring=measuring or MeasuringProcess(config),
        store=store,
        desk=desk,
        night=night,
        page=page,
        chores=Housekeeping(
            folder=folder,
            store=store,
            ledger=ledger,
            link_status=link.status,
            keep_days=config["schedule"]["keep_frames"],
            cloud_on=config["cloud"]["enabled"],
            now=clock.now,
        ),
        disk=None if night is None else DiskRoom.from_config(config, store, clock.now).facts,
    )
    return Node(store=store, ledger=ledger, link=link, program=program)


def _night(
    config: dict[str, Any], folder: Path, store: ScheduleStore, clock: Clock
) -> Night | None:
    if not config["telescope"]["enabled"]:
        return None
    # A node that only measures need not wait for what moves a telescope.
    from boundless_skies.node.night_factory import build_night  # noqa: PLC0415

    return build_night(config, folder, store, clock)


def _page(
    config: dict[str, Any],
    config_path: Path,
    folder: Path,
    store: ScheduleStore,
    ledger: Ledger,
    status: Callable[[], dict[str, Any]],
    clock: Clock,
) -> Page | None:
    if not config["dashboard"]["enabled"]:
        return None
    # Nor one without a dashboard for a web server.
    from boundless_skies.node.dashboard.dashboard import Dashboard  # noqa: PLC0415

    return Dashboard(config, config_path, folder, store, ledger, status, clock=clock)


def link_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config for the link; a telescope's limits are told to the cloud that plans it.

    Parameters
    ----------
    config : dict
        The whole config.

    Returns
    -------
    dict
        The same, with what a registration says of altitude and horizon.
    """
    if not config["telescope"]["enabled"]:
        return config
    limits = config["limits"]
    told = {"min_altitude_deg": limits["min_altitude"]}
    mask = {"horizon_mask": limits["horizon_mask"]} if limits["horizon_mask"] else {}
    return config | {"observatory": config["observatory"] | told | mask}


def build_desk(config: dict[str, Any], store: ScheduleStore, clock: Clock) -> PlanDesk:
    """Build what puts plans into the schedule; ``startTime`` is in the computer's time zone."""
    return PlanDesk(store, NightSettings.from_config(config), local_zone(), clock.now)


def _plan_facts(link: CloudCommunicator) -> tuple[str | None, str | None]:
    return link.status["last_plan_id"], link.status.get("last_plan_night")


def _told_to_cloud(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what a heartbeat says of the telescope."""
    weather = {name: value for name, value in facts["weather"].items() if value is not None}
    return weather | {"state": facts["state"], "target": facts["target"]}


def build_watch(config: dict[str, Any], ledger: Ledger) -> FolderWatch | None:
    """Build the folder watch; None where the config wants no frames watched or measured."""
    block = config["image_watcher"]
    if not (block["enabled"] and config["photometry"]["enabled"]):
        return None
    return FolderWatch(
        Path(block["watch_path"]),
        patterns=block["patterns"],
        recursive=block["recursive"],
        settle_s=block["debounce_delay"],
        poll_s=block["poll_interval"],
        knows=ledger.knows,
    )


def check_ready(config: dict[str, Any], path: Path) -> None:
    """Check what a config must say before a node can measure and take part in the network.

    Parameters
    ----------
    config : dict
        The whole config.
    path : Path
        Where it was read, for the message.

    Raises
    ------
    ConfigFileError
        If a dark, flat or bias is missing: every frame would be refused for it; if the cloud
        is on but has no address, or nobody could know where the telescope stands; if the
        horizon cannot be meant.
    """
    problems = [
        *_missing_masters(config, path),
        *_cloud_problems(config, path),
        *_telescope_problems(config, path),
    ]
    if problems:
        raise ConfigFileError(*problems)


def _missing_masters(config: dict[str, Any], path: Path) -> Iterator[str]:
    for kind, place in config["photometry"]["calibration"].items():
        if place and not Path(place).expanduser().exists():
            yield (
                f"{path}: photometry.calibration.{kind} names {place}, which is not there. Name a "
                "FITS file or a folder of exposures, or leave it empty."
            )


def _cloud_problems(config: dict[str, Any], path: Path) -> Iterator[str]:
    cloud, observatory = config["cloud"], config["observatory"]
    if not cloud["enabled"]:
        return
    if not cloud["url"].strip():
        yield (
            f"{path}: cloud.enabled is true, but cloud.url is empty. Write the cloud's address "
            "there, such as https://cloud.example.org, or set cloud.enabled to false."
        )
    place = (observatory["latitude"], observatory["longitude"])
    if None in place or place == (0, 0):
        yield (
            f"{path}: observatory.latitude and observatory.longitude are not set. The network "
            "plans by where your telescope stands: write them in degrees, north and east positive."
        )


def _telescope_problems(config: dict[str, Any], path: Path) -> Iterator[str]:
    if not config["telescope"]["enabled"]:
        return
    if site_of(config) is None:
        yield (
            f"{path}: telescope.enabled is true, but observatory.latitude and "
            "observatory.longitude are not set. Without them nobody knows where the Sun and the "
            "horizon are: write them in degrees, north and east positive."
        )
    try:
        limits_of(config)
    except HorizonMaskError as error:
        yield f"{path}: limits.horizon_mask cannot be meant. {error}"

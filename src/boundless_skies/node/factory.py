"""Builds the node from its config; the only place that constructs its parts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boundless_skies.node.config import ConfigFileError
from boundless_skies.node.services.folder_watch import FolderWatch
from boundless_skies.node.services.measuring import MeasuringProcess
from boundless_skies.node.services.node_program import Inbox, NodeProgram
from boundless_skies.node.storage.ledger import FILE_NAME, Ledger
from cloud_communicator import CloudCommunicator


def build_program(config: dict[str, Any], folder: Path) -> NodeProgram:
    """Build a node, ready to run.

    Parameters
    ----------
    config : dict
        The whole config, as :func:`boundless_skies.node.config.load_config` gives it.
    folder : Path
        The data folder, which can be written.

    Returns
    -------
    NodeProgram
        Not yet running.

    Raises
    ------
    cloud_communicator.ConfigError
        If the cloud's block cannot be meant.
    LedgerError
        If the ledger cannot be opened.
    """
    ledger = Ledger(folder / FILE_NAME)
    inbox = Inbox(ledger)

    def conditions() -> dict[str, Any]:
        return {"queued_uploads": link.status["queued_uploads"]}

    link = CloudCommunicator(config, conditions, inbox.take_plan, inbox.take_interrupt)
    return NodeProgram(
        config=config,
        folder=folder,
        link=link,
        ledger=ledger,
        watch=build_watch(config, ledger),
        measuring=MeasuringProcess(config),
    )


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
        is on but has no address, or nobody could know where the telescope stands.
    """
    problems = [*_missing_masters(config, path), *_cloud_problems(config, path)]
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

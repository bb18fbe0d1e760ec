"""``boundless node telescope``: which telescopes answer, and what each device can do."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from boundless_skies.node.config import DEFAULT_PATH, ConfigFileError, defaults, load_config

if TYPE_CHECKING:
    from boundless_skies.node.devices.alpaca.discovery import Listing
    from boundless_skies.node.devices.alpaca.survey import Report

_EXIT_LACKING = 1
_EXIT_NOTHING = 2
_NONE_FOUND = """\
No Alpaca telescope answers in this network.
  - Is the telescope switched on, and in the same network as this computer?
  - Is its Alpaca server on? Some telescopes have one of their own; for others it is a program
    beside the driver, such as ASCOM Remote on Windows or AlpacaPi on Linux.
  - Does a firewall hold back UDP port 32227? Then name the server yourself:
    boundless node telescope --address 192.168.1.20:11111"""


@click.command()
@click.option("--address", metavar="HOST:PORT", help="Ask this Alpaca server; else look for some.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help=f"The node's config file; {DEFAULT_PATH} where there is one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of the servers.")
def telescope(address: str | None, config_path: Path | None, as_json: bool) -> None:
    """Show which telescopes answer, and what each of their devices can do. Nothing moves.

    \b
    Exit code 0   one has a mount and a camera, and both can do what the node needs
              1   something is lacking; it says what
              2   none answers
    """  # noqa: D301 - click wants the backspace itself
    block = _config(config_path)["telescope"]
    servers = _found((address or block["address"]).strip(), block["timeout"])
    if as_json:
        told = [{"address": at, "devices": [asdict(r) for r in found]} for at, found in servers]
        click.echo(json.dumps(told, indent=2))
    else:
        _show(servers)
    if not servers:
        sys.exit(_EXIT_NOTHING)
    sys.exit(0 if any(not _lacking(reports) for _, reports in servers) else _EXIT_LACKING)


def _config(path: Path | None) -> dict[str, Any]:
    if path is None and not DEFAULT_PATH.exists():
        return defaults()
    try:
        return load_config(path or DEFAULT_PATH)
    except ConfigFileError as error:
        for problem in error.problems:
            click.echo(f"Error: {problem}", err=True)
        sys.exit(_EXIT_NOTHING)


Servers = list[tuple[str, "tuple[Report, ...]"]]


def _found(address: str, timeout_s: float) -> Servers:
    # Imported here: the other commands should not wait for it.
    from boundless_skies.node.devices.alpaca.survey import survey  # noqa: PLC0415

    return [
        (listing.address, survey(listing, timeout_s)) for listing in _listings(address, timeout_s)
    ]


def _listings(address: str, timeout_s: float) -> "tuple[Listing, ...]":
    from boundless_skies.node.devices.alpaca.calls import Server  # noqa: PLC0415 - as above
    from boundless_skies.node.devices.alpaca.discovery import (  # noqa: PLC0415
        discover,
        list_devices,
        list_found,
    )
    from boundless_skies.node.devices.errors import DeviceError  # noqa: PLC0415

    if not address:
        return list_found(discover(), timeout_s)
    try:
        return (list_devices(Server(address, timeout_s)),)
    except DeviceError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_EXIT_NOTHING)


def _show(servers: Servers) -> None:
    if not servers:
        click.echo(_NONE_FOUND, err=True)
    for address, reports in servers:
        click.echo(f"{address}")
        for report in reports:
            _show_device(report)
        lacking = _lacking(reports)
        for problem in lacking:
            click.echo(f"  Lacking: {problem}")
        if not lacking:
            click.echo(f'  To use it, write into config.yaml:  telescope: {{address: "{address}"}}')


def _show_device(report: "Report") -> None:
    click.echo(f"  {report.words} {report.number}: {report.name or 'without a name'}")
    if report.trouble:
        click.echo(f"      {report.trouble}")
    for ability in report.abilities:
        click.echo(f"      {ability}")
    for lack in report.lacks:
        click.echo(f"      not: {lack}")


def _lacking(reports: "tuple[Report, ...]") -> list[str]:
    """Return what keeps a server from being a telescope for the node."""
    from boundless_skies.node.devices.alpaca.discovery import KINDS  # noqa: PLC0415 - as above
    from boundless_skies.node.devices.alpaca.survey import NEEDED  # noqa: PLC0415

    problems = []
    for kind in NEEDED:
        of_kind = [report for report in reports if report.kind == kind]
        if not of_kind:
            problems.append(f"a {KINDS[kind]}")
        elif all(report.trouble for report in of_kind):
            problems.append(f"a {KINDS[kind]} that answers")
        elif kind == "telescope" and all("goes to places" in r.lacks for r in of_kind):
            problems.append("a mount that goes to places by itself")
    return problems

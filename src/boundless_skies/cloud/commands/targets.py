"""``boundless cloud targets``: what the cloud knows of its targets."""

from pathlib import Path
from typing import Any

import click

from boundless_skies.cloud.commands.context import (
    data_option,
    json_option,
    local_operator,
    run,
    say,
)
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.names import parse_coordinates
from boundless_skies.cloud.domain.times import counted
from boundless_skies.cloud.services.curves import describe_known, sexagesimal
from boundless_skies.cloud.services.targets import Candidate, describe_candidate


@click.group("targets")
def targets_group() -> None:
    """See and correct what the cloud knows of its targets."""


@targets_group.command("list")
@data_option
@json_option
@click.pass_obj
def list_targets(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    """List every target."""
    held = run(config, data_dir, lambda cloud: cloud.services.targets.list_all())
    lines = [
        f"{one.target.name:<24} {sexagesimal(one.target) or 'place unknown':<26} "
        f"{_points(one):<16} {_period(one)}".rstrip()
        for one in held
    ]
    entries = [describe_candidate(one) for one in held]
    say(as_json, entries, "\n".join(lines) or "No target is known yet.")


@targets_group.command("show")
@click.argument("name")
@data_option
@json_option
@click.pass_obj
def show_target(config: CloudConfig, name: str, data_dir: Path | None, as_json: bool) -> None:
    """Show a target, by any of its names."""
    one = run(config, data_dir, lambda cloud: cloud.services.targets.find(name))
    known = one.target
    place = (
        f"{sexagesimal(known)}  ({known.ra_deg:.5f}° {known.dec_deg:+.5f}°)"
        if (known.ra_deg is not None and known.dec_deg is not None)
        else "unknown"
    )
    lines = [
        known.name,
        f"  names   {', '.join(one.names)}",
        f"  place   {place}",
        f"  kind    {known.kind or 'unknown'}",
        f"  period  {_period(one) or 'unknown'}",
        f"  held    {_points(one)}",
    ]
    say(as_json, describe_candidate(one), "\n".join(lines))


@targets_group.command("describe")
@click.argument("name")
@click.option("--at", "place", help='Where it stands: "21:42:42.8 +43:35:10" or degrees.')
@click.option("--ra", "ra_deg", type=float, help="Right ascension, degrees.")
@click.option("--dec", "dec_deg", type=float, help="Declination, degrees.")
@click.option("--kind", help="What varies: a type of the GCVS or VSX, such as EA.")
@click.option("--period", "period_d", type=float, help="Period, days.")
@click.option("--epoch", "epoch_bjd", type=float, help="Phase 0, BJD_TDB; needs --period.")
@data_option
@json_option
@click.pass_obj
def describe_target(
    config: CloudConfig,
    /,
    name: str,
    place: str | None,
    data_dir: Path | None,
    as_json: bool,
    **told: Any,
) -> None:
    """Say where the target NAME stands, what it is, when it repeats; it is added if unknown."""
    if place is not None:
        told |= _read_place(place)
    known = run(
        config,
        data_dir,
        lambda cloud: cloud.services.targets.describe(local_operator(), name, told),
    )
    say(
        as_json,
        {"ok": True, "name": known.name, **describe_known(known)},
        f"{known.name} is described. See it with: boundless cloud targets show",
    )


@targets_group.command("alias")
@click.argument("name")
@click.argument("alias")
@data_option
@json_option
@click.pass_obj
def add_alias(
    config: CloudConfig, name: str, alias: str, data_dir: Path | None, as_json: bool
) -> None:
    """Let the target NAME be found as ALIAS, too."""
    kept = run(
        config,
        data_dir,
        lambda cloud: cloud.services.targets.add_alias(local_operator(), name, alias),
    )
    say(as_json, {"ok": True, "name": kept, "alias": alias}, f"{kept} is found as {alias}, too.")


@targets_group.command("merge")
@click.argument("name")
@click.argument("into")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
@click.pass_obj
def merge_targets(
    config: CloudConfig, name: str, into: str, yes: bool, data_dir: Path | None, as_json: bool
) -> None:
    """Make one target of two: every name and measurement of NAME goes to INTO.

    It cannot be undone: afterwards nothing tells which measurement was whose.
    """
    if not yes:
        click.confirm(f"Make {name} a part of {into}, for good?", abort=True, err=True)
    moved = run(
        config,
        data_dir,
        lambda cloud: cloud.services.targets.merge(local_operator(), name, into),
    )
    say(
        as_json,
        {"ok": True, "moved": moved},
        f"{name} is a part of {into} now; {counted(moved, 'measurement')} moved.",
    )


def _read_place(text: str) -> dict[str, float]:
    try:
        place = parse_coordinates(text)
    except CloudError as error:
        raise click.ClickException(str(error)) from None
    if place is None:
        raise click.ClickException(f"--at {text!r} is no place. Give coordinates.")
    return {"ra_deg": place[0], "dec_deg": place[1]}


def _points(one: Candidate) -> str:
    return counted(one.summary.points, "point") if one.summary else "nothing yet"


def _period(one: Candidate) -> str:
    return f"{one.target.period_d:g} d" if one.target.period_d else ""

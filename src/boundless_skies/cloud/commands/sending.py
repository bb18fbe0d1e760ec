"""``boundless cloud plan`` and ``boundless cloud interrupt``: sending something to nodes."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from boundless_skies.cloud.commands.context import (
    data_option,
    json_option,
    local_operator,
    parse_file,
    run,
    say,
)
from boundless_skies.cloud.commands.outcomes import report_lines
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.outcomes import PlanReport
from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.domain.times import counted
from boundless_skies.cloud.factory import Cloud
from boundless_skies.cloud.handlers.operator_entries import describe_report


@click.group("plan")
def plan_group() -> None:
    """Send plans to nodes."""


@plan_group.command("publish")
@click.argument("node_id")
@click.argument("plan_file", type=click.File("rb"))
@data_option
@json_option
@click.pass_obj
def publish_plan(
    config: CloudConfig, node_id: str, plan_file: Any, data_dir: Path | None, as_json: bool
) -> None:
    """Make PLAN_FILE the current plan of NODE_ID; it fetches it at its next poll.

    PLAN_FILE (- for standard input) holds a plan {"night", "items": […]} or a
    bare list of items; each item needs target, ra (decimal hours) and dec
    (degrees), and may have expDur (s), expCount, binning, startTime ("HH:MM",
    node-local) or start_utc, filter, notes.
    """
    document = parse_file(plan_file.read(), plan_file.name)

    async def publish(cloud: Cloud) -> PublishedPlan:
        node = await cloud.services.nodes.find(node_id)
        return await cloud.services.plans.publish(local_operator(), node, document)

    plan = run(config, data_dir, publish)
    say(
        as_json,
        {"ok": True, "plan_id": plan.plan_id, "node_id": plan.node_id, "items": len(plan.items)},
        f"Plan {plan.plan_id} ({counted(len(plan.items), 'item')}, night {plan.night}) "
        f"is published for {plan.node_id}.",
    )


@plan_group.command("show")
@click.argument("plan_id")
@data_option
@json_option
@click.pass_obj
def show_plan(config: CloudConfig, plan_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Show what became of the plan PLAN_ID and of each of its items.

    `boundless cloud nodes show` names a node's current plan.
    """

    async def look(cloud: Cloud) -> tuple[PlanReport, datetime]:
        report = await cloud.services.plans.report(local_operator(), plan_id)
        return report, cloud.services.control_room.now()

    report, now = run(config, data_dir, look)
    plan = report.plan
    heading = f"Plan {plan.plan_id} for {plan.node_id}, night {plan.night}"
    say(as_json, describe_report(report), "\n".join([heading, *report_lines(report, now)]))


@click.command("interrupt")
@click.argument("name")
@click.option("--ra", "ra_deg", type=float, required=True, help="Right ascension, degrees.")
@click.option("--dec", "dec_deg", type=float, required=True, help="Declination, degrees.")
@click.option("--reason", default="", help="Why, for the node's owner.")
@click.option("--mag", type=float, help="Expected brightness, magnitudes.")
@click.option("--node", "node_ids", multiple=True, help="Only this node; may be repeated.")
@click.option("--expires-hours", type=float, default=12.0, show_default=True)
@data_option
@json_option
@click.pass_obj
def send_interrupt(
    config: CloudConfig,
    /,
    data_dir: Path | None,
    as_json: bool,
    node_ids: tuple[str, ...],
    **request: Any,
) -> None:
    """Ask nodes to leave their plan for the target NAME."""
    body = request | {"node_ids": list(node_ids) or None}
    number = run(
        config, data_dir, lambda cloud: cloud.services.interrupts.send(local_operator(), body)
    )
    addressed = ", ".join(node_ids) or "every node"
    say(
        as_json,
        {"ok": True, "id": number},
        f"Interrupt {number} ({request['name']}) is sent to {addressed}, "
        f"for {request['expires_hours']:g} hours.",
    )

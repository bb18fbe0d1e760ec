"""``boundless cloud nodes``."""

import json
from pathlib import Path

import click

from boundless_skies.cloud.commands.context import (
    data_option,
    json_option,
    local_operator,
    run,
    say,
)
from boundless_skies.cloud.commands.outcomes import interrupt_lines, report_lines
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.nodes import Node
from boundless_skies.cloud.domain.times import ago, counted
from boundless_skies.cloud.factory import Cloud
from boundless_skies.cloud.handlers.operator_entries import describe_file, describe_nodes
from boundless_skies.cloud.services.control_room import NodeFile, NodeList


@click.group("nodes", invoke_without_command=True)
@data_option
@json_option
@click.pass_context
def nodes_group(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """List the nodes of the network, or see to one of them."""
    if context.invoked_subcommand is None:
        _list(context.obj, data_dir, as_json)


@nodes_group.command("list")
@data_option
@json_option
@click.pass_obj
def list_nodes(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    """List the nodes of the network."""
    _list(config, data_dir, as_json)


@nodes_group.command("show")
@click.argument("node_id")
@data_option
@json_option
@click.pass_obj
def show_node(config: CloudConfig, node_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Show all that is known of a node: its exact place and owner, too."""
    file = run(
        config,
        data_dir,
        lambda cloud: cloud.services.control_room.open_file(local_operator(), node_id),
    )
    say(as_json, describe_file(file), _describe(file))


@nodes_group.command("rotate")
@click.argument("node_ids", metavar="NODE...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Ask every node that is not revoked.")
@data_option
@json_option
@click.pass_obj
def rotate_keys(
    config: CloudConfig,
    node_ids: tuple[str, ...],
    every: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Ask nodes to take a new key at their next beat.

    The key before stays valid for a day, so that nothing is lost on the way.
    """
    if every == bool(node_ids):
        raise click.UsageError("Name the nodes, or give --all.")
    wanted = None if every else node_ids
    asked = run(
        config,
        data_dir,
        lambda cloud: cloud.services.credentials.ask_for_rotation(local_operator(), wanted),
    )
    sentence = f"{counted(asked, 'node')} will take a new key with the next beat."
    say(as_json, {"ok": True, "asked": asked}, sentence)


@nodes_group.command("revoke")
@click.argument("node_id")
@click.option("--reason", required=True, help="Why; it stands in the audit.")
@data_option
@json_option
@click.pass_obj
def revoke_node(
    config: CloudConfig, node_id: str, reason: str, data_dir: Path | None, as_json: bool
) -> None:
    """Refuse every key of a node from now on. What it has sent stays."""
    run(
        config,
        data_dir,
        lambda cloud: cloud.services.credentials.revoke(local_operator(), node_id, reason),
    )
    say(as_json, {"ok": True}, f"{node_id} is revoked; boundless cloud nodes readmit undoes it.")


@nodes_group.command("readmit")
@click.argument("node_id")
@data_option
@json_option
@click.pass_obj
def readmit_node(config: CloudConfig, node_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Let a revoked node in again; its key works as before."""
    run(
        config,
        data_dir,
        lambda cloud: cloud.services.credentials.readmit(local_operator(), node_id),
    )
    say(as_json, {"ok": True}, f"{node_id} may call again, with the key that it has.")


@nodes_group.command("owner")
@click.argument("node_id")
@click.option("--show/--hide", "public", required=True, help="On public pages, or not.")
@data_option
@json_option
@click.pass_obj
def show_owner(
    config: CloudConfig, node_id: str, public: bool, data_dir: Path | None, as_json: bool
) -> None:
    """Name a node's owner on public pages, or no longer; at the owner's wish."""
    run(
        config,
        data_dir,
        lambda cloud: cloud.services.nodes.show_owner(local_operator(), node_id, public=public),
    )
    shown = "is named on public pages" if public else "is named to operators only"
    say(as_json, {"ok": True}, f"The owner of {node_id} {shown} from now on.")


def _list(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    pages = run(config, data_dir, _read_all)
    entries = [entry for page in pages for entry in describe_nodes(page)]
    lines = [_line(page, node) for page in pages for node in page.nodes]
    say(as_json, entries, "\n".join(lines) or "No node has registered yet.")


async def _read_all(cloud: Cloud) -> list[NodeList]:
    pages: list[NodeList] = []
    after = None
    while (page := await cloud.services.control_room.list_nodes(local_operator(), after)).nodes:
        pages.append(page)
        after = page.nodes[-1].node_id
    return pages


def _line(page: NodeList, node: Node) -> str:
    plan = page.plans.get(node.node_id)
    count = page.measurements.get(node.node_id, 0)
    return (
        f"{node.node_id:<24} {node.state(page.now):<8} "
        f"last beat {ago(node.last_beat_at, page.now):<16} "
        f"{counted(count, 'measurement'):<20} plan {plan.plan_id if plan else 'none'}"
    )


def _describe(file: NodeFile) -> str:
    node, profile = file.node, file.node.profile
    named = "named on public pages" if profile.owner_public else "not named on public pages"
    lines = [
        f"{node.node_id}: {node.state(file.now)}, last beat {ago(node.last_beat_at, file.now)}",
        f"  owner         {profile.owner_name or 'not told'} ({named})",
        f"  place         {profile.place}",
        f"  telescope     {profile.telescope_model}, filters {profile.filters}",
        f"  registered    {ago(node.registered_at, file.now)}",
        f"  measurements  {file.measurements:,}",
        f"  waiting       {node.queued_uploads or 0} uploads",
        f"  plan          {file.plan.plan_id if file.plan else 'none'}",
        *(report_lines(file.report, file.now) if file.report else ()),
        *interrupt_lines(file.interrupts, file.now),
        f"  conditions    {json.dumps(node.conditions, ensure_ascii=False)}",
    ]
    if node.rotation_asked_at:
        lines.append(f"  new key       asked for {ago(node.rotation_asked_at, file.now)}")
    lines += [
        f"  {deed.action:<13} {ago(deed.at, file.now)} by {deed.operator} "
        f"{deed.detail.get('reason', '')}".rstrip()
        for deed in file.deeds
    ]
    return "\n".join(lines)

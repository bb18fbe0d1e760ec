"""``boundless cloud nodes``."""

from pathlib import Path

import click

from boundless_skies.cloud.commands.context import data_option, json_option, run, say
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.times import ago, counted, iso


@click.command("nodes")
@data_option
@json_option
@click.pass_obj
def list_nodes(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    """List the nodes of the network."""
    view = run(config, data_dir, lambda cloud: cloud.services.network.overview())
    entries = [
        {
            "node_id": node.node_id,
            "online": node.online,
            "last_heartbeat": iso(node.last_beat_at),
            "plan_id": node.plan_id,
            "measurements": node.measurements,
            "telescope_model": node.telescope_model,
        }
        for node in view.nodes
    ]
    lines = [
        f"{node.node_id:<24} {'online' if node.online else 'offline':<8} "
        f"last beat {ago(node.last_beat_at, view.now):<16} "
        f"{counted(node.measurements, 'measurement'):<20} plan {node.plan_id or 'none'}"
        for node in view.nodes
    ]
    say(as_json, entries, "\n".join(lines) or "No node has registered yet.")

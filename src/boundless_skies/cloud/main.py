"""``boundless cloud``: run a cloud, and steer it from its own machine."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
import uvicorn

from boundless_skies.cloud.config import (
    DEFAULT_DATA_DIR,
    DEFAULT_HOST,
    DEFAULT_PORT,
    CloudConfig,
)
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.json_text import parse_json
from boundless_skies.cloud.domain.plans import PublishedPlan
from boundless_skies.cloud.domain.times import ago, counted, iso
from boundless_skies.cloud.factory import Cloud, make_app, open_cloud

T = TypeVar("T")

ADMIN_KEY_VARIABLE = "BOUNDLESS_ADMIN_KEY"
DATABASE_URL_VARIABLE = "BOUNDLESS_DATABASE_URL"
KEEP_ALIVE_S = 75
GRACE_S = 1
BACKLOG = 2_048
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.group(invoke_without_command=True)
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA_DIR,
    show_default=True,
    help="The data folder; made where it is missing.",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True)
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="The address to listen on.")
@click.option(
    "--database-url",
    envvar=DATABASE_URL_VARIABLE,
    help="A PostgreSQL database instead of the embedded one: postgresql+psycopg://…",
)
@click.option("--access-log", is_flag=True, help="Log every request.")
@click.pass_context
def cloud(
    context: click.Context,
    data_dir: Path,
    port: int,
    host: str,
    database_url: str | None,
    access_log: bool,
) -> None:
    """Run a cloud, or steer one with a subcommand.

    Without a subcommand the server runs until it is stopped with Ctrl-C.

    The subcommands work on the data folder itself, also while the server runs,
    and so must be called on its machine:

    \b
      boundless cloud --data DIR nodes
      boundless cloud --data DIR plan publish NODE_ID plan.json
      boundless cloud --data DIR interrupt "SN 2026abc" --ra 210.9 --dec 54.3 --reason "supernova"

    The operator's key for calls over HTTP comes from BOUNDLESS_ADMIN_KEY; without
    it, one is made at the first start and shown once.
    """  # noqa: D301 - click reads the backspace character as "leave these lines alone"
    admin_key = os.environ.get(ADMIN_KEY_VARIABLE) or None
    config = CloudConfig(data_dir=data_dir, database_url=database_url, admin_key=admin_key)
    context.obj = config
    if context.invoked_subcommand is None:
        serve(config, host, port, access_log=access_log)


def serve(config: CloudConfig, host: str, port: int, *, access_log: bool = False) -> None:
    """Run the server until it is told to stop.

    Raises
    ------
    click.ClickException
        If the address is taken or the data folder unusable, with what to do.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    listener = _listen(host, port)
    try:
        opened = _open(config)
    except click.ClickException:
        listener.close()
        raise
    app = make_app(opened, announce_key=_announce_key)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=access_log,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            backlog=BACKLOG,
        )
    )
    if access_log:
        logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    server.announce = lambda: _announce(config, host, listener.getsockname()[1])
    # uvicorn hands a signal on once it has shut down; by then there is nothing left to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])
    click.echo("Cloud stopped.")
    sys.exit(0 if server.started else 1)


class _Server(uvicorn.Server):
    """A server that says when it is up."""

    announce: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announce()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as on_failure:
            listener = on_failure.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            on_failure.pop_all()
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}. "
            "If another cloud runs there, stop it; or choose another port with --port "
            f"(such as {port + 1})."
        ) from None
    return listener


def _open(config: CloudConfig) -> Cloud:
    try:
        return open_cloud(config)
    except CloudError as error:
        raise click.ClickException(str(error)) from None


def _announce(config: CloudConfig, host: str, port: int) -> None:
    shown_host = f"[{host}]" if ":" in host else host
    click.echo(
        f"Cloud is up: http://{shown_host}:{port}  (data in {config.data_dir}, Ctrl-C stops)"
    )
    if host not in LOOPBACK:
        click.echo(
            "It speaks plain HTTP and is reachable from other machines: "
            "put a TLS proxy before it (docs/cloud.md)."
        )


def _announce_key(key: str) -> None:
    click.echo(f"The operator's key, shown this once: {key}")


_data_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder, where it was not named before the subcommand.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


@cloud.command("nodes")
@_data_option
@_json_option
@click.pass_obj
def list_nodes(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    """List the nodes of the network."""
    view = _run(config, data_dir, lambda opened: opened.services.network.overview())
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
    if as_json:
        click.echo(json.dumps(entries, indent=2))
        return
    if not entries:
        click.echo("No node has registered yet.")
    for node in view.nodes:
        click.echo(
            f"{node.node_id:<24} {'online' if node.online else 'offline':<8} "
            f"last beat {ago(node.last_beat_at, view.now):<16} "
            f"{counted(node.measurements, 'measurement'):<20} plan {node.plan_id or 'none'}"
        )


@cloud.group("plan")
def plan_group() -> None:
    """Send plans to nodes."""


@plan_group.command("publish")
@click.argument("node_id")
@click.argument("plan_file", type=click.File("rb"))
@_data_option
@_json_option
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
    document = _parse_file(plan_file.read(), plan_file.name)

    async def publish(opened: Cloud) -> PublishedPlan:
        node = await opened.services.nodes.find(node_id)
        return await opened.services.plans.publish(node, document)

    plan = _run(config, data_dir, publish)
    _say(
        as_json,
        {"ok": True, "plan_id": plan.plan_id, "node_id": plan.node_id, "items": len(plan.items)},
        f"Plan {plan.plan_id} ({counted(len(plan.items), 'item')}, night {plan.night}) "
        f"is published for {plan.node_id}.",
    )


@cloud.command("interrupt")
@click.argument("name")
@click.option("--ra", "ra_deg", type=float, required=True, help="Right ascension, degrees.")
@click.option("--dec", "dec_deg", type=float, required=True, help="Declination, degrees.")
@click.option("--reason", default="", help="Why, for the node's owner.")
@click.option("--mag", type=float, help="Expected brightness, magnitudes.")
@click.option("--node", "node_ids", multiple=True, help="Only this node; may be repeated.")
@click.option("--expires-hours", type=float, default=12.0, show_default=True)
@_data_option
@_json_option
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
    number = _run(config, data_dir, lambda opened: opened.services.interrupts.send(body))
    addressed = ", ".join(node_ids) or "every node"
    _say(
        as_json,
        {"ok": True, "id": number},
        f"Interrupt {number} ({request['name']}) is sent to {addressed}, "
        f"for {request['expires_hours']:g} hours.",
    )


def _run(
    config: CloudConfig, data_dir: Path | None, work: Callable[[Cloud], Coroutine[Any, Any, T]]
) -> T:
    """Do a piece of work on a data folder that a cloud has made before."""
    if data_dir is not None:
        config = replace(config, data_dir=data_dir)
    if config.database_url is None and not config.database_file.is_file():
        raise click.ClickException(
            f"There is no cloud in {config.data_dir} ({config.database_file.name} is missing). "
            f"Name its folder with --data, or start one: boundless cloud --data {config.data_dir}"
        )
    opened = _open(config)
    try:
        return asyncio.run(work(opened))
    except CloudError as error:
        raise click.ClickException(str(error)) from None
    finally:
        opened.database.close()


def _parse_file(raw: bytes, name: str) -> Any:
    try:
        return parse_json(raw)
    except CloudError as error:
        raise click.ClickException(f"{name}: {error}") from None


def _say(as_json: bool, answer: dict[str, Any], sentence: str) -> None:
    click.echo(json.dumps(answer) if as_json else sentence)

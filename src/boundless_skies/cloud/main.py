"""``boundless cloud``: run a cloud, and steer it from its own machine."""

import os
import sys
from pathlib import Path

import click

from boundless_skies.cloud.commands.access import (
    codes_group,
    registration,
    show_audit,
    tokens_group,
)
from boundless_skies.cloud.commands.archives import back_up, restore
from boundless_skies.cloud.commands.doctor import doctor
from boundless_skies.cloud.commands.export import export
from boundless_skies.cloud.commands.limit_options import limit_options, read_limits
from boundless_skies.cloud.commands.migrate import migrate
from boundless_skies.cloud.commands.nodes import nodes_group
from boundless_skies.cloud.commands.review import review_group
from boundless_skies.cloud.commands.sending import plan_group, send_interrupt
from boundless_skies.cloud.commands.targets import targets_group
from boundless_skies.cloud.config import (
    DEFAULT_DATA_DIR,
    DEFAULT_HOST,
    DEFAULT_PORT,
    CloudConfig,
)
from boundless_skies.cloud.domain.admission import Policy
from boundless_skies.cloud.logs import JSON, TEXT, LogStyle
from boundless_skies.cloud.peers import LOOPBACK, Networks, read_networks

ADMIN_KEY_VARIABLE = "BOUNDLESS_ADMIN_KEY"
DATA_VARIABLE = "BOUNDLESS_DATA"
DATABASE_URL_VARIABLE = "BOUNDLESS_DATABASE_URL"
IMAGES_VARIABLE = "BOUNDLESS_IMAGES"
WORKERS_VARIABLE = "BOUNDLESS_WORKERS"
TRUST_PROXY_VARIABLE = "BOUNDLESS_TRUST_PROXY"
LOG_FORMAT_VARIABLE = "BOUNDLESS_LOG_FORMAT"
WORKERS_MAX = 256


class NetworkList(click.ParamType[Networks]):
    """Addresses and networks, parted by commas."""

    name = "ADDRESS[,…]"

    def convert(
        self, value: str | Networks, param: click.Parameter | None, ctx: click.Context | None
    ) -> Networks:
        """Return the networks."""
        if not isinstance(value, str):
            return value
        try:
            return read_networks(value)
        except ValueError as error:
            self.fail(f"{error}. Write addresses such as 10.0.0.5 or 10.0.0.0/8.", param, ctx)


REGISTRATION_VARIABLE = "BOUNDLESS_REGISTRATION"


@click.group(invoke_without_command=True)
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA_DIR,
    envvar=DATA_VARIABLE,
    show_default=True,
    help="The data folder; made where it is missing.",
)
@click.option("--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True)
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="The address to listen on.")
@click.option(
    "--database",
    "database_url",
    envvar=DATABASE_URL_VARIABLE,
    help="A PostgreSQL database instead of the embedded one: postgresql://user@host/name",
)
@click.option(
    "--images",
    "images_address",
    envvar=IMAGES_VARIABLE,
    help="Where images are kept: a folder, or s3://bucket/path.  [default: in the data folder]",
)
@click.option(
    "--registration",
    "policy",
    type=click.Choice([str(policy) for policy in Policy]),
    envvar=REGISTRATION_VARIABLE,
    help="Which nodes may join from this start on.  [default: as before, open at first]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    envvar=WORKERS_VARIABLE,
    show_default=True,
    help="How many processes share the work.",
)
@click.option(
    "--trust-proxy",
    "trusted_proxies",
    type=NetworkList(),
    default=LOOPBACK,
    envvar=TRUST_PROXY_VARIABLE,
    help="Whose X-Forwarded-For and -Proto are believed, or none.  [default: this machine]",
)
@click.option(
    "--log-format",
    type=click.Choice([TEXT, JSON]),
    envvar=LOG_FORMAT_VARIABLE,
    help="[default: text on a terminal, else json]",
)
@click.option("--access-log", is_flag=True, help="One line in the log for each request.")
@limit_options
@click.pass_context
def cloud(
    context: click.Context,
    /,
    data_dir: Path,
    port: int,
    host: str,
    database_url: str | None,
    images_address: str | None,
    workers: int,
    trusted_proxies: Networks,
    log_format: str | None,
    access_log: bool,
    policy: str | None,
    **limits: float | None,
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
    config = CloudConfig(
        data_dir=data_dir,
        database_url=database_url,
        images_address=images_address,
        admin_key=admin_key,
        trusted_proxies=trusted_proxies,
        registration=policy,
        **read_limits(limits),
    )
    context.obj = config
    if context.invoked_subcommand is None:
        form = log_format or (TEXT if sys.stderr.isatty() else JSON)
        # The commands that steer a cloud need no web server.
        from boundless_skies.cloud.serving import serve  # noqa: PLC0415

        serve(config, host, port, workers, LogStyle(form, access_log))


for command in (
    export,
    targets_group,
    nodes_group,
    registration,
    codes_group,
    tokens_group,
    review_group,
    show_audit,
    back_up,
    doctor,
    restore,
    migrate,
    plan_group,
    send_interrupt,
):
    cloud.add_command(command)

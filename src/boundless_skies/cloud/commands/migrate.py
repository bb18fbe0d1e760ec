"""``boundless cloud migrate``."""

import asyncio
from dataclasses import replace
from pathlib import Path

import click

from boundless_skies.cloud.commands.context import data_option, json_option, say
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.factory import make_cloud


@click.command("migrate")
@data_option
@json_option
@click.pass_obj
def migrate(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    """Bring the database's tables up to date.

    For PostgreSQL this is a step of its own, so that it happens once and when you
    want it; processes of the version before go on working meanwhile. A cloud on
    SQLite does it by itself when it starts.
    """
    if data_dir is not None:
        config = replace(config, data_dir=data_dir)
    try:
        steps = asyncio.run(make_cloud(config).database.migrate())
    except CloudError as error:
        raise click.ClickException(str(error)) from None
    made = "\n".join(f"Made step {step}" for step in steps)
    say(as_json, {"steps": steps}, made or "The tables are up to date; there is nothing to do.")

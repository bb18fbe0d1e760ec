"""What the subcommands share: where the cloud is, who acts, how an answer is shown."""

import asyncio
import getpass
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.json_text import parse_json
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.factory import Cloud, make_cloud

T = TypeVar("T")

data_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder, where it was not named before the subcommand.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def local_operator() -> Operator:
    """Return who acts: whoever may open the database of a cloud may do everything with it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown user"
    return Operator(f"{user} (command line)", Role.ADMIN)


def run(
    config: CloudConfig, data_dir: Path | None, work: Callable[[Cloud], Coroutine[Any, Any, T]]
) -> T:
    """Do a piece of work on a cloud that was started before, also while it runs.

    Raises
    ------
    click.ClickException
        If there is no cloud there, or the work is refused; with what to do.
    """
    if data_dir is not None:
        config = replace(config, data_dir=data_dir)
    if config.database_url is None and not config.database_file.is_file():
        raise click.ClickException(
            f"There is no cloud in {config.data_dir} ({config.database_file.name} is missing). "
            f"Name its folder with --data, or start one: boundless cloud --data {config.data_dir}"
        )

    async def work_opened() -> T:
        async with make_cloud(config).opened() as cloud:
            return await work(cloud)

    try:
        return asyncio.run(work_opened())
    except CloudError as error:
        raise click.ClickException(str(error)) from None


def parse_file(raw: bytes, name: str) -> Any:
    """Return the JSON of a file that an operator named."""
    try:
        return parse_json(raw)
    except CloudError as error:
        raise click.ClickException(f"{name}: {error}") from None


def say(as_json: bool, answer: Any, sentence: str) -> None:
    """Answer a person with a sentence, a script with JSON."""
    click.echo(json.dumps(answer, indent=2) if as_json else sentence)

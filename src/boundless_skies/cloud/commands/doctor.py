"""``boundless cloud doctor``."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from boundless_skies.cloud.commands.context import data_option, json_option
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.times import utc_now
from boundless_skies.cloud.factory import Cloud, make_cloud
from boundless_skies.cloud.services import examination
from boundless_skies.cloud.services.examination import Finding, Level, bad
from boundless_skies.cloud.services.network_examination import judge_network, look_at_network

MARKS = {Level.GOOD: "✓", Level.DOUBTFUL: "!", Level.BAD: "✗"}


@click.command("doctor")
@click.option("--url", help="Also ask the cloud at the address that nodes use.")
@data_option
@json_option
@click.pass_obj
def doctor(config: CloudConfig, url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Check a deployment, and say what is wrong with it and what to do.

    The exit code is 0 if all is well, 1 if something is doubtful, 2 if something
    must be mended.
    """
    if data_dir is not None:
        config = replace(config, data_dir=data_dir)
    findings = asyncio.run(_collect(config, url))
    if as_json:
        told = [{"level": f.level.name.lower(), "text": f.text} for f in findings]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.level]} {finding.text}")
    sys.exit(max(finding.level for finding in findings))


async def _collect(config: CloudConfig, url: str | None) -> list[Finding]:
    findings = list(examination.examine_machine(config.data_dir))
    if not config.data_dir.is_dir():
        return findings  # nothing is made by looking
    if config.database_url is None and not config.database_file.is_file():
        return [*findings, bad(f"There is no database in {config.data_dir}. Start the cloud once.")]
    try:
        cloud = make_cloud(config)
        findings.append(await examination.examine_blobs(cloud.blobs))
        await cloud.database.open()
        try:
            findings += [finding async for finding in _examine_opened(cloud, config, url)]
        finally:
            await cloud.database.close()
    except CloudError as error:
        findings.append(bad(str(error)))
    return findings


async def _examine_opened(
    cloud: Cloud, config: CloudConfig, url: str | None
) -> AsyncIterator[Finding]:
    has_key = config.admin_key is not None
    async for finding in examination.examine_database(cloud.database, has_key, utc_now):
        yield finding
    state = await cloud.database.read(partial(look_at_network, now=utc_now()))
    for finding in judge_network(state):
        yield finding
    if url is not None:
        async for finding in examination.examine_url(url, cloud.database):
            yield finding

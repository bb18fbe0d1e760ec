"""``boundless cloud backup`` and ``boundless cloud restore``."""

import asyncio
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from boundless_skies.cloud.commands.context import data_option, json_option, run, say
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import CloudError
from boundless_skies.cloud.domain.times import counted, utc_now
from boundless_skies.cloud.factory import Cloud, make_cloud
from boundless_skies.cloud.services.archiving import ArchiveService, Manifest


class Bars:
    """Shows how far it is on standard error, where that is a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def begin(self, what: str, length: int) -> None:
        """Begin a bar of a length."""
        self.close()
        self._bar = click.progressbar(
            length=length, label=what, file=sys.stderr, hidden=not sys.stderr.isatty()
        )
        self._bar.render_progress()

    def advance(self, steps: int) -> None:
        """Go on."""
        self._bar.update(steps)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None


def service_of(cloud: Cloud) -> ArchiveService:
    """Return the service that writes and reads a cloud's backups."""
    return ArchiveService(cloud.database, cloud.blobs, utc_now)


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-images", is_flag=True, help="Also the images' files.")
@data_option
@json_option
@click.pass_obj
def back_up(
    config: CloudConfig, file: Path, with_images: bool, data_dir: Path | None, as_json: bool
) -> None:
    """Write the whole cloud, as it is at one instant, into FILE; also while it runs.

    FILE can be restored into SQLite and into PostgreSQL. Only its owner can read
    it: it holds the hashes of keys, and where nodes stand.
    """
    with closing(Bars()) as bars:
        manifest = run(
            config,
            data_dir,
            lambda cloud: service_of(cloud).back_up(file, bars, with_images=with_images),
        )
    sentence = f"{file} holds {_sum_up(manifest)}."
    if manifest.missing_images:
        sentence += f" {counted(len(manifest.missing_images), 'image')} could not be found."
    say(as_json, _tell(file, manifest), sentence)


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@data_option
@json_option
@click.pass_obj
def restore(config: CloudConfig, file: Path, data_dir: Path | None, as_json: bool) -> None:
    """Fill an empty cloud from FILE, which `backup` wrote: all of it or nothing.

    \b
    From one kind of database into the other:
      boundless cloud --data DIR backup cloud.backup
      boundless cloud --database postgresql://… restore cloud.backup
    """  # noqa: D301 - click reads the backspace character as "leave these lines alone"
    if data_dir is not None:
        config = replace(config, data_dir=data_dir)
    if not file.is_file():
        raise click.ClickException(f"There is no file {file}. Name one that `backup` wrote.")
    try:
        with closing(Bars()) as bars:
            manifest = asyncio.run(_restore(config, file, bars))
    except CloudError as error:
        raise click.ClickException(str(error)) from None
    say(as_json, _tell(file, manifest), f"{_sum_up(manifest)} are restored.")


async def _restore(config: CloudConfig, file: Path, bars: Bars) -> Manifest:
    cloud = make_cloud(config)
    try:
        return await service_of(cloud).restore(file, bars)
    finally:
        await cloud.database.close()


def _sum_up(manifest: Manifest) -> str:
    images = counted(len(manifest.images), "image") if manifest.with_images else "no images"
    return f"{counted(manifest.row_count, 'row')} and {images}, as of {manifest.made_at}"


def _tell(file: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "file": str(file),
        "made_at": manifest.made_at,
        "step": manifest.step,
        "rows": manifest.rows,
        "images": len(manifest.images),
        "missing_images": manifest.missing_images,
    }

"""``boundless cloud export``: a light curve as a file."""

import json
import os
import secrets
from pathlib import Path

import click

from boundless_skies.cloud.commands.context import data_option, run
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.curves import CurveForm, Selection
from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.times import counted
from boundless_skies.cloud.factory import Cloud
from boundless_skies.cloud.services.curves import encode_curve


@click.command("export")
@click.argument("target")
@click.option(
    "--format",
    "form",
    type=click.Choice([str(form) for form in CurveForm]),
    default=str(CurveForm.CSV),
    show_default=True,
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: standard output]",
)
@click.option("--obscode", default="", help="The AAVSO's observer code, for --format aavso.")
@click.option("--days", type=float, help="Only the last so many days.")
@click.option("--filter", "band", help="Only this filter.")
@click.option("--node", "node_id", help="Only this node.")
@click.option("--rejected", is_flag=True, help="Also what an astronomer has rejected.")
@click.option("--json", "as_json", is_flag=True, help="Say in JSON what was written; needs -o.")
@data_option
@click.pass_obj
def export(
    config: CloudConfig,
    target: str,
    form: str,
    output: Path | None,
    obscode: str,
    days: float | None,
    band: str | None,
    node_id: str | None,
    rejected: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Write the light curve of TARGET, by any of its names."""
    if as_json and output is None:
        raise click.UsageError("--json says what was written, and so needs -o FILE.")
    wanted = Selection(days=days, band=band, node_id=node_id, with_rejected=rejected)

    async def write(cloud: Cloud) -> tuple[str, int, bytes]:
        curve = await cloud.services.curves.light_curve(target, wanted)
        if not curve.points:
            found = await cloud.services.targets.search(target)
            similar = ", ".join(one.target.name for one in found.candidates if one.summary)
            hint = f" Near it: {similar}." if similar else ""
            raise InvalidInput(f"Nothing of {target} is held, or nothing that fits.{hint}")
        if form == CurveForm.JSON:
            return curve.target, len(curve.points), encode_curve(curve) + b"\n"
        content = await cloud.services.curves.export(target, wanted, CurveForm(form), obscode)
        return curve.target, len(curve.points), content

    name, points, content = run(config, data_dir, write)
    if output is None:
        click.echo(content, nl=False)
        return
    _replace(output, content)
    told = {"target": name, "points": points, "format": form, "file": str(output)}
    sentence = f"{counted(points, 'point')} of {name} are in {output} ({form})."
    click.echo(json.dumps(told) if as_json else sentence)


def _replace(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or as it was before."""
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, file)  # noqa: PTH105 - the same, and both names are at hand
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise click.ClickException(
            f"{file} cannot be written: {error.strerror}. Name another file with -o."
        ) from None

"""Options that write a file and need no name, on a line that also names files to read."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from boundless_skies.node.optional_names import OptionalNames


@click.command(cls=OptionalNames)
@click.argument("files", nargs=-1, required=True)
@click.option("--plot", is_flag=False, flag_value="curve.png")
@click.option("--sound", is_flag=False, flag_value="curve.wav")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv")
def show(
    files: tuple[str, ...], plot: str | None, sound: str | None, csv: str | None, *, as_json: bool
) -> None:
    """Show what was understood."""
    click.echo(f"{' '.join(files)} | {plot} | {sound} | {csv} | {as_json}")


@pytest.mark.parametrize(
    ("line", "understood"),
    [
        ("--plot night", "night | curve.png | None | None | False"),
        ("--plot a.fits b.fits", "a.fits b.fits | curve.png | None | None | False"),
        ("--plot --sound night", "night | curve.png | curve.wav | None | False"),
        ("night --plot", "night | curve.png | None | None | False"),
        ("--plot mine.png night", "night | mine.png | None | None | False"),
        ("--plot old.PNG night", "night | old.PNG | None | None | False"),
        ("--plot=night a.fits", "a.fits | night | None | None | False"),
        ("--plot mine.jpg night", "night | mine.jpg | None | None | False"),
        ("--plot --json night", "night | curve.png | None | None | True"),
        ("--csv night a.fits", "a.fits | None | None | night | False"),
        ("-- --plot night", "--plot night | None | None | None | False"),
    ],
)
def test_what_is_there_to_be_read_is_never_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, understood: str
) -> None:
    """A folder or frame is measured; a name is a name, also a wrong one, which is told later."""
    (tmp_path / "night").mkdir()
    for name in ("a.fits", "b.fits", "old.PNG"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(show, line.split())
    assert done.output == f"{understood}\n"

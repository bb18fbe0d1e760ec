"""What the README and the docs show exists: links, commands with their options, Python."""

import re
import shlex
from pathlib import Path

import click
import pytest

from boundless_skies.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, *languages: str) -> list[str]:
    """Return a page's code blocks of these languages."""
    text = page.read_text(encoding="utf-8")
    return [body for language, body in BLOCK.findall(text) if language in languages]


def shown_commands() -> list[str]:
    """Return every line of a shell block that calls `boundless`."""
    lines = {
        line.strip().removeprefix("$ ")
        for page in PAGES
        for body in blocks(page, "bash", "sh", "console")
        for line in body.replace("\\\n", " ").splitlines()
    }
    return sorted(line for line in lines if line.startswith("boundless "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_to_a_file(page: Path) -> None:
    """No page points to what is not there."""
    missing = [
        target
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("line", shown_commands())
def test_each_command_shown_exists_with_its_options(line: str) -> None:
    """A reader who types what a page shows meets no unknown command or option."""
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = main
    known: set[str] = set()
    context = click.Context(main)
    while True:
        known |= {option for parameter in command.params for option in parameter.opts}
        group = command if isinstance(command, click.Group) else None
        names = group.list_commands(context) if group else []
        following = next((word for word in words if word in names), None)
        if group is None or following is None:
            break
        words = words[words.index(following) + 1 :]
        found = group.get_command(context, following)
        assert found is not None
        command = found
    used = {word.partition("=")[0] for word in shlex.split(line, comments=True) if word[:1] == "-"}
    assert used - {"--help", "-h", "--version"} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_shown_is_python(page: Path) -> None:
    """Each Python block compiles."""
    for body in blocks(page, "python"):
        compile(body, str(page), "exec")


def test_there_are_commands_to_check() -> None:
    """The check above has something to hold."""
    assert len(shown_commands()) >= 8

"""``make bench``: runs all comparisons, or those named, and writes ``docs/benchmarks.md``."""

import sys
from pathlib import Path

from benchmarks import link
from benchmarks.page import machine, with_section

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
# A section is a module with a ``TITLE`` and a ``section()`` that measures and returns Markdown.
SECTIONS = {"link": link}


def write(name: str) -> None:
    """Measure one section and put it in its place on the page; the others stay."""
    module = SECTIONS[name]
    body = f"{machine()}\n\n{module.section()}"
    titles = [each.TITLE for each in SECTIONS.values()]
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(with_section(page, module.TITLE, body, titles), encoding="utf-8")
    print(body)


def main(names: list[str]) -> None:
    """Measure these sections, or all."""
    unknown = sorted(set(names) - set(SECTIONS))
    if unknown:
        raise SystemExit(f"no section {', '.join(unknown)}: there are {', '.join(SECTIONS)}")
    for name in names or SECTIONS:
        write(name)


if __name__ == "__main__":
    main(sys.argv[1:])

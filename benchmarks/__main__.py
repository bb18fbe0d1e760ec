"""``make bench``: runs all comparisons, or those named, and writes ``docs/benchmarks.md``."""

import argparse
from pathlib import Path
from typing import Any

from benchmarks import cloud, link, photometry
from benchmarks.page import machine, with_section

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
# A section is a module with a ``TITLE`` and a ``section()`` that measures and returns Markdown.
SECTIONS = {"link": link, "cloud": cloud, "photometry": photometry}


def write(name: str, options: dict[str, Any]) -> None:
    """Measure one section and put it in its place on the page; the others stay."""
    module = SECTIONS[name]
    body = f"{machine()}\n\n{module.section(**options)}"
    titles = [each.TITLE for each in SECTIONS.values()]
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if not options.get("quick"):  # a smoke run's figures mean nothing
        PAGE.write_text(with_section(page, module.TITLE, body, titles), encoding="utf-8")
    print(body)


def main() -> None:
    """Measure the sections that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all unless named")
    parser.add_argument("--only", help=f"one table of cloud: {', '.join(cloud.SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help="cloud: a smoke run, not written")
    given = parser.parse_args()
    unknown = sorted(set(given.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"no section {', '.join(unknown)}: there are {', '.join(SECTIONS)}")
    options = {"only": given.only, "quick": given.quick}
    if any(options.values()) and given.sections != ["cloud"]:
        parser.error("--only and --quick belong to: python -m benchmarks cloud")
    for name in given.sections or SECTIONS:
        write(name, options if name == "cloud" else {})


if __name__ == "__main__":
    main()

"""The table of header keys in the documentation: all that the code reads, and nothing else."""

import ast
import contextlib
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.scenes import write_fits

from boundless_skies.node import fits as package
from boundless_skies.node.errors import FrameError
from boundless_skies.node.fits.channel import Channel
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.fits.headers import read_facts, time_scale
from boundless_skies.node.fits.picture import picture

PAGE = Path(__file__).resolve().parents[3] / "docs" / "photometry.md"
KEYWORD = re.compile(r"^[A-Z][A-Z0-9_-]{1,7}$")
ASKING = {"get", "_text", "_number", "_angle", "_word", "_first_positive", "_first_stamp"}

HEADERS: list[dict[str, Any]] = [
    {},
    defaultdict(lambda: "no such value"),
    defaultdict(lambda: "RGGB"),
    defaultdict(lambda: 2.0, {"MJD-OBS": 58_107.0}),
    defaultdict(lambda: "2026-07-01T22:00:00"),
    {"INSTRUME": "Seestar S50", "GAIN": 80},
]


class Asked:
    """A header that remembers which keywords it was asked for."""

    def __init__(self, cards: dict[str, Any]) -> None:
        self._cards = cards
        self.keywords: set[str] = set()
        self.comments: dict[str, str] = defaultdict(str)

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return a value."""
        self.keywords.add(keyword)
        factory = isinstance(self._cards, defaultdict)
        return self._cards[keyword] if factory else self._cards.get(keyword, default)


def asked_for() -> set[str]:
    """Return the keywords that reading headers of many kinds asks for."""
    keywords: set[str] = set()
    for cards in HEADERS:
        header = Asked(cards)
        read_facts(header)
        time_scale(header)
        with contextlib.suppress(FrameError):
            picture(np.zeros((3, 40, 40)), header, "", Channel.GREEN, "a.fits")
        keywords |= header.keywords
    return keywords


def written_in_the_code() -> set[str]:
    """Return the keywords that stand in the code's lists, or where a header is asked."""
    found: set[str] = set()
    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if _is_list_of_keys(node) or _asks(node):
                found |= {
                    leaf.value
                    for leaf in ast.walk(node)
                    if isinstance(leaf, ast.Constant) and _is_keyword(leaf.value)
                }
    return found


def _is_list_of_keys(node: ast.AST) -> bool:
    names = [getattr(target, "id", "") for target in getattr(node, "targets", [])]
    return isinstance(node, ast.Assign) and any(name.endswith("_KEYS") for name in names)


def _asks(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ASKING


def _is_keyword(value: object) -> bool:
    return isinstance(value, str) and KEYWORD.match(value) is not None


def in_the_table() -> set[str]:
    """Return the keywords of the table's second column."""
    section = PAGE.read_text("utf-8").partition("## What the header is asked for")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    columns = [row.split("|")[2] for row in rows]
    return {word for column in columns for word in re.findall(r"`([^`]+)`", column)}


def test_every_keyword_that_is_read_stands_in_the_table() -> None:
    """By what the code asks headers for, and by what is written in it."""
    assert asked_for() - in_the_table() == set()
    assert written_in_the_code() - in_the_table() == set()


def test_the_table_promises_no_keyword_that_is_not_read() -> None:
    """Both ways of looking agree."""
    assert in_the_table() - (asked_for() | written_in_the_code()) == set()


def test_the_looks_find_what_is_there() -> None:
    """The test above would pass on nothing; each look knows most of the keys."""
    assert len(asked_for()) > 50
    assert {"CTYPE1", "NAXIS", "DATE-OBS", "TELDEC"} <= written_in_the_code()


@pytest.mark.parametrize("keyword", ["SATURATE", "DATAMAX", "SATLEVEL"])
def test_a_spelling_of_the_table_has_its_effect(tmp_path: Path, keyword: str) -> None:
    """Here saturation, which a frame shows at once."""
    path = write_fits(tmp_path / "a.fits", np.zeros((40, 40), np.uint16), **{keyword: 1234.0})
    assert read_frame(path).saturation_adu == 1234.0

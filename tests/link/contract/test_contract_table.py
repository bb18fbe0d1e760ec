"""The table in docs/link-contract.md: each row names a test, and that test exists."""

import ast
import re
from pathlib import Path

import pytest

LINK_TESTS = Path(__file__).parent.parent
TABLE = LINK_TESTS.parent.parent / "docs" / "link-contract.md"
_ROW = re.compile(r"^\| (?P<sentence>.+?) \| `(?P<file>[\w/]+\.py)::(?P<test>\w+)` \|$")


def rows() -> list[tuple[str, str, str]]:
    """Return sentence, file and test of each row, the heads of the tables left out."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("|")]
    body = [line for line in lines if not line.endswith(("| held by |", "|---|---|"))]
    found = [_ROW.match(line) for line in body]
    assert [line for line, match in zip(body, found, strict=True) if match is None] == []
    return [(match["sentence"], match["file"], match["test"]) for match in found if match]


def names_in(path: Path) -> set[str]:
    """Return the names of a file's test functions, read and not run."""
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_row_names_a_test_that_exists() -> None:
    """No sentence is held by a test that was renamed or removed."""
    missing = [
        f"{file}::{test}"
        for _, file, test in rows()
        if not (LINK_TESTS / file).is_file() or test not in names_in(LINK_TESTS / file)
    ]
    assert missing == []


def test_every_contract_test_stands_for_a_sentence() -> None:
    """The table is whole: a new contract test gets its row, or says why it needs none."""
    beside_the_document = {
        "test_conditions_that_are_no_dict_are_empty",
        "test_registration_goes_before_the_first_beat",
        "test_stop_before_start_and_twice_is_harmless",
        "test_start_after_stop_works_again",
        "test_stop_from_inside_a_callback_ends_both_threads",
        "test_what_was_queued_before_the_registration_goes_after_it",
        "test_none_as_a_value_means_the_default",
    }
    there = {
        test
        for path in (LINK_TESTS / "contract").glob("test_*.py")
        if path.name != Path(__file__).name
        for test in names_in(path)
    }
    assert there - {test for _, _, test in rows()} == beside_the_document


@pytest.mark.parametrize("part", ["Constructor", "Lifecycle", "status", "Retry queue"])
def test_table_has_the_documents_parts(part: str) -> None:
    """One heading for each part of the document."""
    assert f"\n## {part}\n" in TABLE.read_text()

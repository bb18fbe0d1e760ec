"""Texts from anywhere, made fit to stand in a file that other programs read."""

import unicodedata

FORMULA_STARTS = ("=", "+", "-", "@")
"""What a cell begins with that a spreadsheet takes for a formula."""


def one_line(text: str) -> str:
    """Return a text without what ends a line, is no character, or turns the writing round.

    Parameters
    ----------
    text : str
        Anything, also half a surrogate pair.

    Returns
    -------
    str
        Words with one blank between them.
    """
    if text.isprintable():
        return " ".join(text.split())
    kept = (char if unicodedata.category(char)[0] != "C" else " " for char in text)
    return " ".join("".join(kept).split())


def csv_text(text: str) -> str:
    """Return a text as a cell of a CSV file: one line, and no formula to a spreadsheet.

    Parameters
    ----------
    text : str
        Anything.

    Returns
    -------
    str
        With an apostrophe before it where a spreadsheet would compute it.
    """
    line = one_line(text)
    return f"'{line}" if line.startswith(FORMULA_STARTS) else line

"""The channels of a colour camera: which pixels belong to one, and the band that it measures in."""

from collections.abc import Mapping
from enum import StrEnum

BAYER_LETTERS = "BGGR"
"""The colours of one cell of a Bayer mosaic, sorted."""

PLANE_LETTERS = "RGB"
"""The colours of a cube's three planes, in their order."""


class Channel(StrEnum):
    """What is measured in a colour image."""

    LUMINANCE = "luminance"
    GREEN = "green"
    RED = "red"
    BLUE = "blue"

    @property
    def letters(self) -> str:
        """The colours that are summed."""
        return _LETTERS[self]

    @property
    def band(self) -> str:
        """The AAVSO's abbreviation of what the sum is: clear, or one of the tricolour bands."""
        return _BANDS[self]


_LETTERS: Mapping[Channel, str] = {
    Channel.LUMINANCE: "RGB",
    Channel.GREEN: "G",
    Channel.RED: "R",
    Channel.BLUE: "B",
}
_BANDS: Mapping[Channel, str] = {
    Channel.LUMINANCE: "CV",
    Channel.GREEN: "TG",
    Channel.RED: "TR",
    Channel.BLUE: "TB",
}

TRICOLOUR = frozenset({"TB", "TG", "TR"})
"""Bands that only single channels measure in."""


def pattern_in_file(stated: str, *, moved_columns: int, moved_rows: int) -> str:
    """Turn a Bayer pattern to the order in which the file's first two rows hold it.

    Parameters
    ----------
    stated : str
        Four letters, row by row.
    moved_columns, moved_rows : int
        How far into the pattern the file's first pixel lies.

    Returns
    -------
    str
        Four letters, row by row, as they lie in the file.
    """
    return "".join(
        stated[2 * ((row + moved_rows) % 2) + (column + moved_columns) % 2]
        for row in range(2)
        for column in range(2)
    )

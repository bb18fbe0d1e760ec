"""A small picture of a frame; apart from its making, which needs much larger libraries."""

from dataclasses import dataclass

DEFAULT_MAX_PX = 512
NORTH_UP = "North up"


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a frame.

    Attributes
    ----------
    png : bytes
        The picture as a PNG file, which holds the sentence too (``Description``).
    width, height : int
        Its size in pixels.
    sentence : str
        What it shows, for those who do not see it: ``Frame of SS Cyg, 10 s, 1080 × 1920
        pixels, North up.``
    """

    png: bytes
    width: int
    height: int
    sentence: str


def is_north_up(sentence: str) -> bool:
    """Return whether a picture, by its sentence, has North up and East left."""
    return sentence.endswith(f", {NORTH_UP}.")

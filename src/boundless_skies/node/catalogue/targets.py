"""Stars that people name: their J2000 positions, so that a name alone says where to look.

Each position in ``data/targets.csv`` lies within an arcsecond of a star of the
bundled catalogue (SS Cyg, too faint for it, excepted); a test holds that.
"""

import csv
import functools
import re
from dataclasses import dataclass
from importlib.resources import files

_PLANET = re.compile(r"(?<=\d)\s*[b-h]$")
_SEPARATORS = re.compile(r"[\s_\-]+")


@dataclass(frozen=True)
class NamedStar:
    """A star as the list has it; position J2000 (ICRS), degrees."""

    name: str
    ra_deg: float
    dec_deg: float


def find_target(name: str) -> NamedStar | None:
    """Find a star by any of its names.

    Spaces, hyphens and underscores do not matter, nor does a planet's letter
    behind its host's number; capitals matter only where two stars differ by them
    alone (R Car and r Car).

    Parameters
    ----------
    name : str
        As somebody wrote it: "HAT-P-32", "HATP-32", "hat-p-32 b", "Algol".

    Returns
    -------
    NamedStar or None
        The star; None if the list does not have it.
    """
    exact, loose = _tables()
    squashed = _SEPARATORS.sub("", _PLANET.sub("", name.strip()))
    found = exact.get(squashed)
    if found is None and not _is_one_letter_designation(name):
        found = loose.get(squashed.lower())
    return found


def _is_one_letter_designation(name: str) -> bool:
    """Tell whether a name is like "r Car", where the letter's case makes another star."""
    first = name.strip().partition(" ")[0]
    return len(first) == 1


@functools.cache
def _tables() -> tuple[dict[str, NamedStar], dict[str, NamedStar]]:
    text = files("boundless_skies.node.catalogue").joinpath("data/targets.csv").read_text("utf-8")
    exact: dict[str, NamedStar] = {}
    for row in csv.DictReader(text.splitlines()):
        star = NamedStar(row["name"], float(row["ra_deg"]), float(row["dec_deg"]))
        for name in (row["name"], *filter(None, row["aliases"].split(";"))):
            exact[_SEPARATORS.sub("", name)] = star
    return exact, {name.lower(): star for name, star in exact.items()}

"""Stars that people name: where they stand, what they are, and when they repeat.

Each position in ``data/targets.csv`` (J2000) lies within an arcsecond of a star of
the node's catalogue (SS Cyg, too faint for it, excepted); a test holds that. Kinds
are those of the GCVS and of VSX. A period is given to the digits that have stayed
the same over the years, an epoch only where its source could be checked; where the
source gives it in UTC, TT - UTC of its year was added (a heliocentric one stays 4 s
uncertain). Both are for folding a light
curve: a star whose period drifts needs newer elements for predictions.
"""

import csv
import functools
from dataclasses import dataclass
from importlib.resources import files

from boundless_skies.sky.names import case_tells, loose_key, name_key


@dataclass(frozen=True)
class NamedStar:
    """A star as the list has it.

    Attributes
    ----------
    name : str
        Its name here.
    ra_deg, dec_deg : float
        Position, J2000 (ICRS), degrees.
    aliases : tuple of str
        Its other names.
    kind : str
        Type of variability (GCVS, VSX); "EP" is the host of a transiting planet.
    period_d : float or None
        Period, days.
    epoch_bjd : float or None
        Minimum of an eclipsing star, maximum of a pulsating one, middle of a
        transit: BJD_TDB, days.
    source : str
        Where period and epoch come from.
    """

    name: str
    ra_deg: float
    dec_deg: float
    aliases: tuple[str, ...] = ()
    kind: str = ""
    period_d: float | None = None
    epoch_bjd: float | None = None
    source: str = ""


def find_target(name: str) -> NamedStar | None:
    """Find a star by any of its names.

    Parameters
    ----------
    name : str
        As somebody wrote it: "HAT-P-32", "HATP-32", "hat-p-32 b", "Algol". How
        spellings meet is told at `boundless_skies.sky.names.name_key`.

    Returns
    -------
    NamedStar or None
        The star; None if the list does not have it.
    """
    exact, loose = _tables()
    found = exact.get(name_key(name))
    if found is None and not case_tells(name):
        found = loose.get(loose_key(name))
    return found


@functools.cache
def named_stars() -> tuple[NamedStar, ...]:
    """Return the whole list.

    Returns
    -------
    tuple of NamedStar
        In the order of the file.
    """
    text = files("boundless_skies.sky").joinpath("data/targets.csv").read_text("utf-8")
    return tuple(_read_star(row) for row in csv.DictReader(text.splitlines()))


def _read_star(row: dict[str, str]) -> NamedStar:
    return NamedStar(
        name=row["name"],
        ra_deg=float(row["ra_deg"]),
        dec_deg=float(row["dec_deg"]),
        aliases=tuple(filter(None, row["aliases"].split(";"))),
        kind=row["kind"],
        period_d=float(row["period_d"]) if row["period_d"] else None,
        epoch_bjd=float(row["epoch_bjd"]) if row["epoch_bjd"] else None,
        source=row["source"],
    )


@functools.cache
def _tables() -> tuple[dict[str, NamedStar], dict[str, NamedStar]]:
    exact = {name_key(name): star for star in named_stars() for name in (star.name, *star.aliases)}
    return exact, {key.lower(): star for key, star in exact.items()}

"""The stars of the simulated sky that vary: known ones, with light curves of our own making."""

import datetime as dt
import math
from dataclasses import dataclass

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.sky import Site, bjd_tdb
from boundless_skies.sky.targets import named_stars

SWING_MAG = 0.25
"""Half of what each of them goes up and down, magnitudes."""

# Light crosses the Earth in 20 ms, in which none of these stars changes.
_SOMEWHERE = Site(0.0, 0.0, 0.0)

_SAME_STAR_DEG = 2.0 / 3600.0
_BRIGHTEST_MAG, _FAINTEST_MAG = 7.7, 11.0
_LONGEST_PERIOD_D = 5.0


@dataclass(frozen=True, kw_only=True)
class SimulatedVariable:
    """A star that goes evenly up and down.

    Attributes
    ----------
    name : str
        Name of the real star in its place.
    ra_deg, dec_deg : float
        Position, J2000, degrees.
    mean_mag : float
        The real star's brightness in the catalogue, magnitudes.
    period_d : float
        The real star's period, days.
    """

    name: str
    ra_deg: float
    dec_deg: float
    mean_mag: float
    period_d: float

    def magnitude_at(self, instant: dt.datetime) -> float:
        """Return the magnitude at an instant.

        Parameters
        ----------
        instant : datetime
            Aware; the light that arrives at the Earth then.

        Returns
        -------
        float
            As :meth:`magnitude` has it.
        """
        return self.magnitude(bjd_tdb(instant, self.ra_deg, self.dec_deg, _SOMEWHERE))

    def magnitude(self, bjd: float) -> float:
        """Return the magnitude at a time.

        Parameters
        ----------
        bjd : float
            BJD_TDB, days.

        Returns
        -------
        float
            The mean, and around it a sine of the star's period that is brightest at 0.
        """
        turn = 2.0 * math.pi * (bjd % self.period_d) / self.period_d
        return self.mean_mag - SWING_MAG * math.cos(turn)


def simulated_variables(catalogue: Catalogue) -> tuple[SimulatedVariable, ...]:
    """Return the stars that vary in the simulated sky.

    Parameters
    ----------
    catalogue : Catalogue
        Says how bright they are.

    Returns
    -------
    tuple of SimulatedVariable
        Those named stars that repeat within days and that a small telescope measures well.
    """
    found = []
    for star in named_stars():
        if star.period_d is None or star.period_d > _LONGEST_PERIOD_D:
            continue
        mag = _mag_at(catalogue, star.ra_deg, star.dec_deg)
        if mag is not None and _BRIGHTEST_MAG <= mag <= _FAINTEST_MAG:
            found.append(
                SimulatedVariable(
                    name=star.name,
                    ra_deg=star.ra_deg,
                    dec_deg=star.dec_deg,
                    mean_mag=mag,
                    period_d=star.period_d,
                )
            )
    return tuple(found)


def _mag_at(catalogue: Catalogue, ra_deg: float, dec_deg: float) -> float | None:
    near = catalogue.cone(ra_deg, dec_deg, _SAME_STAR_DEG)
    if not len(near):
        return None
    apart_deg = separation_deg(near.ra_deg, near.dec_deg, ra_deg, dec_deg)
    return float(near.mag[apart_deg.argmin()])

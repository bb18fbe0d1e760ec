"""Folding a light curve on a star's period."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import Range, finite_number, shown
from boundless_skies.wire.limits import BJD_MAX_D, BJD_MIN_D

PERIOD_D = Range(1e-4, 1e5)
"""From nine seconds, below the spin of a white dwarf, to some 270 years."""
EPOCH_BJD = Range(BJD_MIN_D, BJD_MAX_D, open_low=True, open_high=True)
_J2000_BJD = 2_451_545.0


@dataclass(frozen=True)
class Elements:
    """When a star repeats: phase 0 (BJD_TDB, days) and period (days)."""

    epoch_bjd: float
    period_d: float

    def phase(self, bjd: float) -> float:
        """Return the phase of a time.

        Parameters
        ----------
        bjd : float
            BJD_TDB, days.

        Returns
        -------
        float
            At least 0 and below 1.
        """
        phase = math.fmod((bjd - self.epoch_bjd) / self.period_d, 1.0)
        phase = phase + 1.0 if phase < 0.0 else phase
        return phase if phase < 1.0 else 0.0  # a tiny negative phase rounds up to 1

    def phases(self, bjd: Iterable[float]) -> list[float]:
        """Return the phases of many times, in order.

        Parameters
        ----------
        bjd : iterable of float
            BJD_TDB, days.

        Returns
        -------
        list of float
            Each at least 0 and below 1.
        """
        return [self.phase(time) for time in bjd]


def read_elements(epoch_bjd: Any, period_d: Any) -> Elements | None:
    """Read an epoch and a period as an operator or a web address gives them.

    Parameters
    ----------
    epoch_bjd : Any
        BJD_TDB of phase 0, days: a number, a string with one, or nothing.
    period_d : Any
        Period, days, likewise.

    Returns
    -------
    Elements or None
        None where neither is given; without an epoch, phase 0 is at BJD 2451545.0
        (J2000), so that a period alone folds, too.

    Raises
    ------
    InvalidInput
        If one is no finite number or out of range, or an epoch has no period.
    """
    if period_d in (None, ""):
        if epoch_bjd in (None, ""):
            return None
        raise InvalidInput("period_d is missing. Give the period in days, or no epoch_bjd either.")
    period = _number(period_d, "period_d", PERIOD_D, "Give it in days.")
    if epoch_bjd in (None, ""):
        return Elements(_J2000_BJD, period)
    hint = "Give the whole date (BJD_TDB), such as 2459000.123."
    return Elements(_number(epoch_bjd, "epoch_bjd", EPOCH_BJD, hint), period)


def _number(value: Any, name: str, limits: Range, hint: str) -> float:
    number = finite_number(value)
    if number is None:
        raise InvalidInput(f"{name} must be a finite number, not {shown(value)}. {hint}")
    if number not in limits:
        raise InvalidInput(f"{name} is {number:.15g}, outside of {limits.describe(name)}. {hint}")
    return number

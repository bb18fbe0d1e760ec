"""Finding the instant at which something changes: coarse steps first, then halving."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from boundless_skies.sky.over_site import SkyOverSite
from boundless_skies.sky.site import Site

STEP = dt.timedelta(minutes=5)
"""Between the coarse instants: the sky turns 1.25° meanwhile."""

RESOLUTION = dt.timedelta(seconds=1)

Test = Callable[[SkyOverSite], npt.NDArray[np.bool_]]
"""What holds, or does not, at each instant of a sky."""


def instants_between(
    start: dt.datetime, end: dt.datetime, step: dt.timedelta = STEP
) -> list[dt.datetime]:
    """Return evenly spaced instants from the start to the end, both among them.

    Parameters
    ----------
    start, end : datetime
        Aware; the start alone where the end is not after it.
    step : timedelta
        The longest distance between two of them.

    Returns
    -------
    list of datetime
        At least one.
    """
    steps = max(0, -((start - end) // step))
    return [start + (end - start) * (n / steps) for n in range(steps + 1)] if steps else [start]


def change_between(before: dt.datetime, after: dt.datetime, site: Site, test: Test) -> dt.datetime:
    """Return the first instant of the state that a test has at the later of two instants.

    Parameters
    ----------
    before, after : datetime
        Aware; the test says one thing at the one and another at the other.
    site : Site
        Where from.
    test : callable
        What holds at each instant of a sky.

    Returns
    -------
    datetime
        To a second, on the later side, where it certainly holds.
    """
    at_after = bool(test(SkyOverSite([after], site))[0])
    while after - before > RESOLUTION:
        middle = before + (after - before) / 2
        if bool(test(SkyOverSite([middle], site))[0]) == at_after:
            after = middle
        else:
            before = middle
    return after


def first_instant(sky: SkyOverSite, test: Test) -> dt.datetime | None:
    """Return the first instant within a sky's at which a test holds.

    Parameters
    ----------
    sky : SkyOverSite
        Its instants in order, near enough that the test does not change twice between two.
    test : callable
        What holds at each instant of a sky.

    Returns
    -------
    datetime or None
        The sky's first instant where it holds from there on, else the change to a second;
        None where it never holds.
    """
    holds = test(sky)
    if not holds.any():
        return None
    place = int(np.argmax(holds))
    if not place:
        return sky.instants[0]
    return change_between(sky.instants[place - 1], sky.instants[place], sky.site, test)

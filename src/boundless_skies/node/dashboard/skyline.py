"""What hides a target through the night: the least altitude, and what stands around.

A mask is given by direction, a picture of the night by time: along each target's own path one
becomes the other.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from boundless_skies.node.dashboard.words import clock
from boundless_skies.sky import HorizonMask, Site, SkyOverSite, instants_between

Angles = npt.NDArray[np.float64]

STEP = timedelta(minutes=2)
"""Between two points of a path: the sky turns half a degree meanwhile."""
_FREE = HorizonMask()


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """What a target must stand above.

    Attributes
    ----------
    least_deg : float or None
        The least altitude that is observed at, degrees; None where nothing says so.
    mask : HorizonMask
        What stands around.
    """

    least_deg: float | None = None
    mask: HorizonMask = _FREE


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A time in which a target is hidden.

    Attributes
    ----------
    begins, ends : datetime
        From when to when, UTC.
    by_mask : bool
        Whether what stands around hides it at any instant of it, and not the least altitude alone.
    """

    begins: datetime
    ends: datetime
    by_mask: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """A target's way over the sky, and what stands below it.

    Attributes
    ----------
    at_s : ndarray
        Instants, seconds since 1970.
    altitude_deg : ndarray
        The target's altitude then, degrees.
    mask_deg : ndarray
        How high what stands around reaches in the target's direction then, degrees.
    limit_deg : ndarray
        The higher of that and the least altitude, degrees.
    """

    at_s: Angles
    altitude_deg: Angles
    mask_deg: Angles
    limit_deg: Angles

    def stretches(self, begins: datetime, ends: datetime) -> list[Stretch]:
        """Return when the target is hidden between two instants.

        Parameters
        ----------
        begins, ends : datetime
            Aware; what lies outside the path's own time is not known, and left out.

        Returns
        -------
        list of Stretch
            In order; between two points of the path the margin runs straight.
        """
        return [
            Stretch(begins=_instant(low), ends=_instant(high), by_mask=self._by_mask(low, high))
            for low, high in self._runs(begins, ends, hidden=True)
        ]

    def free(self) -> list[tuple[datetime, datetime]]:
        """Return when the target stands above its limit, in order."""
        begins, ends = _instant(self.at_s[0]), _instant(self.at_s[-1])
        return [
            (_instant(low), _instant(high)) for low, high in self._runs(begins, ends, hidden=False)
        ]

    def _runs(self, begins: datetime, ends: datetime, *, hidden: bool) -> list[tuple[float, float]]:
        low = max(begins.timestamp(), self.at_s[0])
        high = min(ends.timestamp(), self.at_s[-1])
        if high <= low:
            return []
        margin = self.altitude_deg - self.limit_deg
        bounds = [low, *(at for at in self._crossings(margin) if low < at < high), high]
        chosen = [
            (a, b)
            for a, b in pairwise(bounds)
            if (np.interp((a + b) / 2.0, self.at_s, margin) < 0.0) == hidden
        ]
        return [(float(a), float(b)) for a, b in chosen]

    def _crossings(self, margin: Angles) -> list[float]:
        """Return where the margin changes its sign, between two points by a straight line."""
        before, after = margin[:-1], margin[1:]
        (places,) = np.nonzero((before < 0.0) != (after < 0.0))
        shares = before[places] / (before[places] - after[places])
        crossings = self.at_s[places] + shares * np.diff(self.at_s)[places]
        return [float(at) for at in crossings]

    def _by_mask(self, low: float, high: float) -> bool:
        middle = (low + high) / 2.0
        inside = np.array([middle, *self.at_s[(self.at_s > low) & (self.at_s < high)]])
        mask, limit = (np.interp(inside, self.at_s, v) for v in (self.mask_deg, self.limit_deg))
        return bool(np.any((mask >= limit) & (mask > 0.0)))


def path_of(
    ra_deg: float, dec_deg: float, begins: datetime, ends: datetime, site: Site, horizon: Horizon
) -> Path:
    """Return a target's way over the sky.

    Parameters
    ----------
    ra_deg, dec_deg : float
        The target, J2000, degrees.
    begins, ends : datetime
        From when to when, aware.
    site : Site
        Where from.
    horizon : Horizon
        What it must stand above.
    """
    sky = _sky(begins, ends, site)
    star = sky.star(ra_deg, dec_deg)
    mask_deg = horizon.mask.altitude_deg(star.azimuth_deg)
    return Path(
        at_s=np.array([at.timestamp() for at in sky.instants]),
        altitude_deg=star.altitude_deg,
        mask_deg=mask_deg,
        limit_deg=np.maximum(horizon.least_deg or 0.0, mask_deg),
    )


@lru_cache(maxsize=4)
def _sky(begins: datetime, ends: datetime, site: Site) -> SkyOverSite:
    return SkyOverSite(instants_between(begins, ends, STEP), site)


def told_hidden(stretches: list[Stretch], begins: datetime, ends: datetime) -> str:
    """Return when and by what a target is hidden while it is to be observed.

    Parameters
    ----------
    stretches : list of Stretch
        When it is.
    begins, ends : datetime
        When it is to be observed.

    Returns
    -------
    str
        The end of a sentence, such as ``behind what stands around you from 21:04 to 21:40``;
        empty where it is never hidden for longer than two points of a path lie apart.
    """
    long = [one for one in stretches if one.ends - one.begins >= STEP]
    return ", ".join(_told(one, begins, ends) for one in long)


def _told(one: Stretch, begins: datetime, ends: datetime) -> str:
    where = "behind what stands around you" if one.by_mask else "below the least altitude"
    if (one.begins, one.ends) == (begins, ends):
        return f"{where} all the time"
    return f"{where} from {clock(one.begins)} to {clock(one.ends)}"


def _instant(at_s: float) -> datetime:
    return datetime.fromtimestamp(float(at_s), UTC)

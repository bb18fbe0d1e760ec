"""What stands around a telescope: trees, roofs, hills."""

import json
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_POINTS_MAX = 3_600
_RIGHT_ANGLE_DEG = 90.0
_CIRCLE_DEG = 360.0
_PAIR = 2


class HorizonMaskError(ValueError):
    """What was given is no horizon; the message says what is wrong with which point."""


@dataclass(frozen=True)
class HorizonMask:
    """The altitude below which the sky is hidden, for each direction.

    Between two points it runs straight, also over north. Where two points have one azimuth,
    the higher holds.

    Attributes
    ----------
    points : tuple of tuple of float
        Altitude and azimuth (from north through east) of each, degrees, by azimuth; empty for
        a free horizon at 0°.
    """

    points: tuple[tuple[float, float], ...] = ()

    @classmethod
    def read(cls, given: Any) -> Self:
        """Return the mask of what a person or a cloud wrote.

        Parameters
        ----------
        given : Any
            ``[[altitude, azimuth], …]`` in degrees, or that as a JSON text; None, an empty
            text and an empty list are a free horizon.

        Returns
        -------
        HorizonMask
            The mask.

        Raises
        ------
        HorizonMaskError
            If it is anything else, or a value lies outside 0 to 90° of altitude or 0 to 360°
            of azimuth.
        """
        points = _parsed(given)
        if points is None:
            return cls()
        if not isinstance(points, list | tuple):
            raise HorizonMaskError(
                f"A horizon must be a list of [altitude, azimuth], not {points!r:.60}."
            )
        if len(points) > _POINTS_MAX:
            raise HorizonMaskError(
                f"A horizon may have {_POINTS_MAX} points; this one has {len(points)}."
            )
        highest: dict[float, float] = {}
        for place, point in enumerate(points):
            altitude, azimuth = _read_point(place, point)
            highest[azimuth] = max(altitude, highest.get(azimuth, 0.0))
        return cls(tuple((highest[azimuth], azimuth) for azimuth in sorted(highest)))

    def altitude_deg(self, azimuth_deg: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the altitude of the horizon in a direction.

        Parameters
        ----------
        azimuth_deg : array-like
            From north through east, degrees, of any shape.

        Returns
        -------
        ndarray
            Degrees, in the shape of the input.
        """
        azimuth = np.asarray(azimuth_deg, dtype=np.float64)
        if not self.points:
            return np.zeros_like(azimuth)
        altitudes, azimuths = np.array(self.points).T
        horizon: npt.NDArray[np.float64] = np.asarray(
            np.interp(azimuth, azimuths, altitudes, period=_CIRCLE_DEG)
        )
        return horizon


def _parsed(given: Any) -> Any:
    if isinstance(given, str) and given.strip():
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise HorizonMaskError(
                f"A horizon must be a list such as [[10, 0], [25, 90]], not {given!r:.60}."
            ) from None
    nothing = given is None or given == [] or (isinstance(given, str) and not given.strip())
    return None if nothing else given


def _read_point(place: int, point: Any) -> tuple[float, float]:
    if not isinstance(point, list | tuple) or len(point) != _PAIR:
        raise HorizonMaskError(
            f"Point {place + 1} of the horizon must be [altitude, azimuth], not {point!r:.60}."
        )
    altitude = _read_angle(place, "altitude", point[0], _RIGHT_ANGLE_DEG)
    return altitude, _read_angle(place, "azimuth", point[1], _CIRCLE_DEG) % _CIRCLE_DEG


def _read_angle(place: int, name: str, value: Any, high: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared before it is made a float: an int of hundreds of digits makes none.
    if not number or not 0 <= value <= high or not math.isfinite(value):
        raise HorizonMaskError(
            f"Point {place + 1} of the horizon has {name} {value!r:.60}; it must be a number "
            f"from 0 to {high:g} degrees."
        )
    return float(value)

"""Where on Earth a telescope stands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """A place on Earth.

    Attributes
    ----------
    latitude_deg : float
        Geodetic latitude (WGS 84), north positive.
    longitude_deg : float
        Longitude, east positive.
    elevation_m : float
        Height above the ellipsoid; height above the sea is near enough.
    """

    latitude_deg: float
    longitude_deg: float
    elevation_m: float = 0.0

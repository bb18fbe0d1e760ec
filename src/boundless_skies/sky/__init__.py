"""Pure astronomy: no I/O, no clock of its own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boundless_skies.sky.horizon import HorizonMask, HorizonMaskError
    from boundless_skies.sky.horizontal import airmass, altitude_azimuth_deg
    from boundless_skies.sky.over_site import Course, SkyOverSite
    from boundless_skies.sky.searching import first_instant, instants_between
    from boundless_skies.sky.separation import separation_deg
    from boundless_skies.sky.site import Site
    from boundless_skies.sky.time_scales import bjd_tdb, julian_date
    from boundless_skies.sky.twilight import (
        Night,
        SunCrossing,
        night_around,
        sun_altitude_deg,
        sun_crossings,
    )
    from boundless_skies.sky.visibility import hour_angle_deg, next_transit, time_above_s

__all__ = [
    "Course",
    "HorizonMask",
    "HorizonMaskError",
    "Night",
    "Site",
    "SkyOverSite",
    "SunCrossing",
    "airmass",
    "altitude_azimuth_deg",
    "bjd_tdb",
    "first_instant",
    "hour_angle_deg",
    "instants_between",
    "julian_date",
    "next_transit",
    "night_around",
    "separation_deg",
    "sun_altitude_deg",
    "sun_crossings",
    "time_above_s",
]

_ROOMS = {
    "Course": "over_site",
    "HorizonMask": "horizon",
    "HorizonMaskError": "horizon",
    "Night": "twilight",
    "Site": "site",
    "SkyOverSite": "over_site",
    "SunCrossing": "twilight",
    "airmass": "horizontal",
    "altitude_azimuth_deg": "horizontal",
    "bjd_tdb": "time_scales",
    "first_instant": "searching",
    "hour_angle_deg": "visibility",
    "instants_between": "searching",
    "julian_date": "time_scales",
    "next_transit": "visibility",
    "night_around": "twilight",
    "separation_deg": "separation",
    "sun_altitude_deg": "twilight",
    "sun_crossings": "twilight",
    "time_above_s": "visibility",
}


def __getattr__(name: str) -> Any:
    # The names of stars need no library; whoever asks only for them shall not load erfa.
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value

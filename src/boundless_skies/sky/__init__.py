"""Pure astronomy: no I/O, no clock of its own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boundless_skies.sky.horizontal import airmass, altitude_azimuth_deg
    from boundless_skies.sky.site import Site
    from boundless_skies.sky.time_scales import bjd_tdb, julian_date

__all__ = ["Site", "airmass", "altitude_azimuth_deg", "bjd_tdb", "julian_date"]

_ROOMS = {
    "Site": "site",
    "airmass": "horizontal",
    "altitude_azimuth_deg": "horizontal",
    "bjd_tdb": "time_scales",
    "julian_date": "time_scales",
}


def __getattr__(name: str) -> Any:
    # The names of stars need no library; whoever asks only for them shall not load erfa.
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value

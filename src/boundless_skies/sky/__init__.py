"""Pure astronomy: no I/O, no clock of its own."""

from boundless_skies.sky.airmass import airmass, altitude_azimuth_deg
from boundless_skies.sky.site import Site
from boundless_skies.sky.time_scales import bjd_tdb, julian_date

__all__ = ["Site", "airmass", "altitude_azimuth_deg", "bjd_tdb", "julian_date"]

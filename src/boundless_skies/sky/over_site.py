"""The sky over a site at many instants: dear to prepare, cheap to ask for star after star."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import erfa
import numpy as np
import numpy.typing as npt

from boundless_skies.sky.moon import illuminated_fraction, moon_au
from boundless_skies.sky.site import Site
from boundless_skies.sky.sun import sun_au
from boundless_skies.sky.time_scales import julian_date

Vector = npt.NDArray[np.float64]

_AU_M = 149_597_870_700.0
_RIGHT_ANGLE_DEG = 90.0


@dataclass(frozen=True, kw_only=True)
class Course:
    """Where something stands at each instant, without refraction.

    Attributes
    ----------
    ra_deg, dec_deg : float or ndarray
        Position, ICRS (J2000) axes, degrees; that of the Sun and the Moon moves.
    altitude_deg : ndarray
        Altitude above the horizon, degrees.
    azimuth_deg : ndarray
        Azimuth from north through east, degrees.
    hour_angle_deg : ndarray
        Angle west of the meridian, degrees, from -180 to 180.
    """

    ra_deg: float | Vector
    dec_deg: float | Vector
    altitude_deg: Vector
    azimuth_deg: Vector
    hour_angle_deg: Vector


class SkyOverSite:
    """The sky over a site at some instants.

    To prepare an instant costs as much as to ask it for 200 stars, so that one sky should
    serve all that is asked of the same instants. UT1 - UTC (below 0.9 s, that is 14″) and
    polar motion are left out, as in :func:`altitude_azimuth_deg`.

    Parameters
    ----------
    instants : sequence of datetime
        When; each aware, or naive in UTC.
    site : Site
        Where from.
    """

    def __init__(self, instants: Sequence[dt.datetime], site: Site) -> None:
        self.instants = tuple(instants)
        self.site = site
        parts = np.array([julian_date(instant) for instant in self.instants]).reshape(-1, 2)
        self._utc = parts[:, 0], parts[:, 1]
        # The bare functions: they report a year without known leap seconds by a number,
        # where the others warn.
        self._tt = erfa.ufunc.taitt(*erfa.ufunc.utctai(*self._utc)[:2])[:2]
        self._frame, self._origins, _ = erfa.ufunc.apco13(
            *self._utc,
            0.0,  # UT1 - UTC
            math.radians(site.longitude_deg),
            math.radians(site.latitude_deg),
            site.elevation_m,
            *(0.0, 0.0),  # polar motion
            *(0.0, 0.0, 0.0, 1.0),  # no air: pressure, temperature, humidity, wavelength
        )

    def star(self, ra_deg: float | Vector, dec_deg: float | Vector) -> Course:
        """Return where a star stands at each instant.

        Parameters
        ----------
        ra_deg, dec_deg : float or ndarray
            Position, ICRS (J2000), degrees; an array has one for each instant.

        Returns
        -------
        Course
            With one value for each instant.
        """
        apparent = erfa.ufunc.atciq(
            np.radians(ra_deg), np.radians(dec_deg), 0.0, 0.0, 0.0, 0.0, self._frame
        )
        return self._seen(ra_deg, dec_deg, apparent[0], apparent[1])

    @cached_property
    def sun(self) -> Course:
        """Where the Sun stands at each instant."""
        return self.star(*_angles_deg(sun_au(self._tt)))

    @cached_property
    def moon(self) -> Course:
        """Where the Moon stands at each instant, as this site sees it (not the Earth's centre)."""
        seen_au = moon_au(self._tt) - self._site_au
        # Seen from the Earth it shares the Earth's motion: no yearly aberration.
        apparent = erfa.ufunc.c2s(np.einsum("nij,nj->ni", self._frame["bpn"], seen_au))
        return self._seen(*_angles_deg(seen_au), *apparent)

    @cached_property
    def moon_illuminated(self) -> Vector:
        """The part of the Moon's disc that is lit at each instant, from 0 to 1."""
        return illuminated_fraction(self._tt)

    @property
    def _site_au(self) -> Vector:
        """Position of the site relative to the Earth's centre, in celestial axes."""
        turning = erfa.ufunc.pvtob(
            math.radians(self.site.longitude_deg),
            math.radians(self.site.latitude_deg),
            self.site.elevation_m,
            *(0.0, 0.0, 0.0),  # polar motion
            self._frame["eral"] - math.radians(self.site.longitude_deg),
        )["p"]
        position: Vector = np.einsum("nji,nj->ni", self._frame["bpn"], turning) / _AU_M
        return position

    def _seen(
        self,
        ra_deg: float | Vector,
        dec_deg: float | Vector,
        apparent_ra: Vector,
        apparent_dec: Vector,
    ) -> Course:
        azimuth, zenith_distance, hour_angle, *_ = erfa.ufunc.atioq(
            apparent_ra, apparent_dec, self._frame
        )
        return Course(
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            altitude_deg=_RIGHT_ANGLE_DEG - np.degrees(zenith_distance),
            azimuth_deg=np.degrees(azimuth) % 360.0,
            hour_angle_deg=np.degrees(hour_angle),
        )


def _angles_deg(direction: Vector) -> tuple[Vector, Vector]:
    ra, dec = erfa.ufunc.c2s(direction)
    return np.degrees(ra) % 360.0, np.degrees(dec)

"""Tycho-2 as a memory-mapped file of eight bytes a star, in zones of declination.

The file, little-endian throughout::

    8 bytes          magic, b"BSTYCHO2"
    2 × u4           number of zones, number of stars
    (zones + 1) × u4 number of the first star of each zone, southernmost first
    stars × u4       right ascension, in 360° / 2³², ascending within a zone
    stars × u2       declination above the zone's southern edge, in (180° / zones) / 2¹⁶
    stars × u2       V_T, in millimagnitudes above -2
"""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

MAGIC = b"BSTYCHO2"
ZONES = 360
MAG_OFFSET = -2.0
BUNDLED = Path(__file__).parent / "data" / "tycho2.bin"

_RA_STEP_DEG = 360.0 / 2**32
_FRACTIONS = 2**16
_POLE_DEG = 90.0
_HALF_CIRCLE_DEG = 180.0

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stars:
    """Catalogue stars, brightest first.

    Attributes
    ----------
    ra_deg, dec_deg : ndarray, shape (n,)
        Position, J2000 (ICRS, epoch 2000.0), degrees.
    mag : ndarray, shape (n,)
        V_T, magnitudes.
    """

    ra_deg: FloatArray
    dec_deg: FloatArray
    mag: FloatArray

    def __len__(self) -> int:
        """Return the number of stars."""
        return len(self.mag)

    def __getitem__(self, which: Any) -> "Stars":
        """Return the stars that an index, slice or mask of the arrays picks."""
        return Stars(self.ra_deg[which], self.dec_deg[which], self.mag[which])

    def __add__(self, others: "Stars") -> "Stars":
        """Return these stars and the others behind them."""
        return Stars(
            np.append(self.ra_deg, others.ra_deg),
            np.append(self.dec_deg, others.dec_deg),
            np.append(self.mag, others.mag),
        )


class Catalogue:
    """A packed catalogue.

    Parameters
    ----------
    starts : ndarray, shape (zones + 1,)
        Number of the first star of each zone.
    ra, dec, mag : ndarray, shape (stars,)
        The packed columns.
    """

    def __init__(
        self,
        starts: npt.NDArray[np.uint32],
        ra: npt.NDArray[np.uint32],
        dec: npt.NDArray[np.uint16],
        mag: npt.NDArray[np.uint16],
    ) -> None:
        self._starts, self._ra, self._dec, self._mag = starts, ra, dec, mag
        self._zone_deg = 180.0 / (len(starts) - 1)

    @classmethod
    @functools.lru_cache(maxsize=4)
    def load(cls, path: Path = BUNDLED) -> Self:
        """Map a packed file into memory; nothing is read until it is asked for.

        Parameters
        ----------
        path : Path, optional
            The packed file; the one that comes with the package by default.

        Returns
        -------
        Catalogue
            The same object for the same path.

        Raises
        ------
        ValueError
            If the file is no packed catalogue, or has the wrong size.
        """
        raw = np.memmap(path, dtype=np.uint8, mode="r")
        if raw[:8].tobytes() != MAGIC:
            raise ValueError(
                f"{path} is no packed star catalogue: it does not begin with {MAGIC!r}"
            )
        zones, count = (int(value) for value in raw[8:16].view("<u4"))
        first = 16 + 4 * (zones + 1)
        expected = first + 8 * count
        if raw.size != expected:
            raise ValueError(
                f"{path} has {raw.size:,} bytes instead of {expected:,}; install the package again"
            )
        return cls(
            np.asarray(raw[16:first].view("<u4")),
            raw[first : first + 4 * count].view("<u4"),
            raw[first + 4 * count : first + 6 * count].view("<u2"),
            raw[first + 6 * count :].view("<u2"),
        )

    def __len__(self) -> int:
        """Return the number of stars."""
        return len(self._mag)

    def cone(
        self,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        mag_limit: float | None = None,
    ) -> Stars:
        """Return the stars around a position.

        Parameters
        ----------
        ra_deg, dec_deg : float
            Centre, J2000, degrees.
        radius_deg : float
            Radius of the cone, degrees.
        mag_limit : float, optional
            Faintest V_T to return.

        Returns
        -------
        Stars
            Brightest first; empty where there are none.
        """
        found = [self._in_zone(zone, *run) for zone, run in self._runs(ra_deg, dec_deg, radius_deg)]
        if not found:
            return Stars(np.empty(0), np.empty(0), np.empty(0))
        ra, dec, mag = (np.concatenate(column) for column in zip(*found, strict=True))
        keep = separation_deg(ra, dec, ra_deg, dec_deg) <= radius_deg
        if mag_limit is not None:
            keep &= mag <= mag_limit
        stars = Stars(ra[keep], dec[keep], mag[keep])
        return stars[np.argsort(stars.mag, kind="stable")]

    def _runs(
        self, ra_deg: float, dec_deg: float, radius_deg: float
    ) -> list[tuple[int, tuple[int, int]]]:
        south, north = dec_deg - radius_deg, dec_deg + radius_deg
        zones = range(self._zone(south), self._zone(north) + 1)
        half_width = _half_width_deg(dec_deg, radius_deg)
        return [
            (zone, run)
            for zone in zones
            for low, high in _ra_intervals(ra_deg, half_width)
            if (run := self._run(zone, low, high))[0] < run[1]
        ]

    def _zone(self, dec_deg: float) -> int:
        zone = math.floor((dec_deg + 90.0) / self._zone_deg)
        return min(max(zone, 0), len(self._starts) - 2)

    def _run(self, zone: int, low_deg: float, high_deg: float) -> tuple[int, int]:
        first, last = int(self._starts[zone]), int(self._starts[zone + 1])
        column = self._ra[first:last]
        low = np.searchsorted(column, _packed_ra(math.floor(low_deg / _RA_STEP_DEG)), "left")
        high = np.searchsorted(column, _packed_ra(math.ceil(high_deg / _RA_STEP_DEG)), "right")
        return first + int(low), first + int(high)

    def _in_zone(
        self, zone: int, first: int, last: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        step_deg = self._zone_deg / _FRACTIONS
        south = zone * self._zone_deg - 90.0
        return (
            self._ra[first:last].astype(np.float64) * _RA_STEP_DEG,
            self._dec[first:last].astype(np.float64) * step_deg + (south + step_deg / 2),
            self._mag[first:last].astype(np.float64) / 1000.0 + MAG_OFFSET,
        )


def separation_deg(
    ra_deg: FloatArray, dec_deg: FloatArray, centre_ra_deg: float, centre_dec_deg: float
) -> FloatArray:
    """Return the angles between positions and a centre, degrees (haversine formula)."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    ra0, dec0 = math.radians(centre_ra_deg), math.radians(centre_dec_deg)
    half = np.sin((dec - dec0) / 2) ** 2
    half += np.cos(dec) * math.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    result: FloatArray = np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))
    return result


def pack(ra_deg: FloatArray, dec_deg: FloatArray, mag: FloatArray, zones: int = ZONES) -> bytes:
    """Pack stars into the file's form.

    Parameters
    ----------
    ra_deg, dec_deg, mag : ndarray, shape (n,)
        Positions (J2000, degrees) and magnitudes between -2 and 63.5, in any order.
    zones : int, optional
        Number of zones of declination.

    Returns
    -------
    bytes
        The whole file.
    """
    height = np.clip((dec_deg + 90.0) / (180.0 / zones), 0.0, np.nextafter(zones, 0.0))
    zone = np.floor(height).astype(np.int64)
    ra = np.floor(np.mod(ra_deg, 360.0) / _RA_STEP_DEG).astype("<u4")
    order = np.lexsort((ra, zone))
    starts = np.searchsorted(zone[order], np.arange(zones + 1)).astype("<u4")
    dec = np.floor((height - zone) * _FRACTIONS).astype("<u2")
    milli = np.rint((mag - MAG_OFFSET) * 1000.0).astype("<u2")
    head = MAGIC + np.array([zones, len(ra)], "<u4").tobytes() + starts.tobytes()
    return head + b"".join(column[order].tobytes() for column in (ra, dec, milli))


def _packed_ra(steps: int) -> np.uint32:
    return np.uint32(min(steps, 2**32 - 1))


def _half_width_deg(dec_deg: float, radius_deg: float) -> float:
    """Half the range of right ascension that a cone covers; 180 where it holds a pole."""
    if abs(dec_deg) + radius_deg >= _POLE_DEG:
        return _HALF_CIRCLE_DEG
    ratio = math.sin(math.radians(radius_deg)) / math.cos(math.radians(dec_deg))
    return math.degrees(math.asin(min(ratio, 1.0)))


def _ra_intervals(ra_deg: float, half_width_deg: float) -> list[tuple[float, float]]:
    if half_width_deg >= _HALF_CIRCLE_DEG:
        return [(0.0, 2 * _HALF_CIRCLE_DEG)]
    low, high = (ra_deg - half_width_deg) % 360.0, (ra_deg + half_width_deg) % 360.0
    return [(low, high)] if low <= high else [(low, 360.0), (0.0, high)]

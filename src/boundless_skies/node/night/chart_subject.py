"""What a finding chart shows: a frame, the target, and the stars that it was compared with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from boundless_skies.node.night.run import MeasuredFrame
from boundless_skies.node.night.sky_plane import SkyPlane
from boundless_skies.node.photometry.aperture import Aperture

Image = npt.NDArray[np.float32]

# A measurement tells a star's place to 1e-5 degrees.
_SAME_PLACE_DEG = 3e-5


@dataclass(frozen=True, kw_only=True)
class ChartStar:
    """A comparison or check star on a chart.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Position, J2000, degrees.
    magnitude : float
        Of the catalogue.
    band : str
        What `magnitude` is in.
    name : str
        What it is called; may be empty.
    is_check : bool
        Whether it is the check star.
    """

    ra_deg: float
    dec_deg: float
    magnitude: float
    band: str
    name: str = ""
    is_check: bool = False

    @property
    def label(self) -> str:
        """The magnitude in tenths, as the AAVSO's charts have it: a point might be a star."""
        return f"{10 * self.magnitude:.0f}"

    def is_same(self, other: "ChartStar") -> bool:
        """Say whether two stars lie at one place, within what a measurement tells of it."""
        apart_deg = abs(self.ra_deg - other.ra_deg), abs(self.dec_deg - other.dec_deg)
        return max(apart_deg) < _SAME_PLACE_DEG


@dataclass(frozen=True, kw_only=True)
class ChartSubject:
    """What a chart shows.

    Attributes
    ----------
    image : ndarray, shape (height, width)
        A frame without the sky.
    plane : SkyPlane
        The frame on the sky, around the target.
    target_xy : tuple of float
        The target in pixels of `image`.
    aperture : Aperture
        Its circle and ring, in pixels of `image`.
    fwhm_px : float
        Full width at half maximum of the stars, in pixels of `image`.
    name, facts : str and tuple of str
        The target's name, and lines about it.
    magnitude : float
        The target's.
    source : str
        The file.
    stars : tuple of ChartStar
        What the target was compared with.
    """

    image: Image
    plane: SkyPlane
    target_xy: tuple[float, float]
    aperture: Aperture
    fwhm_px: float
    name: str
    facts: tuple[str, ...]
    magnitude: float
    source: str
    stars: tuple[ChartStar, ...]

    def place_of(self, star: ChartStar) -> tuple[float, float]:
        """Return how far east and north of the target a star lies, arcminutes."""
        return self.plane.from_sky(star.ra_deg, star.dec_deg)

    def distance_arcmin(self, star: ChartStar) -> float:
        """Return how far from the target a star lies."""
        return math.hypot(*self.place_of(star))


def subject_of(frame: MeasuredFrame) -> ChartSubject:
    """Gather what the chart of a measured frame shows.

    Parameters
    ----------
    frame : MeasuredFrame
        The frame.

    Returns
    -------
    ChartSubject
        In pixels of the detection's image.
    """
    found, exposure = frame.found, frame.exposure
    height, width = exposure.frame.shape
    half = (exposure.frame.cell_px - 1) / 2
    target = found.target
    return ChartSubject(
        image=exposure.detection.image,
        plane=SkyPlane.of(found.wcs, target.ra_deg, target.dec_deg, width, height),
        target_xy=(
            (found.x_px - half) / exposure.frame.cell_px,
            (found.y_px - half) / exposure.frame.cell_px,
        ),
        aperture=_aperture(frame),
        fwhm_px=exposure.detection.fwhm_px,
        name=target.name,
        facts=_facts(frame),
        magnitude=found.measurement.magnitude,
        source=frame.path.name,
        stars=_stars(frame),
    )


def _aperture(frame: MeasuredFrame) -> Aperture:
    """Return circle and ring as they were, in pixels of the detection's image."""
    radii_px = (frame.found.aperture_px, *frame.found.provenance["annulus_px"])
    return Aperture(*(radius_px / frame.exposure.frame.cell_px for radius_px in radii_px))


def _stars(frame: MeasuredFrame) -> tuple[ChartStar, ...]:
    check = _check_star(frame.found.provenance.get("check_star"))
    compared = (
        ChartStar(
            ra_deg=star.ra_deg,
            dec_deg=star.dec_deg,
            magnitude=star.magnitude,
            band=star.band,
            name=star.name or "",
        )
        for star in frame.found.comparisons
    )
    return (*check, *(star for star in compared if not any(map(star.is_same, check))))


def _check_star(told: Mapping[str, Any] | None) -> tuple[ChartStar, ...]:
    if not told:
        return ()
    star = ChartStar(
        ra_deg=told["ra_deg"],
        dec_deg=told["dec_deg"],
        magnitude=told["catalogue_mag"],
        band=told["band"],
        name=told["name"],
        is_check=True,
    )
    return (star,)


def _facts(frame: MeasuredFrame) -> tuple[str, ...]:
    target, measured = frame.found.target, frame.found.measurement
    exposure_s = frame.exposure.frame.facts.exposure_s
    exposed = f"   ·   {exposure_s:g} s" if exposure_s else ""
    return (
        f"{sexagesimal_hours(target.ra_deg)}   {sexagesimal_degrees(target.dec_deg)}   (J2000)",
        f"{frame.middle_utc:%Y-%m-%d %H:%M} UTC   ·   {measured.filter}{exposed}",
        f"magnitude {measured.magnitude:.3f} ± {measured.uncertainty:.3f}",
    )


def sexagesimal_hours(ra_deg: float) -> str:
    """Return a right ascension as hours, minutes and seconds to a tenth."""
    tenths = round(ra_deg / 15 * 36_000) % 864_000
    hours, minutes, seconds = tenths // 36_000, tenths // 600 % 60, tenths % 600 / 10
    return f"{hours:02d}h {minutes:02d}m {seconds:04.1f}s"


def sexagesimal_degrees(dec_deg: float) -> str:
    """Return a declination as degrees, minutes and seconds of arc."""
    arcsec = round(abs(dec_deg) * 3600)
    sign = "−" if dec_deg < 0 else "+"
    return f"{sign}{arcsec // 3600:02d}° {arcsec // 60 % 60:02d}′ {arcsec % 60:02d}″"

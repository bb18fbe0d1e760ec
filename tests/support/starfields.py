"""Star fields whose answer is known: exact light within each pixel, one plane of sky, noise.

Nothing here is shared with the code under test: a star's light is integrated over the
pixels, its total flux is exact, and the noise comes from a seeded generator.
"""

import datetime as dt
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS
from tests.support.scenes import MIDDLE, write_fits

from boundless_skies.node.catalogue import Catalogue, Stars
from boundless_skies.node.fits.frame import Frame, read_frame
from boundless_skies.node.photometry.detection import detect
from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.photometry.settings import Target
from boundless_skies.node.solving.field import Solution

Image = npt.NDArray[np.float64]

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_SUBPIXELS = 7
_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class Gaussian:
    """Round stars with the profile of a Gaussian."""

    fwhm_px: float

    def light(self, x: float, y: float, reach_px: int) -> Image:
        """Return the light of a star of flux 1 in each pixel around the pixel at 0/0."""
        across, along = (self._integrals(centre, reach_px) for centre in (x, y))
        return np.outer(along, across)

    def _integrals(self, centre: float, reach_px: int) -> Image:
        edges = np.arange(-reach_px, reach_px + 2) - 0.5 - centre
        steps: Image = np.diff(_erf(edges * _FWHM_PER_SIGMA / self.fwhm_px / math.sqrt(2.0))) / 2.0
        return steps

    def within(self, radius_px: float) -> float:
        """Return the share of the light within a circle that cuts pixels by their area.

        Pixels smear the light twice, where they collect and where the circle cuts them:
        each adds the variance of a square's width, 1/12 px².
        """
        variance = (self.fwhm_px / _FWHM_PER_SIGMA) ** 2 + 2.0 / 12.0
        return 1.0 - math.exp(-(radius_px**2) / (2.0 * variance))


@dataclass(frozen=True)
class Moffat:
    """Round stars with the wings that the air gives them (Moffat 1969)."""

    fwhm_px: float
    beta: float = 3.0

    @property
    def alpha_px(self) -> float:
        """The width in the formula 1 / (1 + r² / α²)^β."""
        return self.fwhm_px / (2.0 * math.sqrt(2.0 ** (1.0 / self.beta) - 1.0))

    def light(self, x: float, y: float, reach_px: int) -> Image:
        """Return the light of a star of flux 1 in each pixel, by 7 × 7 points in each."""
        fine = (np.arange((2 * reach_px + 1) * _SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5 - reach_px
        squared = (fine[None, :] - x) ** 2 + (fine[:, None] - y) ** 2
        height = (self.beta - 1.0) / (math.pi * self.alpha_px**2)
        values = height * (1.0 + squared / self.alpha_px**2) ** -self.beta
        size = 2 * reach_px + 1
        light: Image = values.reshape(size, _SUBPIXELS, size, _SUBPIXELS).mean(axis=(1, 3))
        return light

    def within(self, radius_px: float) -> float:
        """Return the share of the light within a circle that cuts pixels by their area.

        The pixels' smearing (see the Gaussian) to first order: half the variance times the
        Laplacian over the circle, which is its rim times the slope there.
        """
        out = 1.0 + radius_px**2 / self.alpha_px**2
        height = (self.beta - 1.0) / (math.pi * self.alpha_px**2)
        slope = -2.0 * self.beta * radius_px / self.alpha_px**2 * height * out ** (-self.beta - 1.0)
        smeared = 2.0 / 12.0 / 2.0 * 2.0 * math.pi * radius_px * slope
        return float(1.0 - out ** (1.0 - self.beta) + smeared)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """How the stars are seen.

    The sky is a plane: its level in the middle, and its rise per pixel along x and y.
    """

    shape: tuple[int, int] = (300, 300)
    profile: Gaussian | Moffat = field(default_factory=lambda: Gaussian(3.0))
    gain_e_per_adu: float = 2.0
    read_noise_e: float = 5.0
    sky_adu: float = 200.0
    sky_slope_adu: tuple[float, float] = (0.0, 0.0)
    zero_point: float = 22.0
    scale_arcsec_px: float = 3.0
    rotation_deg: float = 0.0
    shift_px: tuple[float, float] = (0.0, 0.0)

    def clean(self, x: Image, y: Image, flux_adu: Image, reach_px: int = 25) -> Image:
        """Return stars and sky without noise."""
        height, width = self.shape
        rows, columns = np.mgrid[:height, :width]
        slope_x, slope_y = self.sky_slope_adu
        image: Image = (
            self.sky_adu + slope_x * (columns - width / 2) + slope_y * (rows - height / 2)
        )
        padded = np.pad(image, reach_px)
        for star_x, star_y, flux in zip(x, y, flux_adu, strict=True):
            column, row = round(float(star_x)), round(float(star_y))
            if 0 <= column < width and 0 <= row < height:
                stamp = np.s_[row : row + 2 * reach_px + 1, column : column + 2 * reach_px + 1]
                own = self.profile.light(star_x - column, star_y - row, reach_px)
                padded[stamp] += flux * own
        return padded[reach_px:-reach_px, reach_px:-reach_px]

    def expose(self, clean: Image, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Return what a camera makes of the light: photons, read-out noise, whole numbers."""
        electrons = rng.poisson(clean * self.gain_e_per_adu)
        electrons = electrons + rng.normal(0.0, self.read_noise_e, clean.shape)
        return np.rint(electrons / self.gain_e_per_adu).astype(np.float32)

    def wcs(self, ra_deg: float, dec_deg: float) -> WCS:
        """Return where the pixels lie: the position is in the middle, then shifted."""
        height, width = self.shape
        turn, scale_deg = math.radians(self.rotation_deg), self.scale_arcsec_px / 3600.0
        cos, sin = scale_deg * math.cos(turn), scale_deg * math.sin(turn)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [ra_deg, dec_deg]
        wcs.wcs.crpix = [
            (width + 1) / 2 + self.shift_px[0], (height + 1) / 2 + self.shift_px[1],
        ]  # fmt: skip
        wcs.wcs.cd = [[-cos, sin], [sin, cos]]
        wcs.wcs.set()
        return wcs


def catalogue_of(stars: Stars) -> Catalogue:
    """Pack stars as the bundled catalogue is packed."""
    zones = 360
    zone_deg = 180.0 / zones
    zone = np.floor((stars.dec_deg + 90.0) / zone_deg).astype(int)
    order = np.lexsort((stars.ra_deg, zone))
    zone, stars = zone[order], stars[order]
    return Catalogue(
        np.searchsorted(zone, np.arange(zones + 1)).astype(np.uint32),
        np.rint(stars.ra_deg / 360.0 * 2**32).astype(np.uint32),
        np.rint(((stars.dec_deg + 90.0) / zone_deg - zone) * 2**16).astype(np.uint16),
        np.rint((stars.mag + 2.0) * 1000.0).astype(np.uint16),
    )


@dataclass
class StarField:
    """A field of stars around a place of the sky.

    Targets are given apart: no catalogue lists them.
    """

    stars: Stars
    targets: Stars
    ra_deg: float = 150.0
    dec_deg: float = 20.0

    @classmethod
    def spread(
        cls, rng: np.random.Generator, magnitudes: Image, target_magnitudes: Image,
        *, radius_deg: float = 0.113, apart_deg: float = 0.018,
    ) -> "StarField":  # fmt: skip
        """Strew stars over a disc, none near another."""
        ra_deg, dec_deg = 150.0, 20.0
        wanted = len(magnitudes) + len(target_magnitudes)
        places: list[tuple[float, float]] = []
        while len(places) < wanted:
            east, north = rng.uniform(-radius_deg, radius_deg, 2)
            alone = all(math.hypot(east - e, north - n) > apart_deg for e, n in places)
            if alone and math.hypot(east, north) < radius_deg:
                places.append((east, north))
        east, north = np.array(places).T
        ra = ra_deg + east / math.cos(math.radians(dec_deg))
        dec = dec_deg + north
        count = len(magnitudes)
        return cls(
            Stars(ra[:count], dec[:count], np.asarray(magnitudes)),
            Stars(ra[count:], dec[count:], np.asarray(target_magnitudes)),
        )

    def expose(
        self, seen_as: Observation, rng: np.random.Generator, *,
        changes_mag: Image | None = None, minutes: float = 0.0, gain_known: bool = True,
        exposure_s: float = 60.0,
    ) -> Exposure:  # fmt: skip
        """Return a solved exposure of all stars, with the first target in its sights.

        `changes_mag` makes the stars, then the targets, fainter.
        """
        everything = self.stars + self.targets
        wcs = seen_as.wcs(self.ra_deg, self.dec_deg)
        x, y = wcs.all_world2pix(everything.ra_deg, everything.dec_deg, 0)
        mag = everything.mag + (0.0 if changes_mag is None else changes_mag)
        flux = 10.0 ** (-0.4 * (mag - seen_as.zero_point))
        pixels = seen_as.expose(seen_as.clean(x, y, flux), rng)
        frame = _frame(pixels, minutes, exposure_s)
        return Exposure(
            frame=frame,
            detection=detect(frame),
            solution=Solution(wcs=wcs, matched=20, expected=20, rms_px=0.1),
            target=self.target(0),
            gain_e_per_adu=seen_as.gain_e_per_adu if gain_known else None,
        )

    def target(self, index: int) -> Target:
        """Return a target."""
        return Target(
            f"T{index}", float(self.targets.ra_deg[index]), float(self.targets.dec_deg[index])
        )


def _frame(pixels: npt.NDArray[np.float32], minutes: float, exposure_s: float) -> Frame:
    start = MIDDLE + dt.timedelta(minutes=minutes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"frame_{minutes:07.2f}.fits"
        when = {"DATE-OBS": start.isoformat()[:19], "EXPTIME": exposure_s, "SATURATE": 65_535.0}
        return read_frame(write_fits(path, pixels, **when))

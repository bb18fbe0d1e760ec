"""A frame on its way through the photometer: its stars, its solution, its target."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from boundless_skies.node.catalogue import Stars
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.node.errors import TargetNotDetected, TargetOutsideFrame
from boundless_skies.node.fits.frame import Frame
from boundless_skies.node.photometry.aperture import Aperture, Fluxes, measure_fluxes, recentre
from boundless_skies.node.photometry.detection import Detection
from boundless_skies.node.photometry.settings import Target
from boundless_skies.node.solving.field import FloatArray, Solution
from boundless_skies.node.solving.verification import (
    centre_deg,
    inside,
    places,
    scale_arcsec_px,
)

LEAST_TARGET_SNR = 3.0
"""Below, a target is not seen."""
SURE_SNR = 5.0
"""Below, a target is measured where it should lie: noise would pull its centroid."""
LIMIT_SIGMA = 3.0
DEFAULT_GAIN_E_PER_ADU = 1.0

_SHIFT_FWHM = 0.75
_SMALLEST_SHIFT_PX = 2.0
_MARGIN_FWHM = 1.2


@dataclass(frozen=True)
class TargetLight:
    """What a frame shows of the target.

    Attributes
    ----------
    fluxes : Fluxes
        Arrays of one. Of a limit, the most light that it could have without being seen:
        what is in the circle, but no less than nothing, and 3 σ.
    snr : float
        Signal to noise of what is in the circle.
    is_limit : bool
        Whether the target is not seen.
    neighbours : int or None
        How many other stars were fitted with it; None where an aperture measured it.
    unexplained : float
        How much of the light in the circle may still be the neighbours', in units of the
        target's.
    """

    fluxes: Fluxes
    snr: float
    is_limit: bool
    neighbours: int | None = None
    unexplained: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """A solved frame with its target.

    Attributes
    ----------
    frame : Frame
        The pixels and the header's facts.
    detection : Detection
        The stars.
    solution : Solution
        Where it points.
    target : Target
        What is to be measured.
    gain_e_per_adu : float or None
        Electrons per unit of the file; 1 is assumed where it is unknown.
    solver : str
        Where the solution comes from.
    """

    frame: Frame
    detection: Detection
    solution: Solution
    target: Target
    gain_e_per_adu: float | None
    solver: str = ""

    @property
    def assumed_gain(self) -> float:
        """Electrons per unit, known or assumed."""
        return self.gain_e_per_adu or DEFAULT_GAIN_E_PER_ADU

    @property
    def scale_arcsec_px(self) -> float:
        """Size of a pixel of the frame's data."""
        return scale_arcsec_px(self.solution.wcs)

    @property
    def centre_deg(self) -> tuple[float, float]:
        """Right ascension and declination of the frame's centre."""
        height, width = self.frame.shape
        return centre_deg(self.solution.wcs, width, height)

    @property
    def largest_shift_px(self) -> float:
        """How far a star may lie from its place and still be that star."""
        return max(_SHIFT_FWHM * self.detection.fwhm_px, _SMALLEST_SHIFT_PX)

    def places(self, stars: Stars) -> tuple[FloatArray, FloatArray]:
        """Return the pixels at which catalogue stars should lie."""
        return places(self.solution.wcs, stars)

    @property
    def target_xy(self) -> tuple[float, float]:
        """The pixel at which the target should lie."""
        x, y = self.places(_as_star(self.target))
        return float(x[0]), float(y[0])

    def away(self, stars: Stars) -> FloatArray:
        """Return where stars lie from the target, in halves of the frame's diagonal.

        Parameters
        ----------
        stars : Stars
            Catalogue stars.

        Returns
        -------
        ndarray, shape (n, 2)
            Along x and y.
        """
        x, y = self.places(stars)
        from_target = np.column_stack([x, y]) - self.target_xy
        away: FloatArray = from_target / (math.hypot(*self.frame.shape) / 2.0)
        return away

    def inside(self, x: FloatArray, y: FloatArray, margin_px: float) -> npt.NDArray[np.bool_]:
        """Say which positions lie at least a margin inside of the frame."""
        height, width = self.frame.shape
        return inside(x, y, width, height, margin_px)

    def centred(
        self, x: FloatArray, y: FloatArray
    ) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
        """Return the centroids near positions, and whether they are near enough."""
        new_x, new_y = recentre(self.detection.image, x, y, self.detection.fwhm_px)
        near = np.hypot(new_x - x, new_y - y) <= self.largest_shift_px
        return np.where(near, new_x, x), np.where(near, new_y, y), near

    def fluxes(self, x: FloatArray, y: FloatArray, aperture: Aperture) -> Fluxes:
        """Measure the light at positions."""
        gain = self._gain_at(x, y)
        return measure_fluxes(self.frame.data, self.frame.peak, x, y, aperture, gain)

    def _gain_at(self, x: FloatArray, y: FloatArray) -> FloatArray | float:
        """Return electrons per unit; a flat's division makes more units of an electron."""
        sensitivity = self.frame.sensitivity
        if sensitivity is None:
            return self.assumed_gain
        height, width = self.frame.shape
        rows = np.clip(np.rint(y).astype(int), 0, height - 1)
        columns = np.clip(np.rint(x).astype(int), 0, width - 1)
        gain: FloatArray = self.assumed_gain * np.maximum(sensitivity[rows, columns], 0.01)
        return gain

    def target_light(self, aperture: Aperture) -> TargetLight:
        """Measure the target, or how faint it must be.

        It is measured at its centroid where a star is surely seen (signal to noise of 5),
        else where it should lie.

        Parameters
        ----------
        aperture : Aperture
            Circle and ring.

        Returns
        -------
        TargetLight
            A limit where the signal to noise is below 3, and the target's position is
            known from elsewhere than this frame's header.

        Raises
        ------
        TargetOutsideFrame
            If its position, or part of the circle, lies outside of the image.
        TargetNotDetected
            If it is not seen and its position is the header's, which may be only where
            the mount pointed; or if the light there is another star's.
        """
        x, y = self.places(_as_star(self.target))
        margin_px = max(_MARGIN_FWHM * self.detection.fwhm_px, aperture.radius_px)
        if not self.inside(x, y, margin_px).all():
            raise self._outside()
        new_x, new_y, near = self.centred(x, y)
        found = self.fluxes(new_x, new_y, aperture)
        if near.all() and found.snr[0] >= SURE_SNR:
            if not self.inside(new_x, new_y, margin_px).all():
                raise self._outside()
            return TargetLight(found, float(found.snr[0]), is_limit=False)
        return self.light_at_place(self.fluxes(x, y, aperture), centred=bool(near.all()))

    def forced_fluxes(self, aperture: Aperture) -> tuple[Fluxes, Fluxes | None]:
        """Measure where the target should lie, whether it is seen there or not.

        Parameters
        ----------
        aperture : Aperture
            Circle and ring.

        Returns
        -------
        tuple of Fluxes and Fluxes or None
            Arrays of one: at its place, and at the centroid that is near enough, if one is.

        Raises
        ------
        TargetOutsideFrame
            If the position, or part of the circle, lies outside of the image.
        """
        x, y = self.places(_as_star(self.target))
        margin_px = max(_MARGIN_FWHM * self.detection.fwhm_px, aperture.radius_px)
        if not self.inside(x, y, margin_px).all():
            raise self._outside()
        new_x, new_y, near = self.centred(x, y)
        is_near = bool(near.all()) and bool(self.inside(new_x, new_y, margin_px).all())
        return self.fluxes(x, y, aperture), (
            self.fluxes(new_x, new_y, aperture) if is_near else None
        )

    def gain_at(self, x: float, y: float) -> float:
        """Return electrons per unit at a pixel, known or assumed."""
        return float(np.asarray(self._gain_at(np.array([x]), np.array([y]))).flat[0])

    def cutout(self, x: float, y: float, reach_px: int) -> npt.NDArray[np.float32]:
        """Return the pixels around the one nearest to a position, without the sky.

        Parameters
        ----------
        x, y : float
            0-based pixels.
        reach_px : int
            How far to each side.

        Returns
        -------
        ndarray, shape (2 reach_px + 1, 2 reach_px + 1)
            Zero beyond the image.
        """
        padded = np.pad(self.detection.image, reach_px)
        row, column = round(y), round(x)
        side = 2 * reach_px + 1
        return np.array(padded[row : row + side, column : column + side])

    def require_inside(self, aperture: Aperture) -> tuple[float, float]:
        """Return the pixel at which the target should lie.

        Parameters
        ----------
        aperture : Aperture
            Circle and ring.

        Returns
        -------
        tuple of float
            x and y, 0-based.

        Raises
        ------
        TargetOutsideFrame
            If it, or part of the circle, lies outside of the image.
        """
        x, y = self.places(_as_star(self.target))
        margin_px = max(_MARGIN_FWHM * self.detection.fwhm_px, aperture.radius_px)
        if not self.inside(x, y, margin_px).all():
            raise self._outside()
        return float(x[0]), float(y[0])

    def light_at_place(self, fluxes: Fluxes, *, centred: bool) -> TargetLight:
        """Take the light where the target should lie for the target's, or for a limit.

        Parameters
        ----------
        fluxes : Fluxes
            Arrays of one.
        centred : bool
            Whether bright light there would be the target's own.

        Returns
        -------
        TargetLight
            A limit where the signal to noise is below 3.

        Raises
        ------
        TargetNotDetected
            If the light is another star's, or too little at a place that only the
            header tells.
        """
        snr = float(fluxes.snr[0])
        if not math.isfinite(snr):
            raise self._not_detected("there are no pixels to measure it by")
        if snr >= SURE_SNR and not centred:
            raise self._not_detected(
                f"no star is seen within {self.largest_shift_px * self.scale_arcsec_px:.0f}″ of it"
            )
        if snr >= LEAST_TARGET_SNR:
            return TargetLight(fluxes, snr, is_limit=False)
        if self.target.from_header:
            raise self._not_detected(
                f"its signal to noise is {snr:.1f}, below {LEAST_TARGET_SNR:.0f}"
            )
        most = np.maximum(fluxes.flux, 0.0) + LIMIT_SIGMA * fluxes.error
        return TargetLight(replace(fluxes, flux=most), snr, is_limit=True)

    def _outside(self) -> TargetOutsideFrame:
        height, width = self.frame.shape
        (ra_deg, dec_deg), scale_deg = self.centre_deg, self.scale_arcsec_px / 3600.0
        star = _as_star(self.target)
        away_deg = float(separation_deg(star.ra_deg, star.dec_deg, ra_deg, dec_deg)[0])
        return TargetOutsideFrame(
            f"{_named(self.target)} lies {away_deg:.2f}° from the frame's centre at RA "
            f"{ra_deg:.3f}°, Dec {dec_deg:+.3f}°: outside of its {width * scale_deg:.2f}° × "
            f"{height * scale_deg:.2f}°, or on the edge. Check the target's position, or centre "
            "the telescope on it.",
            away_deg=away_deg,
            centre_ra_deg=ra_deg,
            centre_dec_deg=dec_deg,
        )

    def _not_detected(self, why: str) -> TargetNotDetected:
        return TargetNotDetected(
            f"{_named(self.target)} is not detected: {why}. Check its position (a header's RA and "
            "DEC may be only where the mount thought it pointed; --ra and --dec or the config "
            "win over them), or expose longer.",
            target=self.target.name,
        )


def _as_star(target: Target) -> Stars:
    return Stars(np.array([target.ra_deg]), np.array([target.dec_deg]), np.zeros(1))


def _named(target: Target) -> str:
    return f"{target.name} (RA {target.ra_deg:.4f}°, Dec {target.dec_deg:+.4f}°)"

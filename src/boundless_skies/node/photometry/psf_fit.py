"""The light of a target among neighbours: images of stars fitted to all of them at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from boundless_skies.node.photometry.aperture import (
    Aperture,
    Fluxes,
    Image,
    measure_fluxes,
    ring_skies,
)
from boundless_skies.node.photometry.comparison import LINEAR_FRACTION, shown_stars
from boundless_skies.node.photometry.ensemble import Ensemble
from boundless_skies.node.photometry.exposure import SURE_SNR, Exposure, TargetLight
from boundless_skies.node.photometry.psf import LEAST_STAR_SNR, MOST_STARS, Psf, Samples
from boundless_skies.node.solving.field import FloatArray

Mask = npt.NDArray[np.bool_]

# In units of the FWHM: how far beyond the circle neighbours are fitted and looked for, what
# of a neighbour's own image is fitted, and how near two stars may be and still be two.
_NEIGHBOURS_FWHM, _SEARCH_FWHM, _OWN_FWHM, _APART_FWHM = 2.0, 0.75, 0.75, 0.7
_MOST_NEIGHBOURS = 12
_MOST_FOUND = 4
_LOOKS_PER_FWHM = 3.0
# A neighbour that no detection shows must stand so clearly out of what the others leave.
_FOUND_SIGMA = 5.0
_KEPT_SIGMA = 3.0
_ITERATIONS = 25
_CONVERGED_PX = 0.002
_DERIVATIVE_PX = 0.05
_LARGEST_STEP_FWHM = 0.25
# Standard deviations of a star's place before it is fitted: a target's by the solution (but
# the position given may be less good), that of a star too faint to say anything, a detection's.
_PLACE_RMS, _LEAST_PLACE_PX, _HELD_PX, _DETECTED_PX = 2.0, 0.25, 0.02, 1.0
_TRUSTED_SIGMA = 2.0
_SKY_ROUNDS = 2
# Keeps pixels without any noise from being infinitely good.
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, eq=False)
class _Stars:
    """Stars with what is known of their places; the target is the first."""

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    known_x: FloatArray
    known_y: FloatArray
    place_px: FloatArray

    @classmethod
    def at(cls, x: Sequence[float], y: Sequence[float], place_px: Sequence[float]) -> "_Stars":
        known_x, known_y = np.array(x, np.float64), np.array(y, np.float64)
        nothing = np.zeros(len(known_x))
        return cls(known_x, known_y, nothing, known_x, known_y, np.array(place_px, np.float64))

    def __len__(self) -> int:
        return len(self.x)

    def chosen(self, kept: Mask) -> "_Stars":
        return _Stars(
            self.x[kept],
            self.y[kept],
            self.flux[kept],
            self.known_x[kept],
            self.known_y[kept],
            self.place_px[kept],
        )

    def joined(self, x: float, y: float) -> "_Stars":
        added = [x, y, 0.0, x, y, _DETECTED_PX]
        columns = [self.x, self.y, self.flux, self.known_x, self.known_y, self.place_px]
        return _Stars(*(np.append(old, new) for old, new in zip(columns, added, strict=True)))

    def with_target_place(self, place_px: float) -> "_Stars":
        return replace(self, place_px=np.append(place_px, self.place_px[1:]))


@dataclass(frozen=True, eq=False)
class _Patch:
    """The pixels around a target, those to be fitted, and the sky under them."""

    image: Image
    peak: Image
    linear_adu: float
    gain_e_per_adu: float
    aperture: Aperture
    fwhm_px: float
    psf: Psf

    def grid(self) -> tuple[FloatArray, FloatArray]:
        height, width = self.image.shape
        columns, rows = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
        return columns, rows

    def light(self, stars: _Stars) -> Image:
        """Return the light of stars in every pixel."""
        columns, rows = self.grid()
        total = np.zeros(columns.size)
        for x, y, flux in zip(stars.x, stars.y, stars.flux, strict=True):
            total += flux * self.psf.values(columns.ravel() - x, rows.ravel() - y)
        return total.reshape(self.image.shape).astype(np.float32)

    def fitted_pixels(self, stars: _Stars) -> Mask:
        """Choose the pixels near the target, and the middles of its neighbours."""
        columns, rows = self.grid()
        reach_px = self.aperture.radius_px + _SEARCH_FWHM * self.fwhm_px
        near = np.hypot(columns - stars.known_x[0], rows - stars.known_y[0]) <= reach_px
        for x, y in zip(stars.x[1:], stars.y[1:], strict=True):
            near |= np.hypot(columns - x, rows - y) <= _OWN_FWHM * self.fwhm_px
        usable = np.isfinite(self.image) & (self.peak < self.linear_adu)
        return np.asarray(near & usable, np.bool_)

    def sky(self, stars: _Stars) -> "_Sky":
        """Return the sky at the target, in the ring without its neighbours' light."""
        cleaned = self.image - self.light(stars.chosen(np.arange(len(stars)) > 0))
        found = ring_skies(cleaned, stars.known_x[:1], stars.known_y[:1], self.aperture)
        level, noise, pixels = (
            float(column[0]) for column in (found.level, found.noise, found.pixels)
        )
        return _Sky(level, noise, noise / math.sqrt(max(pixels, 1.0)))


@dataclass(frozen=True)
class _Sky:
    """Level of the sky, its noise in a pixel, and the error of the level."""

    level: float
    noise: float
    error: float


@dataclass(frozen=True, eq=False)
class _Fit:
    """Stars as fitted, their covariance (fluxes, then x, then y), and what they leave."""

    stars: _Stars
    covariance: FloatArray
    weighted: FloatArray
    terms: FloatArray
    misfit: FloatArray
    step_px: float
    columns: FloatArray
    rows: FloatArray
    residual: FloatArray
    variance: FloatArray
    sky: _Sky

    def flux_error(self) -> FloatArray:
        count = len(self.stars)
        own = np.diag(self.covariance)[:count]
        by_sky = self.covariance[:count] @ self.weighted.sum(axis=0) * self.sky.error
        errors: FloatArray = np.sqrt(own + by_sky**2)
        return errors

    @property
    def target_snr(self) -> float:
        return float(self.stars.flux[0] / self.flux_error()[0])

    def circle_error(self, aperture: Aperture) -> float:
        """Return the standard deviation of the light in the circle without the neighbours.

        What is taken off is a weighted sum of the pixels, as the circle is, so that noise
        common to both is counted once and with its sign. A neighbour's misfit is alike
        within a knot of the image's table; the target's own is no error of its circle.
        """
        count = len(self.stars)
        away_px = np.hypot(self.columns - self.stars.x[0], self.rows - self.stars.y[0])
        circle = np.clip(aperture.radius_px + 0.5 - away_px, 0.0, 1.0)
        neighbours = np.tile(np.arange(count) > 0, 3)
        lever = np.where(neighbours, circle @ self.terms, 0.0)
        taken = self.weighted @ (self.covariance @ lever)
        noise = self.variance - self.misfit.sum(axis=1)
        alike = max(self.step_px**2, 1.0) * self.misfit[:, 1:].sum(axis=1)
        variance = float(((circle - taken) ** 2 * (noise + alike)).sum())
        variance += float((taken**2 * self.misfit[:, 0]).sum())
        return math.hypot(math.sqrt(variance), float((circle - taken).sum()) * self.sky.error)


def psf_light(exposure: Exposure, ensemble: Ensemble) -> TargetLight | None:
    """Measure the target with the light of its neighbours taken off.

    The image of a star, learnt from the comparison stars, is fitted to the target and all
    its neighbours at once; then the neighbours' light is taken off the frame, and the
    circle measures what is left, as it measures the comparison stars. So the frame's zero
    point holds, and an image that fits the target less well does no harm. A target without
    neighbours is measured by the circle as always.

    Parameters
    ----------
    exposure : Exposure
        The frame.
    ensemble : Ensemble
        The comparison stars, which show the image of a star, and the aperture.

    Returns
    -------
    TargetLight or None
        None where the frame shows fewer than three stars that tell what a star looks like.

    Raises
    ------
    TargetOutsideFrame
        If its position, or part of the circle, lies outside of the image.
    TargetNotDetected
        If it is not seen and its position is only the header's.
    """
    place = exposure.require_inside(ensemble.aperture)
    psf = _psf_of(exposure, ensemble)
    if psf is None:
        return None
    patch, left, bottom = _patch(exposure, ensemble.aperture, psf, place)
    fit = _with_all_neighbours(patch, _detected(exposure, patch, place, left, bottom), exposure)
    if len(fit.stars) == 1:
        return replace(exposure.target_light(ensemble.aperture), neighbours=0)
    fluxes, foreign = _without_neighbours(patch, fit)
    fluxes = replace(fluxes, x=fluxes.x + left, y=fluxes.y + bottom)
    light = exposure.light_at_place(fluxes, centred=True)
    return replace(light, neighbours=len(fit.stars) - 1, unexplained=foreign)


def _psf_of(exposure: Exposure, ensemble: Ensemble) -> Psf | None:
    _, stars = shown_stars(exposure, ensemble)
    target_x, target_y = exposure.target_xy
    away_px = np.hypot(stars.x - target_x, stars.y - target_y)
    clear_px = 2.0 * ensemble.aperture.radius_px + exposure.detection.fwhm_px
    order = np.argsort(away_px, kind="stable")
    bright = (stars.snr >= LEAST_STAR_SNR) & (away_px > clear_px)
    nearest = order[bright[order]][:MOST_STARS]
    if not len(nearest):
        return None
    fwhm_px, gain = exposure.detection.fwhm_px, exposure.gain_at(target_x, target_y)
    samples = Samples.around(
        exposure.frame.data, stars.chosen(nearest), ensemble.aperture, fwhm_px, gain
    )
    return Psf.learn(samples, fwhm_px)


def _patch(
    exposure: Exposure, aperture: Aperture, psf: Psf, place: tuple[float, float]
) -> tuple[_Patch, int, int]:
    """Cut out the target's surroundings; also say where they begin."""
    reach_px = math.ceil(aperture.outer_px) + 2
    left, bottom = (max(round(middle) - reach_px, 0) for middle in place)
    cut = np.s_[bottom : round(place[1]) + reach_px + 1, left : round(place[0]) + reach_px + 1]
    patch = _Patch(
        image=np.ascontiguousarray(exposure.frame.data[cut]),
        peak=np.ascontiguousarray(exposure.frame.peak[cut]),
        linear_adu=LINEAR_FRACTION * exposure.frame.saturation_adu,
        gain_e_per_adu=exposure.gain_at(*place),
        aperture=aperture,
        fwhm_px=exposure.detection.fwhm_px,
        psf=psf,
    )
    return patch, left, bottom


def _detected(
    exposure: Exposure, patch: _Patch, place: tuple[float, float], left: int, bottom: int
) -> _Stars:
    """Return the target and the detected stars whose light reaches it, the nearest first."""
    detected, fwhm_px = exposure.detection.field, patch.fwhm_px
    away_px = np.hypot(detected.x - place[0], detected.y - place[1])
    own = away_px <= min(float(away_px.min(initial=np.inf)), exposure.largest_shift_px)
    reach_px = patch.aperture.radius_px + _NEIGHBOURS_FWHM * fwhm_px
    order = np.argsort(away_px, kind="stable")
    near = order[((away_px <= reach_px) & ~own)[order]][:_MOST_NEIGHBOURS]
    place_px = max(_PLACE_RMS * exposure.solution.rms_px, _LEAST_PLACE_PX)
    return _Stars.at(
        [place[0] - left, *(detected.x[near] - left)],
        [place[1] - bottom, *(detected.y[near] - bottom)],
        [place_px, *[_DETECTED_PX] * len(near)],
    )


def _with_all_neighbours(patch: _Patch, stars: _Stars, exposure: Exposure) -> _Fit:
    """Fit all stars, then look for such as no detection showed, and fit again."""
    fit = _placed(patch, _distinct(patch, stars), exposure)
    for _ in range(_MOST_FOUND):
        found = _hidden_star(patch, fit)
        if found is None:
            break
        more = _placed(patch, fit.stars.joined(*found), exposure)
        if len(more.stars) <= len(fit.stars):
            break
        fit = more
    return fit


def _placed(patch: _Patch, stars: _Stars, exposure: Exposure) -> _Fit:
    """Fit stars, the target's place believed as far as the frame bears it out."""
    fit = _fitted(patch, stars)
    moved_px = math.hypot(fit.stars.x[0] - stars.known_x[0], fit.stars.y[0] - stars.known_y[0])
    if fit.target_snr < SURE_SNR:
        return _fitted(patch, fit.stars.with_target_place(_HELD_PX))
    if moved_px > _TRUSTED_SIGMA * stars.place_px[0]:
        loose = _fitted(patch, fit.stars.with_target_place(exposure.largest_shift_px / 2.0))
        moved_px = math.hypot(
            loose.stars.x[0] - stars.known_x[0], loose.stars.y[0] - stars.known_y[0]
        )
        return loose if moved_px <= exposure.largest_shift_px else fit
    return fit


def _distinct(patch: _Patch, stars: _Stars) -> _Stars:
    """Leave out what lies too near to a star before it to be another one."""
    kept = np.ones(len(stars), dtype=bool)
    for index in range(1, len(stars)):
        apart = np.hypot(stars.x[:index] - stars.x[index], stars.y[:index] - stars.y[index])
        kept[index] = bool((apart[kept[:index]] > _APART_FWHM * patch.fwhm_px).all())
    return stars.chosen(kept)


def _fitted(patch: _Patch, stars: _Stars) -> _Fit:
    """Fit stars, and drop neighbours that turn out to be none."""
    while True:
        fit = _with_sky(patch, stars)
        kept = fit.stars.flux > _KEPT_SIGMA * fit.flux_error()
        strayed = np.hypot(fit.stars.x - stars.known_x, fit.stars.y - stars.known_y)
        kept &= strayed <= patch.fwhm_px
        kept[0] = True
        if kept.all():
            return fit
        stars = fit.stars.chosen(kept)


def _with_sky(patch: _Patch, stars: _Stars) -> _Fit:
    fit = _solved(patch, stars, patch.sky(stars))
    for _ in range(_SKY_ROUNDS):
        fit = _solved(patch, fit.stars, patch.sky(fit.stars))
    return fit


def _solved(patch: _Patch, stars: _Stars, sky: _Sky) -> _Fit:
    """Fit light and places by Gauss-Newton steps, weighted by what the model expects."""
    chosen = patch.fitted_pixels(stars)
    rows, columns = (axis.astype(np.float64) for axis in np.nonzero(chosen))
    values = patch.image[chosen].astype(np.float64) - sky.level
    problem = _Problem(patch, columns, rows, values, sky)
    for _ in range(_ITERATIONS):
        stars, moved_px = problem.step(stars)
        if moved_px < _CONVERGED_PX:
            break
    return problem.fit(stars)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Pixels to be explained by stars."""

    patch: _Patch
    columns: FloatArray
    rows: FloatArray
    values: FloatArray
    sky: _Sky

    def images(self, stars: _Stars, dx: float = 0.0, dy: float = 0.0) -> FloatArray:
        """Return each star's image, of light 1, shape (pixels, stars)."""
        return np.column_stack(
            [
                self.patch.psf.values(self.columns - x - dx, self.rows - y - dy)
                for x, y in zip(stars.x, stars.y, strict=True)
            ]
        )

    def terms(self, stars: _Stars) -> FloatArray:
        """Return the derivatives by light, x and y, shape (pixels, 3 stars)."""
        h = _DERIVATIVE_PX
        by_x = (self.images(stars, dx=h) - self.images(stars, dx=-h)) / (2.0 * h)
        by_y = (self.images(stars, dy=h) - self.images(stars, dy=-h)) / (2.0 * h)
        return np.hstack([self.images(stars), by_x * stars.flux, by_y * stars.flux])

    def variance(self, stars: _Stars) -> FloatArray:
        """Return what scatters in each pixel: sky, photons, and the image's own error."""
        light = (self.images(stars) * stars.flux).sum(axis=1)
        photons = np.maximum(light, 0.0) / self.patch.gain_e_per_adu
        total: FloatArray = self.sky.noise**2 + photons + self.misfit(stars).sum(axis=1)
        return total + _LEAST_VARIANCE

    def misfit(self, stars: _Stars) -> FloatArray:
        """Return the variance that each star's image is wrong by, shape (pixels, stars)."""
        wrong: FloatArray = self.patch.psf.mismatch * self.images(stars) * stars.flux
        return wrong**2

    def precision(self, stars: _Stars) -> FloatArray:
        """Return what is known of the stars beforehand: nothing of their light."""
        place = stars.place_px**-2.0
        return np.diag(np.concatenate([np.zeros(len(stars)), place, place]))

    def step(self, stars: _Stars) -> tuple[_Stars, float]:
        """Return better stars, and how far they moved."""
        count = len(stars)
        terms, weight, held = self.terms(stars), 1.0 / self.variance(stars), self.precision(stars)
        left = self.values - terms[:, :count] @ stars.flux
        normal = (terms * weight[:, None]).T @ terms + held
        off = np.concatenate([np.zeros(count), stars.x - stars.known_x, stars.y - stars.known_y])
        change = np.linalg.lstsq(normal, terms.T @ (weight * left) - held @ off, rcond=None)[0]
        most_px = _LARGEST_STEP_FWHM * self.patch.fwhm_px
        dx, dy = (
            np.clip(change[begin : begin + count], -most_px, most_px)
            for begin in (count, 2 * count)
        )
        moved = replace(stars, x=stars.x + dx, y=stars.y + dy)
        fluxes = self._fluxes(moved, weight)
        risen = np.abs(fluxes - stars.flux) / np.maximum(np.abs(fluxes), 1e-9)
        shift_px = float(max(np.abs(dx).max(), np.abs(dy).max(), risen.max()))
        return replace(moved, flux=fluxes), shift_px

    def _fluxes(self, stars: _Stars, weight: FloatArray) -> FloatArray:
        images = self.images(stars)
        normal = (images * weight[:, None]).T @ images
        found = np.linalg.lstsq(normal, images.T @ (weight * self.values), rcond=None)[0]
        return np.asarray(found, np.float64)

    def fit(self, stars: _Stars) -> _Fit:
        """Return the stars with their covariance."""
        terms, variance = self.terms(stars), self.variance(stars)
        weighted = terms / variance[:, None]
        normal: FloatArray = weighted.T @ terms + self.precision(stars)
        covariance = np.asarray(np.linalg.pinv(normal, hermitian=True), np.float64)
        return _Fit(
            stars=stars,
            covariance=covariance,
            weighted=weighted,
            terms=terms,
            misfit=self.misfit(stars),
            step_px=self.patch.psf.step_px,
            columns=self.columns,
            rows=self.rows,
            residual=self.values - self.images(stars) @ stars.flux,
            variance=variance,
            sky=self.sky,
        )


def _hidden_star(patch: _Patch, fit: _Fit) -> tuple[float, float] | None:
    """Return where a star is left over among those fitted, if one clearly is."""
    columns, rows, stars = fit.columns, fit.rows, fit.stars
    # Wide stars need no look at each pixel, and would take much memory.
    step = max(int(patch.fwhm_px / _LOOKS_PER_FWHM), 1)
    looked_at = (columns % step == 0) & (rows % step == 0)
    x, y = columns[looked_at], rows[looked_at]
    images = patch.psf.values((columns[:, None] - x).ravel(), (rows[:, None] - y).ravel()).reshape(
        len(columns), len(x)
    )
    weighted = images / fit.variance[:, None]
    seen = np.maximum((weighted * images).sum(axis=0), np.finfo(float).tiny)
    significance = weighted.T @ fit.residual / np.sqrt(seen)
    for star_x, star_y in zip(stars.x, stars.y, strict=True):
        significance[np.hypot(x - star_x, y - star_y) < _APART_FWHM * patch.fwhm_px] = 0.0
    best = int(np.argmax(significance)) if len(x) else -1
    if best < 0 or significance[best] < _FOUND_SIGMA:
        return None
    return float(x[best]), float(y[best])


def _without_neighbours(patch: _Patch, fit: _Fit) -> tuple[Fluxes, float]:
    """Return the light in the circle without the neighbours, and what of it may be theirs."""
    neighbours = patch.light(fit.stars.chosen(np.arange(len(fit.stars)) > 0))
    x, y = fit.stars.x[:1], fit.stars.y[:1]

    def measured(image: Image) -> Fluxes:
        return measure_fluxes(image, patch.peak, x, y, patch.aperture, patch.gain_e_per_adu)

    alone = measured(patch.image - neighbours)
    error = np.array([fit.circle_error(patch.aperture)])
    taken = abs(float((measured(patch.image).flux - alone.flux)[0]))
    foreign = patch.psf.mismatch * taken
    share = min(foreign / max(float(alone.flux[0]), foreign, 1e-9), 1.0)
    return replace(alone, error=error), share

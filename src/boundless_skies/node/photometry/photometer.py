"""The photometer: measures the target of each frame of a night on the same comparison stars."""

import datetime as dt
import itertools
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS

from boundless_skies.node.calibration.correcting import Calibration
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.catalogue.comparison_star import ComparisonSource, ComparisonStar
from boundless_skies.node.catalogue.known_variables import dropped_variables, mark_variables
from boundless_skies.node.catalogue.online.cache import AnswerCache
from boundless_skies.node.catalogue.online.networked import (
    SERVICES,
    NetworkedCatalogues,
    catalogue_band,
    default_cache_folder,
)
from boundless_skies.node.catalogue_names import BUNDLED
from boundless_skies.node.errors import NoTarget, UnreadableFrame
from boundless_skies.node.fits.channel import TRICOLOUR, Channel
from boundless_skies.node.fits.frame import Correct, Frame, read_frame
from boundless_skies.node.photometry.aperture import Aperture
from boundless_skies.node.photometry.blending import blended_fraction
from boundless_skies.node.photometry.check_star import CheckStar
from boundless_skies.node.photometry.clouds import agreeing_fraction
from boundless_skies.node.photometry.comparison import (
    CatalogueSource,
    as_stars,
    choose,
    faintest_mag,
    field_stars,
    is_crowded,
    magnitudes,
    series_radius_px,
    tie,
)
from boundless_skies.node.photometry.detection import Detection, detect
from boundless_skies.node.photometry.ensemble import LEAST_BESIDE_CHECK, Ensemble, ZeroPoint
from boundless_skies.node.photometry.exposure import (
    LEAST_TARGET_SNR,
    LIMIT_SIGMA,
    Exposure,
    TargetLight,
)
from boundless_skies.node.photometry.noise import scintillation_mag
from boundless_skies.node.photometry.provenance import (
    dropped_facts,
    software_facts,
    solution_facts,
    star_facts,
    used_stars,
)
from boundless_skies.node.photometry.psf_fit import psf_light
from boundless_skies.node.photometry.quality import Circumstances, Verdict, judge
from boundless_skies.node.photometry.series_record import SeriesRecord
from boundless_skies.node.photometry.settings import Method, PhotometrySettings, Target
from boundless_skies.node.photometry.stacking import Reading
from boundless_skies.node.solving.field import Hint, Solution, Solver, StarField
from boundless_skies.node.solving.pointing import solve_field
from boundless_skies.node.solving.seiza_solver import SeizaSolver
from boundless_skies.sky import Site, airmass, altitude_azimuth_deg, bjd_tdb
from boundless_skies.sky.targets import find_target
from boundless_skies.wire import Measurement

DEFAULT_FILTER = "CV"
FILTERS = frozenset(
    ("U", "B", "V", "R", "I", "CV", "CR", "SU", "SG", "SR", "SI", "SZ", "TB", "TG", "TR", "CBB")
)
"""The AAVSO's abbreviations that a header's own filter name is taken for."""

# More foreign light than this in the circle, and a fit measures better.
_BLENDED_FRACTION = 0.02
_KNOWN_SOLUTION = "the header's or the last frame's solution, refined"
_ENSEMBLES_KEPT = 32
_CUTOUT_RADII = 3.0
# Brighter stars saturate every camera; fainter ones are lost in the sky of a small telescope.
_BRIGHTEST_MAG, _FAINTEST_MAG = 2.0, 16.0
# Enough for a zero point beside a check star.
_ENOUGH_STARS = LEAST_BESIDE_CHECK + 1


@dataclass(frozen=True, kw_only=True)
class FrameMeasurement:
    """One point, and how it came about.

    Attributes
    ----------
    measurement : Measurement
        What goes over the wire.
    target : Target
        What was measured.
    x_px, y_px : float
        Where it lies in the file's image, 0-based, x along NAXIS1.
    aperture_px : float
        Radius of the circle in pixels of the file's image.
    wcs : WCS
        The plate solution, for the image with Bayer cells folded into one pixel each.
    reasons : tuple of str
        Why the quality is below "good"; empty when it is good.
    verdict : Verdict
        The same with what was found.
    comparisons : tuple of ComparisonStar
        The stars behind the zero point, the weightiest first.
    provenance : dict
        How it came about, as plain JSON.
    zero_point_error : float
        Random standard deviation of the frame's zero point, magnitudes.
    is_limit : bool
        Whether the target is not seen, and its magnitude is how faint it must be: fainter
        than what is in the aperture (or nothing) and 3 σ.
    """

    measurement: Measurement
    target: Target
    x_px: float
    y_px: float
    aperture_px: float
    wcs: WCS
    reasons: tuple[str, ...]
    verdict: Verdict
    comparisons: tuple[ComparisonStar, ...]
    provenance: dict[str, Any]
    zero_point_error: float
    is_limit: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement's keys of the wire, and those of its provenance behind them."""
        told = self.measurement.to_dict() | {"is_limit": self.is_limit}
        return told | self.verdict.to_dict() | self.provenance

    @property
    def limit_sentence(self) -> str:
        """What to tell where a measurement is wanted and this is a limit."""
        point = self.measurement
        return (
            f"{point.target_name} is not seen: its signal to noise is {point.snr:.1f}, below "
            f"{LEAST_TARGET_SNR:.0f}; it is fainter than {point.magnitude:.2f} mag {point.filter}."
        )

    @property
    def flags(self) -> int:
        """The reasons as a mask; see `boundless_skies.wire.quality_reasons`."""
        return self.verdict.bits


@dataclass(frozen=True)
class _Series:
    """What the frames of one target have in common."""

    ensemble: Ensemble
    comparisons: tuple[ComparisonStar, ...]
    crowded: bool
    check: CheckStar | None
    by_psf: bool
    dropped: tuple[ComparisonStar, ...] = ()
    record: SeriesRecord = field(default_factory=SeriesRecord)


class Photometer:
    """Measures frames; keeps the last solution and each target's comparison stars.

    Frames of one target, filter, image size and exposure time share an ensemble: the
    same comparison stars, the same aperture. May be used from several threads; they
    wait for each other.

    Parameters
    ----------
    settings : PhotometrySettings
        What the config says. Its darks and flats are read at once:
        FrameNotCalibrated tells what is wrong with them.
    catalogue : Catalogue, optional
        What solutions are checked with; the bundled Tycho-2 by default.
    solver : Solver, optional
        Plate solver; seiza by default.
    source : ComparisonSource, optional
        Where the comparison stars' magnitudes come from, whatever the filter; by default
        the settings' catalogues, each of which is asked for the band nearest to the filter.
    """

    def __init__(
        self,
        settings: PhotometrySettings,
        catalogue: Catalogue | None = None,
        solver: Solver | None = None,
        source: ComparisonSource | None = None,
    ) -> None:
        self.settings = settings
        self._catalogue = catalogue if catalogue is not None else Catalogue.load()
        self._solver = solver if solver is not None else SeizaSolver(self._catalogue)
        self._source = source
        self._networked = _networked(settings)
        self._correct = _correction(settings)
        self._series: OrderedDict[tuple[object, ...], _Series] = OrderedDict()
        self._last_wcs: tuple[tuple[int, int], WCS] | None = None
        self._lock = threading.Lock()

    def measure(
        self, path: str | os.PathLike[str], *, target: Target | None = None
    ) -> FrameMeasurement:
        """Measure the target of one frame.

        Parameters
        ----------
        path : path-like
            A finished FITS file.
        target : Target, optional
            Wins over the config's target, which wins over the header's. A well-known
            name without a position is looked up (`find_target`).

        Returns
        -------
        FrameMeasurement
            The point and how it came about.

        Raises
        ------
        FrameError
            If there is no point in it; the message says why and what to do.
        """
        return self.measure_exposure(self.expose(path, target=target))

    def expose(self, path: str | os.PathLike[str], *, target: Target | None = None) -> Exposure:
        """Read a frame, find its stars and solve it: what needs no other frame of the night.

        Parameters
        ----------
        path : path-like
            A finished FITS file.
        target : Target, optional
            As for :meth:`measure`.

        Returns
        -------
        Exposure
            For :meth:`measure_exposure`, of this photometer or one with equal settings.

        Raises
        ------
        FrameError
            If the frame cannot be read or solved, or names no target.
        """
        frame = read_frame(path, self.settings.channel, self._correct)
        if self.settings.saturation_adu:
            frame = replace(frame, saturation_adu=self.settings.saturation_adu)
        with self._lock:
            return self._expose(frame, target or self._target_of(frame))

    def measure_exposure(self, exposure: Exposure) -> FrameMeasurement:
        """Measure a solved frame on the comparison stars of its series, which learn from it.

        Parameters
        ----------
        exposure : Exposure
            The first one of a series ties the ensemble: hand them over in the order of time.

        Returns
        -------
        FrameMeasurement
            The point and how it came about.

        Raises
        ------
        FrameError
            If the target or enough comparison stars are not seen.
        """
        with self._lock:
            series = self._series_of(exposure)
            light = _light(exposure, series.ensemble, by_psf=series.by_psf)
            air = self._airmass(exposure)
            scintillation = self._scintillation_mag(exposure.frame, air)
            zero_point = tie(exposure, series.ensemble, scintillation)
            return self._point(exposure, series, light, zero_point)

    def read(self, exposure: Exposure) -> Reading:
        """Tell what a solved frame holds of the target, for a stack; its series learns from it.

        Parameters
        ----------
        exposure : Exposure
            Hand them over in the order of time.

        Returns
        -------
        Reading
            For :func:`~boundless_skies.node.photometry.stacking.stack`.

        Raises
        ------
        FrameError
            If the target lies outside, or enough comparison stars are not seen.
        """
        with self._lock:
            series = self._series_of(exposure)
            forced, centred = exposure.forced_fluxes(series.ensemble.aperture)
            air = self._airmass(exposure)
            scintillation = self._scintillation_mag(exposure.frame, air)
            zero_point = tie(exposure, series.ensemble, scintillation)
            most = np.maximum(forced.flux, 0.0) + LIMIT_SIGMA * forced.error
            seen = TargetLight(forced, float(forced.snr[0]), is_limit=False)
            light = replace(seen, fluxes=replace(forced, flux=most), is_limit=True)
            found = self._point(exposure, series, light, zero_point)
            x, y = float(forced.x[0]), float(forced.y[0])
            # By the circle, which is the series' own: each frame's stars have another width.
            reach_px = math.ceil(_CUTOUT_RADII * series.ensemble.aperture.radius_px)
            return Reading(
                found=found,
                middle_utc=_middle(exposure.frame),
                forced=forced,
                centred=centred,
                gain_e_per_adu=exposure.gain_at(x, y),
                scintillation_mag=scintillation,
                noise_factor=series.ensemble.noise_factor,
                floor_mag=series.ensemble.floor_mag,
                circumstances=_circumstances(exposure, series, seen, zero_point, air),
                cutout=exposure.cutout(x, y, reach_px),
                fwhm_px=exposure.detection.fwhm_px,
                largest_shift_px=exposure.largest_shift_px,
                series=self._series_key(exposure),
            )

    def _target_of(self, frame: Frame) -> Target:
        if self.settings.target is not None:
            return self.settings.target
        name = self.settings.target_name or frame.facts.object_name
        if star := find_target(name):  # a header's position may be only where the mount pointed
            return Target.at(star.ra_deg, star.dec_deg, star.name)
        position = frame.facts.position_deg
        if position is None:
            raise NoTarget(
                f"{frame.name} names no target position (OBJCTRA and OBJCTDEC, or RA and DEC): "
                "give one with --target, --ra and --dec, or in the config."
            )
        return Target.at(*position, name, from_header=True)

    def _expose(self, frame: Frame, target: Target) -> Exposure:
        detection = detect(frame)
        solution, solver = self._solve(frame, detection, target)
        return Exposure(
            frame=frame,
            detection=detection,
            solution=solution,
            solver=solver,
            target=target,
            gain_e_per_adu=self.settings.gain_e_per_adu or frame.facts.gain_e_per_adu,
        )

    def _solve(self, frame: Frame, detection: Detection, target: Target) -> tuple[Solution, str]:
        """Return the solution, and where it comes from."""
        facts, stated = frame.facts, self.settings.scale_arcsec_px
        positions = [place for place in (facts.position_deg, target.position_deg) if place]
        scales = (stated,) if stated else facts.scales_arcsec_px
        solver = _AskedSolver(self._solver)
        solution = solve_field(
            detection.field,
            self._catalogue,
            solver,
            known=[wcs for wcs in (frame.wcs, self._wcs_before(frame)) if wcs is not None],
            positions_deg=positions,
            scales_arcsec_px=[scale * frame.cell_px for scale in scales],
        )
        self._last_wcs = (frame.shape, solution.wcs)
        return solution, solver.name if solver.asked else _KNOWN_SOLUTION

    def _wcs_before(self, frame: Frame) -> WCS | None:
        if self._last_wcs is None or self._last_wcs[0] != frame.shape:
            return None
        return self._last_wcs[1]

    def _series_key(self, exposure: Exposure) -> tuple[object, ...]:
        frame = exposure.frame
        facts = frame.facts
        # Two filters may be reported as the same band; their stars' offsets differ.
        glass = facts.filter_name.strip().upper()
        return (exposure.target, self._filter(frame), glass, frame.shape, facts.exposure_s)

    def _series_of(self, exposure: Exposure) -> _Series:
        key = self._series_key(exposure)
        if key not in self._series:
            self._series[key] = self._new_series(exposure)
        self._series.move_to_end(key)
        while len(self._series) > _ENSEMBLES_KEPT:
            self._series.popitem(last=False)
        return self._series[key]

    def _new_series(self, exposure: Exposure) -> _Series:
        aperture = self._new_aperture(exposure)
        scale_deg, fwhm_px = exposure.scale_arcsec_px / 3600.0, exposure.detection.fwhm_px
        target, own_deg = exposure.target, fwhm_px * scale_deg
        around_deg = self._radius_deg(exposure)
        around = self._catalogue.cone(*target.position_deg, around_deg)
        reach_deg = (2.0 * aperture.radius_px + fwhm_px) * scale_deg
        near_deg = (aperture.radius_px + fwhm_px) * scale_deg
        faint_mag = faintest_mag(exposure, around, aperture)

        variables = self._networked.variables(target.position_deg, around_deg)
        offered: list[ComparisonStar] = []

        def chosen_of(source: ComparisonSource) -> list[ComparisonStar]:
            listed = source.stars(target.position_deg, around_deg, _BRIGHTEST_MAG, _FAINTEST_MAG)
            known = mark_variables(listed, variables)
            offered.extend(known)
            return choose(known, around, target, reach_deg, own_deg, faint_mag)

        chosen = self._best_choice(exposure, aperture, chosen_of)
        others = field_stars(exposure, around, aperture, reach_deg)
        gain_known = exposure.gain_e_per_adu is not None
        ensemble = Ensemble(as_stars(chosen) + others, aperture, gain_known=gain_known)
        crowded = is_crowded(around, target, near_deg, own_deg=own_deg)
        by_psf = self._by_psf(exposure, aperture, crowded=crowded)
        return _Series(
            ensemble,
            tuple(chosen),
            crowded,
            _check_star(exposure, chosen, ensemble, by_psf=by_psf),
            by_psf,
            dropped_variables(offered, chosen, target.position_deg, faint_mag),
        )

    def _by_psf(self, exposure: Exposure, aperture: Aperture, *, crowded: bool) -> bool:
        """Choose the method of a series: a change of it on the way would be a step."""
        if self.settings.method is not Method.AUTO:
            return self.settings.method is Method.PSF
        forced, _ = exposure.forced_fluxes(aperture)
        foreign = blended_fraction(exposure, forced, aperture.radius_px)
        return crowded or foreign > _BLENDED_FRACTION

    def _best_choice(
        self,
        exposure: Exposure,
        aperture: Aperture,
        chosen_of: Callable[[ComparisonSource], list[ComparisonStar]],
    ) -> list[ComparisonStar]:
        """Return the first source's stars of which the frame shows enough, else the most."""
        *others, last = self._sources(self._filter(exposure.frame))
        best: list[ComparisonStar] = []
        most = 0
        for source in others:
            chosen = chosen_of(source)
            usable = _usable(exposure, aperture, chosen)
            if usable >= _ENOUGH_STARS:
                return chosen
            if usable > most:
                best, most = chosen, usable
        chosen = chosen_of(last)
        return best if most and most > _usable(exposure, aperture, chosen) else chosen

    def _sources(self, filter_name: str) -> list[ComparisonSource]:
        if self._source is not None:
            return [self._source]
        bundled = CatalogueSource(self._catalogue)
        return [*self._networked.sources(catalogue_band(filter_name)), bundled]

    def _radius_deg(self, exposure: Exposure) -> float:
        """Return how far a star may lie that a frame shows wherever in it the target drifts."""
        height, width = exposure.frame.shape
        return min(math.hypot(width, height) * exposure.scale_arcsec_px / 3600.0, 60.0)

    def _new_aperture(self, exposure: Exposure) -> Aperture:
        fwhm_px = exposure.detection.fwhm_px
        if self.settings.aperture_radius_px:
            return Aperture.around(
                self.settings.aperture_radius_px / exposure.frame.cell_px, fwhm_px
            )
        return Aperture.around(series_radius_px(exposure), fwhm_px)

    def _point(
        self, exposure: Exposure, series: _Series, light: TargetLight, zero_point: ZeroPoint
    ) -> FrameMeasurement:
        frame, air, fluxes = exposure.frame, self._airmass(exposure), light.fluxes
        verdict = judge(_circumstances(exposure, series, light, zero_point, air))
        noise_factor, floor_mag = series.ensemble.noise_factor, series.ensemble.floor_mag
        own_mag = math.hypot(float(fluxes.error_mag[0]), self._scintillation_mag(frame, air))
        measurement = Measurement(
            target_name=exposure.target.name,
            bjd=bjd_tdb(_middle(frame), *exposure.target.position_deg, self._site(frame)),
            magnitude=float(fluxes.instrumental_mag[0]) + zero_point.value,
            uncertainty=math.hypot(noise_factor * own_mag, floor_mag, zero_point.error),
            filter=self._filter(frame),
            airmass=air,
            fwhm=exposure.detection.fwhm_px * frame.cell_px,
            snr=light.snr,
            comparison_stars=zero_point.stars,
            quality_flag=verdict.flag,
            node_id=self.settings.node_id,
            zero_point=zero_point.value,
            zp_scatter=zero_point.scatter,
            fits_file=frame.name,
        )
        x_px, y_px = frame.to_file_px(float(fluxes.x[0]), float(fluxes.y[0]))
        return FrameMeasurement(
            measurement=measurement,
            target=exposure.target,
            x_px=x_px,
            y_px=y_px,
            aperture_px=series.ensemble.aperture.radius_px * frame.cell_px,
            wcs=exposure.solution.wcs,
            reasons=verdict.names,
            verdict=verdict,
            comparisons=used_stars(series.comparisons, zero_point),
            provenance=self._provenance(exposure, series, light, zero_point),
            zero_point_error=zero_point.error,
            is_limit=light.is_limit,
        )

    def _provenance(
        self, exposure: Exposure, series: _Series, light: TargetLight, zero_point: ZeroPoint
    ) -> dict[str, Any]:
        ensemble, cell_px = series.ensemble, exposure.frame.cell_px
        aperture = ensemble.aperture
        check = series.check.measure(zero_point) if series.check else None
        ring_px = [round(edge * cell_px, 2) for edge in (aperture.inner_px, aperture.outer_px)]
        return {
            "exposure_s": exposure.frame.facts.exposure_s,
            "method": Method.APERTURE if light.neighbours is None else Method.PSF,
            "fitted_neighbours": light.neighbours,
            "aperture_px": round(aperture.radius_px * cell_px, 2),
            "annulus_px": ring_px,
            "sky_adu": round(float(light.fluxes.sky[0]), 2),
            "gain_e_per_adu": exposure.gain_e_per_adu,
            "noise_from": ensemble.noise_from,
            "noise_factor": round(ensemble.noise_factor, 3),
            "noise_floor_mag": round(ensemble.floor_mag, 4),
            "calibration": list(self.settings.calibration.kinds),
            "solver": exposure.solver,
            **solution_facts(exposure.frame, exposure.solution),
            **star_facts(series.comparisons, zero_point, check),
            **dropped_facts(series.dropped),
            **software_facts(),
        }

    def _filter(self, frame: Frame) -> str:
        return self.settings.filter_name or _band(frame)

    def _site(self, frame: Frame) -> Site | None:
        return self.settings.site or frame.facts.site

    def _airmass(self, exposure: Exposure) -> float | None:
        site = self._site(exposure.frame)
        if site is None:
            return None
        middle, position = _middle(exposure.frame), exposure.target.position_deg
        return airmass(altitude_azimuth_deg(middle, *position, site)[0])

    def _scintillation_mag(self, frame: Frame, air: float | None) -> float:
        diameter_mm, seconds = self.settings.telescope_aperture_mm, frame.facts.exposure_s
        if not diameter_mm or not seconds:
            return 0.0
        site = self._site(frame)
        return scintillation_mag(diameter_mm, seconds, air or 1.0, site.elevation_m if site else 0)


def _usable(exposure: Exposure, aperture: Aperture, comparisons: Sequence[ComparisonStar]) -> int:
    """Return how many comparison stars a frame shows well."""
    ensemble = Ensemble(as_stars(comparisons), aperture, gain_known=True)
    return int(np.isfinite(magnitudes(exposure, ensemble)[0]).sum())


def _correction(settings: PhotometrySettings) -> Correct | None:
    """Return what takes darks and flats off a frame; None where there are none."""
    if not settings.calibration:
        return None
    cache = default_cache_folder(settings.data_dir, "calibration")
    return Calibration.load(settings.calibration, cache).correct


def _networked(settings: PhotometrySettings) -> NetworkedCatalogues:
    """Return what gives the sources before the bundled one, by band, and who varies."""
    wished = itertools.takewhile(lambda name: name != BUNDLED, settings.catalogues)
    own = settings.catalogue_cache
    folder = Path(own).expanduser() if own else default_cache_folder(settings.data_dir)
    services = [SERVICES[name]() for name in dict.fromkeys(wished)]
    return NetworkedCatalogues(services, AnswerCache(folder))


@dataclass
class _AskedSolver:
    """A solver that remembers whether it was needed."""

    solver: Solver
    asked: bool = False

    @property
    def name(self) -> str:
        return type(self.solver).__name__.removesuffix("Solver").lower()

    def solve(self, field: StarField, hint: Hint) -> WCS | None:
        self.asked = True
        return self.solver.solve(field, hint)


def _light(exposure: Exposure, ensemble: Ensemble, *, by_psf: bool) -> TargetLight:
    """Measure the target; by its circle where too few stars show the image of a star."""
    light = psf_light(exposure, ensemble) if by_psf else None
    return light or exposure.target_light(ensemble.aperture)


def _check_star(
    exposure: Exposure,
    comparisons: Sequence[ComparisonStar],
    ensemble: Ensemble,
    *,
    by_psf: bool,
) -> CheckStar | None:
    """Choose the check star of a series by its first frame; the ensemble goes without it."""
    instrumental_mag, _ = magnitudes(exposure, ensemble)
    light = _light(exposure, ensemble, by_psf=by_psf)
    target_mag = float(light.fluxes.instrumental_mag[0])
    check = CheckStar.choose(comparisons, instrumental_mag, target_mag)
    if check is not None:
        ensemble.hold_out(check.index)
    return check


def _band(frame: Frame) -> str:
    """Return the AAVSO's abbreviation of what a frame was taken in, as far as it tells."""
    stated = frame.facts.filter_name.upper()
    if frame.channel is None:
        return stated if stated in FILTERS else DEFAULT_FILTER
    # What the file says of all its colours together is not true of one of them, nor the reverse.
    whole = frame.channel is Channel.LUMINANCE and stated in FILTERS - TRICOLOUR
    return stated if whole else frame.channel.band


def _middle(frame: Frame) -> dt.datetime:
    if frame.facts.mid_exposure_utc is None:
        raise UnreadableFrame(f"{frame.name} does not say when it was exposed.")
    return frame.facts.mid_exposure_utc


def _circumstances(
    exposure: Exposure,
    series: _Series,
    light: TargetLight,
    zero_point: ZeroPoint,
    air: float | None,
) -> Circumstances:
    ensemble, detection, fluxes = series.ensemble, exposure.detection, light.fluxes
    whole_ring = exposure.inside(fluxes.x, fluxes.y, ensemble.aperture.outer_px)
    beside = series.record.compare(exposure, zero_point, ensemble.aperture.radius_px, air)
    return Circumstances(
        peak_fraction=float(fluxes.peak[0]) / exposure.frame.saturation_adu,
        snr=float(fluxes.snr[0]),
        comparison_stars=zero_point.stars,
        zp_scatter=zero_point.scatter,
        elongation=detection.elongation,
        airmass=air,
        crowded=series.crowded,
        cut_ring=not whole_ring.all(),
        dimming_mag=beside.dimming_mag,
        agreeing_fraction=agreeing_fraction(
            exposure, ensemble.stars, ensemble.aperture, zero_point
        ),
        widening=beside.widening,
        fwhm_arcsec=detection.fwhm_px * exposure.scale_arcsec_px,
        fwhm_px=detection.fwhm_px,
        concentration=detection.concentration,
        blended_fraction=_foreign_fraction(exposure, light, ensemble.aperture),
    )


def _foreign_fraction(exposure: Exposure, light: TargetLight, aperture: Aperture) -> float:
    """Return how much of what was measured is not the target's: after a fit, what it left."""
    if light.neighbours is not None:
        return light.unexplained
    return blended_fraction(exposure, light.fluxes, aperture.radius_px)

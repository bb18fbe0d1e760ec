"""Which stars a target is compared with, and what a frame shows of them."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from boundless_skies.node.catalogue import Catalogue, Stars
from boundless_skies.node.catalogue.comparison_star import ComparisonStar
from boundless_skies.node.catalogue.tycho2 import separation_deg
from boundless_skies.node.errors import NoComparisonStars
from boundless_skies.node.photometry.aperture import Aperture, Fluxes, good_radius_px
from boundless_skies.node.photometry.ensemble import LEAST_STARS, Ensemble, ZeroPoint
from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.photometry.settings import Target
from boundless_skies.node.solving.field import FloatArray

LEAST_SNR = 20.0
MOST_STARS = 120
MOST_FIELD_STARS = 200
_MOST_DETECTIONS = 1000
_STARS_FOR_DEPTH = 200
_DEPTH_MARGIN_MAG = 1.0
# In units of the FWHM: a smaller circle feels each change of the seeing, a larger one the sky.
_RADII_FWHM = np.linspace(1.2, 2.0, 9)
_USUAL_RADIUS_FWHM = 1.5
_SMALLEST_RADIUS_PX = 2.0
_LEAST_STARS_FOR_RADIUS = 5
# Cameras with anti-blooming bend long before they saturate.
LINEAR_FRACTION = 0.6
# A neighbour this much fainter adds 6 % at most; the ensemble's offsets take that up.
NEIGHBOUR_MAG = 3.0
COLOUR_RANGE_MAG = 0.7
"""How far in B - V, or in BP - RP, a comparison star may lie from the median of its field.

The air takes more of blue light than of red, so that a star of odd colour drifts against
the others while the field sets.
"""


class CatalogueSource:
    """The bundled Tycho-2 as a source of comparison stars.

    Parameters
    ----------
    catalogue : Catalogue
        The packed catalogue.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def stars(
        self, field_center: tuple[float, float], radius_deg: float, bright: float, faint: float
    ) -> list[ComparisonStar]:
        """Return the catalogue's stars around a position, brightest first.

        Parameters
        ----------
        field_center : tuple of float
            Right ascension and declination, J2000, degrees.
        radius_deg : float
            How far from it they may lie.
        bright, faint : float
            The brightest and the faintest V_T.

        Returns
        -------
        list of ComparisonStar
            Without names and colours, which are not packed.
        """
        found = self._catalogue.cone(*field_center, radius_deg, mag_limit=faint)
        found = found[found.mag >= bright]
        rows = zip(found.ra_deg.tolist(), found.dec_deg.tolist(), found.mag.tolist(), strict=True)
        return [
            ComparisonStar(
                ra_deg=ra_deg, dec_deg=dec_deg, magnitude=mag, band="VT", catalogue="Tycho-2"
            )
            for ra_deg, dec_deg, mag in rows
        ]


def as_stars(comparisons: Sequence[ComparisonStar]) -> Stars:
    """Return places and magnitudes of comparison stars as arrays, in their order."""
    rows = [(star.ra_deg, star.dec_deg, star.magnitude) for star in comparisons]
    ra_deg, dec_deg, mag = np.array(rows, np.float64).reshape(-1, 3).T
    return Stars(ra_deg, dec_deg, mag)


def choose(
    known: Sequence[ComparisonStar],
    around: Stars,
    target: Target,
    reach_deg: float,
    own_deg: float,
    faint_mag: float = math.inf,
) -> list[ComparisonStar]:
    """Choose the candidates: constant, alone in their aperture, of usual colour, not the target.

    The choice depends on nothing but source, catalogue, target and aperture, so that it
    is the same for every frame of a night.

    Parameters
    ----------
    known : sequence of ComparisonStar
        What the source knows around the target.
    around : Stars
        All stars of the bundled catalogue there: a source may leave out neighbours.
    target : Target
        What is measured.
    reach_deg : float
        How near no other star may be that is brighter, or less than 3 mag fainter.
    own_deg : float
        A star of the bundled catalogue nearer than this is the same star.
    faint_mag : float, optional
        Fainter stars are not chosen; as neighbours they count.

    Returns
    -------
    list of ComparisonStar
        At most the 120 nearest to the target, nearest first.
    """
    stars = as_stars(known)
    distance = separation_deg(stars.ra_deg, stars.dec_deg, target.ra_deg, target.dec_deg)
    nearest = np.argsort(distance, kind="stable")
    nearest = nearest[distance[nearest] > reach_deg]
    usual = _usual_colours(known)
    alone = (
        known[index]
        for index in nearest.tolist()
        if not known[index].is_variable
        and known[index].magnitude <= faint_mag
        and _is_usual(known[index], usual)
        and _neighbours(stars, known[index], reach_deg, 0.0) == 0
        and _neighbours(around, known[index], reach_deg, own_deg) == 0
    )
    return list(itertools.islice(alone, MOST_STARS))


def _colours(star: ComparisonStar) -> FloatArray:
    """Return B - V and BP - RP; NaN where unknown."""
    return np.array([star.colour_bv, star.colour_bp_rp], np.float64)


def _usual_colours(known: Sequence[ComparisonStar]) -> FloatArray:
    """Return the median of each colour; NaN where no star tells it."""
    colours = np.array([_colours(star) for star in known]).reshape(-1, 2).T
    told = [column[np.isfinite(column)] for column in colours]
    return np.array([np.median(column) if column.size else np.nan for column in told])


def _is_usual(star: ComparisonStar, usual: FloatArray) -> bool:
    """Say whether a star's colour is like the others'; an unknown one is taken as such."""
    return not bool((np.abs(_colours(star) - usual) > COLOUR_RANGE_MAG).any())


def is_crowded(around: Stars, target: Target, reach_deg: float, own_deg: float) -> bool:
    """Say whether a catalogue star other than the target lies near it.

    Parameters
    ----------
    around : Stars
        The catalogue around the target.
    target : Target
        What is measured.
    reach_deg : float
        How near the other must be.
    own_deg : float
        A star nearer than this is the target itself.

    Returns
    -------
    bool
        True where one is.
    """
    distance = separation_deg(around.ra_deg, around.dec_deg, target.ra_deg, target.dec_deg)
    return bool(((distance > own_deg) & (distance <= reach_deg)).any())


def faintest_mag(exposure: Exposure, around: Stars, aperture: Aperture) -> float:
    """Return how faint a star may be to be well seen in a frame, with a margin.

    A catalogue that goes deep lists more stars than a frame shows; those nearest to the
    target would all be too faint.

    Parameters
    ----------
    exposure : Exposure
        The frame.
    around : Stars
        The bundled catalogue's stars there, which tell roughly how bright the frame shows
        stars.
    aperture : Aperture
        Circle and ring.

    Returns
    -------
    float
        Magnitude of a signal to noise of 20, and 1 mag; infinite where no star tells.
    """
    brightest = around[:_STARS_FOR_DEPTH]
    x, y = exposure.places(brightest)
    shown = exposure.inside(x, y, aperture.outer_px)
    fluxes = exposure.fluxes(x[shown], y[shown], aperture)
    seen = _well_shown(exposure, fluxes)
    if not seen.any():
        return math.inf
    zero_point = float(np.median(brightest.mag[shown][seen] - fluxes.instrumental_mag[seen]))
    photons = LEAST_SNR / exposure.assumed_gain
    sky_adu2 = math.pi * aperture.radius_px**2 * exposure.detection.noise_adu**2
    # The root of flux = SNR · √(flux / gain + area · noise²).
    flux = LEAST_SNR * (photons + math.sqrt(photons**2 + 4.0 * sky_adu2)) / 2.0
    return zero_point - 2.5 * math.log10(flux) + _DEPTH_MARGIN_MAG


def series_radius_px(exposure: Exposure) -> float:
    """Return the radius of the circle for a series, by what its first frame shows.

    Parameters
    ----------
    exposure : Exposure
        The first frame.

    Returns
    -------
    float
        The middle of the circles, from 1.2 to 2 times the full width at half maximum, that
        cost the frame's stars, in the median, at most a hundredth of their best signal to
        noise; 1.5 times where fewer than five stars tell. At least 2 px.
    """
    fwhm_px = exposure.detection.fwhm_px
    radii_px = np.maximum(_RADII_FWHM * fwhm_px, _SMALLEST_RADIUS_PX)
    largest = Aperture.around(float(radii_px[-1]), fwhm_px)
    x, y = _alone(exposure, largest, 2.0 * largest.radius_px + fwhm_px)
    measured = [
        exposure.fluxes(x, y, Aperture.around(radius_px, fwhm_px)) for radius_px in radii_px
    ]
    shown = np.all([_well_shown(exposure, fluxes) for fluxes in measured], axis=0)
    if shown.sum() < _LEAST_STARS_FOR_RADIUS:
        return max(_USUAL_RADIUS_FWHM * fwhm_px, _SMALLEST_RADIUS_PX)
    snr = np.array([fluxes.snr[shown] for fluxes in measured])
    return good_radius_px(snr, radii_px)


def tie(exposure: Exposure, ensemble: Ensemble, scintillation_mag: float = 0.0) -> ZeroPoint:
    """Measure the comparison stars of a frame and find its zero point.

    Parameters
    ----------
    exposure : Exposure
        The frame.
    ensemble : Ensemble
        The target's comparison stars; learns from the frame.
    scintillation_mag : float, optional
        What each star scatters on top of its photons and its sky, magnitudes.

    Returns
    -------
    ZeroPoint
        From at least three stars.

    Raises
    ------
    NoComparisonStars
        If fewer are left that are inside, unsaturated and bright enough.
    """
    instrumental_mag, error_mag = magnitudes(exposure, ensemble)
    error_mag = np.hypot(error_mag, scintillation_mag)
    zero_point = ensemble.tie(instrumental_mag, error_mag, exposure.away(ensemble.stars))
    if zero_point is None:
        usable = int((np.isfinite(instrumental_mag) & np.isfinite(ensemble.stars.mag)).sum())
        raise _no_comparison_stars(usable)
    return zero_point


def _no_comparison_stars(usable: int) -> NoComparisonStars:
    """Say whether there are too few stars, or too few that agree."""
    if usable < LEAST_STARS:
        told = (
            f"{usable} comparison stars with a catalogue magnitude are usable in the frame, "
            f"{LEAST_STARS} are needed: point so that more stars brighter than about 11.5 mag "
            "fall into it, and expose so that they are well seen but not saturated."
        )
    else:
        told = (
            f"{usable} comparison stars with a catalogue magnitude are usable in the frame, but "
            f"fewer than {LEAST_STARS} agree with each other and with the frames before: look "
            "for clouds or dew in a part of the frame; after a change of the camera, start a new "
            "night."
        )
    return NoComparisonStars(told, usable=usable, needed=LEAST_STARS)


def magnitudes(exposure: Exposure, ensemble: Ensemble) -> tuple[FloatArray, FloatArray]:
    """Measure the candidates of an ensemble in a frame.

    Parameters
    ----------
    exposure : Exposure
        The frame.
    ensemble : Ensemble
        The candidates, and their aperture.

    Returns
    -------
    tuple of ndarray, shape (stars,)
        Instrumental magnitude and its error; NaN where the frame does not show a star well.
    """
    instrumental_mag = np.full(len(ensemble.stars), np.nan)
    error_mag = np.full(len(ensemble.stars), np.nan)
    shown, fluxes = shown_stars(exposure, ensemble)
    instrumental_mag[shown] = fluxes.instrumental_mag
    error_mag[shown] = fluxes.error_mag
    return instrumental_mag, error_mag


def shown_stars(exposure: Exposure, ensemble: Ensemble) -> tuple[npt.NDArray[np.int_], Fluxes]:
    """Measure the candidates of an ensemble that a frame shows well.

    Parameters
    ----------
    exposure : Exposure
        The frame.
    ensemble : Ensemble
        The candidates, and their aperture.

    Returns
    -------
    tuple of ndarray of int and Fluxes
        Their places among the candidates, and their light.
    """
    x, y = exposure.places(ensemble.stars)
    shown = np.flatnonzero(exposure.inside(x, y, ensemble.aperture.outer_px))
    new_x, new_y, near = exposure.centred(x[shown], y[shown])
    fluxes = exposure.fluxes(new_x, new_y, ensemble.aperture)
    good = near & _well_shown(exposure, fluxes)
    return shown[good], fluxes.chosen(good)


def field_stars(exposure: Exposure, around: Stars, aperture: Aperture, reach_deg: float) -> Stars:
    """Choose detected stars that no catalogue knows, to steady the zero point.

    Parameters
    ----------
    exposure : Exposure
        The first frame of a series.
    around : Stars
        The catalogue's stars, none of which is chosen again.
    aperture : Aperture
        Circle and ring.
    reach_deg : float
        How near the target may not be, nor another detection of a sixteenth of the light.

    Returns
    -------
    Stars
        At most the 200 brightest that are alone and well seen, with magnitudes of NaN.
    """
    reach_px = reach_deg * 3600.0 / exposure.scale_arcsec_px
    x, y = _alone(exposure, aperture, reach_px)
    unknown = ~_near(exposure, x, y, around, reach_px)
    fluxes = exposure.fluxes(x[unknown], y[unknown], aperture)
    seen = _well_shown(exposure, fluxes)
    ra_deg, dec_deg = exposure.solution.wcs.all_pix2world(fluxes.x[seen], fluxes.y[seen], 0)
    return Stars(ra_deg, dec_deg, np.full(len(ra_deg), np.nan))[:MOST_FIELD_STARS]


def _alone(
    exposure: Exposure, aperture: Aperture, reach_px: float
) -> tuple[FloatArray, FloatArray]:
    """Return where detected stars lie that no other of a sixteenth of their light is near."""
    field = exposure.detection.field
    x, y, flux = (column[:_MOST_DETECTIONS] for column in (field.x, field.y, field.flux))
    apart_px = np.hypot(x[:, None] - x, y[:, None] - y)
    bright = flux > flux[:, None] * 10.0 ** (-0.4 * NEIGHBOUR_MAG)
    alone = ((apart_px <= reach_px) & bright).sum(axis=1) == 1
    alone &= exposure.inside(x, y, aperture.outer_px)
    return x[alone], y[alone]


def _near(
    exposure: Exposure, x: FloatArray, y: FloatArray, around: Stars, reach_px: float
) -> npt.NDArray[np.bool_]:
    """Say which positions lie near the target or on a star of the catalogue."""
    star_x, star_y = exposure.places(around)
    on_star = np.hypot(x[:, None] - star_x, y[:, None] - star_y) <= exposure.largest_shift_px
    target_x, target_y = exposure.target_xy
    on_target = np.hypot(x - target_x, y - target_y) <= reach_px
    return np.asarray(on_star.any(axis=1) | on_target, np.bool_)


def _well_shown(exposure: Exposure, fluxes: Fluxes) -> npt.NDArray[np.bool_]:
    linear = fluxes.peak < LINEAR_FRACTION * exposure.frame.saturation_adu
    return np.asarray(linear & (fluxes.snr >= LEAST_SNR), np.bool_)


def _neighbours(around: Stars, star: ComparisonStar, reach_deg: float, own_deg: float) -> int:
    """Count the stars bright enough to disturb one, from just outside of it to a distance."""
    north = np.abs(around.dec_deg - star.dec_deg) <= reach_deg
    near = around[north & (around.mag < star.magnitude + NEIGHBOUR_MAG)]
    apart = separation_deg(near.ra_deg, near.dec_deg, star.ra_deg, star.dec_deg)
    return int(((apart <= reach_deg) & (apart > own_deg)).sum())

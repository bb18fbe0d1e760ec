"""Many frames for one point, where a star is too faint for each of them.

Stacked is the light in the target's circle, measured in each frame at the place where the
target should lie, not the pixels. Of frames that were registered exactly both are the same
sum; but no pixel needs to be resampled, which would blur stars and make the noise of
neighbouring pixels depend on each other, frames may shift and turn at will, and each frame
counts by how clear and dark it was.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from boundless_skies.node.errors import TargetNotDetected
from boundless_skies.node.photometry.aperture import Fluxes, recentre
from boundless_skies.node.photometry.exposure import LEAST_TARGET_SNR, LIMIT_SIGMA, SURE_SNR
from boundless_skies.node.photometry.quality import Circumstances, judge
from boundless_skies.node.solving.field import FloatArray

if TYPE_CHECKING:
    from boundless_skies.node.photometry.photometer import FrameMeasurement

_MAG = 2.5 / math.log(10.0)
_WEIGHT_ROUNDS = 3
# Of these the least is the worst, of all others the most.
_LEAST_COUNTS = frozenset({"comparison_stars", "agreeing_fraction", "concentration"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What one frame tells of the target, seen in it or not.

    Attributes
    ----------
    found : FrameMeasurement
        The frame's own point, as if it were a limit.
    middle_utc : datetime
        The middle of its exposure.
    forced : Fluxes
        Arrays of one: the light where the target should lie, which may be below nothing.
    centred : Fluxes or None
        The light at the centroid that is near; None where none is.
    gain_e_per_adu : float
        Electrons per unit at the target.
    scintillation_mag, noise_factor, floor_mag : float
        The parts of the uncertainty that no pixel shows.
    circumstances : Circumstances
        What its quality is judged by.
    cutout : ndarray, shape (n, n)
        The pixels around the target, without the sky, to see whether the light is its own.
    fwhm_px, largest_shift_px : float
        How wide stars are, and how far from its place one may lie.
    series : object
        Equal for frames that share their comparison stars.
    """

    found: "FrameMeasurement"
    middle_utc: dt.datetime
    forced: Fluxes
    centred: Fluxes | None
    gain_e_per_adu: float
    scintillation_mag: float
    noise_factor: float
    floor_mag: float
    circumstances: Circumstances
    cutout: npt.NDArray[np.float32]
    fwhm_px: float
    largest_shift_px: float
    series: object


@dataclass(frozen=True, kw_only=True)
class StackedLight:
    """The light of a target over several frames; a star of magnitude 0 has 1.

    Attributes
    ----------
    flux : float
        Weighted mean.
    error : float
        Its standard deviation by photons and sky.
    whole_error : float
        The same by what the series has taught of the stars' noise (which may be less, where
        the gain was a guess), with scintillation and the frames' zero points.
    shares : ndarray, shape (frames,)
        How much each frame counts; together 1.
    """

    flux: float
    error: float
    whole_error: float
    shares: FloatArray

    @property
    def snr(self) -> float:
        """Signal to noise."""
        return self.flux / self.error


@dataclass(frozen=True, kw_only=True)
class Stacked:
    """A point of several frames.

    Attributes
    ----------
    found : FrameMeasurement
        The point.
    middle_utc : datetime
        The middle of the exposures, by how much each counts.
    """

    found: "FrameMeasurement"
    middle_utc: dt.datetime


def stacked_light(readings: Sequence[Reading]) -> StackedLight:
    """Add the light of several frames up.

    Parameters
    ----------
    readings : sequence of Reading
        Of one series; at least one.

    Returns
    -------
    StackedLight
        Measured at centroids where the frames surely show the target (a mean signal to
        noise of 5 in each), else where it should lie in all of them: to choose frame by
        frame would prefer those in which noise adds light.
    """
    forced = _summed(readings, [reading.forced for reading in readings])
    if forced.snr < SURE_SNR * math.sqrt(len(readings)):
        return forced
    return _summed(readings, [reading.centred or reading.forced for reading in readings])


def stack(readings: Sequence[Reading]) -> Stacked:
    """Make one point of several frames.

    Parameters
    ----------
    readings : sequence of Reading
        Of one series, in the order of time; at least one.

    Returns
    -------
    Stacked
        A limit where the signal to noise of all together is below 3.

    Raises
    ------
    TargetNotDetected
        If the light is another star's, or if the target is not seen and its position is
        only a header's.
    """
    light, last = stacked_light(readings), readings[-1].found
    is_limit = light.snr < LEAST_TARGET_SNR
    _require_own_light(readings, light, is_limit=is_limit)
    flux = max(light.flux, 0.0) + LIMIT_SIGMA * light.error if is_limit else light.flux
    verdict = judge(_circumstances(readings, light.snr))
    points = [reading.found.measurement for reading in readings]
    error_mag = _MAG * light.whole_error / flux
    airmasses = [point.airmass for point in points]
    measurement = replace(
        points[-1],
        bjd=points[0].bjd + _mean([point.bjd - points[0].bjd for point in points], light),
        magnitude=-2.5 * math.log10(flux),
        uncertainty=math.hypot(error_mag, readings[-1].floor_mag),
        airmass=None if None in airmasses else _mean(airmasses, light),
        fwhm=_mean([point.fwhm for point in points], light),
        snr=light.snr,
        comparison_stars=min(point.comparison_stars for point in points),
        quality_flag=verdict.flag,
        zero_point=_mean([point.zero_point for point in points], light),
        zp_scatter=_mean([point.zp_scatter for point in points], light),
        fits_file=points[0].fits_file,
    )
    found = replace(
        last,
        measurement=measurement,
        reasons=verdict.names,
        verdict=verdict,
        provenance=_provenance(readings, light),
        is_limit=is_limit,
    )
    return Stacked(found=found, middle_utc=_middle_utc(readings, light))


def _summed(readings: Sequence[Reading], fluxes: Sequence[Fluxes]) -> StackedLight:
    zero_point = np.array([reading.found.measurement.zero_point for reading in readings])
    gain = np.array([reading.gain_e_per_adu for reading in readings])
    adu = np.array([float(one.flux[0]) for one in fluxes])
    error_adu = np.array([float(one.error[0]) for one in fluxes])
    unit = 10.0 ** (-0.4 * zero_point)
    # The photons that a frame happened to catch must not decide how much it counts.
    sky = (error_adu**2 - np.maximum(adu, 0.0) / gain) * unit**2
    flux = 0.0
    for _ in range(_WEIGHT_ROUNDS):
        variance = sky + max(flux, 0.0) * unit / gain
        shares = 1.0 / variance / (1.0 / variance).sum()
        flux = float((shares * adu * unit).sum())
    variance = sky + max(flux, 0.0) * unit / gain
    own = float((shares**2 * variance).sum())
    factor = readings[-1].noise_factor
    scintillation = np.array([reading.scintillation_mag for reading in readings])
    tied = np.array([reading.found.zero_point_error for reading in readings])
    unseen_mag2 = float((shares**2 * ((factor * scintillation) ** 2 + tied**2)).sum())
    whole = factor**2 * own + unseen_mag2 * (max(flux, 0.0) / _MAG) ** 2
    return StackedLight(
        flux=flux, error=math.sqrt(own), whole_error=math.sqrt(whole), shares=shares
    )


def _mean(values: Sequence[Any], light: StackedLight) -> float:
    return float((np.array(values, np.float64) * light.shares).sum())


def _middle_utc(readings: Sequence[Reading], light: StackedLight) -> dt.datetime:
    first = readings[0].middle_utc
    later_s = [(reading.middle_utc - first).total_seconds() for reading in readings]
    return first + dt.timedelta(seconds=_mean(later_s, light))


def _circumstances(readings: Sequence[Reading], snr: float) -> Circumstances:
    """Return the worst of each circumstance."""
    worst: dict[str, Any] = {}
    for name in (entry.name for entry in fields(Circumstances)):
        told = [getattr(reading.circumstances, name) for reading in readings]
        known = [value for value in told if value is not None]
        choose = min if name in _LEAST_COUNTS else max
        worst[name] = choose(known) if known else None
    return replace(Circumstances(**worst), snr=snr)


def _require_own_light(readings: Sequence[Reading], light: StackedLight, *, is_limit: bool) -> None:
    last, target = readings[-1], readings[-1].found.target
    if is_limit and target.from_header:
        raise TargetNotDetected(
            f"{target.name} is not detected: the signal to noise of {len(readings)} frames "
            f"together is {light.snr:.1f}, below {LEAST_TARGET_SNR:.0f}. Its position is only "
            "the header's: give it with --ra and --dec for a limit.",
            target=target.name,
        )
    if light.snr < SURE_SNR:
        return
    middle = np.array([last.cutout.shape[0] // 2], np.float64)
    # Whole pixels are added, each frame's target within half a pixel of the middle.
    image = np.ascontiguousarray(sum(reading.cutout for reading in readings), np.float32)
    x, y = recentre(image, middle, middle, last.fwhm_px)
    if float(np.hypot(x - middle, y - middle)[0]) > last.largest_shift_px + 1.0:
        raise TargetNotDetected(
            f"{target.name} is not detected: the light at its place in {len(readings)} frames "
            "together is another star's. Check its position.",
            target=target.name,
        )


def _provenance(readings: Sequence[Reading], light: StackedLight) -> dict[str, Any]:
    last, files = readings[-1].found, [r.found.measurement.fits_file for r in readings]
    checks = [reading.found.provenance.get("check_star_mag") for reading in readings]
    known = [check for check in checks if check is not None]
    exposures_s = [reading.found.provenance["exposure_s"] or 0.0 for reading in readings]
    skies = [reading.found.provenance["sky_adu"] for reading in readings]
    return last.provenance | {
        "exposure_s": round(sum(exposures_s), 3),
        "sky_adu": round(_mean(skies, light), 2),
        "check_star_mag": round(float(np.mean(known)), 4) if known else None,
        "stacked_frames": len(readings),
        "stacked_from": files[0],
        "stacked_to": files[-1],
    }

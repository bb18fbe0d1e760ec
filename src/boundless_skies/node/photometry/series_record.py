"""What the frames of a series were like: what is clear, what is sharp for this telescope."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

import numpy as np

from boundless_skies.node.photometry.ensemble import ZeroPoint
from boundless_skies.node.photometry.exposure import Exposure

FRAMES_KEPT = 300
# Of V, between sea level and 1.5 km: D. W. E. Green, International Comet Quarterly 14, 55 (1992).
EXTINCTION_MAG = 0.2
_CLEAREST = 3
_SHARP_PERCENT = 25.0
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True)
class Comparison:
    """A frame beside the best of its series.

    Attributes
    ----------
    dimming_mag : float
        How much less light comes through than in the clear frames; 0 for the first one.
    widening : float
        How much wider the stars are than in the sharp frames; 1 for the first one.
    """

    dimming_mag: float
    widening: float


@dataclass
class _Frames:
    """Clearness and sharpness of the last frames that one setting of the camera gave."""

    clearness_mag: deque[float] = field(default_factory=lambda: deque(maxlen=FRAMES_KEPT))
    fwhm_px: deque[float] = field(default_factory=lambda: deque(maxlen=FRAMES_KEPT))

    def clear_mag(self) -> float:
        clearest = sorted(self.clearness_mag, reverse=True)
        return clearest[_CLEAREST - 1 if len(clearest) >= _CLEAREST else 0]

    def sharp_px(self) -> float:
        return float(np.percentile(self.fwhm_px, _SHARP_PERCENT))


@dataclass
class SeriesRecord:
    """Remembers the last 300 frames of a series, for each filter and gain in the header."""

    _by_setting: defaultdict[tuple[object, ...], _Frames] = field(
        default_factory=lambda: defaultdict(_Frames)
    )

    def compare(
        self, exposure: Exposure, zero_point: ZeroPoint, radius_px: float, air: float | None
    ) -> Comparison:
        """Take a frame in, and compare it.

        Clear is what the third clearest frame is like (of fewer than three, the
        clearest), so that one odd frame does not make all others look bad; sharp is what
        the sharpest quarter is like. Light that the air takes at its height above the
        horizon, and light that falls beside the aperture because the stars are wide,
        counts as no clouds.

        Parameters
        ----------
        exposure : Exposure
            The frame.
        zero_point : ZeroPoint
            Its zero point.
        radius_px : float
            Of the aperture, in pixels of the frame's data.
        air : float or None
            Airmass; without it the extinction counts as clouds.

        Returns
        -------
        Comparison
            With the frames so far, itself included.
        """
        fwhm_px = exposure.detection.fwhm_px
        clearness_mag = zero_point.value + _beside_mag(fwhm_px, radius_px)
        clearness_mag += EXTINCTION_MAG * ((air or 1.0) - 1.0)
        # Two filters may share a band; a new one, or another gain, is no cloud.
        frames = self._by_setting[exposure.frame.facts.filter_name, exposure.gain_e_per_adu]
        frames.clearness_mag.append(clearness_mag)
        frames.fwhm_px.append(fwhm_px)
        return Comparison(
            dimming_mag=max(frames.clear_mag() - clearness_mag, 0.0),
            widening=fwhm_px / frames.sharp_px(),
        )


def _beside_mag(fwhm_px: float, radius_px: float) -> float:
    """Return what a Gaussian star loses outside of a circle, magnitudes."""
    sigma_px = fwhm_px / _FWHM_PER_SIGMA
    within = -math.expm1(-(radius_px**2) / (2.0 * sigma_px**2))
    return -2.5 * float(np.log10(within))

"""What a measurement is worth: the registry's reasons held against how it came about.

The reasons with their bits and sentences stand in
:mod:`boundless_skies.wire.quality_reasons`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from boundless_skies.wire import QualityFlag
from boundless_skies.wire.quality_reasons import REASONS


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a measurement's quality is judged by.

    Attributes
    ----------
    peak_fraction : float
        The target's highest value over the saturation.
    snr : float
        The target's signal to noise.
    comparison_stars : int
        How many stand behind the zero point.
    zp_scatter : float
        Their standard deviation against the catalogue, magnitudes.
    elongation : float
        Longer over shorter axis of the stars.
    airmass : float or None
        None where the site is unknown.
    crowded : bool
        Another catalogue star shines into the aperture.
    cut_ring : bool
        Part of the sky's ring lies outside of the frame.
    dimming_mag : float
        How much less light comes through than in the clear frames of the series, magnitudes.
    agreeing_fraction : float or None
        Comparison stars within 0.5 mag of the zero point, of those that should be well
        seen; None where too few should be.
    widening : float
        Full width at half maximum of the stars over that of the series' sharp frames.
    fwhm_arcsec, fwhm_px : float
        Full width at half maximum of the stars, on the sky and in pixels of the data.
    concentration : float or None
        Brightness of the stars' middle over that at the radius of half their light: 2
        for sharp stars, 1 for discs, less for rings; None where it cannot be told.
    blended_fraction : float
        Light of other detected stars in the target's aperture, of all light in it.
    """

    peak_fraction: float
    snr: float
    comparison_stars: int
    zp_scatter: float
    elongation: float
    airmass: float | None
    crowded: bool
    cut_ring: bool
    dimming_mag: float = 0.0
    agreeing_fraction: float | None = None
    widening: float = 1.0
    fwhm_arcsec: float = 0.0
    fwhm_px: float = 0.0
    concentration: float | None = None
    blended_fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a measurement is worth.

    Attributes
    ----------
    flag : QualityFlag
        The worst that its reasons lead to; good where there is none.
    bits : int
        The reasons as a mask.
    names : tuple of str
        The reasons' names, in the order of the registry.
    remarks : tuple of str
        For each reason, its name and what was found.
    """

    flag: QualityFlag
    bits: int
    names: tuple[str, ...]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what a measurement may carry beside its quality flag."""
        return {"quality_bits": self.bits, "quality_reasons": list(self.remarks)}


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """When a reason holds, and what was found, to be formatted with the circumstances as ``c``."""

    told: str
    holds: Callable[[Circumstances], bool]


# ruff: noqa: PLR2004 - the registry's sentences tell the limits
def _airmass(c: Circumstances) -> float:
    return 1.0 if c.airmass is None else c.airmass


def _agreeing(c: Circumstances) -> float:
    return 1.0 if c.agreeing_fraction is None else c.agreeing_fraction


def _sharp(c: Circumstances) -> bool:
    soft = c.concentration is not None and c.concentration < 1.5
    wide = c.fwhm_arcsec > 20 and c.fwhm_px > 5
    return not (soft or wide or c.widening > 1.5)


_RULES: Mapping[str, _Rule] = {
    "saturated": _Rule(
        told="its highest value is {c.peak_fraction:.0%} of saturation",
        holds=lambda c: c.peak_fraction > 0.95,
    ),
    "near saturation": _Rule(
        told="its highest value is {c.peak_fraction:.0%} of saturation",
        holds=lambda c: 0.80 < c.peak_fraction <= 0.95,
    ),
    "very low SNR": _Rule(
        told="signal to noise {c.snr:.1f}",
        holds=lambda c: c.snr < 10,
    ),
    "low SNR": _Rule(
        told="signal to noise {c.snr:.1f}",
        holds=lambda c: 10 <= c.snr < 30,
    ),
    "few comparison stars": _Rule(
        told="{c.comparison_stars}",
        holds=lambda c: c.comparison_stars < 5,
    ),
    "scattered zero point": _Rule(
        told="{c.zp_scatter:.2f} mag around the catalogue",
        holds=lambda c: c.zp_scatter > 0.3,
    ),
    "badly trailed": _Rule(
        told="stars {c.elongation:.1f} times as long as wide",
        holds=lambda c: c.elongation > 2.5,
    ),
    "trailed": _Rule(
        told="stars {c.elongation:.1f} times as long as wide",
        holds=lambda c: 1.6 < c.elongation <= 2.5,
    ),
    "very high airmass": _Rule(
        told="{c.airmass:.1f}",
        holds=lambda c: _airmass(c) > 4,
    ),
    "high airmass": _Rule(
        told="{c.airmass:.1f}",
        holds=lambda c: 2.5 < _airmass(c) <= 4,
    ),
    "crowded": _Rule(
        told="another catalogue star shines into the aperture",
        holds=lambda c: c.crowded,
    ),
    "at the edge": _Rule(
        told="part of the sky's ring lies outside of the frame",
        holds=lambda c: c.cut_ring,
    ),
    "thick clouds": _Rule(
        told="{c.dimming_mag:.1f} mag less light than in the clear frames",
        holds=lambda c: c.dimming_mag > 1.0,
    ),
    "clouds": _Rule(
        told="{c.dimming_mag:.1f} mag less light than in the clear frames",
        holds=lambda c: 0.3 < c.dimming_mag <= 1.0,
    ),
    "patchy clouds": _Rule(
        told="{c.agreeing_fraction:.0%} of the comparison stars agree within 0.5 mag",
        holds=lambda c: _agreeing(c) < 0.75,
    ),
    "badly out of focus": _Rule(
        told="stars {c.widening:.1f} times as wide as in the sharp frames",
        holds=lambda c: c.widening > 2.5,
    ),
    "out of focus": _Rule(
        told="stars {c.fwhm_px:.1f} px and {c.fwhm_arcsec:.0f}″ wide",
        holds=lambda c: not _sharp(c) and c.widening <= 2.5,
    ),
    "badly blended": _Rule(
        told="about {c.blended_fraction:.0%} of the light in the aperture is another star's",
        holds=lambda c: c.blended_fraction > 0.20,
    ),
    "blended": _Rule(
        told="about {c.blended_fraction:.0%} of the light in the aperture is another star's",
        holds=lambda c: 0.02 < c.blended_fraction <= 0.20,
    ),
}


def judge(circumstances: Circumstances) -> Verdict:
    """Judge a measurement.

    Parameters
    ----------
    circumstances : Circumstances
        How it came about.

    Returns
    -------
    Verdict
        All reasons that keep it below "good", and the flag that the worst of them leads to.
    """
    reasons = [reason for reason in REASONS if _RULES[reason.name].holds(circumstances)]
    flags = {reason.flag for reason in reasons}
    worst_first = (QualityFlag.POOR, QualityFlag.ACCEPTABLE)
    return Verdict(
        flag=next((flag for flag in worst_first if flag in flags), QualityFlag.GOOD),
        bits=sum(reason.mask for reason in reasons),
        names=tuple(reason.name for reason in reasons),
        remarks=tuple(
            f"{reason.name}: {_RULES[reason.name].told.format(c=circumstances)}"
            for reason in reasons
        ),
    )

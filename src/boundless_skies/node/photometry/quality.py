"""The flags of a measurement: one registry that feeds quality, bit mask and documentation.

``python -m boundless_skies.node.photometry.quality`` prints the table of
``docs/photometry.md``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boundless_skies.wire import QualityFlag


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
class Reason:
    """One reason for less than good quality.

    Attributes
    ----------
    bit : int
        Its place in the mask, from 0; never given to another reason.
    name : str
        As it stands in the log.
    flag : QualityFlag
        The best that a measurement with it can be.
    meaning : str
        When it holds, with its limit.
    told : str
        What was found, to be formatted with the circumstances as ``c``.
    holds : callable
        Tells it from the circumstances.
    """

    bit: int
    name: str
    flag: QualityFlag
    meaning: str
    told: str
    holds: Callable[[Circumstances], bool]

    @property
    def mask(self) -> int:
        """The mask of this reason alone."""
        return 1 << self.bit


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


_POOR, _ACCEPTABLE = QualityFlag.POOR, QualityFlag.ACCEPTABLE


# ruff: noqa: PLR2004 - the limits stand beside the sentences that tell them
def _airmass(c: Circumstances) -> float:
    return 1.0 if c.airmass is None else c.airmass


def _agreeing(c: Circumstances) -> float:
    return 1.0 if c.agreeing_fraction is None else c.agreeing_fraction


def _sharp(c: Circumstances) -> bool:
    soft = c.concentration is not None and c.concentration < 1.5
    wide = c.fwhm_arcsec > 20 and c.fwhm_px > 5
    return not (soft or wide or c.widening > 1.5)


REASONS: tuple[Reason, ...] = (
    Reason(
        bit=0,
        name="saturated",
        flag=_POOR,
        meaning="the target's highest value is above 95 % of saturation",
        told="its highest value is {c.peak_fraction:.0%} of saturation",
        holds=lambda c: c.peak_fraction > 0.95,
    ),
    Reason(
        bit=1,
        name="near saturation",
        flag=_ACCEPTABLE,
        meaning="the target's highest value is above 80 % of saturation",
        told="its highest value is {c.peak_fraction:.0%} of saturation",
        holds=lambda c: 0.80 < c.peak_fraction <= 0.95,
    ),
    Reason(
        bit=2,
        name="very low SNR",
        flag=_POOR,
        meaning="signal to noise below 10",
        told="signal to noise {c.snr:.1f}",
        holds=lambda c: c.snr < 10,
    ),
    Reason(
        bit=3,
        name="low SNR",
        flag=_ACCEPTABLE,
        meaning="signal to noise below 30",
        told="signal to noise {c.snr:.1f}",
        holds=lambda c: 10 <= c.snr < 30,
    ),
    Reason(
        bit=4,
        name="few comparison stars",
        flag=_ACCEPTABLE,
        meaning="fewer than 5 comparison stars",
        told="{c.comparison_stars}",
        holds=lambda c: c.comparison_stars < 5,
    ),
    Reason(
        bit=5,
        name="scattered zero point",
        flag=_ACCEPTABLE,
        meaning="comparison stars scatter by more than 0.3 mag around the catalogue",
        told="{c.zp_scatter:.2f} mag around the catalogue",
        holds=lambda c: c.zp_scatter > 0.3,
    ),
    Reason(
        bit=6,
        name="badly trailed",
        flag=_POOR,
        meaning="stars more than 2.5 times as long as wide",
        told="stars {c.elongation:.1f} times as long as wide",
        holds=lambda c: c.elongation > 2.5,
    ),
    Reason(
        bit=7,
        name="trailed",
        flag=_ACCEPTABLE,
        meaning="stars more than 1.6 times as long as wide",
        told="stars {c.elongation:.1f} times as long as wide",
        holds=lambda c: 1.6 < c.elongation <= 2.5,
    ),
    Reason(
        bit=8,
        name="very high airmass",
        flag=_POOR,
        meaning="airmass above 4",
        told="{c.airmass:.1f}",
        holds=lambda c: _airmass(c) > 4,
    ),
    Reason(
        bit=9,
        name="high airmass",
        flag=_ACCEPTABLE,
        meaning="airmass above 2.5",
        told="{c.airmass:.1f}",
        holds=lambda c: 2.5 < _airmass(c) <= 4,
    ),
    Reason(
        bit=10,
        name="crowded",
        flag=_ACCEPTABLE,
        meaning="another catalogue star shines into the aperture",
        told="another catalogue star shines into the aperture",
        holds=lambda c: c.crowded,
    ),
    Reason(
        bit=11,
        name="at the edge",
        flag=_ACCEPTABLE,
        meaning="part of the sky's ring lies outside of the frame",
        told="part of the sky's ring lies outside of the frame",
        holds=lambda c: c.cut_ring,
    ),
    Reason(
        bit=12,
        name="thick clouds",
        flag=_POOR,
        meaning="more than 1 mag less light than in the clear frames of the series",
        told="{c.dimming_mag:.1f} mag less light than in the clear frames",
        holds=lambda c: c.dimming_mag > 1.0,
    ),
    Reason(
        bit=13,
        name="clouds",
        flag=_ACCEPTABLE,
        meaning="more than 0.3 mag less light than in the clear frames of the series",
        told="{c.dimming_mag:.1f} mag less light than in the clear frames",
        holds=lambda c: 0.3 < c.dimming_mag <= 1.0,
    ),
    Reason(
        bit=14,
        name="patchy clouds",
        flag=_ACCEPTABLE,
        meaning="of the comparison stars that should be well seen, more than a quarter are missing "
        "or off the zero point by more than 0.5 mag",
        told="{c.agreeing_fraction:.0%} of the comparison stars agree within 0.5 mag",
        holds=lambda c: _agreeing(c) < 0.75,
    ),
    Reason(
        bit=15,
        name="badly out of focus",
        flag=_POOR,
        meaning="stars more than 2.5 times as wide as in the sharp frames of the series",
        told="stars {c.widening:.1f} times as wide as in the sharp frames",
        holds=lambda c: c.widening > 2.5,
    ),
    Reason(
        bit=16,
        name="out of focus",
        flag=_ACCEPTABLE,
        meaning="stars like discs or rings (their middle less than 1.5 times as bright as at the "
        "radius of half their light), or more than 1.5 times as wide as in the sharp frames of "
        "the series, or wider than 20″ and 5 pixels",
        told="stars {c.fwhm_px:.1f} px and {c.fwhm_arcsec:.0f}″ wide",
        holds=lambda c: not _sharp(c) and c.widening <= 2.5,
    ),
    Reason(
        bit=17,
        name="badly blended",
        flag=_POOR,
        meaning="more than 20 % of the light in the aperture is another detected star's",
        told="about {c.blended_fraction:.0%} of the light in the aperture is another star's",
        holds=lambda c: c.blended_fraction > 0.20,
    ),
    Reason(
        bit=18,
        name="blended",
        flag=_ACCEPTABLE,
        meaning="more than 2 % of the light in the aperture is another detected star's",
        told="about {c.blended_fraction:.0%} of the light in the aperture is another star's",
        holds=lambda c: 0.02 < c.blended_fraction <= 0.20,
    ),
)


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
    reasons = [reason for reason in REASONS if reason.holds(circumstances)]
    flags = {reason.flag for reason in reasons}
    return Verdict(
        flag=next((flag for flag in (_POOR, _ACCEPTABLE) if flag in flags), QualityFlag.GOOD),
        bits=sum(reason.mask for reason in reasons),
        names=tuple(reason.name for reason in reasons),
        remarks=tuple(
            f"{reason.name}: {reason.told.format(c=circumstances)}" for reason in reasons
        ),
    )


def reasons_of(bits: int) -> tuple[Reason, ...]:
    """Return the reasons that a mask stands for; bits of later versions are passed over."""
    return tuple(reason for reason in REASONS if bits & reason.mask)


def markdown_table() -> str:
    """Write the registry as the table of ``docs/photometry.md``."""
    head = ["| bit | reason | flag | when |", "|---|---|---|---|"]
    rows = [f"| {r.mask} | {r.name} | {r.flag} | {r.meaning} |" for r in REASONS]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(markdown_table())  # noqa: T201 - its output is the table

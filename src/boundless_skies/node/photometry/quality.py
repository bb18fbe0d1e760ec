"""Why a measurement is less than good: one table, from which flags and documentation are made."""

from collections.abc import Callable
from dataclasses import dataclass

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
    """

    peak_fraction: float
    snr: float
    comparison_stars: int
    zp_scatter: float
    elongation: float
    airmass: float | None
    crowded: bool
    cut_ring: bool


@dataclass(frozen=True)
class Reason:
    """One reason for less than good quality.

    Attributes
    ----------
    name : str
        As it stands in the log.
    flag : QualityFlag
        The best that a measurement with it can be.
    meaning : str
        When it holds, with its limit.
    holds : callable
        Tells it from the circumstances.
    """

    name: str
    flag: QualityFlag
    meaning: str
    holds: Callable[[Circumstances], bool]


_POOR, _ACCEPTABLE = QualityFlag.POOR, QualityFlag.ACCEPTABLE

# ruff: noqa: PLR2004 - the limits stand beside the sentences that tell them
REASONS: tuple[Reason, ...] = (
    Reason(
        "saturated",
        _POOR,
        "the target's highest value is above 95 % of saturation",
        lambda c: c.peak_fraction > 0.95,
    ),
    Reason(
        "near saturation",
        _ACCEPTABLE,
        "the target's highest value is above 80 % of saturation",
        lambda c: 0.80 < c.peak_fraction <= 0.95,
    ),
    Reason("very low SNR", _POOR, "signal to noise below 10", lambda c: c.snr < 10),
    Reason("low SNR", _ACCEPTABLE, "signal to noise below 30", lambda c: 10 <= c.snr < 30),
    Reason(
        "few comparison stars",
        _ACCEPTABLE,
        "fewer than 5 comparison stars",
        lambda c: c.comparison_stars < 5,
    ),
    Reason(
        "scattered zero point",
        _ACCEPTABLE,
        "comparison stars scatter by more than 0.3 mag around the catalogue",
        lambda c: c.zp_scatter > 0.3,
    ),
    Reason(
        "badly trailed",
        _POOR,
        "stars more than 2.5 times as long as wide",
        lambda c: c.elongation > 2.5,
    ),
    Reason(
        "trailed",
        _ACCEPTABLE,
        "stars more than 1.6 times as long as wide",
        lambda c: 1.6 < c.elongation <= 2.5,
    ),
    Reason(
        "very high airmass",
        _POOR,
        "airmass above 4",
        lambda c: c.airmass is not None and c.airmass > 4,
    ),
    Reason(
        "high airmass",
        _ACCEPTABLE,
        "airmass above 2.5",
        lambda c: c.airmass is not None and 2.5 < c.airmass <= 4,
    ),
    Reason(
        "crowded",
        _ACCEPTABLE,
        "another catalogue star shines into the aperture",
        lambda c: c.crowded,
    ),
    Reason(
        "at the edge",
        _ACCEPTABLE,
        "part of the sky's ring lies outside of the frame",
        lambda c: c.cut_ring,
    ),
)


def judge(circumstances: Circumstances) -> tuple[QualityFlag, tuple[str, ...]]:
    """Judge a measurement.

    Parameters
    ----------
    circumstances : Circumstances
        How it came about.

    Returns
    -------
    tuple of QualityFlag and tuple of str
        The flag, and the names of all reasons that keep it below "good".
    """
    reasons = [reason for reason in REASONS if reason.holds(circumstances)]
    flags = {reason.flag for reason in reasons}
    worst = next((flag for flag in (_POOR, _ACCEPTABLE) if flag in flags), QualityFlag.GOOD)
    return worst, tuple(reason.name for reason in reasons)

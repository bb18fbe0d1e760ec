"""The registry of flags: stable bits, one sentence each, the same in code and documentation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.node.photometry.quality import Circumstances, judge
from boundless_skies.wire import QualityFlag
from boundless_skies.wire.quality_reasons import (
    REASONS,
    QualityReason,
    markdown_table,
    reasons_of,
)

GOOD = Circumstances(
    peak_fraction=0.3,
    snr=100.0,
    comparison_stars=20,
    zp_scatter=0.1,
    elongation=1.1,
    airmass=1.2,
    crowded=False,
    cut_ring=False,
    dimming_mag=0.1,
    agreeing_fraction=0.95,
    widening=1.2,
    fwhm_arcsec=8.0,
    fwhm_px=3.0,
    concentration=2.0,
    blended_fraction=0.01,
)

# Data out there carries these numbers: a reason keeps its own for ever, and a number its reason.
BITS = {
    "saturated": 1,
    "near saturation": 2,
    "very low SNR": 4,
    "low SNR": 8,
    "few comparison stars": 16,
    "scattered zero point": 32,
    "badly trailed": 64,
    "trailed": 128,
    "very high airmass": 256,
    "high airmass": 512,
    "crowded": 1024,
    "at the edge": 2048,
    "thick clouds": 4096,
    "clouds": 8192,
    "patchy clouds": 16384,
    "badly out of focus": 32768,
    "out of focus": 65536,
    "badly blended": 131072,
    "blended": 262144,
}

# For each reason: just over its limit, and just not.
LIMITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("saturated", {"peak_fraction": 0.951}, {"peak_fraction": 0.95}),
    ("near saturation", {"peak_fraction": 0.801}, {"peak_fraction": 0.80}),
    ("very low SNR", {"snr": 9.9}, {"snr": 10.0}),
    ("low SNR", {"snr": 29.9}, {"snr": 30.0}),
    ("few comparison stars", {"comparison_stars": 4}, {"comparison_stars": 5}),
    ("scattered zero point", {"zp_scatter": 0.301}, {"zp_scatter": 0.3}),
    ("badly trailed", {"elongation": 2.51}, {"elongation": 2.5}),
    ("trailed", {"elongation": 1.61}, {"elongation": 1.6}),
    ("very high airmass", {"airmass": 4.1}, {"airmass": 4.0}),
    ("high airmass", {"airmass": 2.6}, {"airmass": 2.5}),
    ("crowded", {"crowded": True}, {"crowded": False}),
    ("at the edge", {"cut_ring": True}, {"cut_ring": False}),
    ("thick clouds", {"dimming_mag": 1.01}, {"dimming_mag": 1.0}),
    ("clouds", {"dimming_mag": 0.31}, {"dimming_mag": 0.3}),
    ("patchy clouds", {"agreeing_fraction": 0.74}, {"agreeing_fraction": 0.75}),
    ("badly out of focus", {"widening": 2.51}, {"widening": 2.5}),
    ("out of focus", {"widening": 1.51}, {"widening": 1.5}),
    ("out of focus", {"concentration": 1.49}, {"concentration": 1.5}),
    ("out of focus", {"fwhm_arcsec": 21.0, "fwhm_px": 5.1}, {"fwhm_arcsec": 21.0, "fwhm_px": 5.0}),
    ("out of focus", {"fwhm_arcsec": 20.1, "fwhm_px": 6.0}, {"fwhm_arcsec": 20.0, "fwhm_px": 6.0}),
    ("badly blended", {"blended_fraction": 0.21}, {"blended_fraction": 0.20}),
    ("blended", {"blended_fraction": 0.021}, {"blended_fraction": 0.02}),
]


def test_the_bits_are_what_they_have_always_been() -> None:
    """A new reason takes the next one."""
    assert {reason.name: reason.mask for reason in REASONS} == BITS
    assert len(BITS) == len(REASONS)


def test_nothing_wrong_is_good() -> None:
    """No reason, no blemish; what is unknown is none either."""
    for fine in (GOOD, replace(GOOD, airmass=None, agreeing_fraction=None, concentration=None)):
        verdict = judge(fine)
        assert (verdict.flag, verdict.bits, verdict.names) == (QualityFlag.GOOD, 0, ())
        assert verdict.to_dict() == {"quality_bits": 0, "quality_reasons": []}


@pytest.mark.parametrize(("name", "over", "under"), LIMITS)
def test_each_reason_holds_alone_and_only_over_its_limit(
    name: str, over: dict[str, Any], under: dict[str, Any]
) -> None:
    """One circumstance, one reason, its bit, its flag."""
    (reason,) = (reason for reason in REASONS if reason.name == name)
    verdict = judge(replace(GOOD, **over))
    assert (verdict.flag, verdict.names, verdict.bits) == (reason.flag, (name,), BITS[name])
    assert name not in judge(replace(GOOD, **under)).names


def test_every_reason_has_a_case() -> None:
    """So that none is forgotten above."""
    assert {name for name, _, _ in LIMITS} == set(BITS)


def test_the_worst_reason_decides_and_all_are_told() -> None:
    """Trailed alone would be acceptable; each says what was found."""
    verdict = judge(replace(GOOD, elongation=2.0, peak_fraction=0.99, blended_fraction=0.123))
    assert verdict.flag is QualityFlag.POOR
    assert verdict.names == ("saturated", "trailed", "blended")
    assert verdict.bits == 1 + 128 + 262144
    assert verdict.remarks == (
        "saturated: its highest value is 99% of saturation",
        "trailed: stars 2.0 times as long as wide",
        "blended: about 12% of the light in the aperture is another star's",
    )


@given(st.sets(st.sampled_from(REASONS), max_size=6))
def test_a_mask_gives_back_its_reasons(reasons: set[QualityReason]) -> None:
    """Whatever is in it, also bits that this version does not know."""
    mask = sum(reason.mask for reason in reasons)
    assert set(reasons_of(mask)) == reasons
    assert set(reasons_of(mask + (1 << 40))) == reasons


def test_the_documentation_holds_the_registry() -> None:
    """As python -m boundless_skies.wire.quality_reasons prints it, and nothing else."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "photometry.md").read_text("utf-8")
    assert f"\n\n{markdown_table()}\n\n" in page
    assert page.count("| acceptable |") + page.count("| poor |") == len(REASONS)

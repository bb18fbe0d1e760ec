"""The table of reasons for less than good quality."""

from dataclasses import replace
from pathlib import Path

import pytest

from boundless_skies.node.photometry.quality import REASONS, Circumstances, judge
from boundless_skies.wire import QualityFlag

GOOD = Circumstances(
    peak_fraction=0.3,
    snr=100.0,
    comparison_stars=20,
    zp_scatter=0.1,
    elongation=1.1,
    airmass=1.2,
    crowded=False,
    cut_ring=False,
)

CASES = {
    "saturated": {"peak_fraction": 1.0},
    "near saturation": {"peak_fraction": 0.9},
    "very low SNR": {"snr": 7.0},
    "low SNR": {"snr": 20.0},
    "few comparison stars": {"comparison_stars": 4},
    "scattered zero point": {"zp_scatter": 0.4},
    "badly trailed": {"elongation": 3.0},
    "trailed": {"elongation": 2.0},
    "very high airmass": {"airmass": 6.0},
    "high airmass": {"airmass": 3.0},
    "crowded": {"crowded": True},
    "at the edge": {"cut_ring": True},
}


def test_nothing_wrong_is_good() -> None:
    """No reason, no blemish; an unknown airmass is none either."""
    assert judge(GOOD) == (QualityFlag.GOOD, ())
    assert judge(replace(GOOD, airmass=None)) == (QualityFlag.GOOD, ())


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_each_reason_holds_alone(reason: object) -> None:
    """One circumstance, one reason, its flag."""
    flag, names = judge(replace(GOOD, **CASES[reason.name]))  # type: ignore[attr-defined, arg-type]
    assert (flag, names) == (reason.flag, (reason.name,))  # type: ignore[attr-defined]


def test_the_worst_reason_decides() -> None:
    """Trailed alone would be acceptable."""
    flag, names = judge(replace(GOOD, elongation=2.0, peak_fraction=1.0))
    assert flag is QualityFlag.POOR
    assert set(names) == {"saturated", "trailed"}


def test_every_reason_stands_in_the_documentation() -> None:
    """With the sentence of the table."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "photometry.md").read_text()
    for reason in REASONS:
        assert f"| {reason.name} | {reason.flag} | {reason.meaning} |" in page

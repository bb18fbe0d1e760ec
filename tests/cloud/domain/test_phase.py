"""Folding on a period."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.phase import Elements, read_elements

BJD = st.floats(2_400_000, 2_500_000)
PERIOD = st.floats(1e-4, 1e5)


@pytest.mark.parametrize(
    ("bjd", "phase"),
    [(2_459_000.0, 0.0), (2_459_001.0, 0.5), (2_459_002.0, 0.0), (2_458_999.5, 0.75)],
)
def test_phases_of_a_two_day_star(bjd: float, phase: float) -> None:
    """Before the epoch, at it, and behind it."""
    assert Elements(2_459_000.0, 2.0).phase(bjd) == phase


@given(BJD, BJD, PERIOD)
@example(2_459_000.0 - 4.7e-10, 2_459_000.0, 1e5)
def test_a_phase_lies_from_0_to_below_1(bjd: float, epoch: float, period: float) -> None:
    """Also where rounding would make it 1."""
    assert 0.0 <= Elements(epoch, period).phase(bjd) < 1.0


@given(st.integers(-10_000, 10_000), st.floats(0.01, 10), st.floats(0.05, 0.95))
def test_whole_cycles_do_not_change_a_phase(cycles: int, period: float, phase: float) -> None:
    """To the precision of a date."""
    elements = Elements(2_459_000.0, period)
    time = 2_459_000.0 + (cycles + phase) * period
    assert elements.phases([time]) == pytest.approx([phase], abs=2e-9 / period + 1e-9)


@pytest.mark.parametrize(
    ("epoch", "period", "match"),
    [
        (2_459_000, 0, "period_d is 0, outside of"),
        (2_459_000, -1, "period_d is -1"),
        (2_459_000, "nan", "finite number"),
        (2_459_000, float("inf"), "finite number"),
        (2_459_000, 1e-300, "outside of"),
        (2_459_000, True, "finite number"),
        (9000.5, 1.5, "whole date"),
        ([], 1.5, "finite number"),
        (2_459_000, None, "period_d is missing"),
    ],
)
def test_elements_that_cannot_fold_are_refused(epoch: Any, period: Any, match: str) -> None:
    """With the value, its limit, and what to give."""
    with pytest.raises(InvalidInput, match=match):
        read_elements(epoch, period)


def test_elements_are_read_as_they_come() -> None:
    """Numbers or strings; a period alone folds from J2000; nothing is nothing."""
    assert read_elements("2459000.5", "0.25") == Elements(2_459_000.5, 0.25)
    assert read_elements(None, 2) == Elements(2_451_545.0, 2.0)
    assert read_elements("", None) is None

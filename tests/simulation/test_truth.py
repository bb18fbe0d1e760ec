"""Light curves held against the stars that were rendered."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from boundless_skies.simulation.stars import SimulatedVariable
from boundless_skies.simulation.truth import hold_against_truth
from boundless_skies.sky import Site, bjd_tdb

STAR = SimulatedVariable(name="Star", ra_deg=100.0, dec_deg=20.0, mean_mag=9.0, period_d=0.3)
BJD = 2_461_000.0


def points(*errors_mag: float, flag: str = "good") -> list[tuple[str, dict[str, Any]]]:
    """Return points that are off by so much, each with an uncertainty of 10 mmag."""
    return [
        (
            "Star",
            {
                "bjd": BJD + 0.01 * place,
                "magnitude": STAR.magnitude(BJD + 0.01 * place) + error_mag,
                "uncertainty": 0.01,
                "quality_flag": flag,
            },
        )
        for place, error_mag in enumerate(errors_mag)
    ]


def test_points_on_the_star_are_true() -> None:
    """No distance, all within the uncertainties."""
    truth = hold_against_truth(points(0.0, 0.0, 0.0), [STAR])
    assert truth.points == 3
    assert (truth.median_mag, truth.rms_mag) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert truth.within_3_sigma == 1.0


def test_points_beside_the_star_are_told_by_how_much() -> None:
    """Median and rms in magnitudes, the share in units of the stated uncertainty."""
    truth = hold_against_truth(points(0.02, 0.02, 0.02, 0.04), [STAR])
    assert truth.median_mag == pytest.approx(0.02)
    assert truth.rms_mag == pytest.approx(math.sqrt(7.0) * 0.01)
    assert truth.within_3_sigma == 0.75


def test_wrong_time_shows() -> None:
    """Points whose times are a twentieth of the period late lie off the star."""
    late = [(name, point | {"bjd": point["bjd"] + 0.015}) for name, point in points(*[0.0] * 30)]
    assert hold_against_truth(late, [STAR]).rms_mag > 0.03


@pytest.mark.parametrize("given", [[], points(0.5, flag="poor"), [("Another", points(0.5)[0][1])]])
def test_what_cannot_be_held_against_it_is_left_out(
    given: list[tuple[str, dict[str, Any]]],
) -> None:
    """No points, poor ones, and stars that do not vary here say nothing."""
    truth = hold_against_truth(given, [STAR])
    assert truth.points == 0
    assert truth.to_dict()["rms_mag"] is None


def test_star_is_seen_at_the_time_that_a_node_states() -> None:
    """Rendering by UTC and measuring by BJD_TDB meet, wherever the telescope stands."""
    instant = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
    fast = replace(STAR, period_d=0.02)
    for site in (Site(50.0, 10.0, 0.0), Site(-30.0, -70.0, 2000.0)):
        bjd = bjd_tdb(instant, STAR.ra_deg, STAR.dec_deg, site)
        assert fast.magnitude(bjd) == pytest.approx(fast.magnitude_at(instant), abs=1e-4)

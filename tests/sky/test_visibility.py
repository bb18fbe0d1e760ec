"""What stands around, the meridian, distances and the time that is left."""

import datetime as dt
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.sky import (
    HorizonMask,
    HorizonMaskError,
    Site,
    SkyOverSite,
    altitude_azimuth_deg,
    hour_angle_deg,
    instants_between,
    next_transit,
    separation_deg,
    time_above_s,
)

BERLIN = Site(52.52, 13.4, 40.0)
EVENING = dt.datetime(2026, 3, 1, 20, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("azimuth_deg", "altitude_deg"),
    [(90.0, 30.0), (180.0, 20.0), (350.0, 17.5), (0.0, 20.0), (10.0, 22.5), (370.0, 22.5)],
)
def test_horizon_runs_straight_also_over_north(azimuth_deg: float, altitude_deg: float) -> None:
    """From 10° at azimuth 320° to 25° at 20°."""
    mask = HorizonMask.read([[25, 20], [30, 90], [10, 270], [10, 320]])
    assert float(mask.altitude_deg(azimuth_deg)) == pytest.approx(altitude_deg)


def test_horizon_as_a_text_is_the_same() -> None:
    """As some clouds hand it out."""
    points = [[25, 20], [30.5, 90]]
    assert HorizonMask.read(json.dumps(points)) == HorizonMask.read(points)


@pytest.mark.parametrize("nothing", [None, "", "  ", [], "[]", "null"])
def test_no_horizon_is_a_free_one(nothing: object) -> None:
    """At 0° all around."""
    assert HorizonMask.read(nothing).altitude_deg([0, 123]).tolist() == [0.0, 0.0]


def test_higher_of_two_points_in_one_direction_holds() -> None:
    """And north is north whether it is written 0 or 360."""
    assert HorizonMask.read([[10, 0], [40, 360]]).points == ((40.0, 0.0),)


@pytest.mark.parametrize(
    "bad",
    [
        *(0, True, "trees", "{}", {"alt": 1}, "[[1", [1, 2], [[1]], [[1, 2, 3]], [["10", 20]]),
        *([[math.nan, 0]], [[math.inf, 0]], [[-1, 0]], [[91, 0]], [[10, 361]], [[True, 0]]),
        *([[10**400, 0]], [[0, 0]] * 4000, "[" * 100_000),
    ],
    ids=lambda bad: repr(bad)[:20],
)
def test_what_is_no_horizon_is_refused(bad: object) -> None:
    """In a sentence."""
    with pytest.raises(HorizonMaskError, match="horizon"):
        HorizonMask.read(bad)


@given(
    points=st.lists(st.tuples(st.floats(0, 90), st.floats(0, 360)), min_size=1, max_size=8),
    azimuth_deg=st.floats(0, 360),
)
def test_horizon_lies_between_its_points(
    points: list[tuple[float, float]], azimuth_deg: float
) -> None:
    """In no direction higher than the highest or lower than the lowest."""
    mask = HorizonMask.read(points)
    heights = [altitude for altitude, _ in points]
    assert min(heights) - 1e-9 <= float(mask.altitude_deg(azimuth_deg)) <= max(heights) + 1e-9


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((10.0, 20.0), (10.0, 20.0), 0.0),
        ((0.0, 90.0), (123.0, -90.0), 180.0),
        ((359.5, 0.0), (0.5, 0.0), 1.0),
        ((0.0, 60.0), (180.0, 60.0), 60.0),
    ],
)
def test_separation(one: tuple[float, float], other: tuple[float, float], expected: float) -> None:
    """Nothing, all, over the zero of right ascension, over the pole."""
    assert separation_deg(*one, *other) == pytest.approx(expected, abs=1e-9)


def test_star_is_highest_in_transit() -> None:
    """Hour angle zero, due south, and lower a minute before and after."""
    transit = next_transit(EVENING, 110.0, 10.0, BERLIN)
    assert EVENING <= transit < EVENING + dt.timedelta(days=1)
    assert hour_angle_deg(transit, 110.0, 10.0, BERLIN) == pytest.approx(0.0, abs=0.005)
    altitudes = [
        altitude_azimuth_deg(transit + dt.timedelta(minutes=n), 110.0, 10.0, BERLIN)[0]
        for n in (-1, 0, 1)
    ]
    assert max(altitudes) == altitudes[1]
    assert altitude_azimuth_deg(transit, 110.0, 10.0, BERLIN)[1] == pytest.approx(180.0, abs=0.01)


def test_time_above_ends_where_the_star_sinks() -> None:
    """A second before it is above the limit, then below."""
    until = EVENING + dt.timedelta(hours=12)
    left_s = time_above_s(EVENING, 80.0, 20.0, BERLIN, altitude_deg=25.0, until=until)
    sinks = EVENING + dt.timedelta(seconds=left_s)
    before = altitude_azimuth_deg(sinks - dt.timedelta(seconds=1), 80.0, 20.0, BERLIN)[0]
    assert altitude_azimuth_deg(sinks, 80.0, 20.0, BERLIN)[0] < 25.0 <= before


def test_trees_shorten_the_time_above() -> None:
    """A wood of 40° in the west hides the star earlier; below already, nothing is left."""
    until = EVENING + dt.timedelta(hours=12)
    free_s, wood_s, hidden_s = (
        time_above_s(EVENING, 80.0, 20.0, BERLIN, altitude_deg=25.0, until=until, horizon=mask)
        for mask in (HorizonMask(), HorizonMask.read([[40, 0]]), HorizonMask.read([[90, 0]]))
    )
    assert 0 < wood_s < free_s
    assert hidden_s == 0.0


def test_circumpolar_star_stays_to_the_end() -> None:
    """No further than was asked for."""
    until = EVENING + dt.timedelta(hours=3)
    assert time_above_s(EVENING, 30.0, 89.0, BERLIN, altitude_deg=25.0, until=until) == 3 * 3600


def test_instants_reach_from_the_start_to_the_end() -> None:
    """Evenly, both among them; the start alone where there is nothing between."""
    instants = instants_between(EVENING, EVENING + dt.timedelta(minutes=12))
    assert [(at - EVENING).total_seconds() for at in instants] == [0, 240, 480, 720]
    assert instants_between(EVENING, EVENING) == [EVENING]


def test_sky_of_no_instant_is_empty() -> None:
    """Nothing asked, nothing said."""
    sky = SkyOverSite([], BERLIN)
    assert sky.star(1.0, 2.0).altitude_deg.shape == (0,)
    assert sky.moon.altitude_deg.shape == np.shape(sky.sun.altitude_deg) == (0,)

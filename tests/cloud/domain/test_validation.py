"""Nodes confirm or contradict each other."""

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.cloud.domain.validation import (
    DEFAULT_WINDOW_D,
    MINUTE_D,
    ZERO_POINT_FLOOR_MAG,
    Observation,
    Status,
    affected_span,
    spans_of_new,
    validate,
    window_for,
)

BJD = 2_461_000.5
SINGLE, CONSISTENT, OUTLIER = Status


def seen(*magnitudes: float, **changes: Any) -> list[Observation]:
    """Return a point at each magnitude, each of a node of its own, at the same time."""
    usual: dict[str, Any] = {"bjd": BJD, "uncertainty": 0.02}
    return [
        Observation(id=number, node_id=f"node-{number}", magnitude=magnitude, **usual | changes)
        for number, magnitude in enumerate(magnitudes)
    ]


def statuses(points: list[Observation], window_d: float = DEFAULT_WINDOW_D) -> list[Status]:
    """Return the statuses in the order of the points."""
    found = validate(points, window_d)
    return [found[point.id] for point in points]


@pytest.mark.parametrize(
    ("magnitudes", "expected"),
    [
        ((12.0,), [SINGLE]),
        ((12.0, 12.1), [CONSISTENT, CONSISTENT]),
        ((12.0, 12.5), [OUTLIER, OUTLIER]),
        ((12.0, 12.05, 12.5), [CONSISTENT, CONSISTENT, OUTLIER]),
        ((12.0, 12.5, 13.0), [OUTLIER] * 3),
        ((12.0, 12.02, 12.5, 12.52), [OUTLIER] * 4),
        ((12.0, 12.02, 12.04, 12.5, 12.52), [CONSISTENT] * 3 + [OUTLIER] * 2),
    ],
    ids=["alone", "two agree", "two disagree", "one is off", "none agree", "camps", "majority"],
)
def test_nodes_vote(magnitudes: tuple[float, ...], expected: list[Status]) -> None:
    """A majority convicts; without one, all who disagree are to be looked at."""
    assert statuses(seen(*magnitudes)) == expected


def test_uncertain_points_may_differ_by_more() -> None:
    """Half a magnitude is within the errors of two points of 0.2 mag each."""
    assert statuses(seen(12.0, 12.5, uncertainty=0.2)) == [CONSISTENT] * 2


def test_perfect_uncertainties_are_not_believed() -> None:
    """Two nodes that state 0 still have zero points of their own."""
    assert statuses(seen(12.0, 12.0 + 3 * ZERO_POINT_FLOOR_MAG, uncertainty=0)) == [CONSISTENT] * 2


def test_a_point_that_could_be_anything_confirms_nothing() -> None:
    """A node that states 3 mag is within its errors, and no witness."""
    certain, vague = seen(12.0, 14.0)
    assert statuses([certain, replace(vague, uncertainty=3.0)]) == [SINGLE, CONSISTENT]


def test_rejected_points_take_no_part() -> None:
    """What an astronomer rejected neither confirms nor contradicts; what he accepted does."""
    good, wrong = seen(12.0, 12.5)
    assert validate([good, replace(wrong, review="rejected")]) == {good.id: SINGLE}
    assert statuses([good, replace(wrong, review="accepted")]) == [OUTLIER] * 2


@pytest.mark.parametrize(
    ("minutes", "status"), [(14.9, CONSISTENT), (15.1, SINGLE), (-14.9, CONSISTENT)]
)
def test_only_points_near_in_time_are_compared(minutes: float, status: Status) -> None:
    """The window counts both ways."""
    first, second = seen(12.0, 12.0)
    points = [first, replace(second, bjd=BJD + minutes * MINUTE_D)]
    assert statuses(points) == [status] * 2


def test_one_wrong_point_convicts_no_other_node() -> None:
    """A node with a satellite in one of its frames: that point is off, its neighbours stand."""
    steady = [
        Observation(id=n, node_id="a", bjd=BJD + n * MINUTE_D, magnitude=12.0, uncertainty=0.02)
        for n in range(7)
    ]
    other = [replace(point, id=point.id + 7, node_id="b") for point in steady]
    other[3] = replace(other[3], magnitude=11.0)
    expected = [CONSISTENT] * 14
    expected[7 + 3] = OUTLIER
    assert statuses(steady + other) == expected


def test_a_changing_star_is_no_disagreement() -> None:
    """An RR Lyrae star on its rise, 1 mag in 2 h, seen by two nodes that start 10 minutes apart."""
    rise = 1.0 / 120
    points = [
        Observation(
            id=100 * late + n,
            node_id=f"node-{late}",
            bjd=BJD + (late + n) * MINUTE_D,
            magnitude=12.0 - rise * (late + n),
            uncertainty=0.01,
        )
        for late in (0, 10)
        for n in range(60)
    ]
    assert set(statuses(points)) == {CONSISTENT}


@pytest.mark.parametrize(
    ("period_d", "minutes"), [(None, 15), (300.0, 15), (0.5668, 8.2), (0.061, 1), (1e-9, 1)]
)
def test_fast_stars_get_short_windows(period_d: float | None, minutes: float) -> None:
    """A hundredth of the period, at most 15 minutes, at least one."""
    assert window_for(period_d) == pytest.approx(minutes * MINUTE_D, abs=0.05 * MINUTE_D)


observations = st.builds(
    Observation,
    id=st.integers(0, 10_000),
    node_id=st.sampled_from("abcde"),
    bjd=st.integers(0, 120).map(lambda minutes: BJD + minutes * MINUTE_D),
    magnitude=st.sampled_from([11.7, 12.0, 12.02, 12.05, 12.1, 12.3, 13.0]),
    uncertainty=st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.4]),
    review=st.sampled_from([None, None, None, "accepted", "rejected"]),
)
nights = st.lists(observations, max_size=40, unique_by=lambda point: point.id)


@given(nights, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    points: list[Observation], shuffler: random.Random
) -> None:
    """The same set, the same statuses."""
    shuffled = points.copy()
    shuffler.shuffle(shuffled)
    assert validate(shuffled) == validate(points)


@given(nights)
def test_a_node_never_confirms_itself(points: list[Observation]) -> None:
    """Points of one node alone are single, however many agree."""
    alone = [replace(point, node_id="a") for point in points]
    assert set(validate(alone).values()) <= {SINGLE}


@given(nights, observations)
def test_more_points_of_ones_own_change_nothing(
    points: list[Observation], another: Observation
) -> None:
    """A node's own points are no witnesses of each other, nor are they votes."""
    another = replace(another, id=20_000)
    before, after = validate(points), validate([*points, another])
    own = {point.id for point in points if point.node_id == another.node_id}
    assert {id_: before[id_] for id_ in own & set(before)} == {
        id_: after[id_] for id_ in own & set(after)
    }


@given(nights, observations)
def test_a_new_point_changes_only_its_surroundings(
    points: list[Observation], new: Observation
) -> None:
    """Those outside of the affected span keep their status; those inside need no more context."""
    new = replace(new, id=20_000)
    low, high = affected_span(new.bjd)
    start, end = affected_span(new.bjd, 2 * DEFAULT_WINDOW_D)
    before, after = validate(points), validate([*points, new])
    nearby = validate([point for point in [*points, new] if start <= point.bjd <= end])
    for point in points:
        if low <= point.bjd <= high:
            assert nearby.get(point.id) == after.get(point.id)
        else:
            assert before.get(point.id) == after.get(point.id)
    assert nearby.get(new.id) == after.get(new.id)


dense = st.lists(
    st.builds(
        replace,
        observations,
        node_id=st.sampled_from("ab"),
        bjd=st.integers(0, 40).map(lambda step: BJD + step * MINUTE_D),
    ),
    max_size=40,
    unique_by=(lambda point: point.id, lambda point: (point.node_id, point.bjd)),
)


@given(st.one_of(nights, dense), st.data())
def test_new_points_change_only_where_they_speak(
    points: list[Observation], data: st.DataObject
) -> None:
    """Judging the spans of several that came at once leaves everything as judging all would."""
    count = data.draw(st.integers(0, len(points)))
    old, new = points[count:], points[:count]
    spans = spans_of_new(((one.node_id, one.bjd) for one in new), points, DEFAULT_WINDOW_D)
    assert spans == sorted(spans)
    assert all(low > high for (_, high), (low, _) in pairwise(spans))
    found = validate(points, DEFAULT_WINDOW_D, spans)
    assert {one.id for one in new if one.review != "rejected"} <= found.keys()
    assert validate(old) | found == validate(points)


def test_a_point_among_many_of_its_node_speaks_for_a_short_time_only() -> None:
    """Half the way to the third before and after it; alone, for the whole window."""
    row = [replace(seen(12.0)[0], id=n, bjd=BJD + n * MINUTE_D) for n in range(11)]
    ((low, high),) = spans_of_new([("node-0", row[5].bjd)], row, DEFAULT_WINDOW_D)
    assert ((low - BJD) / MINUTE_D, (high - BJD) / MINUTE_D) == pytest.approx((3.5, 6.5), abs=1e-4)
    ((low, high),) = spans_of_new([("node-0", BJD)], row[:1], DEFAULT_WINDOW_D)
    assert high - low == pytest.approx(2 * DEFAULT_WINDOW_D)


@given(st.integers(3, 6), st.floats(0.0, 0.01), st.floats(0.25, 5.0), st.booleans())
def test_the_one_far_off_is_the_outlier_among_many(
    nodes: int, scatter: float, off: float, brighter: bool
) -> None:
    """With three nodes or more, the others stay consistent however far off one is."""
    good = [12.0 + scatter * (-1) ** number for number in range(nodes - 1)]
    bad = 12.0 - off if brighter else 12.0 + off
    assert statuses(seen(*good, bad)) == [CONSISTENT] * (nodes - 1) + [OUTLIER]


def simulate(seed: int, blunder_mag: float = 0.0, nights: int = 2_000) -> tuple[float, float]:
    """Return which shares of honest and of wrong points are called outliers.

    Five nodes, stated uncertainties of 0.01 to 0.05 mag that are true, and zero
    points that are off by the floor; the first node is wrong by the blunder.
    """
    rng = random.Random(seed)  # noqa: S311 - a simulation, repeatable
    called: list[list[Status]] = []
    for _ in range(nights):
        errors = [rng.uniform(0.01, 0.05) for _ in range(5)]
        truth = [rng.gauss(12.0, ZERO_POINT_FLOOR_MAG) + rng.gauss(0, e) for e in errors]
        truth[0] += blunder_mag
        points = seen(*truth)
        called.append(
            statuses([replace(p, uncertainty=e) for p, e in zip(points, errors, strict=True)])
        )
    honest = [status is OUTLIER for night in called for status in night[1:]]
    wrong = [night[0] is OUTLIER for night in called]
    return sum(honest) / len(honest), sum(wrong) / len(wrong)


def test_honest_errors_are_rarely_called_outliers() -> None:
    """Fewer than 1 honest point in 300 among five nodes, as 3 σ promises."""
    false_rate, _ = simulate(seed=20_260_301)
    assert false_rate < 1 / 300


def test_a_blunder_of_a_third_of_a_magnitude_is_found() -> None:
    """95 of 100 wrong by 0.3 mag are found, and hardly an honest one is blamed for it."""
    false_rate, found = simulate(seed=20_260_302, blunder_mag=0.3)
    assert found > 0.95
    assert false_rate < 0.01

"""What a light curve is said to do, and what not."""

import numpy as np
import pytest
from tests.node.night.curves import ERROR_MAG, noisy

from boundless_skies.node.night.course import Course, find_course

HOURS = np.linspace(0.0, 7.0, 48)
ERRORS = np.full(48, ERROR_MAG)


def course_of(magnitudes: np.ndarray, seed: int = 1) -> Course:
    """Find the course of magnitudes with noise."""
    return find_course(HOURS, noisy(magnitudes, seed), ERRORS)


def test_noise_is_no_change() -> None:
    """Of 300 constant stars none is said to do anything, though a box finds some gap in each."""
    courses = [course_of(np.full(48, 11.4), seed) for seed in range(300)]
    assert courses == [Course()] * 300


def test_errors_stated_too_small_invent_little() -> None:
    """What the points scatter from one to the next counts where it is more than they state."""
    constant = np.full(48, 11.4)
    courses = [find_course(HOURS, noisy(constant, seed), ERRORS / 4) for seed in range(200)]
    assert sum(course != Course() for course in courses) <= 3


@pytest.mark.parametrize("sign", [1, -1])
def test_dip_is_found_with_its_depth_and_times(sign: int) -> None:
    """Within its error, and within a step of its edges; a brightening as well."""
    inside = (HOURS > 2.2) & (HOURS < 4.7)
    pulls = []
    for seed in range(40):
        box = course_of(11.4 + sign * 0.025 * inside, seed).box
        assert box is not None
        assert box.begins_h == pytest.approx(2.2, abs=0.35)
        assert box.ends_h == pytest.approx(4.7, abs=0.35)
        pulls.append((box.dimming_mag - sign * 0.025) / box.error_mag)
    assert float(np.std(pulls)) == pytest.approx(1.0, abs=0.35)
    assert abs(float(np.mean(pulls))) < 0.8


def test_transit_of_eight_points_is_found() -> None:
    """As a night in stacks gives it: deep beside the errors, three points of eight in it."""
    hours, errors = np.linspace(0.0, 7.0, 8), np.full(8, ERROR_MAG)
    inside = (hours > 1.9) & (hours < 4.9)
    boxes = [
        find_course(hours, noisy(11.4 + 9 * ERROR_MAG * inside, seed), errors).box
        for seed in range(100)
    ]
    found = [box for box in boxes if box is not None and box.ends_h is not None]
    assert len(found) >= 95
    # Between the points before it and its first, its last and the one after it.
    assert all(1.0 <= box.begins_h <= 2.5 for box in found)
    assert all(4.0 <= box.ends_h <= 6.0 for box in found)


def test_transit_whose_edges_run_through_its_points_is_found() -> None:
    """A stack that begins before the star dims is half as deep; the depth is not."""
    hours = np.linspace(0.0, 7.0, 8)
    inside = np.array([0.0, 0.0, 0.4, 1.0, 1.0, 0.4, 0.0, 0.0])
    boxes = [
        find_course(hours, noisy(11.4 + 9 * ERROR_MAG * inside, seed), np.full(8, ERROR_MAG)).box
        for seed in range(100)
    ]
    found = [box for box in boxes if box is not None and box.ends_h is not None]
    assert len(found) >= 80
    depths = [box.dimming_mag for box in found]
    assert float(np.median(depths)) == pytest.approx(9 * ERROR_MAG, rel=0.15)


@pytest.mark.parametrize("at", range(9))
def test_box_at_the_ends_of_a_curve_has_no_edge_there(at: int) -> None:
    """Wherever three points dim, also the first and the last of all, times are within the curve."""
    hours = np.linspace(0.0, 11.0, 12)
    dims = (np.arange(12) >= at) & (np.arange(12) < at + 3)
    box = find_course(hours, noisy(11.4 + 0.1 * dims), np.full(12, ERROR_MAG)).box
    assert box is not None
    assert abs(box.dimming_mag) == pytest.approx(0.1, abs=0.02)
    assert 0.0 < box.begins_h < (box.ends_h or 11.0) <= 11.0


def test_eight_points_of_noise_are_no_change() -> None:
    """The shortest curve that may be said to dip invents no dip in 500."""
    hours, errors = np.linspace(0.0, 7.0, 8), np.full(8, ERROR_MAG)
    courses = [find_course(hours, noisy(np.full(8, 11.4), s), errors) for s in range(500)]
    assert sum(course != Course() for course in courses) <= 1


@pytest.mark.parametrize("sign", [1, -1])
def test_step_is_a_box_without_an_end(sign: int) -> None:
    """A star that stays as it became is not said to come back."""
    box = course_of(11.4 + sign * 0.03 * (HOURS > 3.0)).box
    assert box is not None
    assert box.begins_h == pytest.approx(3.0, abs=0.35)
    assert box.ends_h is None
    assert box.dimming_mag == pytest.approx(sign * 0.03, abs=0.006)


def test_slow_fading_is_a_line() -> None:
    """With what it makes from the first point to the last."""
    course = course_of(11.4 + 0.05 * HOURS / 7.0)
    assert course.box is None
    assert course.fading_mag == pytest.approx(0.05, abs=4 * course.fading_error_mag)
    assert course.fading_error_mag < 0.005


def test_dip_on_a_slow_fading_is_told_as_both() -> None:
    """Neither takes the other's part."""
    course = course_of(11.4 + 0.08 * HOURS / 7.0 + 0.03 * ((HOURS > 2.0) & (HOURS < 4.0)))
    assert course.box is not None
    assert course.box.dimming_mag == pytest.approx(0.03, abs=0.008)
    assert course.fading_mag == pytest.approx(0.08, abs=0.015)


def test_what_fits_no_course_varies() -> None:
    """A pulsating star is no dip."""
    assert course_of(11.4 + 0.2 * np.sin(2 * HOURS)) == Course(varies=True)


@pytest.mark.parametrize("points", [1, 2, 4, 5, 8, 9])
def test_few_points_raise_nothing(points: int) -> None:
    """Nor do points at one and the same time, or with errors of nothing."""
    hours, magnitudes = HOURS[:points], noisy(np.full(points, 11.4))
    assert find_course(hours, magnitudes, ERRORS[:points]).box is None
    assert find_course(np.zeros(points), magnitudes, ERRORS[:points]) == Course()
    find_course(hours, magnitudes, np.zeros(points))


def test_many_points_are_thinned_for_the_edges() -> None:
    """Five thousand points are told as soon as fifty, and a dip in them is found."""
    hours = np.linspace(0.0, 7.0, 5_000)
    magnitudes = noisy(11.4 + 0.003 * ((hours > 3.0) & (hours < 5.0)))
    box = find_course(hours, magnitudes, np.full(5_000, ERROR_MAG)).box
    assert box is not None
    assert box.dimming_mag == pytest.approx(0.003, abs=0.0008)
    assert box.begins_h == pytest.approx(3.0, abs=0.3)

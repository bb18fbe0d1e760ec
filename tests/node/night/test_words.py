"""Light curves in words."""

import re

import numpy as np
from tests.node.night.curves import curve_of, noisy, point_at, transit

from boundless_skies.node.night.words import describe_curve


def test_dip_is_told_with_depth_time_and_length() -> None:
    """As someone would who looks at the picture, with the uncertainty."""
    told = describe_curve(transit())
    assert told.startswith("Light curve of SS Cyg from 2026-07-01 to 2026-07-02: 48 points in CV")
    found = re.search(
        r"dims by (\d\.\d+) ± (\d\.\d+) mag around (\d\d):(\d\d) UTC, for about (\d\.\d) hours",
        told,
    )
    assert found is not None, told
    depth, error, hour, minute, hours = map(float, found.groups())
    assert abs(depth - 0.025) < 4 * error
    # Its middle is 3.45 h after 21:10.
    assert abs((hour * 60 + minute) - 37) < 20
    assert abs(hours - 2.5) < 0.5
    assert "scatter by" in told
    assert told.endswith("Quality: 48 good.")


def test_constant_star_is_said_to_show_no_change() -> None:
    """Not to be constant: that no light curve can tell."""
    hours = np.linspace(0, 5, 30)
    magnitudes = noisy(np.full(30, 12.0))
    told = describe_curve(
        curve_of([point_at(*row) for row in zip(hours.tolist(), magnitudes.tolist(), strict=True)])
    )
    assert "around magnitude 12.00" in told
    assert "it shows no change beyond its errors" in told


def test_variable_star_is_told_by_its_extremes() -> None:
    """Of the running median where there are many points, so that no wild point is one."""
    hours = np.linspace(0, 6, 60)
    magnitudes = noisy(10.5 - 0.3 * np.sin(hours))
    magnitudes[30] = 9.0
    told = describe_curve(
        curve_of([point_at(*row) for row in zip(hours.tolist(), magnitudes.tolist(), strict=True)])
    )
    found = re.search(r"brightest at magnitude (\d+\.\d+) around (\d\d):(\d\d) UTC", told)
    assert found is not None, told
    assert abs(float(found[1]) - 10.2) < 0.02
    # A quarter of the period, 1.57 h, after 21:10.
    assert abs(int(found[2]) * 60 + int(found[3]) - 22 * 60 - 44) < 20


def test_limits_are_told_apart() -> None:
    """A star that was not seen is not called faint."""
    curve = curve_of([point_at(0.0, 12.0), point_at(1.0, 13.5, is_limit=True)])
    told = describe_curve(curve)
    assert "of magnitude 12.000 at 21:10 UTC" in told
    assert "in 1 of them it was not seen" in told
    assert "it was not seen" in describe_curve(curve_of([point_at(0.0, 13.5, is_limit=True)]))


def test_few_points_are_not_overread() -> None:
    """Two points say nothing of change."""
    told = describe_curve(curve_of([point_at(hour, 12.0 + hour / 10) for hour in (0.0, 1.0)]))
    assert "around magnitude 12.050, too few points to say" in told


def test_quality_is_told_with_its_reasons() -> None:
    """Which is what a reader asks next."""
    curve = [point_at(0.0, 12.0), point_at(1.0, 12.0, quality_flag="acceptable", quality_bits=128)]
    assert "Quality: 1 acceptable, 1 good (trailed 1)" in describe_curve(curve_of(curve))


def test_weeks_are_told_in_days() -> None:
    """With dates to the times."""
    hours = np.arange(0, 24 * 20, 24.0)
    told = describe_curve(curve_of([point_at(hour, 12.0 + 0.1 * (hour > 200)) for hour in hours]))
    assert "19.0 days" in told
    assert re.search(r"dims by 0\.100 .* at about 2026-07-10 \d\d:\d\d UTC", told), told


def test_check_star_vouches_for_the_curve() -> None:
    """Its scatter stands beside the star's."""
    points = [
        point_at(hour, 12.0, check_star={"name": "TYC 1"}, check_star_mag=11.0 + 0.01 * (hour % 2))
        for hour in range(6)
    ]
    assert "The check star TYC 1, drawn below, scatters by 10.5 mmag." in describe_curve(
        curve_of(points)
    )

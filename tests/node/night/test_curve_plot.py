"""The picture of a light curve, read back."""

from pathlib import Path

import numpy as np
import pytest
from tests.node.night.curves import curve_of, pixels, places_of, point_at, text_chunks, transit

from boundless_skies.node.night.curve_plot import draw_curve
from boundless_skies.node.night.drawing import BLUE, ORANGE, RED


def test_picture_carries_its_description(tmp_path: Path) -> None:
    """1600 × 900 px, with the words that are told on the screen in its Description."""
    told = draw_curve(transit(), tmp_path / "c.png")
    assert pixels(tmp_path / "c.png").shape == (900, 1600, 3)
    chunks = text_chunks(tmp_path / "c.png")
    assert chunks["Description"] == told
    assert chunks["Title"] == "Light curve of SS Cyg"
    assert [path.name for path in tmp_path.iterdir()] == ["c.png"]


def test_brighter_is_up_and_later_is_right(tmp_path: Path) -> None:
    """A star that brightens climbs to the right."""
    curve = curve_of(
        [point_at(float(hour), 12.0 - 0.1 * hour, uncertainty=0.001) for hour in range(6)]
    )
    draw_curve(curve, tmp_path / "c.png")
    rows, columns = places_of(pixels(tmp_path / "c.png")[:800], BLUE)
    assert np.corrcoef(columns, rows)[0, 1] < -0.99


@pytest.mark.parametrize(
    ("flag", "colour", "filled"),
    [("good", BLUE, True), ("acceptable", ORANGE, True), ("poor", RED, False)],
)
def test_quality_shows_by_filling_too(tmp_path: Path, flag: str, colour: str, filled: bool) -> None:
    """The mark of a poor point is hollow, so that no eye needs the colour."""
    draw_curve(
        curve_of([point_at(0.0, 12.0, quality_flag=flag, uncertainty=1e-4)]), tmp_path / "c.png"
    )
    picture = pixels(tmp_path / "c.png")[100:790]
    rows, columns = places_of(picture, colour)
    middle = picture[(rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2]
    assert bool(middle.min() > 0.98) is not filled


def test_wild_error_does_not_flatten_the_curve(tmp_path: Path) -> None:
    """One bar a hundred times as long as the others is cut, not shown whole."""
    points = [point_at(hour / 4, 12.0 + 0.1 * (hour % 2)) for hour in range(20)]
    points[7]["uncertainty"] = 3.0
    draw_curve(curve_of(points), tmp_path / "c.png")
    rows, _ = places_of(pixels(tmp_path / "c.png")[150:780], BLUE)
    assert np.ptp(rows) > 300


@pytest.mark.parametrize(
    "points",
    [
        [point_at(0.0, 12.0)],
        [point_at(0.0, 13.0, is_limit=True)],
        [point_at(0.0, 12.0, check_star="TYC 1", check_star_mag=11.0)],
        [point_at(24.0 * day, 12.0) for day in range(30)],
        [point_at(0.0, 12.0, target_name="$x_1$ " + 60 * "long", filter="$V$")],
    ],
    ids=["one", "limit", "check", "month", "name"],
)
def test_odd_curves_are_drawn_too(tmp_path: Path, points: list[dict[str, object]]) -> None:
    """Without a warning, which would be an error here."""
    assert draw_curve(curve_of(points), tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 10_000

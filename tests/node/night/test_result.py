"""A night in a few numbers, and as a table."""

import csv
import datetime as dt
import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.node.night.curves import BEGIN, TARGET, point_at
from tests.node.program.fakes import measurement_of

from boundless_skies.node.night.result import NightPoint, NightResult, scatter, summarise
from boundless_skies.node.night.run import SkippedFrame
from boundless_skies.node.night.table import COLUMNS, CsvTable


@pytest.fixture
def point(tmp_path: Path) -> dict[str, object]:
    """Give a measurement with every key of the wire."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    return measurement_of(str(path))


def test_scatter_is_that_of_the_points_not_of_the_star() -> None:
    """A star that changes slowly by a magnitude, and one wild point, do not count."""
    rng = np.random.default_rng(5)
    slow = np.sin(np.linspace(0.0, 3.0, 300))
    values = slow + rng.normal(0.0, 0.01, 300)
    values[100] += 3.0
    assert scatter(values.tolist()) == pytest.approx(0.01, rel=0.15)
    assert scatter([1.0, 2.0]) is None


def test_summary_counts_limits_apart(point: dict[str, object]) -> None:
    """A limit is a point, but no magnitude."""
    curve = [
        point | {"bjd": 2_460_000.0 + index / 24, "magnitude": 12.0 + index, "is_limit": index == 3}
        for index in range(4)
    ]
    summary = summarise(curve)
    assert (summary.points, summary.limits) == (4, 1)
    assert (summary.brightest, summary.faintest) == (12.0, 14.0)
    assert summary.hours == pytest.approx(3.0)
    assert math.isnan(summarise(curve[3:]).brightest)
    curve[3]["uncertainty"] = 9.0
    assert summarise(curve[2:]).stated_mag == curve[2]["uncertainty"]


def test_curves_are_parted_by_target_and_filter() -> None:
    """The longest comes first, and each in the order of time, with its times."""
    night = NightResult()
    for band, hours in (("CV", 0.5), ("V", 2.0), ("V", 1.0)):
        night.taken.append(
            NightPoint(
                values=point_at(hours, 12.0, filter=band),
                target=TARGET,
                middle_utc=BEGIN + dt.timedelta(hours=hours),
            )
        )
    night.add(SkippedFrame(path=Path("x.fits"), reason="clouds."))
    longest, other = night.curves()
    assert (longest.filter, other.filter) == ("V", "CV")
    assert longest.middles_utc == [BEGIN + dt.timedelta(hours=hours) for hours in (1, 2)]
    assert longest.points[0]["bjd"] < longest.points[1]["bjd"]
    assert len(other.points) == len(night.skipped) == 1


def test_table_holds_every_key_as_it_comes(tmp_path: Path, point: dict[str, object]) -> None:
    """Lists become JSON, nothing becomes a formula, and a row is on disk at once."""
    table = CsvTable(tmp_path / "t.csv")
    table.add(point | {"target_name": "=1+1", "comparison_list": [{"name": "ä"}]})
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    table.close()
    assert list(row) == [*COLUMNS, "comparison_list"]
    assert row["target_name"] == "'=1+1"
    assert json.loads(row["comparison_list"]) == [{"name": "ä"}]
    assert float(row["magnitude"]) == point["magnitude"]


def test_reasons_of_quality_are_told_by_name(tmp_path: Path) -> None:
    """Counted in the summary, the most frequent first; in a cell with semicolons between them."""
    trailed = {"quality_bits": 128, "quality_reasons": ["trailed: stars 2.0 times as long as wide"]}
    both = {"quality_bits": 128 + 8192, "quality_reasons": ["trailed: a", "=clouds: b"]}
    curve = [point_at(0.0, 12.0), point_at(1.0, 12.0, **trailed), point_at(2.0, 12.0, **both)]
    assert list(summarise(curve).reasons.items()) == [("trailed", 2), ("clouds", 1)]
    table = CsvTable(tmp_path / "t.csv")
    for point in reversed(curve):
        table.add(point)
    table.close()
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        first, second, good = csv.DictReader(stream)
    assert first["quality_reasons"] == "trailed: a; =clouds: b"
    assert second["quality_reasons"] == trailed["quality_reasons"][0]
    assert good["quality_reasons"] == ""


def test_table_without_points_names_its_columns(tmp_path: Path) -> None:
    """So that a script finds them."""
    CsvTable(tmp_path / "t.csv").close()
    assert (tmp_path / "t.csv").read_text().strip() == ",".join(COLUMNS)

"""The files of a night: checked before, written after."""

import datetime as dt
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.node.night.curves import BEGIN, TARGET, point_at, text_chunks
from tests.support.aavso_reader import read_aavso
from tests.support.scenes import write_scene

from boundless_skies.node.config import defaults
from boundless_skies.node.measure_cli import measure_files
from boundless_skies.node.night.outputs import (
    NotWritten,
    Wishes,
    Written,
    overwritten,
    problem_with,
    unfit_name,
    write_files,
)
from boundless_skies.node.night.result import NightPoint, NightResult


def night(*points: dict[str, object]) -> NightResult:
    """Make a night of points, without frames."""
    result = NightResult()
    for index, values in enumerate(points):
        middle = BEGIN + dt.timedelta(hours=index)
        result.taken.append(NightPoint(values=values, target=TARGET, middle_utc=middle))
    return result


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"plot_path": "x.jpg"}, "--plot writes PNG: name a file that ends in .png, not"),
        ({"chart_path": "x"}, "--chart writes PNG"),
        ({"sound_path": "x.mp3"}, "--sound writes WAV"),
        ({"plot_path": "no/x.png"}, "there is no folder"),
        ({"aavso_path": "x.txt", "observer_code": "TOOLONG"}, "--obscode: observer code 'TOOLONG'"),
        ({"plot_path": "x.png", "chart_path": "./x.png"}, "two different files"),
    ],
)
def test_what_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, wishes: dict[str, str], told: str
) -> None:
    """Before anything is measured."""
    paths = {
        name: tmp_path / value if name.endswith("_path") else value
        for name, value in wishes.items()
    }
    problem = problem_with(Wishes(**paths))
    assert told in problem
    assert "\n" not in problem


def test_good_wishes_have_no_problem(tmp_path: Path) -> None:
    """Capitals in an ending do no harm; nor does a table that goes to a device."""
    wishes = Wishes(csv_path=Path("/dev/null"), plot_path=tmp_path / "X.PNG", as_json=True)
    assert problem_with(wishes) == ""
    assert overwritten(wishes, [tmp_path / "a.fits"]) == ""
    assert "would be overwritten" in overwritten(wishes, [tmp_path / "X.PNG"])


def test_several_light_curves_are_several_pictures(tmp_path: Path) -> None:
    """Numbered, the longest first, each told by its name."""
    result = night(point_at(0.0, 12.0), point_at(1.0, 12.0), point_at(2.0, 12.0, filter="V"))
    made = list(write_files(result, Wishes(plot_path=tmp_path / "c.png")))
    assert [file.path.name for file in made] == ["c.png", "c-2.png"]
    assert "2 points in CV" in text_chunks(tmp_path / "c.png")["Description"]
    assert "1 point in V" in text_chunks(tmp_path / "c-2.png")["Description"]


def test_what_was_not_written_says_why(tmp_path: Path) -> None:
    """No points, only poor ones, only limits, a name that the AAVSO's format has no room for."""
    paths = {"plot_path": tmp_path / "c.png"}
    (empty,) = write_files(night(), Wishes(**paths))
    assert isinstance(empty, NotWritten)
    report = Wishes(aavso_path=tmp_path / "a.txt", observer_code="ABC")
    (poor,) = write_files(night(point_at(0.0, 12.0, quality_flag="poor")), report)
    assert isinstance(poor, NotWritten)
    assert "poor" in poor.reason
    (limits,) = write_files(
        night(point_at(0.0, 12.0, is_limit=True)), Wishes(sound_path=tmp_path / "s.wav")
    )
    assert isinstance(limits, NotWritten)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "in_header", "told"),
    [
        ("SS Cyg", "x" * 40, ""),
        ("Ein sehr langer Name für einen Stern", "SS Cyg", "no place for the name 'Ein sehr"),
        ("", "x" * 40, "no place for the name 'xxx"),
        ("", "SS Cyg", ""),
        ("", "", ""),
    ],
)
def test_name_that_no_report_can_hold_is_told_before_measuring(
    tmp_path: Path, given: str, in_header: str, told: str
) -> None:
    """The config's name counts, else the first frame's; where no report is wished, none."""
    header = fits.Header({"OBJECT": in_header})
    fits.PrimaryHDU(np.zeros((9, 9), np.int16), header).writeto(tmp_path / "a.fits")
    config = defaults()
    config["photometry"]["target"]["name"] = given
    report = Wishes(aavso_path=tmp_path / "a.txt", observer_code="ABC")
    problem = unfit_name(report, config, tmp_path / "a.fits")
    assert told in problem if told else problem == ""
    assert unfit_name(Wishes(), config, tmp_path / "a.fits") == ""


def test_nothing_is_measured_for_a_report_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2; a first frame that is damaged is told by the measuring."""
    (tmp_path / "torn.fits").write_bytes(b"no FITS at all")
    report = Wishes(aavso_path=tmp_path / "a.txt", observer_code="ABC")
    assert measure_files([tmp_path], defaults(), report, workers=1) == 1
    config = defaults()
    config["photometry"]["target"]["name"] = "a,b"
    capsys.readouterr()
    assert measure_files([tmp_path], config, report, workers=1) == 2
    told = capsys.readouterr()
    assert "no place for the name 'a,b'" in told.err
    assert "skipped" not in told.out + told.err


def test_report_counts_what_it_leaves_out(tmp_path: Path) -> None:
    """In the line that is printed."""
    result = night(point_at(0.0, 12.0), point_at(1.0, 12.0, quality_flag="poor"))
    wishes = Wishes(aavso_path=tmp_path / "a.txt", observer_code="ABC")
    (file,) = write_files(result, wishes)
    assert isinstance(file, Written)
    assert file.description == (
        "AAVSO report: 1 of 2 points of SS Cyg; 1 of poor quality left out."
    )


def test_night_gives_all_its_files(
    night_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From frames to table, picture, chart, sound and report; JSON names them, with the words."""
    (tmp_path / "torn.fits").write_bytes(next(night_folder.iterdir()).read_bytes()[:5_000])
    wishes = Wishes(
        csv_path=tmp_path / "t.csv",
        plot_path=tmp_path / "c.png",
        chart_path=tmp_path / "k.png",
        sound_path=tmp_path / "s.wav",
        aavso_path=tmp_path / "a.txt",
        observer_code="abc",
        as_json=True,
    )
    config = defaults()
    config["photometry"]["target"]["name"] = "A Star"
    code = measure_files([night_folder, tmp_path / "torn.fits"], config, wishes)
    told = json.loads(capsys.readouterr().out)
    assert code == 1
    assert len(told["measurements"]) == 5
    assert [file["kind"] for file in told["files"]] == ["csv", "plot", "chart", "sound", "aavso"]
    assert told["skipped"][0]["fault"] == "incomplete file"
    for kind, path in (("plot", "c.png"), ("chart", "k.png")):
        assert told[kind]["description"] == text_chunks(tmp_path / path)["Description"]
    with wave.open(told["sound"]["file"]) as sound:
        assert sound.getnframes() > 0
    assert len(read_aavso((tmp_path / "a.txt").read_text("ascii")).rows) == 5


def test_table_on_the_screen_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the flag, where there is room; and in the summary."""
    write_scene(tmp_path / "faint.fits", target_magnitude=14.2)
    config = defaults()
    config["photometry"]["target"]["name"] = "A Star"
    assert measure_files([tmp_path], config, Wishes(as_json=True), workers=1) == 0
    (point,) = json.loads(capsys.readouterr().out)["measurements"]
    names = [reason.partition(":")[0] for reason in point["quality_reasons"]]
    assert measure_files([tmp_path], config, Wishes(), workers=1) == 0
    shown = capsys.readouterr().out
    assert f"{point['quality_flag']}: {', '.join(names)}" in shown
    assert f"1 {point['quality_flag']} ({names[0]} 1" in shown


def test_summary_groups_what_was_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of five files with one fault three are told at once; the summary counts all, and advises."""
    for index in range(5):
        (tmp_path / f"{index}.fits").write_bytes(b"no FITS at all")
    assert measure_files([tmp_path], defaults(), Wishes(), workers=1) == 1
    told, at_once = capsys.readouterr()
    assert at_once.count("skipped: ") == 3
    assert "5 frames skipped, unreadable file" in told
    assert "such as 0.fits: " in told
    assert "To do: name only the raw frames" in told

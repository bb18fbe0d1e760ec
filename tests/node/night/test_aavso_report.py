"""A night's report to the AAVSO, read by the format's rules."""

from pathlib import Path

import pytest
from tests.node.night.curves import TARGET, curve_of, point_at
from tests.support.aavso_reader import read_aavso

from boundless_skies.node.night.aavso_report import write_report
from boundless_skies.reports.aavso import AavsoError
from boundless_skies.sky.time_scales import hjd_utc_from_bjd_tdb
from boundless_skies.wire.quality_reasons import REASONS


def test_report_is_legal_and_says_what_was_measured(tmp_path: Path) -> None:
    """Good and acceptable points, limits and check stars; poor points are counted, not sent."""
    points = [
        point_at(0.0, 12.3456, check_star={"name": "TYC 3196-1-1"}, check_star_mag=11.5),
        point_at(1.0, 12.4, quality_flag="acceptable", catalogue="Tycho-2"),
        point_at(2.0, 12.5, quality_flag="poor"),
        point_at(3.0, 14.2, is_limit=True),
    ]
    count = write_report([curve_of(points)], "abc", tmp_path / "a.txt")
    assert (count.reported, count.left_out) == (3, 1)
    report = read_aavso((tmp_path / "a.txt").read_text("ascii"))
    first, second, limit = report.rows
    assert report.header["OBSCODE"] == "ABC"
    assert (first["MAG"], first["MERR"], first["AMASS"]) == ("12.346", "0.0060", "1.250")
    assert (first["CNAME"], first["CMAG"]) == ("ENSEMBLE", "na")
    assert (first["KNAME"], first["KMAG"]) == ("TYC 3196-1-1", "11.500")
    assert (second["KNAME"], second["KMAG"]) == ("na", "na")
    assert second["NOTES"] == "8 comparison stars; zero point scatter 0.050; Tycho-2"
    assert (limit["MAG"], limit["MERR"]) == ("<14.200", "na")


@pytest.mark.parametrize(
    ("reasons", "sent"),
    [(["very low SNR"], True), (["very low SNR", "high airmass"], True)]
    + [(["very low SNR", poor], False) for poor in ("thick clouds", "badly trailed")],
)
def test_limit_is_sent_unless_the_frame_is_poor(
    tmp_path: Path, reasons: list[str], sent: bool
) -> None:
    """That nothing was seen makes every limit's quality poor, and is what it says."""
    bits = sum(reason.mask for reason in REASONS if reason.name in reasons)
    limit = point_at(0.0, 14.2, is_limit=True, quality_flag="poor", quality_bits=bits)
    count = write_report([curve_of([limit])], "ABC", tmp_path / "a.txt")
    assert (count.reported, count.left_out) == (int(sent), int(not sent))


def test_point_of_low_signal_is_not_sent(tmp_path: Path) -> None:
    """It is no limit."""
    bits = sum(reason.mask for reason in REASONS if reason.name == "very low SNR")
    point = point_at(0.0, 14.2, quality_flag="poor", quality_bits=bits)
    assert write_report([curve_of([point])], "ABC", tmp_path / "a.txt").reported == 0


def test_dates_are_heliocentric(tmp_path: Path) -> None:
    """As the header says."""
    point = point_at(0.0, 12.0)
    write_report([curve_of([point])], "ABC", tmp_path / "a.txt")
    report = read_aavso((tmp_path / "a.txt").read_text("ascii"))
    hjd = float(hjd_utc_from_bjd_tdb(point["bjd"], *TARGET.position_deg))
    assert report.header["DATE"] == "HJD"
    assert float(report.rows[0]["DATE"]) == pytest.approx(hjd, abs=6e-6)
    assert abs(hjd - point["bjd"]) * 86_400 > 60


def test_nothing_worth_reporting_writes_nothing(tmp_path: Path) -> None:
    """A report without observations would be refused."""
    curve = curve_of([point_at(0.0, 12.0, quality_flag="poor")])
    count = write_report([curve], "ABC", tmp_path / "a.txt")
    assert (count.reported, count.left_out) == (0, 1)
    assert not (tmp_path / "a.txt").exists()


def test_bad_code_writes_nothing(tmp_path: Path) -> None:
    """And says what a code looks like."""
    with pytest.raises(AavsoError, match="1 to 5 letters"):
        write_report([curve_of([point_at(0.0, 12.0)])], "A-B", tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()

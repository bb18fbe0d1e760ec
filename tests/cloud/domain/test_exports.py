"""Each file is read back by a reader of its own and compared."""

import csv
import io
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from astropy.io.votable import parse
from astropy.io.votable.tree import TableElement
from astropy.io.votable.ucd import check_ucd
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.aavso_reader import read_aavso

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.exports import (
    COLUMNS,
    ExportPoint,
    ExportTarget,
    to_aavso,
    to_csv,
    to_votable,
)
from boundless_skies.reports.aavso import aavso_filter

SS_CYG = ExportTarget(name="SS Cyg", ra_deg=325.678333, dec_deg=43.586111)
PLAIN = ExportPoint(
    bjd=2_461_000.123456789, magnitude=11.9876, uncertainty=0.0123, filter="CV", node_id="hilltop"
)
FULL = replace(
    PLAIN,
    filter="V",
    quality_flag="good",
    airmass=1.2345,
    snr=88.5,
    revision=3,
    validation="consistent",
    review="accepted",
    comparison_stars=12,
    check_star="000-BCP-220",
    check_star_mag=11.93,
    chart="X26835ABC",
    quality_bits=8192 + 16,
    quality_reasons="few comparison stars: 4; clouds: 0.4 mag less light",
)
LIMIT = replace(PLAIN, magnitude=14.2, uncertainty=0.0, is_limit=True)
POINTS = [PLAIN, FULL, LIMIT]

hostile = st.text(max_size=40) | st.sampled_from(
    ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "a,b", 'a"b', "a\r\nb", "#x", "\x00", "\ud800"]
)
points = st.builds(
    ExportPoint,
    bjd=st.floats(2_400_001, 2_499_999),
    magnitude=st.floats(-4.99, 29.99),
    uncertainty=st.floats(0, 4.99),
    filter=hostile,
    node_id=hostile,
    quality_flag=st.none() | hostile,
    airmass=st.none() | st.floats(allow_nan=False),
    snr=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    revision=st.integers(1, 1000),
    validation=st.none() | hostile,
    is_limit=st.booleans(),
    comparison_stars=st.none() | st.integers(0, 2**31 - 1),
    comparison_name=st.none() | hostile,
    comparison_mag=st.none() | st.floats(allow_nan=False),
    check_star=st.none() | hostile,
    check_star_mag=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    chart=st.none() | hostile,
    quality_bits=st.none() | st.integers(0, 2**31 - 1),
    quality_reasons=st.none() | hostile,
)


def read_csv(text: str) -> list[dict[str, str]]:
    """Read a CSV as a spreadsheet does."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_holds_every_digit() -> None:
    """What is read back is what was written; what is not known is empty."""
    plain, full, limit = read_csv(to_csv(POINTS))
    assert float(plain["bjd_tdb"]) == PLAIN.bjd
    assert float(full["airmass"]) == FULL.airmass
    assert (plain["airmass"], plain["check_star"], plain["validation"]) == ("", "", "")
    assert (full["validation"], full["revision"], full["chart"]) == ("consistent", "3", "X26835ABC")
    assert (plain["quality_bits"], plain["quality_reasons"]) == ("", "")
    assert (full["quality_bits"], full["quality_reasons"]) == ("8208", FULL.quality_reasons)
    assert (plain["is_limit"], limit["is_limit"]) == ("false", "true")


def test_csv_keeps_its_first_columns() -> None:
    """Programs that read the columns of old find them in their places."""
    assert to_csv([]) == ",".join(column.name for column in COLUMNS) + "\r\n"
    assert to_csv([]).startswith(
        "bjd_tdb,magnitude,uncertainty,filter,node_id,quality_flag,airmass,snr,revision,"
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'=1+1"),
        ("two\r\nlines", "two lines"),
        ('a,"b"', 'a,"b"'),
    ],
)
def test_csv_texts_are_no_formulas(text: str, cell: str) -> None:
    """A spreadsheet shows them and computes nothing."""
    assert read_csv(to_csv([replace(PLAIN, node_id=text)]))[0]["node_id"] == cell


@given(st.lists(points, max_size=5))
def test_any_points_make_a_csv(many: list[ExportPoint]) -> None:
    """One line a point, no cell that starts a formula."""
    text = to_csv(many)
    assert text.count("\r\n") == len(many) + 1
    rows = read_csv(text)
    texts = [row[name] for row in rows for name in ("filter", "node_id", "check_star", "chart")]
    assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@"))]
    assert [float(row["magnitude"]) for row in rows] == [point.magnitude for point in many]


def read_votable(xml: bytes) -> TableElement:
    """Read a VOTable strictly: anything against the standard raises."""
    return parse(io.BytesIO(xml), verify="exception").get_first_table()


def test_votable_is_read_back() -> None:
    """Values, nulls, units, and the target with its position."""
    table = read_votable(to_votable(SS_CYG, POINTS))
    assert table.array["bjd_tdb"].tolist() == [point.bjd for point in POINTS]
    assert table.array["node_id"].tolist() == ["hilltop"] * 3
    assert table.array["comparison_stars"].tolist() == [None, 12, None]
    assert table.array["airmass"].tolist() == [None, 1.2345, None]
    assert table.array["is_limit"].tolist() == [False, False, True]
    assert table.array["quality_bits"].tolist() == [None, 8208, None]
    assert table.array["quality_reasons"].tolist() == ["", FULL.quality_reasons, ""]
    fields = {field.name: field for field in table.fields}
    assert (str(fields["bjd_tdb"].unit), str(fields["magnitude"].unit)) == ("d", "mag")
    told = {entry.name: entry.value for entry in (*table.infos, *table.params)}
    assert told == {"target": "SS Cyg", "ra_deg": SS_CYG.ra_deg, "dec_deg": SS_CYG.dec_deg}


def test_votable_says_what_its_times_and_places_are() -> None:
    """BJD_TDB: Julian dates, TDB, at the barycentre; ICRS."""
    votable = parse(io.BytesIO(to_votable(SS_CYG, POINTS)), verify="exception")
    (resource,) = votable.resources
    (time_system,) = resource.time_systems
    (coordinates,) = resource.coordinate_systems
    (table,) = resource.tables
    assert (time_system.timescale, time_system.refposition) == ("TDB", "BARYCENTER")
    assert time_system.timeorigin == "JD-origin"
    assert coordinates.system == "ICRS"
    assert table.fields[0].ref == time_system.ID
    assert {param.ref for param in table.params if "pos." in param.ucd} == {coordinates.ID}


def test_votable_columns_are_described() -> None:
    """Each has a description and a UCD of the IVOA's vocabulary."""
    table = read_votable(to_votable(SS_CYG, []))
    assert [field.name for field in table.fields] == [column.name for column in COLUMNS]
    assert all(field.description for field in table.fields)
    (mask,) = (field for field in table.fields if field.name == "quality_bits")
    assert " ".join(mask.description.split()).endswith(", 131072 badly blended, 262144 blended")
    ucds = [entry.ucd for entry in (*table.fields, *table.params)]
    assert all(check_ucd(ucd, check_controlled_vocabulary=True) for ucd in ucds)


def test_votable_of_an_unknown_place_has_none() -> None:
    """A target without a position, and without points, is a valid table."""
    table = read_votable(to_votable(ExportTarget(name="Nova <&> 1"), []))
    assert [(info.name, info.value) for info in table.infos] == [("target", "Nova <&> 1")]
    assert table.description == "Light curve of Nova <&> 1"
    assert not table.params
    assert len(table.array) == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(points, min_size=1, max_size=3), hostile)
def test_any_points_make_a_valid_votable(many: list[ExportPoint], name: str) -> None:
    """Whatever nodes write, the XML holds, and the numbers come back."""
    table = read_votable(to_votable(ExportTarget(name=name), many))
    assert table.array["magnitude"].tolist() == [point.magnitude for point in many]


def test_aavso_header_names_the_observer_and_the_dates() -> None:
    """The six parameters that the format requires."""
    header = read_aavso(to_aavso(SS_CYG, [], "abc1")).header
    assert header.pop("SOFTWARE").startswith("Boundless Skies")
    assert header == {
        "TYPE": "Extended",
        "OBSCODE": "ABC1",
        "DELIM": ",",
        "DATE": "HJD",
        "OBSTYPE": "CCD",
    }


def test_aavso_rows_are_read_back() -> None:
    """A plain point, one that tells everything, and a faint limit."""
    plain, full, limit = read_aavso(to_aavso(SS_CYG, POINTS, "ABC")).rows
    assert plain == {
        "STARID": "SS Cyg",
        "DATE": "2461000.12266",
        "MAG": "11.988",
        "MERR": "0.0123",
        "FILT": "CV",
        "TRANS": "NO",
        "MTYPE": "STD",
        "CNAME": "ENSEMBLE",
        "CMAG": "na",
        "KNAME": "na",
        "KMAG": "na",
        "AMASS": "na",
        "GROUP": "na",
        "CHART": "na",
        "NOTES": "node hilltop",
    }
    assert (full["KNAME"], full["KMAG"], full["AMASS"]) == ("000-BCP-220", "11.930", "1.234")
    assert (full["CHART"], full["NOTES"]) == ("X26835ABC", "node hilltop; consistent")
    assert (limit["MAG"], limit["MERR"]) == ("<14.200", "na")


def test_aavso_dates_are_heliocentric_utc() -> None:
    """69 s of TDB - UTC, and up to 5 s of the Sun's way around the barycentre."""
    (row,) = read_aavso(to_aavso(SS_CYG, [PLAIN], "ABC")).rows
    assert (PLAIN.bjd - float(row["DATE"])) * 86_400 == pytest.approx(69.2, abs=5.5)


def test_aavso_names_a_single_comparison_star() -> None:
    """Where there was one, and its instrumental magnitude was told."""
    point = replace(PLAIN, comparison_name="000-BCP-144", comparison_mag=-7.25)
    (row,) = read_aavso(to_aavso(SS_CYG, [point], "ABC")).rows
    assert (row["CNAME"], row["CMAG"]) == ("000-BCP-144", "-7.250")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *((name, name) for name in ("CV", "V", "B", "R", "I", "TG", "TB", "TR", "SU", "SG")),
        *(("cv", "CV"), ("tg", "TG"), ("Rc", "R"), ("Ic", "I"), ("g'", "SG"), ("rp", "SR")),
        *((name, "O") for name in ("L", "r", "v", "Clear", "IRCUT", "", "=V")),
    ],
)
def test_filters_go_by_the_aavsos_names(ours: str, theirs: str) -> None:
    """What they have no name for, or what could mean two of theirs, is other."""
    assert aavso_filter(ours) == theirs


def test_aavso_notes_describe_another_filter() -> None:
    """The format asks for it."""
    (row,) = read_aavso(to_aavso(SS_CYG, [replace(PLAIN, filter="IRCUT")], "ABC")).rows
    assert (row["FILT"], row["NOTES"]) == ("O", "filter IRCUT; node hilltop")


@settings(deadline=None)
@given(st.lists(points, max_size=4))
def test_any_points_make_a_legal_aavso_report(many: list[ExportPoint]) -> None:
    """Whatever nodes write, every field keeps its form and width."""
    rows = read_aavso(to_aavso(SS_CYG, many, "ABC")).rows
    assert [row["MAG"].startswith("<") for row in rows] == [point.is_limit for point in many]


@pytest.mark.parametrize(
    ("target", "code", "match"),
    [
        (ExportTarget(name="SS Cyg"), "ABC", "Set the target's ra_deg and dec_deg"),
        (replace(SS_CYG, name="α Ori"), "ABC", "AUID"),
        (replace(SS_CYG, name="x" * 31), "ABC", "30 ASCII characters"),
        (replace(SS_CYG, name="a,b"), "ABC", "without a comma"),
        (replace(SS_CYG, name="#a"), "ABC", "AUID"),
        (replace(SS_CYG, name=""), "ABC", "AUID"),
        (SS_CYG, "", "observer code"),
        (SS_CYG, "ABC\n#OBSCODE=XYZ", "observer code"),
        (SS_CYG, "TOOLONG", "1 to 5 letters"),
    ],
)
def test_what_the_aavso_could_not_use_is_refused(
    target: ExportTarget, code: str, match: str
) -> None:
    """With what to set."""
    with pytest.raises(InvalidInput, match=match):
        to_aavso(target, POINTS, code)


def test_a_start_pays_for_no_astronomy() -> None:
    """The rules load neither numpy nor astropy until a file is asked for."""
    modules = ["exports", "names", "phase", "provenance", "validation"]
    code = "import sys\n" + "".join(
        f"import boundless_skies.cloud.domain.{module}\n" for module in modules
    )
    code += "print(sorted({'numpy', 'astropy', 'erfa'} & set(sys.modules)))"
    told: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert told.stdout.strip() == b"[]"

"""A strict reader of the AAVSO's Extended File Format, apart from what writes it."""

import re
from dataclasses import dataclass

from boundless_skies.reports.aavso import AAVSO_FILTERS


@dataclass
class AavsoReport:
    """A report in the AAVSO's format, as its rules read it."""

    header: dict[str, str]
    rows: list[dict[str, str]]


AAVSO_FORM = {
    "STARID": r".{1,30}",
    "DATE": r"\d{7}\.\d{1,8}",
    "MAG": r"<?-?\d{1,2}\.\d+",
    "MERR": r"na|\d\.\d{1,4}",
    "FILT": "|".join(AAVSO_FILTERS),
    "TRANS": r"YES|NO",
    "MTYPE": r"STD|ABS|DIFF",
    "CNAME": r".{1,20}",
    "CMAG": r"na|-?\d{1,3}\.\d+",
    "KNAME": r".{1,20}",
    "KMAG": r"na|-?\d{1,3}\.\d+",
    "AMASS": r"na|\d{1,2}\.\d+",
    "GROUP": r"na|\d{1,5}",
    "CHART": r".{1,20}",
    "NOTES": r".{1,100}",
}
AAVSO_WIDTHS = {"MAG": 8, "MERR": 6, "CMAG": 8, "KMAG": 8, "AMASS": 7, "FILT": 5}


def read_aavso(text: str) -> AavsoReport:
    """Read a report by the format's rules; what is against them fails."""
    assert text.isascii()
    lines = text.split("\n")
    assert lines.pop() == ""
    assert all(line and line.isprintable() for line in lines)
    comments = [line[1:] for line in lines if line.startswith("#")]
    header = dict(line.split("=", 1) for line in comments if "=" in line)
    assert set(header) == {"TYPE", "OBSCODE", "SOFTWARE", "DELIM", "DATE", "OBSTYPE"}
    assert len(header["SOFTWARE"]) <= 255
    rows = [line.split(header["DELIM"]) for line in lines if not line.startswith("#")]
    return AavsoReport(header, [read_aavso_row(row) for row in rows])


def read_aavso_row(row: list[str]) -> dict[str, str]:
    """Check each field of a line against its form and width."""
    fields = dict(zip(AAVSO_FORM, row, strict=True))
    for name, value in fields.items():
        assert re.fullmatch(AAVSO_FORM[name], value), (name, value)
        assert len(value) <= AAVSO_WIDTHS.get(name, 100)
        assert value == value.strip()
    return fields

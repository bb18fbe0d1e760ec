"""A server with a sky of its own that speaks as the AAVSO's VSP and VizieR's TAP do.

It knows stars, reads the question out of the request, and answers in the service's form:
JSON charts, VOTables with descriptions and empty cells. Written from the services' own
answers, and apart from the code under test.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from tests.support.capture_server import Answer, CaptureServer, Request, capture_server

VSP_PATH, TAP_PATH = "/vsp/api/chart/", "/TAPVizieR/tap/sync"

_QUERY = re.compile(
    r'SELECT TOP (?P<top>\d+) (?P<columns>.+?) FROM "(?P<table>[^"]+)" WHERE 1=CONTAINS\('
    r"POINT\('ICRS', (?P<ra_name>\w+), (?P<dec_name>\w+)\), CIRCLE\('ICRS', (?P<ra>[-\d.]+), "
    r"(?P<dec>[-\d.]+), (?P<radius>[\d.]+)\)\) AND \"?(?P<mag>\w+)\"? <= (?P<faint>[\d.]+) "
    r"ORDER BY \"?(?P<order>\w+)\"?"
)
_LETTERS = ("VarFlag", "Name", "Type")


@dataclass
class SkyServer:
    """The server and what its sky holds.

    `chart` has the VSP's stars as they stand in its JSON; `tables` the rows of VizieR's
    tables by name, with None where a cell is empty.
    """

    server: CaptureServer
    chart: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def vsp_url(self) -> str:
        """Where charts are asked for."""
        return self.server.url + VSP_PATH

    @property
    def tap_url(self) -> str:
        """Where tables are asked for."""
        return self.server.url + TAP_PATH

    @property
    def asked(self) -> int:
        """How often anything was asked."""
        return len(self.server.requests)

    def answer_always(self, answer: Answer) -> None:
        """Answer so whatever is asked."""
        self.server.rules[VSP_PATH] = self.server.rules[TAP_PATH] = answer

    def _chart(self, request: Request) -> Answer:
        asked = _fields(request)
        if asked.get("format") != "json" or not {"ra", "dec", "fov", "maglimit"} <= set(asked):
            return Answer(400, {"errors": ["'ra' and 'dec' or 'star' are required"]})
        half_deg = float(asked["fov"]) / 120.0
        centre = float(asked["ra"]), float(asked["dec"])
        stars = [star for star in self.chart if _apart(_place(star), centre) <= half_deg]
        return Answer(
            body={
                "chartid": "X40001XY",
                "image_uri": f"{self.server.url}/vsp/chart/X40001XY.png",
                "star": "",
                "fov": float(asked["fov"]),
                "maglimit": float(asked["maglimit"]),
                "title": "",
                "comment": "",
                "resolution": 150,
                "dss": False,
                "special": None,
                "photometry": stars,
                "auid": "",
                "ra": "00:00:00.00",
                "dec": "00:00:00.0",
            }
        )

    def _table(self, request: Request) -> Answer:
        asked = _fields(request)
        match = _QUERY.fullmatch(asked["QUERY"])
        if asked["REQUEST"] != "doQuery" or asked["LANG"] != "ADQL" or match is None:
            return Answer(400, votable_error("Incorrect ADQL query").encode())
        centre, radius = (float(match["ra"]), float(match["dec"])), float(match["radius"])
        columns = match["columns"].replace('"', "").split(", ")
        rows = [
            row
            for row in self.tables.get(match["table"], [])
            if row[match["mag"]] is not None
            and row[match["mag"]] <= float(match["faint"])
            and _apart((row[match["ra_name"]], row[match["dec_name"]]), centre) <= radius
        ]
        rows = sorted(rows, key=lambda row: row[match["order"]])[: int(match["top"])]
        return Answer(body=votable(columns, rows).encode())


def _fields(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def _place(star: dict[str, Any]) -> tuple[float, float]:
    hours, minutes, seconds = (float(part) for part in star["ra"].split(":"))
    degrees, arcmin, arcsec = star["dec"].split(":")
    size = abs(float(degrees)) + float(arcmin) / 60 + float(arcsec) / 3600
    sign = -1 if degrees.startswith("-") else 1
    return 15 * (hours + minutes / 60 + seconds / 3600), sign * size


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    (ra, dec), (ra0, dec0) = ([math.radians(x) for x in place] for place in (one, other))
    cosine = math.sin(dec) * math.sin(dec0) + math.cos(dec) * math.cos(dec0) * math.cos(ra - ra0)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def chart_star(
    auid: str, ra_deg: float, dec_deg: float, bands: dict[str, tuple[float, float | None]]
) -> dict[str, Any]:
    """Return a star as it stands in a chart's JSON."""
    hours, rest = divmod(round(ra_deg / 15 * 360_000), 360_000)
    minutes, hundredths = divmod(rest, 6_000)
    degrees, rest = divmod(round(abs(dec_deg) * 36_000), 36_000)
    arcmin, tenths = divmod(rest, 600)
    sign = "-" if dec_deg < 0 else ""
    return {
        "auid": auid,
        "ra": f"{hours:02d}:{minutes:02d}:{hundredths / 100:05.2f}",
        "dec": f"{sign}{degrees:02d}:{arcmin:02d}:{tenths / 10:04.1f}",
        "label": f"{next(iter(bands.values()))[0] * 10:.0f}",
        "bands": [
            {"band": band, "mag": mag, "error": error} for band, (mag, error) in bands.items()
        ],
        "comments": "",
    }


def votable(columns: list[str], rows: list[dict[str, Any]]) -> str:
    """Return a table as VizieR's TAP writes it."""
    fields = "\n".join(_field(name) for name in columns)
    cells = "\n".join(
        "<TR>" + "".join(f"<TD>{_cell(row[name])}</TD>" for name in columns) + "</TR>"
        for row in rows
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns="http://www.ivoa.net/xml/VOTable/v1.3"
 xsi:schemaLocation="http://www.ivoa.net/xml/VOTable/v1.3 http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
<INFO name="QUERY_STATUS" value="OK"/>
<INFO name="PROVIDER" value="CDS">TAPVizieR</INFO>
<COOSYS ID="t1-coosys-1" system="ICRS" epoch="J2000"/>
<TABLE name="result">
{fields}
<DATA>
<TABLEDATA>
{cells}
</TABLEDATA>
</DATA>
</TABLE>
</RESOURCE>
</VOTABLE>
"""


def votable_error(reason: str) -> str:
    """Return what TAP answers to a query that it does not take."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
<INFO name="QUERY_STATUS" value="ERROR">{escape(reason)}</INFO>
</RESOURCE>
</VOTABLE>
"""


def _field(name: str) -> str:
    if name in _LETTERS:
        return f'<FIELD name="{name}" ID="{name}" datatype="char" arraysize="*"/>'
    if name in {"recno", "Source", "OID"}:
        return (
            f'<FIELD name="{name}" ID="{name}" datatype="long">'
            '<VALUES null="-9223372036854775808"/></FIELD>'
        )
    ucd = "meta.id;src" if name == "Source" else "phot.mag"
    return f'<FIELD name="{name}" ID="{name}" ucd="{ucd}" datatype="double" unit="mag"/>'


def _cell(value: Any) -> str:
    return "" if value is None else escape(str(value))


@contextmanager
def sky_server() -> Iterator[SkyServer]:
    """Run a server."""
    with capture_server() as server:
        sky = SkyServer(server)
        server.rules[VSP_PATH], server.rules[TAP_PATH] = sky._chart, sky._table
        yield sky

"""Comparison stars from the network: each service's form, the cache, and what goes wrong."""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.capture_server import Answer
from tests.support.catalogue_server import SkyServer, chart_star, sky_server, votable, votable_error

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.catalogue.comparison_star import ComparisonSource, ComparisonStar
from boundless_skies.node.catalogue.known_variables import KnownVariable, mark_variables
from boundless_skies.node.catalogue.online import cache as cache_module
from boundless_skies.node.catalogue.online import networked as networked_module
from boundless_skies.node.catalogue.online.cache import AnswerCache
from boundless_skies.node.catalogue.online.fetching import CatalogueUnreachable, fetch
from boundless_skies.node.catalogue.online.listed_star import ListedStar
from boundless_skies.node.catalogue.online.networked import (
    PAUSE_S,
    NetworkedCatalogues,
    catalogue_band,
    default_cache_folder,
)
from boundless_skies.node.catalogue.online.services import Service, Vsp
from boundless_skies.node.catalogue.online.vizier import (
    RELATIONS,
    Apass,
    Gaia,
    Vsx,
    synthetic_magnitude,
)
from boundless_skies.node.photometry.comparison import CatalogueSource

CENTRE = (300.03, 35.02)
RADIUS_DEG = 0.4
SERVICES: dict[str, Callable[[SkyServer], Service]] = {
    "vsp": lambda sky: Vsp(sky.vsp_url),
    "apass": lambda sky: Apass(sky.tap_url),
    "gaia": lambda sky: Gaia(sky.tap_url),
}


@pytest.fixture
def sky(monkeypatch: pytest.MonkeyPatch) -> Iterator[SkyServer]:
    """Run a server whose catalogues hold the bundled stars, each in its own form."""
    with sky_server() as server:
        monkeypatch.setattr(networked_module, "VARIABLES", lambda: Vsx(server.tap_url))
        _fill(server)
        yield server


def _fill(sky: SkyServer) -> None:
    stars = Catalogue.load().cone(*CENTRE, 2.0, mag_limit=11.0)
    rows = list(zip(stars.ra_deg.tolist(), stars.dec_deg.tolist(), stars.mag.tolist(), strict=True))
    apass, gaia = [], []
    for number, (ra, dec, mag) in enumerate(rows):
        bands: dict[str, tuple[float, float | None]] = {"V": (mag, 0.02), "B": (mag + 0.6, None)}
        sky.chart.append(chart_star(f"000-BBB-{number:03d}", ra, dec, bands))
        apass.append(
            {"recno": number, "RAJ2000": ra, "DEJ2000": dec, "Vmag": mag, "e_Vmag": 0.03}
            | {"Bmag": mag + 0.6, "e_Bmag": 0.0}
        )
        gaia.append(
            {"Source": 2_000_000_000_000_000_000 + number, "RA_ICRS": ra, "DE_ICRS": dec}
            | {"pmRA": 0.0, "pmDE": 0.0, "Gmag": mag - 0.15, "BPmag": mag + 0.26}
            | {"RPmag": mag - 0.56, "VarFlag": "NOT_AVAILABLE"}
        )
    sky.tables |= {"II/336/apass9": apass, "I/355/gaiadr3": gaia}


def _source(sky: SkyServer, name: str, folder: Path, band: str = "V") -> ComparisonSource:
    networked = NetworkedCatalogues([SERVICES[name](sky)], AnswerCache(folder))
    return networked.sources(band)[0]


@pytest.mark.parametrize("name", ["bundled", *SERVICES])
def test_every_source_keeps_the_contract(sky: SkyServer, tmp_path: Path, name: str) -> None:
    """Stars within the cone and the range, none twice, all with what a star needs."""
    source = (
        CatalogueSource(Catalogue.load()) if name == "bundled" else _source(sky, name, tmp_path)
    )
    stars = source.stars(CENTRE, RADIUS_DEG, 6.0, 10.5)
    assert len(stars) > 10
    for star in stars:
        assert 6.0 <= star.magnitude <= 10.5
        assert _apart_deg(star.ra_deg, star.dec_deg) <= RADIUS_DEG
        assert star.catalogue
        assert star.band in {"V", "VT"}
        assert not star.is_variable
    assert len({(star.ra_deg, star.dec_deg) for star in stars}) == len(stars)
    assert [star.magnitude for star in stars] == sorted(star.magnitude for star in stars)
    expected = Catalogue.load().cone(*CENTRE, RADIUS_DEG, mag_limit=10.5)
    assert len(stars) == pytest.approx((expected.mag >= 6.0).sum(), abs=3)
    assert source.stars(CENTRE, RADIUS_DEG, 6.0, 6.0) == []
    assert len(source.stars(CENTRE, RADIUS_DEG / 2, 6.0, 10.5)) < len(stars)


def _apart_deg(ra_deg: float, dec_deg: float) -> float:
    east = (ra_deg - CENTRE[0]) * math.cos(math.radians(CENTRE[1]))
    return math.hypot(east, dec_deg - CENTRE[1]) * 0.9999


@pytest.mark.parametrize("name", SERVICES)
def test_a_second_night_needs_no_network(sky: SkyServer, tmp_path: Path, name: str) -> None:
    """The answer comes from the disk, the same, also for a target nearby and in another run."""
    first = _source(sky, name, tmp_path).stars(CENTRE, RADIUS_DEG, 6.0, 11.0)
    assert sky.asked == 1
    sky.answer_always(Answer(500))
    again = _source(sky, name, tmp_path)
    assert again.stars(CENTRE, RADIUS_DEG, 6.0, 11.0) == first
    assert again.stars((CENTRE[0] + 0.01, CENTRE[1]), RADIUS_DEG, 6.0, 11.0)
    assert sky.asked == 1


def test_vsx_tells_who_varies(sky: SkyServer, tmp_path: Path) -> None:
    """Known and suspected variables with their types; constants, doubles and gaps are none."""
    rows = [
        ("V1 Cyg", 0, "EA", 9.0),
        ("NSV 2", 1, None, 9.5),
        ("NSV 3", 2, "CST", 9.6),
        ("V4 Cyg", 3, "EA", 9.7),
        ("V5 Cyg", 0, "M", 16.4),
    ]
    sky.tables["B/vsx/vsx"] = [
        {"OID": number, "Name": name, "V": flag, "RAJ2000": CENTRE[0], "DEJ2000": CENTRE[1]}
        | {"Type": kind, "max": mag}
        for number, (name, flag, kind, mag) in enumerate(rows)
    ]
    catalogues = NetworkedCatalogues([Vsp(sky.vsp_url)], AnswerCache(tmp_path))
    for _ in range(2):  # the second time from the disk
        told = [one.told for one in catalogues.variables(CENTRE, RADIUS_DEG)]
        assert told == ["AAVSO VSX: V1 Cyg (EA)", "AAVSO VSX: NSV 2"]
    assert sky.asked == 1


def test_well_known_variables_need_no_network(sky: SkyServer, tmp_path: Path) -> None:
    """Those of the list of stars that people name, also where nothing may be asked."""
    algol = (47.042, 40.956)
    offline = NetworkedCatalogues([], AnswerCache(tmp_path))
    (known,) = offline.variables(algol, 0.5)
    assert known.told == "known variable: bet Per (EA)"
    assert offline.variables((algol[0], algol[1] - 2.0), 0.5) == []
    assert sky.asked == 0
    sky.answer_always(Answer(503))
    networked = NetworkedCatalogues([Vsp(sky.vsp_url)], AnswerCache(tmp_path))
    assert networked.variables(algol, 0.5) == [known]


def test_a_variable_marks_the_star_at_its_place_alone() -> None:
    """Within 6″, as old positions are; its neighbour 20″ away stays as it is."""
    stars = [
        ComparisonStar(ra_deg=10.0, dec_deg=60.0 + north / 3600, magnitude=9.0, catalogue="X")
        for north in (0.0, 20.0)
    ]
    variable = KnownVariable(ra_deg=10.0, dec_deg=60.0 - 5.0 / 3600, told="VSX: Z And (ZAND)")
    marked, alone = mark_variables(stars, [variable])
    assert (marked.is_variable, marked.variability) == (True, "VSX: Z And (ZAND)")
    assert alone == stars[1]
    assert mark_variables(stars, []) == stars


_BROKEN = {
    "a server error": Answer(503, b"<html>Service Temporarily Unavailable</html>"),
    "a page to log in": Answer(302, b"", {"Location": "http://127.0.0.1:9/"}),
    "nothing": Answer(body=b""),
    "HTML": Answer(body=b"<html><body>Hotel Wi-Fi: please accept</body></html>"),
    "half an answer": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<VOTABLE><RES"),
    "no HTTP": Answer(raw=b"\x00\x01\x02\r\n\r\n"),
    "JSON of another kind": Answer(body=[1, {"photometry": 3}]),
    "deep JSON": Answer(body=b"[" * 100_000),
    "a bomb": Answer(
        body=b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        b'<!ENTITY b "&a;&a;&a;&a;&a;&a;">]><VOTABLE>&b;</VOTABLE>'
    ),
    "an error": Answer(body=votable_error("Unknown table \x1b[31m").replace("\x1b", "").encode()),
}


@pytest.mark.parametrize("what", _BROKEN)
@pytest.mark.parametrize("name", SERVICES)
def test_a_broken_answer_gives_no_stars_and_one_line(
    sky: SkyServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, what: str
) -> None:
    """Nothing is raised, nothing is kept, and the service is not asked again at once."""
    sky.answer_always(_BROKEN[what])
    source = _source(sky, name, tmp_path)
    assert source.stars(CENTRE, RADIUS_DEG, 6.0, 11.0) == []
    assert source.stars((10.0, 10.0), RADIUS_DEG, 6.0, 11.0) == []
    assert sky.asked == 1
    assert len(caplog.records) == 1
    assert "gives no comparison stars" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_silent_service_costs_its_limit_and_no_more(sky: SkyServer) -> None:
    """Also one that sends a byte now and then."""
    sky.answer_always(Answer(delay_s=30.0))
    with pytest.raises(CatalogueUnreachable, match=r"within 0\.2 s"):
        fetch(sky.vsp_url, limit_s=0.2)

    def drip(connection: object) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")  # type: ignore[attr-defined]
        while not sky.server.closing.wait(0.02):
            connection.sendall(b" ")  # type: ignore[attr-defined]

    sky.answer_always(Answer(act=drip))
    with pytest.raises(CatalogueUnreachable):
        fetch(sky.vsp_url, limit_s=0.2)


def test_a_huge_answer_is_cut_off(sky: SkyServer) -> None:
    """No more is read than is allowed."""
    sky.answer_always(Answer(body=b" " * 300_000))
    with pytest.raises(CatalogueUnreachable, match="larger than 100,000 bytes"):
        fetch(sky.vsp_url, most_bytes=100_000)


def test_nobody_listening_is_told() -> None:
    """A computer without a network."""
    with pytest.raises(CatalogueUnreachable, match="cannot be reached"):
        fetch("http://127.0.0.1:9/")


def test_a_service_is_tried_again_after_its_pause(sky: SkyServer, tmp_path: Path) -> None:
    """A node that runs for weeks comes back to it."""
    now = [0.0]
    networked = NetworkedCatalogues([Vsp(sky.vsp_url)], AnswerCache(tmp_path), clock=lambda: now[0])
    source, rule = networked.sources("V")[0], sky.server.rules["/vsp/api/chart/"]
    sky.answer_always(Answer(500))
    assert source.stars(CENTRE, RADIUS_DEG, 6.0, 11.0) == []
    sky.server.rules["/vsp/api/chart/"] = rule
    assert source.stars(CENTRE, RADIUS_DEG, 6.0, 11.0) == []
    now[0] = PAUSE_S + 1.0
    assert source.stars(CENTRE, RADIUS_DEG, 6.0, 11.0)


def test_services_of_one_host_rest_together(sky: SkyServer, tmp_path: Path) -> None:
    """Where VizieR does not answer for APASS, Gaia is not waited for."""
    sky.answer_always(Answer(500))
    services = [Apass(sky.tap_url), Gaia(sky.tap_url)]
    for source in NetworkedCatalogues(services, AnswerCache(tmp_path)).sources("V"):
        assert source.stars(CENTRE, RADIUS_DEG, 6.0, 11.0) == []
    assert sky.asked == 1


def test_an_old_answer_is_renewed_and_better_than_none(sky: SkyServer, tmp_path: Path) -> None:
    """After half a year a catalogue is asked again; without a network the old answer counts."""
    today = [1.0e9]
    keeper = AnswerCache(tmp_path, clock=lambda: today[0])
    first = NetworkedCatalogues([Vsp(sky.vsp_url)], keeper).sources("V")[0]
    stars = first.stars(CENTRE, RADIUS_DEG, 6.0, 11.0)
    today[0] += cache_module.FRESH_S + 1.0
    sky.answer_always(Answer(500))
    later = NetworkedCatalogues([Vsp(sky.vsp_url)], keeper).sources("V")[0]
    assert later.stars(CENTRE, RADIUS_DEG, 6.0, 11.0) == stars
    assert sky.asked == 2


def test_a_chart_with_stars_that_are_none(sky: SkyServer, tmp_path: Path) -> None:
    """Of hostile rows none comes through; a missing error and an unknown band do no harm."""
    good = chart_star("000-BCC-001", *CENTRE, {"V": (9.8, None), "Rc": (9.4, 0.03)})
    bad = [
        good | {"ra": "99:99:99"},
        good | {"dec": None},
        good | {"bands": None},
        good | {"bands": [{"band": "V", "mag": "NaN", "error": 0.1}]},
        good | {"bands": [{"band": "V", "mag": 1e300, "error": 0.1}]},
        good | {"bands": [{"band": ["V"], "mag": 9.0}]},
    ]
    sky.chart.clear()
    sky.server.rules["/vsp/api/chart/"] = Answer(body={"photometry": [*bad, good]})
    (star,) = _source(sky, "vsp", tmp_path).stars(CENTRE, RADIUS_DEG, 6.0, 12.0)
    assert (star.name, star.magnitude, star.uncertainty) == ("000-BCC-001", 9.8, None)
    (red,) = _source(sky, "vsp", tmp_path, band="R").stars(CENTRE, RADIUS_DEG, 6.0, 12.0)
    assert (red.magnitude, red.uncertainty, red.band) == (9.4, 0.03, "R")


def test_a_star_of_apass_that_scatters_is_no_comparison_star(
    sky: SkyServer, tmp_path: Path
) -> None:
    """Its nights disagree by 0.3 mag; an error of 0 means a single night, and none is known."""
    steady = {"recno": 1, "RAJ2000": CENTRE[0], "DEJ2000": CENTRE[1], "Vmag": 10.0, "e_Vmag": 0.0}
    steady |= {"Bmag": None, "e_Bmag": None}
    sky.tables["II/336/apass9"] = [steady, steady | {"recno": 2, "Vmag": 10.5, "e_Vmag": 0.3}]
    first, second = _source(sky, "apass", tmp_path).stars(CENTRE, RADIUS_DEG, 6.0, 12.0)
    assert (first.is_variable, first.uncertainty, first.colour_bv) == (False, None, None)
    assert second.is_variable


def test_gaia_s_stars_move_back_to_2000(sky: SkyServer, tmp_path: Path) -> None:
    """Sixteen years of 1000 mas a year to the east are 16″; variable stars are known as such."""
    row = sky.tables["I/355/gaiadr3"][0] | {"RA_ICRS": CENTRE[0], "DE_ICRS": CENTRE[1]}
    row |= {"pmRA": 1000.0, "pmDE": -500.0, "VarFlag": "VARIABLE"}
    colourless = row | {"BPmag": None}
    sky.tables["I/355/gaiadr3"] = [row, colourless]
    (star,) = _source(sky, "gaia", tmp_path).stars(CENTRE, RADIUS_DEG, 2.0, 12.0)
    cos_dec = math.cos(math.radians(CENTRE[1]))
    assert (CENTRE[0] - star.ra_deg) * cos_dec * 3600.0 == pytest.approx(16.0, abs=0.01)
    assert (star.dec_deg - CENTRE[1]) * 3600.0 == pytest.approx(8.0, abs=0.01)
    assert star.is_variable
    assert star.name is not None
    assert star.name.startswith("2000000000000000")


def test_the_sun_in_v_from_gaia() -> None:
    """M_G 4.67 and BP - RP 0.82 (Casagrande & VandenBerg 2018); M_V 4.81 (Willmer 2018)."""
    assert synthetic_magnitude("V", 4.67, 0.82) == pytest.approx(4.81, abs=0.03)


def test_relations_of_gaia_at_white_and_beyond_their_range() -> None:
    """A colour of 0 leaves the first coefficient; all bands agree there as for Vega."""
    for band, relation in RELATIONS.items():
        beyond = relation.reddest + 0.01
        assert synthetic_magnitude(band, 10.0, beyond) is None
        nearly_white = synthetic_magnitude(band, 10.0, 1e-9)
        assert nearly_white == pytest.approx(10.0, abs=0.03)


@pytest.mark.parametrize(
    ("name", "band"),
    [("CV", "V"), ("V", "V"), ("TG", "V"), ("B", "B"), ("TB", "B"), ("R", "R"), ("I", "I")],
)
def test_filters_are_compared_in_the_nearest_band(name: str, band: str) -> None:
    """As observers of the AAVSO report them."""
    assert catalogue_band(name) == band


def test_a_catalogue_without_the_band_is_not_asked(sky: SkyServer, tmp_path: Path) -> None:
    """Gaia has no B."""
    services = [Gaia(sky.tap_url), Apass(sky.tap_url)]
    names = [
        source.stars(CENTRE, RADIUS_DEG, 6.0, 11.0)[0].catalogue
        for source in NetworkedCatalogues(services, AnswerCache(tmp_path)).sources("B")
    ]
    assert names == ["APASS DR9"]


STAR = ListedStar(ra_deg=1.0, dec_deg=2.0, magnitudes={"V": (10.0, None)}, name="a", colour_bv=0.5)


def test_the_cache_gives_back_what_it_took(tmp_path: Path) -> None:
    """Question by question, also an empty answer; another question is a miss."""
    keeper = AnswerCache(tmp_path / "new" / "folder")
    keeper.put("one", [STAR])
    keeper.put("none", [])
    one, none = keeper.get("one"), keeper.get("none")
    assert one is not None
    assert none is not None
    assert (one.stars, one.is_fresh, none.stars) == ([STAR], True, [])
    assert keeper.get("other") is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "version", "list", "deep"])
def test_a_damaged_file_is_a_miss(tmp_path: Path, damage: str) -> None:
    """And is replaced by the next answer."""
    keeper = AnswerCache(tmp_path)
    keeper.put("one", [STAR])
    (path,) = tmp_path.iterdir()
    whole = path.read_text()
    path.write_text(
        {
            "cut": whole[: len(whole) // 2],
            "flipped": whole.replace("10.0", "11.0"),
            "empty": "",
            "version": json.dumps(json.loads(whole) | {"version": 0}),
            "list": "[]",
            "deep": "[" * 100_000,
        }[damage]
    )
    assert keeper.get("one") is None
    keeper.put("one", [STAR])
    assert keeper.get("one") is not None


def test_the_cache_stays_bounded(tmp_path: Path) -> None:
    """What was longest not asked for goes first."""
    keeper = AnswerCache(tmp_path, most_bytes=1500)
    keeper.put("kept", [STAR])
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    for number in range(1500 // size + 3):
        time.sleep(0.002)  # the clock of the file system is coarse
        assert keeper.get("kept") is not None
        time.sleep(0.002)
        keeper.put(f"{number:04d}", [STAR])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1500
    assert keeper.get("0000") is None
    assert keeper.get("kept") is not None


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    """No error: the network is asked each time."""
    (tmp_path / "file").write_text("in the way")
    keeper = AnswerCache(tmp_path / "file" / "folder")
    keeper.put("one", [STAR])
    assert keeper.get("one") is None


def test_the_cache_lies_with_the_node_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measuring alone leaves no data folder behind."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_cache_folder(tmp_path) == tmp_path / "catalogues"
    elsewhere = default_cache_folder(tmp_path / "missing")
    assert elsewhere == tmp_path / "cache" / "boundless-skies" / "catalogues"
    assert not elsewhere.exists()


def test_too_many_rows_are_not_taken(tmp_path: Path, sky: SkyServer) -> None:
    """A service that ignores the limit sends no more than it."""
    rows = [
        {"recno": n, "RAJ2000": 300.0, "DEJ2000": 35.0 + n * 1e-5, "Vmag": 9.0, "e_Vmag": 0.1}
        | {"Bmag": None, "e_Bmag": None}
        for n in range(4100)
    ]
    columns = ["recno", "RAJ2000", "DEJ2000", "Vmag", "e_Vmag", "Bmag", "e_Bmag"]
    sky.answer_always(Answer(body=votable(columns, rows).encode()))
    assert len(_source(sky, "apass", tmp_path).stars(CENTRE, 0.4, 6.0, 11.0)) == 4000

"""Light curves by any name, in part, folded, and in every form."""

import io
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from astropy.io.votable import parse_single_table
from tests.support.cloud_client import Client, make_measurement

PERIOD_D, EPOCH_BJD = 2.8673043, 2445641.5141  # Algol's


def path(name: str, **query: Any) -> str:
    """Return the path of a light curve."""
    told = "&".join(f"{key.rstrip('_')}={quote(str(value))}" for key, value in query.items())
    return f"/api/v1/lightcurves/{quote(name, safe='')}?{told}"


@pytest.fixture
def algol(node: Client) -> Client:
    """Measure Algol in two filters, once with a star to compare with."""
    only = [{"name": "000-BBF-713", "measured_mag": -9.1}]
    for number, band in enumerate(["V", "B", "V"]):
        sent = make_measurement(
            target_name="Algol", bjd=2461050.25 + number, filter=band, comparison_stars=only
        )
        node.post("/api/v1/measurements", sent)
    return node


@pytest.mark.parametrize("name", ["Algol", "algol", "bet Per", "β Per", "beta Persei"])
def test_any_name_finds_a_star(algol: Client, name: str) -> None:
    """All names lead to one light curve, which says where the star stands."""
    curve = algol.get(path(name))
    assert curve["target"] == "Algol"
    assert set(curve["names"]) >= {"Algol", "bet Per"}
    assert curve["position"] == "03:08:10.13 +40:57:20.3"
    assert (curve["kind"], curve["period_d"]) == ("EA", pytest.approx(PERIOD_D))


def test_case_tells_two_stars_apart(node: Client) -> None:
    """R Car and r Car have light curves of their own."""
    for name, magnitude in (("R Car", 5.5), ("r Car", 4.4)):
        sent = make_measurement(target_name=name, magnitude=magnitude, bjd=2461070.5)
        node.post("/api/v1/measurements", sent)
    for name, magnitude in (("R Car", 5.5), ("r Car", 4.4)):
        magnitudes = {point["magnitude"] for point in node.get(path(name))["points"]}
        assert magnitudes == {magnitude}


def test_a_part_is_given(algol: Client) -> None:
    """Limits of time, filter and node leave out the other points."""
    me = algol.node_id
    assert algol.get(path("Algol", filter="B", node=me))["n"] == 1
    between = path("Algol", from_=2461050.5, to=2461051.5, node=me)
    assert [point["bjd"] for point in algol.get(between)["points"]] == [2461051.25]
    assert algol.get(path("Algol", node="nobody"))["n"] == 0


def test_points_are_folded(algol: Client) -> None:
    """Phases come from the star's own period, or from one that is given."""
    folded = algol.get(path("Algol", fold=1))
    assert folded["folded_on"]["epoch_bjd"] == pytest.approx(EPOCH_BJD)
    for point in folded["points"]:
        turns = (point["bjd"] - folded["folded_on"]["epoch_bjd"]) / folded["folded_on"]["period_d"]
        assert point["phase"] == pytest.approx(turns % 1)
    given = algol.get(path("Algol", period_d=2, epoch_bjd=2461050.25, node=algol.node_id))
    assert [point["phase"] for point in given["points"]] == pytest.approx([0.0, 0.5, 0.0])


def test_every_form_is_given(algol: Client) -> None:
    """CSV, VOTable and the AAVSO's format have the same points."""
    count = algol.get(path("Algol"))["n"]
    sheet = algol.call("GET", path("Algol", format="csv"))
    assert sheet.headers["content-type"].startswith("text/csv")
    assert len(sheet.body.splitlines()) == count + 1
    votable = algol.call("GET", path("Algol", format="votable"))
    table = parse_single_table(io.BytesIO(votable.body))
    assert len(table.array) == count
    assert set(table.array["comparison_name"]) == {"000-BBF-713"}
    report = algol.call("GET", path("Algol", format="aavso", obscode="xyz"))
    lines = [line for line in report.body.decode().splitlines() if not line.startswith("#")]
    assert len(lines) == count
    star, date, *_rest = lines[0].split(",")
    assert (star, lines[0].split(",")[7]) == ("Algol", "000-BBF-713")
    assert float(date) == pytest.approx(2461050.25, abs=0.01)  # as Earth sees it
    assert date != "2461050.25000"
    assert "Algol.txt" in report.headers["content-disposition"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv"),
        ("application/x-votable+xml", "application/x-votable+xml"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_accept_chooses_the_form(algol: Client, accept: str, kind: str) -> None:
    """Without ?format=, the Accept header decides."""
    reply = algol.call("GET", path("Algol"), Accept=accept)
    assert reply.headers["content-type"].startswith(kind)
    assert reply.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ({"days": "-1"}, "days is -1"),
        ({"days": "nan"}, "days"),
        ({"from": "5"}, "from is 5"),
        ({"from": "2461001", "to": "2461000"}, "Exchange"),
        ({"filter": "x" * 65}, "limit is 64"),
        ({"rejected": "maybe"}, "1 or 0"),
        ({"fold": "1"}, "No period"),
        ({"epoch_bjd": "2461000"}, "period_d"),
        ({"period_d": "0"}, "period_d is 0"),
        ({"format": "pdf"}, "votable"),
        ({"format": "aavso", "obscode": "toolong"}, "obscode"),
        ({"format": "aavso"}, "observer code"),
        ({"format": "aavso", "obscode": "ABC"}, "position"),
    ],
)
def test_what_cannot_be_given_is_told(
    node: Client, fresh_name: Callable[[str], str], query: dict[str, str], hint: str
) -> None:
    """One line says which value is wrong and what to do."""
    name = fresh_name("Unplaced")
    node.post("/api/v1/measurements", make_measurement(target_name=name))
    reply = node.call("GET", path(name, **query))
    assert reply.status == 400, reply
    assert hint in reply.json["error"]


def test_a_place_comes_with_plans_interrupts_and_measurements(
    node: Client, operator: Client, fresh_name: Callable[[str], str]
) -> None:
    """Whoever first says where a target stands is believed."""
    sent, asked, planned = (fresh_name(stem) for stem in ("Sent", "Asked", "Planned"))
    place = {"ra_deg": 10.5, "dec_deg": -20.25}
    node.post("/api/v1/measurements", make_measurement(target_name=sent, **place))
    operator.post("/api/v1/interrupts", {"name": asked, **place})
    items = [{"target": planned, "ra": 0.7, "dec": -20.25}]
    operator.post(f"/api/v1/nodes/{node.node_id}/plan", {"items": items})
    for name in (sent, asked, planned):
        curve = node.get(path(name))
        assert (curve["ra_deg"], curve["dec_deg"]) == (pytest.approx(10.5), -20.25), name


def test_targets_are_searched(node: Client, fresh_name: Callable[[str], str]) -> None:
    """By a name, a part of one, a place, and by a name that is nearly right."""
    name = fresh_name("Zorblax Nova")
    place = {"ra_deg": 222.0, "dec_deg": -71.0}
    node.post("/api/v1/measurements", make_measurement(target_name=name, **place))

    def search(text: str, **more: Any) -> dict[str, Any]:
        told = "".join(f"&{key}={value}" for key, value in more.items())
        found: dict[str, Any] = node.get(f"/api/v1/targets?q={quote(text)}{told}")
        return found

    for text in (name.upper(), "orblax", "14:48:00 -71:00:00", "222.01 -71"):
        names = [target["name"] for target in search(text)["targets"]]
        assert name in names, text
    (found,) = search("222.1 -71", radius_arcmin=3)["targets"]
    assert found["separation_arcmin"] == pytest.approx(1.953, abs=0.001)
    assert search("222.1 -71", radius_arcmin=1)["targets"] == []
    guess = search("Zorblux Nova")
    assert guess["is_guess"]
    assert name in [target["name"] for target in guess["targets"]]
    (unmeasured,) = search("DY Peg")["targets"]
    assert (unmeasured["points"], unmeasured["period_d"]) == (0, pytest.approx(0.072926))
    for wrong in ("?q=", "?q=1:99:99+2:2:2", "?radius_arcmin=0", "?q=" + "x" * 201):
        assert node.call("GET", f"/api/v1/targets{wrong}").status == 400, wrong

"""What anybody may see, and what nobody sees."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

from tests.support.cloud_client import Client, make_measurement

from boundless_skies.cloud.domain.times import julian_date


def test_health_is_told(public: Client) -> None:
    """A monitor gets a plain yes."""
    assert public.get("/api/v1/health")["ok"] is True


def test_the_network_hides_places_and_owners(public: Client) -> None:
    """Coordinates are public to 0.1°, owners not at all, on the page as in the call."""
    node = public.register("hidden", owner_name="Ada Lovelace", latitude=48.1374, longitude=11.5755)
    node.post("/api/v1/nodes/heartbeat", {"conditions": {"queued_uploads": 4}})
    status = public.get("/api/v1/network/status")
    entry = next(n for n in status["nodes"] if n["node_id"] == "hidden")
    assert (entry["latitude"], entry["longitude"]) == (48.1, 11.6)
    assert (entry["online"], entry["queued_uploads"]) == (True, 4)
    assert entry["last_heartbeat"]
    page = public.call("GET", "/").body.decode()
    for text in (str(status), page):
        assert "Lovelace" not in text
        assert "48.137" not in text


def test_counts_grow_with_what_comes_in(public: Client, fresh_name: Callable[[str], str]) -> None:
    """The network's counts and the targets' summaries follow the measurements."""
    before = public.get("/api/v1/network/status")["counts"]
    node = public.register()
    name = fresh_name("count")
    for number, band in enumerate(["V", "B", "V"]):
        sent = make_measurement(target_name=name, bjd=2461000 + number, filter=band)
        node.post("/api/v1/measurements", sent)
    after = public.get("/api/v1/network/status")["counts"]
    grown = {key: after[key] - before[key] for key in ("nodes", "targets", "measurements")}
    assert grown == {"nodes": 1, "targets": 1, "measurements": 3}
    targets = public.get("/api/v1/targets")["targets"]
    assert next(target for target in targets if target["name"] == name) == {
        "name": name,
        "points": 3,
        "nodes": 1,
        "filters": ["B", "V"],
        "first_bjd": 2461000.0,
        "last_bjd": 2461002.0,
    }


def test_days_count_back_from_now(node: Client, fresh_name: Callable[[str], str]) -> None:
    """Only the points of the last so many days are given, in order of time."""
    name = fresh_name("days")
    now = julian_date(datetime.now(UTC))
    for age in (0.5, 40, 3):
        node.post("/api/v1/measurements", make_measurement(target_name=name, bjd=now - age))
    path = "/api/v1/lightcurves/" + quote(name)
    assert [round(now - p["bjd"], 1) for p in node.get(path)["points"]] == [40.0, 3.0, 0.5]
    assert node.get(path + "?days=30")["n"] == 2


def test_a_target_that_nobody_measured_has_no_points(public: Client) -> None:
    """The call answers with an empty curve, the page with a friendly 404."""
    assert public.get("/api/v1/lightcurves/Nobody")["points"] == []
    page = public.call("GET", "/targets/Nobody%3Cscript%3E")
    assert page.status == 404
    assert "Not measured yet" in page.body.decode()
    assert "<script>" not in page.body.decode()


def test_a_light_curve_comes_as_csv(node: Client, fresh_name: Callable[[str], str]) -> None:
    """A table for other programs."""
    name = fresh_name("csv")
    node.post("/api/v1/measurements", make_measurement(target_name=name, snr=None))
    reply = node.call("GET", f"/api/v1/lightcurves/{quote(name)}?format=csv")
    assert reply.headers["content-type"].startswith("text/csv")
    head, row = reply.body.decode().splitlines()
    assert head.startswith("bjd_tdb,magnitude,uncertainty,filter,node_id")
    assert row.startswith(f"2461000.5,11.873,0.014,V,{node.node_id}")


def test_the_description_names_every_call(public: Client) -> None:
    """OpenAPI lists the calls; the page for people has them too, and loads nothing from outside."""
    document = public.get("/docs/openapi.json")
    assert document["openapi"].startswith("3.")
    calls = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert {
        ("POST", "/api/v1/nodes/register"),
        ("POST", "/api/v1/nodes/heartbeat"),
        ("GET", "/api/v1/nodes/me"),
        ("GET", "/api/v1/plan"),
        ("GET", "/api/v1/interrupts"),
        ("POST", "/api/v1/interrupts"),
        ("POST", "/api/v1/interrupts/{interrupt_id}/ack"),
        ("POST", "/api/v1/measurements"),
        ("POST", "/api/v1/measurements/batch"),
        ("POST", "/api/v1/images"),
        ("GET", "/api/v1/health"),
        ("GET", "/api/v1/targets"),
        ("GET", "/api/v1/lightcurves/{name}"),
        ("GET", "/api/v1/network/status"),
    } <= calls
    page = public.call("GET", "/docs").body.decode()
    assert all(path in page for _, path in calls)
    assert "https://" not in page
    assert "http://" not in page


def test_the_plotting_library_comes_from_here(public: Client) -> None:
    """It is packed, and kept by browsers for good under its versioned address."""
    reply = public.send("GET", "/static/plotly.min.js?v=1", None, {"Accept-Encoding": "gzip"})
    assert reply.status == 200
    assert reply.headers["content-encoding"] == "gzip"
    assert "immutable" in reply.headers["cache-control"]
    assert b"plotly" in reply.body[:200]


def test_files_outside_the_shelf_are_not_sent(public: Client) -> None:
    """No path leads out of the folder of static files."""
    for name in ("..%2Fviews.py", "%2Fetc%2Fpasswd", "none.css", "..%5Cviews.py"):
        assert public.call("GET", f"/static/{name}").status == 404

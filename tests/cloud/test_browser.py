"""The pages in a real browser."""

import math
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.browser import needs_chromium, running_chromium
from tests.support.cloud_client import Client, make_measurement
from tests.support.operating import wait_for

DRAWN = "#plot[data-drawn]"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Run a browser."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    """Collect what a page complains about or asks of other servers."""
    return []


@pytest.fixture
def page(chromium: Any, public: Client, complaints: list[str]) -> Iterator[Any]:
    """Open a page that notes every console message and every foreign request."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: _note_foreign(request.url, public.url, complaints))
    yield opened
    context.close()


@pytest.fixture
def target(public: Client, fresh_name: Callable[[str], str]) -> str:
    """Measure a target in two bands with two nodes; its name needs escaping."""
    name = fresh_name('AH/Vir <b>"&')
    for band, node in (
        ("V", public.register()),
        ("B", public.register(fresh_name("n" * 50).replace(" ", "-"))),
    ):
        items = [
            make_measurement(
                target_name=name,
                bjd=2461000.2 + number / 100,
                magnitude=12 + 0.2 * math.sin(number / 5),
                filter=band,
                quality_flag="poor" if number == 3 else "good",
            )
            for number in range(30)
        ]
        node.post("/api/v1/measurements/batch", {"items": items})
    return name


def test_a_light_curve_is_drawn(
    page: Any, public: Client, target: str, complaints: list[str]
) -> None:
    """Every point with its error bar, brighter up, one series per band and node, no complaint."""
    page.goto(f"{public.url}/targets/{quote(target, safe='')}")
    page.wait_for_selector(DRAWN, timeout=30_000)
    assert page.locator("#plot .points path.point").count() == 60
    assert page.locator("#plot .errorbars .errorbar").count() == 60
    low, high = page.evaluate("document.getElementById('plot').layout.yaxis.range")
    assert low > high
    title = page.evaluate("document.getElementById('plot').layout.xaxis.title.text")
    assert title == "BJD_TDB − 2461000 (days)"
    assert page.locator("#legend button").count() == 2
    assert page.locator("h1").inner_text() == target
    assert "60 points in B and V" in page.locator("#summary").inner_text()
    assert page.locator("details table tbody tr").count() == 60
    assert complaints == []


def test_a_series_is_hidden_by_keyboard(page: Any, public: Client, target: str) -> None:
    """A legend entry is a button that says whether its series shows."""
    page.goto(f"{public.url}/targets/{quote(target, safe='')}")
    page.wait_for_selector(DRAWN, timeout=30_000)
    entry = page.locator("#legend button").first
    entry.focus()
    page.keyboard.press("Enter")
    assert entry.get_attribute("aria-pressed") == "false"
    page.wait_for_function("document.querySelectorAll('#plot .points path.point').length === 30")


def test_a_point_tells_its_date(page: Any, public: Client, target: str) -> None:
    """Hovering over a point shows its magnitude, calendar date and BJD."""
    page.goto(f"{public.url}/targets/{quote(target, safe='')}")
    page.wait_for_selector(DRAWN, timeout=30_000)
    box = page.locator("#plot .points path.point").nth(5).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.wait_for_selector("#plot .hovertext")
    text = page.locator("#plot .hovertext").text_content()
    assert "± 0.014" in text
    assert "2025-11-2" in text
    assert "BJD_TDB 2461000.2" in text


def test_zoom_and_back(page: Any, public: Client, target: str) -> None:
    """The buttons narrow the view and bring the whole curve back, brighter still up."""
    page.goto(f"{public.url}/targets/{quote(target, safe='')}")
    page.wait_for_selector(DRAWN, timeout=30_000)
    span = "(([a, b]) => b - a)(document.getElementById('plot').layout.xaxis.range)"
    whole = page.evaluate(span)
    page.get_by_label("Zoom in").click()
    page.wait_for_function(f"Math.abs({span} - {whole} / 2) < 1e-6")
    page.get_by_text("Whole curve").click()
    page.wait_for_function(f"Math.abs({span} - {whole}) < 1e-6")
    low, high = page.evaluate("document.getElementById('plot').layout.yaxis.range")
    assert low > high


@pytest.mark.parametrize("width", [360, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_every_screen(
    page: Any, public: Client, target: str, complaints: list[str], scheme: str, width: int
) -> None:
    """No page is wider than a phone, and none complains, in light and dark."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    number = public.get(f"/api/v1/lightcurves/{quote(target, safe='')}")["points"][0]["id"]
    pages = ("/", "/docs", "/search?q=SS", f"/measurements/{number}")
    for path in (*pages, f"/targets/{quote(target, safe='')}"):
        page.goto(public.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []


def test_a_point_leads_to_where_it_comes_from(
    page: Any, public: Client, target: str, complaints: list[str]
) -> None:
    """Choosing a point tells it and offers a link to its history; the table links there, too."""
    page.goto(f"{public.url}/targets/{quote(target, safe='')}")
    page.wait_for_selector(DRAWN, timeout=30_000)
    page.locator("#plot .points path.point").nth(5).click(force=True)
    page.get_by_role("link", name="Where it comes from").click()
    page.wait_for_url("**/measurements/*")
    assert "mag" in page.locator("h1").inner_text()
    assert page.get_by_role("link", name=target).count() == 1
    assert complaints == []


def test_a_curve_is_folded_and_rejected_points_are_shown(
    page: Any, public: Client, operator: Client, complaints: list[str]
) -> None:
    """A known period offers folding, drawn twice over; what was rejected comes on demand, faint."""
    node = public.register()
    numbers = [
        node.post(
            "/api/v1/measurements",
            make_measurement(target_name="CY Aqr", bjd=2461000.2 + number / 50),
        )["id"]
        for number in range(5)
    ]
    verdict = {"verdict": "reject", "reason": "trailed"}
    operator.post(f"/api/v1/operator/review/{numbers[0]}", verdict)
    page.goto(f"{public.url}/targets/CY%20Aqr")
    page.wait_for_selector(DRAWN, timeout=30_000)
    points = "document.querySelectorAll('#plot .points path.point').length"
    assert page.evaluate(points) == 4
    page.get_by_role("button", name="Fold").click()
    wait_for(lambda: page.evaluate(points) == 8)
    title = page.evaluate("document.getElementById('plot').layout.xaxis.title.text")
    assert title == "Phase"
    page.get_by_role("button", name="Rejected (1)").click()
    wait_for(lambda: page.evaluate(points) == 10)
    page.get_by_role("button", name="Fold").click()
    wait_for(lambda: page.evaluate(points) == 5)
    assert complaints == []


def test_a_target_is_searched_by_keyboard(page: Any, public: Client, target: str) -> None:
    """A name typed into the header leads to its target."""
    page.goto(public.url)
    box = page.locator("header input[name=q]")
    box.focus()
    page.keyboard.type(target)
    page.keyboard.press("Enter")
    page.wait_for_url("**/targets/**")
    assert page.locator("h1").inner_text() == target


def test_a_target_is_reached_from_the_network(page: Any, public: Client, target: str) -> None:
    """The network's page leads to each light curve, odd names included."""
    page.goto(public.url)
    page.get_by_role("link", name=target).first.click()
    page.wait_for_selector(DRAWN, timeout=30_000)
    assert page.locator("h1").inner_text() == target


def _note_foreign(url: str, home: str, complaints: list[str]) -> None:
    if not url.startswith((home, "data:", "blob:")):
        complaints.append(f"foreign request: {url}")

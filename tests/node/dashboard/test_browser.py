"""The dashboard in a real browser: live, by keyboard, without script, and held to WCAG by axe."""

from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.node.dashboard.dashboards import (
    NOW,
    RunningDashboard,
    fill_sky,
    item,
    night_items,
    running_dashboard,
)
from tests.support.browser import needs_chromium, running_chromium

from boundless_skies.node.schedule.states import Command, Step

pytestmark = needs_chromium

PATHS = ("/", "/sky", "/link", "/settings", "/log", "/plan/edit", "/nowhere")
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
# A hint of the browser's for sites that ask to sign up, not for a page of settings.
_HINTS = ("[DOM] Multiple forms", "404 (Not Found)")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Run a browser."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDashboard]:
    """Run a node that has everything to show; these tests only look at it."""
    with running_dashboard(tmp_path_factory.mktemp("full")) as node:
        node.put_plan()
        first, second, *_ = node.store.all_work("A")
        node.store.advance(first.id, Step.PENDING, Step.SKIPPED, "U Gem was behind the roof.")
        node.store.advance(second.id, Step.PENDING, Step.SLEWING)
        node.store.advance(second.id, Step.SLEWING, Step.EXPOSING)
        node.store.put_interrupt(item("AT 2026abc", 150.0, 40.0, NOW + timedelta(hours=1)))
        fill_sky(node)
        ends = NOW + timedelta(hours=2)
        node.put_plan("B", night_items()[1:], accepted=False, expires_at=ends)
        node.store.unsafe("Rain at 0.4 mm/h.")
        yield node


@pytest.fixture
def complaints() -> list[str]:
    """Collect what a page complains about or asks of other servers."""
    return []


def opened(context: Any, home: str, complaints: list[str]) -> Any:
    """Open a page that notes every console message and every foreign request."""
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(home) else complaints.append(request.url),
    )
    return page


@pytest.fixture
def page(chromium: Any, node: RunningDashboard, complaints: list[str]) -> Iterator[Any]:
    """Open a page over an empty node."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    yield opened(context, node.url, complaints)
    context.close()
    assert [text for text in complaints if not any(hint in text for hint in _HINTS)] == []


def violations(page: Any) -> list[str]:
    """Return what axe finds on a page, each with its place."""
    found = page.evaluate("(rules) => axe.run(document, rules)", RULES)
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_each_page_is_accessible(
    chromium: Any, full: RunningDashboard, scheme: str, width: int, complaints: list[str]
) -> None:
    """WCAG 2.2 AA as far as axe tells, on a desk and a phone; targets of 44 px; nothing foreign."""
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    size = {"width": width, "height": 800}
    # The guard against foreign scripts would keep axe itself out.
    context = chromium.new_context(color_scheme=scheme, viewport=size, bypass_csp=True)
    page = opened(context, full.url, complaints)
    found = {}
    for path in PATHS:
        page.goto(full.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        page.evaluate(axe)
        found[path] = violations(page) + page.evaluate(_SMALL_TARGETS)
    context.close()
    assert {path: told for path, told in found.items() if told} == {}
    assert [text for text in complaints if not any(hint in text for hint in _HINTS)] == []


@pytest.mark.parametrize("width", [320, 768])
def test_each_page_fits_every_screen(chromium: Any, full: RunningDashboard, width: int) -> None:
    """Nothing has to be scrolled sideways, nor at four times the size on a desk (320 px)."""
    context = chromium.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in PATHS:
        page.goto(full.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_axe_would_find_what_is_wrong(chromium: Any, full: RunningDashboard) -> None:
    """The check above is no empty word: a label that is lost and a faint text are told."""
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{full.url}/settings")
    page.evaluate(axe)
    page.evaluate("document.querySelector('label[for=\"observatory.name\"]').remove()")
    page.evaluate("document.querySelector('.lead').style.color = '#e5e5e5'")
    told = " ".join(violations(page))
    assert "color-contrast" in told
    assert "label" in told
    context.close()


_SMALL_TARGETS = """
[...document.querySelectorAll('button, summary, nav a, input:not([type=hidden]), select, textarea')]
  .filter((one) => one.offsetParent !== null)
  .map((one) => [one, (one.closest('label') ?? one).getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
  .map(([one, box]) => `small: ${one.outerHTML.slice(0, 120)} ${box.width}x${box.height}`)
"""


def test_the_guard_lets_nothing_foreign_run(full: RunningDashboard, chromium: Any) -> None:
    """A script that got into a page would not run, and no style or picture from elsewhere load."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(full.url)
    ran = page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';
                   document.body.append(s); return window.ran ?? 0; }"""
    )
    assert ran == 0
    context.close()


def test_a_change_shows_by_itself_and_is_announced(page: Any, node: RunningDashboard) -> None:
    """The page follows the schedule; whoever does not see it hears of it."""
    page.goto(node.url)
    assert "Nothing is planned." in page.locator("#announce").inner_text()
    node.put_plan()
    work = node.store.all_work("A")[2]
    node.store.advance(work.id, Step.PENDING, Step.SLEWING)
    page.wait_for_selector(".state.running")
    page.locator("#announce", has_text="Moving to T CrB").wait_for(state="attached")


def test_a_change_leaves_the_focus_where_it_is(page: Any, node: RunningDashboard) -> None:
    """Somebody who goes through the page by keyboard is not thrown out of it."""
    node.put_plan()
    works = node.store.all_work("A")
    page.goto(node.url)
    page.locator(f"#skip-{works[3].id}").focus()
    node.store.advance(works[0].id, Step.PENDING, Step.SKIPPED, "clouds came")
    page.get_by_text("clouds came").wait_for()
    focused = page.evaluate("document.activeElement.id")
    assert focused == f"skip-{works[3].id}"


def test_a_reason_being_typed_is_not_lost(page: Any, node: RunningDashboard) -> None:
    """While a form is open, its part of the page stands still."""
    node.put_plan(accepted=False)
    page.goto(node.url)
    page.locator("#reject-open").click()
    page.locator("#reason").fill("Guests")
    node.store.unsafe("Rain.")
    page.locator("#announce", has_text="Stopped as unsafe").wait_for(state="attached")
    assert page.locator("#reason").input_value() == "Guests"
    page.get_by_role("button", name="Yes, reject").click()
    page.get_by_text("The plan is rejected").wait_for()
    plan = node.store.plan("A")
    assert plan is not None
    assert plan.reason == "Guests"


def test_a_plan_is_edited_by_keyboard_alone(page: Any, node: RunningDashboard) -> None:
    """Tab, Enter and Space do all; the focus goes with the target that is moved."""
    node.put_plan(accepted=False)
    page.goto(node.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    _tab_to(page, "document.activeElement.id === 'edit'")
    page.keyboard.press("Enter")
    page.wait_for_url("**/plan/edit")
    label = "document.activeElement.getAttribute('aria-label')"
    _tab_to(page, f"{label} === 'Move T CrB up'")
    page.keyboard.press("Enter")
    page.get_by_text("T CrB is now number 2 of 4.").wait_for(state="attached")
    assert page.evaluate(label) == "Move T CrB up"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    _tab_to(page, "document.activeElement.textContent === 'Accept it so'")
    page.keyboard.press("Enter")
    page.get_by_text("The plan is accepted.").wait_for()
    works = node.store.all_work("A")
    assert [work.target for work in works] == ["U Gem", "SS UMa <b>", "RZ LMi", "T CrB"]
    assert works[-1].step is Step.SKIPPED


def test_it_works_without_script(chromium: Any, node: RunningDashboard) -> None:
    """Plain forms and links do the same."""
    node.put_plan()
    fill_sky(node, points=3)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(node.url)
    page.get_by_role("button", name="Run T CrB now").click()
    page.get_by_text("The node has been asked.").wait_for()
    page.get_by_text("Park", exact=False).first.click()
    page.get_by_role("button", name="Yes, park").click()
    page.wait_for_url("**/?done=asked")
    asked = [one.command for one in node.store.asked_commands()]
    assert asked == [Command.RUN, Command.PARK]
    page.goto(f"{node.url}/sky")
    assert page.locator("#viewer img").is_visible()
    assert page.locator("#tools").is_hidden()
    context.close()


def test_a_frame_is_zoomed_by_keyboard_and_pointer(page: Any, node: RunningDashboard) -> None:
    """The keys + − 0 and the arrows, the buttons, and a drag."""
    fill_sky(node, points=2)
    page.goto(f"{node.url}/sky")
    place = "document.getElementById('stage').getBoundingClientRect()"
    whole = page.evaluate(f"{place}.width")
    page.locator("#viewer").focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate(f"{place}.width") == pytest.approx(2.25 * whole)
    assert page.locator("#zoomed").inner_text() == "2.3 times larger"
    left = page.evaluate(f"{place}.x")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{place}.x") == pytest.approx(left - 60)
    page.locator("#viewer").scroll_into_view_if_needed()
    box = page.locator("#viewer").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 230, box["y"] + 200)
    page.mouse.up()
    assert page.evaluate(f"{place}.x") == pytest.approx(left - 30)
    page.locator("#zoom-all").click()
    assert page.evaluate(f"{place}.width") == pytest.approx(whole)


def test_a_password_lets_in_and_out(chromium: Any, tmp_path: Path) -> None:
    """From the sign-in to the night, and back."""
    with running_dashboard(tmp_path, **{"dashboard.password": "long and easy"}) as node:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{node.url}/settings")
        page.wait_for_url("**/sign-in")
        page.keyboard.type("long and easy")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Tonight").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        context.close()


@pytest.mark.parametrize("media", [{"forced_colors": "active"}, {"reduced_motion": "reduce"}])
def test_a_night_shows_in_the_owners_colours(
    chromium: Any, full: RunningDashboard, media: dict[str, str]
) -> None:
    """With forced colours the courses are still drawn; without motion nothing moves."""
    context = chromium.new_context(**media)
    page = context.new_page()
    page.goto(full.url)
    strokes = page.evaluate(
        "[...document.querySelectorAll('.wide .course')].map((one) => getComputedStyle(one).stroke)"
    )
    assert strokes
    assert all(stroke not in {"none", "rgba(0, 0, 0, 0)"} for stroke in strokes)
    moving = page.evaluate("document.getAnimations().length")
    assert moving == 0
    context.close()


def _tab_to(page: Any, condition: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(condition):
            return
    raise AssertionError(condition)

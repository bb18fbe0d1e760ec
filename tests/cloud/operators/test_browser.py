"""The operator's pages in a real browser."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.browser import needs_chromium, running_chromium
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import RunningCloud
from tests.support.operating import OPERATOR

TABS = ("", "/nodes", "/interrupts", "/review", "/codes", "/tokens", "/audit")
ITEM = {"target": "SS Cyg", "ra": 21.7118, "dec": 43.5861, "expDur": 30, "expCount": 20}

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
def open_page(
    chromium: Any, cloud: RunningCloud, tokens: dict[str, str], complaints: list[str]
) -> Iterator[Callable[..., Any]]:
    """Sign in as an admin, in a browser that notes every complaint and foreign request."""
    contexts = []

    def open_one(**options: Any) -> Any:
        context = chromium.new_context(viewport={"width": 1100, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: _note_foreign(request.url, cloud.url, complaints))
        page.goto(f"{cloud.url}/operate")
        page.get_by_label("Token").fill(tokens["admin"])
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Sign out").wait_for()
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """Be signed in, in a browser that runs no scripts: the daily work needs none."""
    return open_page(java_script_enabled=False)


def test_signing_in_and_out(page: Any, cloud: RunningCloud, complaints: list[str]) -> None:
    """The pages tell who is signed in; signed out, they ask again."""
    assert "a-admin" in page.locator(".who").inner_text()
    assert page.get_by_role("link", name="Overview").get_attribute("aria-current") == "page"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    page.goto(f"{cloud.url}/operate/review")
    assert page.get_by_label("Token").is_visible()
    assert complaints == []


def test_a_disputed_point_is_rejected(
    page: Any, cloud: RunningCloud, operator: Client, dispute: Callable[[], int]
) -> None:
    """The picture shows it among its witnesses; a reason is asked for; then it is out."""
    number = dispute()
    page.goto(f"{cloud.url}/operate/review?after={number - 1}")
    case = page.locator("article", has=page.locator(f"#point-{number}"))
    assert "1.295 mag fainter than the median" in case.inner_text()
    assert case.locator("svg .mark").count() == 3
    box = case.locator("svg .mark.disputed .ring").bounding_box()
    assert all(
        mark.bounding_box()["y"] < box["y"]
        for mark in case.locator("svg .mark:not(.disputed)").all()
    ), "brighter is up"
    case.get_by_role("button", name="Reject").click()
    assert "reason is missing" in page.get_by_role("alert").inner_text()
    page.get_by_label("Reason").fill("a satellite's trail")
    page.get_by_role("button", name="Reject").click()
    assert "left the light curve" in page.get_by_role("status").inner_text()
    verdict = operator.get(f"{OPERATOR}/review/{number}")["verdicts"][0]
    assert (verdict["reason"], verdict["operator"]) == ("a satellite's trail", "a-admin")


def test_a_node_is_revoked_after_a_confirmation(
    page: Any, cloud: RunningCloud, node: Client
) -> None:
    """With the keyboard alone: open, give the reason, confirm; and let in again."""
    page.goto(f"{cloud.url}/operate/nodes/{node.node_id}")
    page.locator("summary", has_text="Revoke").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("its rig is sold")
    page.keyboard.press("Enter")
    assert "refused from now on" in page.get_by_role("status").inner_text()
    assert "its rig is sold" in page.locator(".history").inner_text()
    assert node.call("POST", "/api/v1/nodes/heartbeat", {}).status == 401
    page.locator("summary", has_text="Readmit").click()
    page.get_by_role("button", name="Yes, readmit").click()
    node.post("/api/v1/nodes/heartbeat")


def test_a_plan_is_pasted_or_uploaded(
    page: Any, cloud: RunningCloud, node: Client, tmp_path: Path
) -> None:
    """What is wrong with it is said with the text still there; then it reaches the node."""
    page.goto(f"{cloud.url}/operate/nodes/{node.node_id}")
    page.get_by_text("Publish a plan").click()
    page.get_by_label("Plan, as JSON").fill('[{"target": "SS Cyg"}]')
    page.get_by_role("button", name="Publish").click()
    assert "items[0].ra is missing" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Plan, as JSON").input_value() == '[{"target": "SS Cyg"}]'
    page.get_by_label("Plan, as JSON").fill(json.dumps([ITEM]))
    page.get_by_role("button", name="Publish").click()
    assert "published" in page.get_by_role("status").inner_text()
    pasted = node.get("/api/v1/plan")["plan"]["plan_id"]
    (tmp_path / "plan.json").write_text(json.dumps([ITEM, ITEM | {"target": "AH Vir"}]))
    page.get_by_text("Publish a plan").click()
    page.get_by_label("or its file").set_input_files(tmp_path / "plan.json")
    page.get_by_role("button", name="Publish").click()
    assert "AH Vir" in page.locator("#plan ~ .card").first.inner_text()
    assert node.get("/api/v1/plan")["plan"]["plan_id"] != pasted


def test_an_interrupt_is_sent_and_acknowledged(
    page: Any, cloud: RunningCloud, node: Client, fresh_name: Callable[[str], str]
) -> None:
    """The list tells who has acknowledged it."""
    name = fresh_name("SN of the browser")
    page.goto(f"{cloud.url}/operate/interrupts")
    for label, value in (
        ("Target", name),
        ("Right ascension (degrees)", "210.9"),
        ("Declination (degrees)", "54.3"),
        ("Only these nodes", node.node_id),
        ("Reason", "young"),
    ):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Send to the nodes").click()
    row = page.get_by_role("row", name=name)
    assert "nobody yet" in row.inner_text()
    (interrupt,) = [
        one for one in node.get("/api/v1/interrupts")["interrupts"] if one["name"] == name
    ]
    node.post(f"/api/v1/interrupts/{interrupt['id']}/ack")
    page.reload()
    assert "nobody yet" not in row.inner_text()


def test_a_code_made_on_the_page_lets_a_node_in(
    page: Any, cloud: RunningCloud, public: Client
) -> None:
    """It is shown to be copied; used, the list says by whom."""
    page.goto(f"{cloud.url}/operate/codes")
    page.get_by_label("Note").fill("from the browser")
    page.get_by_role("button", name="Make codes").click()
    code = page.locator(".made pre").inner_text().strip()
    node = public.register(activation_code=code)
    page.goto(f"{cloud.url}/operate/codes")
    assert f"used by {node.node_id}" in page.get_by_role("row", name=code).inner_text()


def test_a_token_made_on_the_page_is_revoked_there(
    page: Any, cloud: RunningCloud, fresh_name: Callable[[str], str]
) -> None:
    """It works in between."""
    name = fresh_name("browser").replace(" ", "-")
    page.goto(f"{cloud.url}/operate/tokens")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Role", exact=True).select_option("operator")
    page.get_by_role("button", name="Make the token").click()
    holder = Client(cloud.url, {"X-Admin-Key": page.locator(".made pre").inner_text().strip()})
    holder.get(f"{OPERATOR}/codes")
    row = page.get_by_role("row", name=name)
    row.locator("summary").click()
    row.get_by_role("button", name=f"Yes, revoke {name}").click()
    page.get_by_role("status").wait_for()
    assert holder.call("GET", f"{OPERATOR}/codes").status == 401


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_every_screen(
    open_page: Callable[..., Any],
    cloud: RunningCloud,
    operator: Client,
    dispute: Callable[[], int],
    complaints: list[str],
    scheme: str,
) -> None:
    """No page is wider than a phone, none complains, and each has one heading."""
    node = Client(cloud.url).register("n" * 64, owner_name="w" * 150)
    node.post("/api/v1/measurements", make_measurement())
    plan = {"items": [ITEM | {"target": "T" * 150}], "plan_id": f"p{scheme}" * 14}
    operator.post(f"/api/v1/nodes/{node.node_id}/plan", plan)
    operator.post(f"{OPERATOR}/codes", {"note": "x" * 200})
    number = dispute()
    page = open_page(color_scheme=scheme)
    path = f"/api/v1/plan/{plan['plan_id']}/events"
    told = {"event_id": "e", "item_id": "item-1", "state": "failed", "reason": "w" * 500}
    node.post(path, {"events": [told, told | {"event_id": "f", "item_id": None}]})
    for path in (
        *TABS,
        f"/nodes/{node.node_id}",
        f"/plans/{plan['plan_id']}",
        f"/review/{number}",
        "/sign-in",
    ):
        page.goto(f"{cloud.url}/operate{path}")
        assert page.locator("h1").count() == 1
        for width in (360, 1100):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert complaints == []


def _note_foreign(url: str, home: str, complaints: list[str]) -> None:
    if not url.startswith((home, "data:", "blob:")):
        complaints.append(f"foreign request: {url}")

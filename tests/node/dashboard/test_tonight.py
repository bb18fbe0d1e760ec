"""The night's page, and what the owner says on it."""

from datetime import timedelta

from tests.node.dashboard.dashboards import NOW, RunningDashboard, item, night_items

from boundless_skies.node.schedule.states import Command, PlanState, Step
from boundless_skies.node.schedule.work import RefusedItem


def test_nothing_is_planned(node: RunningDashboard) -> None:
    """An empty node says so, and shows the night all the same."""
    page = node.get("/")
    assert page.status == 200
    assert "Nothing is planned." in page.text
    assert "band night" in page.text


def test_the_plan_is_shown(node: RunningDashboard) -> None:
    """Each target with its time, state and place in the night; names are escaped."""
    node.put_plan()
    page = node.get("/").text
    assert "SS UMa &lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count('class="observed"') == 8  # four targets, on a wide and a narrow picture
    assert "U Gem at most" in page
    assert "now-label" in page


def test_what_runs_and_what_was_left_out(node: RunningDashboard) -> None:
    """The headline says what is done now; a skipped target keeps its reason."""
    node.put_plan()
    first, second, *_ = node.store.all_work("A")
    assert node.store.advance(first.id, Step.PENDING, Step.SKIPPED, "behind the roof")
    assert node.store.advance(second.id, Step.PENDING, Step.SLEWING)
    assert node.store.advance(second.id, Step.SLEWING, Step.EXPOSING)
    assert node.store.begin_exposure(second.id, 1, "x.fits")
    page = node.get("/").text
    assert "Exposing SS UMa &lt;b&gt;, 1 of 30." in page
    assert "behind the roof" in page
    assert "1 running, 2 pending, 1 skipped" in page


def test_an_interrupt_is_shown_beside_the_plan(node: RunningDashboard) -> None:
    """It has a row of its own that calls it by its name."""
    node.put_plan()
    assert node.store.put_interrupt(item("AT 2026abc", 150.0, 40.0))
    page = node.get("/").text
    assert "AT 2026abc" in page
    assert "interrupt" in page


def test_a_plan_is_accepted(node: RunningDashboard) -> None:
    """One press, and the page says so."""
    node.put_plan(accepted=False, expires_at=NOW + timedelta(hours=3))
    assert "It expires in 3.0 hours" in node.get("/").text
    reply = node.post("/plan/accept", {"plan": "A"})
    assert (reply.status, reply.headers["location"]) == (303, "/?done=accepted")
    assert node.store.accepted_plan() is not None
    assert "The plan is accepted." in node.get("/?done=accepted").text


def test_a_plan_is_rejected_with_a_reason(node: RunningDashboard) -> None:
    """The network is told why."""
    node.put_plan(accepted=False)
    assert node.post("/plan/reject", {"plan": "A", "reason": "Moving house"}).status == 303
    plan = node.store.plan("A")
    assert plan is not None
    assert (plan.state, plan.reason) == (PlanState.REJECTED, "Moving house")


def test_a_plan_is_put_in_order_and_shortened(node: RunningDashboard) -> None:
    """Up and down change the draft only; accepting keeps what is ticked, in that order."""
    node.put_plan(accepted=False)
    works = node.store.all_work("A")
    one, two, three, four = (str(work.id) for work in works)
    draft = {"plan": "A", "order": [one, two, three, four], "keep": [one, two, three]}
    page = node.post("/plan/edit", {**draft, "move": f"{three}:up"}).text
    assert "T CrB is now number 2 of 4." in page
    assert page.index("T CrB") < page.index("SS UMa")
    assert node.store.waiting_plan() is not None
    assert node.post("/plan/accept", {**draft, "order": [one, three, two, four]}).status == 303
    kept = node.store.all_work("A")
    assert [work.target for work in kept] == ["U Gem", "T CrB", "SS UMa <b>", "RZ LMi"]
    assert [work.step for work in kept][-1] is Step.SKIPPED


def test_a_draft_without_targets_is_not_accepted(node: RunningDashboard) -> None:
    """To take all out is to reject, and the page says so."""
    node.put_plan(accepted=False)
    numbers = [str(work.id) for work in node.store.all_work("A")]
    reply = node.post("/plan/accept", {"plan": "A", "order": numbers})
    assert reply.status == 400
    assert "reject it instead" in reply.text
    assert node.store.waiting_plan() is not None


def test_an_old_page_cannot_settle_a_newer_plan(node: RunningDashboard) -> None:
    """A plan that was replaced while the owner read it is not accepted by mistake."""
    node.put_plan("A", accepted=False)
    node.put_plan("B", accepted=False)
    reply = node.post("/plan/accept", {"plan": "A"})
    assert reply.status == 409
    assert "no longer waits" in reply.text
    assert node.store.accepted_plan() is None


def test_a_waiting_plan_says_what_is_new(node: RunningDashboard) -> None:
    """Against the plan that is carried out."""
    node.put_plan("A")
    changed = [*night_items()[1:], item("V404 Cyg", 306.0, 33.9)]
    node.put_plan("B", changed, accepted=False)
    page = node.get("/").text
    assert "V404 Cyg is new: starts at any time, 30 × 20 s." in page
    assert "U Gem is no longer in the plan." in page


def test_what_could_not_be_read_is_told(node: RunningDashboard) -> None:
    """With the reason."""
    refused = RefusedItem(item_id="x", target="Nova ?", reason="It has no position.")
    node.put_plan(refused=[refused])
    assert "It has no position." in node.get("/").text


def test_commands_are_put_down(node: RunningDashboard) -> None:
    """Run and skip name their target, abort and park the telescope."""
    node.put_plan()
    work = node.store.all_work("A")[2]
    for fields in (
        {"command": "run", "work": work.id},
        {"command": "skip", "work": work.id},
        {"command": "abort"},
        {"command": "park"},
    ):
        assert node.post("/ask", fields).headers["location"] == "/?done=asked"
    asked = node.store.asked_commands()
    assert [one.command for one in asked] == [
        Command.RUN,
        Command.SKIP,
        Command.ABORT,
        Command.PARK,
    ]
    assert [one.work_id for one in asked] == [work.id, work.id, None, None]
    assert "Run now: T CrB" in node.get("/").text


def test_what_has_ended_cannot_be_run(node: RunningDashboard) -> None:
    """An old page's button does nothing, and says why."""
    node.put_plan()
    work = node.store.all_work("A")[0]
    node.store.advance(work.id, Step.PENDING, Step.SKIPPED, "clouds")
    reply = node.post("/ask", {"command": "run", "work": work.id})
    assert reply.status == 409
    assert "has come to its end already: it is skipped" in reply.text
    assert node.store.asked_commands() == ()


def test_nonsense_is_not_put_down(node: RunningDashboard) -> None:
    """A command or a target that is not there is told."""
    node.put_plan()
    assert "There is no command" in node.post("/ask", {"command": "launch"}).text
    assert "no such item" in node.post("/ask", {"command": "run", "work": "9" * 30}).text
    assert node.store.asked_commands() == ()


def test_the_latch_is_let_go_by_the_owner(node: RunningDashboard) -> None:
    """The page says why it was set; the word goes to the node."""
    node.store.unsafe("Rain at 0.4 mm/h.")
    assert "Rain at 0.4 mm/h." in node.get("/").text
    assert node.post("/ask", {"command": "resume_after_unsafe"}).status == 303
    assert node.store.asked_commands()[0].command is Command.RESUME_AFTER_UNSAFE

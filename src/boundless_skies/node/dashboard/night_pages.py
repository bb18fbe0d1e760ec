"""The night's page and the owner's words to it."""

import asyncio
from http import HTTPStatus

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from boundless_skies.node.dashboard.shell import NodeRequest, Page, Shell, go_to, visit_of
from boundless_skies.node.dashboard.tonight import tonight
from boundless_skies.node.dashboard.visits import Form
from boundless_skies.node.schedule.states import FINAL, Command, PlanState
from boundless_skies.node.schedule.work import PlanRecord, Work
from boundless_skies.node.storage.schedule import ScheduleError

NO_LONGER_WAITS = (
    "That plan no longer waits for your word: it has been settled, or a newer one came. "
    "This is how it stands now."
)
_ABOUT_WORK = frozenset({Command.RUN, Command.SKIP})


@get("/", sync_to_thread=True)
def show_night(request: NodeRequest, shell: NamedDependency[Shell]) -> Page:
    """Show the night."""
    return _show_night(request, shell)


@post("/ask", sync_to_thread=True)
def ask(request: NodeRequest, shell: NamedDependency[Shell]) -> Response[str] | Redirect:
    """Put down a command for the node."""
    form = visit_of(request).form
    problem = _problem_with(form, shell)
    if problem:
        return _show_night(request, shell, problem)
    command = Command(form.get("command"))
    work = _work(form, shell) if command in _ABOUT_WORK else None
    shell.desk.store.ask(command, work.id if work else None)
    return go_to("/?done=asked")


@post("/plan/accept", sync_to_thread=True)
def accept(request: NodeRequest, shell: NamedDependency[Shell]) -> Response[str] | Redirect:
    """Accept the plan that waits, whole or as it was edited."""
    form, store = visit_of(request).form, shell.desk.store
    plan = _waiting(form, shell)
    if plan is None:
        return _show_night(request, shell, NO_LONGER_WAITS)
    keep = None
    if form.all("order"):
        keep = [work.item_id for work in _ordered(plan, form) if str(work.id) in form.all("keep")]
        if not keep:
            return _show_draft(
                request, shell, plan, form, "Nothing is left of the plan: reject it instead."
            )
    try:
        taken = store.decide(plan.plan_id, PlanState.ACCEPTED, "", keep)
    except ScheduleError as error:
        return _show_night(request, shell, str(error))
    return go_to("/?done=accepted") if taken else _show_night(request, shell, NO_LONGER_WAITS)


@post("/plan/reject", sync_to_thread=True)
def reject(request: NodeRequest, shell: NamedDependency[Shell]) -> Response[str] | Redirect:
    """Reject the plan that waits."""
    form = visit_of(request).form
    plan = _waiting(form, shell)
    reason = form.get("reason")[:500] or "rejected by the owner"
    if plan and shell.desk.store.decide(plan.plan_id, PlanState.REJECTED, reason):
        return go_to("/?done=rejected")
    return _show_night(request, shell, NO_LONGER_WAITS)


@get("/plan/edit")
async def show_edit(
    request: NodeRequest, shell: NamedDependency[Shell]
) -> Response[str] | Redirect:
    """Show the plan that waits, to be put in order."""
    return await asyncio.to_thread(_show_edit, request, shell)


def _show_edit(request: NodeRequest, shell: Shell) -> Response[str] | Redirect:
    plan = shell.desk.store.waiting_plan()
    if plan is None:
        return go_to("/")
    numbers = [str(work.id) for work in plan.items]
    return _show_draft(request, shell, plan, Form({"order": numbers, "keep": numbers}))


@post("/plan/edit")
async def edit(request: NodeRequest, shell: NamedDependency[Shell]) -> Page:
    """Move an item of the draft up or down; nothing is kept until the plan is accepted."""
    return await asyncio.to_thread(_edit, request, shell)


def _edit(request: NodeRequest, shell: Shell) -> Page:
    form = visit_of(request).form
    plan = _waiting(form, shell)
    if plan is None:
        return _show_night(request, shell, NO_LONGER_WAITS)
    return _show_draft(request, shell, plan, form)


def _show_night(request: NodeRequest, shell: Shell, problem: str = "") -> Page:
    return shell.show(
        request,
        "tonight.html",
        problem=problem,
        status=HTTPStatus.CONFLICT if problem else None,
        view=tonight(shell.desk),
    )


def _show_draft(
    request: NodeRequest, shell: Shell, plan: PlanRecord, form: Form, problem: str = ""
) -> Page:
    items, moved = _ordered(plan, form), ""
    number, _, way = form.get("move").partition(":")
    place = next((n for n, work in enumerate(items) if str(work.id) == number), None)
    other = None if place is None else place + {"up": -1, "down": 1}.get(way, 0)
    if place is not None and other is not None and 0 <= other < len(items) and other != place:
        items[place], items[other] = items[other], items[place]
        moved = f"{items[other].target} is now number {other + 1} of {len(items)}."
    kept = set(form.all("keep"))
    return shell.show(
        request,
        "edit_plan.html",
        problem=problem,
        plan=plan,
        items=items,
        kept=kept,
        moved=moved,
        focus=form.get("move"),
        now=shell.desk.now(),
    )


def _ordered(plan: PlanRecord, form: Form) -> list[Work]:
    """Return the items in the order of the form; those that it does not name come last."""
    places = {number: place for place, number in enumerate(form.all("order"))}
    return sorted(plan.items, key=lambda work: places.get(str(work.id), len(places)))


def _waiting(form: Form, shell: Shell) -> PlanRecord | None:
    """Return the plan that waits, if it is the one that the form speaks of."""
    plan = shell.desk.store.waiting_plan()
    return plan if plan and plan.plan_id == form.get("plan") else None


def _work(form: Form, shell: Shell) -> Work | None:
    number = form.get("work")
    return shell.desk.store.work(int(number)) if number.isdecimal() and len(number) < 18 else None  # noqa: PLR2004 - what SQLite holds


def _problem_with(form: Form, shell: Shell) -> str:
    """Return why a command cannot be put down; empty where it can."""
    if not shell.desk.moves_telescope:
        return (
            "This node moves no telescope. Set telescope.enabled to true in the settings, then "
            "start the node again."
        )
    try:
        command = Command(form.get("command"))
    except ValueError:
        return f"There is no command {form.get('command')!r:.60}."
    if command not in _ABOUT_WORK:
        return ""
    work = _work(form, shell)
    if work is None:
        return "There is no such item."
    if work.step in FINAL:
        return f"{work.target} has come to its end already: it is {work.step}."
    return ""


HANDLERS: list[HTTPRouteHandler] = [show_night, ask, accept, reject, show_edit, edit]

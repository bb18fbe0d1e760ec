"""The operator's pages: what needs attention, and the daily work."""

import json
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from boundless_skies.cloud.domain.admission import DEFAULT_DAYS, Policy
from boundless_skies.cloud.domain.errors import (
    InvalidCredentials,
    InvalidInput,
    NotSignedIn,
    UnknownObject,
)
from boundless_skies.cloud.domain.forms import Form
from boundless_skies.cloud.domain.interrupts import DEFAULT_EXPIRES_HOURS
from boundless_skies.cloud.domain.json_text import parse_json
from boundless_skies.cloud.domain.operators import Role
from boundless_skies.cloud.domain.sessions import COOKIE, CSRF_FIELD, Session
from boundless_skies.cloud.pages.renderer import PageRenderer
from boundless_skies.cloud.pages.review_plot import draw
from boundless_skies.cloud.peers import client_address, is_https
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.curves import thumbnail_path
from boundless_skies.cloud.services.operators import SESSION_LASTS
from boundless_skies.cloud.web import CloudRequest

ROOT = "/operate"
SIGN_IN = f"{ROOT}/sign-in"
DEEDS_SHOWN = 100
EVENTS_SHOWN = 200
NUMBER_MAX_DIGITS = 18
DONE = {
    "rotated": "The node will take a new key with its next beat.",
    "revoked": "The node is revoked: its keys are refused from now on.",
    "readmitted": "The node may call again, with the key that it has.",
    "owner": "The public pages follow the owner's wish from now on.",
    "planned": "The plan is published; the node fetches it at its next poll.",
    "sent": "The interrupt is sent.",
    "policy": "That holds from now on.",
    "withdrawn": "The code lets nobody in any more.",
    "accepted": "The point stays in the light curve.",
    "rejected": "The point has left the light curve. It is kept, and may be accepted later.",
    "token-revoked": "The token is revoked, and whoever was signed in with it is out.",
}
"""What a page says of what was just done, by the word in its address."""

Page = Response[str]
Signed = NamedDependency[Session]
Sent = NamedDependency[Form]
Pages = NamedDependency[PageRenderer]
Offered = NamedDependency[Services]


class OperatorPage:
    """Renders one page for whoever is signed in.

    Parameters
    ----------
    request : CloudRequest
        What was asked.
    session : Session
        Who asks.
    pages : PageRenderer
        Renders.
    """

    def __init__(self, request: CloudRequest, session: Session, pages: PageRenderer) -> None:
        self._request = request
        self._session = session
        self._pages = pages

    def show(self, template: str, problem: str = "", **values: Any) -> Page:
        """Return a page; with a problem, as the answer to a form that was refused."""
        operator = self._session.operator
        return self._pages.respond(
            f"operate/{template}.html",
            HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
            operator=operator,
            csrf=self._session.csrf,
            csrf_field=CSRF_FIELD,
            may_operate=operator.may(Role.OPERATOR),
            may_admin=operator.may(Role.ADMIN),
            done="" if problem else DONE.get(self._request.query_params.get("done", ""), ""),
            problem=problem,
            **values,
        )


def ask_to_sign_in(request: CloudRequest, error: NotSignedIn) -> Redirect:
    """Lead whoever is not signed in to where they can do so, and back from there."""
    del error
    back = request.scope["path"] if request.method == "GET" else ROOT
    return _go(f"{SIGN_IN}?next={quote(back, safe='/')}")


@get("/sign-in", include_in_schema=False)
async def show_sign_in(request: CloudRequest, pages: Pages) -> Page:
    """Ask for a token."""
    return _sign_in_page(pages, request.query_params.get("next", ""), "")


@post("/sign-in", status_code=HTTPStatus.OK, include_in_schema=False)
async def sign_in(
    request: CloudRequest,
    services: Offered,
    pages: Pages,
    open_form: NamedDependency[Form],
) -> Response[Any]:
    """Begin a session for whoever has a token."""
    back, address = open_form.get("next"), client_address(request.scope)
    services.limits.check_failures(address)
    try:
        secret = await services.operators.sign_in(open_form.get("token"))
    except InvalidCredentials:
        services.limits.count_failure(address)
        return _sign_in_page(pages, back, "This token is not known, or was revoked.")
    cookie = _cookie(request, secret, int(SESSION_LASTS.total_seconds()))
    return _go(_safe_path(back), cookie)


@post("/sign-out", status_code=HTTPStatus.OK, include_in_schema=False)
async def sign_out(
    request: CloudRequest, services: Offered, session: Signed, form: Sent
) -> Redirect:
    """End the session."""
    del form
    await services.operators.sign_out(session.secret)
    return _go(SIGN_IN, _cookie(request, "", 0))


@get("/", include_in_schema=False)
async def show_overview(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed
) -> Page:
    """Show what needs attention."""
    attention = await services.control_room.attention(session.operator)
    policy = await services.admission.policy(session.operator)
    page = OperatorPage(request, session, pages)
    return page.show("overview", attention=attention, policy=policy)


@get("/nodes", include_in_schema=False)
async def show_nodes(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed
) -> Page:
    """List the nodes."""
    after = request.query_params.get("after")
    listed = await services.control_room.list_nodes(session.operator, after)
    return OperatorPage(request, session, pages).show("nodes", listed=listed, after=after)


@get("/nodes/{node_id:str}", include_in_schema=False)
async def show_node(
    request: CloudRequest,
    services: Offered,
    pages: Pages,
    session: Signed,
    node_id: FromPath[str],
) -> Page:
    """Show a node with all that is known of it."""
    return await _node_page(request, services, pages, session, node_id)


@get("/plans/{plan_id:str}", include_in_schema=False)
async def show_plan(
    request: CloudRequest,
    services: Offered,
    pages: Pages,
    session: Signed,
    plan_id: FromPath[str],
) -> Page:
    """Show what became of a plan and of each of its items."""
    report = await services.plans.report(session.operator, plan_id)
    return OperatorPage(request, session, pages).show(
        "plan", report=report, now=services.control_room.now(), most=EVENTS_SHOWN
    )


@post("/nodes/{node_id:str}/{deed:str}", status_code=HTTPStatus.OK, include_in_schema=False)
async def change_node(
    request: CloudRequest,
    services: Offered,
    pages: Pages,
    session: Signed,
    form: Sent,
    node_id: FromPath[str],
    deed: FromPath[str],
) -> Response[Any]:
    """Rotate, revoke, readmit, show or hide an owner, publish a plan."""
    operator, credentials = session.operator, services.credentials
    operator.require(Role.OPERATOR)
    try:
        match deed:
            case "rotate":
                await credentials.ask_for_rotation(operator, [node_id])
                return _done(f"/nodes/{node_id}", "rotated")
            case "revoke":
                await credentials.revoke(operator, node_id, form.get("reason"))
                return _done(f"/nodes/{node_id}", "revoked")
            case "readmit":
                await credentials.readmit(operator, node_id)
                return _done(f"/nodes/{node_id}", "readmitted")
            case "owner":
                public = form.get("public") == "yes"
                await services.nodes.show_owner(operator, node_id, public=public)
                return _done(f"/nodes/{node_id}", "owner")
            case "plan":
                node = await services.nodes.find(node_id)
                await services.plans.publish(operator, node, _read_plan(form))
                return _done(f"/nodes/{node_id}", "planned")
    except (InvalidInput, UnknownObject) as error:
        given = form.get("plan")
        return await _node_page(
            request, services, pages, session, node_id, problem=str(error), given=given
        )
    raise UnknownObject(f"Nothing is done at {deed!r}.")


@get("/interrupts", include_in_schema=False)
async def show_interrupts(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed
) -> Page:
    """Show what was sent, and who acknowledged it."""
    return await _interrupts_page(request, services, pages, session, Form({}), "")


@post("/interrupts", status_code=HTTPStatus.OK, include_in_schema=False)
async def send_interrupt(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed, form: Sent
) -> Response[Any]:
    """Send an interrupt."""
    body = {name: form.get(name) for name in ("name", "reason", "ra_deg", "dec_deg", "mag")}
    body["expires_hours"] = form.get("expires_hours")
    node_ids = form.get("node_ids").replace(",", " ").split()
    try:
        await services.interrupts.send(session.operator, body | {"node_ids": node_ids or None})
    except InvalidInput as error:
        return await _interrupts_page(request, services, pages, session, form, str(error))
    return _done("/interrupts", "sent")


@get("/review", include_in_schema=False)
async def show_review(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed
) -> Page:
    """Show the disputed points that nobody has judged."""
    after_id = _number(request.query_params.get("after", "0") or "0")
    queue = await services.reviews.queue(session.operator, after_id)
    return OperatorPage(request, session, pages).show(
        "review", queue=queue, after_id=after_id, draw=draw
    )


@get("/review/{number:str}", include_in_schema=False)
async def show_case(
    request: CloudRequest,
    services: Offered,
    pages: Pages,
    session: Signed,
    number: FromPath[str],
) -> Page:
    """Show one point, judged or not."""
    case = await services.reviews.find(session.operator, _number(number))
    return OperatorPage(request, session, pages).show("case", case=case, draw=draw, given="")


@post("/review/{number:str}", status_code=HTTPStatus.OK, include_in_schema=False)
async def judge_case(
    request: CloudRequest,
    services: Offered,
    pages: Pages,
    session: Signed,
    form: Sent,
    number: FromPath[str],
) -> Response[Any]:
    """Accept or reject a point."""
    body = {"verdict": form.get("verdict"), "reason": form.get("reason")}
    try:
        case = await services.reviews.judge(session.operator, _number(number), body)
    except InvalidInput as error:
        case = await services.reviews.find(session.operator, _number(number))
        page = OperatorPage(request, session, pages)
        return page.show("case", str(error), case=case, draw=draw, given=form.get("reason"))
    return _done("/review", str(case.point.review))


@get("/codes", include_in_schema=False)
async def show_codes(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed
) -> Page:
    """Show which nodes may join, and the codes that let them."""
    return await _codes_page(request, services, pages, session)


@post("/codes", status_code=HTTPStatus.OK, include_in_schema=False)
async def create_codes(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed, form: Sent
) -> Page:
    """Make codes, and show them to be copied."""
    order = {name: form.get(name) for name in ("count", "note", "days")}
    try:
        made = await services.admission.create_codes(session.operator, order)
    except InvalidInput as error:
        return await _codes_page(request, services, pages, session, problem=str(error))
    return await _codes_page(request, services, pages, session, made=[one.code for one in made])


@post("/codes/withdraw", status_code=HTTPStatus.OK, include_in_schema=False)
async def withdraw_code(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed, form: Sent
) -> Response[Any]:
    """Withdraw a code."""
    work = services.admission.withdraw_code(session.operator, form.get("code"))
    if problem := await _try(work):
        return await _codes_page(request, services, pages, session, problem=problem)
    return _done("/codes", "withdrawn")


@post("/registration", status_code=HTTPStatus.OK, include_in_schema=False)
async def set_registration(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed, form: Sent
) -> Response[Any]:
    """Decide which nodes may join."""
    work = services.admission.set_policy(session.operator, form.get("policy"))
    if problem := await _try(work):
        return await _codes_page(request, services, pages, session, problem=problem)
    return _done("/codes", "policy")


@get("/tokens", include_in_schema=False)
async def show_tokens(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed
) -> Page:
    """Show the operators' tokens."""
    return await _tokens_page(request, services, pages, session)


@post("/tokens", status_code=HTTPStatus.OK, include_in_schema=False)
async def create_token(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed, form: Sent
) -> Page:
    """Make a token, and show it this once."""
    try:
        made = await services.operators.create_token(
            session.operator, form.get("name"), form.get("role")
        )
    except InvalidInput as error:
        return await _tokens_page(request, services, pages, session, problem=str(error))
    return await _tokens_page(request, services, pages, session, made=made)


@post("/tokens/revoke", status_code=HTTPStatus.OK, include_in_schema=False)
async def revoke_token(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed, form: Sent
) -> Response[Any]:
    """Revoke a token."""
    work = services.operators.revoke_token(session.operator, form.get("name"))
    if problem := await _try(work):
        return await _tokens_page(request, services, pages, session, problem=problem)
    return _done("/tokens", "token-revoked")


@get("/audit", include_in_schema=False)
async def show_audit(
    request: CloudRequest, services: Offered, pages: Pages, session: Signed
) -> Page:
    """Show what operators did."""
    before_id = _number(request.query_params.get("before", "0") or "0") or None
    deeds = await services.operators.list_deeds(session.operator, DEEDS_SHOWN, before_id)
    return OperatorPage(request, session, pages).show(
        "audit", deeds=deeds, now=services.control_room.now(), more=len(deeds) == DEEDS_SHOWN
    )


async def _node_page(
    request: CloudRequest,
    services: Services,
    pages: PageRenderer,
    session: Session,
    node_id: str,
    *,
    problem: str = "",
    given: str = "",
) -> Page:
    file = await services.control_room.open_file(session.operator, node_id)
    page = OperatorPage(request, session, pages)
    return page.show("node", problem, file=file, given=given, thumbnail_path=thumbnail_path)


async def _interrupts_page(
    request: CloudRequest,
    services: Services,
    pages: PageRenderer,
    session: Session,
    given: Form,
    problem: str,
) -> Page:
    sent = await services.interrupts.list_sent(session.operator)
    return OperatorPage(request, session, pages).show(
        "interrupts",
        problem,
        sent=sent,
        now=services.control_room.now(),
        given=given,
        expires_hours=DEFAULT_EXPIRES_HOURS,
    )


async def _codes_page(
    request: CloudRequest,
    services: Services,
    pages: PageRenderer,
    session: Session,
    *,
    problem: str = "",
    made: list[str] | None = None,
) -> Page:
    codes = await services.admission.list_codes(session.operator)
    return OperatorPage(request, session, pages).show(
        "codes",
        problem,
        codes=codes,
        made=made or [],
        policy=await services.admission.policy(session.operator),
        policies=list(Policy),
        days=DEFAULT_DAYS,
        now=services.control_room.now(),
    )


async def _tokens_page(
    request: CloudRequest,
    services: Services,
    pages: PageRenderer,
    session: Session,
    *,
    problem: str = "",
    made: str = "",
) -> Page:
    tokens = await services.operators.list_tokens(session.operator)
    return OperatorPage(request, session, pages).show(
        "tokens",
        problem,
        tokens=tokens,
        made=made,
        roles=list(Role),
        now=services.control_room.now(),
    )


async def _try(work: Awaitable[Any]) -> str:
    """Do something; return why it was refused, or nothing where it was not."""
    try:
        await work
    except (InvalidInput, UnknownObject) as error:
        return str(error)
    return ""


def _sign_in_page(pages: PageRenderer, back: str, problem: str) -> Page:
    status = HTTPStatus.UNAUTHORIZED if problem else HTTPStatus.OK
    return pages.respond(
        "operate/sign_in.html", status, back=_safe_path(back), problem=problem, done=""
    )


def _cookie(request: CloudRequest, secret: str, lasts_s: int) -> Cookie:
    told_https = request.headers.get("origin", "").startswith("https:")
    return Cookie(
        key=COOKIE,
        value=secret,
        max_age=lasts_s,
        path=ROOT,
        httponly=True,
        samesite="strict",
        secure=told_https or is_https(request.scope),
    )


def _safe_path(back: str) -> str:
    """Return a page of ours to go to; whatever else was asked for is the overview."""
    ours = back.startswith(ROOT + "/") and back.isascii() and back.isprintable()
    return quote(back, safe="/") if ours and back != SIGN_IN else ROOT


def _done(path: str, word: str) -> Redirect:
    return _go(f"{ROOT}{quote(path)}?done={word}")


def _go(path: str, *cookies: Cookie) -> Redirect:
    return Redirect(path, status_code=303, cookies=cookies)  # a POST is followed by a GET


def _read_plan(form: Form) -> Any:
    text = form.get("file") or form.get("plan")
    if not text:
        raise InvalidInput("The plan is missing. Paste it, or choose its file.")
    return parse_json(text.encode())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS):
        raise UnknownObject(f"There is no measurement {json.dumps(text)}.")
    return int(text)


PAGES: list[HTTPRouteHandler] = [
    show_sign_in,
    sign_in,
    sign_out,
    show_overview,
    show_nodes,
    show_node,
    show_plan,
    change_node,
    show_interrupts,
    send_interrupt,
    show_review,
    show_case,
    judge_case,
    show_codes,
    create_codes,
    withdraw_code,
    set_registration,
    show_tokens,
    create_token,
    revoke_token,
    show_audit,
]
"""The operator's pages; each takes a ``session``, and each that changes something its ``form``."""

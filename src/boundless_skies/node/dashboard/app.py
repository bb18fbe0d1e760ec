"""The dashboard's web application."""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from litestar import Litestar, MediaType, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect, ServerSentEvent
from litestar.types import ASGIApp

from boundless_skies.node.dashboard import night_pages, settings_pages, sky_pages
from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.dashboard.gate import SIGN_IN_PATH, Gate
from boundless_skies.node.dashboard.pulse import Pulse
from boundless_skies.node.dashboard.rendering import Assets, Renderer
from boundless_skies.node.dashboard.shell import NodeRequest, Page, Shell, go_to, visit_of
from boundless_skies.node.dashboard.sky_view import Sky
from boundless_skies.node.dashboard.visits import Attempts, Password, Sessions
from boundless_skies.node.errors import NodeError

log = logging.getLogger(__name__)

FOR_GOOD = "public, max-age=31536000, immutable"


@get("/static/{name:str}", sync_to_thread=False)
def send_asset(assets: NamedDependency[Assets], name: FromPath[str]) -> Response[bytes]:
    """Send a file that pages load; its address changes with its content."""
    asset = assets.find(name)
    if asset is None:
        return Response(b"", status_code=HTTPStatus.NOT_FOUND)
    headers = {"cache-control": FOR_GOOD}
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@get("/events")
async def send_changes(shell: NamedDependency[Shell]) -> Response[Any]:
    """Tell a page of each change for as long as it listens."""
    if shell.pulse.is_full:
        return Response(b"", status_code=HTTPStatus.SERVICE_UNAVAILABLE)
    return ServerSentEvent(shell.pulse.changes())


@get(SIGN_IN_PATH)
async def show_sign_in(
    request: NodeRequest, shell: NamedDependency[Shell]
) -> Response[str] | Redirect:
    """Ask for the password."""
    if visit_of(request).signed_in:
        return go_to("/")
    return shell.show(request, "sign_in.html")


@post(SIGN_IN_PATH)
async def sign_in(
    request: NodeRequest, shell: NamedDependency[Shell], gate: NamedDependency[Gate]
) -> Response[str] | Redirect:
    """Let in whoever knows the password."""
    return await asyncio.to_thread(_sign_in, request, shell, gate)


def _sign_in(request: NodeRequest, shell: Shell, gate: Gate) -> Response[str] | Redirect:
    visit = visit_of(request)
    wait_s = shell.attempts.wait_s(visit.address)
    if wait_s:
        sentence = f"Too many wrong passwords. Try again in {max(1, round(wait_s))} seconds."
        return shell.show(
            request, "sign_in.html", problem=sentence, status=HTTPStatus.TOO_MANY_REQUESTS
        )
    if not shell.password.fits(visit.form.get("password")):
        shell.attempts.failed(visit.address)
        log.warning("A wrong password was given to the dashboard from %s.", visit.address)
        sentence = "That is not the password. It stands in the config, under dashboard.password."
        return shell.show(request, "sign_in.html", problem=sentence, status=HTTPStatus.UNAUTHORIZED)
    answer = go_to("/")
    answer.headers["set-cookie"] = gate.cookie_header(shell.sessions.sign_in()).decode()
    return answer


@post("/sign-out", sync_to_thread=False)
def sign_out(request: NodeRequest, shell: NamedDependency[Shell]) -> Redirect:
    """End the session."""
    shell.sessions.sign_out(visit_of(request).session)
    return go_to(SIGN_IN_PATH)


def make_app(desk: Desk, host: str, port: int, password: Password) -> tuple[ASGIApp, Pulse]:
    """Return the application, and what ends its open streams."""
    sessions, pulse, assets = Sessions(desk.clock.monotonic), Pulse(desk), Assets()
    shell = Shell(
        desk=desk,
        renderer=Renderer(assets),
        pulse=pulse,
        sessions=sessions,
        attempts=Attempts(desk.clock.monotonic),
        password=password,
    )
    app = Litestar(
        route_handlers=_handlers(),
        dependencies={
            "shell": _given(shell),
            "assets": _given(assets),
            "sky": _given(Sky(desk)),
            "gate": Provide(lambda: gate, sync_to_thread=False),
        },
        exception_handlers={
            HTTPException: lambda request, error: _show_error(
                shell, request, HTTPStatus(error.status_code), ""
            ),
            NodeError: lambda request, error: _show_error(
                shell, request, HTTPStatus.SERVICE_UNAVAILABLE, str(error)
            ),
            Exception: lambda request, error: _show_fault(shell, request, error),
        },
        openapi_config=None,
        logging_config=None,
    )
    gate = Gate(app, sessions=sessions, host=host, port=port, guarded=bool(password))
    return gate, pulse


# Litestar wraps a handler twice that asks for a thread and shares its path with another method:
# those that do so go into the thread by themselves.
def _handlers() -> Sequence[HTTPRouteHandler]:
    return [
        send_asset,
        send_changes,
        show_sign_in,
        sign_in,
        sign_out,
        *night_pages.HANDLERS,
        *sky_pages.HANDLERS,
        *settings_pages.HANDLERS,
    ]


def _given(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _show_fault(shell: Shell, request: NodeRequest, error: Exception) -> Page:
    log.error("The dashboard failed to serve %s.", request.url.path, exc_info=error)
    return _show_error(shell, request, HTTPStatus.INTERNAL_SERVER_ERROR, "")


def _show_error(shell: Shell, request: NodeRequest, status: HTTPStatus, sentence: str) -> Page:
    sentences = {
        HTTPStatus.NOT_FOUND: "There is no such page.",
        HTTPStatus.INTERNAL_SERVER_ERROR: "That went wrong here; the log says what happened.",
    }
    told = sentence or sentences.get(status, "That cannot be done here.")
    try:
        return shell.show(request, "error.html", status=status, sentence=told, code=int(status))
    except KeyError:  # what the gate did not let in has no session to render for
        return Response(told, status_code=status, media_type=MediaType.TEXT)

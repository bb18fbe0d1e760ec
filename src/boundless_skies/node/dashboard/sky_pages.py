"""The sky's page, its picture and its sound; the link's page; the log's page."""

from http import HTTPStatus

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from boundless_skies.node.dashboard.link_view import BOOKS, link_view, replay
from boundless_skies.node.dashboard.shell import NodeRequest, Page, Shell, go_to, visit_of
from boundless_skies.node.dashboard.sky_view import Sky


@get("/sky", sync_to_thread=True)
def show_sky(
    request: NodeRequest, shell: NamedDependency[Shell], sky: NamedDependency[Sky]
) -> Page:
    """Show the last frame, the last measurements and the light curve."""
    return shell.show(request, "sky.html", view=sky.view())


@get("/sky/frame.png", sync_to_thread=True)
def send_picture(sky: NamedDependency[Sky]) -> Response[bytes]:
    """Send the last frame as a picture."""
    picture = sky.picture()
    return _sent(picture.png if picture else None, "image/png")


@get("/sky/curve.wav", sync_to_thread=True)
def send_sound(sky: NamedDependency[Sky]) -> Response[bytes]:
    """Send the light curve to listen to."""
    return _sent(sky.sound(), "audio/wav")


@get("/link", sync_to_thread=True)
def show_link(request: NodeRequest, shell: NamedDependency[Shell]) -> Page:
    """Show how the link to the cloud does."""
    return shell.show(request, "link.html", view=link_view(shell.desk))


@post("/link/replay", sync_to_thread=True)
def bring_back(request: NodeRequest, shell: NamedDependency[Shell]) -> Response[str] | Redirect:
    """Bring measurements that left the queue back into it."""
    name = visit_of(request).form.get("book")
    problem = _replayed(shell, name) if name in BOOKS else "There is nothing of that name."
    if problem:
        return shell.show(
            request,
            "link.html",
            problem=problem,
            status=HTTPStatus.CONFLICT,
            view=link_view(shell.desk),
        )
    return go_to("/link?done=replayed")


@get("/log", sync_to_thread=True)
def show_log(request: NodeRequest, shell: NamedDependency[Shell]) -> Page:
    """Show the last lines of the log."""
    return shell.show(request, "log.html", lines=shell.desk.log.lines(), now=shell.desk.now())


def _replayed(shell: Shell, name: str) -> str:
    try:
        back, wanted = replay(shell.desk.folder, name)
    except OSError as error:
        return f"The queue cannot be written: {error.strerror or error}. Nothing is lost."
    if back < wanted:
        return (
            f"{back} of {wanted} are back in the queue, which is full now. Do it again after the "
            "node has delivered some."
        )
    return ""


def _sent(content: bytes | None, media_type: str) -> Response[bytes]:
    if content is None:
        return Response(b"", status_code=HTTPStatus.NOT_FOUND)
    return Response(content, media_type=media_type)


HANDLERS: list[HTTPRouteHandler] = [
    show_sky,
    send_picture,
    send_sound,
    show_link,
    bring_back,
    show_log,
]

"""What calls and pages share of HTTP."""

import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote

from litestar import Request
from litestar.datastructures import State
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from boundless_skies.cloud.peers import is_https

CloudRequest: TypeAlias = Request[Any, Any, State]

_PATH_PARAMETER = re.compile(r"\{\w+\}")

API_ROOT = "/api"
# 'unsafe-inline' is for styles alone: the plotting library sets them on what it draws.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
EVERYWHERE = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cache-control": b"no-store",
}
"""Headers of every answer that does not set them itself."""
_EVERYWHERE_ITEMS = list(EVERYWHERE.items())
OVER_TLS = (b"strict-transport-security", b"max-age=31536000")
"""Where the client speaks TLS: it shall never be led back to plain HTTP."""
EXCHANGE = "boundless.exchange"
"""Under which of a scope's extensions the server offers an `Exchange`."""


class Exchange(Protocol):
    """A request and its answer in one piece each, past the messages that streams need.

    ``status`` is that of the answer, None until there is one; ``marks`` are lines of
    headers that it gets besides.
    """

    status: int | None
    marks: bytes

    def take_body(self) -> bytes | None:
        """Return the request's body, and forget it; None where it has not come whole."""

    async def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Send an answer: its headers' lines, with all that they need, and its body."""


class SecureHeaders:
    """Wraps the application so that every answer carries the security headers.

    Parameters
    ----------
    app : ASGIApp
        The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":  # no other message has headers
                message["headers"] = secured(list(message["headers"]), is_https(scope))
            await send(message)

        await self._app(scope, receive, send_secured)


def header(request: CloudRequest, name: bytes) -> str | None:
    """Return a header by its name in lower case, None where it is not there.

    A look through the few that there are: the framework's own mapping is built anew for each.
    """
    for key, value in request.scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def exchange_of(scope: Mapping[str, Any]) -> Exchange | None:
    """Return what the server offers for a request in one piece, None where it does not."""
    found: Exchange | None = (scope.get("extensions") or {}).get(EXCHANGE)
    return found


def header_lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return headers as they go over the wire."""
    return b"".join([b"%b: %b\r\n" % item for item in headers])


def is_api_path(path: str) -> bool:
    """Tell whether a path belongs to the calls, where every answer is JSON."""
    return path == API_ROOT or path.startswith(API_ROOT + "/")


def allowed_methods(request: CloudRequest) -> list[str]:
    """Return the methods that a path answers to."""
    path = request.scope["path"].rstrip("/") or "/"
    return sorted(
        str(method)
        for route in request.app.routes
        if isinstance(route, HTTPRoute)
        and re.fullmatch(_PATH_PARAMETER.sub("[^/]+", route.path_format), path)
        for method in route.methods
    )


def rest_of_path(request: CloudRequest, prefix: str) -> str:
    """Return what follows a prefix in the path, decoded once from what was really sent.

    The framework's own path would lose doubled and trailing slashes.
    """
    path = unquote(request.scope["raw_path"].decode("ascii", "replace"))
    return path.removeprefix(prefix)


def secured(headers: list[tuple[bytes, bytes]], over_tls: bool) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers with the security headers that it does not set itself."""
    present = {name.lower(): value for name, value in headers}
    if present.keys().isdisjoint(EVERYWHERE):
        headers += _EVERYWHERE_ITEMS
    else:
        headers += [item for item in _EVERYWHERE_ITEMS if item[0] not in present]
    if present.get(b"content-type", b"").startswith(b"text/html"):
        headers.append((b"content-security-policy", CONTENT_SECURITY_POLICY.encode()))
    if over_tls:
        headers.append(OVER_TLS)
    return headers

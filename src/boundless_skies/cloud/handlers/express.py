"""The calls that every node makes all the time, past the framework's routing.

For a fleet, finding a handler and making its arguments costs the framework more than
what the handlers do. They are the same functions here, found by their exact path;
whatever else is asked goes the usual way.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from inspect import signature
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from boundless_skies.cloud.handlers.context import provide_node
from boundless_skies.cloud.handlers.errors import answer_error
from boundless_skies.cloud.peers import is_https
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.web import CloudRequest, exchange_of, header_lines, secured

ARGUMENTS = frozenset({"request", "services", "node"})
"""What a handler may ask for to be served here."""
JSON = b"application/json"
_JSON_LINES = {
    over_tls: header_lines(secured([(b"content-type", JSON)], over_tls))
    for over_tls in (False, True)
}


class Express:
    """Wraps the application, and serves some of its calls itself.

    Parameters
    ----------
    app : ASGIApp
        The application.
    services : Services
        What the handlers are given.
    calls : iterable of HTTPRouteHandler
        The handlers; each takes of `ARGUMENTS` only, and returns a dict or a response of bytes.

    Raises
    ------
    ValueError
        If a handler asks for anything else.
    """

    def __init__(self, app: ASGIApp, services: Services, calls: Iterable[HTTPRouteHandler]) -> None:
        self._app = app
        self._services = services
        self._calls = {
            (str(method), path): _Call(handler)
            for handler in calls
            for method in handler.http_methods
            for path in handler.paths
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        call = None
        if scope["type"] == ScopeType.HTTP:
            call = self._calls.get((scope["method"], scope["path"]))
        if call is None:
            await self._app(scope, receive, send)
        else:
            await self._serve(call, cast("HTTPScope", scope), receive, send)

    async def _serve(self, call: "_Call", scope: HTTPScope, receive: Receive, send: Send) -> None:
        scope["path_template"] = scope["path"]
        request: CloudRequest = Request(scope, receive, send)
        try:
            node = await provide_node(request, self._services)
            given = {"request": request, "services": self._services, "node": node}
            reply = await call.function(**{name: given[name] for name in call.names})
        except Exception as error:  # noqa: BLE001 - each has its answer, as in the framework
            reply = call.answer(request, error)
        await _send(reply, call.status, scope, send)


class _Call:
    """A handler, and what it asks for."""

    def __init__(self, handler: HTTPRouteHandler) -> None:
        self.function: Callable[..., Any] = handler.fn
        self.names = tuple(signature(handler.fn).parameters)
        if not ARGUMENTS.issuperset(self.names):
            raise ValueError(f"{handler.fn} asks for more than {', '.join(sorted(ARGUMENTS))}")
        self.status: int = handler.status_code
        self._answers = handler.exception_handlers or {}

    def answer(self, request: CloudRequest, error: Exception) -> Response[Any]:
        """Return the answer to an error: the handler's own, or that of all."""
        for kind, answer in self._answers.items():
            if isinstance(kind, type) and isinstance(error, kind):
                return answer(request, error)
        return answer_error(request, error)


async def _send(
    reply: dict[str, Any] | Response[Any], status: int, scope: HTTPScope, send: Send
) -> None:
    headers: list[tuple[bytes, bytes]] = []
    content: Any = reply
    if isinstance(reply, Response):
        status, content = reply.status_code or status, reply.content
        headers = [
            (name.lower().encode("latin-1"), str(value).encode("latin-1"))
            for name, value in reply.headers.items()
        ]
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    exchange, over_tls = exchange_of(scope), is_https(scope)
    if exchange is not None and not headers:
        length = b"content-length: %d\r\n" % len(body)
        await exchange.answer(status, length + _JSON_LINES[over_tls], body)
        return
    if status != HTTPStatus.NOT_MODIFIED:  # which has no body
        headers += [(b"content-length", b"%d" % len(body)), (b"content-type", JSON)]
    headers = secured(headers, over_tls)
    if exchange is not None:
        await exchange.answer(status, header_lines(headers), body)
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

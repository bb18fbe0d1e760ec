"""What happens around every request: who it is from, its id, its measure, its line in the log."""

import logging
import re
import secrets
from itertools import count
from time import perf_counter
from typing import Any, cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from boundless_skies.cloud.logs import ACCESS, request_id
from boundless_skies.cloud.peers import Networks, client_address, see_through_proxies, trust_in
from boundless_skies.cloud.services.metrics import Meters
from boundless_skies.cloud.web import exchange_of, header_lines

REQUEST_ID = b"x-request-id"
HUNG_UP = 499
"""The status that is noted where the client went away before there was an answer."""
NO_ROUTE = "none"

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")

# Of this process alone, and cheaper than a random number for each request.
_OWN_IDS = secrets.token_hex(4).encode() + b"-%08x"
_numbers = count(1)

access = logging.getLogger(ACCESS)


class Observed:
    """Wraps the application so that every request is measured and can be found in the log.

    Parameters
    ----------
    app : ASGIApp
        The application.
    meters : Meters
        Measures requests.
    trusted : Networks
        The proxies whose word on the client is believed.
    """

    def __init__(self, app: ASGIApp, meters: Meters, trusted: Networks) -> None:
        self._app = app
        self._meters = meters
        self._is_trusted = trust_in(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == ScopeType.HTTP:
            await self._observe(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _observe(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        see_through_proxies(cast("dict[str, Any]", scope), headers, self._is_trusted)
        own_id = _id_of(headers)
        request_id.set(own_id.decode())
        exchange = exchange_of(scope)
        if exchange is not None:
            exchange.marks = header_lines([(REQUEST_ID, own_id)])
        status = HUNG_UP

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID, own_id)]
            await send(message)

        began_s = perf_counter()
        try:
            await self._app(scope, receive, send_marked)
        finally:
            if exchange is not None and exchange.status is not None:
                status = exchange.status
            self._note(scope, status, perf_counter() - began_s)

    def _note(self, scope: Scope, status: int, took_s: float) -> None:
        route = scope.get("path_template") or NO_ROUTE
        method = str(scope["method"])  # type: ignore[typeddict-item]
        self._meters.note_request(route, method, status, took_s)
        if access.isEnabledFor(logging.INFO):
            path, client = scope["path"], client_address(scope)
            told = {"method": method, "path": path, "status": status, "client": client}
            told["milliseconds"] = round(1_000 * took_s, 1)
            line = f"{client} {method} {path} {status} {1_000 * took_s:.1f} ms"
            access.info("%s", line, extra={"request": told})


def _id_of(headers: dict[bytes, bytes]) -> bytes:
    given = headers.get(REQUEST_ID)
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    return _OWN_IDS % next(_numbers)

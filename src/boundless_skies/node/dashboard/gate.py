"""What every request passes before a page sees it.

The checks stand here, around the whole application, so that no page can forget one: the
address that was asked for, the size of what was sent, who asks, and, for whatever changes
something, that it was sent from a page of ours.
"""

import ipaddress
import socket
from collections.abc import Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from boundless_skies.node.dashboard.visits import Form, Sessions, Visit

FORM_MAX_BYTES = 256 * 1024
FIELDS_MAX = 2_000
TOKEN_FIELD = "token"  # noqa: S105 - a field's name
SIGN_IN_PATH = "/sign-in"
_OPEN_PATHS = ("/static/", SIGN_IN_PATH)
_CHANGING = "POST"
_READING = frozenset({"GET", "HEAD"})

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cache-control": b"no-store",
}


class Refused(Exception):  # noqa: N818 - the request is refused, nothing is wrong
    """A request that goes no further."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def is_loopback(host: str) -> bool:
    """Tell whether only this computer reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def exposure_problem(block: Mapping[str, Any]) -> str:
    """Return why the dashboard must not be served as the config wants it.

    Parameters
    ----------
    block : Mapping
        The config's block ``dashboard``.

    Returns
    -------
    str
        A sentence; empty where nothing stands against it.
    """
    if is_loopback(block["host"]) or block["password"]:
        return ""
    return (
        f"dashboard.host is {block['host']}, which other computers reach, but there is no "
        "dashboard.password: anybody there could steer your telescope. Set a password, or "
        "dashboard.host to 127.0.0.1."
    )


def own_names() -> frozenset[str]:
    """Return the names by which other computers may call this one."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local"})


class Gate:
    """Wraps the application.

    Parameters
    ----------
    app : ASGIApp
        The application.
    sessions : Sessions
        Who is known.
    host : str
        The address that the dashboard listens on.
    port : int
        Its port; cookies are shared by all ports of a computer, so that it stands in the name.
    guarded : bool
        Whether a session must be signed in.
    """

    def __init__(
        self, app: ASGIApp, *, sessions: Sessions, host: str, port: int, guarded: bool
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._guarded = guarded
        self._names = {"localhost"} if is_loopback(host) else {"localhost", *own_names()}
        self.cookie = f"boundless_dashboard_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if str(scope["type"]) != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        found = self._found_session(headers)
        session = found or self._sessions.new()
        secured = self._secured(send, None if found else session)
        try:
            visit = await self._admit(scope, receive, headers, session)
        except Refused as refused:
            await _refuse(secured, refused)
            return
        cast("dict[str, Any]", scope)["visit"] = visit
        await self._app(scope, receive, secured)

    async def _admit(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], session: str
    ) -> Visit:
        self._check_host(headers.get("host", ""))
        method, path = str(scope.get("method", "")), str(scope["path"])
        signed_in = not self._guarded or self._sessions.is_signed_in(session)
        if method != _CHANGING and method not in _READING:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "This address takes no such request.")
        form = Form()
        token = self._sessions.token(session)
        if method == _CHANGING:
            check_same_origin(headers)
            form = await _read_form(headers, receive)
            if form.get(TOKEN_FIELD) != token:
                raise Refused(
                    HTTPStatus.FORBIDDEN,
                    "This form is from another session, or an old one. Open the page again and "
                    "send it from there.",
                )
        if not signed_in and not path.startswith(_OPEN_PATHS):
            _send_to_sign_in(path, method)
        client = scope.get("client") or ("", 0)
        return Visit(session, token, signed_in, str(client[0]), form)

    def _check_host(self, host: str) -> None:
        # A page elsewhere can make its own name mean this computer's address, but no number.
        name = (urlsplit(f"//{host}").hostname or "") if _splits(host) else ""
        if name in self._names or _is_number(name):
            return
        raise Refused(
            HTTPStatus.MISDIRECTED_REQUEST,
            "This dashboard is not called by that name. Open it by its number, such as "
            "http://127.0.0.1:5173.",
        )

    def _found_session(self, headers: Mapping[str, str]) -> str:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        session = morsel.value if morsel else ""
        return session if session and self._sessions.is_ours(session) else ""

    def cookie_header(self, session: str) -> bytes:
        """Return the header's value that gives a browser its session."""
        return f"{self.cookie}={session}; Path=/; HttpOnly; SameSite=Strict".encode()

    def _secured(self, send: Send, new_session: str | None) -> Send:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = {name.lower() for name, _ in headers}
                headers += [item for item in _HEADERS.items() if item[0] not in present]
                if new_session and b"set-cookie" not in present:
                    headers.append((b"set-cookie", self.cookie_header(new_session)))
                message["headers"] = headers
            await send(message)

        return send_secured


def check_same_origin(headers: Mapping[str, str]) -> None:
    """Refuse what another site's page sent, as far as the browser tells."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    foreign = site is not None and site not in {"same-origin", "none"}
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        foreign = True
    if foreign:
        raise Refused(
            HTTPStatus.FORBIDDEN,
            "This form was sent from another site's page, and so does nothing here.",
        )


def _splits(host: str) -> bool:
    try:
        urlsplit(f"//{host}")
    except ValueError:
        return False
    return not set(host) & set("/?#@")


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _send_to_sign_in(path: str, method: str) -> None:
    if method in _READING and path != "/events":
        raise Refused(HTTPStatus.SEE_OTHER, SIGN_IN_PATH)
    raise Refused(HTTPStatus.UNAUTHORIZED, "Sign in first.")


async def _read_form(headers: Mapping[str, str], receive: Receive) -> Form:
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the form from its page.")
    raw = bytearray()
    more = True
    while more:
        message = cast("dict[str, Any]", await receive())
        if message["type"] != "http.request":
            raise Refused(HTTPStatus.BAD_REQUEST, "The form did not arrive whole.")
        raw += message.get("body", b"")
        more = message.get("more_body", False)
        if len(raw) > FORM_MAX_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too large.")
    try:
        fields = parse_qs(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST, "The form cannot be read.") from None
    return Form(fields)


async def _refuse(send: Send, refused: Refused) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    body = refused.sentence.encode()
    if refused.status == HTTPStatus.SEE_OTHER:
        headers, body = [(b"location", refused.sentence.encode())], b""
    headers.append((b"content-length", str(len(body)).encode()))
    # What was sent beyond the limit is not read: the connection cannot serve another request.
    headers.append((b"connection", b"close"))
    await send(
        cast(
            "Message",
            {"type": "http.response.start", "status": int(refused.status), "headers": headers},
        )
    )
    await send(cast("Message", {"type": "http.response.body", "body": body, "more_body": False}))

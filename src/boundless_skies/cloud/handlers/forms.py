"""How a page gets at who is signed in, and at the form that they sent."""

from litestar.di import NamedDependency

from boundless_skies.cloud.domain.errors import NotSignedIn
from boundless_skies.cloud.domain.forms import FORM_MAX_BYTES, Form, parse_form
from boundless_skies.cloud.domain.sessions import COOKIE, CSRF_FIELD, Session, check_same_origin
from boundless_skies.cloud.handlers.body import JSON_DEADLINE_S, stream_bounded
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.web import CloudRequest


async def provide_session(request: CloudRequest, services: NamedDependency[Services]) -> Session:
    """Return who is signed in; anyone else is asked to sign in.

    Raises
    ------
    NotSignedIn
        If nobody is.
    """
    secret = request.cookies.get(COOKIE)
    operator = await services.operators.find_session(secret)
    if operator is None or secret is None:
        raise NotSignedIn("Sign in first.")
    return Session(operator, secret)


async def provide_form(request: CloudRequest, session: NamedDependency[Session]) -> Form:
    """Return the form that was sent, once it is certain that it is this session's own."""
    form = await provide_open_form(request)
    session.check_csrf(form.get(CSRF_FIELD))
    return form


async def provide_open_form(request: CloudRequest) -> Form:
    """Return the form that was sent from a page of ours, by whomever."""
    check_same_origin(request.headers)
    pieces = [piece async for piece in stream_bounded(request, FORM_MAX_BYTES, JSON_DEADLINE_S)]
    return parse_form(request.headers.get("content-type", ""), b"".join(pieces))

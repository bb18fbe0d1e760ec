"""Every error below ``/api`` as JSON with the right status."""

import logging
from http import HTTPStatus
from typing import Any

from litestar import Response
from litestar.exceptions import ClientException, HTTPException

from boundless_skies.cloud.domain import errors
from boundless_skies.cloud.logs import request_id
from boundless_skies.cloud.web import CloudRequest, allowed_methods

STATUS: dict[type[Exception], HTTPStatus] = {
    errors.NameTaken: HTTPStatus.CONFLICT,
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.InvalidCredentials: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.UnknownObject: HTTPStatus.NOT_FOUND,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedForm: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
SENTENCES = {
    HTTPStatus.NOT_FOUND: "There is nothing at {path}. /docs lists every call.",
    HTTPStatus.METHOD_NOT_ALLOWED: "{path} does not answer to {method}. /docs lists every call.",
}

logger = logging.getLogger(__name__)


def status_of(error: Exception) -> HTTPStatus:
    """Return the HTTP status that an error is answered with."""
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code)
    return next(
        (status for kind, status in STATUS.items() if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def answer_error(request: CloudRequest, error: Exception) -> Response[Any]:
    """Answer an error with ``{"error": …}``."""
    status = status_of(error)
    content = {"error": describe(request, error, status)}
    if isinstance(error, errors.KeyRevoked):
        content["reason"] = "revoked"
    return Response(
        content,
        status_code=status,
        headers=_headers(request, error, status),
    )


def answer_refused_measurement(request: CloudRequest, error: errors.Refusal) -> Response[Any]:
    """Answer a refused measurement with ``{"ok": false, "error": …}``."""
    status = status_of(error)
    content = {"ok": False, "error": describe(request, error, status)}
    if status == HTTPStatus.UNAUTHORIZED:
        return answer_error(request, error)
    return Response(content, status_code=status)


def describe(request: CloudRequest, error: Exception, status: HTTPStatus) -> str:
    """Return the sentence that tells an error; what went wrong inside goes to the log only."""
    path = request.scope["path"]
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("failed at %s %s", request.method, path, exc_info=error)
        incident = request_id.get()
        return f"The cloud failed on this request. Its log has the details: request {incident}."
    if status in SENTENCES and isinstance(error, HTTPException):
        return SENTENCES[status].format(path=path[:200], method=request.method)
    return str(error.detail) if isinstance(error, ClientException) else str(error)


def _headers(request: CloudRequest, error: Exception, status: HTTPStatus) -> dict[str, str]:
    if isinstance(error, errors.Unavailable):
        return {"Retry-After": str(error.retry_after_s)}
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return {"Allow": ", ".join(allowed_methods(request))}
    return {}

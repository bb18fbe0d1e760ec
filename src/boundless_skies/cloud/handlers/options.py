"""Answering which methods a path takes."""

from collections.abc import Iterable

from litestar import Response
from litestar.handlers import HTTPRouteHandler, route

HTTP_NO_CONTENT = 204


def make_options(calls: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Return a handler of OPTIONS for each path of some calls.

    The framework's own would name the methods of one call only, where a path has two.
    """
    methods: dict[str, set[str]] = {}
    for call in calls:
        for path in call.paths:
            methods.setdefault(path, {"OPTIONS"}).update(map(str, call.http_methods))
    return [_tell(path, ", ".join(sorted(taken))) for path, taken in methods.items()]


def _tell(path: str, allowed: str) -> HTTPRouteHandler:
    async def tell_methods() -> Response[None]:
        return Response(None, status_code=HTTP_NO_CONTENT, headers={"Allow": allowed})

    handler: HTTPRouteHandler = route(
        path, http_method=["OPTIONS"], status_code=HTTP_NO_CONTENT, include_in_schema=False
    )(tell_methods)
    return handler

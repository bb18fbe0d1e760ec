"""The API's description, for machines and for people."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from boundless_skies.cloud.pages.renderer import PageRenderer

WHO = {
    "node": "The node's calls",
    "operator": "The operator's calls",
    "public": "Calls that anybody may make",
}


@get("/docs/openapi.json", include_in_schema=False)
async def send_openapi(openapi: NamedDependency[dict[str, Any]]) -> dict[str, Any]:
    """Send the API's description as OpenAPI."""
    return openapi


@get("/docs", include_in_schema=False)
async def show_reference(
    openapi: NamedDependency[dict[str, Any]], pages: NamedDependency[PageRenderer]
) -> Response[str]:
    """Show every call with an example."""
    calls = [
        {"path": path, "method": method, **operation}
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    groups = {
        title: [call for call in calls if call["tags"] == [who]] for who, title in WHO.items()
    }
    return pages.respond("reference.html", groups=groups, schemes=openapi["components"])


REFERENCE: list[HTTPRouteHandler] = [send_openapi, show_reference]
"""The pages about the API."""

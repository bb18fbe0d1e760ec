"""The pages: the network, a target's light curve, and the files they load."""

import asyncio
from http import HTTPStatus
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from boundless_skies.cloud.domain.times import span_text
from boundless_skies.cloud.pages.renderer import PageRenderer
from boundless_skies.cloud.pages.summary import describe_curve, describe_network
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.web import CloudRequest, rest_of_path

TABLE_ROWS_MAX = 500
FOR_GOOD = "public, max-age=31536000, immutable"


@get("/", include_in_schema=False)
async def show_network(
    request: CloudRequest, services: NamedDependency[Services], pages: NamedDependency[PageRenderer]
) -> Response[str]:
    """Show the network: its nodes, its targets, what came in."""
    view = await services.network.overview()
    return pages.respond(
        "network.html",
        view=view,
        sentence=describe_network(view),
        cloud_url=str(request.base_url).rstrip("/"),
        span_text=span_text,
    )


@get("/targets/{name:path}", include_in_schema=False)
async def show_target(
    request: CloudRequest,
    services: NamedDependency[Services],
    pages: NamedDependency[PageRenderer],
    name: FromPath[str],
) -> Response[str]:
    """Show a target's light curve."""
    del name
    curve = await services.curves.light_curve(rest_of_path(request, "/targets/"))
    if not curve.points:
        return pages.respond("unknown_target.html", HTTPStatus.NOT_FOUND, target=curve.target)
    return pages.respond(
        "target.html",
        curve=curve,
        sentence=describe_curve(curve, services.network.now()),
        rows=curve.points[-TABLE_ROWS_MAX:],
    )


@get("/static/{name:str}", include_in_schema=False)
async def send_asset(
    request: CloudRequest, pages: NamedDependency[PageRenderer], name: FromPath[str]
) -> Response[Any]:
    """Send a file that pages load; with its version in the query it may be kept for good."""
    asset = await asyncio.to_thread(pages.assets.find, name)
    if asset is None:
        return pages.respond_error(HTTPStatus.NOT_FOUND, "")
    packs = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "Cache-Control": FOR_GOOD if "v" in request.query_params else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if packs:
        headers["Content-Encoding"] = "gzip"
    return Response(
        asset.packed if packs else asset.content, media_type=asset.media_type, headers=headers
    )


@get("/favicon.ico", include_in_schema=False)
async def send_icon(pages: NamedDependency[PageRenderer]) -> Response[bytes]:
    """Send the icon to browsers that ask for it by its old name."""
    icon = pages.assets.find("mark.svg")
    return Response(icon.content if icon else b"", media_type="image/svg+xml")


PAGES: list[HTTPRouteHandler] = [show_network, show_target, send_asset, send_icon]
"""The pages."""

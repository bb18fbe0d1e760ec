"""The pages: the network, a target's light curve, and the files they load."""

import asyncio
import re
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import clean_text
from boundless_skies.cloud.domain.times import span_text
from boundless_skies.cloud.domain.validation import Review, Status
from boundless_skies.cloud.pages.renderer import PageRenderer, target_url
from boundless_skies.cloud.pages.summary import (
    describe_curve,
    describe_found,
    describe_network,
    describe_point,
    describe_validation,
)
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.curves import LightCurve, sexagesimal, thumbnail_path
from boundless_skies.cloud.web import CloudRequest, rest_of_path

TABLE_ROWS_MAX = 500
_NUMBER = re.compile(r"[0-9]{1,18}")
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
    name = rest_of_path(request, "/targets/")
    whole = await services.curves.light_curve(name, Selection(with_rejected=True))
    points = [point for point in whole.points if point.review != Review.REJECTED]
    if not points:
        return await _show_unmeasured(services, pages, whole)
    curve = replace(whole, points=points)
    return pages.respond(
        "target.html",
        curve=curve,
        sentence=describe_curve(curve, services.network.now()),
        rows=points[-TABLE_ROWS_MAX:],
        position=sexagesimal(curve.known),
        rejected=len(whole.points) - len(points),
        outliers=sum(point.validation == Status.OUTLIER for point in points),
    )


@get("/measurements/{measurement_id:str}", include_in_schema=False)
async def show_measurement(
    services: NamedDependency[Services],
    pages: NamedDependency[PageRenderer],
    measurement_id: FromPath[str],
) -> Response[str]:
    """Show a measurement and how it came about."""
    number = int(measurement_id) if _NUMBER.fullmatch(measurement_id) else 0
    history = await services.curves.history(number)
    return pages.respond(
        "measurement.html",
        history=history,
        sentence=describe_point(history, services.network.now()),
        validation=describe_validation(history),
        window=span_text(history.window_d),
        thumbnail=thumbnail_path(history.frame.sha256) if history.frame else "",
    )


@get("/search", include_in_schema=False)
async def show_search(
    request: CloudRequest, services: NamedDependency[Services], pages: NamedDependency[PageRenderer]
) -> Response[Any]:
    """Show what a name or a place may mean; a sure answer leads to its target at once."""
    text = clean_text(request.query_params.get("q", ""))
    if not text:
        return _respond_search(pages, "")
    try:
        found = await services.targets.search(text)
    except InvalidInput as error:
        return _respond_search(pages, text, HTTPStatus.BAD_REQUEST, problem=str(error))
    if len(found.candidates) == 1 and not found.is_guess and found.place is None:
        return Redirect(target_url(found.candidates[0].target.name), status_code=303)
    sentence = describe_found(found)
    return _respond_search(pages, text, found=found, sentence=sentence)


def _respond_search(
    pages: PageRenderer, text: str, status: HTTPStatus = HTTPStatus.OK, **told: Any
) -> Response[str]:
    usual = {"found": None, "problem": "", "sentence": "", "sexagesimal": sexagesimal}
    return pages.respond("search.html", status, **usual | told, sought=text)


async def _show_unmeasured(
    services: Services, pages: PageRenderer, curve: LightCurve
) -> Response[str]:
    """Say that nothing is held, with what is known all the same, and what may be meant."""
    try:
        found = await services.targets.search(curve.target)
    except InvalidInput:  # too long a name, or coordinates that are none
        candidates, is_guess = [], True
    else:
        candidates, is_guess = found.candidates, found.is_guess or found.place is not None
    star = None if is_guess else candidates[0]
    return pages.respond(
        "unknown_target.html",
        HTTPStatus.NOT_FOUND,
        target=curve.target,
        star=star,
        similar=[one for one in candidates if one is not star],
        sexagesimal=sexagesimal,
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


PAGES: list[HTTPRouteHandler] = [
    show_network,
    show_target,
    show_measurement,
    show_search,
    send_asset,
    send_icon,
]
"""The pages."""

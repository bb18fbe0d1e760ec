"""The calls that give the science: light curves, where their points come from, targets."""

import asyncio
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from boundless_skies.cloud.domain.curves import (
    CurveForm,
    read_folding,
    read_form,
    read_selection,
)
from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.domain.reading import finite_number, shown
from boundless_skies.cloud.handlers.described import POINT_EXAMPLE, PUBLIC, described
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.curves import (
    describe_history,
    encode_curve,
)
from boundless_skies.cloud.services.targets import DEFAULT_RADIUS_ARCMIN, Found, describe_candidate
from boundless_skies.cloud.web import CloudRequest, rest_of_path
from boundless_skies.wire import paths

MEASUREMENT = f"{paths.MEASUREMENTS}/{{measurement_id:str}}"
NEGOTIATED = {form.media_type: form for form in (CurveForm.JSON, CurveForm.CSV, CurveForm.VOTABLE)}
"""Forms that an ``Accept`` header can ask for."""
THREAD_FROM_POINTS = 2_000
"""Fewer are written faster than a thread is found for them."""
NUMBER_MAX_DIGITS = 18


@get(
    f"{paths.LIGHTCURVES}/{{name:path}}",
    opt=described(
        reply={"target": "SS Cyg", "n": 1, "points": [POINT_EXAMPLE]},
        who=PUBLIC,
        query={
            "days": "Only the points of the last so many days.",
            "from": "Only the points from this time on (BJD_TDB, days).",
            "to": "Only the points up to this time (BJD_TDB, days).",
            "filter": "Only this filter.",
            "node": "Only this node.",
            "rejected": "1 for what an astronomer has rejected, too.",
            "fold": "1 adds each point's phase.",
            "period_d": "Fold on this period (days) instead of the target's own.",
            "epoch_bjd": "Where phase 0 is (BJD_TDB, days).",
            "format": "json, csv, votable or aavso; without it, as Accept asks.",
            "obscode": "With format=aavso: the code that the AAVSO gave you.",
        },
    ),
)
async def show_light_curve(
    request: CloudRequest, services: NamedDependency[Services], name: FromPath[str]
) -> Response[bytes]:
    """Return a target's light curve, by any of its names.

    The newest revision of each point is given, at most the newest 100,000 points;
    a target that nobody has measured has none.
    """
    del name
    query = request.query_params
    target = rest_of_path(request, paths.LIGHTCURVES + "/")
    wanted, folding, form = read_selection(query), read_folding(query), _read_form(request)
    if form is not CurveForm.JSON:
        code = query.get("obscode", "")
        content = await services.curves.export(target, wanted, form, code)
        return _to_file(content, form, target)
    curve = await services.curves.light_curve(target, wanted, folding)
    if len(curve.points) < THREAD_FROM_POINTS:
        content = encode_curve(curve)
    else:
        content = await asyncio.to_thread(encode_curve, curve)
    return Response(content, media_type=form.media_type, headers={"Vary": "Accept"})


@get(
    paths.TARGETS,
    opt=described(
        reply={
            "targets": [
                {
                    "name": "SS Cyg",
                    "points": 214,
                    "nodes": 2,
                    "filters": ["CV", "V"],
                    "first_bjd": 2461000.2,
                    "last_bjd": 2461000.6,
                }
            ]
        },
        who=PUBLIC,
        query={
            "q": "A name, a part of one, or coordinates such as 21:42:42.8 +43:35:10.",
            "radius_arcmin": "How far around coordinates to look; 10 unless given.",
        },
    ),
)
async def list_targets(
    request: CloudRequest, services: NamedDependency[Services]
) -> dict[str, Any]:
    """Return every target with how much is held about it, or those that ``?q=`` may mean.

    Where no name fits, similar ones are returned, and ``is_guess`` is true.
    """
    text = request.query_params.get("q")
    if text is None:
        return {"targets": [asdict(target) for target in await services.network.list_targets()]}
    radius = read_radius(request.query_params.get("radius_arcmin"))
    return describe_found(await services.targets.search(text, radius))


@get(
    MEASUREMENT,
    opt=described(
        reply={"id": 1, "target": "SS Cyg", **POINT_EXAMPLE},
        who=PUBLIC,
    ),
)
async def show_measurement(
    services: NamedDependency[Services], measurement_id: FromPath[str]
) -> dict[str, Any]:
    """Return a measurement and how it came about.

    Its frame's thumbnail, comparison stars and software, its other revisions, what
    the other nodes saw, and what an astronomer decided about it.
    """
    return describe_history(await services.curves.history(read_number(measurement_id)))


def read_radius(text: str | None) -> float:
    """Read a radius of a web address (arcminutes)."""
    if not text:
        return DEFAULT_RADIUS_ARCMIN
    radius = finite_number(text)
    if radius is None:
        raise InvalidInput(f"radius_arcmin must be a number, not {shown(text)}.")
    return radius


def read_number(text: str) -> int:
    """Read a measurement's number out of a path; what is none is unknown."""
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS):
        raise UnknownObject(f"There is no measurement {shown(text)}.")
    return int(text)


def describe_found(found: Found) -> dict[str, Any]:
    """Return what a search found, as JSON has it."""
    return {
        "q": found.text,
        "is_guess": found.is_guess,
        "targets": [describe_candidate(candidate) for candidate in found.candidates],
    }


def _read_form(request: CloudRequest) -> CurveForm:
    text = request.query_params.get("format", "")
    if text:
        return read_form(text)
    best = request.accept.best_match(list(NEGOTIATED), CurveForm.JSON.media_type)
    return NEGOTIATED[best or CurveForm.JSON.media_type]


def _to_file(content: bytes, form: CurveForm, target: str) -> Response[bytes]:
    plain = "".join(char if char.isalnum() and char.isascii() else "_" for char in target[:60])
    named = quote(f"{target[:60]}{form.ending}", safe="")
    headers = {
        "Content-Disposition": (
            f"attachment; filename=\"{plain}{form.ending}\"; filename*=UTF-8''{named}"
        ),
        "Vary": "Accept",
    }
    return Response(content, media_type=form.media_type, headers=headers)


CALLS: list[HTTPRouteHandler] = [list_targets, show_light_curve, show_measurement]
"""The calls that give the science; anybody may make them."""

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
    DAYS,
    WORD_MAX_CHARS,
    CurveForm,
    read_folding,
    read_form,
    read_observer_code,
    read_selection,
)
from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.domain.phase import EPOCH_BJD, PERIOD_D
from boundless_skies.cloud.domain.reading import finite_number, shown
from boundless_skies.cloud.handlers import schemas
from boundless_skies.cloud.handlers.described import POINT_EXAMPLE, PUBLIC, Parameter, described
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.curves import (
    describe_history,
    encode_curve,
)
from boundless_skies.cloud.services.targets import (
    DEFAULT_RADIUS_ARCMIN,
    RADIUS_ARCMIN,
    Found,
    describe_candidate,
)
from boundless_skies.cloud.web import CloudRequest, rest_of_path
from boundless_skies.wire import paths
from boundless_skies.wire.quality_reasons import REASONS

MEASUREMENT = f"{paths.MEASUREMENTS}/{{measurement_id:str}}"
NEGOTIATED = {form.media_type: form for form in (CurveForm.JSON, CurveForm.CSV, CurveForm.VOTABLE)}
"""Forms that an ``Accept`` header can ask for."""
THREAD_FROM_POINTS = 2_000
"""Fewer are written faster than a thread is found for them."""
NUMBER_MAX_DIGITS = 18
NAME = schemas.text()
PATH_NAME = {"type": "string", "minLength": 1}
TIME = schemas.number(EPOCH_BJD)
WORD = {"type": "string", "maxLength": WORD_MAX_CHARS}
FLAG = {"enum": ["1", "0", "true", "false", ""]}
KNOWN_EXAMPLE = {
    "names": ["SS Cyg", "SS Cygni"],
    "ra_deg": 325.67833,
    "dec_deg": 43.58608,
    "position": "21:42:42.80 +43:35:09.9",
    "kind": "UGSS",
    "period_d": None,
    "epoch_bjd": None,
}
STAR_EXAMPLE = {
    "name": "000-BCP-193",
    "ra_deg": 325.61,
    "dec_deg": 43.52,
    "catalogue_mag": 11.1,
    "measured_mag": -8.31,
}
CLOUDS = next(reason for reason in REASONS if reason.name == "clouds")
HISTORY_EXAMPLE = {
    "target": "SS Cyg",
    **POINT_EXAMPLE,
    "quality_flag": "acceptable",
    "fwhm": 3.4,
    "received_at": "2026-03-01T21:31:00Z",
    "sent_by": "Boundless node 0.1.0",
    "provenance": {
        "filter": "V",
        "exposure_s": 30.0,
        "aperture_px": 6.5,
        "aperture": None,
        "zero_point": 21.47,
        "zp_scatter": 0.021,
        "comparison_count": 1,
        "comparison_stars": [STAR_EXAMPLE],
        "check_star": None,
        "catalogue": "Tycho-2",
        "chart": None,
        "software": "Boundless node",
        "software_version": "0.1.0",
        "solver": None,
        "fits_file": "ss_cyg_0001.fits",
        "left_out": [{"name": "V2243 Cyg", "why": "AAVSO VSX: V2243 Cyg (EA)"}],
        "quality_bits": CLOUDS.mask,
        "quality_reasons": [
            {
                "name": CLOUDS.name,
                "meaning": CLOUDS.meaning,
                "found": "0.4 mag less light than in the clear frames",
            }
        ],
    },
    "frame": None,
    "verdict": None,
    "revisions": [
        {
            "id": 1,
            "revision": 1,
            "magnitude": 11.873,
            "uncertainty": 0.014,
            "received_at": "2026-03-01T21:31:00Z",
            "software": "Boundless node 0.1.0",
            "is_newest": True,
        }
    ],
    "window_d": 0.010416667,
    "witnesses": [],
}


@get(
    f"{paths.LIGHTCURVES}/{{name:path}}",
    opt=described(
        reply={"target": "SS Cyg", "n": 1, **KNOWN_EXAMPLE, "points": [POINT_EXAMPLE]},
        reply_schema=schemas.LIGHT_CURVE,
        forms=("text/csv", "application/x-votable+xml", "text/plain"),
        who=PUBLIC,
        path={
            "name": Parameter(text="Any name of the target.", schema=PATH_NAME, example="SS Cyg")
        },
        query={
            "days": Parameter(
                text="Only the points of the last so many days.", schema=schemas.number(DAYS)
            ),
            "from": Parameter(
                text="Only the points from this time on (BJD_TDB, days).", schema=TIME
            ),
            "to": Parameter(text="Only the points up to this time (BJD_TDB, days).", schema=TIME),
            "filter": Parameter(text="Only this filter.", schema=WORD),
            "node": Parameter(text="Only this node.", schema=WORD),
            "rejected": Parameter(text="1 for what an astronomer has rejected, too.", schema=FLAG),
            "fold": Parameter(text="1 adds each point's phase.", schema=FLAG),
            "period_d": Parameter(
                text="Fold on this period (days) instead of the target's own.",
                schema=schemas.number(PERIOD_D),
            ),
            "epoch_bjd": Parameter(
                text="Where phase 0 is (BJD_TDB, days); needs period_d.", schema=TIME
            ),
            "format": Parameter(
                text="json, csv, votable or aavso; without it, as Accept asks.",
                schema={"enum": [str(form) for form in CurveForm]},
            ),
            "obscode": Parameter(
                text="With format=aavso: the code that the AAVSO gave you.",
                schema={"type": "string", "pattern": "^[A-Za-z0-9]{0,5}$"},
            ),
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
    code = read_observer_code(query.get("obscode", ""))
    if form is not CurveForm.JSON:
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
        reply_schema=schemas.TARGETS,
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
            "q": Parameter(
                text="A name, a part of one, or coordinates such as 21:42:42.8 +43:35:10.",
                schema=NAME,
            ),
            "radius_arcmin": Parameter(
                text="How far around coordinates to look; 10 unless given.",
                schema=schemas.number(RADIUS_ARCMIN),
            ),
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
    radius = read_radius(request.query_params.get("radius_arcmin"))
    if text is None:
        return {"targets": [asdict(target) for target in await services.network.list_targets()]}
    return describe_found(await services.targets.search(text, radius))


@get(
    MEASUREMENT,
    opt=described(
        reply=HISTORY_EXAMPLE,
        reply_schema=schemas.HISTORY,
        who=PUBLIC,
        path={
            "measurement_id": Parameter(
                text="Its number.", schema={"type": "integer", "minimum": 1}, example=1
            )
        },
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
    if radius not in RADIUS_ARCMIN:
        limits = RADIUS_ARCMIN.describe("radius_arcmin")
        raise InvalidInput(f"radius_arcmin is {radius:g}, outside of {limits}.")
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

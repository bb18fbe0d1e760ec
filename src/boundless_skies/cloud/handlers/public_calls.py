"""The calls that anybody may make."""

import csv
import io
from dataclasses import asdict, fields
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from boundless_skies import __version__
from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.measurements import Point
from boundless_skies.cloud.domain.reading import finite_number, shown
from boundless_skies.cloud.domain.times import iso
from boundless_skies.cloud.handlers.described import POINT_EXAMPLE, PUBLIC, described
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.network import LightCurve, NetworkView, PublicNode
from boundless_skies.cloud.web import CloudRequest, rest_of_path
from boundless_skies.wire import paths


@get(
    paths.HEALTH,
    opt=described(
        reply={
            "ok": True,
            "status": "ok",
            "version": __version__,
            "server_time": "2026-03-01T21:30:00Z",
        },
        who=PUBLIC,
    ),
)
async def show_health(services: NamedDependency[Services]) -> dict[str, Any]:
    """Tell whether the cloud and its database answer."""
    await services.network.check()
    return {
        "ok": True,
        "status": "ok",
        "version": __version__,
        "server_time": iso(services.network.now()),
    }


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
    ),
)
async def list_targets(services: NamedDependency[Services]) -> dict[str, Any]:
    """Return every target with how much is held about it."""
    return {"targets": [asdict(target) for target in await services.network.list_targets()]}


@get(
    f"{paths.LIGHTCURVES}/{{name:path}}",
    opt=described(
        reply={"target": "SS Cyg", "n": 1, "points": [POINT_EXAMPLE]},
        who=PUBLIC,
        query={
            "days": "Only the points of the last so many days.",
            "format": "csv for a table instead of JSON.",
        },
    ),
)
async def show_light_curve(
    request: CloudRequest, services: NamedDependency[Services], name: FromPath[str]
) -> Response[Any]:
    """Return a target's light curve as JSON, or as CSV with ``?format=csv``.

    ``?days=30`` keeps the points of the last 30 days. The newest revision of
    each point is given; a target that nobody has measured has no points.
    """
    del name
    query = request.query_params
    curve = await services.network.light_curve(
        rest_of_path(request, paths.LIGHTCURVES + "/"), _read_days(query.get("days"))
    )
    if query.get("format", "json") == "csv":
        return _to_csv(curve)
    points = [asdict(point) for point in curve.points]
    return Response({"target": curve.target, "n": len(points), "points": points})


@get(
    paths.NETWORK_STATUS,
    opt=described(
        reply={
            "server_time": "2026-03-01T21:30:00Z",
            "nodes": [
                {
                    "node_id": "hilltop",
                    "latitude": 48.1,
                    "longitude": 11.6,
                    "online": True,
                    "measurements": 214,
                }
            ],
            "counts": {"nodes": 1, "online": 1, "measurements": 214},
        },
        who=PUBLIC,
        query={"after": "Only the nodes that follow this one by name."},
    ),
)
async def show_network(
    request: CloudRequest, services: NamedDependency[Services]
) -> dict[str, Any]:
    """Return the nodes, coordinates to 0.1°, and what came in.

    An owner is named only where they asked for it. At most 1,000 nodes are
    listed, by name; ``?after=NAME`` gives those that follow.
    """
    after = request.query_params.get("after")
    return _describe_network(await services.network.overview(after))


def _read_days(text: str | None) -> float | None:
    if text is None or text == "":
        return None
    days = finite_number(text)
    if days is None:
        raise InvalidInput(f"days must be a number, not {shown(text)}.")
    return days


def _to_csv(curve: LightCurve) -> Response[str]:
    names = [field.name for field in fields(Point)]
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(["bjd_tdb" if name == "bjd" else name for name in names])
    writer.writerows([getattr(point, name) for name in names] for point in curve.points)
    return Response(
        sheet.getvalue(),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="lightcurve.csv"'},
    )


def _describe_network(view: NetworkView) -> dict[str, Any]:
    return {
        "server_time": iso(view.now),
        "nodes": [_describe_node(node) for node in view.nodes],
        "counts": {
            "nodes": view.nodes_in_all,
            "online": view.online,
            "targets": len(view.targets),
            "measurements": view.measurements,
            "measurements_24h": view.measurements_24h,
            "images": view.images,
        },
    }


def _describe_node(node: PublicNode) -> dict[str, Any]:
    entry = asdict(node)
    entry["last_heartbeat"] = iso(entry.pop("last_beat_at"))
    return entry


CALLS: list[HTTPRouteHandler] = [show_health, list_targets, show_light_curve, show_network]
"""The calls that anybody may make."""

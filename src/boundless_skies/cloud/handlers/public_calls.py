"""The calls that anybody may make."""

from dataclasses import asdict
from typing import Any

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from boundless_skies import __version__
from boundless_skies.cloud.domain.times import iso
from boundless_skies.cloud.handlers.described import PUBLIC, described
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.network import NetworkView, PublicNode
from boundless_skies.cloud.web import CloudRequest
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
    # PostgreSQL cannot even compare with a NUL.
    after = request.query_params.get("after", "").replace("\x00", "") or None
    return _describe_network(await services.network.overview(after))


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


CALLS: list[HTTPRouteHandler] = [show_health, show_network]
"""The calls that anybody may make."""

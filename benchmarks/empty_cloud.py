"""The stack of our cloud with the same check of a node's key, and nothing behind it."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.factory import Cloud, make_cloud
from boundless_skies.cloud.handlers.context import provide_node, provide_services
from boundless_skies.cloud.serving.listening import BACKLOG
from boundless_skies.cloud.serving.worker import KEEP_ALIVE_S


@post("/api/v1/nothing", status_code=200)
async def nothing(node: NamedDependency[Caller]) -> dict[str, Any]:
    return {"ok": True, "node_id": node.node_id}


def make_app(cloud: Cloud) -> Litestar:
    """Return the application with one call."""

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with cloud.opened():
            yield

    return Litestar(
        route_handlers=[nothing],
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "node": Provide(provide_node),
        },
        lifespan=[lifespan],
        state=State({"services": cloud.services}),
        openapi_config=None,
        logging_config=None,
    )


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"Cloud is up: http://127.0.0.1:{port}", flush=True)


def main(data_dir: Path) -> None:
    """Serve on a free port of loopback until told to stop."""
    app = make_app(make_cloud(CloudConfig(data_dir=data_dir)))
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    options |= {"proxy_headers": False, "timeout_keep_alive": KEEP_ALIVE_S, "backlog": BACKLOG}
    _Server(uvicorn.Config(app, host="127.0.0.1", port=0, **options)).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

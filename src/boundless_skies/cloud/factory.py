"""The one place where things are constructed."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.di import Provide

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.times import Clock, utc_now
from boundless_skies.cloud.handlers import node_calls, operator_calls, public_calls
from boundless_skies.cloud.handlers.context import (
    provide_node,
    provide_operator,
    provide_services,
)
from boundless_skies.cloud.handlers.described import build_openapi
from boundless_skies.cloud.handlers.errors import answer_error, describe, status_of
from boundless_skies.cloud.pages import reference, views
from boundless_skies.cloud.pages.assets import AssetShelf
from boundless_skies.cloud.pages.renderer import PageRenderer
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.images import ImageService
from boundless_skies.cloud.services.interrupts import InterruptService
from boundless_skies.cloud.services.measurements import MeasurementService
from boundless_skies.cloud.services.network import NetworkService
from boundless_skies.cloud.services.nodes import NodeService
from boundless_skies.cloud.services.operator import OperatorService
from boundless_skies.cloud.services.plans import PlanService
from boundless_skies.cloud.storage import folder
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.images import ImageFolder
from boundless_skies.cloud.web import CloudRequest, SecureHeaders, is_api_path


@dataclass(frozen=True)
class Cloud:
    """A cloud that is ready to serve, and what must be closed after it."""

    services: Services
    database: Database
    image_folder: ImageFolder


def open_cloud(config: CloudConfig, clock: Clock = utc_now) -> Cloud:
    """Prepare the data folder, open the database, and make the services.

    Raises
    ------
    UnusableFolder
        If the data folder cannot be written.
    UnusableDatabase
        If the database cannot be opened.
    """
    folder.prepare(config.data_dir)
    if config.database_url is None:
        folder.touch_private(config.database_file)
    database = Database(config.effective_database_url)
    image_folder = ImageFolder(config.images_dir)
    services = Services(
        nodes=NodeService(database, clock),
        measurements=MeasurementService(database, clock),
        plans=PlanService(database, clock),
        interrupts=InterruptService(database, clock),
        images=ImageService(database, image_folder, clock),
        network=NetworkService(database, clock),
        operator=OperatorService(database, config.admin_key),
    )
    return Cloud(services, database, image_folder)


def make_app(cloud: Cloud, announce_key: Callable[[str], None]) -> SecureHeaders:
    """Return the web application of a cloud; it closes the cloud when it ends.

    Parameters
    ----------
    cloud : Cloud
        What it serves.
    announce_key : callable
        Called with the operator's key where it was made just now.
    """

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        cloud.image_folder.clear_partial()
        made_key = await cloud.services.operator.prepare()
        if made_key is not None:
            announce_key(made_key)
        try:
            yield
        finally:
            cloud.database.close()

    renderer = PageRenderer(AssetShelf())
    calls = [*node_calls.CALLS, *operator_calls.CALLS, *public_calls.CALLS]
    openapi = build_openapi(calls)
    app = Litestar(
        route_handlers=[
            *calls,
            *views.PAGES,
            *reference.REFERENCE,
        ],
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "node": Provide(provide_node),
            "operator": Provide(provide_operator),
            "pages": Provide(lambda: renderer, sync_to_thread=False),
            "openapi": Provide(lambda: openapi, sync_to_thread=False),
        },
        exception_handlers={Exception: partial(_answer_error, renderer)},
        lifespan=[lifespan],
        state=State({"services": cloud.services}),
        request_max_body_size=None,
        openapi_config=None,
        logging_config=None,
    )
    return SecureHeaders(app)


def _answer_error(renderer: PageRenderer, request: CloudRequest, error: Exception) -> Response[Any]:
    """Answer an error as JSON below ``/api``, as a page elsewhere."""
    if is_api_path(request.scope["path"]):
        return answer_error(request, error)
    status = status_of(error)
    return renderer.respond_error(status, describe(request, error, status))

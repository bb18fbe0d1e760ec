"""The one place where things are constructed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Self

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.errors import NotSignedIn
from boundless_skies.cloud.domain.times import Clock, utc_now
from boundless_skies.cloud.handlers import (
    access_calls,
    curve_calls,
    image_calls,
    node_calls,
    operations,
    operator_calls,
    public_calls,
)
from boundless_skies.cloud.handlers.context import (
    provide_node,
    provide_operator,
    provide_services,
)
from boundless_skies.cloud.handlers.described import build_openapi
from boundless_skies.cloud.handlers.errors import answer_error, describe, status_of
from boundless_skies.cloud.handlers.express import Express
from boundless_skies.cloud.handlers.forms import provide_form, provide_open_form, provide_session
from boundless_skies.cloud.handlers.options import make_options
from boundless_skies.cloud.observing import Observed
from boundless_skies.cloud.pages import operate, reference, views
from boundless_skies.cloud.pages.assets import AssetShelf
from boundless_skies.cloud.pages.renderer import PageRenderer
from boundless_skies.cloud.services.admission import AdmissionService
from boundless_skies.cloud.services.beats import BeatBook
from boundless_skies.cloud.services.bundle import Services
from boundless_skies.cloud.services.control_room import ControlRoom
from boundless_skies.cloud.services.credentials import CredentialService
from boundless_skies.cloud.services.curves import CurveService
from boundless_skies.cloud.services.images import ImageLimits, ImageService
from boundless_skies.cloud.services.interrupts import InterruptService
from boundless_skies.cloud.services.limits import LimitService
from boundless_skies.cloud.services.measurements import MeasurementService
from boundless_skies.cloud.services.metrics import Meters, MetricsService
from boundless_skies.cloud.services.network import NetworkService
from boundless_skies.cloud.services.nodes import NodeService
from boundless_skies.cloud.services.operators import OperatorService
from boundless_skies.cloud.services.plans import PlanService
from boundless_skies.cloud.services.readiness import ReadinessService
from boundless_skies.cloud.services.reviews import ReviewService
from boundless_skies.cloud.services.settling import SettlingService
from boundless_skies.cloud.services.target_names import TargetNames
from boundless_skies.cloud.services.targets import TargetService
from boundless_skies.cloud.services.thumbnails import ThumbnailMaker
from boundless_skies.cloud.services.upkeep import Upkeep
from boundless_skies.cloud.storage import folder
from boundless_skies.cloud.storage.blobs import BlobStore, open_blob_store
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.opening import make_database
from boundless_skies.cloud.web import CloudRequest, SecureHeaders, is_api_path


@dataclass(frozen=True)
class Cloud:
    """A cloud: what it does, where it keeps it, and what goes on beside the calls."""

    config: CloudConfig
    services: Services
    database: Database
    blobs: BlobStore
    thumbnails: ThumbnailMaker
    upkeep: Upkeep

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Self]:
        """Hold the database and the image store open.

        Raises
        ------
        UnusableDatabase
            If the database cannot be opened.
        """
        await self.database.open()
        try:
            await self.blobs.prepare()
            yield self
        finally:
            await self.thumbnails.close()
            await self.database.close()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Self]:
        """Hold it open, with all that goes on beside the calls."""
        async with self.opened(), self.upkeep.running():
            yield self

    def stop_waiting(self) -> None:
        """Be ready for no new calls, and answer those that wait: the process is about to stop."""
        self.services.readiness.close()
        self.services.interrupts.close()


def make_cloud(config: CloudConfig, clock: Clock = utc_now) -> Cloud:
    """Prepare the data folder and make the services; nothing is opened yet.

    Raises
    ------
    UnusableFolder
        If the data folder cannot be written.
    UnusableDatabase, UnusableStore
        If an address cannot be understood.
    """
    folder.prepare(config.data_dir)
    database = make_database(config.database_url, config.database_file)
    blobs = open_blob_store(config.images_address, config.data_dir, clock)
    thumbnails = ThumbnailMaker()
    services = _make_services(config, database, blobs, thumbnails, clock)
    services.measurements.group.on_group = services.metrics.meters.note_commit
    return Cloud(
        config, services, database, blobs, thumbnails, Upkeep(database, services, config.data_dir)
    )


def _make_services(
    config: CloudConfig,
    database: Database,
    blobs: BlobStore,
    thumbnails: ThumbnailMaker,
    clock: Clock,
) -> Services:
    beats = BeatBook(database, clock)
    names = TargetNames(clock)
    node_service = NodeService(database, beats, clock)
    measurement_service = MeasurementService(database, names, clock)
    limits = ImageLimits(
        size_bytes=config.image_max_bytes,
        quota_bytes=config.image_quota_bytes,
        keep=None if config.keep_images_days is None else timedelta(days=config.keep_images_days),
    )
    return Services(
        beats=beats,
        credentials=CredentialService(database, clock),
        limits=LimitService(config.rates),
        nodes=node_service,
        measurements=measurement_service,
        plans=PlanService(database, clock),
        interrupts=InterruptService(database, clock),
        images=ImageService(database, blobs, thumbnails, limits, clock),
        network=NetworkService(database, beats, clock),
        curves=CurveService(database, clock),
        targets=TargetService(database, names, clock),
        operators=OperatorService(database, config.admin_key, clock),
        admission=AdmissionService(database, clock),
        control_room=ControlRoom(database, beats, node_service, clock),
        reviews=ReviewService(database, clock),
        settling=SettlingService(database, lambda: measurement_service.taken),
        metrics=MetricsService(Meters(), database, clock),
        readiness=ReadinessService(database, blobs),
        target_names=names,
    )


def make_app(cloud: Cloud) -> Observed:
    """Return the web application of a cloud; it opens the cloud, and closes it at its end."""

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with cloud.serving():
            yield

    renderer = PageRenderer(AssetShelf())
    calls = [
        *node_calls.CALLS,
        *operator_calls.CALLS,
        *access_calls.CALLS,
        *public_calls.CALLS,
        *curve_calls.CALLS,
        *image_calls.CALLS,
    ]
    openapi = build_openapi(calls)
    app = Litestar(
        route_handlers=[
            *make_options(calls),
            *calls,
            *views.PAGES,
            *reference.REFERENCE,
            Router(
                operate.ROOT,
                route_handlers=operate.PAGES,
                dependencies={
                    "session": Provide(provide_session),
                    "form": Provide(provide_form),
                    "open_form": Provide(provide_open_form),
                },
                exception_handlers={NotSignedIn: operate.ask_to_sign_in},
            ),
            *operations.CALLS,
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
    meters = cloud.services.metrics.meters
    express = Express(SecureHeaders(app), cloud.services, node_calls.CONSTANT_CALLS)
    return Observed(express, meters, cloud.config.trusted_proxies)


def _answer_error(renderer: PageRenderer, request: CloudRequest, error: Exception) -> Response[Any]:
    """Answer an error as JSON below ``/api``, as a page elsewhere."""
    if is_api_path(request.scope["path"]):
        return answer_error(request, error)
    status = status_of(error)
    return renderer.respond_error(status, describe(request, error, status))

"""The one place where things are constructed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.times import Clock, utc_now
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

"""Builds what runs the schedule on a telescope, from the config."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.clock import Clock
from boundless_skies.node.config import ConfigFileError
from boundless_skies.node.devices.alpaca.connecting import TelescopeSettings, connect_telescope
from boundless_skies.node.devices.alpaca.mount import AlpacaMount
from boundless_skies.node.devices.capabilities import Telescope
from boundless_skies.node.schedule.settings import NightSettings, limits_of, site_of
from boundless_skies.node.services.centring import Centring
from boundless_skies.node.services.focusing import Focusing
from boundless_skies.node.services.night_watch import NightWatch
from boundless_skies.node.services.runner import MARK_NAME, ScheduleRunner
from boundless_skies.node.services.watchdog import Watchdog
from boundless_skies.node.solving.seiza_solver import SeizaSolver
from boundless_skies.node.storage.disk_room import DiskRoom, frames_folder
from boundless_skies.node.storage.schedule import ScheduleStore


def build_night(
    config: dict[str, Any],
    folder: Path,
    store: ScheduleStore,
    clock: Clock,
    *,
    connect: Callable[[], Telescope] | None = None,
    settings: NightSettings | None = None,
) -> NightWatch:
    """Build what runs the schedule on the telescope of the config.

    Parameters
    ----------
    config : dict
        The whole config, with the observatory's place.
    folder : Path
        The data folder.
    store : ScheduleStore
        The schedule.
    clock : Clock
        The time.
    connect : callable, optional
        Returns the telescope; by default that of the config, over the network.
    settings : NightSettings, optional
        How a night is run; by default as the config says.

    Returns
    -------
    NightWatch
        Not yet running, nor connected.
    """
    found = TelescopeSettings.from_config(config["telescope"])
    name = config["observatory"]["telescope"]

    def connect_by_network() -> Telescope:
        return connect_telescope(found, clock, name)

    def make_runner(telescope: Telescope, on_tick: Callable[[], None]) -> ScheduleRunner:
        return build_runner(config, folder, store, telescope, clock, on_tick, settings)

    def make_watchdog(telescope: Telescope) -> Watchdog | None:
        mount = telescope.mount
        if not isinstance(mount, AlpacaMount):
            return None
        return Watchdog(mount.device.server.address, mount.device.device_number, folder, clock)

    return NightWatch(
        connect=connect or connect_by_network,
        make_runner=make_runner,
        make_watchdog=make_watchdog,
        clock=clock,
    )


def build_runner(
    config: dict[str, Any],
    folder: Path,
    store: ScheduleStore,
    telescope: Telescope,
    clock: Clock,
    on_tick: Callable[[], None] = lambda: None,
    settings: NightSettings | None = None,
) -> ScheduleRunner:
    """Build the runner of a telescope.

    Parameters
    ----------
    config : dict
        The whole config, with the observatory's place.
    folder : Path
        The data folder.
    store : ScheduleStore
        The schedule.
    telescope : Telescope
        Connected.
    clock : Clock
        The time.
    on_tick : callable
        Called about once a second while it runs.
    settings : NightSettings, optional
        How a night is run; by default as the config says.

    Returns
    -------
    ScheduleRunner
        Not yet running.
    """
    settings = settings or NightSettings.from_config(config)
    site = site_of(config)
    if site is None:  # check_ready has asked for it
        raise ConfigFileError("observatory.latitude and observatory.longitude are not set.")
    return ScheduleRunner(
        store=store,
        telescope=telescope,
        clock=clock,
        site=site,
        limits=limits_of(config),
        settings=settings,
        frames=frames_folder(config),
        centring=_centring(telescope, settings, folder),
        focusing=_focusing(telescope, settings, folder),
        on_tick=on_tick,
        mark=folder / MARK_NAME,
        lacks_room=DiskRoom.from_config(config, store, clock.now).lacks,
    )


def _centring(telescope: Telescope, settings: NightSettings, folder: Path) -> Centring | None:
    if not settings.centring_tolerance_deg:
        return None
    catalogue = Catalogue.load()
    return Centring(
        telescope=telescope,
        catalogue=catalogue,
        solver=SeizaSolver(catalogue),
        folder=folder,
        exposure_s=settings.centring_exposure_s,
        tolerance_deg=settings.centring_tolerance_deg,
    )


def _focusing(telescope: Telescope, settings: NightSettings, folder: Path) -> Focusing | None:
    if telescope.focuser is None or not settings.focus_every_s:
        return None
    return Focusing(
        focuser=telescope.focuser,
        camera=telescope.camera,
        folder=folder,
        exposure_s=settings.centring_exposure_s,
        step=settings.focus_step,
    )

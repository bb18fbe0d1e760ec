"""What the pages read from and write to: all of it handed in, none of it reached for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from boundless_skies.node.clock import Clock
from boundless_skies.node.dashboard.log_tail import LogTail
from boundless_skies.node.dashboard.skyline import Horizon
from boundless_skies.node.storage.ledger import Ledger
from boundless_skies.node.storage.schedule import ScheduleStore
from boundless_skies.sky import HorizonMask, HorizonMaskError, Site


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The node as its pages see it.

    Attributes
    ----------
    config : Mapping
        The config that the node runs with.
    config_path : Path
        The file that it came from.
    folder : Path
        The data folder.
    store : ScheduleStore
        Plans, interrupts and commands.
    ledger : Ledger
        Frames and measurements.
    status : callable
        What the running node says of itself.
    clock : Clock
        Tells the time.
    moves_telescope : bool
        Whether something carries commands and plans out.
    log : LogTail
        The last lines of the log.
    """

    config: Mapping[str, Any]
    config_path: Path
    folder: Path
    store: ScheduleStore
    ledger: Ledger
    status: Callable[[], Mapping[str, Any]]
    clock: Clock
    moves_telescope: bool
    log: LogTail

    def now(self) -> datetime:
        """Return the present instant, aware."""
        return self.clock.now()

    @property
    def site(self) -> Site | None:
        """Where the telescope stands; None where the config does not say."""
        place = self.config["observatory"]
        if None in (place["latitude"], place["longitude"]):
            return None
        return Site(place["latitude"], place["longitude"], place["elevation"])

    @property
    def limit_deg(self) -> float | None:
        """The least altitude that is observed at, degrees; None where nothing says so."""
        value = (self.config.get("limits") or {}).get("min_altitude")
        return None if value is None else float(value)

    @property
    def horizon(self) -> Horizon:
        """What targets must stand above; a mask that cannot be meant hides nothing here."""
        told = (self.config.get("limits") or {}).get("horizon_mask")
        try:
            mask = HorizonMask.read(told)
        except HorizonMaskError:
            mask = HorizonMask()
        return Horizon(least_deg=self.limit_deg, mask=mask)

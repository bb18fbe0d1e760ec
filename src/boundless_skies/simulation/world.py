"""The simulated world at work: a cloud, its stations, their nights, and what is killed in them."""

import contextlib
import datetime as dt
import multiprocessing
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from boundless_skies.demo.narration import DemoFailure
from boundless_skies.demo.processes import Child, held_signals
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.simulation.accounts import Account, hear_cloud, take_account
from boundless_skies.simulation.dial import Dial
from boundless_skies.simulation.operating import CloudAway, OperatorDesk
from boundless_skies.simulation.planner import PlannerSettings, plan_night
from boundless_skies.simulation.scenario import (
    CONFIG_NAME,
    DIAL_NAME,
    FRAMES_NAME,
    StationPlan,
    evening_of,
    make_stations,
)
from boundless_skies.simulation.stars import SimulatedVariable, simulated_variables
from boundless_skies.simulation.station import read_progress, run_station, station_config
from boundless_skies.simulation.truth import Truth, hold_against_truth

ADMIN_KEY_VARIABLE = "BOUNDLESS_ADMIN_KEY"

_START_LIMIT_S = 90.0
_STOP_LIMIT_S = 15.0
_STANDSTILL_S = 240.0
_LOOK_S = 0.2
_CLOUD_AWAY_S = 3.0
_KILLED_LATER_S = 0.3
_STATION_MODULE = "boundless_skies.simulation.station"


@dataclass(frozen=True, kw_only=True)
class WorldSettings:
    """What a world is to be like.

    Attributes
    ----------
    nodes, nights : int
        How many stations, and how many nights of each.
    seed : int
        Of everything in it.
    speed : float
        At most so many seconds pass in a real one.
    node_kills, cloud_kills : int
        How often a station, and the cloud, is killed (SIGKILL).
    interrupts : int
        How many interrupts are sent to all nodes.
    planner : PlannerSettings
        How plans are made.
    """

    nodes: int
    nights: int
    seed: int
    speed: float
    node_kills: int
    cloud_kills: int
    interrupts: int
    planner: PlannerSettings = field(default_factory=PlannerSettings)


@dataclass
class Standing:
    """How far the world has come.

    Attributes
    ----------
    planned : int
        Exposures planned for all nights.
    frames : int
        Frames on all disks.
    nights_done : int
        Nights that stations have behind them.
    node_kills, cloud_kills, interrupts : int
        What has been killed and sent so far.
    """

    planned: int = 0
    frames: int = 0
    nights_done: int = 0
    node_kills: int = 0
    cloud_kills: int = 0
    interrupts: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a world.

    Attributes
    ----------
    accounts : dict of str to Account
        Those of the stations, by their names.
    truth : Truth
        How near the light curves on the cloud are to the stars.
    """

    accounts: dict[str, Account]
    truth: Truth

    @property
    def balance(self) -> bool:
        """Whether each station's account balances."""
        return all(account.balance for account in self.accounts.values())

    @property
    def total(self) -> Account:
        """All accounts in one."""
        return sum(self.accounts.values(), start=Account())


@dataclass
class _Stand:
    """A station as the world handles it."""

    plan: StationPlan
    folder: Path
    nights: list[list[dict[str, Any]]]
    process: ForkServerProcess | None = None
    node_id: str = ""
    plan_ids: list[str] = field(default_factory=list)
    shown: dt.datetime | None = None
    at_night: bool = False

    def look(self) -> None:
        """See whether its time goes on: it does so only while the telescope is at work."""
        dial = self.folder / DIAL_NAME
        before, self.shown = self.shown, Dial(dial).read() if dial.exists() else None
        self.at_night = self.shown != before

    @property
    def done(self) -> int:
        return read_progress(self.folder)

    def frames(self) -> int:
        return sum(1 for _ in (self.folder / FRAMES_NAME).glob("*.fits"))


class World:
    """Runs a simulated network in a folder; ends every process that it started.

    Parameters
    ----------
    folder : Path
        A fresh folder.
    settings : WorldSettings
        What it is to be like.
    tell : callable, optional
        Told each kill and interrupt, a sentence.
    show : callable, optional
        Told how far the world has come, again and again.
    now : callable, optional
        The present instant, before which all its nights are.
    """

    def __init__(
        self,
        folder: Path,
        settings: WorldSettings,
        *,
        tell: Callable[[str], None] = lambda _: None,
        show: Callable[[Standing], None] = lambda _: None,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.folder = folder
        self.standing = Standing()
        self._settings = settings
        self._tell = tell
        self._show = show
        self._now = now
        self._rng = np.random.default_rng((settings.seed, settings.nodes))
        self._stars = simulated_variables(Catalogue.load())
        self._stands = self._make_stands()
        self._key = secrets.token_urlsafe(24)
        self._cloud: Child | None = None
        self._cloud_back_at_s: float | None = None
        self._url = ""
        self._cues = sorted(self._make_cues(), key=lambda cue: cue[0])
        self._context = multiprocessing.get_context("forkserver")

    def _make_stands(self) -> list[_Stand]:
        settings = self._settings
        plans = make_stations(
            settings.nodes,
            settings.nights,
            seed=settings.seed,
            today=self._now(),
            speed=settings.speed,
        )
        stands = [
            _Stand(plan, self.folder / plan.name, list(self._plans_of(plan))) for plan in plans
        ]
        self.standing.planned = sum(
            item["expCount"] for stand in stands for items in stand.nights for item in items
        )
        return stands

    def _plans_of(self, plan: StationPlan) -> Iterator[list[dict[str, Any]]]:
        rng = np.random.default_rng(plan.seed)
        for night in plan.nights:
            yield plan_night(night, plan.site, self._stars, rng, self._settings.planner)

    def _make_cues(self) -> Iterator[tuple[float, Callable[[], bool]]]:
        """Give what happens at which share of all planned frames; False asks to be asked again."""
        settings = self._settings
        for number in range(settings.cloud_kills):
            yield (number + 1.0) / (settings.cloud_kills + 1.0), self._kill_cloud
        for share in self._rng.uniform(0.02, 0.9, settings.node_kills):
            yield float(share), self._kill_station
        for number in range(settings.interrupts):
            yield (number + 0.4) / settings.interrupts, self._send_interrupt

    # -- its life -----------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every process."""
        with held_signals():
            self._end_stations()
            if self._cloud is not None:
                self._cloud.stop()

    def run(self) -> Outcome:
        """Let all nights pass.

        Returns
        -------
        Outcome
            What became of each station's plans, and how true the light curves are.

        Raises
        ------
        DemoFailure
            If something does not come up, or the world stands still.
        """
        self._url = _address(self._start_cloud(port="0"))
        self._start_stations()
        moved_at_s, before = time.monotonic(), (-1, -1)
        while self.standing.nights_done < self._settings.nights * self._settings.nodes:
            self._turn()
            reached = (self.standing.frames, self.standing.nights_done)
            if reached != before:
                moved_at_s, before = time.monotonic(), reached
            elif time.monotonic() - moved_at_s > _STANDSTILL_S:
                raise DemoFailure(
                    f"nothing has moved for {_STANDSTILL_S:.0f} s: {self._laggards()}."
                )
            time.sleep(_LOOK_S)
        self._end_stations()
        return self._take_accounts()

    def _turn(self) -> None:
        self._bring_cloud_back()
        self._bring_stations_back()
        with contextlib.suppress(CloudAway):
            self._publish_due()
        for stand in self._stands:
            stand.look()
        self._fire_cues()
        self.standing.frames = sum(stand.frames() for stand in self._stands)
        self.standing.nights_done = sum(stand.done for stand in self._stands)
        self._show(self.standing)

    def _laggards(self) -> str:
        names = [stand.plan.name for stand in self._stands if stand.done < self._settings.nights]
        return f"{', '.join(names[:5])} are not through their nights (logs in {self.folder})"

    # -- the cloud ----------------------------------------------------------------------

    @property
    def _desk(self) -> OperatorDesk:
        return OperatorDesk(self._url, self._key)

    def _start_cloud(self, port: str) -> Child:
        words = ["cloud", "--data", "cloud", "--port", port, "--registrations-per-hour", "0"]
        os.environ[ADMIN_KEY_VARIABLE] = self._key
        with held_signals():
            self._cloud = Child("cloud", words, log=self.folder / "cloud.log", folder=self.folder)
        del os.environ[ADMIN_KEY_VARIABLE]
        return self._cloud

    def _kill_cloud(self) -> bool:
        if self._cloud is None or self._cloud_back_at_s is not None:
            return False
        self._cloud.kill()
        self._cloud_back_at_s = time.monotonic() + _CLOUD_AWAY_S
        self.standing.cloud_kills += 1
        self._tell("The cloud is killed (kill -9).")
        return True

    def _bring_cloud_back(self) -> None:
        """Start the cloud again; the stations do not wait until it is up, nor does the world."""
        if self._cloud_back_at_s is not None and time.monotonic() >= self._cloud_back_at_s:
            self._start_cloud(port=self._url.rpartition(":")[2])
            self._cloud_back_at_s = None
            self._tell("The cloud is started again.")

    def _publish_due(self) -> None:
        """Publish a station's next plan once it has registered, and has its last night behind."""
        due = [s for s in self._stands if len(s.plan_ids) == s.done < len(s.nights)]
        if not due:
            return
        known = {node["owner_name"]: node["node_id"] for node in self._desk.nodes()}
        for stand in due:
            stand.node_id = known.get(stand.plan.name, "")
            if stand.node_id:
                self._publish(stand)

    def _publish(self, stand: _Stand) -> None:
        number = len(stand.plan_ids)
        plan = {
            "night": evening_of(stand.plan.nights[number], stand.plan.site),
            "items": stand.nights[number],
        }
        stand.plan_ids.append(self._desk.publish(stand.node_id, plan))

    def _send_interrupt(self) -> bool:
        """Ask all for a star that most of them can see: one that plans are made of, too."""
        star = self._favourite()
        try:
            number = self._desk.interrupt(star.name, star.ra_deg, star.dec_deg, "it has flared up")
        except CloudAway:
            return False
        self.standing.interrupts += 1
        self._tell(f"Interrupt {number} is sent to all nodes: {star.name}.")
        return True

    def _favourite(self) -> SimulatedVariable:
        names = [item["target"] for s in self._stands for items in s.nights for item in items]
        name = names[int(self._rng.integers(len(names)))]
        return next(star for star in self._stars if star.name == name)

    # -- the stations -------------------------------------------------------------------

    def _start_stations(self) -> None:
        # One process loads the libraries; each station is a copy of it, there in a moment.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self._context.set_forkserver_preload([_STATION_MODULE])
        for stand in self._stands:
            stand.folder.mkdir()
            stand.plan.write(stand.folder)
            config = stand.folder / CONFIG_NAME
            config.write_text(station_config(stand.plan, self._url), encoding="utf-8")
            config.chmod(0o600)
            self._start_station(stand)

    def _start_station(self, stand: _Stand) -> None:
        with held_signals():
            stand.process = self._context.Process(
                target=run_station, args=(str(stand.folder),), name=stand.plan.name, daemon=True
            )
            stand.process.start()

    def _kill_station(self) -> bool:
        busy = [s for s in self._stands if s.process and s.at_night and len(s.plan_ids) > s.done]
        if not busy:
            return False
        stand = busy[int(self._rng.integers(len(busy)))]
        # By then it may be anywhere: in an exposure, between two writes, in a call.
        time.sleep(float(self._rng.uniform(0.0, _KILLED_LATER_S)))
        if stand.process is not None:
            stand.process.kill()
            stand.process.join()
        self.standing.node_kills += 1
        self._tell(f"{stand.plan.name} is killed (kill -9), and started again.")
        self._start_station(stand)
        return True

    def _bring_stations_back(self) -> None:
        for stand in self._stands:
            if stand.process is not None and stand.process.exitcode is not None:
                raise DemoFailure(
                    f"{stand.plan.name} ended unexpectedly (exit code {stand.process.exitcode}).",
                    _end_of(stand.folder / "station.log"),
                )

    def _end_stations(self) -> None:
        running = [stand.process for stand in self._stands if stand.process is not None]
        for process in running:
            process.terminate()
        ends_s = time.monotonic() + _STOP_LIMIT_S
        for process in running:
            process.join(max(0.0, ends_s - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        for stand in self._stands:
            stand.process = None

    # -- the end ------------------------------------------------------------------------

    def _fire_cues(self) -> None:
        share = self.standing.frames / max(self.standing.planned, 1)
        due = [cue for cue in self._cues if cue[0] <= share]
        for cue in due:
            if cue[1]():
                self._cues.remove(cue)

    def _take_accounts(self) -> Outcome:
        if self._cloud_back_at_s is not None:
            self._cloud_back_at_s = time.monotonic()
            self._bring_cloud_back()
        if self._cloud is not None:
            _address(self._cloud)
        desk = self._desk
        word = hear_cloud(desk)
        accounts = {
            stand.plan.name: take_account(stand.folder, stand.node_id, stand.plan_ids, word, desk)
            for stand in self._stands
        }
        return Outcome(accounts, hold_against_truth(word.all_points(), self._stars))


def _address(cloud: Child) -> str:
    """Wait until a cloud is up, and return its address."""
    return cloud.wait_for_line(r"Cloud is up: (http://\S+)", _START_LIMIT_S)[1]


def _end_of(log: Path, lines: int = 12) -> str:
    try:
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""

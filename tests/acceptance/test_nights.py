"""Whole nights as a node lives them: at a telescope that speaks Alpaca, and with a real cloud."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.alpaca_server import alpaca_server
from tests.support.capture_server import wait_until
from tests.support.cloud_server import running_cloud
from tests.support.nights import SETTINGS, SITE, NightWorld

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.clock import SystemClock
from boundless_skies.node.config import defaults
from boundless_skies.node.devices.alpaca import TelescopeSettings, connect_telescope
from boundless_skies.node.factory import build_desk
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.night_factory import build_night
from boundless_skies.node.photometry.detection import detect
from boundless_skies.node.schedule.states import Step
from boundless_skies.node.services.measuring import Measured, measure_frame
from boundless_skies.node.services.runner import MARK_NAME
from boundless_skies.node.solving.pointing import solve_field
from boundless_skies.node.solving.seiza_solver import SeizaSolver
from boundless_skies.node.solving.verification import centre_deg
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.simulation.operating import OperatorDesk
from boundless_skies.simulation.stars import SimulatedVariable, simulated_variables
from boundless_skies.sky import Site, SkyOverSite, separation_deg
from cloud_communicator import CloudCommunicator

NIGHT_LIMIT_S = 150.0
LATITUDE_DEG, DEC_DEG = 45.0, 50.0
HOUR_ANGLE_DEG = -20.0
EXPOSURE_S, COUNT = 1.0, 2
TOLERANCE_ARCMIN = 3.0


def night_here(now: datetime) -> tuple[Site, float]:
    """Return a site at which it is midnight, and the right ascension that is high there."""
    greenwich = SkyOverSite([now], Site(LATITUDE_DEG, 0.0, 0.0))
    ra_deg = float((greenwich.sun.ra_deg[0] + 180.0) % 360.0)  # type: ignore[index]
    at_greenwich_deg = float(greenwich.star(ra_deg, DEC_DEG).hour_angle_deg[0])
    longitude_deg = (HOUR_ANGLE_DEG - at_greenwich_deg + 180.0) % 360.0 - 180.0
    return Site(LATITUDE_DEG, longitude_deg, 0.0), ra_deg


def config_of(site: Site, address: str, folder: Path) -> dict[str, Any]:
    """Return a node's config: as its owner would write it, but with no autofocus."""
    config = defaults()
    config["observatory"] |= {"latitude": site.latitude_deg, "longitude": site.longitude_deg}
    config["telescope"] |= {"enabled": True, "address": address}
    config["image_watcher"]["watch_path"] = str(folder / "frames")
    config["cloud"]["auto_run_plans"] = True
    config["schedule"] |= {
        "centring_exposure": EXPOSURE_S,
        "centring_tolerance": TOLERANCE_ARCMIN,
        "focus_every": 0.0,
    }
    config["limits"]["moon_distance"] = 10.0
    return config


def place_of(path: Path, ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Return where the middle of a frame lies, by its stars."""
    frame, catalogue = read_frame(path), Catalogue.load()
    solution = solve_field(
        detect(frame).field,
        catalogue,
        SeizaSolver(catalogue),
        positions_deg=[(ra_deg, dec_deg)],
        scales_arcsec_px=[s * frame.cell_px for s in frame.facts.scales_arcsec_px],
    )
    height, width = frame.shape
    return centre_deg(solution.wcs, width, height)


@pytest.mark.timeout(300)
def test_short_night_at_an_alpaca_telescope(tmp_path: Path) -> None:
    """A plan comes, the telescope is found, centres by the stars, exposes, and is parked."""
    now = datetime.now(UTC)
    site, ra_deg = night_here(now)
    targets = {"one": (ra_deg, DEC_DEG), "two": (ra_deg, DEC_DEG + 1.0)}
    start = {"telescope": {"rightascension": (ra_deg - 3.0) / 15.0 % 24.0, "declination": DEC_DEG}}
    clock, stop = SystemClock(), threading.Event()
    (tmp_path / "frames").mkdir()
    with alpaca_server(tmp_path, start, (ra_deg, DEC_DEG)) as address:
        config = config_of(site, address, tmp_path)
        store = ScheduleStore(tmp_path / FILE_NAME)
        build_desk(config, store, clock).take_plan(
            [
                {
                    "item_id": name,
                    "target": f"Field {name}",
                    "ra": place[0] / 15.0,
                    "dec": place[1],
                    "expDur": EXPOSURE_S,
                    "expCount": COUNT,
                    "end_utc": (now + timedelta(hours=1)).isoformat(),
                }
                for name, place in targets.items()
            ],
            plan_id="p-1",
        )
        night = build_night(config, tmp_path, store, clock)
        thread = threading.Thread(target=night.run, args=(stop,), name="night", daemon=True)
        thread.start()
        try:
            wait_until(lambda: not store.open_work(), NIGHT_LIMIT_S, "the plan's end")
        finally:
            stop.set()
            thread.join(NIGHT_LIMIT_S)
        assert not thread.is_alive()
        mount = connect_telescope(TelescopeSettings(address=address), clock).mount
        assert mount.is_parked()
    works = store.all_work("p-1")
    assert {work.item_id: (work.step, work.reason) for work in works} == dict.fromkeys(
        targets, (Step.DONE, "")
    )
    for work in works:
        for record in store.exposures(work.id):
            place = place_of(Path(record.path), work.ra_deg, work.dec_deg)
            assert separation_deg(*place, work.ra_deg, work.dec_deg) * 60.0 <= TOLERANCE_ARCMIN
    assert len(list((tmp_path / "frames").glob("*.fits"))) == COUNT * len(targets)
    assert not (tmp_path / MARK_NAME).exists()
    assert night.facts()["state"] == "waiting"
    store.close()


def linked_config(url: str, folder: Path) -> dict[str, Any]:
    """Return the config of a node at the simulated telescope, with a cloud."""
    config = config_of(SITE, "", folder)
    config["photometry"]["node_id"] = "night-node"
    config["cloud"] |= {
        "enabled": True,
        "url": url,
        "data_dir": str(folder / "link"),
        "heartbeat_interval": 1,
        "plan_poll_interval": 1,
    }
    return config


def high_variable(now: datetime) -> SimulatedVariable:
    """Return a star that varies and stands high over the simulated telescope."""
    sky = SkyOverSite([now], SITE)
    return max(
        simulated_variables(Catalogue.load()),
        key=lambda star: float(sky.star(star.ra_deg, star.dec_deg).altitude_deg[0]),
    )


@pytest.mark.timeout(300)
def test_cloud_that_is_gone_for_the_night_hears_of_it_afterwards_once(tmp_path: Path) -> None:
    """It publishes a plan and an interrupt, is killed, and comes back after the night."""
    begins = (datetime.now(UTC) - timedelta(days=1)).replace(hour=22, minute=30, second=0)
    star = high_variable(begins)
    world = NightWorld(tmp_path, begins, sees=True)
    with running_cloud(tmp_path / "cloud") as cloud:
        config = linked_config(cloud.url, tmp_path)
        link = CloudCommunicator(
            config,
            None,
            lambda items: world.desk.take_plan(items, plan_id=link.status["last_plan_id"]),
            world.desk.take_interrupt,
        )
        link.start()
        operator = OperatorDesk(cloud.url, cloud.admin_key)
        nodes = wait_until(operator.nodes, what="the node to register")
        plan_id = operator.publish(
            nodes[0]["node_id"],
            {
                "night": f"{begins:%Y-%m-%d}",
                "items": [
                    {**_of(star), "item_id": "star", "expDur": 20.0, "expCount": 3},
                    {**_of(star), "item_id": "low", "dec": -80.0, "expDur": 20.0, "expCount": 3},
                ],
            },
        )
        number = operator.interrupt(star.name, star.ra_deg, star.dec_deg, "it has flared up")
        wait_until(lambda: world.store.newest_plan() and world.store.interrupts(), what="the plan")
        cloud.kill()
    _live_without_cloud(world, link, config)
    handed = len(list(world.frames.glob("*.fits")))
    assert handed == 3 + SETTINGS.interrupt_count
    assert link.status["queued_uploads"] == handed
    with running_cloud(tmp_path / "cloud", port=cloud.port) as cloud:
        wait_until(lambda: not link.status["queued_uploads"], 60.0, "the measurements to go out")
        wait_until(lambda: not link.status["queued_events"], 60.0, "the events to go out")
        assert world.desk.tell(link) == 0
        told = {one["item_id"]: one["told"]["state"] for one in operator.plan(plan_id)["items"]}
        assert told == {"star": "done", "low": "skipped"}
        by_node = {one["id"]: one["told_by"] for one in operator.interrupts()}[number]
        assert [one["state"] for one in by_node.values()] == ["done"]
        points = operator.light_curve(star.name)
        assert len({point["bjd"] for point in points}) == len(points) == handed
        assert operator.nodes()[0]["measurements"] == handed
        link.stop()


def _of(star: SimulatedVariable) -> dict[str, Any]:
    return {"target": star.name, "ra": star.ra_deg / 15.0, "dec": star.dec_deg, "binning": 1}


def _live_without_cloud(world: NightWorld, link: CloudCommunicator, config: dict[str, Any]) -> None:
    """Live the night; measure its frames, and hand the link all that there is to tell."""
    begins = world.clock.now()
    tells = [(begins + timedelta(minutes=m), lambda: world.desk.tell(link)) for m in (3, 9, 20)]
    world.run(begins + timedelta(minutes=40), tells)
    assert set(world.steps().values()) == {Step.DONE, Step.SKIPPED}
    world.desk.tell(link)
    for path in sorted(world.frames.glob("*.fits")):
        outcome = measure_frame(str(path), config)
        assert isinstance(outcome, Measured), outcome
        link.submit_measurement(outcome.measurement, fits_path=str(path))

"""A dashboard at work, over a data folder with a night in it, for tests that look at it.

::

    with running_dashboard(tmp_path) as node:
        node.put_plan(...)
        reply = node.get("/")
"""

import http.client
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
from astropy.io import fits

from boundless_skies.node.config import defaults
from boundless_skies.node.config_text import annotated_yaml
from boundless_skies.node.dashboard.dashboard import Dashboard
from boundless_skies.node.schedule.states import PlanState
from boundless_skies.node.schedule.work import PlannedItem
from boundless_skies.node.storage.ledger import FILE_NAME as LEDGER_FILE
from boundless_skies.node.storage.ledger import FrameFile, Ledger
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore
from boundless_skies.sky import bjd_tdb

NOW = datetime(2026, 3, 1, 21, 40, tzinfo=UTC)
"""A spring evening over Berlin: astronomical night."""

_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')


class StillClock:
    """A clock that stands, unless a test moves it; waiting moves it too."""

    def __init__(self, now: datetime = NOW) -> None:
        self.instant = now
        self.seconds = 0.0

    def now(self) -> datetime:
        """Return the instant at which it stands."""
        return self.instant

    def monotonic(self) -> float:
        """Return seconds, which every look moves on a little more than a pulse."""
        self.seconds += 1.001
        return self.seconds

    def sleep(self, seconds: float, stop: Event) -> None:
        """Move on."""
        del stop
        self.instant += timedelta(seconds=seconds)


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as a text."""
        return self.body.decode("utf-8")


@dataclass
class RunningDashboard:
    """A dashboard at work, and a browser's cookie to go with it."""

    dashboard: Dashboard
    config: dict[str, Any]
    config_path: Path
    folder: Path
    store: ScheduleStore
    ledger: Ledger
    clock: StillClock
    status: dict[str, Any]
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.dashboard.url

    @property
    def host(self) -> str:
        """Its address with its port."""
        return urlsplit(self.url).netloc

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask for a page."""
        return self.call("GET", path, None, headers or {})

    def post(
        self,
        path: str,
        fields: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        seen_on: str = "/",
    ) -> Reply:
        """Send a form with the token of a page that was looked at before."""
        token = self.token(seen_on)
        return self.send(
            path, {"token": token, **fields}, {"Origin": self.url} | dict(headers or {})
        )

    def token(self, path: str = "/") -> str:
        """Return the token that a page's forms carry."""
        found = _TOKEN.search(self.get(path).text)
        assert found is not None
        return found[1]

    def send(
        self, path: str, fields: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a form just so."""
        body = urlencode(fields, doseq=True).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.call("POST", path, body, kind | dict(headers or {}))

    def call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """Make one request; keep the cookie that comes back."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        sent = {"Cookie": self.cookie} if self.cookie else {}
        connection.request(method, path, body, sent | dict(headers))
        answer = connection.getresponse()
        reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        if "set-cookie" in reply.headers:
            self.cookie = reply.headers["set-cookie"].partition(";")[0]
        return reply

    def put_plan(
        self,
        plan_id: str = "A",
        items: Sequence[PlannedItem] | None = None,
        *,
        accepted: bool = True,
        **values: Any,
    ) -> None:
        """Put a plan into the store."""
        state = PlanState.ACCEPTED if accepted else PlanState.WAITING
        assert self.store.put_plan(
            plan_id, items or night_items(), state=state, night="2026-03-01", **values
        )


def item(
    target: str, ra_deg: float, dec_deg: float, start: datetime | None = None, **values: Any
) -> PlannedItem:
    """Return an item of a plan."""
    facts: dict[str, Any] = {"exposure_s": 20.0, "count": 30, "notes": ""} | values
    return PlannedItem(
        item_id=target.lower().replace(" ", "-"),
        target=target,
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        start_utc=start,
        **facts,
    )


def night_items() -> list[PlannedItem]:
    """Return a night's four targets, as they stand over Berlin in March."""

    def at(hour: int, minute: int = 0) -> datetime:
        return NOW.replace(hour=0, minute=0) + timedelta(hours=hour, minutes=minute)

    return [
        item("U Gem", 118.77, 22.0, at(19, 15), end_utc=at(21), notes="Outburst of February fades"),
        item("SS UMa <b>", 143.0, 53.0, at(21), end_utc=at(22, 40), filter="CV"),
        item("T CrB", 239.876, 25.92, at(24), end_utc=at(26), exposure_s=5.0, count=120),
        item("RZ LMi", 147.95, 34.12, at(26, 15), end_utc=at(28, 30), binning=2),
    ]


def make_config(folder: Path, **changed: Any) -> tuple[dict[str, Any], Path]:
    """Write a config for a node near Berlin; return it with its path."""
    answers = {
        "observatory.name": "Lindenhof",
        "observatory.latitude": 52.5,
        "observatory.longitude": 13.4,
        "cloud.data_dir": str(folder / "data"),
        "telescope.enabled": True,
        "cloud.enabled": True,
        "cloud.url": "https://cloud.example.org",
        "cloud.api_key": "key-that-nobody-sees",
    } | changed
    path = folder / "config.yaml"
    path.write_text(annotated_yaml(answers), encoding="utf-8")
    config = defaults()
    for name, value in answers.items():
        group, _, key = name.rpartition(".")
        config[group][key] = value
    config["dashboard"]["port"] = 0
    return config, path


def link_status(**changed: Any) -> dict[str, Any]:
    """Return what a node in good health says of itself."""
    return {
        "version": "0",
        "state": "running",
        "started_at": (NOW - timedelta(hours=5)).isoformat(),
        "watching": "/mnt/seestar",
        "folder_missing": False,
        "settling": 0,
        "measuring": None,
        "last_measurement": None,
        "last_refusal": None,
        "cloud": {"enabled": True, "url": "https://cloud.example.org"},
        "link": {
            "registered": True,
            "node_id": "berlin-1",
            "last_heartbeat_ok": True,
            "last_plan_id": "A",
            "last_plan_night": "2026-03-01",
            "last_heartbeat_at": "2026-03-01T20:59:30.000Z",
            "plan_items": 4,
            "queued_uploads": 0,
            "error": None,
            "accepted": 12,
            "delivered": 12,
            "evicted": 0,
            "rejected": 0,
            "dropped": 0,
            "damaged": 0,
            "queued_images": 0,
            "queued_events": 0,
            "interrupts_unacked": 0,
            "clock_skew_s": 0.2,
        }
        | changed,
        "frames": {"measured": 0, "handed": 12, "refused": 1},
        "plan": [],
        "interrupts": [],
    }


@contextmanager
def running_dashboard(
    folder: Path, *, moves_telescope: bool = True, **changed: Any
) -> Iterator[RunningDashboard]:
    """Run a dashboard for the length of a ``with`` block."""
    config, path = make_config(folder, **changed)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    clock, status = StillClock(), link_status()
    store = ScheduleStore(data / FILE_NAME, clock.now)
    ledger = Ledger(data / LEDGER_FILE, clock.now)
    dashboard = Dashboard(
        config,
        path,
        data,
        store,
        ledger,
        lambda: status,
        clock,
        moves_telescope=moves_telescope,
    )
    assert dashboard.start()
    try:
        yield RunningDashboard(dashboard, config, path, data, store, ledger, clock, status)
    finally:
        dashboard.stop()
        store.close()
        ledger.close()


SIDE_PX = (480, 640)
_SCALE_DEG = 2.4 / 3600.0
TARGET = (143.0, 53.0)


def write_frame(path: Path, *, with_wcs: bool = True) -> None:
    """Write a frame of the second target with some stars around it."""
    header = fits.Header({"DATE-OBS": NOW.strftime("%Y-%m-%dT%H:%M:%S"), "EXPTIME": 20.0})
    if with_wcs:
        header.update(
            {
                "CTYPE1": "RA---TAN",
                "CTYPE2": "DEC--TAN",
                "CRVAL1": TARGET[0],
                "CRVAL2": TARGET[1],
                "CRPIX1": SIDE_PX[1] / 2,
                "CRPIX2": SIDE_PX[0] / 2,
                "CDELT1": -_SCALE_DEG,
                "CDELT2": _SCALE_DEG,
                "RADESYS": "ICRS",
            }
        )
    header_stars = [(SIDE_PX[1] / 2 - 1, SIDE_PX[0] / 2 - 1, 9_000.0)]
    rng = np.random.default_rng(5)
    stars = header_stars + [
        (x, y, 10 ** rng.uniform(2.2, 4.3))
        for x, y in rng.uniform((10, 10), (SIDE_PX[1] - 10, SIDE_PX[0] - 10), (90, 2))
    ]
    image = rng.normal(900.0, 22.0, SIDE_PX)
    y_px, x_px = np.indices(SIDE_PX)
    for x, y, height in stars:
        image += height * np.exp(-((x_px - x) ** 2 + (y_px - y) ** 2) / (2 * 1.6**2))
    fits.PrimaryHDU(np.clip(image, 0, 65_535).astype(np.uint16), header).writeto(path)


def measurement(minutes: float, magnitude: float, file: str, **changed: Any) -> dict[str, Any]:
    """Return a measurement of the second target, so long after the clock's instant."""
    at = NOW + timedelta(minutes=minutes)
    return {
        "target_name": "SS UMa <b>",
        "bjd": bjd_tdb(at, *TARGET),
        "magnitude": magnitude,
        "uncertainty": 0.018,
        "filter": "CV",
        "airmass": 1.05,
        "fwhm": 3.1,
        "snr": 60.0,
        "comparison_stars": 2,
        "quality_flag": "good",
        "node_id": "berlin-1",
        "zero_point": 21.0,
        "zp_scatter": 0.02,
        "fits_file": file,
        "aperture_px": 6.0,
        "annulus_px": [11.0, 17.0],
        "comparisons": [
            {"name": "C1", "ra_deg": TARGET[0] + 0.12, "dec_deg": TARGET[1] + 0.05},
            {"name": "C2", "ra_deg": TARGET[0] - 0.15, "dec_deg": TARGET[1] - 0.08},
        ],
    } | changed


def fill_sky(node: RunningDashboard, *, points: int = 46, with_wcs: bool = True) -> None:
    """Put a night's measurements into the ledger, the last of them of a frame that is there."""
    for number in range(points):
        minutes = -2.0 * (points - number)
        last = number == points - 1
        path = node.folder / ("last.fits" if last else f"frame-{number}.fits")
        if last:
            write_frame(path, with_wcs=with_wcs)
        hump = 0.14 * max(0.0, 1 - abs((number % 30) - 12) / 9)
        wobble = 0.012 * math.sin(number * 7.3)
        flag = {7: "acceptable", 21: "poor"}.get(number, "good")
        node.ledger.keep_measured(
            FrameFile(number + 1, str(path), 100),
            measurement(
                minutes,
                15.2 - hump + wobble,
                path.name,
                quality_flag=flag,
                uncertainty=0.018 + 0.03 * (flag == "poor"),
                is_limit=number == 33,
            ),
        )
        node.clock.instant += timedelta(microseconds=1)

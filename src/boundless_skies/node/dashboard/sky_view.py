"""The sky's page: the last frame, the last measurements, and the light curve that they make."""

import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from boundless_skies.node.dashboard.curve_chart import CurveChart, draw_curve
from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.dashboard.frame_picture import FramePicture, Position, frame_picture
from boundless_skies.node.errors import FrameError
from boundless_skies.node.night.result import LightCurve, seen
from boundless_skies.node.night.sound import write_sound
from boundless_skies.node.night.words import describe_curve
from boundless_skies.node.photometry.settings import Target
from boundless_skies.node.storage.ledger import FrameFile
from boundless_skies.sky import Site, bjd_tdb

MEASUREMENTS_MAX = 1_000
ROWS_MAX = 25
CURVE_D = 1.0
"""The light curve reaches so far back from its last point (days)."""
WIDE_PX, NARROW_PX = (980.0, 360.0), (340.0, 300.0)

_UNIX_EPOCH_JD = 2_440_587.5
_ROUNDS = 3

Measurement = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A measurement as the table shows it."""

    at: datetime
    values: Measurement
    file: str


@dataclass(frozen=True, kw_only=True)
class CurveView:
    """A light curve, drawn, told and listed."""

    curve: LightCurve
    wide: CurveChart
    narrow: CurveChart
    sentence: str
    can_be_heard: bool
    version: str


@dataclass(frozen=True, kw_only=True)
class FrameView:
    """The last frame; ``refusal`` says why it was not measured, where it was not."""

    name: str
    version: str
    picture: FramePicture | None
    problem: str
    refusal: str


@dataclass(frozen=True, kw_only=True)
class SkyView:
    """All that the page shows."""

    now: datetime
    headline: str
    frame: FrameView | None
    rows: list[Row]
    curve: CurveView | None
    refused: int
    last_refusal: Mapping[str, Any] | None


class Sky:
    """Makes what the page shows; the picture of a frame is made once.

    Parameters
    ----------
    desk : Desk
        The node.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._pictured: FrameFile | None = None
        self._picture: FramePicture | None = None
        self._problem = ""

    def view(self) -> SkyView:
        """Return what the page shows."""
        newest = self._desk.ledger.newest(MEASUREMENTS_MAX)
        status = self._desk.status()
        frames = status.get("frames") or {}
        return SkyView(
            now=self._desk.now(),
            headline=_headline(newest, status),
            frame=self._frame(),
            rows=self._rows(newest[:ROWS_MAX]),
            curve=self._curve_view(newest),
            refused=int(frames.get("refused") or 0),
            last_refusal=status.get("last_refusal"),
        )

    def picture(self) -> FramePicture | None:
        """Return the picture of the last frame; None where there is none."""
        last = self._last_frame()
        return None if last is None else self._pictured_frame(*last[:2])[0]

    def sound(self) -> bytes | None:
        """Return the light curve as a WAV file; None where there is nothing to hear."""
        curve = self._curve(self._desk.ledger.newest(MEASUREMENTS_MAX))
        if curve is None or not seen(curve.points):
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "curve.wav"
            write_sound(curve, path)
            return path.read_bytes()

    def _frame(self) -> FrameView | None:
        last = self._last_frame()
        if last is None:
            return None
        frame, measurement, refusal = last
        picture, problem = self._pictured_frame(frame, measurement)
        return FrameView(
            name=frame.name,
            version=str(frame.mtime_ns),
            picture=picture,
            problem=problem,
            refusal=refusal,
        )

    def _last_frame(self) -> tuple[FrameFile, Measurement, str] | None:
        """Return the newest frame, measured or not: clouds are best seen on the frame itself."""
        measured = [(*found, "") for found in self._desk.ledger.newest(1)]
        refused = self._desk.ledger.newest_refused()
        without: list[tuple[FrameFile, Measurement, str]] = (
            [(refused[0], {}, refused[1])] if refused else []
        )
        return max((*measured, *without), key=lambda found: found[0].mtime_ns, default=None)

    def _pictured_frame(
        self, frame: FrameFile, measurement: Measurement
    ) -> tuple[FramePicture | None, str]:
        with self._lock:
            if self._pictured != frame:
                self._picture, self._problem = self._make(frame, measurement)
                self._pictured = frame
            return self._picture, self._problem

    def _make(self, frame: FrameFile, measurement: Measurement) -> tuple[FramePicture | None, str]:
        channel = str(self._desk.config["photometry"]["channel"])
        position = self._position(measurement) if measurement else None
        try:
            return frame_picture(Path(frame.path), measurement, position, channel), ""
        except (FrameError, OSError, ValueError) as error:
            return None, f"{frame.name} cannot be shown: {error}"

    def _position(self, measurement: Measurement) -> Position | None:
        """Return where a measurement's target stands, from the plan or the config."""
        name = str(measurement["target_name"]).casefold()
        plan = self._desk.store.newest_plan()
        works = (*(plan.items if plan else ()), *self._desk.store.interrupts())
        for work in works:
            if work.target.casefold() == name:
                return work.ra_deg, work.dec_deg
        target = self._desk.config["photometry"]["target"]
        if None in (target["ra_deg"], target["dec_deg"]):
            return None
        return target["ra_deg"], target["dec_deg"]

    def _rough_position(self, measurement: Measurement) -> Position | None:
        """Return the target's place, or that of a star in the same field."""
        star = next(iter(measurement.get("comparisons") or ()), None)
        beside = (star["ra_deg"], star["dec_deg"]) if star else None
        return self._position(measurement) or beside

    def _rows(self, newest: Sequence[tuple[FrameFile, Measurement]]) -> list[Row]:
        site = self._desk.site
        return [
            Row(
                at=_utc_of(values["bjd"], self._rough_position(values), site),
                values=values,
                file=frame.name,
            )
            for frame, values in newest
        ]

    def _curve_view(self, newest: Sequence[tuple[FrameFile, Measurement]]) -> CurveView | None:
        curve = self._curve(newest)
        if curve is None:
            return None
        wide, narrow = (draw_curve(curve, *size) for size in (WIDE_PX, NARROW_PX))
        return CurveView(
            curve=curve,
            wide=wide,
            narrow=narrow,
            sentence=describe_curve(curve, check_is_drawn=False),
            can_be_heard=bool(seen(curve.points)),
            version=f"{len(curve.points)}-{curve.points[-1]['bjd']:.6f}",
        )

    def _curve(self, newest: Sequence[tuple[FrameFile, Measurement]]) -> LightCurve | None:
        if not newest:
            return None
        last = newest[0][1]
        points = sorted(
            (
                values
                for _, values in newest
                if (values["target_name"], values["filter"])
                == (last["target_name"], last["filter"])
                and abs(values["bjd"] - last["bjd"]) <= CURVE_D
            ),
            key=lambda values: float(values["bjd"]),
        )
        ra_deg, dec_deg = self._rough_position(last) or (0.0, 0.0)
        return LightCurve(
            target=Target(str(last["target_name"]), ra_deg, dec_deg),
            filter=str(last["filter"]),
            points=points,
            middles_utc=self._middles(points, self._rough_position(last)),
        )

    def _middles(self, points: Sequence[Measurement], position: Position | None) -> list[datetime]:
        """Return the middles of the exposures, UTC.

        Within a night the light's way to the barycentre changes evenly, by seconds: it is
        worked out for the first point and the last.
        """
        first, last = (
            _utc_of(point["bjd"], position, self._desk.site) for point in (points[0], points[-1])
        )
        length_d = points[-1]["bjd"] - points[0]["bjd"]
        if length_d <= 0:
            return [first for _ in points]
        return [
            first + (last - first) * ((point["bjd"] - points[0]["bjd"]) / length_d)
            for point in points
        ]


def _utc_of(bjd: float, position: Position | None, site: Site | None) -> datetime:
    """Return when light passed the telescope, UTC, of a barycentric date in TDB.

    Without a position it is right to 9.5 minutes.
    """
    rough = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=bjd - _UNIX_EPOCH_JD)
    if position is None:
        return rough
    found = rough
    for _ in range(_ROUNDS):
        found += timedelta(days=bjd - bjd_tdb(found, *position, site))
    return found


def _headline(newest: Sequence[tuple[FrameFile, Measurement]], status: Mapping[str, Any]) -> str:
    if status.get("measuring"):
        return f"Measuring {status['measuring']}."
    if status.get("folder_missing"):
        return f"The folder {status.get('watching')} is not there; the node waits for it."
    if not newest:
        return "No frame has been measured yet."
    last = newest[0][1]
    return (
        f"{last['target_name']} at {last['magnitude']:.3f} ± {last['uncertainty']:.3f} mag "
        f"in {last['filter']}."
    )

"""A night as a picture: how high each target stands when, and what is to be done then.

The numbers are worked out here, the template draws them; no script is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from boundless_skies.node.dashboard.skyline import STEP as PATH_STEP
from boundless_skies.node.dashboard.skyline import Horizon, Path, path_of, told_hidden
from boundless_skies.node.dashboard.words import clock, counted
from boundless_skies.node.schedule.states import FINAL, RUNNING, Step, WorkKind
from boundless_skies.node.schedule.work import Work
from boundless_skies.sky import Site, SkyOverSite, instants_between, night_around

Angles = npt.NDArray[np.float64]

SUNSET_DEG, CIVIL_DEG, NAUTICAL_DEG, ASTRONOMICAL_DEG = -0.833, -6.0, -12.0, -18.0
MARGIN = timedelta(minutes=40)
"""So much of the day is shown before sunset and after sunrise."""
STEP = timedelta(minutes=6)
LOOKS = 6
"""So many looks tell the targets apart; the number beside each tells them apart for certain."""

_NO_LIMIT = Horizon()
_TOP_DEG = 90.0
_ALTITUDES = (0, 30, 60, 90)
_HOUR = timedelta(hours=1)
_LEAST_HOUR_PX = 44.0
_LANE_PX, _BAR_PX = 34.0, 24.0
_BADGE_PX = 22.0
_BANDS = (
    ("day", SUNSET_DEG, 90.0),
    ("civil", CIVIL_DEG, SUNSET_DEG),
    ("nautical", NAUTICAL_DEG, CIVIL_DEG),
    ("astronomical", ASTRONOMICAL_DEG, NAUTICAL_DEG),
    ("night", -90.0, ASTRONOMICAL_DEG),
)


@dataclass(frozen=True)
class Window:
    """The time that is shown."""

    begins: datetime
    ends: datetime

    def share(self, instant: datetime) -> float:
        """Return where an instant lies, from 0 to 1 within the window."""
        return (instant - self.begins) / (self.ends - self.begins)

    def holds(self, instant: datetime) -> bool:
        """Tell whether an instant is shown."""
        return self.begins <= instant <= self.ends


@dataclass(frozen=True, kw_only=True)
class Span:
    """When a piece of work is, or was, or is expected to be done."""

    work: Work
    number: int
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Band:
    """A stretch of the same darkness (px)."""

    name: str
    left: float
    width: float


@dataclass(frozen=True)
class Tick:
    """A line of the grid with its label (px)."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """A target: its course through the night, and what is to be done of it (px).

    ``course`` is all of it, ``free`` where it stands above its limit, ``observed`` where it does
    so while it is to be observed, ``skyline`` what stands around below it then.
    """

    number: int
    look: int
    title: str
    state: str
    course: str
    free: str
    observed: str
    skyline: str
    badge_x: float
    badge_y: float
    bar_left: float
    bar_width: float


@dataclass(frozen=True, kw_only=True)
class NightChart:
    """All that the template draws (px)."""

    width: float
    height: float
    left: float
    right: float
    top: float
    floor: float
    lane: float
    lane_height: float
    bands: list[Band]
    hours: list[Tick]
    altitudes: list[Tick]
    moon: str
    limit: str
    limit_deg: float | None
    has_mask: bool
    now: float | None
    items: list[Item]
    has_sky: bool


def night_window(instant: datetime, site: Site | None) -> Window:
    """Return the time around the night that an instant belongs to.

    Without a site it is a day from the instant's noon, UTC.
    """
    if site is None:
        noon = instant.astimezone(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        begins = noon if instant >= noon else noon - timedelta(days=1)
        return Window(begins, begins + timedelta(days=1))
    # A night lies between two noons: to the minute of the half hour it is the same one.
    return _site_window(
        instant.replace(minute=instant.minute // 30 * 30, second=0, microsecond=0), site
    )


@lru_cache(maxsize=8)
def _site_window(instant: datetime, site: Site) -> Window:
    night = night_around(instant, site, SUNSET_DEG)
    if night is None:  # the midnight sun: around the instant
        return Window(instant - timedelta(hours=12), instant + timedelta(hours=12))
    return Window(night.begins - MARGIN, night.ends + MARGIN)


@lru_cache(maxsize=4)
def _sky(window: Window, site: Site) -> SkyOverSite:
    return SkyOverSite(instants_between(window.begins, window.ends, STEP), site)


def spans(items: Sequence[Work], now: datetime) -> list[Span]:
    """Return when each piece of work is done.

    Where its plan says nothing, it follows the one before it, or now, and takes as long as
    its exposures.

    Parameters
    ----------
    items : sequence of Work
        In the order of their numbers.
    now : datetime
        The present instant, aware.
    """
    found: list[Span] = []
    free: datetime | None = None
    for number, work in enumerate(items, 1):
        begins = work.start_utc or max(free or now, now)
        if work.kind is WorkKind.INTERRUPT and work.start_utc is None:
            begins = work.changed_at
        length = timedelta(seconds=max(work.exposure_s * work.count, 60.0))
        ends = begins + length if work.end_utc is None else work.end_utc
        if work.step in FINAL and work.start_utc is None:
            ends = work.changed_at
            begins = ends - length
        free = max(ends, free or ends)
        found.append(Span(work=work, number=number, begins=begins, ends=max(ends, begins)))
    return found


def draw_night(
    shown: Sequence[Span],
    window: Window,
    now: datetime,
    site: Site | None,
    *,
    horizon: Horizon = _NO_LIMIT,
    width: float = 960.0,
    height: float = 380.0,
) -> NightChart:
    """Return a night as a picture.

    Parameters
    ----------
    shown : sequence of Span
        What is to be done.
    window : Window
        The time that is shown.
    now : datetime
        The present instant, aware.
    site : Site or None
        Where from; without it there are no courses.
    horizon : Horizon
        What a target must stand above.
    width, height : float
        Of the picture (px).
    """
    pen = _Pen(window, width, height, has_sky=site is not None)
    sky = None if site is None else _sky(window, site)
    limit_deg = horizon.least_deg
    return NightChart(
        width=width,
        height=pen.height,
        left=pen.left,
        right=pen.right,
        top=pen.top,
        floor=pen.floor,
        lane=pen.lane,
        lane_height=_BAR_PX,
        bands=[] if sky is None else pen.bands(sky),
        hours=pen.hours(),
        altitudes=[Tick(pen.y(degrees), f"{degrees}°") for degrees in _ALTITUDES],
        moon="" if sky is None else pen.line(sky, sky.moon.altitude_deg),
        limit=""
        if limit_deg is None
        else f"M{pen.left:.1f} {pen.y(limit_deg):.1f}H{pen.right:.1f}",
        limit_deg=limit_deg,
        has_mask=bool(horizon.mask.points),
        now=pen.x(now) if window.holds(now) else None,
        items=[
            pen.item(span, sky, None if site is None else span_path(span, window, site, horizon))
            for span in shown
        ],
        has_sky=sky is not None,
    )


class _Pen:
    """Turns instants and altitudes into places on the picture."""

    def __init__(self, window: Window, width: float, height: float, *, has_sky: bool) -> None:
        self._window = window
        self.left, self.right, self.top = 34.0, width - 8.0, 14.0
        below = _LANE_PX + 30.0
        self.height = height if has_sky else below + self.top
        self.floor = self.height - below if has_sky else self.top
        self.lane = self.floor + (_LANE_PX - _BAR_PX) / 2

    def x(self, instant: datetime) -> float:
        share = min(max(self._window.share(instant), 0.0), 1.0)
        return self.left + (self.right - self.left) * share

    def y(self, altitude_deg: float) -> float:
        share = min(max(altitude_deg, 0.0), _TOP_DEG) / _TOP_DEG
        return self.floor - (self.floor - self.top) * share

    def hours(self) -> list[Tick]:
        hours = (self._window.ends - self._window.begins) / _HOUR
        fits = max(1.0, (self.right - self.left) / _LEAST_HOUR_PX)
        step = next(step for step in (1, 2, 3, 4, 6, 12, 24) if hours / step <= fits)
        first = self._window.begins.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        instants = [first + n * _HOUR for n in range(1, int(hours) + 2)]
        return [
            Tick(self.x(at), f"{at:%H:%M}")
            for at in instants
            if at.hour % step == 0 and self._window.holds(at)
        ]

    def bands(self, sky: SkyOverSite) -> list[Band]:
        altitudes = sky.sun.altitude_deg
        names = [_band_of(float(altitude)) for altitude in altitudes]
        edges = [place for place in range(1, len(names)) if names[place] != names[place - 1]]
        bounds = [0, *edges, len(names) - 1]
        found = []
        for first, last in pairwise(bounds):
            left, right = self.x(sky.instants[first]), self.x(sky.instants[last])
            found.append(Band(names[first], left, right - left))
        return found

    def line(self, sky: SkyOverSite, altitudes: Angles, chosen: slice = slice(None)) -> str:
        """Return a path along the altitudes above the horizon."""
        parts, pen_down = [], False
        for at, altitude in zip(sky.instants[chosen], altitudes[chosen], strict=True):
            if altitude < 0.0:
                pen_down = False
                continue
            parts.append(f"{'L' if pen_down else 'M'}{self.x(at):.1f} {self.y(altitude):.1f}")
            pen_down = True
        return "".join(parts)

    def item(self, span: Span, sky: SkyOverSite | None, path: Path | None) -> Item:
        left, right = self.x(span.begins), self.x(span.ends)
        middle = span.begins + (span.ends - span.begins) / 2
        course = free = observed = skyline = ""
        badge_y = self.floor
        if sky is not None and path is not None:
            altitudes = sky.star(span.work.ra_deg, span.work.dec_deg).altitude_deg
            course = self.line(sky, altitudes)
            free = self._free(path, sky.instants[0], sky.instants[-1], STEP)
            observed = self._free(path, span.begins, span.ends, STEP)
            skyline = self._skyline(path, span)
            badge_y = self.y(float(np.interp(middle.timestamp(), path.at_s, path.altitude_deg)))
        return Item(
            number=span.number,
            look=(span.number - 1) % LOOKS,
            title=told_span(span),
            state=state_class(span.work.step),
            course=course,
            free=free,
            observed=observed,
            skyline=skyline,
            badge_x=min(max(self.x(middle), self.left + _BADGE_PX / 2), self.right - _BADGE_PX / 2),
            badge_y=min(max(badge_y, self.top + _BADGE_PX / 2), self.floor - _BADGE_PX / 2)
            if sky is not None
            else self.lane + _BAR_PX / 2,
            bar_left=left,
            bar_width=max(right - left, 2.0),
        )

    def _free(self, path: Path, begins: datetime, ends: datetime, step: timedelta) -> str:
        """Return the part of a path between two instants that stands above its limit."""
        parts = []
        for free_from, free_to in path.free():
            first, last = max(free_from, begins), min(free_to, ends)
            if first < last:
                parts.append(self._along(path, path.altitude_deg, first, last, step))
        return "".join(f"M{'L'.join(points)}" for points in parts)

    def _skyline(self, path: Path, span: Span) -> str:
        """Return the outline of what stands around below a target while it is observed."""
        window = self._window
        first, last = max(span.begins, window.begins), min(span.ends, window.ends)
        if first >= last or not path.mask_deg.any():
            return ""
        top = "L".join(self._along(path, path.mask_deg, first, last, PATH_STEP))
        left, right, floor = self.x(first), self.x(last), self.floor
        return f"M{left:.1f} {floor:.1f}L{top}L{right:.1f} {floor:.1f}Z"

    def _along(
        self, path: Path, angles: Angles, first: datetime, last: datetime, step: timedelta
    ) -> list[str]:
        instants = instants_between(first, last, step)
        heights = np.interp([at.timestamp() for at in instants], path.at_s, angles)
        return [
            f"{self.x(at):.1f} {self.y(height):.1f}"
            for at, height in zip(instants, heights.tolist(), strict=True)
        ]


def span_path(span: Span, window: Window, site: Site, horizon: Horizon) -> Path:
    """Return a target's way through the night, and what stands below it."""
    work = span.work
    return path_of(work.ra_deg, work.dec_deg, window.begins, window.ends, site, horizon)


def span_hidden(span: Span, window: Window, site: Site | None, horizon: Horizon) -> str:
    """Return when and by what a target is hidden while it is to be observed; empty for never."""
    if site is None:
        return ""
    begins, ends = max(span.begins, window.begins), min(span.ends, window.ends)
    stretches = span_path(span, window, site, horizon).stretches(begins, ends)
    return told_hidden(stretches, begins, ends)


def told_span(span: Span) -> str:
    """Return what a piece of work is and when, in one line."""
    work = span.work
    return (
        f"{span.number}: {work.target}, {clock(span.begins)} to {clock(span.ends)} UTC, "
        f"{work.count} × {work.exposure_s:g} s, {work.step}"
    )


def state_class(step: Step) -> str:
    """Return the look of a step: what runs, what waits, and how the others ended."""
    return "running" if step in RUNNING else str(step)


def describe_night(
    shown: Sequence[Span], window: Window, site: Site | None, horizon: Horizon
) -> str:
    """Return what the picture shows, for those who do not see it."""
    told = f"The night from {clock(window.begins)} to {clock(window.ends)} UTC"
    if not shown:
        return f"{told}, with nothing planned."
    if site is None:
        return f"{told}: {counted(len(shown), 'target')}."
    sky = _sky(window, site)
    courses = [_told_course(span, sky, span_hidden(span, window, site, horizon)) for span in shown]
    least_deg = horizon.least_deg
    least = "" if least_deg is None else f" The least altitude is {least_deg:g}°."
    moon = float(sky.moon_illuminated[len(sky.instants) // 2])
    return f"{told}: {'; '.join(courses)}.{least} The Moon is lit to {moon:.0%}."


def _told_course(span: Span, sky: SkyOverSite, hidden: str) -> str:
    told = (
        f"{span.work.target} at most {_highest(span, sky):.0f}° between {clock(span.begins)} "
        f"and {clock(span.ends)}"
    )
    return f"{told}, {hidden}" if hidden else told


def _highest(span: Span, sky: SkyOverSite) -> float:
    altitudes = sky.star(span.work.ra_deg, span.work.dec_deg).altitude_deg
    inside = [
        float(altitude)
        for at, altitude in zip(sky.instants, altitudes, strict=True)
        if span.begins - STEP <= at <= span.ends + STEP
    ]
    return max(inside, default=0.0)


def _band_of(sun_altitude_deg: float) -> str:
    return next(name for name, low, high in _BANDS if low <= sun_altitude_deg <= high)

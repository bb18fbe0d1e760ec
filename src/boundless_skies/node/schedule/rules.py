"""Whether something may be observed now, and if not, why, and from when on.

The hard rules keep the telescope and people's eyes safe, and nobody can overrule them: the
safety latch, the weather, the Sun above the horizon or too near, the altitude; nor can anybody the
disk, that has no room. The planning
rules keep the night worth its while, and the owner may set them aside.

Each rule is written as what must hold, so that a value that is no number never passes.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from boundless_skies.sky import (
    Course,
    HorizonMask,
    Site,
    SkyOverSite,
    instants_between,
    separation_deg,
)
from boundless_skies.sky.searching import RESOLUTION, STEP
from boundless_skies.sky.sun import SUNSET_ALTITUDE_DEG

Holds = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

LOOK_AHEAD = dt.timedelta(days=1)
"""So far ahead is looked for the instant from which on something may be observed."""

# Half the way that the sky turns between two instants that are looked at: a passage of the
# meridian cannot slip between them.
_LEAST_MARGIN_DEG = 15.0 * (STEP / dt.timedelta(hours=1)) / 2.0
_FREE_HORIZON = HorizonMask()


class Rule(StrEnum):
    """What stands against an observation."""

    LATCH = "latch"
    WEATHER = "weather"
    ROOM = "room"
    SUN_UP = "sun up"
    ALTITUDE = "altitude"
    SUN_DISTANCE = "sun distance"
    TOO_EARLY = "too early"
    TOO_LATE = "too late"
    TWILIGHT = "twilight"
    MOON_DISTANCE = "moon distance"
    MERIDIAN = "meridian"


HARD: frozenset[Rule] = frozenset(
    {Rule.LATCH, Rule.WEATHER, Rule.ROOM, Rule.SUN_UP, Rule.ALTITUDE, Rule.SUN_DISTANCE}
)
"""The rules that nobody can overrule."""


class Observable(Protocol):
    """Something to observe: an item as planned or as kept."""

    @property
    def target(self) -> str:
        """Name of the object."""

    @property
    def ra_deg(self) -> float:
        """Right ascension, ICRS (J2000), degrees."""

    @property
    def dec_deg(self) -> float:
        """Declination, ICRS (J2000), degrees."""

    @property
    def exposure_s(self) -> float:
        """Length of each exposure, seconds."""

    @property
    def start_utc(self) -> dt.datetime | None:
        """Not before this instant."""

    @property
    def end_utc(self) -> dt.datetime | None:
        """Not beyond this instant."""


class Conditions(Protocol):
    """What is known of the weather; None where nothing measures it."""

    @property
    def is_safe(self) -> bool | None:
        """The word of the safety monitor."""

    @property
    def rain_rate_mm_h(self) -> float | None:
        """Millimetres per hour."""

    @property
    def wind_speed_m_s(self) -> float | None:
        """Metres per second."""

    @property
    def wind_gust_m_s(self) -> float | None:
        """Metres per second, the strongest of the last minutes."""

    @property
    def humidity_pct(self) -> float | None:
        """Relative, percent."""

    @property
    def cloud_cover_pct(self) -> float | None:
        """Of the sky, percent."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the owner allows.

    Attributes
    ----------
    min_altitude_deg : float
        Least altitude of what is observed, without refraction, degrees.
    horizon : HorizonMask
        What stands around; it counts where it is higher than the least altitude.
    sun_distance_deg : float
        Least distance from the Sun, degrees.
    sun_altitude_deg : float
        Greatest altitude of the Sun, degrees; -12 for the end of nautical twilight.
    moon_distance_deg : float
        Least distance from the Moon while it is up, degrees.
    meridian_margin_deg : float or None
        Least hour angle on either side of the meridian, for a mount that must turn over
        there, degrees; None for one that need not.
    rain_rate_max_mm_h, wind_speed_max_m_s, humidity_max_pct, cloud_cover_max_pct : float or None
        The worst weather; None where it does not matter. The wind's holds for gusts too.
    """

    min_altitude_deg: float
    sun_distance_deg: float
    sun_altitude_deg: float
    moon_distance_deg: float
    horizon: HorizonMask = _FREE_HORIZON
    meridian_margin_deg: float | None = None
    rain_rate_max_mm_h: float | None = None
    wind_speed_max_m_s: float | None = None
    humidity_max_pct: float | None = None
    cloud_cover_max_pct: float | None = None


@dataclass(frozen=True)
class Clear:
    """Nothing stands against it."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Something stands against it.

    Attributes
    ----------
    rule : Rule
        What.
    sentence : str
        What failed, its value against its limit, for which object, when; then from when on
        it is possible.
    when_possible : datetime or None
        The first instant within a day at which nothing in the sky stands against it, UTC;
        None where there is none, and where it depends on the weather or the owner.
    value, limit : float or None
        What was found, and what it was held against, in the unit of the rule.
    """

    rule: Rule
    sentence: str
    when_possible: dt.datetime | None = None
    value: float | None = None
    limit: float | None = None

    @property
    def hard(self) -> bool:
        """Whether nobody can overrule it."""
        return self.rule in HARD


def check(
    work: Observable,
    now: dt.datetime,
    *,
    site: Site,
    limits: Limits,
    weather: Conditions | None = None,
    unsafe_reason: str | None = None,
    room_reason: str | None = None,
    overrule: bool = False,
) -> Clear | Refusal:
    """Tell whether the next exposure of something may begin now.

    What is in the sky is judged from now to the end of that exposure.

    Parameters
    ----------
    work : Observable
        What is to be observed.
    now : datetime
        The present instant, aware.
    site : Site
        Where the telescope stands.
    limits : Limits
        What the owner allows.
    weather : Conditions, optional
        What is known of the weather; None where nothing measures it. Where what measures it
        does not answer, nothing should be asked here: that is unsafe by itself.
    unsafe_reason : str, optional
        Why the safety latch is set; None where it is not.
    room_reason : str, optional
        Why its frames do not fit on the disk, the end of a sentence; None where they do.
    overrule : bool
        Whether the owner sets the planning rules aside; the hard ones hold all the same.

    Returns
    -------
    Clear or Refusal
        The first rule that does not hold.
    """
    refusal = (
        _latched(work, unsafe_reason)
        or _unsafe_weather(work, now, limits, weather)
        or _without_room(work, now, room_reason)
    )
    if refusal:
        return refusal
    judge = _Judge(work, site, limits, overrule=overrule)
    return judge.refusal_at(now) or Clear()


def _latched(work: Observable, reason: str | None) -> Refusal | None:
    if reason is None:
        return None
    told = reason.strip().rstrip(".") or "no reason was kept"
    return Refusal(
        rule=Rule.LATCH,
        sentence=f"{work.target} waits: the telescope was stopped as unsafe ({told}). "
        "Nothing moves until the owner lets it go on.",
    )


def _without_room(work: Observable, now: dt.datetime, reason: str | None) -> Refusal | None:
    if reason is None:
        return None
    sentence = f"{work.target} waits for room on the disk: at {_told(now)} {reason}"
    return Refusal(rule=Rule.ROOM, sentence=sentence)


# Weather


def weather_against(weather: Conditions, limits: Limits) -> str | None:
    """Return what in the weather stands against an open telescope, the beginning of a sentence.

    Parameters
    ----------
    weather : Conditions
        What is measured; None where nothing measures it.
    limits : Limits
        What the owner allows.

    Returns
    -------
    str or None
        Such as ``The rain is 0.3 mm/h, above this node's limit of 0 mm/h``.
    """
    found = _first_against(weather, limits)
    return None if found is None else found[0]


def _unsafe_weather(
    work: Observable, now: dt.datetime, limits: Limits, weather: Conditions | None
) -> Refusal | None:
    found = None if weather is None else _first_against(weather, limits)
    if found is None:
        return None
    against, value, limit = found
    sentence = f"{against}, at {_told(now)}. {work.target} waits for better weather."
    return Refusal(rule=Rule.WEATHER, sentence=sentence, value=value, limit=limit)


def _first_against(
    weather: Conditions, limits: Limits
) -> tuple[str, float | None, float | None] | None:
    if weather.is_safe is not None and not weather.is_safe:
        return "The safety monitor says unsafe", None, None
    for what, unit, value, limit in _measured(weather, limits):
        if not value <= limit:
            said = f"The {what} is {value:.1f} {unit}, above this node's limit of {limit:g} {unit}"
            return said, value, limit
    return None


def _measured(weather: Conditions, limits: Limits) -> Iterator[tuple[str, str, float, float]]:
    for what, unit, value, limit in (
        ("rain", "mm/h", weather.rain_rate_mm_h, limits.rain_rate_max_mm_h),
        ("wind", "m/s", weather.wind_speed_m_s, limits.wind_speed_max_m_s),
        ("wind in gusts", "m/s", weather.wind_gust_m_s, limits.wind_speed_max_m_s),
        ("humidity", "%", weather.humidity_pct, limits.humidity_max_pct),
        ("cloud cover", "%", weather.cloud_cover_pct, limits.cloud_cover_max_pct),
    ):
        if value is not None and limit is not None:
            yield what, unit, value, limit


# Sky


class _View:
    """What a sky shows of one target, worked out as far as it is asked for."""

    def __init__(self, work: Observable, sky: SkyOverSite, limits: Limits) -> None:
        self.work = work
        self.sky = sky
        self.limits = limits

    @cached_property
    def course(self) -> Course:
        return self.sky.star(self.work.ra_deg, self.work.dec_deg)

    @cached_property
    def horizon_deg(self) -> Values:
        mask = self.limits.horizon.altitude_deg(self.course.azimuth_deg)
        # maximum keeps what is no number, fmax would not
        return np.maximum(self.limits.min_altitude_deg, mask)

    def distance_deg(self, body: Course) -> Values:
        distance = separation_deg(self.work.ra_deg, self.work.dec_deg, body.ra_deg, body.dec_deg)
        return np.asarray(distance)


@dataclass(frozen=True)
class _SkyRule:
    """What must hold in the sky: a value, its limit, and whether it is on the right side."""

    rule: Rule
    found: Callable[[_View], tuple[Values, Values, Holds]]
    sentence: Callable[[_View, int, float, float], str]


def _sun_up(view: _View) -> tuple[Values, Values, Holds]:
    altitude = view.sky.sun.altitude_deg
    return altitude, np.full_like(altitude, SUNSET_ALTITUDE_DEG), altitude < SUNSET_ALTITUDE_DEG


def _twilight(view: _View) -> tuple[Values, Values, Holds]:
    altitude = view.sky.sun.altitude_deg
    limit = np.full_like(altitude, view.limits.sun_altitude_deg)
    return altitude, limit, altitude <= limit


def _altitude(view: _View) -> tuple[Values, Values, Holds]:
    altitude = view.course.altitude_deg
    return altitude, view.horizon_deg, altitude >= view.horizon_deg


def _sun_distance(view: _View) -> tuple[Values, Values, Holds]:
    distance = view.distance_deg(view.sky.sun)
    limit = np.full_like(distance, view.limits.sun_distance_deg)
    return distance, limit, distance >= limit


def _moon_distance(view: _View) -> tuple[Values, Values, Holds]:
    distance = view.distance_deg(view.sky.moon)
    limit = np.full_like(distance, view.limits.moon_distance_deg)
    is_down = view.sky.moon.altitude_deg < SUNSET_ALTITUDE_DEG
    return distance, limit, is_down | (distance >= limit)


def _meridian(view: _View) -> tuple[Values, Values, Holds]:
    hour_angle = np.abs(view.course.hour_angle_deg)
    margin = view.limits.meridian_margin_deg
    if margin is None:
        return hour_angle, np.zeros_like(hour_angle), np.ones_like(hour_angle, dtype=np.bool_)
    limit = np.full_like(hour_angle, np.maximum(margin, _LEAST_MARGIN_DEG))
    return hour_angle, limit, hour_angle >= limit


def _altitude_sentence(view: _View, place: int, value: float, limit: float) -> str:
    azimuth = view.course.azimuth_deg[place]
    hidden = limit > view.limits.min_altitude_deg
    what = (
        f"what stands around it at azimuth {azimuth:.0f}°, {limit:.1f}°"
        if hidden
        else f"this node's limit of {limit:.1f}°"
    )
    return f"{view.work.target} is at altitude {value:.1f}°, below {what}"


def _sun_up_sentence(view: _View, _place: int, value: float, limit: float) -> str:
    return (
        f"The Sun is at altitude {value:.1f}°, not below the horizon ({limit:.1f}°), "
        f"for {view.work.target}"
    )


def _twilight_sentence(view: _View, _place: int, value: float, limit: float) -> str:
    return (
        f"The Sun is at altitude {value:.1f}°, above this node's limit of {limit:.1f}°, "
        f"for {view.work.target}"
    )


def _sun_distance_sentence(view: _View, _place: int, value: float, limit: float) -> str:
    return (
        f"{view.work.target} is {value:.1f}° from the Sun, nearer than this node's limit of "
        f"{limit:.1f}°"
    )


def _moon_distance_sentence(view: _View, place: int, value: float, limit: float) -> str:
    lit = 100.0 * view.sky.moon_illuminated[place]
    return (
        f"{view.work.target} is {value:.1f}° from the Moon ({lit:.0f} % lit), nearer than this "
        f"node's limit of {limit:.1f}°"
    )


def _meridian_sentence(view: _View, _place: int, value: float, limit: float) -> str:
    return (
        f"{view.work.target} is {value:.1f}° from the meridian, where the mount turns over, "
        f"nearer than its margin of {limit:.1f}°"
    )


_SKY_RULES = (
    _SkyRule(Rule.SUN_UP, _sun_up, _sun_up_sentence),
    _SkyRule(Rule.ALTITUDE, _altitude, _altitude_sentence),
    _SkyRule(Rule.SUN_DISTANCE, _sun_distance, _sun_distance_sentence),
    _SkyRule(Rule.TWILIGHT, _twilight, _twilight_sentence),
    _SkyRule(Rule.MOON_DISTANCE, _moon_distance, _moon_distance_sentence),
    _SkyRule(Rule.MERIDIAN, _meridian, _meridian_sentence),
)


class _Judge:
    """Holds one target against the rules of the sky and its own times."""

    def __init__(self, work: Observable, site: Site, limits: Limits, *, overrule: bool) -> None:
        self._work = work
        self._site = site
        self._limits = limits
        self._overrule = overrule
        self._rules = tuple(rule for rule in _SKY_RULES if rule.rule in HARD or not overrule)
        self._exposure = dt.timedelta(seconds=work.exposure_s)

    def refusal_at(self, now: dt.datetime) -> Refusal | None:
        """Return the first thing that stands against an exposure that begins now."""
        sky = SkyOverSite(instants_between(now, now + self._exposure), self._site)
        return self._outside_window(now) or self._refused_by_sky(now, sky)

    def _outside_window(self, now: dt.datetime) -> Refusal | None:
        start, end = self._work.start_utc, self._work.end_utc
        if self._overrule:
            return None
        if end is not None and now + self._exposure > end:
            return Refusal(
                rule=Rule.TOO_LATE,
                sentence=f"{self._work.target} is to end at {_told(end)}, and an exposure of "
                f"{self._work.exposure_s:g} s that begins at {_told(now)} would not. "
                "It has no other time in this plan.",
            )
        if start is not None and now < start:
            return self._with_time(
                now,
                Refusal(
                    rule=Rule.TOO_EARLY,
                    sentence=f"{self._work.target} is to start at {_told(start)}, "
                    f"and it is {_told(now)}",
                ),
            )
        return None

    def _refused_by_sky(self, now: dt.datetime, sky: SkyOverSite) -> Refusal | None:
        view = _View(self._work, sky, self._limits)
        for rule in self._rules:
            values, limits, holds = rule.found(view)
            if not holds.all():
                place = int(np.argmin(holds))
                value, limit = float(values[place]), float(limits[place])
                sentence = rule.sentence(view, place, value, limit) + self._when(sky, place)
                return self._with_time(
                    now, Refusal(rule=rule.rule, sentence=sentence, value=value, limit=limit)
                )
        return None

    def _when(self, sky: SkyOverSite, place: int) -> str:
        late = f", before its exposure of {self._work.exposure_s:g} s would end" if place else ""
        return f", at {_told(sky.instants[place])}{late}"

    def _with_time(self, now: dt.datetime, refusal: Refusal) -> Refusal:
        possible = self._when_possible(now)
        then = (
            f"It can be observed from {_told(possible)} on."
            if possible
            else f"It cannot be observed {self._until(now)}."
        )
        return Refusal(
            rule=refusal.rule,
            sentence=f"{refusal.sentence}. {then}",
            when_possible=possible,
            value=refusal.value,
            limit=refusal.limit,
        )

    def _until(self, now: dt.datetime) -> str:
        end = self._work.end_utc
        if end is None or self._overrule or end > now + LOOK_AHEAD:
            return "within a day from then"
        return f"before its end at {_told(end)}"

    def _when_possible(self, now: dt.datetime) -> dt.datetime | None:
        sky = _coming_sky(_full_step(now), self._site)
        holds = self._holds(sky)
        before = now
        for place in np.flatnonzero(holds):
            at = sky.instants[place]
            before = max(now, sky.instants[place - 1]) if place else now
            if at > now and self._allows(at):
                return self._first_allowed(before, at)
        return None

    def _holds(self, sky: SkyOverSite) -> Holds:
        """Tell for each instant whether all holds there, and within its times."""
        view = _View(self._work, sky, self._limits)
        holds = np.array([self._in_window(at) for at in sky.instants])
        for rule in self._rules:
            holds &= rule.found(view)[2]
        return _for_as_long(holds, self._exposure)

    def _in_window(self, at: dt.datetime) -> bool:
        start, end = self._work.start_utc, self._work.end_utc
        return self._overrule or (
            (start is None or start <= at) and (end is None or at + self._exposure <= end)
        )

    def _allows(self, at: dt.datetime) -> bool:
        """Tell whether an exposure may begin at an instant."""
        sky = SkyOverSite(instants_between(at, at + self._exposure), self._site)
        view = _View(self._work, sky, self._limits)
        return self._in_window(at) and all(rule.found(view)[2].all() for rule in self._rules)

    def _first_allowed(self, before: dt.datetime, after: dt.datetime) -> dt.datetime:
        while after - before > RESOLUTION:
            middle = before + (after - before) / 2
            before, after = (before, middle) if self._allows(middle) else (middle, after)
        return after


def _for_as_long(holds: Holds, exposure: dt.timedelta) -> Holds:
    """Tell where all holds for the whole steps of an exposure that begins there."""
    steps = min(exposure // STEP, len(holds))
    return np.array([holds[place : place + steps + 1].all() for place in range(len(holds))])


def _full_step(now: dt.datetime) -> dt.datetime:
    """Return the start of the step that an instant lies in, so that one sky serves for it all."""
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (now - midnight) // STEP * STEP


@lru_cache(maxsize=4)
def _coming_sky(start: dt.datetime, site: Site) -> SkyOverSite:
    return SkyOverSite(instants_between(start, start + LOOK_AHEAD), site)


def _told(instant: dt.datetime) -> str:
    return f"{instant.astimezone(dt.UTC):%Y-%m-%dT%H:%MZ}"

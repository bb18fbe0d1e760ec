"""What may be observed when, and the sentences that say why not."""

import datetime as dt
import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boundless_skies.node.schedule.rules import Clear, Limits, Refusal, Rule, check
from boundless_skies.node.schedule.work import PlannedItem
from boundless_skies.sky import (
    HorizonMask,
    Site,
    SkyOverSite,
    altitude_azimuth_deg,
    next_transit,
    separation_deg,
    sun_altitude_deg,
)

BERLIN = Site(52.52, 13.4, 40.0)
NIGHT = dt.datetime(2026, 3, 1, 21, 0, tzinfo=dt.UTC)
LIMITS = Limits(
    min_altitude_deg=25.0,
    sun_distance_deg=40.0,
    sun_altitude_deg=-12.0,
    moon_distance_deg=30.0,
    rain_rate_max_mm_h=0.0,
    wind_speed_max_m_s=8.0,
    humidity_max_pct=90.0,
    cloud_cover_max_pct=60.0,
)
M81 = PlannedItem(
    item_id="a", target="M 81", ra_deg=148.9, dec_deg=69.07, exposure_s=60.0, count=10
)


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What a weather station says."""

    is_safe: bool | None = None
    rain_rate_mm_h: float | None = None
    wind_speed_m_s: float | None = None
    wind_gust_m_s: float | None = None
    humidity_pct: float | None = None
    cloud_cover_pct: float | None = None


def refusal(work: PlannedItem, now: dt.datetime, limits: Limits = LIMITS, **asked: Any) -> Refusal:
    """Return why something may not be observed."""
    result = check(work, now, site=BERLIN, limits=limits, **asked)
    assert isinstance(result, Refusal)
    return result


def may(work: PlannedItem, now: dt.datetime, limits: Limits = LIMITS, **asked: Any) -> bool:
    """Tell whether something may be observed."""
    return isinstance(check(work, now, site=BERLIN, limits=limits, **asked), Clear)


def test_what_stands_high_in_a_dark_sky_may_be_observed() -> None:
    """Fair weather, or none that is measured."""
    assert may(M81, NIGHT)
    assert may(M81, NIGHT, weather=Weather(is_safe=True, rain_rate_mm_h=0.0, wind_speed_m_s=3.0))


def test_low_star_is_told_with_the_instant_of_its_rise() -> None:
    """At that instant it may be observed, a second before it may not."""
    vega = replace(M81, target="Vega", ra_deg=279.234, dec_deg=38.784)
    told = refusal(vega, NIGHT)
    assert told.rule is Rule.ALTITUDE
    assert told.hard
    assert told.when_possible is not None
    assert told.sentence == (
        f"Vega is at altitude {told.value:.1f}°, below this node's limit of 25.0°, "
        f"at 2026-03-01T21:00Z. It can be observed from {told.when_possible:%Y-%m-%dT%H:%MZ} on."
    )
    assert may(vega, told.when_possible)
    assert not may(vega, told.when_possible - dt.timedelta(seconds=1))


def test_star_that_never_rises_is_told_so() -> None:
    """No instant is invented."""
    south = replace(M81, target="α Cen", ra_deg=219.9, dec_deg=-60.8)
    told = refusal(south, NIGHT)
    assert told.when_possible is None
    assert told.sentence.endswith("It cannot be observed within a day from then.")


def test_trees_are_told_with_their_direction() -> None:
    """The mask counts where it is higher than the least altitude."""
    trees = replace(LIMITS, horizon=HorizonMask.read([[85, 0]]))
    told = refusal(M81, NIGHT, trees)
    assert "below what stands around it at azimuth" in told.sentence
    assert told.limit == 85.0


def test_exposure_must_end_above_the_limit_too() -> None:
    """A star that sinks below it before the shutter closes is refused, and said when."""
    sirius = replace(M81, target="Sirius", ra_deg=101.287, dec_deg=-16.716)
    limits = replace(LIMITS, min_altitude_deg=15.0, moon_distance_deg=0.0)
    sinks = NIGHT
    while may(replace(sirius, exposure_s=1.0), sinks, limits):
        sinks += dt.timedelta(minutes=1)
    told = refusal(replace(sirius, exposure_s=600.0), sinks - dt.timedelta(minutes=5), limits)
    assert told.rule is Rule.ALTITUDE
    assert "before its exposure of 600 s would end" in told.sentence


@pytest.mark.parametrize(
    ("hour", "rule", "hard"),
    [(12, Rule.SUN_UP, True), (17, Rule.TWILIGHT, False)],
)
def test_daylight_and_twilight(hour: int, rule: Rule, hard: bool) -> None:
    """The owner may overrule the twilight, never the day."""
    now = dt.datetime(2026, 3, 1, hour, 15, tzinfo=dt.UTC)
    told = refusal(M81, now)
    assert (told.rule, told.hard) == (rule, hard)
    assert told.when_possible is not None
    assert sun_altitude_deg(told.when_possible, BERLIN) == pytest.approx(-12.0, abs=0.01)
    assert may(M81, now, overrule=True) is not hard


def test_moon_counts_while_it_is_up() -> None:
    """The full Moon of 2026-03-03 in Leo is told with its light; below the horizon it is not."""
    now = dt.datetime(2026, 3, 3, 22, 0, tzinfo=dt.UTC)
    moon = SkyOverSite([now], BERLIN).moon
    near = replace(
        M81,
        target="Regulus",
        ra_deg=float(moon.ra_deg[0]) + 10,
        dec_deg=float(moon.dec_deg[0]),  # type: ignore[index]
    )
    told = refusal(near, now)
    assert told.rule is Rule.MOON_DISTANCE
    assert "from the Moon (100 % lit)" in told.sentence
    set_moon = dt.datetime(2026, 3, 18, 19, 0, tzinfo=dt.UTC)
    below = SkyOverSite([set_moon], BERLIN).moon
    assert below.altitude_deg[0] < -1
    everywhere = replace(LIMITS, moon_distance_deg=180.0)
    assert may(M81, set_moon, everywhere)


def test_mount_that_turns_over_waits_for_the_meridian() -> None:
    """Also where a long exposure would only pass it; without such a mount it does not matter."""
    transit = next_transit(NIGHT, M81.ra_deg, M81.dec_deg, BERLIN)
    turning = replace(LIMITS, meridian_margin_deg=0.0)
    told = refusal(M81, transit, turning)
    assert told.rule is Rule.MERIDIAN
    assert told.when_possible is not None
    assert told.when_possible > transit
    long = replace(M81, exposure_s=1800.0)
    assert not may(long, transit - dt.timedelta(minutes=15), turning)
    assert may(long, transit - dt.timedelta(minutes=15))


def test_item_waits_for_its_start() -> None:
    """And says for which."""
    start = NIGHT + dt.timedelta(minutes=90)
    told = refusal(replace(M81, start_utc=start), NIGHT)
    assert told.rule is Rule.TOO_EARLY
    assert told.when_possible is not None
    assert abs(told.when_possible - start) <= dt.timedelta(seconds=1)
    assert told.sentence.startswith("M 81 is to start at 2026-03-01T22:30Z, and it is 2026-03")


def test_exposure_must_end_within_the_items_time() -> None:
    """A minute's exposure does not fit into half a minute."""
    end = NIGHT + dt.timedelta(seconds=30)
    told = refusal(replace(M81, end_utc=end), NIGHT)
    assert (told.rule, told.when_possible) == (Rule.TOO_LATE, None)
    assert may(replace(M81, end_utc=end, exposure_s=30.0), NIGHT)


@pytest.mark.parametrize(
    ("weather", "words"),
    [
        (Weather(is_safe=False), "The safety monitor says unsafe, at 2026-03-01T21:00Z. M 81"),
        (Weather(rain_rate_mm_h=0.4), "The rain is 0.4 mm/h, above this node's limit of 0 mm/h"),
        (Weather(wind_speed_m_s=9), "The wind is 9.0 m/s, above this node's limit of 8 m/s"),
        (Weather(wind_speed_m_s=3, wind_gust_m_s=12), "The wind in gusts is 12.0 m/s"),
        (Weather(humidity_pct=99), "The humidity is 99.0 %"),
        (Weather(cloud_cover_pct=80), "The cloud cover is 80.0 %"),
        (Weather(rain_rate_mm_h=math.nan), "The rain is nan mm/h"),
    ],
)
def test_bad_weather_is_told(weather: Weather, words: str) -> None:
    """Its value against the limit; a reading that is no number is bad weather too."""
    told = refusal(M81, NIGHT, weather=weather, overrule=True)
    assert told.rule is Rule.WEATHER
    assert words in told.sentence


def test_latch_holds_whatever_the_owner_overrules() -> None:
    """Its reason is told."""
    told = refusal(M81, NIGHT, unsafe_reason="the mount did not answer.", overrule=True)
    assert told.rule is Rule.LATCH
    assert "(the mount did not answer)" in told.sentence


MAYBE = st.none() | st.floats(0, 100) | st.just(math.nan)
ANY_WEATHER = st.none() | st.builds(
    Weather,
    is_safe=st.none() | st.booleans(),
    rain_rate_mm_h=st.none() | st.sampled_from([0.0, 0.1, 5.0, math.nan]),
    wind_speed_m_s=MAYBE,
    wind_gust_m_s=MAYBE,
    humidity_pct=MAYBE,
    cloud_cover_pct=MAYBE,
)
WORK = st.builds(
    replace,
    st.just(M81),
    ra_deg=st.floats(0, 359.9),
    dec_deg=st.floats(0, 90),
    exposure_s=st.sampled_from([1.0, 600.0, 1800.0]),
)
MINUTES = st.integers(0, 1440) | st.integers(360, 1080)


def bad_weather(weather: Weather, limits: Limits) -> bool:
    """Tell whether a reading is worse than its limit, or no number."""
    pairs = [
        (weather.rain_rate_mm_h, limits.rain_rate_max_mm_h),
        (weather.wind_speed_m_s, limits.wind_speed_max_m_s),
        (weather.wind_gust_m_s, limits.wind_speed_max_m_s),
        (weather.humidity_pct, limits.humidity_max_pct),
        (weather.cloud_cover_pct, limits.cloud_cover_max_pct),
    ]
    return weather.is_safe is False or any(
        value is not None and limit is not None and (math.isnan(value) or value > limit)
        for value, limit in pairs
    )


@settings(max_examples=100, deadline=None)
@given(
    minutes=MINUTES,
    weather=ANY_WEATHER,
    latch=st.none() | st.text(max_size=5),
    overrule=st.booleans(),
)
def test_nothing_clears_bad_weather_or_the_latch(
    minutes: int, weather: Weather | None, latch: str | None, overrule: bool
) -> None:
    """At no time, whatever the owner overrules."""
    unsafe = latch is not None or (weather is not None and bad_weather(weather, LIMITS))
    result = check(
        M81,
        NIGHT.replace(hour=12) + dt.timedelta(minutes=minutes),
        site=BERLIN,
        limits=LIMITS,
        weather=weather,
        unsafe_reason=latch,
        overrule=overrule,
    )
    if unsafe:
        assert isinstance(result, Refusal)
        assert result.rule in {Rule.LATCH, Rule.WEATHER}
    else:
        assert isinstance(result, Clear) or result.rule not in {Rule.LATCH, Rule.WEATHER}


@settings(max_examples=150, deadline=None)
@given(
    work=WORK,
    minutes=MINUTES,
    altitude_room=st.floats(-3, 3),
    horizon_room=st.none() | st.floats(-3, 3),
    sun_room=st.none() | st.floats(-10, 10),
    sun_altitude_deg=st.sampled_from([-12.0, 90.0, math.nan]),
    overrule=st.booleans(),
)
def test_nothing_clears_an_unsafe_sky(
    work: PlannedItem,
    minutes: int,
    altitude_room: float,
    horizon_room: float | None,
    sun_room: float | None,
    sun_altitude_deg: float,
    overrule: bool,
) -> None:
    """No Clear below the limit or the trees, near the Sun or by day, to the exposure's end.

    The limits are drawn near to what they are held against, where a rule could err.
    """
    now = NIGHT.replace(hour=12) + dt.timedelta(minutes=minutes)
    altitude, azimuth = altitude_azimuth_deg(now, work.ra_deg, work.dec_deg, BERLIN)
    sun_now = SkyOverSite([now], BERLIN).sun
    trees = 0.0 if horizon_room is None else min(90.0, max(0.0, altitude - horizon_room))
    distance = float(separation_deg(work.ra_deg, work.dec_deg, sun_now.ra_deg, sun_now.dec_deg)[0])  # type: ignore[index]
    limits = replace(
        LIMITS,
        min_altitude_deg=max(0.0, altitude - altitude_room),
        horizon=HorizonMask.read([[trees, azimuth], [0, (azimuth + 90) % 360]]),
        sun_distance_deg=0.0 if sun_room is None else max(0.0, distance - sun_room),
        sun_altitude_deg=sun_altitude_deg,
        moon_distance_deg=0.0,
    )
    result = check(work, now, site=BERLIN, limits=limits, overrule=overrule)
    if isinstance(result, Refusal):
        assert result.sentence.endswith(".")
        assert result.hard or not overrule
        return
    for at in (now, now + dt.timedelta(seconds=work.exposure_s)):
        altitude, azimuth = altitude_azimuth_deg(at, work.ra_deg, work.dec_deg, BERLIN)
        sun = SkyOverSite([at], BERLIN).sun
        away = separation_deg(work.ra_deg, work.dec_deg, sun.ra_deg, sun.dec_deg)
        assert altitude >= limits.min_altitude_deg - 1e-6
        assert altitude >= float(limits.horizon.altitude_deg(azimuth)) - 1e-3
        assert away >= limits.sun_distance_deg - 1e-6
        assert sun.altitude_deg[0] < -0.83
        assert overrule or sun.altitude_deg[0] <= limits.sun_altitude_deg


@settings(max_examples=25, deadline=None)
@given(work=WORK, minutes=MINUTES)
def test_told_instant_is_the_first_that_is_possible(work: PlannedItem, minutes: int) -> None:
    """Then it may be observed, and a little before it may not."""
    now = NIGHT.replace(hour=12) + dt.timedelta(minutes=minutes)
    result = check(work, now, site=BERLIN, limits=LIMITS)
    if isinstance(result, Refusal) and result.when_possible is not None:
        assert result.when_possible > now
        assert may(work, result.when_possible)
        before = result.when_possible - dt.timedelta(seconds=1.5)
        assert before <= now or not may(work, before)

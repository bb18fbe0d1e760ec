"""A simulated weather station with a safety monitor."""

import math
from dataclasses import dataclass

from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import Weather
from boundless_skies.node.devices.errors import DeviceUnreachable
from boundless_skies.simulation.script import Script, Trouble

_MAG_PER_FACTOR_10 = 2.5
_WARMEST_HOUR_UTC = 14.0
_HOURS = 24.0
_CLEAR_SKY_COLDER_C = 25.0
_RAIN_HUMIDITY_PCT = 98.0


@dataclass(frozen=True, kw_only=True)
class Climate:
    """The weather where nothing befalls it.

    Attributes
    ----------
    mean_c, swing_c : float
        The day's mean temperature, and how far it goes above and below that, degrees Celsius.
    humidity_pct : float
        Relative humidity, percent.
    wind_m_s : float
        Metres per second.
    gusts : float
        How much stronger the gusts are than the wind, as a factor.
    unsafe_wind_m_s : float
        From which gusts on the safety monitor says unsafe, metres per second.
    """

    mean_c: float = 10.0
    swing_c: float = 5.0
    humidity_pct: float = 55.0
    wind_m_s: float = 2.0
    gusts: float = 1.5
    unsafe_wind_m_s: float = 15.0


class SimulatedWeather:
    """A weather station; see :class:`~boundless_skies.node.devices.capabilities.CanSense`.

    Parameters
    ----------
    clock : Clock
        Tells the time.
    script : Script, optional
        What befalls it.
    climate : Climate, optional
        The weather beside that.
    """

    def __init__(
        self, clock: Clock, *, script: Script | None = None, climate: Climate | None = None
    ) -> None:
        self._clock = clock
        self._script = script or Script()
        self._climate = climate or Climate()

    def sense(self) -> Weather:
        """Return what is measured now."""
        now = self._clock.now()
        if self._script.on(Trouble.WEATHER_SILENT, now):
            raise DeviceUnreachable("The weather station does not answer.", device="weather")
        rain_mm_h = self._script.strength(Trouble.RAIN, now)
        wind_m_s = max(self._climate.wind_m_s, self._script.strength(Trouble.WIND, now))
        gust_m_s = wind_m_s * self._climate.gusts
        covered = 1.0 if rain_mm_h else _covered(self._script.strength(Trouble.CLOUDS, now))
        humidity_pct = _RAIN_HUMIDITY_PCT if rain_mm_h else self._climate.humidity_pct
        temperature_c = self._temperature_c()
        return Weather(
            is_safe=not rain_mm_h and gust_m_s < self._climate.unsafe_wind_m_s,
            cloud_cover_pct=100.0 * covered,
            rain_rate_mm_h=rain_mm_h,
            humidity_pct=humidity_pct,
            wind_speed_m_s=wind_m_s,
            wind_gust_m_s=gust_m_s,
            temperature_c=temperature_c,
            dew_point_c=_dew_point_c(temperature_c, humidity_pct),
            sky_temperature_c=temperature_c - _CLEAR_SKY_COLDER_C * (1.0 - covered),
        )

    def _temperature_c(self) -> float:
        now = self._clock.now()
        hour = now.hour + now.minute / 60.0 + now.second / 3600.0
        turn = 2.0 * math.pi * (hour - _WARMEST_HOUR_UTC) / _HOURS
        return self._climate.mean_c + self._climate.swing_c * math.cos(turn)


def _covered(clouds_mag: float) -> float:
    """Return the part of the light that clouds take, which a sensor takes for their cover."""
    return float(1.0 - 10.0 ** (-clouds_mag / _MAG_PER_FACTOR_10))


def _dew_point_c(temperature_c: float, humidity_pct: float) -> float:
    """Return the dew point (Magnus formula, constants of Alduchov and Eskridge 1996)."""
    b, c = 17.625, 243.04
    gamma = math.log(humidity_pct / 100.0) + b * temperature_c / (c + temperature_c)
    return c * gamma / (b - gamma)

"""A weather station and a safety monitor that speak Alpaca."""

from boundless_skies.node.devices.alpaca.calls import Server
from boundless_skies.node.devices.alpaca.device import CLIENT_ERRORS, NOT_IMPLEMENTED, AlpacaDevice
from boundless_skies.node.devices.capabilities import Weather
from boundless_skies.node.devices.errors import DeviceRefused, DeviceUnreachable

# Units as ASCOM's ObservingConditions has them; its skybrightness is lux, and not used.
_SENSORS = {
    "cloud_cover_pct": "cloudcover",
    "rain_rate_mm_h": "rainrate",
    "humidity_pct": "humidity",
    "wind_speed_m_s": "windspeed",
    "wind_gust_m_s": "windgust",
    "temperature_c": "temperature",
    "dew_point_c": "dewpoint",
    "sky_temperature_c": "skytemperature",
    "sky_brightness_mag_arcsec2": "skyquality",
}


class AlpacaWeather:
    """What watches the weather on an Alpaca server; see :class:`~..capabilities.CanSense`.

    Parameters
    ----------
    server : Server
        Where it is.
    station : int or None
        The weather station's number among the server's observing conditions; None without.
    monitor : int or None
        The number of the safety monitor; None without.
    """

    def __init__(self, server: Server, station: int | None, monitor: int | None) -> None:
        self.devices: list[AlpacaDevice] = []
        self._station = self._monitor = None
        if station is not None:
            self._station = AlpacaDevice(server, "observingconditions", station, "weather station")
            self.devices.append(self._station)
        if monitor is not None:
            self._monitor = AlpacaDevice(server, "safetymonitor", monitor, "safety monitor")
            self.devices.append(self._monitor)
        self._absent: set[str] = set()

    def sense(self) -> Weather:
        """Return what is measured now; a field is None where no device measures it."""
        is_safe = None if self._monitor is None else self._monitor.flag("issafe")
        return Weather(is_safe=is_safe, **self._measured())

    def _measured(self) -> dict[str, float | None]:
        if self._station is None:
            return {}
        return {
            field: self._reading(self._station, name)
            for field, name in _SENSORS.items()
            if name not in self._absent
        }

    def _reading(self, station: AlpacaDevice, name: str) -> float | None:
        """Return a sensor's value; None where it has none now. One never built is not asked."""
        try:
            return station.number(name)
        except DeviceRefused as error:
            if error.number == NOT_IMPLEMENTED:
                self._absent.add(name)
            return None
        except DeviceUnreachable as error:
            if error.status not in CLIENT_ERRORS:
                raise
            return None

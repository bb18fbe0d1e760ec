"""What the owner's config says about the night."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boundless_skies.node.schedule.rules import Limits
from boundless_skies.sky import HorizonMask, Site

_S_PER_MIN = 60.0
_OFF = 0.0


@dataclass(frozen=True, kw_only=True)
class NightSettings:
    """How a night is run.

    Attributes
    ----------
    auto_run : bool
        Whether a new plan is carried out without the owner's word.
    confirm_within_s : float
        How long a plan waits for the owner's word, seconds.
    interrupt_exposure_s : float
        Length of each exposure of an interrupt, seconds.
    interrupt_count : int
        How many exposures an interrupt gets.
    centring_tolerance_deg : float
        How far off the middle a target may stand; 0 for no centring.
    centring_exposure_s : float
        Length of the exposures for centring and focusing, seconds.
    focus_every_s : float
        Time between two runs of the autofocus, seconds; 0 for none.
    focus_step : int
        Steps of the focuser between two tries; 0 for a hundredth of its range.
    look_every_s : float
        Time between two looks at the weather and the mount, seconds.
    lost_after_s : float
        How long the mount or the weather may not answer, seconds.
    turn_s : float
        Rest between two looks at the schedule while nothing runs, seconds.
    hear_every_s : float
        Time between two looks for the owner's commands while the telescope is busy, seconds.
    """

    auto_run: bool = False
    confirm_within_s: float = 43_200.0
    interrupt_exposure_s: float = 20.0
    interrupt_count: int = 15
    centring_tolerance_deg: float = 0.05
    centring_exposure_s: float = 5.0
    focus_every_s: float = 3_600.0
    focus_step: int = 0
    look_every_s: float = 10.0
    lost_after_s: float = 60.0
    turn_s: float = 2.0
    hear_every_s: float = 1.0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NightSettings":
        """Read the blocks ``cloud``, ``schedule`` and ``limits``."""
        schedule, limits = config["schedule"], config["limits"]
        return cls(
            auto_run=config["cloud"]["auto_run_plans"],
            confirm_within_s=schedule["confirm_within"] * 3_600.0,
            interrupt_exposure_s=schedule["interrupt_exposure"],
            interrupt_count=schedule["interrupt_count"],
            centring_tolerance_deg=schedule["centring_tolerance"] / 60.0,
            centring_exposure_s=schedule["centring_exposure"],
            focus_every_s=schedule["focus_every"] * _S_PER_MIN,
            focus_step=schedule["focus_step"],
            look_every_s=limits["look_every"],
            lost_after_s=limits["lost_after"],
        )


def limits_of(config: Mapping[str, Any]) -> Limits:
    """Return what the config's block ``limits`` allows.

    Parameters
    ----------
    config : mapping
        The whole config.

    Returns
    -------
    Limits
        A weather limit of 0 in the config means that it does not matter.

    Raises
    ------
    HorizonMaskError
        If the horizon mask cannot be meant.
    """
    limits = config["limits"]
    return Limits(
        min_altitude_deg=limits["min_altitude"],
        horizon=HorizonMask.read(limits["horizon_mask"] or "[]"),
        sun_distance_deg=limits["sun_distance"],
        sun_altitude_deg=limits["sun_altitude"],
        moon_distance_deg=limits["moon_distance"],
        meridian_margin_deg=limits["meridian_margin"] or None,
        rain_rate_max_mm_h=_OFF if limits["stop_at_rain"] else None,
        wind_speed_max_m_s=limits["max_wind"] or None,
        humidity_max_pct=limits["max_humidity"] or None,
        cloud_cover_max_pct=limits["max_cloud_cover"] or None,
    )


def site_of(config: Mapping[str, Any]) -> Site | None:
    """Return where the telescope stands; None where the config does not say."""
    place = config["observatory"]
    if None in (place["latitude"], place["longitude"]):
        return None
    return Site(place["latitude"], place["longitude"], place["elevation"])

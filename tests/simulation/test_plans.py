"""The simulated world's stars, sites, nights and plans."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.schedule.items import read_items
from boundless_skies.simulation.planner import PlannerSettings, plan_night
from boundless_skies.simulation.scenario import StationPlan, evening_of, make_stations
from boundless_skies.simulation.script import Trouble
from boundless_skies.simulation.stars import SWING_MAG, simulated_variables
from boundless_skies.sky import (
    Night,
    Site,
    altitude_azimuth_deg,
    night_around,
    sun_altitude_deg,
)

STARS = simulated_variables(Catalogue.load())
TODAY = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SETTINGS = PlannerSettings()


def stations(count: int = 9, nights: int = 2, seed: int = 3) -> list[StationPlan]:
    """Make some stations."""
    return make_stations(count, nights, seed=seed, today=TODAY, speed=float("inf"))


def test_each_star_varies_around_its_place_in_the_catalogue() -> None:
    """Over a period each goes through its whole range, and back to where it was."""
    assert len(STARS) > 10
    for star in STARS:
        steps = [TODAY + timedelta(days=star.period_d * part / 40.0) for part in range(41)]
        magnitudes = [star.magnitude_at(step) for step in steps]
        assert max(magnitudes) - min(magnitudes) == pytest.approx(2.0 * SWING_MAG, rel=0.02)
        assert magnitudes[0] == pytest.approx(magnitudes[-1], abs=1e-3)
        assert np.mean(magnitudes[:-1]) == pytest.approx(star.mean_mag, abs=1e-3)


def test_world_is_the_same_for_the_same_seed() -> None:
    """Sites, nights and troubles come from the seed alone."""
    assert stations() == stations()
    assert stations(seed=4) != stations()


def test_station_survives_its_way_through_its_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What the world writes for a station's process is read as it was."""
    folder = tmp_path_factory.mktemp("station")
    for plan in stations(3):
        plan.write(folder)
        assert StationPlan.read(folder) == plan


def test_nights_are_dark_apart_and_over() -> None:
    """Each night is the next one's eve, ends before today, and has the Sun well below."""
    for plan in stations(4, nights=3):
        assert plan.nights[-1].ends < TODAY
        evenings = [evening_of(night, plan.site) for night in plan.nights]
        assert evenings == sorted(set(evenings))
        assert len(evenings) == 3
        for night in plan.nights:
            middle = night.begins + (night.ends - night.begins) / 2
            assert sun_altitude_deg(middle, plan.site) < -12.0


def test_each_trouble_befalls_somebody() -> None:
    """With as many stations as troubles none is left out, and all begin at night."""
    made = stations(9, nights=1)
    assert {cue.trouble for plan in made for cue in plan.cues} == set(Trouble)
    for plan in made:
        assert all(plan.nights[0].begins < cue.begins < plan.nights[0].ends for cue in plan.cues)


def test_plan_is_read_by_the_node_as_it_is_meant() -> None:
    """No item is refused; each star stands above the limit in all its time, no two at once."""
    for plan in stations(5, nights=1):
        night = plan.nights[0]
        raw = plan_night(night, plan.site, STARS, np.random.default_rng(1), SETTINGS)
        items, refused = read_items(
            raw, night=evening_of(night, plan.site), received_at=night.begins, zone=UTC
        )
        assert refused == ()
        assert len(items) == SETTINGS.items
        assert len({item.target for item in items}) == SETTINGS.items
        assert [item.start_utc for item in items] == sorted(item.start_utc for item in items)  # type: ignore[type-var]
        for item in items:
            assert (item.exposure_s, item.count) == (SETTINGS.exposure_s, SETTINGS.exposures)
            for instant in (item.start_utc, item.end_utc):
                assert instant is not None
                assert night.begins <= instant <= night.ends
                altitude_deg, _ = altitude_azimuth_deg(
                    instant, item.ra_deg, item.dec_deg, plan.site
                )
                assert altitude_deg >= SETTINGS.least_altitude_deg - 0.01


def test_short_night_gets_what_fits() -> None:
    """A night of an hour has room for fewer stars; a night of minutes for none."""
    site = Site(45.0, 10.0, 0.0)
    night = night_around(TODAY, site, -12.0)
    assert night is not None
    rng = np.random.default_rng(1)
    counts = [
        len(plan_night(Night(night.begins, night.begins + length), site, STARS, rng, SETTINGS))
        for length in (timedelta(minutes=10), SETTINGS.start_after + 1.5 * SETTINGS.slot)
    ]
    assert counts == [0, 1]


def test_far_south_gets_no_star_below_its_horizon() -> None:
    """Where none of the stars stands high enough the plan is empty."""
    site = Site(-75.0, 0.0, 0.0)
    night = Night(TODAY, TODAY + timedelta(hours=8))
    assert plan_night(night, site, STARS, np.random.default_rng(1), SETTINGS) == []

"""What hides a target on the night's picture, in its sentence and in its table."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.node.dashboard.dashboards import NOW, item, running_dashboard

from boundless_skies.node.dashboard.night_chart import night_window
from boundless_skies.node.dashboard.skyline import STEP, Horizon, Stretch, path_of, told_hidden
from boundless_skies.node.schedule.rules import Clear, Limits, check
from boundless_skies.sky import HorizonMask, Site

BERLIN = Site(52.5, 13.4, 0.0)
EVENING = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
MORNING = EVENING + timedelta(hours=10)
SS_UMA = (143.0, 53.0)
RISING = (239.876, 25.92)  # T CrB: in the east before midnight
# A wall to the east, 40° high, that ends in the south-east.
WALL = HorizonMask.read([[0, 0], [40, 50], [40, 130], [0, 131]])


def hidden(
    target: tuple[float, float], horizon: Horizon, begins: datetime = EVENING
) -> list[Stretch]:
    """Return when a target is hidden in the night."""
    path = path_of(*target, EVENING, MORNING, BERLIN, horizon)
    return path.stretches(begins, MORNING)


def test_target_behind_a_wall_is_hidden_until_it_is_above_it() -> None:
    """It stands 40° high where the stretch ends, to the path's own resolution."""
    (one,) = hidden(RISING, Horizon(least_deg=25.0, mask=WALL))
    path = path_of(*RISING, EVENING, MORNING, BERLIN, Horizon(least_deg=25.0, mask=WALL))
    altitude_deg = np.interp(one.ends.timestamp(), path.at_s, path.altitude_deg)
    assert one.begins == EVENING
    assert one.by_mask
    assert altitude_deg == pytest.approx(40.0, abs=0.05)


def test_least_altitude_hides_alone_where_nothing_stands_around() -> None:
    """The stretch ends at 25°, and is laid to no wall."""
    (one,) = hidden(RISING, Horizon(least_deg=25.0))
    path = path_of(*RISING, EVENING, MORNING, BERLIN, Horizon())
    assert not one.by_mask
    assert np.interp(one.ends.timestamp(), path.at_s, path.altitude_deg) == pytest.approx(
        25.0, abs=0.05
    )


def test_free_and_hidden_make_up_the_whole_night() -> None:
    """No instant is both or neither."""
    path = path_of(*RISING, EVENING, MORNING, BERLIN, Horizon(least_deg=25.0, mask=WALL))
    parts = sorted([(s.begins, s.ends) for s in path.stretches(EVENING, MORNING)] + path.free())
    assert parts[0][0] == EVENING
    assert parts[-1][1] == MORNING
    assert all(one[1] == two[0] for one, two in pairwise(parts))


@given(
    st.floats(0, 360, exclude_max=True),
    st.floats(-30, 90),
    st.lists(st.tuples(st.floats(0, 70), st.floats(0, 359)), max_size=8),
    st.integers(0, 599),
)
def test_page_hides_what_the_night_would_refuse(
    ra_deg: float, dec_deg: float, points: list[tuple[float, float]], minute: int
) -> None:
    """At any instant away from the edges the altitude rule says the same as the picture."""
    horizon = Horizon(least_deg=25.0, mask=HorizonMask.read([list(point) for point in points]))
    path = path_of(ra_deg, dec_deg, EVENING, MORNING, BERLIN, horizon)
    at = EVENING + timedelta(minutes=minute)
    near = 2 * STEP.total_seconds()
    margin_deg = (path.altitude_deg - path.limit_deg)[abs(path.at_s - at.timestamp()) <= near]
    if margin_deg.min() < 0.05 and margin_deg.max() > -0.05:
        return  # within a step of an edge of the mask
    seen = any(begins <= at < ends for begins, ends in path.free())
    limits = Limits(
        min_altitude_deg=25.0,
        sun_distance_deg=0.0,
        sun_altitude_deg=0.0,
        moon_distance_deg=0.0,
        horizon=horizon.mask,
    )
    work = item("a", ra_deg, dec_deg, exposure_s=0.01)
    verdict = check(work, at, site=BERLIN, limits=limits)
    assert isinstance(verdict, Clear) == seen


def test_hidden_times_are_told_in_words() -> None:
    """By what, from when to when; what is shorter than a step of the path is left out."""
    ends = EVENING + timedelta(hours=2)
    wall = Stretch(begins=EVENING, ends=EVENING + timedelta(minutes=30), by_mask=True)
    low = Stretch(begins=ends - timedelta(minutes=9), ends=ends, by_mask=False)
    blink = Stretch(begins=ends - timedelta(minutes=1), ends=ends, by_mask=False)
    assert told_hidden([wall, low], EVENING, ends) == (
        "behind what stands around you from 18:00 to 18:30, "
        "below the least altitude from 19:51 to 20:00"
    )
    assert told_hidden([blink], EVENING, ends) == ""
    whole = Stretch(begins=EVENING, ends=ends, by_mask=True)
    assert told_hidden([whole], EVENING, ends) == "behind what stands around you all the time"


def plan_of(target: str, ra_deg: float, dec_deg: float) -> list[object]:
    """Return a plan of one target from midnight to two."""
    midnight = NOW.replace(hour=0, minute=0) + timedelta(days=1)
    return [item(target, ra_deg, dec_deg, midnight, end_utc=midnight + timedelta(hours=2))]


def test_page_draws_the_wall_and_tells_the_same_in_table_and_sentence(tmp_path: Path) -> None:
    """The outline stands under the target's time; the thick line begins where it ends to hide."""
    mask = "[[0, 0], [45, 50], [45, 130], [0, 131]]"
    with running_dashboard(tmp_path, **{"limits.horizon_mask": mask}) as node:
        node.put_plan(items=plan_of("T CrB", *RISING))  # type: ignore[arg-type]
        page = node.get("/").text
    outlines = re.findall(r'<path class="skyline look0" d="M([\d.]+) [\d.]+L([^"]+)Z"/>', page)
    assert len(outlines) == 2  # on a wide and a narrow picture
    told = re.search(r"ehind what stands around you from 00:00 to (\d\d:\d\d)", page)
    assert told is not None
    assert page.count(told[0]) == 2  # in the sentence and in the table
    window = night_window(NOW, BERLIN)
    hour, minute = told[1].split(":")
    until = (NOW + timedelta(days=1)).replace(hour=int(hour), minute=int(minute))
    thick = re.search(r'<path class="observed" d="M([\d.]+) ', page)
    assert thick is not None
    x_px = 34.0 + (980.0 - 8.0 - 34.0) * window.share(until)
    assert float(thick[1]) == pytest.approx(x_px, abs=1.5)
    assert "what stands around, in a target" in page


def test_page_without_a_mask_has_no_outline(tmp_path: Path) -> None:
    """Nor a key to it; a target that is up all the time is told of as before."""
    with running_dashboard(tmp_path) as node:
        node.put_plan(items=plan_of("SS UMa", *SS_UMA))  # type: ignore[arg-type]
        page = node.get("/").text
    assert 'class="skyline' not in page
    assert "what stands around" not in page
    assert "hidden or too low" in page


def test_page_takes_a_mask_that_cannot_be_meant_for_none(tmp_path: Path) -> None:
    """The settings say what is wrong with it; the night is shown all the same."""
    with running_dashboard(tmp_path, **{"limits.horizon_mask": "[[north, 3]]"}) as node:
        node.put_plan()
        page = node.get("/")
    assert page.status == 200
    assert 'class="skyline' not in page.text


def test_night_without_a_place_tells_of_nothing_hidden(tmp_path: Path) -> None:
    """Without a site nobody knows where a target stands."""
    changed = {"observatory.latitude": None, "limits.horizon_mask": "[[80, 0]]"}
    with running_dashboard(tmp_path, **changed) as node:
        node.put_plan()
        page = node.get("/")
    assert page.status == 200
    assert "stands around you" not in page.text

"""What a new plan changes, and how high its items stand through the night."""

import datetime as dt
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.node.schedule.changes import ChangeKind, ItemChange, plan_changes
from boundless_skies.node.schedule.courses import night_courses
from boundless_skies.node.schedule.work import PlannedItem
from boundless_skies.sky import HorizonMask, Site, altitude_azimuth_deg, night_around

START = dt.datetime(2026, 3, 1, 21, 30, tzinfo=dt.UTC)
BERLIN = Site(52.52, 13.4, 40.0)
SS_CYG = PlannedItem(
    item_id="item-1", target="SS Cyg", ra_deg=325.677, dec_deg=43.586, exposure_s=10.0, count=60
)
R_LEO = replace(SS_CYG, item_id="item-2", target="R Leo", ra_deg=146.889, dec_deg=11.429)
T_CRB = replace(SS_CYG, item_id="item-3", target="T CrB", ra_deg=239.876, dec_deg=25.92)


def told(changes: tuple[ItemChange, ...]) -> list[tuple[ChangeKind, str]]:
    """Return kind and sentence of each change."""
    return [(change.kind, change.sentence) for change in changes]


def test_same_plan_changes_nothing() -> None:
    """Each item is the same, without a word."""
    assert told(plan_changes([SS_CYG, R_LEO], [SS_CYG, R_LEO])) == [(ChangeKind.SAME, "")] * 2


def test_added_removed_and_changed_are_told() -> None:
    """With the new value first."""
    later = replace(SS_CYG, count=30, start_utc=START, filter="V")
    words = (
        "SS Cyg: starts at 2026-03-01T21:30Z instead of at any time; "
        "30 × 10 s instead of 60 × 10 s; filter V instead of no filter named."
    )
    assert told(plan_changes([SS_CYG, R_LEO], [later, T_CRB])) == [
        (ChangeKind.CHANGED, words),
        (ChangeKind.ADDED, "T CrB is new: starts at any time, 60 × 10 s."),
        (ChangeKind.REMOVED, "R Leo is no longer in the plan."),
    ]


def test_ids_that_are_numbered_anew_do_not_mislead() -> None:
    """An item put before the others moves their numbers, and is the only change."""
    renumbered = [
        replace(T_CRB, item_id="item-1"),
        replace(SS_CYG, item_id="item-2"),
        replace(R_LEO, item_id="item-3"),
    ]
    changes = plan_changes([SS_CYG, R_LEO], renumbered)
    assert [change.kind for change in changes] == [
        ChangeKind.ADDED,
        ChangeKind.SAME,
        ChangeKind.SAME,
    ]


def test_another_spelling_is_the_same_star() -> None:
    """By its name's key, or by its place."""
    spelled = [replace(SS_CYG, target="ss_cygni"), replace(R_LEO, target="HD 84748")]
    changes = plan_changes([SS_CYG, R_LEO], spelled)
    assert [change.kind for change in changes] == [ChangeKind.SAME, ChangeKind.SAME]


def test_item_that_moved_in_the_order_is_told_alone() -> None:
    """Those that it passed stay where they are."""
    changes = plan_changes([SS_CYG, R_LEO, T_CRB], [T_CRB, SS_CYG, R_LEO])
    assert told(changes)[0] == (
        ChangeKind.CHANGED,
        "T CrB: it stands at another place in the order.",
    )
    assert [change.kind for change in changes[1:]] == [ChangeKind.SAME, ChangeKind.SAME]


def test_two_items_of_one_star_keep_their_ids() -> None:
    """The one that is left is not taken for the other."""
    again = replace(SS_CYG, item_id="item-9", count=5)
    changes = plan_changes([SS_CYG, again], [again])
    assert [(change.kind, change.before) for change in changes] == [
        (ChangeKind.SAME, again),
        (ChangeKind.REMOVED, SS_CYG),
    ]


PLAN = st.lists(st.sampled_from([SS_CYG, R_LEO, T_CRB, replace(SS_CYG, item_id="x")]), max_size=5)


@given(before=PLAN, after=PLAN)
def test_every_item_is_told_once(before: list[PlannedItem], after: list[PlannedItem]) -> None:
    """Of both plans, whatever they have in common."""
    changes = plan_changes(before, after)
    olds = [change.before for change in changes if change.before]
    news = [change.after for change in changes if change.after]
    assert news == after
    assert Counter(id(old) for old in olds) == Counter(id(old) for old in before)
    assert all((change.kind is ChangeKind.SAME) == (not change.sentence) for change in changes)


def test_course_is_what_the_sky_says() -> None:
    """At the night's begin, middle and end; hidden where the wood is higher."""
    night = night_around(START, BERLIN, -12.0)
    assert night is not None
    wood = HorizonMask.read([[20, 0], [60, 90], [20, 180], [20, 270]])
    courses = night_courses([SS_CYG, R_LEO], night, BERLIN, min_altitude_deg=25.0, horizon=wood)
    assert (courses.instants[0], courses.instants[-1]) == (night.begins, night.ends)
    assert [course.target for course in courses.items] == ["SS Cyg", "R Leo"]
    leo = courses.items[1]
    for place in (0, len(courses.instants) // 2, -1):
        altitude, azimuth = altitude_azimuth_deg(
            courses.instants[place], R_LEO.ra_deg, R_LEO.dec_deg, BERLIN
        )
        assert leo.altitude_deg[place] == pytest.approx(altitude, abs=1e-6)
        assert leo.free[place] == (altitude >= max(25.0, float(wood.altitude_deg(azimuth))))
    assert {True, False} == set(leo.free.tolist())
    assert np.all(courses.sun_altitude_deg < -11.99)
    assert courses.moon_illuminated == pytest.approx(0.98, abs=0.03)

"""Interrupts in the midst of a plan."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.nights import HIGH, SETTINGS, NightWorld, at, item, trouble

from boundless_skies.node.schedule.states import Command, Step
from boundless_skies.node.schedule.work import ExposureState
from boundless_skies.simulation.script import Trouble


def interrupt(number: int = 7, **more: Any) -> dict[str, Any]:
    """Return an interrupt as the cloud sends it, toward a high place."""
    place = {"ra_deg": 60.0, "dec_deg": 75.0, "expires_at": at(23).isoformat()}
    return {"id": number, "name": "AT 2026abc", "reason": "A nova?", **place, **more}


def test_interrupt_waits_for_the_exposure_and_the_plan_goes_on_after_it(tmp_path: Path) -> None:
    """Not one frame is lost, and the plan's item begins its next number afterwards."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=6, exposure_s=300.0)])
    world.run(at(21), [(at(20, 8), lambda: world.desk.take_interrupt(interrupt()))])
    assert world.steps() == {"a": Step.DONE, "7": Step.DONE}
    assert world.numbers("a") == list(range(1, 7))
    assert world.numbers("7") == list(range(1, SETTINGS.interrupt_count + 1))
    assert world.told("a") == ["running", "preempted", "running", "done"]
    assert world.told("7") == ["running", "done"]
    assert "AT 2026abc goes first" in world.events("a")[1].reason
    lengths = [shot.exposure_s for shot in world.camera.shots]
    assert lengths == [300.0] * 2 + [SETTINGS.interrupt_exposure_s] * 15 + [300.0] * 4


def test_item_that_no_longer_fits_after_an_interrupt_is_told_skipped(tmp_path: Path) -> None:
    """With how many of its exposures were taken."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=6, end_utc=at(20, 10)), item("b", start_utc=at(20, 10))])
    world.run(at(20, 30), [(at(20, 3), lambda: world.desk.take_interrupt(interrupt()))])
    assert world.steps() == {"a": Step.SKIPPED, "b": Step.DONE, "7": Step.DONE}
    assert world.numbers("a")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"expires_at": at(20, 4).isoformat()}, "2026-03-01T20:04Z"),
        ({"ra_deg": 180.0, "dec_deg": -70.0}, "altitude"),
        ({"ra_deg": None, "ra": None}, "ra is missing"),
        ({"dec_deg": "nowhere"}, "must be a number"),
        ({"expires_at": "soon"}, "must be a time"),
        ({"name": ""}, "name is missing"),
    ],
)
def test_interrupt_that_cannot_be_done_is_declined_with_the_reason(
    tmp_path: Path, given: dict[str, Any], word: str
) -> None:
    """The cloud is told once, and the plan is not disturbed."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=6)])

    def arrive() -> None:
        assert world.desk.take_interrupt(interrupt() | given)
        assert not world.desk.take_interrupt(interrupt() | given | {"redelivered": True})

    world.run(at(20, 20), [(at(20, 5), arrive)])
    assert world.told("7") == ["skipped"]
    assert word in world.events("7")[0].reason
    assert world.told("a") == ["running", "done"]
    assert world.numbers("a") == list(range(1, 7))


def test_interrupt_that_rises_later_is_observed_then(tmp_path: Path) -> None:
    """Until then the plan goes on."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=20)])
    # Arcturus' field passes 25° in the course of the evening.
    later = interrupt(ra_deg=213.9, dec_deg=19.2)
    world.run(at(23), [(at(20, 3), lambda: world.desk.take_interrupt(later))])
    assert world.steps() == {"a": Step.DONE, "7": Step.DONE}
    assert world.told("a") == ["running", "done"]
    assert world.events("7")[0].at > at(20, 30)


def test_interrupt_under_the_latch_waits_and_is_declined_at_its_end(tmp_path: Path) -> None:
    """An unsafe stop holds for interrupts too; the cloud hears when it is too late."""
    rain = trouble(Trouble.RAIN, at(20, 2), 600)
    world = NightWorld(tmp_path, at(20), script=[rain])
    world.plan([item("a", count=20)])
    urgent = interrupt(expires_at=at(20, 30).isoformat())
    world.run(at(20, 40), [(at(20, 10), lambda: world.desk.take_interrupt(urgent))])
    assert world.told("7") == ["skipped"]
    assert "unsafe" in world.events("7")[0].reason
    assert not world.track.unparked_between(at(20, 5), at(20, 40))


def test_interrupt_alone_moves_the_telescope_and_parks_it_again(tmp_path: Path) -> None:
    """Without any plan."""
    world = NightWorld(tmp_path, at(20))
    world.run(at(20, 30), [(at(20, 5), lambda: world.desk.take_interrupt(interrupt()))])
    assert world.steps() == {"7": Step.DONE}
    assert not world.track.unparked_between(at(20, 15), at(20, 30))


def test_interrupt_that_comes_in_the_morning_waits_for_the_evening(tmp_path: Path) -> None:
    """Without an end of its own it is meant for the coming night."""
    world = NightWorld(tmp_path, at(9))
    world.desk.take_interrupt(interrupt(expires_at=None))
    world.run(at(19))
    assert world.steps() == {"7": Step.DONE}


def test_second_interrupt_waits_for_the_first(tmp_path: Path) -> None:
    """One does not tear the other away."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=4)])
    deeds = [
        (at(20, 2), lambda: world.desk.take_interrupt(interrupt(7))),
        (at(20, 4), lambda: world.desk.take_interrupt(interrupt(8))),
    ]
    world.run(at(20, 40), deeds)
    assert world.told("7") == world.told("8") == ["running", "done"]
    assert world.events("8")[0].at >= world.events("7")[1].at
    assert world.saved() == {"a": 4, "7": 15, "8": 15}


def test_owner_skips_an_interrupt(tmp_path: Path) -> None:
    """The plan's item goes on."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=4)])
    deeds = [
        (at(20, 1), lambda: world.desk.take_interrupt(interrupt())),
        (at(20, 4), lambda: world.owner.ask(Command.SKIP, world.work("7").id)),
    ]
    world.run(at(20, 20), deeds)
    assert world.steps() == {"a": Step.DONE, "7": Step.SKIPPED}
    assert len(world.numbers("7", ExposureState.LOST)) <= 1
    assert world.events("7")[-1].reason == "skipped by the owner"


def test_interrupt_with_an_items_name_keeps_its_own_frames(tmp_path: Path) -> None:
    """A plan may call an item by the same number and target."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("7", count=15, exposure_s=20.0) | HIGH])
    same = interrupt(name=HIGH["target"])
    world.run(at(20, 40), [(at(20, 2), lambda: world.desk.take_interrupt(same))])
    assert len(list(world.frames.glob("*.fits"))) == 30

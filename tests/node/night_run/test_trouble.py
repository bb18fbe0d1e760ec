"""What befalls a night: clouds, rain, wind, devices that fall silent or fail, a full disk."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.nights import HIGH, SETTINGS, NightWorld, at, item, trouble

from boundless_skies.node.devices.errors import DeviceRefused
from boundless_skies.node.schedule.settings import NightSettings
from boundless_skies.node.schedule.states import Command, PlanState, Step
from boundless_skies.node.schedule.work import ExposureState
from boundless_skies.node.storage.schedule import ScheduleError
from boundless_skies.simulation.script import Trouble

LOST_AFTER_S = SETTINGS.lost_after_s


def test_clouds_put_work_off_until_they_are_gone(tmp_path: Path) -> None:
    """The telescope waits parked under clouds, and goes on with the next number after them."""
    clouds = trouble(Trouble.CLOUDS, at(20, 10), 1_800, strength=5.0)
    world = NightWorld(tmp_path, at(20), script=[clouds])
    world.plan([item("a", count=20, start_utc=at(20), end_utc=at(23))])
    world.run(at(21, 30))
    assert world.steps() == {"a": Step.DONE}
    assert world.numbers("a") == list(range(1, 21))
    assert world.told("a") == ["running", "preempted", "running", "done"]
    assert "cloud cover" in world.events("a")[1].reason
    under = [s for s in world.track.samples if at(20, 20) <= s.at < at(20, 40)]
    assert all(sample.parked for sample in under)
    assert world.store.latch() is None


def test_clouds_past_an_items_end_skip_it_at_its_end(tmp_path: Path) -> None:
    """The cloud hears at the item's end, and of the clouds, not when they are gone hours later."""
    clouds = trouble(Trouble.CLOUDS, at(20, 10), 4 * 3_600, strength=5.0)
    world = NightWorld(tmp_path, at(20), script=[clouds])
    world.plan([item("a", count=60, start_utc=at(20), end_utc=at(21))])
    world.run(at(22))
    assert world.steps() == {"a": Step.SKIPPED}
    last = world.events("a")[-1]
    assert "cloud cover" in last.reason
    assert abs(last.at - at(21)) <= timedelta(seconds=120)
    assert world.store.newest_plan().state is PlanState.FINISHED  # type: ignore[union-attr]


def test_rain_stops_the_night_until_the_owner_lets_it_go_on(tmp_path: Path) -> None:
    """Rain parks and latches; dry weather alone moves nothing; then what fits is observed."""
    rain = trouble(Trouble.RAIN, at(20, 10), 600)
    world = NightWorld(tmp_path, at(20), script=[rain])
    world.plan(
        [
            item("a", count=20, start_utc=at(20), end_utc=at(23)),
            item("b", count=3, start_utc=at(20, 30), end_utc=at(21)),
        ]
    )
    resume = (at(22), lambda: world.owner.ask(Command.RESUME_AFTER_UNSAFE))
    world.run(at(23), [resume])
    assert world.steps() == {"a": Step.DONE, "b": Step.SKIPPED}
    assert not world.track.unparked_between(at(20, 12), at(22))
    assert len(world.numbers("a", ExposureState.LOST)) == 1
    assert len(world.numbers("a")) == 19
    assert "unsafe" in world.events("a")[1].reason
    assert world.told("a") == ["running", "preempted", "running", "done"]
    assert abs(world.events("b")[-1].at - at(21)) <= timedelta(seconds=120)
    assert "unsafe" in world.events("b")[-1].reason
    assert world.store.latch() is None


def test_owner_who_lets_it_go_on_in_the_rain_moves_nothing(tmp_path: Path) -> None:
    """The owner's word clears the latch, not the weather."""
    rain = trouble(Trouble.RAIN, at(20, 10), 3_600)
    world = NightWorld(tmp_path, at(20), script=[rain])
    world.plan([item("a", count=20)])
    resume = (at(20, 30), lambda: world.owner.ask(Command.RESUME_AFTER_UNSAFE))
    world.run(at(21, 5), [resume])
    assert not world.track.unparked_between(at(20, 12), at(21, 5))
    assert world.steps() == {"a": Step.PREEMPTED}


def test_plan_that_the_rain_ended_is_not_run_a_night_late(tmp_path: Path) -> None:
    """Items without an end of their own end with the night that they were meant for."""
    world = NightWorld(tmp_path, at(2), script=[trouble(Trouble.RAIN, at(2, 10), 600)])
    world.plan([item("a", count=30, start_utc=at(2))])
    deeds = [
        (at(14), lambda: world.owner.ask(Command.RESUME_AFTER_UNSAFE)),
    ]
    world.run(at(21), deeds)
    assert world.steps() == {"a": Step.SKIPPED}
    assert not world.track.unparked_between(at(2, 12), at(21))
    assert abs(world.events("a")[-1].at - at(4, 50)) < timedelta(hours=1)


def test_rain_at_the_start_waits_and_latches_nothing(tmp_path: Path) -> None:
    """Nothing has moved, so that there is nothing to stop: the night begins when it is dry."""
    rain = trouble(Trouble.RAIN, at(19), 2 * 3_600)
    world = NightWorld(tmp_path, at(20), script=[rain])
    world.plan([item("a")])
    world.run(at(21, 30))
    assert not world.track.unparked_between(at(20), at(21))
    assert world.steps() == {"a": Step.DONE}


def test_gusts_stop_the_night(tmp_path: Path) -> None:
    """Wind is held against the limit in its gusts too."""
    wind = trouble(Trouble.WIND, at(20, 10), 600, strength=9.0)
    world = NightWorld(tmp_path, at(20), script=[wind])
    world.plan([item("a", count=30)])
    world.run(at(20, 30))
    assert "gusts" in (world.store.unsafe_reason() or "")
    assert world.is_parked()


def test_weather_station_that_falls_silent_stops_the_night(tmp_path: Path) -> None:
    """Not to know the weather is no good weather; a short silence is waited for."""
    short = trouble(Trouble.WEATHER_SILENT, at(20, 5), LOST_AFTER_S / 2)
    long = trouble(Trouble.WEATHER_SILENT, at(20, 15), 2 * 3_600)
    world = NightWorld(tmp_path, at(20), script=[short, long])
    world.plan([item("a", count=30)])
    world.run(at(20, 30))
    assert "weather station" in (world.store.unsafe_reason() or "")
    assert world.store.latch().at >= at(20, 15) + timedelta(seconds=LOST_AFTER_S)  # type: ignore[union-attr]
    assert not world.track.unparked_between(at(20, 19), at(20, 30))


def test_nothing_moves_before_the_weather_station_has_answered(tmp_path: Path) -> None:
    """A station that is silent from the start might hide a storm."""
    silent = trouble(Trouble.WEATHER_SILENT, at(19), 3_600 + 30)
    world = NightWorld(tmp_path, at(20), script=[silent])
    world.plan([item("a")])
    world.run(at(20, 20))
    assert not world.track.unparked_between(at(20), at(20, 0))
    first = next(sample.at for sample in world.track.samples if not sample.parked)
    assert first >= silent.ends
    assert world.steps() == {"a": Step.DONE}
    assert world.store.latch() is None


def test_mount_that_is_silent_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    """It goes on following the sky, and so does the exposure."""
    silent = trouble(Trouble.MOUNT_SILENT, at(20, 5), LOST_AFTER_S / 2)
    world = NightWorld(tmp_path, at(20), script=[silent])
    world.plan([item("a", count=20)])
    world.run(at(20, 45))
    assert world.numbers("a") == list(range(1, 21))
    assert world.told("a") == ["running", "done"]


def test_mount_that_stays_silent_stops_the_night_and_is_parked_once_it_answers(
    tmp_path: Path,
) -> None:
    """The latch is set after the limit, and the mount is parked as soon as that is possible."""
    silent = trouble(Trouble.MOUNT_SILENT, at(20, 5), 1_200)
    world = NightWorld(tmp_path, at(20), script=[silent])
    world.plan([item("a", count=60)])
    world.run(at(21))
    assert "mount" in (world.store.unsafe_reason() or "")
    assert world.steps() == {"a": Step.PREEMPTED}
    assert not world.track.unparked_between(silent.ends + timedelta(minutes=2), at(21))


def test_slew_to_a_silent_mount_is_tried_again(tmp_path: Path) -> None:
    """A call that did not arrive leaves the work open; nothing of it is used up."""
    silent = trouble(Trouble.MOUNT_SILENT, at(20, 0), LOST_AFTER_S / 2)
    world = NightWorld(tmp_path, at(20), script=[silent])
    world.plan([item("a")])
    world.run(at(20, 20))
    assert world.numbers("a") == [1, 2]
    assert world.told("a")[-1] == "done"


def test_silent_camera_puts_work_off_and_lets_no_mount_run_on(tmp_path: Path) -> None:
    """The mount stands still soon, and the item goes on once the camera answers."""
    silent = trouble(Trouble.CAMERA_SILENT, at(20, 10), 1_200)
    world = NightWorld(tmp_path, at(20), script=[silent])
    world.plan([item("a", count=20)])
    world.run(at(21, 15))
    assert world.steps() == {"a": Step.DONE}
    lost = world.numbers("a", ExposureState.LOST)
    assert lost
    assert len(world.numbers("a")) == 20 - len(lost)
    dark = [s for s in world.track.samples if at(20, 12) <= s.at <= at(20, 29)]
    following_s = sum(sample.follows and not sample.parked for sample in dark) / len(dark)
    assert following_s < 0.5


def test_one_failed_exposure_is_lost_and_the_item_goes_on(tmp_path: Path) -> None:
    """Its number is used up, and the reason of the end tells it."""
    fault = trouble(Trouble.CAMERA_FAULT, at(20, 5), 60)
    world = NightWorld(tmp_path, at(20), script=[fault])
    world.plan([item("a", count=10)])
    world.run(at(20, 30))
    assert world.steps() == {"a": Step.DONE}
    lost = world.numbers("a", ExposureState.LOST)
    assert 1 <= len(lost) <= 2
    assert world.work("a").reason == f"{len(lost)} of 10 exposures were lost."


def test_camera_that_fails_each_time_fails_the_item_and_not_the_night(tmp_path: Path) -> None:
    """After some failures in a row the next item is tried."""
    fault = trouble(Trouble.CAMERA_FAULT, at(20), 600)
    world = NightWorld(tmp_path, at(20), script=[fault])
    world.plan([item("a", count=20), item("b", start_utc=at(20, 15))])
    world.run(at(20, 30))
    assert world.steps() == {"a": Step.FAILED, "b": Step.DONE}
    assert "in a row failed" in world.events("a")[-1].reason


def test_camera_fault_while_centring_costs_the_centring_alone(tmp_path: Path) -> None:
    """The target is observed where the mount believes it to be."""
    fault = trouble(Trouble.CAMERA_FAULT, at(20), 90)
    world = NightWorld(tmp_path, at(20), script=[fault], sees=True)
    world.plan([item("a")])
    world.run(at(20, 20))
    assert world.steps() == {"a": Step.DONE}
    assert world.camera.shots[0].came == "DeviceRefused"


def test_full_disk_leaves_no_mount_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the schedule cannot be written the telescope is parked; with room it goes on."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=20)])

    def full(*_: object, **__: object) -> bool:
        raise ScheduleError("the disk is full")

    def fill() -> None:
        for name in ("begin_exposure", "save_exposure", "lose_exposure", "advance", "unsafe"):
            monkeypatch.setattr(world.store, name, full)

    world.run(at(21, 10), [(at(20, 10), fill), (at(20, 40), monkeypatch.undo)])
    assert not world.track.unparked_between(at(20, 12), at(20, 40))
    assert world.numbers("a") == list(range(1, 21))
    assert world.camera.images() == 20


def test_dawn_parks_and_skips_what_did_not_fit(tmp_path: Path) -> None:
    """The last exposure ends before the Sun is too high."""
    world = NightWorld(tmp_path, at(3, 30, day=2))
    world.plan([item("a", count=10_000, exposure_s=300.0)], night="2026-03-01")
    world.run(at(6, day=2))
    assert world.steps() == {"a": Step.SKIPPED}
    reason = world.work("a").reason
    assert reason.startswith(f"{world.work('a').taken} of 10000 exposures were taken.")
    assert not world.numbers("a", ExposureState.LOST)
    assert not world.track.unparked_between(at(5, day=2), at(6, day=2))


def test_target_that_sinks_is_left_in_time(tmp_path: Path) -> None:
    """No exposure ends below the limit."""
    world = NightWorld(tmp_path, at(19))
    # Sinks through 25° in the evening.
    world.plan([item("a", count=500, ra=2.0, dec=20.0), item("b", start_utc=at(19))])
    world.run(at(21, 30))
    assert world.steps() == {"a": Step.SKIPPED, "b": Step.DONE}
    assert "altitude" in world.work("a").reason
    assert world.numbers("a")


def test_telescope_that_this_node_never_moved_is_left_alone(tmp_path: Path) -> None:
    """Neither rain nor the node's stop parks what its owner moves by another program."""
    rain = trouble(Trouble.RAIN, at(20, 10), 600)
    world = NightWorld(tmp_path, at(20), script=[rain], parked=False)
    world.run(at(20, 30))
    assert not world.is_parked()
    assert not world.track.has_moved()
    assert world.store.latch() is None


def test_unexpected_trouble_latches_and_parks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours stops the night, and is not repeated all night long."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=20)])

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    breaks = (at(20, 10), lambda: monkeypatch.setattr(world.camera, "expose", broken))
    world.run(at(20, 30), [breaks])
    assert "unexpected" in (world.store.unsafe_reason() or "")
    assert not world.track.unparked_between(at(20, 15), at(20, 30))


@pytest.mark.parametrize("focus_every_s", [0.0, 3_600.0])
def test_centred_night_takes_its_frames_in_focus_and_in_the_middle(
    tmp_path: Path, focus_every_s: float
) -> None:
    """With a mount that points beside its goal the frames show the target all the same."""
    settings = NightSettings(
        auto_run=True, turn_s=30.0, hear_every_s=10.0, focus_every_s=focus_every_s
    )
    world = NightWorld(tmp_path, at(20), settings=settings, sees=True)
    world.plan([item("a")])
    world.run(at(20, 20))
    assert world.steps() == {"a": Step.DONE}
    following = [s for s in world.track.samples if s.follows and not s.moves]
    last = following[-1]
    assert abs(last.dec_deg - HIGH["dec"]) < settings.centring_tolerance_deg  # type: ignore[operator]
    assert (len(world.camera.shots) > 9) == bool(focus_every_s)


def test_mount_that_refuses_to_abort_is_parked_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver may say no where nothing moves."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a")])

    def refuse() -> None:
        raise DeviceRefused("Nothing moves.", device="mount")

    monkeypatch.setattr(world.simulated.mount, "abort", refuse)
    world.run(at(20, 20))
    assert world.is_parked()


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "words"),
    [(340.0, -8.0, "near the Sun"), (180.0, -60.0, "below the limit")],
)
def test_track_that_leads_astray_is_noticed(
    tmp_path: Path, ra_deg: float, dec_deg: float, words: str
) -> None:
    """What each of these tests holds the mount to does hold it."""
    world = NightWorld(tmp_path, at(20))
    world.simulated.mount.unpark()
    world.simulated.mount._rest, world.simulated.mount._tracking = (ra_deg, dec_deg), True
    world.track.look()
    with pytest.raises(AssertionError, match=words):
        world.assert_sound()


def test_rain_on_a_full_disk_latches_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop is not forgotten because it could not be written down at once."""
    world = NightWorld(tmp_path, at(20), script=[trouble(Trouble.RAIN, at(20, 10), 300)])
    world.plan([item("a", count=30, exposure_s=600.0)])

    def full(*_: object, **__: object) -> bool:
        raise ScheduleError("the disk is full")

    def fill() -> None:
        for name in ("begin_exposure", "save_exposure", "lose_exposure", "advance", "unsafe"):
            monkeypatch.setattr(world.store, name, full)

    world.run(at(20, 45), [(at(20, 9), fill), (at(20, 25), monkeypatch.undo)])
    assert "unsafe" in (world.store.unsafe_reason() or "")
    assert not world.track.unparked_between(at(20, 13), at(20, 45))


def test_trouble_while_parking_is_no_end_of_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that nobody thought of."""
    world = NightWorld(tmp_path, at(20))
    world.plan([item("a", count=20)])
    mount, park = world.simulated.mount, world.simulated.mount.park
    left = [0] * 3

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    def hard_park(stop: threading.Event) -> None:
        if left:
            left.pop()
            raise ZeroDivisionError
        park(stop)

    def break_all() -> None:
        monkeypatch.setattr(world.camera, "expose", broken)
        monkeypatch.setattr(mount, "park", hard_park)

    world.run(at(20, 30), [(at(20, 10), break_all)])
    assert not left
    assert not world.track.unparked_between(at(20, 15), at(20, 30))

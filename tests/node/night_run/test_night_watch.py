"""From a telescope that is not there yet, or is another's, to a schedule that runs on it."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.nights import NightWorld, at, item

from boundless_skies.node.clock import SystemClock
from boundless_skies.node.devices.capabilities import Telescope
from boundless_skies.node.devices.errors import DeviceUnreachable
from boundless_skies.node.errors import NodeError
from boundless_skies.node.schedule.states import Step
from boundless_skies.node.services.night_watch import NightWatch
from boundless_skies.node.services.runner import ScheduleRunner
from boundless_skies.node.services.watchdog import TelescopeBusy, Watchdog, WatchdogMissing


class FakeWatchdog:
    """A watchdog that meets some trouble before it has the telescope."""

    def __init__(self, troubles: Sequence[NodeError]) -> None:
        self._troubles = list(troubles)
        self.beats = 0
        self.said: list[str] = []

    def start(self, stop: threading.Event) -> bool:
        """Take the telescope, or meet the next trouble."""
        if self._troubles:
            raise self._troubles.pop(0)
        self.said.append("taken")
        return not stop.is_set()

    def beat(self) -> None:
        """Count."""
        self.beats += 1

    def close(self) -> None:
        """Say goodbye."""
        self.said.append("goodbye")


def watch_over(world: NightWorld, troubles: Sequence[NodeError], watchdog: FakeWatchdog) -> None:
    """Let the world's runner be a night watch that connects after some troubles."""
    left = list(troubles)

    def connect() -> Telescope:
        if left:
            raise left.pop(0)
        return world.telescope

    def make_runner(_: Telescope, on_tick: Callable[[], None]) -> ScheduleRunner:
        return world.make_runner(on_tick)

    world.runner = cast(
        "ScheduleRunner",
        NightWatch(
            connect=connect,
            make_runner=make_runner,
            make_watchdog=lambda _: cast("Watchdog", watchdog),
            clock=world.clock,
        ),
    )


def test_telescope_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    """It is looked for until it is there; meanwhile the facts say why nothing happens."""
    world, watchdog = NightWorld(tmp_path, at(20)), FakeWatchdog([])
    world.plan([item("a")])
    watch_over(world, [DeviceUnreachable("No telescope answers.")] * 8, watchdog)
    seen: list[dict[str, Any]] = []
    world.run(at(20, 15), [(at(20, 1), lambda: seen.append(world.runner.facts()))])
    assert seen[0]["state"] == "unreachable"
    assert seen[0]["doing"] == "No telescope answers. Trying again."
    assert world.steps() == {"a": Step.DONE}
    assert watchdog.said == ["taken", "goodbye"]
    assert watchdog.beats > 10


@pytest.mark.parametrize("trouble", [TelescopeBusy, WatchdogMissing])
def test_telescope_that_another_still_parks_is_taken_once_it_is_free(
    tmp_path: Path, trouble: type[NodeError]
) -> None:
    """A night is not lost because the first try was too early; nothing moves until then."""
    world = NightWorld(tmp_path, at(20))
    watchdog = FakeWatchdog([trouble("Not yet.")] * 20)
    world.plan([item("a")])
    watch_over(world, [], watchdog)
    seen: list[dict[str, Any]] = []
    world.run(at(20, 15), [(at(20, 3), lambda: seen.append(world.runner.facts()))])
    assert "Not yet." in seen[0]["doing"]
    assert not world.track.unparked_between(at(20), at(20, 4))
    assert world.steps() == {"a": Step.DONE}


def test_folder_that_takes_no_lock_is_told_and_nothing_moves(tmp_path: Path) -> None:
    """As on a disk that can only be read."""
    watchdog = Watchdog("127.0.0.1:9", 0, tmp_path / "gone", SystemClock())
    with pytest.raises(WatchdogMissing, match="gone"):
        watchdog.start(threading.Event())

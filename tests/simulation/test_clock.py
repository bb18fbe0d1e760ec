"""The clock that leaps."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boundless_skies.simulation import clock as clock_module
from boundless_skies.simulation.clock import FastClock

DUSK = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
NEVER = Event()
NIGHT_S = 36_000.0


def run(clock: FastClock, *works: Callable[[], object]) -> None:
    """Let each of these be done by a thread of its own, and wait for all."""
    threads = [clock.thread(work, name=f"worker-{place}") for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    end(*threads)


def end(*threads: Thread) -> None:
    """Wait for threads, which must end."""
    for thread in threads:
        thread.join(20.0)
        assert not thread.is_alive()


def test_night_passes_at_once() -> None:
    """A sleep takes no longer than a leap, and the clock shows its end."""
    clock = FastClock(DUSK)
    clock.sleep(NIGHT_S, NEVER)
    assert clock.now() == DUSK + timedelta(hours=10)
    assert clock.monotonic() == NIGHT_S


def test_set_stop_ends_no_time() -> None:
    """Who is asked to stop does not sleep at all."""
    clock, stop = FastClock(DUSK), Event()
    stop.set()
    clock.sleep(NIGHT_S, stop)
    assert clock.now() == DUSK


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.0]), min_size=1, max_size=6),
        min_size=1,
        max_size=5,
    )
)
@settings(deadline=None, max_examples=40)
def test_sleepers_wake_as_in_a_simulation_by_hand(pauses: list[list[float]]) -> None:
    """Each waits exactly as long as it asked, instants never go back, the end is the longest."""
    clock = FastClock(DUSK)
    seen: list[tuple[float, int]] = []

    def work(place: int) -> None:
        expected = 0.0
        for pause in pauses[place]:
            clock.sleep(pause, NEVER)
            expected += pause
            assert clock.monotonic() == expected
            seen.append((expected, place))

    run(clock, *[lambda place=place: work(place) for place in range(len(pauses))])
    assert [at for at, _ in seen] == sorted(at for at, _ in seen)
    assert len(seen) == sum(map(len, pauses))
    assert clock.monotonic() == max(map(sum, pauses))


def test_same_work_gives_the_same_course_every_time() -> None:
    """Threads that share instants take turns, in the same order in each run."""

    def course() -> list[str]:
        clock = FastClock(DUSK)
        told: list[str] = []

        def work(name: str, pause_s: float) -> None:
            for _ in range(12):
                clock.sleep(pause_s, NEVER)
                told.append(f"{name} {clock.monotonic():g}")

        names = {"mount": 3.0, "guard": 1.0, "camera": 2.0}
        # Each starts in a turn of its own: which thread the system lets run first is chance.
        run(
            clock,
            *[
                lambda n=name, p=pause, k=k: (clock.sleep(k * 0.1, NEVER), work(n, p))
                for k, (name, pause) in enumerate(names.items())
            ],
        )
        return told

    first = course()
    assert len(first) == 36
    assert all(course() == first for _ in range(5))


def test_time_waits_for_work() -> None:
    """While one works, nobody's sleep ends, however long the work takes."""
    clock = FastClock(DUSK)
    shown: list[float] = []
    other_slept = Event()

    def works() -> None:
        clock.sleep(1.0, NEVER)
        assert not other_slept.wait(0.2)
        shown.append(clock.monotonic())

    def sleeps() -> None:
        clock.sleep(2.0, NEVER)
        other_slept.set()

    run(clock, works, sleeps)
    assert shown == [1.0]
    assert other_slept.is_set()


def test_stop_wakes_at_the_instant_it_is_set() -> None:
    """A sleeper that is told to stop wakes before time goes on."""
    clock, stop = FastClock(DUSK), Event()
    woke: list[float] = []

    def sleeps() -> None:
        clock.sleep(NIGHT_S, stop)
        woke.append(clock.monotonic())

    def stops() -> None:
        clock.sleep(5.0, NEVER)
        stop.set()
        clock.sleep(1.0, NEVER)

    run(clock, sleeps, stops)
    assert woke == [5.0]
    assert clock.monotonic() == 6.0


def test_who_stops_a_thread_may_wait_for_its_end() -> None:
    """A stop and a join from a thread that takes part do not lock each other up."""
    clock, stop = FastClock(DUSK), Event()
    guard = clock.thread(lambda: clock.sleep(NIGHT_S, stop), name="guard")

    def runs() -> None:
        guard.start()
        clock.sleep(3.0, NEVER)
        stop.set()
        end(guard)

    run(clock, runs)
    assert clock.monotonic() == 3.0


def test_time_goes_on_for_others_outside() -> None:
    """A thread that waits for another one lets time pass, and holds it again afterwards."""
    clock, done = FastClock(DUSK), Event()
    shown: list[float] = []

    def waits() -> None:
        with clock.outside():
            assert done.wait(20.0)
        clock.sleep(1.0, NEVER)
        shown.append(clock.monotonic())

    def works() -> None:
        clock.sleep(60.0, NEVER)
        done.set()

    run(clock, waits, works)
    assert len(shown) == 1
    assert shown[0] >= 61.0


def test_thread_that_dies_holds_nobody_up() -> None:
    """An unknown thread that slept once and ended is not waited for."""
    clock = FastClock(DUSK)
    stranger = Thread(target=clock.sleep, args=(1.0, NEVER))
    stranger.start()
    stranger.join(20.0)
    clock.sleep(1.0, NEVER)
    assert clock.monotonic() == 2.0


def test_maker_looks_on_unless_it_takes_part() -> None:
    """The maker's work holds no time up; inside ``taking_part`` it does."""
    clock, stop = FastClock(DUSK), Event()
    ticks: list[float] = []

    def ticking() -> None:
        while not stop.is_set():
            clock.sleep(1.0, stop)
            ticks.append(clock.monotonic())

    thread = clock.thread(ticking, name="ticking")
    with clock.taking_part():
        thread.start()
        clock.sleep(10.5, NEVER)
        held = list(ticks)
        time.sleep(0.1)
        assert ticks == held == [float(second) for second in range(1, 11)]
    while len(ticks) < 50:  # on its own it now runs ahead
        time.sleep(0.001)
    stop.set()
    end(thread)


def test_sleep_for_ever_ends_by_a_stop_alone() -> None:
    """Nothing leaps to an instant that never comes."""
    clock, stop = FastClock(DUSK), Event()
    thread = clock.thread(lambda: clock.sleep(float("inf"), stop), name="for ever")
    thread.start()
    clock.sleep(4.0, NEVER)
    assert thread.is_alive()
    stop.set()
    end(thread)
    assert clock.monotonic() == 4.0


def test_speed_bounds_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a speed, so many seconds take their part of a real one at least."""
    looks = count()
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(monotonic=lambda: 0.01 * next(looks)))
    clock = FastClock(DUSK, speed=1000.0)
    for _ in range(20):
        clock.sleep(50.0, NEVER)
    assert clock.monotonic() == 1000.0
    assert 0.01 * next(looks) >= 1.0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_speed_must_lead_somewhere(speed: float) -> None:
    """Time cannot stand still or go back."""
    with pytest.raises(ValueError, match="must be above 0"):
        FastClock(DUSK, speed=speed)


def test_leaps_are_told() -> None:
    """Whoever keeps the time for later hears of each leap, and of nothing else."""
    leaps: list[float] = []
    clock = FastClock(DUSK, on_leap=leaps.append)
    for pause in (2.0, 0.0, 3.0):
        clock.sleep(pause, NEVER)
    assert leaps == [2.0, 5.0]


def test_standstill_names_who_holds_time_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that never sleeps on the clock is named, once, instead of a silent hang."""
    monkeypatch.setattr(clock_module, "_PATIENCE_S", 0.05)
    clock, done = FastClock(DUSK), Event()
    busy = clock.thread(lambda: done.wait(20.0), name="busy-with-something-else")
    busy.start()
    sleeper = clock.thread(lambda: clock.sleep(1.0, NEVER), name="sleeper")
    with caplog.at_level(logging.WARNING):
        sleeper.start()
        while not caplog.records:
            time.sleep(0.005)
        time.sleep(0.1)
    done.set()
    end(busy, sleeper)
    assert [record.getMessage().split("waits for ")[1] for record in caplog.records] == [
        "busy-with-something-else."
    ]


def test_many_threads_in_haste_lose_no_wake_up() -> None:
    """A crowd of threads with stops from outside ends; each instant is one that was asked for."""
    clock, stop = FastClock(DUSK), Event()
    counts = [0] * 8

    def hurries(place: int) -> None:
        while not stop.is_set():
            clock.sleep(0.25 * (place + 1), stop)
            counts[place] += 1

    threads = [
        clock.thread(lambda place=place: hurries(place), name=f"hurry-{place}")
        for place in range(8)
    ]
    for thread in threads:
        thread.start()
    while clock.monotonic() < 500.0:
        time.sleep(0.001)
    stop.set()
    end(*threads)
    assert clock.monotonic() % 0.25 == 0.0
    assert counts[0] == pytest.approx(clock.monotonic() / 0.25, abs=1)
    assert threading.active_count() < 50

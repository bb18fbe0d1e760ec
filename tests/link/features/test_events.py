"""What became of plans and interrupts: kept on disk, told in order, counted once."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, Request, wait_until
from tests.support.disks import SmallDisk, small_disk
from tests.support.feature_cloud import FeatureCloud
from tests.support.links import BEAT, INTERRUPTS, PLAN, Links, free_port

from boundless_skies.wire import ItemState
from boundless_skies.wire.features import PLAN_EVENTS
from cloud_communicator import CloudCommunicator, InvalidEvent
from cloud_communicator.disk import Ledger
from cloud_communicator.events import CAP, FILES

NAMES = ("p-1", "p-2")
LOST_REPLY = Answer(close=True, raw=b"")


def path_of(plan_id: str) -> str:
    """Return where a plan's events go."""
    return f"{PLAN}/{plan_id}/events"


def event(number: int, state: str = "done", **more: Any) -> dict[str, Any]:
    """Return an event that is told from others by its number."""
    at = f"2026-03-01T21:00:00.{number % 1000:03d}Z"
    return {
        "event_id": f"e-{number}",
        "item_id": f"item-{number}",
        "state": state,
        "reason": "",
        "at": at,
        **more,
    }


def events(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return so many events."""
    return [event(number) for number in range(first, first + count)]


def told(server: CaptureServer, path: str) -> list[list[str]]:
    """Return for each call on a path the ids of its events, in order."""
    return [[one["event_id"] for one in r.json()["events"]] for r in server.to(path)]


def event_calls(server: CaptureServer) -> list[str]:
    """Return the paths of all calls that told events."""
    return [r.path for r in list(server.requests) if r.path.endswith("/events")]


def ids(count: int, first: int = 0) -> list[str]:
    """Return the ids of `events`."""
    return [one["event_id"] for one in events(count, first)]


def beat(link: CloudCommunicator, times: int = 1) -> None:
    """Let the heartbeat's thread do its work here and now."""
    for _ in range(times):
        link._heartbeat_tick(threading.Event())


def on_disk(folder: Path) -> list[str]:
    """Return the ids in the queue's file, which must be a JSON array for everybody."""
    path = folder / FILES.queue
    found = json.loads(path.read_bytes()) if path.exists() else []
    return [one["event"]["event_id"] for one in found]


def in_ledger(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the records of a ledger."""
    return Ledger(folder / name).records()


@pytest.fixture(autouse=True)
def _takes_events(cloud: FeatureCloud) -> None:
    """Let the cloud say that it takes events; waiting for interrupts would only be noise."""
    cloud.features = [PLAN_EVENTS]


# -- what is kept -------------------------------------------------------------------------


def test_events_are_on_disk_before_the_report_returns(links: Links) -> None:
    """With nobody to tell them to, and no call made for it."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    assert link.report_events("p-1", events(3)) is True
    assert link.report_interrupt_events(7, [event(9, item_id=None)]) is True
    assert on_disk(links.folder) == [*ids(3), "e-9"]
    assert link.status["queued_events"] == 4
    assert link.status["error"] is None


def test_events_of_an_earlier_run_are_told(server: CaptureServer, links: Links) -> None:
    """After a restart, at the first beat that goes well."""
    links.make(f"http://127.0.0.1:{free_port()}").report_events("p-1", events(3))
    link = links.make(server.url)
    assert link.status["queued_events"] == 3
    beat(link)
    assert told(server, path_of("p-1")) == [ids(3)]
    assert server.to(path_of("p-1"))[0].json()["events"] == events(3)
    assert (on_disk(links.folder), link.status["queued_events"]) == ([], 0)


def test_an_event_that_waits_is_not_kept_twice(links: Links) -> None:
    """A program that was killed in between hands the same ones over again."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    link.report_events("p-1", events(3))
    link.report_events("p-1", [*events(5), *events(2)])
    assert on_disk(links.folder) == ids(5)


def test_datetimes_and_states_become_text(server: CaptureServer, links: Links) -> None:
    """And what is not told is filled in: the time is now, the reason empty."""
    link = links.make(server.url)
    when = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)
    now = datetime.now(UTC)
    reported = now.replace(microsecond=now.microsecond // 1000 * 1000)
    link.report_events(
        "p-1",
        [
            {"event_id": "a", "state": ItemState.RUNNING, "at": when, "reason": " too\nlow\x00 "},
            {"event_id": "b", "state": "done", "frames": 7, "reason": "x" * 5_000},
        ],
    )
    beat(link)
    first, second = server.to(path_of("p-1"))[0].json()["events"]
    assert datetime.fromisoformat(first.pop("at")) == when
    assert first == {"event_id": "a", "state": "running", "item_id": None, "reason": "too low"}
    assert reported <= datetime.fromisoformat(second["at"]) <= datetime.now(UTC)
    assert (second["frames"], len(second["reason"])) == (7, 2_000)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("done", "events[1] must be a dict"),
        ({"state": "done"}, "events[1].event_id is None"),
        (event(1, event_id=""), "events[1].event_id"),
        (event(1, event_id="x" * 201), "events[1].event_id"),
        (event(1, event_id="a\nb"), "events[1].event_id"),
        (event(1, state="lost"), "events[1].state is 'lost'; one of accepted"),
        (event(1, state=["done"]), "events[1].state"),
        (event(1, item_id=7), "events[1].item_id is 7"),
        (event(1, reason=7), "events[1].reason is 7"),
        (event(1, at=1.5), "events[1].at is 1.5"),
        (event(1, snr=float("nan")), "events[1].snr"),
        (event(1, frames="x" * 30_000), "events[1] is over 20000 bytes"),
    ],
)
def test_what_is_no_event_is_refused_at_the_call(links: Links, wrong: Any, hint: str) -> None:
    """By name; and none of its company is kept."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(InvalidEvent) as caught:
        link.report_events("p-1", [event(0), wrong])
    assert hint in str(caught.value)
    assert on_disk(links.folder) == []


@pytest.mark.parametrize("subject", ["", None, True, 1.5])
def test_a_plan_has_a_name(links: Links, subject: Any) -> None:
    """Without one nobody could tell what is meant."""
    with pytest.raises(InvalidEvent):
        links.make(f"http://127.0.0.1:{free_port()}").report_events(subject, events(1))


def test_disabled_link_keeps_no_events(links: Links) -> None:
    """As if the class were never used."""
    link = links.make("http://127.0.0.1:9", enabled=False)
    assert link.report_events("p-1", events(1)) is False
    assert not links.folder.exists()


# -- when and how it is told --------------------------------------------------------------


def test_events_go_in_batches_of_500_a_plan_in_order(server: CaptureServer, links: Links) -> None:
    """Those of an interrupt apart, under its id."""
    link = links.make(server.url, heartbeat_interval=60)
    link.report_events("p-1", events(400))
    link.report_events("p-2", events(3, 1_000))
    link.report_interrupt_events(7, [event(2_000, item_id=None)])
    link.report_events("p-1", events(300, 400))
    beat(link)
    first, second = told(server, path_of("p-1"))
    assert (len(first), first + second) == (500, ids(700))
    assert told(server, path_of("p-2")) == [ids(3, 1_000)]
    assert told(server, f"{INTERRUPTS}/7/events") == [["e-2000"]]
    assert link.status["queued_events"] == 0


def test_long_events_are_split_under_the_clouds_limit(server: CaptureServer, links: Links) -> None:
    """A request stays under half a megabyte."""
    link = links.make(server.url, heartbeat_interval=60)
    link.report_events("p-1", [event(n, reason="x" * 2_000) for n in range(450)])
    beat(link)
    assert max(len(request.body) for request in server.to(path_of("p-1"))) < 500_000
    assert sum(told(server, path_of("p-1")), []) == ids(450)  # noqa: RUF017 - a few lists


def test_new_events_are_told_between_two_beats(server: CaptureServer, links: Links) -> None:
    """An hour may lie between beats; what the telescope does is known at once."""
    link = links.started(server.url, heartbeat_interval=3_600)
    wait_until(lambda: link.status["features"])
    for number in range(2):
        link.report_events("p-1", [event(number)])
        wait_until(lambda count=number: len(server.to(path_of("p-1"))) > count)
    assert told(server, path_of("p-1")) == [["e-0"], ["e-1"]]
    assert len(server.to(BEAT)) == 1


def test_beats_keep_their_interval_while_events_come(server: CaptureServer, links: Links) -> None:
    """However much the telescope tells, the node goes on to show that it is alive."""
    link = links.started(server.url, heartbeat_interval=0.4)
    wait_until(lambda: link.status["features"])
    number = 0
    while len(server.to(BEAT)) < 4:
        link.report_events("p-1", [event(number)])
        number += 1
    link.stop()
    arrived = sum(map(len, told(server, path_of("p-1"))))
    assert 0 < arrived <= number


@pytest.mark.parametrize("features", [[], ["measurements.batch"]])
def test_cloud_that_has_not_said_so_is_told_nothing(
    server: CaptureServer, cloud: FeatureCloud, links: Links, features: list[str]
) -> None:
    """Not one call; the events stay on disk for a cloud that will."""
    cloud.features = features
    link = links.make(server.url)
    link.report_events("p-1", events(3))
    beat(link, 3)
    assert event_calls(server) == []
    assert on_disk(links.folder) == ids(3)
    cloud.features = [PLAN_EVENTS]
    beat(link)
    assert told(server, path_of("p-1")) == [ids(3)]


def test_what_nobody_asks_for_stays_bounded(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """Over the cap the oldest go, in order, into a ledger that says why and is counted."""
    cloud.features = []
    link = links.make(server.url)
    link.report_events("p-1", events(CAP))
    link.report_events("p-1", events(3, CAP))
    beat(link)
    assert on_disk(links.folder) == ids(CAP, 3)
    evicted = in_ledger(links.folder, FILES.evicted)
    assert [one["payload"]["event"]["event_id"] for one in evicted] == ids(3)
    assert {one["why"] for one in evicted} == {f"over the cap of {CAP}"}
    assert (link.status["queued_events"], link.status["evicted_events"]) == (CAP, 3)
    assert event_calls(server) == []


def test_events_on_their_way_are_not_evicted_for_new_ones(
    server: CaptureServer, links: Links
) -> None:
    """What the cloud is about to have is not set aside as never told."""

    def answer(_request: Request) -> Answer:
        if len(event_calls(server)) == 1:
            link.report_events("p-1", events(2, 3))
        return Answer()

    server.rules[path_of("p-1")] = answer
    link = links.make(server.url)
    link._events._queue._cap = 3
    link.report_events("p-1", events(3))
    beat(link)
    assert on_disk(links.folder) == ids(2, 3)
    assert in_ledger(links.folder, FILES.evicted) == []


def test_a_ledger_with_a_bound_lets_its_older_half_go(tmp_path: Path) -> None:
    """The newest records are always there, and the file never outgrows its bound by much."""
    ledger = Ledger(tmp_path / "ledger.jsonl", max_bytes=1_000)
    for number in range(300):
        ledger.append({"number": number})
        kept = [record["number"] for record in ledger.records()]
        assert kept == list(range(kept[0], number + 1))
        assert ledger.path.stat().st_size <= 1_000
    assert len(kept) > 20


# -- what goes wrong ----------------------------------------------------------------------


def test_lost_reply_tells_the_same_event_again(server: CaptureServer, links: Links) -> None:
    """The cloud knows it by its id, which never changes."""
    link = links.make(server.url)
    server.rules[path_of("p-1")] = LOST_REPLY
    link.report_events("p-1", events(2))
    beat(link)
    assert on_disk(links.folder) == ids(2)
    server.rules[path_of("p-1")] = Answer()
    link = links.make(server.url)
    beat(link)
    first, *_, last = server.to(path_of("p-1"))
    assert first.json() == last.json()
    assert on_disk(links.folder) == []


def test_after_a_failure_new_events_wait_for_the_next_beat(
    server: CaptureServer, links: Links
) -> None:
    """A cloud in trouble is not asked at every event; and the failure is told until it is over."""
    server.rules[path_of("p-1")] = Answer(500, {"error": "no room"})
    link = links.started(server.url, heartbeat_interval=3_600)
    wait_until(lambda: link.status["features"])
    link.report_events("p-1", [event(0)])
    wait_until(lambda: link.status["error"])
    assert "no room" in link.status["error"]
    for number in range(1, 5):
        link.report_events("p-1", [event(number)])
    link.stop()
    assert told(server, path_of("p-1")) == [["e-0"]]
    server.rules[path_of("p-1")] = Answer()
    beat(link)
    assert told(server, path_of("p-1"))[1:] == [ids(5)]
    assert link.status["error"] is None


def test_one_plan_in_trouble_does_not_hold_up_another(server: CaptureServer, links: Links) -> None:
    """Nor does a later event of a plan overtake an earlier one."""
    server.rules[path_of("p-1")] = Answer(500, {"error": "no room"})
    link = links.make(server.url)
    link.report_events("p-1", events(700))
    link.report_events("p-2", events(2, 1_000))
    beat(link)
    assert told(server, path_of("p-1")) == [ids(500)]
    assert told(server, path_of("p-2")) == [ids(2, 1_000)]


def test_three_plans_in_trouble_end_the_round(server: CaptureServer, links: Links) -> None:
    """A cloud that takes none is not asked about each plan of a month."""
    link = links.make(server.url)
    for number in range(6):
        server.rules[path_of(f"p-{number}")] = Answer(500, {"error": "no room"})
        link.report_events(f"p-{number}", [event(number)])
    beat(link)
    assert event_calls(server) == [path_of(f"p-{number}") for number in range(3)]


def test_pause_that_the_cloud_asks_for_is_kept(server: CaptureServer, links: Links) -> None:
    """No event is told until it is over; beats go on."""
    server.rules[path_of("p-1")] = Answer(429, {"error": "slow down"}, {"Retry-After": "600"})
    link = links.make(server.url)
    link.report_events("p-1", events(1))
    link.report_events("p-2", events(1, 1))
    beat(link, 3)
    assert event_calls(server) == [path_of("p-1")]
    assert len(server.to(BEAT)) == 3


def test_refused_event_is_found_out_and_set_aside(server: CaptureServer, links: Links) -> None:
    """The others of its batch are delivered at once; it goes to a ledger after three beats."""

    def answer(request: Request) -> Answer:
        if any(one["event_id"] == "e-3" for one in request.json()["events"]):
            return Answer(400, {"error": "events[3] is odd"})
        taken.extend(one["event_id"] for one in request.json()["events"])
        return Answer()

    taken: list[str] = []
    server.rules[path_of("p-1")] = answer
    link = links.make(server.url, heartbeat_interval=60)  # time for all the halves, on any machine
    link.report_events("p-1", events(8))
    beat(link)
    assert taken == [one for one in ids(8) if one != "e-3"]
    assert (on_disk(links.folder), link.status["rejected_events"]) == (["e-3"], 0)
    beat(link, 2)
    assert (on_disk(links.folder), link.status["rejected_events"]) == ([], 1)
    (record,) = in_ledger(links.folder, FILES.rejected)
    assert (record["status"], record["reply"]) == (400, "events[3] is odd")
    assert record["payload"] == {"event": event(3), "plan": "p-1"}


def test_plan_that_the_cloud_does_not_know_costs_one_call_a_beat(
    server: CaptureServer, links: Links
) -> None:
    """Its events are set aside after three; those of another plan have arrived long before."""
    server.rules[path_of("p-1")] = Answer(404, {"error": "never given"})
    link = links.make(server.url)
    link.report_events("p-1", events(20))
    link.report_events("p-2", events(2, 100))
    beat(link)
    assert told(server, path_of("p-2")) == [ids(2, 100)]
    beat(link, 4)
    assert told(server, path_of("p-1")) == [ids(20)] * 3
    assert (link.status["queued_events"], link.status["rejected_events"]) == (0, 20)


def test_damaged_file_gives_back_every_whole_event(server: CaptureServer, links: Links) -> None:
    """What cannot be read is put aside and counted."""
    links.make(f"http://127.0.0.1:{free_port()}").report_events("p-1", events(3))
    path = links.folder / FILES.queue
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"e-1"', b'"e-X"'))
    link = links.make(server.url)
    assert link.status["damaged_events"] == 1
    beat(link)
    assert told(server, path_of("p-1")) == [["e-0", "e-2"]]


def test_what_others_wrote_without_a_subject_stays(server: CaptureServer, links: Links) -> None:
    """It cannot be sent anywhere, and holds up nobody."""
    links.folder.mkdir()
    (links.folder / FILES.queue).write_text(json.dumps([{"event": event(0)}, {"event": "x"}]))
    link = links.make(server.url)
    link.report_events("p-1", [event(1)])
    beat(link)
    assert told(server, path_of("p-1")) == [["e-1"]]
    assert link.status["queued_events"] == 2


def test_stop_is_prompt_while_a_call_hangs(server: CaptureServer, links: Links) -> None:
    """The event is still on disk."""
    server.rules[path_of("p-1")] = Answer(delay_s=30)
    link = links.started(server.url, heartbeat_interval=3_600, timeout=60)
    wait_until(lambda: link.status["features"])
    link.report_events("p-1", [event(0)])
    wait_until(lambda: server.to(path_of("p-1")))
    link.stop()
    wait_until(lambda: not any(thread.is_alive() for thread in link._threads), 5)
    assert on_disk(links.folder) == ["e-0"]


# -- a bad disk ---------------------------------------------------------------------------


@pytest.fixture(params=["full", "read-only"])
def bad_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    """Give a disk under the links' folder that refuses to be written, until it is mended."""
    with small_disk(tmp_path / "data", 200_000) as disk:
        if request.param == "full":
            disk.fill()
        else:
            disk.shut(disk.root)
        yield disk


def test_what_the_disk_refuses_is_told_and_kept(links: Links, bad_disk: SmallDisk) -> None:
    """False, so that whoever reports keeps it too; handed over again, it is there once."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    assert link.report_events("p-1", events(2)) is False
    assert "2 events of plans wait in memory" in link.status["error"]
    assert link.report_events("p-1", events(3)) is False
    assert link.status["queued_events"] == 3
    bad_disk.mend()
    assert link.report_events("p-1", events(3)) is True
    assert on_disk(links.folder) == ids(3)
    assert link.status["error"] is None


def test_mended_disk_gets_events_also_while_the_cloud_is_away(
    links: Links, bad_disk: SmallDisk
) -> None:
    """The next beat writes them, though the beat itself fails."""
    link = links.make(f"http://127.0.0.1:{free_port()}")
    link.report_events("p-1", events(2))
    bad_disk.mend()
    beat(link)
    assert on_disk(links.folder) == ids(2)


def test_cloud_gets_events_while_the_disk_is_bad(
    server: CaptureServer, links: Links, bad_disk: SmallDisk
) -> None:
    """Once each."""
    assert bad_disk.root == links.folder
    link = links.make(server.url)
    link.report_events("p-1", events(2))
    beat(link, 2)
    assert told(server, path_of("p-1")) == [ids(2)]
    assert link.status["queued_events"] == 0


# -- which plan it is ---------------------------------------------------------------------


def test_on_plan_finds_the_plans_id_and_night_in_the_status(
    cloud: FeatureCloud, server: CaptureServer, links: Links
) -> None:
    """They are there before the callback, so that it can report events at once."""
    seen: list[Any] = []

    def take(items: list[Any]) -> None:
        seen.append((link.status["last_plan_id"], link.status["last_plan_night"], len(items)))
        accepted = {"event_id": link.status["last_plan_id"], "state": "accepted"}
        link.report_events(link.status["last_plan_id"], [accepted])

    link = links.make(server.url, {"on_plan": take})
    for plan_id, night in zip(NAMES, ("2026-03-01", "2026-03-02"), strict=True):
        cloud.plan = {"plan_id": plan_id, "night": night, "items": [{}]}
        link._plan_tick(threading.Event())
    assert seen == [("p-1", "2026-03-01", 1), ("p-2", "2026-03-02", 1)]
    beat(link)
    assert [told(server, path_of(name)) for name in NAMES] == [[["p-1"]], [["p-2"]]]


@pytest.mark.parametrize("night", [None, 7, "tonight", "x" * 10_000, ["2026-03-01"]])
def test_night_that_is_no_date_is_not_shown(
    cloud: FeatureCloud, server: CaptureServer, links: Links, night: Any
) -> None:
    """An older cloud may not tell it; the plan is taken all the same."""
    link = links.make(server.url)
    cloud.plan = {"plan_id": "p-1", "night": night, "items": []}
    link._plan_tick(threading.Event())
    assert (link.status["last_plan_id"], link.status["last_plan_night"]) == ("p-1", None)
    assert link.status["error"] is None


def test_plan_id_of_any_cloud_is_quoted(server: CaptureServer, links: Links) -> None:
    """It cannot lead to another path."""
    link = links.make(server.url)
    link.report_events("a/../b ?c", events(1))
    beat(link)
    assert event_calls(server) == [f"{PLAN}/a%2F..%2Fb%20%3Fc/events"]

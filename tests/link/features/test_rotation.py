"""A new key: on disk before it is used, and no way to be locked out."""

import json
import logging
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer, Request
from tests.support.disks import small_disk
from tests.support.feature_cloud import NEW_KEY, FeatureCloud
from tests.support.links import BEAT, INTERRUPTS, KEY, NODE_ID, PLAN, REGISTER, Links, cloud_block

from cloud_communicator import CloudCommunicator

STATE = "cloud_state.json"
NEW = {"node_id": "", "api_key": ""}
FIRST_NEW = "sk-new-0000000000000001"


def beat(link: CloudCommunicator, times: int = 1) -> None:
    """Let the heartbeat's thread do its work some times over, here and now."""
    for _ in range(times):
        link._heartbeat_tick(threading.Event())


def saved(folder: Path) -> dict[str, Any]:
    """Return what the state file holds."""
    found: dict[str, Any] = json.loads((folder / STATE).read_text())
    return found


def keep_key(folder: Path) -> None:
    """Put the node's credentials where a registration would have put them."""
    folder.mkdir(parents=True)
    (folder / STATE).write_text(json.dumps({"node_id": NODE_ID, "api_key": KEY}))


def keys_of(requests: list[Request]) -> list[str]:
    """Return the key that each request came with."""
    return [request.headers["x-api-key"] for request in requests]


@pytest.fixture
def link(server: CaptureServer, cloud: FeatureCloud, links: Links) -> CloudCommunicator:
    """Give a link with saved credentials, whose cloud asks for a new key."""
    keep_key(links.folder)
    cloud.asks_for_new_key = True
    return links.make(server.url, **NEW)


# -- as it should go ----------------------------------------------------------------------


def test_new_key_is_saved_before_it_is_used(
    server: CaptureServer, cloud: FeatureCloud, links: Links, link: CloudCommunicator
) -> None:
    """The file holds both keys until the new one has worked, and then the new one."""
    states: list[dict[str, Any]] = []

    def look(request: Request) -> Answer:
        states.append(saved(links.folder))
        return Answer(body={"plan": None}) if cloud._admits(keys_of([request])[0]) else Answer(401)

    server.rules[PLAN] = look
    beat(link)
    (request,) = server.to(NEW_KEY)
    assert (keys_of([request]), request.json()) == ([KEY], {})
    link._plan_tick(threading.Event())
    assert states == [{"node_id": NODE_ID, "api_key": FIRST_NEW, "previous_api_key": KEY}]
    cloud.end_overlap()
    beat(link)
    assert keys_of(server.to(BEAT)) == [KEY, FIRST_NEW]
    assert saved(links.folder) == {"node_id": NODE_ID, "api_key": FIRST_NEW}
    assert stat.S_IMODE((links.folder / STATE).stat().st_mode) == 0o600
    assert link.status["error"] is None


def test_new_key_is_used_by_a_later_start(
    server: CaptureServer, cloud: FeatureCloud, links: Links, link: CloudCommunicator
) -> None:
    """It is the node's own from then on."""
    beat(link, 2)
    cloud.end_overlap()
    again = links.make(server.url, **NEW)
    beat(again)
    assert again.status["last_heartbeat_ok"] is True
    assert server.to(REGISTER) == []


@pytest.mark.parametrize("asked", [1, "true", None, [], False])
def test_what_is_no_clear_request_changes_nothing(
    server: CaptureServer, cloud: FeatureCloud, link: CloudCommunicator, asked: Any
) -> None:
    """Only true is true."""
    server.rules[BEAT] = Answer(body={"features": cloud.features, "rotate_key": asked})
    beat(link)
    assert server.to(NEW_KEY) == []


def test_cloud_without_the_feature_is_not_asked(
    server: CaptureServer, cloud: FeatureCloud, link: CloudCommunicator
) -> None:
    """It has not said that it can."""
    cloud.features = ["measurements.batch"]
    beat(link)
    assert server.to(NEW_KEY) == []


# -- bad luck -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(raw=b""),
        Answer(404),
        Answer(500),
        Answer(200, b"<html>"),
        Answer(200, b""),
        Answer(200, {}),
        *(Answer(200, {"api_key": key}) for key in (None, 7, "", "two words", "ключ", "k" * 600)),
    ],
    ids=lambda answer: f"{answer.status} {answer.body}"[:30],
)
def test_failed_rotation_leaves_the_present_key_and_is_tried_again(
    server: CaptureServer,
    cloud: FeatureCloud,
    links: Links,
    link: CloudCommunicator,
    answer: Answer,
) -> None:
    """It is told, the node goes on, and the next beat brings the new key."""
    server.rules[NEW_KEY] = answer
    beat(link)
    assert link.status["error"]
    assert saved(links.folder) == {"node_id": NODE_ID, "api_key": KEY}
    server.rules[NEW_KEY] = cloud._new_key
    beat(link, 2)
    assert keys_of(server.to(BEAT))[-1] == FIRST_NEW
    assert link.status["error"] is None


def test_lost_reply_costs_nothing(
    server: CaptureServer, cloud: FeatureCloud, links: Links, link: CloudCommunicator
) -> None:
    """The cloud made a key that the node never saw; the next one is as good."""

    def lose(request: Request) -> Answer:
        cloud._new_key(request)
        return Answer(raw=b"")

    server.rules[NEW_KEY] = lose
    beat(link)
    server.rules[NEW_KEY] = cloud._new_key
    beat(link, 2)
    cloud.end_overlap()
    beat(link)
    assert link.status["last_heartbeat_ok"] is True
    assert saved(links.folder)["api_key"] == cloud.keys[0]


def test_full_disk_leaves_the_present_key(
    server: CaptureServer, cloud: FeatureCloud, tmp_path: Path
) -> None:
    """It is told what to do; with room again the new key comes."""
    with small_disk(tmp_path / "disk", 200_000) as disk:
        keep_key(disk.root / "data")
        cloud.asks_for_new_key = True
        link = CloudCommunicator({"cloud": cloud_block(server.url, disk.root / "data", **NEW)})
        disk.fill()
        beat(link, 2)
        assert keys_of(server.to(BEAT)) == [KEY, KEY]
        assert "new key cannot be saved" in link.status["error"]
        assert saved(disk.root / "data")["api_key"] == KEY
        disk.free()
        beat(link, 2)
        assert keys_of(server.to(BEAT))[-1] == cloud.keys[0] != KEY
        assert link.status["error"] is None


def test_new_key_that_is_refused_gives_way_to_the_previous_one(
    server: CaptureServer, cloud: FeatureCloud, links: Links, link: CloudCommunicator
) -> None:
    """A cloud that was restored from a backup knows only that; and it may ask again."""
    beat(link)
    cloud.pending = None
    cloud.asks_for_new_key = False
    beat(link)
    assert (link.status["last_heartbeat_ok"], server.to(REGISTER)) == (False, [])
    assert "other one" in link.status["error"]
    beat(link)
    assert (link.status["last_heartbeat_ok"], link.status["error"]) == (True, None)
    assert keys_of(server.to(BEAT)) == [KEY, FIRST_NEW, KEY]
    assert saved(links.folder)["previous_api_key"] == KEY
    cloud.asks_for_new_key = True
    beat(link, 2)
    cloud.end_overlap()
    beat(link)
    assert link.status["last_heartbeat_ok"] is True
    assert saved(links.folder) == {"node_id": NODE_ID, "api_key": cloud.keys[0]}


def test_key_that_was_refused_by_mistake_is_not_forgotten(
    server: CaptureServer, cloud: FeatureCloud, links: Links, link: CloudCommunicator
) -> None:
    """The new key was taken, its reply lost, and a proxy said no: both keys are still there."""
    beat(link)
    guarded = server.rules[BEAT]

    def lose(request: Request) -> Answer:
        cloud._admits(keys_of([request])[0])
        return Answer(401, b"<html>who are you?</html>")

    server.rules[BEAT] = lose
    beat(link)
    server.rules[BEAT] = guarded
    beat(link)
    assert keys_of(server.to(BEAT)) == [KEY, FIRST_NEW, KEY]
    cloud.end_overlap()
    beat(link, 2)
    assert keys_of(server.to(BEAT))[-1] == FIRST_NEW
    assert link.status["last_heartbeat_ok"] is True
    beat(link)
    assert saved(links.folder) == {"node_id": NODE_ID, "api_key": FIRST_NEW}


@pytest.mark.parametrize("previous", [None, 7, "", "two words", ["k"]])
def test_unusable_previous_key_is_passed_over(
    server: CaptureServer, links: Links, previous: Any
) -> None:
    """A 401 is then what it always was."""
    keep_key(links.folder)
    state = {**saved(links.folder), "previous_api_key": previous}
    (links.folder / STATE).write_text(json.dumps(state))
    server.rules[BEAT] = Answer(401)
    link = links.make(server.url, **NEW)
    beat(link, 2)
    assert keys_of(server.to(BEAT)) == [KEY, KEY]
    assert "cloud.api_key" in link.status["error"]


# -- a key that the link cannot change ----------------------------------------------------


@pytest.mark.parametrize("name", ["cloud.api_key", "BOUNDLESS_API_KEY"])
def test_key_from_elsewhere_is_not_replaced(
    server: CaptureServer,
    cloud: FeatureCloud,
    links: Links,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """The owner is told where it stands and what to do, once in the log."""
    cloud.asks_for_new_key = True
    if name == "BOUNDLESS_API_KEY":
        monkeypatch.setenv(name, KEY)
    explicit = {} if name == "cloud.api_key" else {"api_key": ""}
    link = links.make(server.url, **explicit)
    beat(link, 3)
    assert server.to(NEW_KEY) == []
    assert name in link.status["error"]
    assert caplog.text.count(name) == 1
    cloud.asks_for_new_key = False
    beat(link)
    assert link.status["error"] is None


# -- secrets ------------------------------------------------------------------------------


def test_no_key_shows_anywhere(
    server: CaptureServer,
    cloud: FeatureCloud,
    links: Links,
    link: CloudCommunicator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever the cloud says back: not in the log, the status, a repr, or another file."""

    def echo(_request: Request) -> Answer:
        return Answer(401, {"error": f"{KEY} or {cloud.pending or cloud.keys}"})

    with caplog.at_level(logging.DEBUG):
        beat(link)
        for path in (PLAN, INTERRUPTS, BEAT):
            server.rules[path] = echo
        for _ in range(3):
            beat(link)
            link._plan_tick(threading.Event())
    shown = [caplog.text, repr(link.status), repr(link), repr(link._identity), repr(vars(link))]
    shown += [p.read_text() for p in links.folder.glob("*") if p.name != STATE]
    for text in shown:
        assert KEY not in text
        assert FIRST_NEW not in text


@pytest.mark.parametrize("path", [NEW_KEY, REGISTER])
@pytest.mark.parametrize(
    "body",
    [
        b'{"node_id": "n", "api_key": "sk-secret-1", ',
        b"{'node_id': 'n', 'api_key': 'sk-secret-1'}",
        b"api_key=sk-secret-1&node_id=n",
        b"X-Api-Key: sk-secret-1",
        b'["api_key", {"api_key" : "sk-secret-1"}]',
        b'{"ok": false, "api_key": "sk-secret-1"}',
    ],
)
def test_key_in_a_reply_that_cannot_be_read_is_not_shown(
    server: CaptureServer,
    link: CloudCommunicator,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: bytes,
) -> None:
    """A key that the link could not take over is a secret all the same."""
    server.rules[path] = Answer(200, body)
    if path == REGISTER:
        link._identity.api_key = ""
    with caplog.at_level(logging.DEBUG):
        beat(link)
    assert link.status["error"]
    assert "sk-secret" not in link.status["error"] + caplog.text


# -- killed at any moment -----------------------------------------------------------------

_KILLED = """
import json, os, signal, sys
from threading import Event
from cloud_communicator import CloudCommunicator
from cloud_communicator.identity import Identity

left = int(sys.argv[2])
killing = False

def guarded(name):
    call = getattr(os, name)
    def guard(*args, **options):
        global left
        left -= killing
        if killing and left == 0:
            if name == "pwrite":
                call(args[0], bytes(args[1])[: len(args[1]) // 2], args[2])
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **options)
    return guard

for name in ("open", "pwrite", "fsync", "close", "replace", "unlink"):
    setattr(os, name, guarded(name))

def rotate(self, reply, whole=Identity.rotate):
    global killing
    killing = True
    whole(self, reply)

Identity.rotate = rotate
link = CloudCommunicator(json.loads(sys.argv[1]))
link._heartbeat_tick(Event())
link._heartbeat_tick(Event())
print("lived")
"""


def killed_at(call: int, server: CaptureServer, folder: Path) -> bool:
    """Let a node take a new key and kill it -9 before its n-th call to the disk."""
    config = json.dumps({"cloud": cloud_block(server.url, folder, **NEW)})
    arguments = [sys.executable, "-c", _KILLED, config, str(call)]
    return not subprocess.run(arguments, capture_output=True, check=False).stdout


def test_killed_at_any_write_it_is_never_locked_out(
    server: CaptureServer, tmp_path: Path, links: Links
) -> None:
    """Wherever the kill comes, the next start beats, also when the old key holds no more."""
    for call in range(1, 40):
        folder = tmp_path / str(call)
        keep_key(folder)
        cloud = FeatureCloud(server, asks_for_new_key=True)
        was_killed = killed_at(call, server, folder)
        assert {KEY, saved(folder)["api_key"]} <= {KEY, cloud.pending, *cloud.keys}
        link = links.make(server.url, **NEW, data_dir=str(folder))
        beat(link, 3)
        cloud.end_overlap()
        beat(link)
        assert link.status["last_heartbeat_ok"] is True
        assert saved(folder)["api_key"] == cloud.keys[0] != KEY
        if not was_killed:
            break
    assert call > 8  # open, write, sync, close, rename, and the folder's open, sync, close
    assert server.to(REGISTER) == []

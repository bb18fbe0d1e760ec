"""Measurements come in, each once, and stay."""

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.cloud_client import Client, make_measurement
from tests.support.cloud_server import running_cloud

MEASUREMENTS = "/api/v1/measurements"
BATCH = "/api/v1/measurements/batch"

Names = Callable[[str], str]


def curve(client: Client, name: str) -> list[dict[str, Any]]:
    """Return a target's points."""
    points: list[dict[str, Any]] = client.get(f"/api/v1/lightcurves/{quote(name, safe='')}")[
        "points"
    ]
    return points


def test_a_measurement_becomes_a_point(node: Client, fresh_name: Names) -> None:
    """What a node sends shows on the target's light curve, as that node's."""
    name = fresh_name("AH Vir")
    sent = make_measurement(target_name=name, node_id="somebody else")
    reply = node.post(MEASUREMENTS, {"measurement": sent, "conditions": {"wind": 1}})
    assert reply["ok"] is True
    assert isinstance(reply["id"], int)
    (point,) = curve(node, name)
    assert point == {
        "bjd": 2461000.5,
        "magnitude": 11.873,
        "uncertainty": 0.014,
        "filter": "V",
        "node_id": node.node_id,
        "quality_flag": "good",
        "airmass": 1.21,
        "snr": 71.0,
        "revision": 1,
        "validation": "single",
        "review": None,
        "id": reply["id"],
    }


def test_the_same_content_is_taken_once(node: Client, fresh_name: Names) -> None:
    """Bare or wrapped, with other conditions or another key: the same values are one point."""
    name = fresh_name("dup")
    sent = make_measurement(target_name=name)
    first = node.post(MEASUREMENTS, {"measurement": sent, "conditions": {}})
    again = [
        node.post(MEASUREMENTS, {"measurement": sent, "conditions": {}}),
        node.post(MEASUREMENTS, sent),
        node.post(
            MEASUREMENTS, {"measurement": dict(reversed(sent.items())), "conditions": {"a": 1}}
        ),
        node.call("POST", MEASUREMENTS, sent, Idempotency_Key="other").json,
    ]
    assert "duplicate" not in first
    assert all(reply == {"ok": True, "id": first["id"], "duplicate": True} for reply in again)
    assert len(curve(node, name)) == 1


def test_a_key_is_one_request(node: Client, fresh_name: Names) -> None:
    """A retry under the same key is a duplicate; another content under it is refused, not lost."""
    sent = make_measurement(target_name=fresh_name("key"))
    first = node.call("POST", MEASUREMENTS, sent, Idempotency_Key="k-1")
    retry = node.call("POST", MEASUREMENTS, sent, Idempotency_Key="k-1")
    other = node.call("POST", MEASUREMENTS, sent | {"magnitude": 9.0}, Idempotency_Key="k-1")
    assert (first.status, retry.json["duplicate"]) == (200, True)
    assert other.status == 422
    assert other.json["ok"] is False
    assert "Idempotency-Key" in other.json["error"]


def test_keys_belong_to_their_node(public: Client, fresh_name: Names) -> None:
    """Two nodes may use the same key, and may see the same thing."""
    name = fresh_name("two")
    for node in (public.register(), public.register()):
        sent = make_measurement(target_name=name)
        assert "duplicate" not in node.call("POST", MEASUREMENTS, sent, Idempotency_Key="k").json
    assert len(curve(public, name)) == 2


def test_other_values_are_a_new_revision(node: Client, fresh_name: Names) -> None:
    """A re-reduction shows in place of the old values; sent again, the old ones stay old."""
    name = fresh_name("rev")
    old, new = (make_measurement(target_name=name, magnitude=mag) for mag in (11.0, 12.0))
    ids = {node.post(MEASUREMENTS, each)["id"] for each in (old, new)}
    assert node.post(MEASUREMENTS, old)["duplicate"] is True
    (point,) = curve(node, name)
    assert (point["magnitude"], point["revision"], len(ids)) == (12.0, 2, 2)


@pytest.mark.parametrize("with_key", [True, False])
def test_sixteen_at_once_are_one(node: Client, fresh_name: Names, with_key: bool) -> None:
    """The same thing posted by 16 threads at once is kept once, and every one is told so."""
    name = fresh_name("race")
    key = {"Idempotency_Key": name.replace(" ", "-")} if with_key else {}
    sent = make_measurement(target_name=name)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: node.call("POST", MEASUREMENTS, sent, **key), range(48)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.json["id"] for reply in replies}) == 1
    assert sum("duplicate" not in reply.json for reply in replies) == 1
    assert len(curve(node, name)) == 1


def test_revisions_at_once_are_all_kept(node: Client, fresh_name: Names) -> None:
    """Different values for one point, at the same time: each its revision, one newest."""
    name = fresh_name("revs")
    with ThreadPoolExecutor(16) as pool:
        sent = [make_measurement(target_name=name, magnitude=10 + n / 100) for n in range(32)]
        ids = {reply["id"] for reply in pool.map(lambda m: node.post(MEASUREMENTS, m), sent)}
    (point,) = curve(node, name)
    assert (len(ids), point["revision"]) == (32, 32)


def test_what_peers_send_is_taken(node: Client, fresh_name: Names) -> None:
    """Numbers as strings, nulls and unknown keys do no harm."""
    name = fresh_name("peer")
    sent = {
        "target_name": f"  {name} ",
        "bjd": "2461000.75",
        "magnitude": "12.5",
        "uncertainty": 0,
        "airmass": None,
        "fwhm": "n/a",
        "snr": "55",
        "comparison_stars": ["a", "b"],
        "quality_flag": "GOOD",
        "telescope": {"unknown": [1, 2, 3]},
        "huge": 10**30,
    }
    assert node.post(MEASUREMENTS, sent)["ok"] is True
    (point,) = curve(node, name)
    assert point["bjd"] == 2461000.75
    assert (point["filter"], point["snr"], point["airmass"]) == ("CV", 55.0, None)
    assert point["quality_flag"] == "good"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target_name", None),
        ("target_name", ""),
        ("target_name", 5),
        ("target_name", "a\x00b"),
        ("target_name", "x" * 201),
        ("bjd", 2_400_000.0),
        ("bjd", 2_500_000.0),
        ("bjd", 61_000.5),
        ("bjd", "yesterday"),
        ("bjd", None),
        ("magnitude", -5.0),
        ("magnitude", 30),
        ("magnitude", [1]),
        ("magnitude", "NaN"),
        ("uncertainty", -0.001),
        ("uncertainty", 5),
        ("uncertainty", "inf"),
        ("uncertainty", True),
        ("filter", "=cmd()"),
        ("filter", ["V"]),
    ],
)
def test_a_value_outside_its_range_is_refused(node: Client, key: str, value: Any) -> None:
    """The error names the key; the answer is 400 with ok false."""
    reply = node.call("POST", MEASUREMENTS, {"measurement": make_measurement(**{key: value})})
    assert reply.status == 400
    assert reply.json["ok"] is False
    assert key in reply.json["error"]


@pytest.mark.parametrize("key", ["target_name", "bjd", "magnitude", "uncertainty"])
def test_a_missing_value_is_refused(node: Client, key: str) -> None:
    """What a point cannot do without is asked for by name."""
    sent = make_measurement()
    del sent[key]
    reply = node.call("POST", MEASUREMENTS, sent)
    assert (reply.status, reply.json["ok"]) == (400, False)
    assert f"{key} is missing" in reply.json["error"]


@pytest.mark.parametrize(
    "name",
    ["SN 2026/abc", "a//b/", "/lead", "Čermák ä", "50% off?#x", "α Ori", "a+b", "..x", "&<i>"],
)
def test_any_name_is_found_again(node: Client, name: str, fresh_name: Names) -> None:
    """Slashes, spaces, percent signs and other alphabets survive the way into a URL."""
    target = f"{name} {fresh_name('')}x/"
    node.post(MEASUREMENTS, make_measurement(target_name=target))
    assert len(curve(node, target)) == 1
    assert node.call("GET", "/targets/" + quote(target, safe="")).status == 200


def test_a_batch_answers_item_by_item(node: Client, fresh_name: Names) -> None:
    """Good, bad and doubled items get their own answers, in order; one bad one harms no other."""
    name = fresh_name("batch")
    good = make_measurement(target_name=name)
    items = [{"measurement": good}, make_measurement(bjd=1), "nonsense", good, None]
    raw = gzip.compress(json.dumps({"items": items}).encode())
    reply = node.send("POST", BATCH, raw, {"Content-Encoding": "gzip"})
    assert reply.status == 200
    results = reply.json["results"]
    assert [result["ok"] for result in results] == [True, False, False, True, False]
    assert results[3] == {"ok": True, "id": results[0]["id"], "duplicate": True}
    assert "bjd" in results[1]["error"]
    assert len(curve(node, name)) == 1


def test_a_batch_has_a_limit(node: Client, fresh_name: Names) -> None:
    """500 items are taken, 501 are not."""
    name = fresh_name("many")
    items = [make_measurement(target_name=name, bjd=2461000 + n / 1000) for n in range(501)]
    reply = node.call("POST", BATCH, {"items": items})
    assert reply.status == 413
    assert "500" in reply.json["error"]
    results = node.post(BATCH, {"items": items[:500]})["results"]
    assert sum(result["ok"] for result in results) == 500
    assert len(curve(node, name)) == 500


def test_an_acknowledged_measurement_survives_a_kill(tmp_path: Path) -> None:
    """Whatever was answered before kill -9 is there after the restart, and nothing twice."""
    data_dir = tmp_path / "cloud"
    acknowledged: set[float] = set()
    node = None
    for round_number in range(2):
        with running_cloud(data_dir) as cloud:
            node = Client(cloud.url, node.identity) if node else Client(cloud.url).register()
            acknowledged |= _post_until_killed(cloud, node, round_number)
    assert node is not None
    with running_cloud(data_dir) as cloud:
        points = curve(Client(cloud.url), "SS Cyg")
    held = [point["bjd"] for point in points]
    assert acknowledged <= set(held)
    assert len(held) == len(set(held))


def _post_until_killed(cloud: Any, node: Client, round_number: int) -> set[float]:
    """Post from 8 threads, kill the cloud after 100 answers; return what was answered."""
    acknowledged: set[float] = set()

    def post(number: int) -> None:
        bjd = 2461000 + round_number + number / 10_000
        if len(acknowledged) == 100:
            cloud.process.kill()
        try:
            reply = node.call("POST", MEASUREMENTS, make_measurement(bjd=bjd))
        except Exception:  # noqa: BLE001 - the connection dies with the cloud
            return
        if reply.status == 200:
            acknowledged.add(bjd)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(post, range(400)))
    cloud.kill()
    assert len(acknowledged) >= 100
    return acknowledged

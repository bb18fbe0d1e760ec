"""Who calls too often is told when to come again; everybody else is served."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud_client import LOCATION, Client
from tests.support.cloud_server import RunningCloud, running_cloud
from tests.support.operating import Pages

from boundless_skies.cloud.services.limits import Buckets, group_address

REGISTER = "/api/v1/nodes/register"
BEAT = "/api/v1/nodes/heartbeat"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """Run a cloud that lets little through, behind a proxy on its own machine."""
    data = tmp_path_factory.mktemp("strict") / "data"
    rates = ("--registrations-per-hour", "6", "--failed-logins-per-minute", "4")
    with running_cloud(data, arguments=(*rates, "--node-calls-per-minute", "5")) as cloud:
        yield cloud


def from_address(cloud: RunningCloud, address: str, **identity: str) -> Client:
    """Speak to a cloud as a client of the proxy."""
    return Client(cloud.url, {"X-Forwarded-For": address, **identity})


def test_registrations_are_limited_by_address(strict: RunningCloud) -> None:
    """The seventh within an hour is told when to try again; another address is served."""
    client = from_address(strict, "192.0.2.1")
    replies = [client.call("POST", REGISTER, {"node_id": "", **LOCATION}) for _ in range(7)]
    assert [reply.status for reply in replies] == [200] * 6 + [429]
    wait_s = int(replies[-1].headers["retry-after"])
    assert 500 <= wait_s <= 600
    assert "Too many registrations from this address" in replies[-1].json["error"]
    other = from_address(strict, "192.0.2.2").call("POST", REGISTER, LOCATION)
    assert other.status == 200


def test_wrong_keys_are_limited_by_address_and_known_nodes_still_served(
    strict: RunningCloud,
) -> None:
    """After four wrong keys no fifth is looked at, of a node or an operator."""
    node = from_address(strict, "192.0.2.3").register()
    node.identity["X-Forwarded-For"] = "192.0.2.4"
    node.post(BEAT)
    thief = from_address(strict, "192.0.2.4", **{"X-Node-Id": node.node_id, "X-Api-Key": "guess"})
    assert [thief.call("GET", "/api/v1/plan").status for _ in range(5)] == [401] * 4 + [429]
    operator = from_address(strict, "192.0.2.4", **{"X-Admin-Key": strict.admin_key})
    assert operator.call("POST", "/api/v1/interrupts", {}).status == 429
    assert node.call("POST", BEAT, {}).status == 200
    elsewhere = from_address(strict, "192.0.2.5", **{"X-Admin-Key": strict.admin_key})
    assert elsewhere.call("POST", "/api/v1/interrupts", {}).status == 400


def test_wrong_tokens_on_the_sign_in_page_are_limited_too(strict: RunningCloud) -> None:
    """A page is no way around: after four, the right one must wait, too."""
    pages, address = Pages(strict.url), {"X_Forwarded_For": "192.0.2.8"}
    wrong = [pages.send("/operate/sign-in", {"token": "guess"}, **address) for _ in range(4)]
    assert {reply.status for reply in wrong} == {401}
    reply = pages.send("/operate/sign-in", {"token": strict.admin_key}, **address)
    assert reply.status == 429
    assert b"Too many wrong keys" in reply.body


def test_a_node_that_calls_too_often_is_told(strict: RunningCloud) -> None:
    """Its sixth call in a minute waits; another node of the same house is served."""
    client = from_address(strict, "192.0.2.6")
    busy, calm = (client.register() for _ in range(2))
    for node in (busy, calm):
        node.identity["X-Forwarded-For"] = "192.0.2.6"
    replies = [busy.call("GET", "/api/v1/plan") for _ in range(6)]
    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 12
    assert calm.call("GET", "/api/v1/plan").status == 200


def test_an_ipv6_household_is_one_address() -> None:
    """Of 2^64 addresses that one line has, all count together."""
    assert group_address("2001:db8:1:2:3:4:5:6") == group_address("2001:db8:1:2:9::1")
    assert group_address("2001:db8:1:2::1") != group_address("2001:db8:1:3::1")
    assert group_address("192.0.2.1") == "192.0.2.1"


@given(st.lists(st.floats(0.0, 30.0), max_size=60), st.integers(1, 20))
def test_no_more_than_the_burst_and_the_rate_get_through(steps: list[float], burst: int) -> None:
    """Whenever the calls come: in any stretch at most the burst and what time has added."""
    now = [0.0]
    buckets = Buckets(burst, 60.0, lambda: now[0])
    taken: list[float] = []
    for step in steps:
        now[0] += step
        wait_s = buckets.take("key")
        if wait_s == 0.0:
            taken.append(now[0])
        else:
            assert buckets.wait_s("key") == wait_s
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = burst + (taken[last] - begin) * burst / 60.0
            assert last - first + 1 <= allowed + 1e-6


def test_a_wait_that_was_told_is_enough() -> None:
    """Whoever comes after the time that was told is served."""
    now = [0.0]
    buckets = Buckets(2, 60.0, lambda: now[0])
    assert [buckets.take("key") for _ in range(2)] == [0.0, 0.0]
    now[0] += buckets.take("key")
    assert buckets.take("key") == pytest.approx(0.0)


def test_a_flood_of_addresses_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have waited long enough are forgotten first."""
    monkeypatch.setattr("boundless_skies.cloud.services.limits.KNOWN_MAX", 100)
    now = [0.0]
    buckets = Buckets(5, 60.0, lambda: now[0])
    for _ in range(5):
        buckets.take("guilty")
    for number in range(1_000):
        now[0] += 0.01
        buckets.take(f"address {number}")
        assert len(buckets._full_at) <= 100

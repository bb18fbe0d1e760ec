"""The plan's ETag: what has not changed is not sent again, what was not taken is."""

import threading
from typing import Any

import pytest
from tests.support.capture_server import Answer, CaptureServer
from tests.support.feature_cloud import FeatureCloud
from tests.support.links import PLAN, Links

from cloud_communicator import CloudCommunicator

ITEM = {"target": "SS Cyg"}


def poll(link: CloudCommunicator, times: int = 1) -> None:
    """Let the plan's thread do its work here and now."""
    for _ in range(times):
        link._plan_tick(threading.Event())


def asked(server: CaptureServer) -> list[str | None]:
    """Return the versions that the polls named."""
    return [request.headers.get("if-none-match") for request in server.to(PLAN)]


def test_unchanged_plan_is_asked_for_by_its_version(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """A 304 is nothing new and no error; another plan comes as ever."""
    offered: list[Any] = []
    cloud.plan, cloud.tag = {"plan_id": "p1", "items": [ITEM]}, '"one"'
    link = links.make(server.url, {"on_plan": offered.append})
    poll(link, 3)
    assert asked(server) == [None, '"one"', '"one"']
    assert (offered, link.status["error"]) == ([[ITEM]], None)
    assert (link.status["last_plan_id"], link.status["plan_items"]) == ("p1", 1)
    cloud.plan, cloud.tag = {"plan_id": "p2", "items": []}, 'W/"two"'
    poll(link, 2)
    assert asked(server)[3:] == ['"one"', 'W/"two"']
    assert offered == [[ITEM], []]


def test_no_plan_yet_has_a_version_too(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """Nothing new is nothing new."""
    cloud.tag = '"none"'
    poll(links.make(server.url), 2)
    assert asked(server) == [None, '"none"']


def test_without_an_etag_no_version_is_named(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """Nor after one that came with one."""
    cloud.plan, cloud.tag = {"plan_id": "p1", "items": []}, '"one"'
    link = links.make(server.url)
    poll(link)
    cloud.plan, cloud.tag = {"plan_id": "p2", "items": []}, None
    poll(link, 2)
    assert asked(server) == [None, '"one"', None]


def test_plan_whose_callback_raised_is_asked_for_whole(
    server: CaptureServer, cloud: FeatureCloud, links: Links
) -> None:
    """The version counts only once on_plan has returned."""
    offered: list[Any] = []

    def take(items: list[Any]) -> None:
        offered.append(items)
        if len(offered) < 3:
            raise ValueError("mount is parked")

    cloud.plan, cloud.tag = {"plan_id": "p1", "items": [ITEM]}, '"one"'
    poll(links.make(server.url, {"on_plan": take}), 4)
    assert asked(server) == [None, None, None, '"one"']
    assert offered == [[ITEM]] * 3


@pytest.mark.parametrize(
    "plan", [[], "p1", {"plan_id": "p1"}, {"plan_id": "", "items": []}, {"items": []}]
)
def test_plan_that_cannot_be_read_has_no_version(
    server: CaptureServer, cloud: FeatureCloud, links: Links, plan: Any
) -> None:
    """It is told at each poll until it is mended."""
    cloud.plan, cloud.tag = plan, '"one"'
    link = links.make(server.url)
    poll(link, 2)
    assert asked(server) == [None, None]
    assert link.status["error"]


@pytest.mark.parametrize("tag", ["", "two words", "x" * 600, "\xe9", "\x7f"])
def test_etag_that_no_header_should_carry_is_passed_over(
    server: CaptureServer, links: Links, tag: str
) -> None:
    """The plan is asked for whole."""
    server.rules[PLAN] = Answer(body={"plan": None}, headers={"ETag": tag})
    poll(links.make(server.url), 2)
    assert asked(server) == [None, None]


def test_304_that_nobody_asked_for_is_told(server: CaptureServer, links: Links) -> None:
    """Without a version, not modified says nothing."""
    server.rules[PLAN] = Answer(304, b"")
    link = links.make(server.url)
    poll(link)
    assert "304" in link.status["error"]

"""Every key of the cloud block: its default, and that it does what it says."""

from typing import Any

import pytest
from tests.support.capture_server import CaptureServer
from tests.support.links import BEAT, Links

from cloud_communicator.config import read_config


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("enabled", False),
        ("url", ""),
        ("node_id", ""),
        ("api_key", ""),
        ("heartbeat_interval", 60),
        ("plan_poll_interval", 300),
        ("auto_run_plans", False),
        ("upload_images", False),
        ("connect_timeout", 5),
        ("timeout", 10),
        ("allow_http", False),
        ("data_dir", "data"),
    ],
)
@pytest.mark.parametrize("config", [{}, {"cloud": {}}, {"cloud": None}, None])
def test_key_has_its_default(config: Any, key: str, default: Any) -> None:
    """An absent block, an empty one and None all mean the defaults."""
    value = getattr(read_config(config), key)
    assert (value, type(value)) == (default, type(default))


@pytest.mark.parametrize("key", ["heartbeat_interval", "timeout", "url", "enabled", "data_dir"])
def test_none_as_a_value_means_the_default(key: str) -> None:
    """A key that is written and left empty in YAML is as if it were not there."""
    assert getattr(read_config({"cloud": {key: None}}), key) == getattr(read_config({}), key)


@pytest.mark.parametrize("tail", ["/", "///", "/base/", "/base"])
def test_trailing_slashes_of_the_url_are_stripped(
    server: CaptureServer, links: Links, tail: str
) -> None:
    """Calls go to the base and one slash, a path in it is kept."""
    links.started(server.url + tail)
    path = "/base" + BEAT if "base" in tail else BEAT
    server.wait_for(path)


def test_enabled_is_the_master_switch(server: CaptureServer, links: Links) -> None:
    """Only true lets the link start."""
    links.started(server.url, enabled=False)
    links.started(server.url, enabled=True)
    server.wait_for(BEAT)
    assert len({request.connection for request in server.to(BEAT)}) == 1

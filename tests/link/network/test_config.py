"""The config: what may be left out, what is refused at construction, and how that is said."""

import math
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_server import CaptureServer, wait_until
from tests.support.links import BEAT, MEASUREMENT, MEASUREMENTS, REGISTER, Links, cloud_block

from cloud_communicator import CloudCommunicator, ConfigError, LinkRefusal

URL = "https://cloud.example.org"
FLAGS = ["enabled", "auto_run_plans", "upload_images", "allow_http"]
TEXTS = ["url", "node_id", "api_key", "data_dir", "activation_code"]
TIMES = ["heartbeat_interval", "plan_poll_interval", "connect_timeout", "timeout"]


@pytest.mark.parametrize(
    "config", [[], "cloud", 7, {"cloud": []}, {"cloud": "on"}, {"cloud": True}]
)
def test_block_of_a_wrong_type_is_refused(config: Any) -> None:
    """A dict of keys is expected, and said so."""
    with pytest.raises(ConfigError, match="dict"):
        CloudCommunicator(config)


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        (FLAGS, ["yes", "false", 1, 0, [], 1.0]),
        (TEXTS, [7, True, [], {}, b"x", 1.5]),
        (TIMES, ["60", True, [], {}, None.__class__, math.nan, math.inf, 0, -1, 1e300]),
    ],
)
def test_value_of_a_wrong_type_is_refused_by_name(keys: list[str], values: list[Any]) -> None:
    """The error names the key; it comes at construction, disabled or not."""
    for key in keys:
        for value in values:
            with pytest.raises(ConfigError, match=rf"cloud\.{key}"):
                CloudCommunicator({"cloud": {key: value}})


@pytest.mark.parametrize("key", FLAGS + TEXTS + TIMES)
def test_none_as_any_value_is_its_default(key: str, tmp_path: Path) -> None:
    """As YAML gives it for a key without a value."""
    block = {**cloud_block(URL, tmp_path), key: None}
    if key == "data_dir":
        block["enabled"] = False
    CloudCommunicator({"cloud": block})


def test_errors_of_the_config_are_refusals_and_value_errors() -> None:
    """A caller may catch them as what it knows."""
    assert issubclass(ConfigError, LinkRefusal)
    assert issubclass(ConfigError, ValueError)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("cloud.example.org", "https://cloud.example.org"),
        ("cloud.example.org:8800", "https://cloud.example.org:8800"),
        ("//cloud.example.org", "https://"),
        ("/just/a/path", "https://"),
        ("ftp://cloud.example.org", "https://"),
        ("file:///etc/passwd", "https://"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://cloud example.org", "host"),
        ("https://cloud.example.org:port", "address"),
        ("https://cloud.example.org:99999", "address"),
        ("https://[::1", "address"),
        ("https://user:hunter2@cloud.example.org", "password"),
        ("https://cloud.example.org?a=1", "'?'"),
        ("https://cloud.example.org/#top", "'?'"),
    ],
)
def test_url_that_cannot_be_meant_is_refused_with_what_to_write(
    tmp_path: Path, url: str, hint: str
) -> None:
    """One clear line, without any password in it."""
    with pytest.raises(ConfigError, match=r"cloud\.url") as caught:
        CloudCommunicator({"cloud": cloud_block(url, tmp_path)})
    assert hint in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://cloud.example.org",
        "HTTPS://Cloud.Example.ORG/",
        "  https://cloud.example.org  ",
        "https://cloud.example.org:8443/base/",
        "http://192.168.1.20:8800",
        "http://[::1]:8800",
        "http://localhost",
    ],
)
def test_usual_forms_of_a_url_are_taken(tmp_path: Path, url: str) -> None:
    """With a port, a path, spaces around it, in capitals, as an address."""
    assert CloudCommunicator({"cloud": cloud_block(url, tmp_path)}).status["error"] is None


@pytest.mark.parametrize("scheme", ["http://", "HTTP://", "Http://"])
def test_scheme_in_capitals_reaches_the_cloud(
    server: CaptureServer, links: Links, scheme: str
) -> None:
    """A scheme is the same in any case."""
    url = server.url.replace("http://", scheme)
    assert links.make(url).submit_measurement(MEASUREMENT) is True


@pytest.mark.parametrize(
    ("key", "near"), [("enabld", "enabled"), ("heartbeat_intervall", "heartbeat_interval")]
)
def test_misspelt_key_is_told_with_the_nearest(
    caplog: pytest.LogCaptureFixture, key: str, near: str
) -> None:
    """It has no effect, and the log says which one was meant."""
    CloudCommunicator({"cloud": {key: 1}})
    assert f"cloud.{key}" in caplog.text
    assert f"cloud.{near}" in caplog.text


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        ("observatory", "latitude", "north"),
        ("observatory", "latitude", True),
        ("observatory", "longitude", []),
        ("observatory", "elevation", math.nan),
        ("observatory", "observer", {"name": "Ada"}),
        ("observatory", "telescope", ["a"]),
        ("photometry", "node_id", [1]),
    ],
)
def test_wrong_value_of_the_node_is_refused_by_name(
    tmp_path: Path, block: str, key: str, value: Any
) -> None:
    """What the registration could not say is told at construction."""
    config = {"cloud": cloud_block(URL, tmp_path), block: {key: value}}
    with pytest.raises(ConfigError, match=rf"{block}\.{key}"):
        CloudCommunicator(config)


@pytest.mark.parametrize("block", ["observatory", "photometry"])
def test_block_of_the_node_of_a_wrong_type_is_refused(tmp_path: Path, block: str) -> None:
    """It is named."""
    with pytest.raises(ConfigError, match=block):
        CloudCommunicator({"cloud": cloud_block(URL, tmp_path), block: "home"})


def test_numbers_as_text_are_read_in_the_observatory(server: CaptureServer, links: Links) -> None:
    """Quoted coordinates are common, and clear."""
    cloud = cloud_block(server.url, links.folder, node_id="", api_key="")
    links.of({"cloud": cloud, "observatory": {"latitude": "47.5"}}).start()
    assert server.wait_for(REGISTER)[0].json()["latitude"] == 47.5


def test_config_is_left_as_it_was(tmp_path: Path) -> None:
    """The caller's dict is read, not changed."""
    config = {"cloud": cloud_block(URL + "/", tmp_path), "observatory": {"latitude": 1}}
    before = {name: dict(block) for name, block in config.items()}
    CloudCommunicator(config)
    assert config == before


def test_data_folder_is_data_below_the_working_directory(
    links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default."""
    monkeypatch.chdir(tmp_path)
    links.make("", data_dir=None).submit_measurement(MEASUREMENT)
    assert (tmp_path / "data" / "cloud_upload_queue.json").exists()


def test_data_folder_stays_where_it_was_at_construction(
    server: CaptureServer, links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its working directory later does not split its files."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    link = links.make(server.url, data_dir="kept", node_id="", api_key="")
    monkeypatch.chdir(tmp_path / "elsewhere")
    link.submit_measurement(MEASUREMENT)
    link.start()
    server.wait_for(BEAT)
    link.stop()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    found = {path.name for path in (tmp_path / "kept").iterdir()}
    assert {"cloud_state.json", "cloud_upload_queue.json", "cloud_link.lock"} <= found


def test_data_folder_may_be_a_path_or_begin_with_a_tilde(
    links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As people write it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    links.make("", data_dir="~/sky").submit_measurement(MEASUREMENT)
    links.make("", data_dir=tmp_path / "path").submit_measurement(MEASUREMENT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["path", "sky"]


def test_folder_that_can_be_none_is_told_at_construction(tmp_path: Path) -> None:
    """With its path and what to do."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match=r"file.*cloud\.data_dir"):
        CloudCommunicator({"cloud": cloud_block(URL, tmp_path / "file" / "data")})


def test_folder_that_cannot_be_made_is_told_and_nothing_is_lost(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """The link runs on in memory, and says so; what waits is delivered."""
    (tmp_path / "nowhere").symlink_to(tmp_path / "unmounted" / "disk")
    link = links.make(server.url, data_dir=str(tmp_path / "nowhere"), node_id="")
    assert link.submit_measurement(MEASUREMENT) is False
    assert "data folder" in link.status["error"]
    assert (link.status["queued_uploads"], link.status["unsaved_uploads"]) == (1, 1)
    link.start()
    assert server.wait_for(MEASUREMENTS)[0].json()["measurement"] == MEASUREMENT
    wait_until(lambda: link.status["queued_uploads"] == 0)

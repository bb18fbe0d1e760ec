"""The settings' page, and what becomes of the file."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.node.dashboard.dashboards import RunningDashboard

from boundless_skies.node.config import BY_PATH, KEYS, ConfigFileError, Kind, load_config
from boundless_skies.node.config_text import annotated_yaml
from boundless_skies.node.dashboard.config_file import (
    changed_text,
    save_changes,
    value_at,
    version_of,
)


def send(node: RunningDashboard, fields: dict[str, Any], **more: Any) -> Any:
    """Send the form with some fields of it shown."""
    version = version_of(node.config_path)
    shown = {"version": version, "shown": list(fields)} | more
    values = {name: value for name, value in fields.items() if value is not None}
    return node.post("/settings", shown | values, seen_on="/settings")


def test_every_key_is_explained(node: RunningDashboard) -> None:
    """Each has its field, its label and its meaning."""
    page = node.get("/settings").text
    for key in KEYS:
        assert f'id="{key.path}"' in page
        assert f'for="{key.path}"' in page
    assert "Latitude in degrees, north is positive" in page


def test_a_value_is_saved_and_waits_for_the_next_start(node: RunningDashboard) -> None:
    """The remarks stay, the old file is kept, both for the owner's eyes only."""
    before = node.config_path.read_text()
    assert send(node, {"observatory.name": "Sternwarte"}).status == 303
    text = node.config_path.read_text()
    assert load_config(node.config_path)["observatory"]["name"] == "Sternwarte"
    assert text == before.replace('"Lindenhof"', '"Sternwarte"')
    old = node.config_path.with_name("config.yaml.old")
    assert old.read_text() == before
    assert stat.S_IMODE(node.config_path.stat().st_mode) == 0o600
    assert '<a href="#observatory.name">observatory.name</a>' in node.get("/settings").text


def test_what_cannot_be_meant_is_told_beside_its_field(node: RunningDashboard) -> None:
    """What was typed stays to be put right, and the file as it was."""
    before = node.config_path.read_text()
    reply = send(node, {"observatory.latitude": "52,5", "observatory.name": "New"})
    assert reply.status == 400
    assert "Write it with a point: 52.5" in reply.text
    assert 'value="52,5"' in reply.text
    assert 'value="New"' in reply.text
    assert 'aria-invalid="true"' in reply.text
    assert node.config_path.read_text() == before


def test_a_number_out_of_bounds_is_refused(node: RunningDashboard) -> None:
    """By the config's own check."""
    assert "between -90 and 90" in send(node, {"observatory.latitude": "91"}).text


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("observatory.latitude", "-33.25", -33.25),
        ("observatory.latitude", "", None),
        ("observatory.name", 'No: "#1" \\ ☄', 'No: "#1" \\ ☄'),
        ("image_watcher.patterns", "*.fits\r\n\r\n*.fit", ["*.fits", "*.fit"]),
        ("cloud.auto_run_plans", "true", True),
        ("image_watcher.recursive", None, False),
        ("dashboard.port", "8080", 8080),
        ("photometry.channel", "green", "green"),
    ],
)
def test_each_kind_of_value_is_saved(
    node: RunningDashboard, name: str, typed: str | None, value: Any
) -> None:
    """Texts, numbers, lists and switches; an empty number is the default."""
    assert send(node, {name: typed}).headers["location"] == "/settings?done=saved"
    assert value_at(load_config(node.config_path), name) == value


def test_nothing_changed_is_nothing_written(node: RunningDashboard) -> None:
    """The file is not touched."""
    before = node.config_path.stat().st_mtime_ns
    reply = send(node, {"observatory.name": "Lindenhof"})
    assert reply.headers["location"] == "/settings?done=unchanged"
    assert node.config_path.stat().st_mtime_ns == before


def test_a_secret_is_kept_replaced_or_forgotten(node: RunningDashboard) -> None:
    """It is never sent to the page; an empty field keeps it."""
    assert "set; leave empty to keep it" in node.get("/settings").text
    send(node, {"cloud.api_key": "", "observatory.name": "X"})
    assert load_config(node.config_path)["cloud"]["api_key"] == "key-that-nobody-sees"
    send(node, {"cloud.api_key": "another-key"})
    assert load_config(node.config_path)["cloud"]["api_key"] == "another-key"
    assert "another-key" not in node.get("/settings").text
    send(node, {"cloud.api_key": ""}, forget="cloud.api_key")
    assert load_config(node.config_path)["cloud"]["api_key"] == ""


def test_a_file_that_changed_meanwhile_is_not_overwritten(node: RunningDashboard) -> None:
    """Whoever edits it by hand loses nothing."""
    version = version_of(node.config_path)
    text = node.config_path.read_text().replace("Lindenhof", "By hand")
    node.config_path.write_text(text)
    fields = {"version": version, "shown": "observatory.name", "observatory.name": "By page"}
    reply = node.post("/settings", fields, seen_on="/settings")
    assert reply.status == 409
    assert node.config_path.read_text() == text


def test_a_dashboard_open_to_all_is_not_saved(node: RunningDashboard) -> None:
    """The next start would refuse it; with a password it is saved."""
    reply = send(node, {"dashboard.host": "0.0.0.0"})
    assert reply.status == 400
    assert "anybody there could steer your telescope" in reply.text
    both = {"dashboard.host": "0.0.0.0", "dashboard.password": "long enough"}
    assert send(node, both).status == 303


def test_a_file_that_cannot_be_read_is_told(node: RunningDashboard) -> None:
    """The page stands, and offers nothing to save."""
    node.config_path.write_text("observatory: [\n")
    page = node.get("/settings")
    assert page.status == 200
    assert "cannot be read as it stands" in page.text
    assert 'name="shown"' not in page.text


def saved(folder: Path, text: str, changes: dict[str, Any]) -> str:
    """Save changes into a file of this text; return what it holds then."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    save_changes(path, changes)
    assert list(folder.glob(".*draft")) == []
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 'observatory:\n  name: "X"\n'),
        ("# mine\n", '# mine\nobservatory:\n  name: "X"\n'),
        ("cloud:\n  url: a\n", 'cloud:\n  url: a\n\nobservatory:\n  name: "X"\n'),
        ("observatory:\n", 'observatory:\n  name: "X"\n'),
        ("observatory: # here\ncloud:\n", 'observatory:\n  name: "X"\n# here\ncloud:\n'),
        (
            "observatory:\n    # where\n    latitude: 1 # north\n",
            'observatory:\n    # where\n    name: "X"\n    latitude: 1 # north\n',
        ),
        ("observatory:\n  name:   old   # kept\n", 'observatory:\n  name:   "X"   # kept\n'),
        ("observatory:\n  name:\n  latitude: 1\n", 'observatory:\n  name: "X"\n  latitude: 1\n'),
        ("observatory: {latitude: 1}\n", 'observatory: {name: "X", latitude: 1}\n'),
        ("observatory: {name: 'a, b'}\n", 'observatory: {name: "X"}\n'),
    ],
)
def test_a_file_of_any_style_keeps_what_was_not_changed(
    tmp_path: Path, text: str, expected: str
) -> None:
    """Remarks, order, indentation."""
    assert saved(tmp_path, text, {"observatory.name": "X"}) == expected


def test_a_list_on_lines_of_its_own_leaves_what_follows(tmp_path: Path) -> None:
    """Also a remark between it and the next key."""
    text = "image_watcher:\n  patterns:\n    - a\n    - b\n  # then\n  recursive: false\n"
    told = saved(tmp_path, text, {"image_watcher.patterns": ["*.fits"]})
    assert "# then" in told
    assert yaml.safe_load(told)["image_watcher"] == {"patterns": ["*.fits"], "recursive": False}


def test_a_block_within_a_block_is_made(tmp_path: Path) -> None:
    """The target's block is below that of the photometry."""
    told = saved(tmp_path, "photometry:\n  node_id: n\n", {"photometry.target.ra_deg": 12.5})
    assert yaml.safe_load(told)["photometry"]["target"] == {"ra_deg": 12.5}


def test_an_alias_is_not_changed_from_here(tmp_path: Path) -> None:
    """What would change two values at once is left to its owner, and the file as it was."""
    path = tmp_path / "config.yaml"
    text = "observatory:\n  name: &same A\n  observer: *same\n"
    path.write_text(text)
    with pytest.raises(ConfigFileError):
        save_changes(path, {"observatory.name": "B"})
    assert path.read_text() == text


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is changed."""
    real = tmp_path / "real.yaml"
    real.write_text(annotated_yaml())
    path = tmp_path / "config.yaml"
    path.symlink_to(real)
    save_changes(path, {"observatory.name": "X"})
    assert path.is_symlink()
    assert load_config(real)["observatory"]["name"] == "X"


def test_a_full_disk_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft is thrown away, and the sentence says what is wrong."""
    path = tmp_path / "config.yaml"
    path.write_text(annotated_yaml())

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigFileError, match="No space left"):
        save_changes(path, {"observatory.name": "X"})
    assert path.read_text() == annotated_yaml()
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@settings(max_examples=20)
@given(st.dictionaries(st.sampled_from([k.path for k in KEYS if k.kind is Kind.TEXT]), _TEXTS))
def test_any_text_comes_back_as_given(changes: dict[str, str]) -> None:
    """Into the annotated file, whose remarks stay line for line."""
    text = annotated_yaml()
    for name, value in changes.items():
        text = changed_text(text, name, value)
    read = yaml.safe_load(text)
    assert {name: value_at(read, name) for name in changes} == changes
    remarks = [line for line in annotated_yaml().splitlines() if line.lstrip().startswith("#")]
    assert [line for line in text.splitlines() if line.lstrip().startswith("#")] == remarks
    assert set(changes) <= set(BY_PATH)

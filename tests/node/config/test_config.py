"""The config file: one table, read strictly, told plainly."""

import dataclasses
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.node.config import (
    BY_PATH,
    GROUPS,
    KEYS,
    ConfigFileError,
    Kind,
    defaults,
    load_config,
)
from boundless_skies.node.config_text import annotated_yaml, reference_markdown
from cloud_communicator.config import LinkConfig

ROOT = Path(__file__).parents[3]


def _load(folder: Path, text: str) -> dict:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def _problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigFileError) as caught:
        _load(folder, text)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def test_annotated_file_loads_to_the_defaults(tmp_path: Path) -> None:
    """What init writes is read back without a word, and changes nothing."""
    assert _load(tmp_path, annotated_yaml()) == defaults()


def test_answers_come_back_as_given(tmp_path: Path) -> None:
    """Names that YAML would take for something else survive the way through the file."""
    answers = {
        "observatory.observer": 'No: "#1"',
        "photometry.node_id": "007",
        "observatory.latitude": -33.25,
        "image_watcher.patterns": ["*.fits", "no"],
        "cloud.enabled": True,
    }
    config = _load(tmp_path, annotated_yaml(answers))
    assert config["observatory"]["observer"] == 'No: "#1"'
    assert config["photometry"]["node_id"] == "007"
    assert config["observatory"]["latitude"] == -33.25
    assert config["image_watcher"]["patterns"] == ["*.fits", "no"]
    assert config["cloud"]["enabled"] is True


@given(st.text(max_size=40))
def test_any_name_survives_the_annotated_file(name: str) -> None:
    """Whatever an owner types as a name, the file stays YAML and gives it back."""
    raw = yaml.safe_load(annotated_yaml({"observatory.observer": name}))
    assert raw["observatory"]["observer"] == name


def test_every_key_stands_in_a_known_block_and_explains_itself() -> None:
    """The table is whole: blocks known, meanings given, numbers bounded, defaults legal."""
    assert len(BY_PATH) == len(KEYS)
    for key in KEYS:
        assert key.group in GROUPS
        assert key.meaning.endswith((".", "org", ")")), key.path
        if key.kind in {Kind.NUMBER, Kind.WHOLE}:
            assert key.low is not None
            assert key.high is not None
            assert key.default is None or key.low <= key.default <= key.high


def test_cloud_block_is_the_link_s_own() -> None:
    """The node's table and the link agree on every key of the cloud block and its default."""
    link = {field.name: field.default for field in dataclasses.fields(LinkConfig)}
    assert defaults()["cloud"] == link


def test_reference_page_is_the_table() -> None:
    """docs/config.md is what the table says (python -m boundless_skies.node.config_text)."""
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert page.rstrip() == reference_markdown().rstrip()
    assert all(f"`{key.name}`" in page for key in KEYS)


def test_missing_file_names_the_command_that_makes_one(tmp_path: Path) -> None:
    """No config file: the line says how to get one."""
    with pytest.raises(ConfigFileError) as caught:
        load_config(tmp_path / "config.yaml")
    assert str(caught.value).startswith(f"No config file at {tmp_path}/config.yaml. Make one with")


def test_absent_blocks_and_none_mean_defaults(tmp_path: Path) -> None:
    """An empty file, empty blocks and empty values all mean the defaults."""
    text = "observatory:\ncloud: null\nphotometry:\n  target:\n  node_id:\n"
    assert _load(tmp_path, "") == defaults()
    assert _load(tmp_path, text) == defaults()


def test_catalogues_are_known_by_their_names(tmp_path: Path) -> None:
    """A list with a misspelt one says which, and what was meant."""
    good = _load(tmp_path, "photometry: {catalogues: [vsp, bundled]}\n")
    assert good["photometry"]["catalogues"] == ["vsp", "bundled"]
    with pytest.raises(ConfigFileError, match="not 'apas'; did you mean apass") as caught:
        _load(tmp_path, "photometry: {catalogues: [vsp, apas]}\n")
    assert len(caught.value.problems) == 1


def test_blocks_of_other_programs_are_let_be(tmp_path: Path) -> None:
    """A config of the field with devices, safety and AAVSO loads; its own keys are ours too."""
    text = (
        "alpaca: {discovery_port: 32227}\nsafety: {enabled: true}\naavso: {dry_run: true}\n"
        "photometry: {astap_path: astap, fits_export: {enabled: true}, node_id: london}\n"
        "image_watcher: {enabled: false, watch_path: /mnt/seestar, debounce_delay: 2.0}\n"
    )
    config = _load(tmp_path, text)
    assert config["photometry"]["node_id"] == "london"
    assert config["image_watcher"]["watch_path"] == "/mnt/seestar"
    assert "alpaca" not in config


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "cloud: {heartbeat_intervall: 3}",
            (
                "config.yaml: cloud.heartbeat_intervall is not a key; "
                "did you mean cloud.heartbeat_interval?"
            ),
        ),
        ("clud: {url: x}", "config.yaml: clud is not a key; did you mean cloud?"),
        (
            "heartbeat_interval: 3",
            "config.yaml: heartbeat_interval is not a key; did you mean cloud.heartbeat_interval?",
        ),
        ("cloud: {enabled: ja}", "config.yaml: cloud.enabled must be true or false, not 'ja'."),
        (
            'observatory: {latitude: "51,5"}',
            (
                "config.yaml: observatory.latitude must be a number, not '51,5'. "
                "Write it with a point: 51.5"
            ),
        ),
        (
            "observatory: {latitude: 91}",
            "config.yaml: observatory.latitude must lie between -90 and 90; it is 91.",
        ),
        (
            "observatory: {latitude: .nan}",
            "config.yaml: observatory.latitude must lie between -90 and 90; it is nan.",
        ),
        (
            "photometry: {node_id: 007}",
            "config.yaml: photometry.node_id must be text, not 7. Put it in quotes.",
        ),
        ("cloud: {api_key: 123}", "config.yaml: cloud.api_key must be text, not a int."),
        (
            "cloud: {url: a, url: b}",
            (
                "config.yaml, line 1, column 17: 'url' stands here a second time; "
                "take one of the two out."
            ),
        ),
        (
            "cloud:\n\turl: x",
            (
                "config.yaml, line 2, column 1: found character '\\t' that cannot start any token. "
                "Indent with spaces, not with tabs."
            ),
        ),
        (
            "photometry: 3",
            (
                "config.yaml: photometry must be a block of indented keys, not 3. "
                "Write its keys below 'photometry:', each two spaces further in."
            ),
        ),
        (
            "image_watcher: {patterns: '*.fits'}",
            "config.yaml: image_watcher.patterns must be a list of texts, not '*.fits'.",
        ),
    ],
)
def test_bad_value_is_one_clear_line(tmp_path: Path, text: str, told: str) -> None:
    """Each fault is told in one line with the key and what to do."""
    problem = _problems(tmp_path, text)[0]
    assert problem.startswith(told)
    assert "\n" not in problem


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Three faults give three lines, so that one look sets them all right."""
    text = "cloud: {enabled: 1, timeout: x}\nphotometri: {}\n"
    assert len(_problems(tmp_path, text)) == 3


def test_secret_is_not_shown_in_an_error(tmp_path: Path) -> None:
    """A key of the wrong type is refused without being repeated."""
    assert "987654321" not in "".join(_problems(tmp_path, "cloud: {api_key: 987654321}"))


def _typo(path: str, place: int, letter: str, how: str) -> str:
    group, _, name = path.rpartition(".")
    at = place % len(name)
    changed = {
        "drop": name[:at] + name[at + 1 :],
        "double": name[:at] + name[at] + name[at:],
        "insert": name[:at] + letter + name[at:],
        "replace": name[:at] + letter + name[at + 1 :],
    }[how]
    return f"{group}.{changed}"


@given(
    key=st.sampled_from([key for key in KEYS if len(key.name) >= 5]),
    place=st.integers(min_value=0, max_value=40),
    letter=st.sampled_from("abcdefghijklmnopqrstuvwxyz_"),
    how=st.sampled_from(["drop", "double", "insert", "replace"]),
)
def test_one_slip_of_the_finger_is_answered_with_the_right_key(
    tmp_path_factory: pytest.TempPathFactory, key: object, place: int, letter: str, how: str
) -> None:
    """A key with one letter wrong is named, and the nearest right one beside it."""
    typo = _typo(key.path, place, letter, how)
    if typo in BY_PATH or typo.endswith("."):
        return
    *groups, name = typo.split(".")
    block = {name: None}
    for group in reversed(groups):
        block = {group: block}
    problem = _problems(tmp_path_factory.getbasetemp(), yaml.safe_dump(block))[0]
    assert problem.endswith(f"{typo} is not a key; did you mean {key.path}?")


@given(st.dictionaries(st.sampled_from(sorted(BY_PATH)), st.none() | st.booleans() | st.text()))
def test_loading_gives_every_key_or_says_why_not(
    tmp_path_factory: pytest.TempPathFactory, values: dict
) -> None:
    """Whatever the values, a file gives a whole config of the right types or a ConfigFileError."""
    nested: dict = {}
    for path, value in values.items():
        *groups, name = path.split(".")
        block = nested
        for group in groups:
            block = block.setdefault(group, {})
        block[name] = value
    try:
        config = _load(tmp_path_factory.getbasetemp(), yaml.safe_dump(nested))
    except ConfigFileError as error:
        assert error.problems  # noqa: PT017 - either way is right, and each is checked
        return
    assert config.keys() == defaults().keys()
    timeout = config["cloud"]["timeout"]
    assert math.isfinite(timeout)


@pytest.mark.parametrize(
    ("value", "hint"), [("gren", "did you mean green?"), ("Luminance", "did you mean luminance?")]
)
def test_a_misspelt_choice_is_told_the_nearest_one(tmp_path: Path, value: str, hint: str) -> None:
    """Out of the few that there are."""
    (problem,) = _problems(tmp_path, f"photometry:\n  channel: {value}\n")
    assert problem == (
        "config.yaml: photometry.channel must be one of luminance, green, red, blue, not "
        f"'{value}'; {hint}"
    )


def test_a_choice_without_a_near_one_is_refused_all_the_same(tmp_path: Path) -> None:
    """And the right ones are taken."""
    (problem,) = _problems(tmp_path, "photometry:\n  channel: x\n")
    assert problem.endswith("not 'x'.")
    assert _load(tmp_path, "photometry:\n  channel: green\n")["photometry"]["channel"] == "green"

"""Changing single values of a config file, so that its owner's remarks stay where they are."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from boundless_skies.node.config import BY_PATH, ConfigFileError, load_config
from boundless_skies.node.config_text import yaml_value
from cloud_communicator.disk import sync_folder

_INDENT = "  "


class UnfitConfigFileError(ConfigFileError):
    """The file is written so that its values cannot be changed one by one."""


def version_of(path: Path) -> str:
    """Return what tells one content of a file from another; empty where there is no file."""
    with contextlib.suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return ""


def save_changes(path: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Write changed values into a config file.

    The file that was there is kept as ``*.old``. The new one takes its place in one step, or
    not at all.

    Parameters
    ----------
    path : Path
        The file.
    changes : Mapping
        Values by the keys' paths.

    Returns
    -------
    dict
        The whole config as it is now.

    Raises
    ------
    ConfigFileError
        If a value cannot be meant, or the file cannot be changed; then it is as it was.
    """
    path = path.resolve()
    before = load_config(path)
    text = path.read_text(encoding="utf-8")
    for name, value in changes.items():
        text = changed_text(text, name, value)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        _write(draft, text)
        config = _checked(draft, path, before, changes)
        old = path.with_name(f"{path.name}.old")
        shutil.copy2(path, old)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigFileError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        draft.unlink(missing_ok=True)
    return config


def value_at(config: Mapping[str, Any], name: str) -> Any:
    """Return the value of a key by its path."""
    value: Any = config
    for part in name.split("."):
        value = value[part]
    return value


def changed_text(text: str, name: str, value: Any) -> str:
    """Return a file's text with one value changed, or added where it was left out.

    Parameters
    ----------
    text : str
        YAML with blocks of keys.
    name : str
        The key's path.
    value : Any
        Its new value.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UnfitConfigFileError(f"The config cannot be read: {error}") from None
    parts = name.split(".")
    if node is None:
        return _with_end(text) + _nested(parts, value, 0)
    if not isinstance(node, yaml.MappingNode):
        raise UnfitConfigFileError("The config has no blocks. Change it by hand.")
    return _changed_in(text, node, parts, value)


def _changed_in(text: str, node: yaml.MappingNode, parts: list[str], value: Any) -> str:
    found = next((pair for pair in node.value if pair[0].value == parts[0]), None)
    if found is None:
        return _added(text, node, parts, value)
    key_node, value_node = found
    if len(parts) == 1:
        return _replaced(text, value_node, value)
    if isinstance(value_node, yaml.MappingNode):
        return _changed_in(text, value_node, parts[1:], value)
    if value_node.value not in {"", "~", "null"}:
        raise UnfitConfigFileError(f"{parts[0]} is no block of keys. Change it by hand.")
    below = _nested(parts[1:], value, key_node.start_mark.column + len(_INDENT))
    head, tail = text[: value_node.start_mark.index], text[value_node.end_mark.index :]
    rest = tail if tail.startswith("\n") else f"\n{tail.lstrip(' ')}"
    return f"{head.rstrip(' ')}\n{below.rstrip()}{rest}"


def _replaced(text: str, node: yaml.Node, value: Any) -> str:
    start, end = node.start_mark.index, _end(node)
    space = " " if start == end else ""
    line_end = "\n" if text[start:end].endswith("\n") else ""
    return f"{text[:start]}{space}{yaml_value(value)}{line_end}{text[end:]}"


def _end(node: yaml.Node) -> int:
    """Return where a value ends: a list on lines of its own would count what follows it, too."""
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    end: int = node.end_mark.index
    return end


def _added(text: str, node: yaml.MappingNode, parts: list[str], value: Any) -> str:
    if node.flow_style:
        if len(parts) > 1:
            raise UnfitConfigFileError(f"There is no block {parts[0]}. Add it by hand.")
        at = node.start_mark.index + 1
        more = ", " if node.value else ""
        return f"{text[:at]}{parts[0]}: {yaml_value(value)}{more}{text[at:]}"
    first = node.value[0][0].start_mark
    if first.column == 0:
        return _with_end(text) + "\n" + _nested(parts, value, 0)
    at = first.index - first.column
    return text[:at] + _nested(parts, value, first.column) + text[at:]


def _nested(parts: list[str], value: Any, column: int) -> str:
    lines = [f"{' ' * column}{_INDENT * depth}{part}:" for depth, part in enumerate(parts)]
    return "\n".join(lines) + f" {yaml_value(value)}\n"


def _with_end(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _checked(
    draft: Path, path: Path, before: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Read the draft as the node will, and see that it says what was meant and nothing else."""
    try:
        config = load_config(draft)
    except ConfigFileError as error:
        told = [problem.removeprefix(f"{draft}: ") for problem in error.problems]
        raise ConfigFileError(*told) from None
    if list(_surprises(config, before, changes)):
        raise UnfitConfigFileError(
            f"{path} is written in a way that cannot be changed from here without harm. It is as "
            "it was; change it with an editor."
        )
    return config


def _surprises(
    config: Mapping[str, Any], before: Mapping[str, Any], changes: Mapping[str, Any]
) -> Iterator[str]:
    for name, key in BY_PATH.items():
        meant = changes.get(name, value_at(before, name))
        if value_at(config, name) != (key.default if meant is None else meant):
            yield name


def _write(path: Path, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())

"""The table of config keys as text: the annotated file of ``init``, and the reference page."""

import json
import math
import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from boundless_skies.node.config import GROUPS, KEYS, Key, Kind

_HEAD = """\
# Boundless Skies: the config of your node.
#
# A line that begins with # is a remark. Change what stands after a colon, keep the spaces at the
# beginning of a line, and start the node again:   boundless node run
# What you leave out has its default; "null" means "not given". This file may hold your key:
# only you can read it, and it should stay so."""

_WIDTH = 96


def annotated_yaml(answers: Mapping[str, Any] | None = None) -> str:
    """Write a config file with every key explained.

    Parameters
    ----------
    answers : Mapping, optional
        Values by the keys' paths (``"observatory.latitude"``); the others get their defaults.

    Returns
    -------
    str
        YAML that :func:`boundless_skies.node.config.load_config` reads.
    """
    given = dict(answers or {})
    parts = [_HEAD]
    for group in GROUPS:
        parts.append(_yaml_group(group))
        parts += [_yaml_key(key, given.get(key.path, key.default)) for key in _keys_of(group)]
    return "\n".join(parts) + "\n"


def reference_markdown() -> str:
    """Write the reference page of all config keys (``docs/config.md``)."""
    parts = [_REFERENCE_HEAD]
    for group, meaning in GROUPS.items():
        parts.append(f"## `{group}`\n\n{meaning}\n\n| key | value | default | meaning |")
        parts.append("|---|---|---|---|")
        parts += [_markdown_row(key) for key in _keys_of(group)]
        parts.append("")
    return "\n".join(parts)


_REFERENCE_HEAD = """\
# Every key of config.yaml

`boundless node init` writes a file with all of them, explained. What is left out, and what is
`null`, has its default. A misspelt key stops the node at its start, with the nearest right name.
Blocks and keys of other programs of this field (`alpaca`, `safety`, `aavso`, …) may stand in the
same file; they have no effect here.

The environment's `BOUNDLESS_NODE_ID` and `BOUNDLESS_API_KEY` win over `cloud.node_id` and
`cloud.api_key`.

This page is written from the table in `src/boundless_skies/node/config.py` by
`python -m boundless_skies.node.config_text`; a test holds that they agree.
"""


def _keys_of(group: str) -> list[Key]:
    return [key for key in KEYS if key.group == group]


def _yaml_group(group: str) -> str:
    depth = group.count(".")
    return f"\n{_remark(GROUPS[group], depth)}\n{_indent(depth)}{group.rpartition('.')[2]}:"


def _yaml_key(key: Key, value: Any) -> str:
    depth = key.path.count(".")
    return f"{_remark(key.meaning, depth)}\n{_indent(depth)}{key.name}: {yaml_value(value)}"


def yaml_value(value: Any) -> str:
    """Write a value on one line, texts in quotes: no name is taken for a number or a "no"."""
    if isinstance(value, list):
        return f"[{', '.join(yaml_value(item) for item in value)}]"
    if isinstance(value, str):
        quoted: str = yaml.safe_dump(value, default_style='"', allow_unicode=True, width=math.inf)
        return quoted.strip()
    return json.dumps(value)


def _remark(text: str, depth: int) -> str:
    start = f"{_indent(depth)}# "
    return textwrap.fill(
        text,
        width=_WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _indent(depth: int) -> str:
    return "  " * depth


def _markdown_row(key: Key) -> str:
    shown = json.dumps(key.default, ensure_ascii=False)
    return f"| `{key.name}` | {_values(key)} | `{shown}` | {key.meaning} |"


def _values(key: Key) -> str:
    if key.kind in {Kind.NUMBER, Kind.WHOLE}:
        return f"{key.kind}, {key.low:g} to {key.high:g}"
    if key.choices and key.kind is Kind.TEXTS:
        return f"a list of {', '.join(f'`{choice}`' for choice in key.choices)}"
    if key.choices:
        return " or ".join(f"`{choice}`" for choice in key.choices)
    return str(key.kind)


if __name__ == "__main__":
    print(reference_markdown())  # noqa: T201 - its output is the page

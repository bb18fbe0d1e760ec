"""The settings' page: every key of the config, explained, and what a form says of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from boundless_skies.node.config import (
    BY_PATH,
    GROUPS,
    KEYS,
    SECRETS,
    ConfigFileError,
    Key,
    Kind,
    load_config,
)
from boundless_skies.node.dashboard.config_file import value_at, version_of
from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.dashboard.visits import Form

SHOWN, FORGET, VERSION = "shown", "forget", "version"


@dataclass(frozen=True, kw_only=True)
class Field:
    """A key with its value, as the form shows it; a secret's value stays empty."""

    key: Key
    text: str
    secret: bool
    is_set: bool
    at_next_start: bool
    problem: str = ""

    @property
    def kind(self) -> str:
        """How it is asked for."""
        if self.secret:
            return "secret"
        if self.key.kind is Kind.SWITCH:
            return "switch"
        if self.key.kind is Kind.TEXTS:
            return "lines"
        return "choice" if self.key.choices else "line"

    @property
    def bounds(self) -> str:
        """What a number may be."""
        if self.key.kind not in {Kind.NUMBER, Kind.WHOLE}:
            return ""
        return f"{self.key.low:g} to {self.key.high:g}"

    @property
    def default(self) -> str:
        """What it is where nothing is written."""
        return shown_text(self.key, self.key.default)


@dataclass(frozen=True, kw_only=True)
class Group:
    """A block of keys."""

    path: str
    meaning: str
    fields: list[Field]

    @property
    def anchor(self) -> str:
        """Its name within the page."""
        return self.path.replace(".", "-")

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.path.replace("_", " ").replace(".", ": ").capitalize()


@dataclass(frozen=True, kw_only=True)
class SettingsView:
    """All that the page shows."""

    path: str
    version: str
    groups: list[Group]
    at_next_start: list[str]
    unreadable: list[str] = field(default_factory=list)


def settings_view(
    desk: Desk, given: Form | None = None, problems: Mapping[str, str] | None = None
) -> SettingsView:
    """Return what the page shows.

    Parameters
    ----------
    desk : Desk
        The node.
    given : Form, optional
        What was sent and could not be taken, to be put right.
    problems : Mapping, optional
        What is wrong with it, by the keys' paths.
    """
    try:
        config: Mapping[str, Any] = load_config(desk.config_path)
    except ConfigFileError as error:
        return SettingsView(
            path=str(desk.config_path),
            version="",
            groups=[],
            at_next_start=[],
            unreadable=error.problems,
        )
    fields = [_field(key, config, desk.config, given, problems or {}) for key in KEYS]
    return SettingsView(
        path=str(desk.config_path),
        version=version_of(desk.config_path),
        groups=[
            Group(
                path=group,
                meaning=meaning,
                fields=[one for one in fields if one.key.group == group],
            )
            for group, meaning in GROUPS.items()
        ],
        at_next_start=[one.key.path for one in fields if one.at_next_start],
    )


def changes_of(form: Form, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form changes, values by the keys' paths.

    Parameters
    ----------
    form : Form
        The settings' form.
    config : Mapping
        The config as the file has it.
    """
    shown = set(form.all(SHOWN))
    return dict(_changes(form, config, shown))


def problems_by_key(error: ConfigFileError) -> dict[str, str]:
    """Return each problem by the path of its key; what is about none, by an empty text."""
    found: dict[str, str] = {}
    for problem in error.problems:
        name = problem.split(maxsplit=1)[0].rstrip(".:")
        found.setdefault(name if name in BY_PATH else "", problem)
    return found


def shown_text(key: Key, value: Any) -> str:
    """Return a value as it stands in its field."""
    if value is None:
        return ""
    if key.kind is Kind.SWITCH:
        return "true" if value else "false"
    if key.kind is Kind.TEXTS:
        return "\n".join(value)
    if key.kind in {Kind.NUMBER, Kind.WHOLE}:
        return f"{value:.15g}"
    return str(value)


def _field(
    key: Key,
    config: Mapping[str, Any],
    running: Mapping[str, Any],
    given: Form | None,
    problems: Mapping[str, str],
) -> Field:
    value, secret = value_at(config, key.path), key.path in SECRETS
    text = "" if secret else shown_text(key, value)
    if given is not None and not secret and key.path in given.all(SHOWN):
        text = _given_text(key, given)
    return Field(
        key=key,
        text=text,
        secret=secret,
        is_set=bool(value),
        at_next_start=_running_value(running, key) != value,
        problem=problems.get(key.path, ""),
    )


def _running_value(running: Mapping[str, Any], key: Key) -> Any:
    try:
        return value_at(running, key.path)
    except KeyError:
        return key.default


def _given_text(key: Key, form: Form) -> str:
    if key.kind is Kind.SWITCH:
        return "true" if form.get(key.path) else "false"
    return "\n".join(form.get(key.path).splitlines())


def _changes(form: Form, config: Mapping[str, Any], shown: set[str]) -> Iterator[tuple[str, Any]]:
    for key in KEYS:
        if key.path not in shown:
            continue
        if key.path in SECRETS:
            if form.get(key.path):
                yield key.path, form.get(key.path)
            elif key.path in form.all(FORGET) and value_at(config, key.path):
                yield key.path, ""
            continue
        text = _given_text(key, form)
        if text != shown_text(key, value_at(config, key.path)):
            yield key.path, _meant(key, text)


def _meant(key: Key, text: str) -> Any:
    """Return the value that a text means; what means none stays a text, and is refused as such."""
    if key.kind is Kind.SWITCH:
        return text == "true"
    if key.kind is Kind.TEXTS:
        return [line.strip() for line in text.splitlines() if line.strip()]
    if key.kind is Kind.TEXT:
        return text
    if not text:
        return None
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text

"""The ``cloud`` block of the config, read once, checked, with its defaults."""

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud_communicator.errors import ConfigError

log = logging.getLogger("cloud_communicator")

LONGEST_S = 31_536_000


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """All settings of the link; times are in seconds."""

    enabled: bool = False
    url: str = ""
    node_id: str = ""
    api_key: str = ""
    heartbeat_interval: float = 60
    plan_poll_interval: float = 300
    auto_run_plans: bool = False
    upload_images: bool = False
    connect_timeout: float = 5
    timeout: float = 10
    allow_http: bool = False
    data_dir: str = "data"
    activation_code: str = ""

    def __repr__(self) -> str:
        """Show where the link goes, never its secrets."""
        return f"LinkConfig(enabled={self.enabled}, url={self.url!r})"

    @property
    def data_path(self) -> Path:
        """The folder that holds the link's files."""
        return Path(self.data_dir)


def block(config: Any, name: str) -> dict[str, Any]:
    """Return one block of the config; an absent one and None are empty.

    Parameters
    ----------
    config : Any
        The whole application's config: a mapping or None.
    name : str
        The block's name.

    Returns
    -------
    dict
        A copy of the block.

    Raises
    ------
    ConfigError
        If the config or the block is no mapping.
    """
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise ConfigError(f"config must be a dict, not {type(config).__name__}.")
    value = config.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"config['{name}'] must be a block of keys (a dict), not {type(value).__name__}."
        )
    return dict(value)


def read_config(config: Any) -> LinkConfig:
    """Read ``config['cloud']``.

    Parameters
    ----------
    config : Any
        The whole application's config: a mapping or None.

    Returns
    -------
    LinkConfig
        Settings; what is absent or None has its default.

    Raises
    ------
    ConfigError
        If a value has the wrong type or cannot be meant; the message names the key.
    """
    raw = block(config, "cloud")
    known = {field.name: field.default for field in fields(LinkConfig)}
    _warn_of_unknown(raw, set(known))
    values = {
        name: _checked(name, raw[name], default)
        for name, default in known.items()
        if raw.get(name) is not None
    }
    for name in ("node_id", "api_key"):
        if not fits_header(values.get(name, "")):
            raise ConfigError(f"cloud.{name} holds characters that none has; copy it anew.")
    if values.get("url") and values.get("enabled"):
        values["url"] = _checked_url(values["url"])
    if values.get("enabled"):  # so that a later change of the working directory splits nothing
        folder = Path(values.get("data_dir", LinkConfig.data_dir)).expanduser()
        values["data_dir"] = str(folder.absolute())
    return LinkConfig(**values)


def fits_header(text: str) -> bool:
    """Tell whether a text can stand in a header: visible ASCII, at most 512 characters."""
    return text.isascii() and text.isprintable() and " " not in text and len(text) <= 512  # noqa: PLR2004


def _warn_of_unknown(raw: dict[str, Any], known: set[str]) -> None:
    for name in raw:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean cloud.{near[0]}?" if near else "."
            log.warning("cloud.%s is not a key of the link and has no effect%s", name, hint)


def _checked(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        return _expect(name, value, isinstance(value, bool), "true or false")
    if isinstance(default, str):
        text = str(value) if isinstance(value, Path) else value
        return _expect(name, text, isinstance(text, str), "text").strip()
    number = isinstance(value, int | float) and not isinstance(value, bool)
    _expect(name, value, number, "a number of seconds")
    if not 0 < value <= LONGEST_S:
        raise ConfigError(
            f"cloud.{name} must be above 0 and at most {LONGEST_S} seconds; it is {value!r}."
        )
    return value


def _expect(name: str, value: Any, holds: bool, what: str) -> Any:
    if not holds:
        shown = "" if name == "api_key" else f" ({value!r:.60})"
        raise ConfigError(f"cloud.{name} must be {what}, not {type(value).__name__}{shown}.")
    return value


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"cloud.url {_shown(url)!r} is no web address: {error}.") from None
    if "://" not in url or not parts.scheme:
        raise ConfigError(
            f"cloud.url {_shown(url)!r} has no scheme; write it as https://{_shown(url)}"
        )
    if parts.scheme.lower() not in ("http", "https"):
        raise ConfigError(f"cloud.url must begin with https:// (or http://), not {parts.scheme}://")
    if not host or any(ch.isspace() for ch in url):
        raise ConfigError(
            f"cloud.url {_shown(url)!r} names no host; write it like https://cloud.example.org"
        )
    if parts.username or parts.password:
        raise ConfigError("cloud.url must not carry a user name or password; take them out.")
    if parts.query or parts.fragment:
        raise ConfigError("cloud.url must end with its path; take out what follows '?' or '#'.")
    return url.rstrip("/")


def _shown(url: str) -> str:
    return url.rpartition("@")[2][:100]

"""Who this node is to the cloud: configured, from the environment, or registered and kept."""

import json
import logging
import os
import re
import time
from contextlib import suppress
from threading import Lock
from typing import Any

from boundless_skies.wire import Registration
from boundless_skies.wire.paths import API_KEY_HEADER, NODE_ID_HEADER
from cloud_communicator.config import LinkConfig, block, fits_header
from cloud_communicator.disk import replace_file
from cloud_communicator.errors import BadReply, ConfigError
from cloud_communicator.payload import plain_json

log = logging.getLogger("cloud_communicator")

STATE_NAME = "cloud_state.json"
_KEY, _PREVIOUS = "api_key", "previous_api_key"
# A key that the link has yet to read stands behind this name in what the cloud says.
_NAMED_KEY = re.compile(r"""(api[_-]key["']?\s*[:=]\s*["']?)[^\s"',}]+""", re.IGNORECASE)
_OPTIONAL = (
    "aperture_mm",
    "fov_deg",
    "pixel_scale_arcsec",
    "mount_type",
    "max_exposure_s",
    "mag_bright_limit",
    "mag_faint_limit",
    "min_altitude_deg",
    "horizon_mask",
    "filter_set",
)


class Identity:
    """The node's credentials, and where they come from.

    The environment wins over the config, the config over the state file. While a new
    key has not worked yet, the state file holds the previous one too; of these two the
    one is used that the cloud has not refused last.

    Parameters
    ----------
    config : LinkConfig
        The link's settings.
    """

    def __init__(self, config: LinkConfig) -> None:
        self._path = config.data_path / STATE_NAME
        self._config = config
        self._saved: dict[str, Any] = {}
        self._unsaved = False
        self._falls_back = False
        self._secrets: tuple[str, ...] = (config.activation_code,)
        self._lock = Lock()
        self.trouble = ""
        self.node_id = self.api_key = ""
        self._choose()

    def __repr__(self) -> str:
        """Name the node, never its key."""
        return f"Identity(node_id={self.node_id!r})"

    @property
    def complete(self) -> bool:
        """Whether there is a node_id and an api_key."""
        return bool(self.node_id and self.api_key)

    def load(self) -> None:
        """Read the state file; a damaged one is put aside and told."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(
                f"{self._path} cannot be read ({error.strerror}). Mend it, or set cloud.data_dir."
            ) from None
        self._make_private()
        try:
            saved = json.loads(data)
        except (ValueError, RecursionError):
            saved = None
        if isinstance(saved, dict):
            self._saved = saved
        else:
            aside = self._path.with_name(f"{STATE_NAME}.damaged")
            self.trouble = (
                f"{self._path} is damaged; it is kept as {aside.name}. Without it this node "
                "registers anew. To stay who it was, set cloud.node_id and cloud.api_key."
            )
            log.error(self.trouble)
            with suppress(OSError):  # a disk that refuses now will refuse to overwrite it as well
                replace_file(aside, data)
        self._choose()

    def _make_private(self) -> None:
        try:
            self._path.chmod(0o600)
        except OSError:
            log.warning("%s may be readable by others; set its mode to 600.", self._path)

    def _choose(self) -> None:
        self.node_id = self._first("BOUNDLESS_NODE_ID", self._config.node_id, "node_id")
        in_use = _PREVIOUS if self._falls_back else _KEY
        self.api_key = self._first("BOUNDLESS_API_KEY", self._config.api_key, in_use)
        self._keep_secret(self.api_key, self._saved.get(_KEY), self._saved.get(_PREVIOUS))

    def _keep_secret(self, *keys: Any) -> None:
        found = {*self._secrets, *(key for key in keys if isinstance(key, str))}
        self._secrets = tuple(sorted(found - {""}, key=len, reverse=True))

    def _first(self, variable: str, configured: str, key: str) -> str:
        saved = self._saved.get(key)
        from_environment = os.environ.get(variable, "").strip()
        if not fits_header(from_environment):
            raise ConfigError(f"{variable} holds characters that no node_id or key has.")
        return (
            from_environment
            or configured
            or (saved if isinstance(saved, str) and fits_header(saved) else "")
        )

    def headers(self) -> dict[str, str]:
        """Return the two headers that every call but the registration carries."""
        return {NODE_ID_HEADER: self.node_id, API_KEY_HEADER: self.api_key}

    def hide(self, text: str) -> str:
        """Take every key out of a text that somebody else wrote."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return _NAMED_KEY.sub(r"\1[key]", text)

    def take(self, reply: Any) -> None:
        """Take over a registration's reply.

        Parameters
        ----------
        reply : Any
            The cloud's JSON.

        Raises
        ------
        BadReply
            If it holds no usable node_id and api_key.
        OSError
            If the disk refuses; the credentials hold in memory and `save` is tried again.
        """
        values = reply if isinstance(reply, dict) else {}
        node_id, api_key = values.get("node_id"), values.get("api_key")
        if not (_usable(node_id) and _usable(api_key)):
            raise BadReply("the registration's reply holds no usable node_id and api_key")
        with self._lock:
            self._falls_back = False
            self._saved = {**self._saved, "node_id": node_id, _KEY: api_key}
            self._saved["cloud_url"] = self._config.url
            self._saved.pop(_PREVIOUS, None)
            self._unsaved = True
            self._choose()
        if self.node_id != node_id:
            log.warning(
                "The cloud registered this node as %s, but the config says node_id %s, which "
                "wins. Take node_id out of the config, or set its api_key too.",
                node_id,
                self.node_id,
            )
        self.save()

    def save(self) -> None:
        """Write the state file if it holds news; raises OSError if the disk refuses."""
        if not self._unsaved:
            return
        self._unsaved = False
        try:
            self._write(self._saved)
        except OSError:
            self._unsaved = True
            raise

    def _write(self, state: dict[str, Any]) -> None:
        replace_file(self._path, json.dumps(state, indent=2).encode() + b"\n")

    # -- a new key ----------------------------------------------------------------------

    @property
    def fixed_by(self) -> str:
        """Where the key comes from that the link cannot replace; empty if it can."""
        if os.environ.get("BOUNDLESS_API_KEY", "").strip():
            return "BOUNDLESS_API_KEY"
        return "cloud.api_key" if self._config.api_key else ""

    def rotate(self, reply: Any) -> None:
        """Take over a new key: it is on disk beside the present one before it is used.

        Parameters
        ----------
        reply : Any
            The cloud's JSON.

        Raises
        ------
        BadReply
            If it holds no usable api_key.
        OSError
            If the disk refuses; the present key then goes on.
        """
        new = reply.get("api_key") if isinstance(reply, dict) else None
        if not _usable(new):
            raise BadReply("the reply about a new key holds no usable api_key")
        self._keep_secret(new)
        if new == self.api_key:
            return
        state = {**self._saved, _KEY: new, _PREVIOUS: self.api_key}
        self._write(state)
        with self._lock:
            self._falls_back = False
            self._saved = state
            self._choose()

    def worked(self, key: str) -> None:
        """Note that the cloud took a key; a new one that works ends the previous one."""
        with self._lock:
            if _PREVIOUS in self._saved and key == self._saved.get(_KEY):
                self._saved = {k: v for k, v in self._saved.items() if k != _PREVIOUS}
                self._falls_back, self._unsaved = False, True
                self._choose()

    def refused(self, key: str) -> bool:
        """Note that the cloud refused a key; tells whether there is another one to go on with."""
        with self._lock:
            if self.fixed_by or not _usable(self._saved.get(_PREVIOUS)):
                return False
            if key == self.api_key:
                self._falls_back = not self._falls_back
                self._choose()
            return True


def _usable(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and fits_header(value)


def registration_payload(config: Any, settings: LinkConfig) -> dict[str, Any]:
    """Say of this node what the documented fields ask for.

    Parameters
    ----------
    config : Any
        The whole application's config.
    settings : LinkConfig
        The link's settings.

    Returns
    -------
    dict
        The body of the registration.

    Raises
    ------
    ConfigError
        If a value has no form that the cloud could read.
    """
    observatory, photometry = block(config, "observatory"), block(config, "photometry")
    standard = Registration()
    payload: dict[str, Any] = {
        "node_id": _text(photometry, "photometry", "node_id", standard.node_id),
        "owner_name": _text(observatory, "observatory", "observer", standard.owner_name),
        "latitude": _number(observatory, "latitude"),
        "longitude": _number(observatory, "longitude"),
        "elevation": _number(observatory, "elevation"),
        "telescope_model": _text(observatory, "observatory", "telescope", standard.telescope_model),
        "filters": _filters(photometry.get("filter_name")) or standard.filters,
        "utc_offset_hours": utc_offset_hours(),
    }
    for name in _OPTIONAL:
        if observatory.get(name) is not None:
            payload[name] = plain_json(observatory[name], f"observatory.{name}")
    if settings.activation_code:
        payload["activation_code"] = settings.activation_code
    return payload


def _text(values: dict[str, Any], name: str, key: str, default: str) -> str:
    value = values.get(key)
    if value is None:
        return default
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"{name}.{key} must be text, not {type(value).__name__}.")


def _filters(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value)


def _number(values: dict[str, Any], key: str) -> float:
    value = values.get(key)
    if value is None:
        return 0.0
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, bool) or not abs(number) < float("inf"):
        raise ConfigError(f"observatory.{key} must be a number; it is {value!r:.40}.")
    return number


def utc_offset_hours() -> float:
    """Return local time minus UTC in hours, daylight saving included."""
    now = time.localtime()
    return (time.altzone if now.tm_isdst > 0 and time.daylight else time.timezone) / -3600.0 + 0.0

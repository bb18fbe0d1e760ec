"""The last lines of the node's log, without what nobody should see."""

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boundless_skies.node.config import BY_PATH, SECRETS

LINES_MAX = 500
LINE_MAX_CHARS = 2_000
HIDDEN = "[secret]"
_LEAST_SECRET_CHARS = 4
_STATE_FILE = "cloud_state.json"
_KEY_VARIABLE = "BOUNDLESS_API_KEY"


@dataclass(frozen=True)
class Line:
    """One entry of the log."""

    at: datetime
    level: str
    text: str


class LogTail(logging.Handler):
    """Keeps the last entries of the log in memory.

    Parameters
    ----------
    secrets : callable
        Gives what must not be shown; asked anew for each look, as keys change.
    """

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        super().__init__(logging.INFO)
        self._secrets = secrets
        self._lines: deque[Line] = deque(maxlen=LINES_MAX)
        self._guard = threading.Lock()
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Take in an entry."""
        try:
            text = self.format(record)[:LINE_MAX_CHARS]
        except Exception:  # noqa: BLE001 - as logging itself does: a bad entry ends nothing
            self.handleError(record)
            return
        at = datetime.fromtimestamp(record.created, UTC)
        with self._guard:
            self._lines.append(Line(at, record.levelname.lower(), text))

    def lines(self) -> list[Line]:
        """Return the entries, newest first, with every secret blotted out."""
        hidden = sorted(set(self._secrets()), key=len, reverse=True)
        with self._guard:
            kept = list(self._lines)
        return [Line(line.at, line.level, _blotted(line.text, hidden)) for line in reversed(kept)]


def secrets_of(config: Mapping[str, Any], folder: Path) -> list[str]:
    """Return all secrets that the node knows of: the config's, the environment's, the link's."""
    found = [_value(config, path) for path in SECRETS if path in BY_PATH]
    found.append(os.environ.get(_KEY_VARIABLE, ""))
    try:
        state = json.loads((folder / _STATE_FILE).read_text(encoding="utf-8"))
        found += [value for key, value in state.items() if key.endswith("api_key")]
    except (OSError, ValueError, AttributeError):
        pass
    return [text for text in found if isinstance(text, str) and len(text) >= _LEAST_SECRET_CHARS]


def _value(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _blotted(text: str, hidden: Iterable[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    return text

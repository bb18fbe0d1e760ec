"""What the log looks like: lines for people or JSON for programs, each with its request's id.

Whatever a peer sent is shown on one line, and what looks like a secret is left out
even where a library put it into its message.
"""

import json
import logging
import re
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TEXT, JSON = "text", "json"
ACCESS = "boundless_skies.cloud.access"
"""The logger of requests, one line each; what it tells stands in ``extra["request"]``."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; empty beside requests."""

_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):[^\s@]+@")
_KEY = re.compile(r"\b[a-z]+_[\w-]{43}(?![\w-])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class LogStyle:
    """``form`` is text or JSON; ``access`` asks for a line per request."""

    form: str = TEXT
    access: bool = False


class TextLines(logging.Formatter):
    """Lines for people; the lines of a traceback are told apart by their indent."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        told = f" [{request_id.get()}]" if request_id.get() else ""
        message = _CONTROL.sub("\ufffd", record.getMessage())
        lines = [f"{_time(record)} {record.levelname}{told} {message}"]
        lines += [f"  {line}" for line in _traceback(self, record).splitlines()]
        return without_secrets("\n".join(lines))


class JsonLines(logging.Formatter):
    """One JSON object on each line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if request_id.get():
            entry["request_id"] = request_id.get()
        entry |= getattr(record, "request", {})
        if trace := _traceback(self, record):
            entry["traceback"] = trace
        cleaned = {k: without_secrets(v) if isinstance(v, str) else v for k, v in entry.items()}
        return json.dumps(cleaned, default=str)


def start_logging(style: LogStyle) -> None:
    """Write this process's log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style.form == JSON else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("boundless_skies").setLevel(logging.INFO)
    logging.getLogger(ACCESS).setLevel(logging.INFO if style.access else logging.WARNING)
    # It warns of every peer that does not speak HTTP, which is for the peer to know.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def without_secrets(text: str) -> str:
    """Return a text without keys, and without passwords in URLs."""
    return _KEY.sub("(key)", _PASSWORD.sub(r"\1:(password)@", text))


def _time(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""

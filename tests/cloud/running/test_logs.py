"""The log: one line each, with the request's id, without secrets."""

import json
import logging

import pytest

from boundless_skies.cloud.domain.keys import new_key
from boundless_skies.cloud.logs import JsonLines, TextLines, request_id
from boundless_skies.cloud.peers import read_networks


def record(message: str, *values: object, failed: Exception | None = None) -> logging.LogRecord:
    """Return what a logger hands to a formatter."""
    trace = (type(failed), failed, failed.__traceback__) if failed else None
    return logging.LogRecord("a.logger", logging.ERROR, __file__, 1, message, values, trace)


def test_a_line_for_people_stays_one_line() -> None:
    """What a peer sent cannot begin a line of its own."""
    line = TextLines().format(record("at %s", "/x\n2026 INFO all is well\x1b[2J\u2028"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_a_line_for_programs_is_json() -> None:
    """It tells time, level, message and what is known of the request."""
    made = record("at %s", "/x\ny")
    made.request = {"status": 200}
    told = json.loads(JsonLines().format(made))
    assert told["message"] == "at /x\ny"
    assert told["level"] == "error"
    assert told["status"] == 200
    assert told["time"].endswith("Z")


def test_each_line_of_a_request_carries_its_id() -> None:
    """In both forms."""
    token = request_id.set("0123456789abcdef")
    try:
        assert "[0123456789abcdef]" in TextLines().format(record("x"))
        assert json.loads(JsonLines().format(record("x")))["request_id"] == "0123456789abcdef"
    finally:
        request_id.reset(token)


@pytest.mark.parametrize("form", [TextLines(), JsonLines()])
def test_secrets_are_left_out(form: logging.Formatter) -> None:
    """Keys and passwords of URLs do not appear, also not from within a traceback."""
    key = new_key("node")
    url = "postgresql://sky:hunter2@db.example.org/sky"
    with pytest.raises(ValueError, match=key) as failure:
        read_networks(f"{key} at {url}")
    line = form.format(record("key %s of %s", key, url, failed=failure.value))
    assert "Traceback" in line
    assert key not in line
    assert "hunter2" not in line
    assert "db.example.org" in line

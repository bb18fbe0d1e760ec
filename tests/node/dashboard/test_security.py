"""Who gets in, and what changes something."""

import logging
import socket
from pathlib import Path

import pytest
from tests.node.dashboard.dashboards import (
    RunningDashboard,
    make_config,
    running_dashboard,
)

from boundless_skies.node.dashboard.dashboard import Dashboard
from boundless_skies.node.dashboard.visits import (
    FAILURES_MAX,
    FAILURES_S,
    SESSION_S,
    SIGNED_IN_MAX,
    Attempts,
    Password,
    Sessions,
)
from boundless_skies.node.storage.ledger import Ledger
from boundless_skies.node.storage.schedule import FILE_NAME, ScheduleStore

PASSWORD = "long and easy to remember"


class HandClock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.at_s


def started(folder: Path, **changed: object) -> bool:
    """Try to start a dashboard; return whether it serves."""
    config, path = make_config(folder, **changed)
    config["dashboard"]["port"] = changed.get("dashboard.port", 0)
    store, ledger = ScheduleStore(folder / FILE_NAME), Ledger(folder / "node.sqlite")
    dashboard = Dashboard(config, path, folder, store, ledger, dict)
    try:
        return dashboard.start()
    finally:
        dashboard.stop()
        store.close()
        ledger.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5173", "", "a/b", "127.0.0.1.evil.example"]
)
def test_a_foreign_name_is_refused(node: RunningDashboard, host: str) -> None:
    """A page elsewhere that makes its own name mean this computer gets nothing (DNS rebinding)."""
    reply = node.get("/", {"Host": host})
    assert reply.status == 421
    assert "Lindenhof" not in reply.text


@pytest.mark.parametrize("host", ["localhost:5173", "127.0.0.1", "[::1]:8000", "192.168.1.7:80"])
def test_numbers_and_localhost_are_served(node: RunningDashboard, host: str) -> None:
    """Also behind a tunnel, where the port is another one."""
    assert node.get("/", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_form_does_nothing(node: RunningDashboard, headers: dict[str, str]) -> None:
    """Even with the right token."""
    node.put_plan(accepted=False)
    reply = node.post("/plan/accept", {"plan": "A"}, headers)
    assert reply.status == 403
    assert node.store.waiting_plan() is not None


def test_a_form_needs_its_sessions_token(node: RunningDashboard) -> None:
    """No token, a made-up one, and another session's are all refused."""
    node.put_plan(accepted=False)
    others = node.token()
    node.cookie = ""
    for token in ({}, {"token": "0" * 64}, {"token": others}):
        assert node.send("/plan/accept", {"plan": "A", **token}).status == 403
    assert node.store.waiting_plan() is not None


def test_a_made_up_session_is_replaced(node: RunningDashboard) -> None:
    """Nobody can be given a session that somebody else knows."""
    name = node.get("/").headers["set-cookie"].partition("=")[0]
    node.cookie = f"{name}=mine.{'0' * 64}"
    assert node.get("/").headers["set-cookie"].partition(";")[0] != f"{name}=mine.{'0' * 64}"


def test_every_answer_carries_its_guards(node: RunningDashboard) -> None:
    """No script but ours, no frame around us, no other origin let in."""
    for path in ("/", "/nowhere", "/static/live.js", "/link"):
        headers = node.get(path).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers
    node.cookie = ""
    cookie = node.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(node: RunningDashboard, method: str) -> None:
    """There is nothing that they could do."""
    assert node.call(method, "/", None, {}).status == 405


def test_a_huge_form_is_refused(node: RunningDashboard) -> None:
    """Before it is all read."""
    assert node.send("/ask", {"command": "x" * 300_000}).status == 413


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "application/json", "text/plain"]
)
def test_only_plain_forms_are_read(node: RunningDashboard, kind: str) -> None:
    """What a browser can send from elsewhere without asking is not taken for one of ours."""
    assert node.call("POST", "/ask", b"{}", {"Content-Type": kind}).status == 415


def test_a_get_changes_nothing(node: RunningDashboard) -> None:
    """A link or a picture elsewhere steers no telescope."""
    node.put_plan(accepted=False)
    version = node.store.version()
    for path in ("/ask?command=park", "/plan/accept?plan=A", "/plan/reject", "/link/replay"):
        assert node.get(path).status == 405
    assert node.store.version() == version


@pytest.mark.parametrize("path", ["/static/..%2fapp.py", "/static/../app.py", "/static/nothing.js"])
def test_no_file_but_ours_is_served(node: RunningDashboard, path: str) -> None:
    """Not by dots either."""
    assert node.get(path).status == 404


def test_without_the_password_nothing_shows(tmp_path: Path) -> None:
    """Every page leads to the sign-in, every deed is refused, the stream stays closed."""
    with running_dashboard(tmp_path, **{"dashboard.password": PASSWORD}) as node:
        for path in ("/", "/sky", "/sky/frame.png", "/sky/curve.wav", "/link", "/settings", "/log"):
            assert node.get(path).headers["location"] == "/sign-in"
        assert node.get("/events").status == 401
        token = node.token("/sign-in")
        assert node.send("/ask", {"command": "park", "token": token}).status == 401
        assert node.store.asked_commands() == ()


def test_the_password_opens_and_signing_out_closes(tmp_path: Path) -> None:
    """The session is a new one, so that none known before is worth anything."""
    with running_dashboard(tmp_path, **{"dashboard.password": PASSWORD}) as node:
        wrong = node.post("/sign-in", {"password": "nope"}, seen_on="/sign-in")
        assert wrong.status == 401
        before = node.cookie
        reply = node.post("/sign-in", {"password": PASSWORD}, seen_on="/sign-in")
        assert reply.status == 303
        assert node.cookie != before
        assert node.get("/").status == 200
        assert PASSWORD not in node.get("/settings").text
        signed_in = node.cookie
        node.post("/sign-out", {})
        node.cookie = signed_in
        assert node.get("/").headers["location"] == "/sign-in"


def test_many_wrong_passwords_have_to_wait(tmp_path: Path) -> None:
    """Then even the right one is not tried."""
    with running_dashboard(tmp_path, **{"dashboard.password": PASSWORD}) as node:
        node.get("/sign-in")
        replies = [
            node.post("/sign-in", {"password": "nope"}, seen_on="/sign-in").status
            for _ in range(FAILURES_MAX + 1)
        ]
        assert replies == [401] * FAILURES_MAX + [429]
        assert node.post("/sign-in", {"password": PASSWORD}, seen_on="/sign-in").status == 429


def test_a_wait_is_over_in_time() -> None:
    """Each address has its own; the oldest wrong password is forgotten first."""
    clock = HandClock()
    attempts = Attempts(clock)
    for _ in range(FAILURES_MAX):
        attempts.failed("10.0.0.1")
    assert attempts.wait_s("10.0.0.1") == FAILURES_S
    assert attempts.wait_s("10.0.0.2") == 0.0
    clock.at_s = FAILURES_S
    assert attempts.wait_s("10.0.0.1") == 0.0


def test_many_addresses_have_to_wait_together() -> None:
    """Who has many addresses cannot try without end either."""
    attempts = Attempts(HandClock())
    for number in range(FAILURES_MAX * 10):
        attempts.failed(f"10.0.0.{number}")
    assert attempts.wait_s("10.9.9.9") > 0.0


def test_sessions_end() -> None:
    """By their age, and the oldest for the newest where there are many."""
    clock = HandClock()
    sessions = Sessions(clock)
    first = sessions.sign_in()
    assert sessions.is_signed_in(first)
    others = [sessions.sign_in() for _ in range(SIGNED_IN_MAX)]
    assert not sessions.is_signed_in(first)
    clock.at_s = SESSION_S
    assert not any(map(sessions.is_signed_in, others))


def test_a_password_is_kept_as_a_hash_only() -> None:
    """Nothing of it stands in the object; without one, nothing fits."""
    password = Password(PASSWORD)
    assert password.fits(PASSWORD)
    assert not password.fits(PASSWORD + " ")
    assert PASSWORD not in repr(vars(password))
    assert not Password("").fits("")


def test_beyond_this_computer_a_password_is_needed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says so, and the node goes on."""
    with caplog.at_level(logging.ERROR):
        assert not started(tmp_path, **{"dashboard.host": "0.0.0.0"})
    assert len(caplog.records) == 1
    assert "dashboard.password" in caplog.text
    assert started(tmp_path, **{"dashboard.host": "0.0.0.0", "dashboard.password": PASSWORD})


def test_a_port_in_use_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In one line, and the node goes on."""
    with socket.create_server(("127.0.0.1", 0)) as taken, caplog.at_level(logging.WARNING):
        assert not started(tmp_path, **{"dashboard.port": taken.getsockname()[1]})
    assert len(caplog.records) == 1
    assert "dashboard.port" in caplog.text


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    """Then nothing listens."""
    assert not started(tmp_path, **{"dashboard.enabled": False})

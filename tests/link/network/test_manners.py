"""Fleet manners: spread in time, few connections, the system's proxies and certificates."""

import platform
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trustme
from tests.support.capture_server import Answer, CaptureServer, capture_server, wait_until
from tests.support.links import (
    BEAT,
    IMAGES,
    INTERRUPTS,
    MEASUREMENTS,
    PLAN,
    REGISTER,
    Links,
    alive,
    free_port,
    nth,
)
from tests.support.proxy import Proxy, proxy

from boundless_skies import __version__
from cloud_communicator.rhythm import jittered


def tick(link: Any) -> None:
    """Let both threads do their work here and now."""
    link._heartbeat_tick(threading.Event())
    link._plan_tick(threading.Event())


# -- time ---------------------------------------------------------------------------------


def test_jitter_fills_ten_percent_on_both_sides() -> None:
    """Evenly, and never beyond."""
    rng = Random(1)  # noqa: S311 - reproducible
    waits = [jittered(60, rng) for _ in range(5000)]
    assert 54 <= min(waits) < 54.1
    assert 65.9 < max(waits) <= 66
    assert abs(sum(waits) / 5000 - 60) < 0.2


@pytest.mark.parametrize("answer", [Answer(), Answer(500), None])
def test_first_wait_is_jittered_after_success_and_failure(
    server: CaptureServer, links: Links, answer: Answer | None
) -> None:
    """No two nodes that were switched on together beat together again."""
    url = server.url if answer else f"http://127.0.0.1:{free_port()}"
    server.rules[BEAT] = answer or Answer()
    made = [links.make(url, heartbeat_interval=60, plan_poll_interval=300) for _ in range(25)]
    beats = [link._heartbeat_tick(threading.Event()) for link in made]
    polls = [link._plan_tick(threading.Event()) for link in made]
    for waits, interval_s in ((beats, 60), (polls, 300)):
        assert all(0.9 * interval_s - 1 <= wait_s <= 1.1 * interval_s for wait_s in waits)
        assert max(waits) - min(waits) > 0.05 * interval_s


def test_failed_registration_is_retried_with_jitter(server: CaptureServer, links: Links) -> None:
    """A fleet of new nodes does not march in step before a closed door."""
    server.rules[REGISTER] = Answer(500)
    made = [
        links.make(server.url, node_id="", api_key="", heartbeat_interval=60) for _ in range(25)
    ]
    waits = [link._heartbeat_tick(threading.Event()) for link in made]
    assert all(53 <= wait_s <= 66 for wait_s in waits)
    assert max(waits) - min(waits) > 3


# -- connections --------------------------------------------------------------------------


def test_each_thread_keeps_one_connection(
    server: CaptureServer, links: Links, tmp_path: Path
) -> None:
    """Beats and drains share one, polls and acks one, a pipeline's submits and images one."""
    (tmp_path / "a.fits").write_bytes(b"SIMPLE")
    server.rules[INTERRUPTS] = Answer(body={"interrupts": [{"id": 7}]})
    link = links.started(
        server.url,
        {"on_interrupt": lambda _interrupt: None},
        heartbeat_interval=0.05,
        plan_poll_interval=0.05,
        upload_images=True,
    )
    for number in range(5):
        link.submit_measurement(nth(number), fits_path=tmp_path / "a.fits")
    server.wait_for(BEAT, 5)
    server.wait_for(PLAN, 5)
    server.wait_for(f"{INTERRUPTS}/7/ack")

    def ports(*paths: str) -> set[Any]:
        return {request.connection for path in paths for request in server.to(path)}

    groups = [
        ports(BEAT),
        ports(PLAN, INTERRUPTS, f"{INTERRUPTS}/7/ack"),
        ports(MEASUREMENTS, IMAGES),
    ]
    assert [len(group) for group in groups] == [1, 1, 1]
    assert len(set.union(*groups)) == 3


def test_connection_is_kept_after_refusals(server: CaptureServer, links: Links) -> None:
    """An answer of 500 costs no new connection."""
    server.rules[BEAT] = Answer(500, {"error": "busy"})
    link = links.make(server.url)
    for _ in range(4):
        link._heartbeat_tick(threading.Event())
    assert len({request.connection for request in server.requests}) == 1


def test_every_call_names_the_program_and_its_version(server: CaptureServer, links: Links) -> None:
    """The User-Agent tells an operator which nodes need an update."""
    link = links.make(server.url, node_id="", api_key="")
    tick(link)
    link.submit_measurement(nth(1))
    agents = {request.headers["user-agent"] for request in server.requests}
    assert agents == {f"boundless-skies/{__version__} (link; Python {platform.python_version()})"}
    assert len(server.requests) == 5


# -- proxies ------------------------------------------------------------------------------


@pytest.fixture
def gate() -> Iterator[Proxy]:
    """Run a proxy."""
    with proxy() as running:
        yield running


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_http_goes_through_the_proxy_of_the_system(
    server: CaptureServer,
    links: Links,
    gate: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    scheme: str,
) -> None:
    """As set in the environment; the whole address is asked of it."""
    monkeypatch.setenv(variable, scheme + gate.address)
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is True
    tick(link)
    assert gate.asked[0] == f"POST {server.url}{MEASUREMENTS}"
    assert len(gate.asked) == 4


@pytest.mark.parametrize("value", ["127.0.0.1", "localhost,127.0.0.1", "*"])
@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_is_honoured(
    server: CaptureServer,
    links: Links,
    gate: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    """Hosts that it names are reached directly."""
    monkeypatch.setenv("http_proxy", f"http://{gate.address}")
    monkeypatch.setenv(variable, value)
    assert links.make(server.url).submit_measurement(nth(1)) is True
    assert gate.asked == []


def test_credentials_of_the_proxy_go_to_the_proxy_alone(
    server: CaptureServer, links: Links, gate: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its own header, unquoted."""
    monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{gate.address}")
    assert links.make(server.url).submit_measurement(nth(1)) is True
    assert gate.authorizations == ["Basic dXNlcjpwQHNz"]


def test_proxy_that_is_away_is_told_without_its_password(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measurement waits."""
    monkeypatch.setenv("http_proxy", f"http://user:s3cret@127.0.0.1:{free_port()}")
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is False
    assert "refused" in link.status["error"]
    assert "s3cret" not in link.status["error"]


def test_proxy_of_an_unknown_kind_is_told(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do, and nothing goes past it."""
    monkeypatch.setenv("http_proxy", "socks5://user:s3cret@127.0.0.1:1080")
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is False
    assert "socks5" in link.status["error"]
    assert "s3cret" not in link.status["error"]
    assert server.requests == []


def test_plain_http_to_a_public_host_is_refused_behind_a_proxy_too(
    links: Links, gate: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy would read the key, and send it on readable."""
    monkeypatch.setenv("http_proxy", f"http://{gate.address}")
    link = links.make("http://cloud.example.org")
    assert link.submit_measurement(nth(1)) is False
    assert gate.asked == []
    assert "cloud.allow_http" in link.status["error"]


# -- certificates -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give a certificate authority that no machine trusts yet."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """Give the authority's certificate as a file."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def context_for(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return a server's context with a certificate for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[CaptureServer]:
    """Run a cloud that speaks TLS."""
    with capture_server(tls=context_for(authority)) as running:
        yield running


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authority_of_the_system_is_trusted(
    secure: CaptureServer,
    links: Links,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """Each of the usual variables names it; one connection a thread, here too."""
    monkeypatch.setenv(variable, bundle)
    link = links.started(secure.url, heartbeat_interval=0.05, plan_poll_interval=0.05)
    assert link.submit_measurement(nth(1)) is True
    assert link.submit_measurement(nth(2)) is True
    secure.wait_for(BEAT, 3)
    secure.wait_for(PLAN, 3)
    assert len({request.connection for request in secure.requests}) == 3


def test_folder_of_authorities_is_taken_for_a_bundle(
    secure: CaptureServer, links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without the authority is read, and does not make it trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    link = links.make(secure.url)
    assert link.submit_measurement(nth(1)) is False
    assert "certificate" in link.status["error"]


def test_untrusted_certificate_is_a_clear_error(secure: CaptureServer, links: Links) -> None:
    """Nothing is sent, the measurement waits, the status says why."""
    link = links.make(secure.url)
    assert link.submit_measurement(nth(1)) is False
    tick(link)
    assert secure.requests == []
    assert link.status["queued_uploads"] == 1
    assert "no trusted connection" in link.status["error"]
    assert "certificate" in link.status["error"]


def test_certificate_of_another_host_is_a_clear_error(
    authority: trustme.CA, links: Links, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted authority does not make a wrong name right."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    with capture_server(tls=context_for(authority, "other.example.org")) as other:
        link = links.make(other.url)
        assert link.submit_measurement(nth(1)) is False
        assert other.requests == []
        assert "not valid for" in link.status["error"]


@pytest.mark.parametrize("address", ["http://[::1", "http://a:b:c", "http://:80", "://"])
def test_proxy_setting_that_is_no_address_is_told(
    server: CaptureServer, links: Links, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The measurement waits, and the caller sees no exception."""
    monkeypatch.setenv("http_proxy", address)
    link = links.make(server.url)
    assert link.submit_measurement(nth(1)) is False
    assert link.status["error"]
    assert server.requests == []


@pytest.mark.parametrize("content", [None, b"", b"no certificate at all"])
def test_unusable_bundle_is_a_clear_error(
    secure: CaptureServer,
    links: Links,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
) -> None:
    """The file is named, the link lives, and the measurement waits."""
    path = tmp_path / "wrong.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    link = links.make(secure.url)
    assert link.submit_measurement(nth(1)) is False
    assert str(path) in link.status["error"]
    assert link.status["queued_uploads"] == 1


def test_tls_where_plain_http_is_spoken_is_a_clear_error(
    server: CaptureServer, links: Links
) -> None:
    """A URL with the wrong scheme does not hang."""
    link = links.make(server.url.replace("http://", "https://"))
    assert link.submit_measurement(nth(1)) is False
    assert "no trusted connection" in link.status["error"]


def test_https_tunnels_through_the_proxy_of_the_system(
    secure: CaptureServer,
    links: Links,
    gate: Proxy,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy sees where to, and neither paths nor keys."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    monkeypatch.setenv("https_proxy", f"http://{gate.address}")
    link = links.make(secure.url)
    assert link.submit_measurement(nth(1)) is True
    tick(link)
    assert gate.asked == [f"CONNECT 127.0.0.1:{secure.port}"]
    assert len(secure.requests) == 4


def test_stop_is_prompt_in_the_middle_of_a_handshake(links: Links) -> None:
    """A peer that takes the connection and says nothing is left at once."""
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        port = mute.getsockname()[1]
        link = links.started(f"https://127.0.0.1:{port}", connect_timeout=60, timeout=60)
        with closing(mute.accept()[0]) as first, closing(mute.accept()[0]) as second:
            assert first.recv(1) == second.recv(1) == b"\x16"  # both have begun a handshake
            link.stop()
            wait_until(lambda: not alive(link), timeout_s=5)
    assert link.status["error"] is None

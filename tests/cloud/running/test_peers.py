"""Who a request is from, where proxies stand between."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundless_skies.cloud.peers import (
    LOOPBACK,
    client_address,
    is_https,
    read_networks,
    see_through_proxies,
    trust_in,
)

TRUSTED = (*LOOPBACK, *read_networks("10.0.0.0/8, 2001:db8::1"))


def seen(peer: str | None, *forwarded: str, proto: str = "") -> dict[str, Any]:
    """Return the scope of a request after it was looked through."""
    headers = [(b"x-forwarded-for", each.encode("latin-1")) for each in forwarded]
    if proto:
        headers.append((b"x-forwarded-proto", proto.encode()))
    client = None if peer is None else (peer, 1234)
    scope = {"client": client, "scheme": "http", "headers": headers}
    see_through_proxies(scope, dict(headers), trust_in(TRUSTED))
    return scope


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1", "10.1.2.3"], "198.51.100.1"),
        ("2001:db8::1", ["2001:db8::ffff"], "2001:db8::ffff"),
        ("127.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["fe80::1%eth0"], "fe80::1"),
        ("127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["unknown, 10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["10.1.2.3, 10.1.2.4"], "10.1.2.3"),
        (None, ["198.51.100.1"], ""),
    ],
)
def test_the_client_is_the_last_that_is_no_proxy_of_ours(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    """What stands before that in the list, anyone can have written."""
    assert client_address(seen(peer, *forwarded)) == expected


@pytest.mark.parametrize(
    ("peer", "proto", "expected"),
    [
        ("127.0.0.1", "https", True),
        ("127.0.0.1", "http, HTTPS", True),
        ("127.0.0.1", "https, http", False),
        ("127.0.0.1", "gopher", False),
        ("203.0.113.7", "https", False),
    ],
)
def test_the_scheme_is_a_trusted_proxys_word(peer: str, proto: str, expected: bool) -> None:
    """Of a list it is the last, and of a stranger none."""
    assert is_https(seen(peer, proto=proto)) is expected


@given(st.text(st.characters(max_codepoint=255)))
def test_no_header_breaks_it(text: str) -> None:
    """Whatever the header holds, there is an address."""
    assert client_address(seen("127.0.0.1", text))


@pytest.mark.parametrize("text", ["", "here", "10.0.0.0/33", "10.0.0.1/8"])
def test_what_is_no_network_is_refused(text: str) -> None:
    """A misspelt list is an error, not a list that trusts less, or more."""
    with pytest.raises(ValueError, match=r"."):
        read_networks(text)


def test_nobody_can_be_trusted() -> None:
    """``none`` is the empty list."""
    assert read_networks("none") == ()

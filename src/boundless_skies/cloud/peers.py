"""Who a request really comes from, where it came through a proxy."""

from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache, partial
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

Networks = tuple[IPv4Network | IPv6Network, ...]
Trust = Callable[[str], bool]

LOOPBACK: Networks = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
NOBODY = "none"
FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
HOPS_MAX = 20
"""How many addresses of a list are looked at, from its end."""


def read_networks(text: str) -> Networks:
    """Return the networks of a list such as ``10.0.0.0/8,::1``; ``none`` stands for no proxy.

    Raises
    ------
    ValueError
        If one is no address and no network.
    """
    if text.strip() == NOBODY:
        return ()
    return tuple(ip_network(part.strip()) for part in text.split(","))


def see_through_proxies(
    scope: MutableMapping[str, Any], headers: dict[bytes, bytes], is_trusted: Trust
) -> None:
    """Put the address and the scheme that a trusted proxy tells into a request's scope.

    A list is read from its end, where our own proxies write: its last address that
    is no trusted proxy's is the client's. What stands before that, anyone can have
    written.

    Parameters
    ----------
    scope : mutable mapping
        The request's ASGI scope.
    headers : dict
        The scope's headers.
    is_trusted : callable
        Tells of an address whether its word is believed.
    """
    if FORWARDED_FOR not in headers and FORWARDED_PROTO not in headers:
        return
    peer = scope.get("client")
    if peer is None or not is_trusted(peer[0]):
        return
    if FORWARDED_FOR in headers:
        listed = b",".join(value for name, value in scope["headers"] if name == FORWARDED_FOR)
        scope["client"] = (_first_untrusted(peer[0], listed.decode("latin-1"), is_trusted), 0)
    scheme = headers.get(FORWARDED_PROTO, b"").rsplit(b",")[-1].strip().lower()
    if scheme in (b"http", b"https"):
        scope["scheme"] = scheme.decode()


def trust_in(networks: Networks) -> Trust:
    """Return what tells whether an address is trusted; it remembers what it was asked last."""
    return lru_cache(4_096)(partial(is_within, networks=networks))


def client_address(scope: Mapping[str, Any]) -> str:
    """Return the address that a request comes from; empty where there is none."""
    peer = scope.get("client")
    return _plain(peer[0]) if peer else ""


def is_https(scope: Mapping[str, Any]) -> bool:
    """Tell whether the client speaks TLS, to us or to a trusted proxy."""
    return bool(scope.get("scheme") == "https")


def is_within(address: str, networks: Networks) -> bool:
    """Tell whether an address lies in one of some networks; no address lies in none."""
    found = _parse(address)
    return found is not None and any(
        found.version == network.version and found in network for network in networks
    )


def _first_untrusted(peer: str, listed: str, is_trusted: Trust) -> str:
    client = peer
    for hop in reversed(listed.split(",")[-HOPS_MAX:]):
        found = _parse(hop)
        if found is None:
            break
        client = str(found)
        if not is_trusted(client):
            break
    return client


@lru_cache(4_096)
def _plain(address: str) -> str:
    return str(_parse(address) or address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, with or without a port; IPv4 in the clothes of IPv6 as IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found

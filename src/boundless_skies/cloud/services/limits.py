"""How often an address or a node may call.

The counts are each process's own: several processes together let through as many
times the rate. That is enough against a flood, and costs no query.
"""

import math
import time
from collections.abc import Callable

from boundless_skies.cloud.domain.errors import TooMany
from boundless_skies.cloud.domain.rates import Rates

KNOWN_MAX = 200_000
IPV6_GROUPS = 4
"""Of an IPv6 address so many groups count (/64): one household has all of the rest."""


class Buckets:
    """A bucket of tokens for each key: it holds a burst, and fills with time.

    Parameters
    ----------
    burst : float
        What a full bucket holds; 0 for no limit.
    fill_s : float
        How long an empty one takes to fill (s).
    monotonic : callable
        Gives monotonic seconds.
    """

    def __init__(
        self, burst: float, fill_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._per_s = burst / fill_s
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def wait_s(self, key: str) -> float:
        """Return how long a key must wait for a token (s); 0 where there is one."""
        if not self._burst:
            return 0.0
        return max(0.0, (1.0 - self._level(key)) / self._per_s)

    def take(self, key: str) -> float:
        """Take a token where there is one; return how long the key must wait else (s)."""
        if not self._burst:
            return 0.0
        now_s = self._monotonic()
        full_at = max(self._full_at.get(key, now_s), now_s)
        level = self._burst - (full_at - now_s) * self._per_s
        if level < 1.0:
            return (1.0 - level) / self._per_s
        if len(self._full_at) >= KNOWN_MAX:
            self._forget_full()
        self._full_at[key] = full_at + 1.0 / self._per_s
        return 0.0

    def _level(self, key: str) -> float:
        missing_s = self._full_at.get(key, 0.0) - self._monotonic()
        return self._burst - max(missing_s, 0.0) * self._per_s

    def _forget_full(self) -> None:
        """Forget who has waited long enough; under a flood of addresses, everybody."""
        full = [key for key in self._full_at if self._level(key) >= self._burst - 1.0]
        for key in full:
            del self._full_at[key]
        if len(self._full_at) >= KNOWN_MAX:
            self._full_at.clear()


class LimitService:
    """Turns callers away who call too often.

    Parameters
    ----------
    rates : Rates
        How often is too often.
    monotonic : callable
        Gives monotonic seconds.
    """

    def __init__(self, rates: Rates, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._registrations = Buckets(rates.registrations_per_hour, 3_600.0, monotonic)
        self._failures = Buckets(rates.failed_logins_per_minute, 60.0, monotonic)
        self._nodes = Buckets(rates.node_calls_per_minute, 60.0, monotonic)

    def count_registration(self, address: str) -> None:
        """Count a registration.

        Raises
        ------
        TooMany
            If too many came from this address.
        """
        wait_s = self._registrations.take(group_address(address))
        _refuse(wait_s, "Too many registrations from this address.")

    def count_call(self, node_id: str) -> None:
        """Count a call of a node.

        Raises
        ------
        TooMany
            If it calls too often.
        """
        _refuse(self._nodes.take(node_id), f"The node {node_id} calls too often.")

    def check_failures(self, address: str) -> None:
        """Look at no more keys from an address that came with too many wrong ones.

        Raises
        ------
        TooMany
            If it did.
        """
        wait_s = self._failures.wait_s(group_address(address))
        _refuse(wait_s, "Too many wrong keys from this address.")

    def count_failure(self, address: str) -> None:
        """Count a wrong key."""
        self._failures.take(group_address(address))


def group_address(address: str) -> str:
    """Return what of an address counts: of IPv6, the household's part."""
    if ":" not in address:
        return address
    return ":".join(address.split(":")[:IPV6_GROUPS])


def _refuse(wait_s: float, why: str) -> None:
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        raise TooMany(f"{why} Try again in {seconds} s.", seconds)

"""How often is too often."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often is too often; 0 for no limit. Each may come at once, or spread over the time."""

    registrations_per_hour: float = 60.0
    failed_logins_per_minute: float = 30.0
    node_calls_per_minute: float = 1_200.0

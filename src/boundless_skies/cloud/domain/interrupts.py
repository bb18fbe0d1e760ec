"""Requests to leave the plan for a target."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.reading import (
    Range,
    optional_number,
    optional_text,
    required_number,
    required_text,
    shown,
)

RA_DEG = Range(0.0, 360.0, open_high=True)
DEC_DEG = Range(-90.0, 90.0)
MAG = Range(-30.0, 40.0)
EXPIRES_HOURS = Range(0.0, 8_784.0, open_low=True)
DEFAULT_EXPIRES_HOURS = 12.0
NODES_MAX = 10_000


@dataclass(frozen=True, kw_only=True)
class NewInterrupt:
    """An interrupt as an operator asks for it; ``node_ids`` None addresses every node."""

    name: str
    reason: str
    ra_deg: float
    dec_deg: float
    mag: float | None
    node_ids: list[str] | None
    lifetime: timedelta


@dataclass(frozen=True, kw_only=True)
class StandingInterrupt:
    """An interrupt as it is kept."""

    id: int
    name: str
    reason: str
    ra_deg: float
    dec_deg: float
    mag: float | None
    node_ids: list[str] | None
    created_at: datetime
    expires_at: datetime

    def is_for(self, node_id: str) -> bool:
        """Tell whether it addresses this node."""
        return self.node_ids is None or node_id in self.node_ids


def read_interrupt(body: Mapping[str, Any]) -> NewInterrupt:
    """Read an operator's request.

    Raises
    ------
    InvalidInput
        If a required value is missing, of the wrong type, or out of its range.
    """
    hours = optional_number(body, "expires_hours", EXPIRES_HOURS, DEFAULT_EXPIRES_HOURS)
    return NewInterrupt(
        name=required_text(body, "name"),
        reason=optional_text(body, "reason", max_chars=2_000),
        ra_deg=required_number(body, "ra_deg", RA_DEG),
        dec_deg=required_number(body, "dec_deg", DEC_DEG),
        mag=optional_number(body, "mag", MAG),
        node_ids=_read_node_ids(body.get("node_ids")),
        lifetime=timedelta(hours=hours or DEFAULT_EXPIRES_HOURS),
    )


def _read_node_ids(value: Any) -> list[str] | None:
    if value is None or value == []:
        return None
    is_list_of_names = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if not is_list_of_names or len(value) > NODES_MAX:
        raise InvalidInput(
            f"node_ids must be a list of node names, not {shown(value)}. "
            "Leave it out to address every node."
        )
    return list(dict.fromkeys(value))

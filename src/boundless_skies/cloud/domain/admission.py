"""Who may join: the network's policy, and the codes that let a node in."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from boundless_skies.cloud.domain.errors import Forbidden, InvalidInput
from boundless_skies.cloud.domain.reading import Range, optional_number, optional_text, shown

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""What codes are made of: nothing that is taken for something else when read aloud or typed."""
TAIL_CHARS = 8
"""Of 31 characters each: 40 bits, of which a cloud that limits calls gives nobody many tries."""
PREFIX = "BS"
CODES_MAX = 500
DAYS = Range(0.0, 3_660.0, open_low=True)
DEFAULT_DAYS = 30.0

_YEAR_CHARS = 4
_TYPED_MAX_CHARS = 64
_ASK = "Ask the network's operator for a new one."


class Policy(StrEnum):
    """Which nodes may join: all, those with an activation code, or none."""

    OPEN = "open"
    CODE = "code"
    CLOSED = "closed"


DEFAULT_POLICY = Policy.OPEN


class CodeState(StrEnum):
    """What an activation code is good for: only one that is valid lets a node in."""

    VALID = "valid"
    USED = "used"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class ActivationCode:
    """A code that lets one node in."""

    code: str
    note: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None = None
    used_by: str | None = None
    withdrawn_at: datetime | None = None

    def state(self, now: datetime) -> CodeState:
        """Return what the code is good for."""
        if self.used_at is not None:
            return CodeState.USED
        if self.withdrawn_at is not None:
            return CodeState.WITHDRAWN
        return CodeState.EXPIRED if self.expires_at <= now else CodeState.VALID


@dataclass(frozen=True, kw_only=True)
class CodeOrder:
    """How many codes an operator wants, what for, and for how long."""

    count: int
    note: str
    lifetime: timedelta


def read_policy(value: Any) -> Policy:
    """Return a policy by its name.

    Raises
    ------
    InvalidInput
        If there is none of that name.
    """
    if not isinstance(value, str) or value not in set(Policy):
        raise InvalidInput(f"policy {shown(value)} must be one of {', '.join(Policy)}.")
    return Policy(value)


def read_order(body: Mapping[str, Any]) -> CodeOrder:
    """Read a request for codes: ``count``, ``note``, ``days``, each of which may be left out.

    Raises
    ------
    InvalidInput
        If one of them is of the wrong type or out of its range.
    """
    limits = Range(1, CODES_MAX)
    count = optional_number(body, "count", limits, 1.0) or 1.0
    if count != int(count):
        raise InvalidInput(f"count must be a whole number, not {shown(body['count'])}.")
    return CodeOrder(
        count=int(count),
        note=optional_text(body, "note"),
        lifetime=timedelta(days=optional_number(body, "days", DAYS, DEFAULT_DAYS) or DEFAULT_DAYS),
    )


def new_code(now: datetime) -> str:
    """Return a fresh code ``BS-YYYY-XXXXXXXX``."""
    tail = "".join(secrets.choice(ALPHABET) for _ in range(TAIL_CHARS))
    return f"{PREFIX}-{now.year:04d}-{tail}"


def masked(code: str) -> str:
    """Return a code as records that outlive it may hold it."""
    return f"{code[:8]}…{code[-2:]}"


def read_code(value: Any) -> str | None:
    """Return a code in its written form; None where nothing was given.

    Capitals, spaces and dashes are forgiven. What cannot be a code is returned as
    a text that is none.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        return ""
    plain = "".join(char for char in value[:_TYPED_MAX_CHARS].upper() if char.isalnum())
    year_ends = len(PREFIX) + _YEAR_CHARS
    if not plain.startswith(PREFIX) or len(plain) != year_ends + TAIL_CHARS:
        return ""
    return f"{PREFIX}-{plain[len(PREFIX) : year_ends]}-{plain[year_ends:]}"


def refusal(found: ActivationCode | None, now: datetime) -> Forbidden:
    """Return why a code that was given does not let a node in, and what to do."""
    if found is None:
        return Forbidden(
            "This activation code is not known here. Check it for typing mistakes "
            "(BS-YYYY-XXXXXXXX), or ask the network's operator for one."
        )
    reasons = {
        CodeState.USED: "was used before; a code lets one node in",
        CodeState.WITHDRAWN: "was withdrawn",
        CodeState.EXPIRED: f"expired on {found.expires_at:%Y-%m-%d}",
    }
    return Forbidden(
        f"This activation code {reasons.get(found.state(now), 'is not valid')}. {_ASK}"
    )


CODE_MISSING = (
    "This network takes new nodes with an activation code only. Ask its operator for one and set "
    "cloud.activation_code in the node's config.yaml."
)
NETWORK_CLOSED = "This network takes no new nodes at present. Ask its operator."
